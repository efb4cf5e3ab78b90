import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * {@code java Load BOOTSTRAP TOPIC PARTITIONS PRODUCER TICK_MS endless|defaults}: writes numbered records with the
 * idempotent producer until its input ends, and prints {@code acknowledged PARTITION OFFSET NUMBER} for each,
 * {@code refused ...} for one that was not, and {@code sent COUNT} at the end.
 */
public final class Load {
    private static final PrintStream OUT =
        new PrintStream(new BufferedOutputStream(System.out), false, StandardCharsets.UTF_8);

    private final String topic;
    private final long[] sent;
    private final long producerNumber;
    private final KafkaProducer<byte[], byte[]> producer;

    private Load(String[] arguments) {
        topic = arguments[1];
        sent = new long[Integer.parseInt(arguments[2])];
        producerNumber = Long.parseLong(arguments[3]);
        Map<String, Object> configuration = new HashMap<>(Map.of("bootstrap.servers", arguments[0]));
        if (arguments[5].equals("endless")) {
            configuration.putAll(Map.of("delivery.timeout.ms", Integer.MAX_VALUE, "max.block.ms", Integer.MAX_VALUE,
                "request.timeout.ms", 5_000, "reconnect.backoff.ms", 10, "reconnect.backoff.max.ms", 100,
                "retry.backoff.ms", 20, "metadata.max.age.ms", 1_000));
        }
        ByteArraySerializer serializer = new ByteArraySerializer();
        producer = new KafkaProducer<>(configuration, serializer, serializer);
    }

    public static void main(String[] arguments) throws Exception {
        Load load = new Load(arguments);
        Thread input = new Thread(Load::awaitEndOfInput);
        input.start();
        // The first record of each partition goes alone: a leader must know the producer before batches overtake.
        load.sendToEach();
        load.producer.flush();
        while (input.isAlive()) {
            load.sendToEach();
            OUT.flush();
            Thread.sleep(Long.parseLong(arguments[4]));
        }
        load.producer.close();
        OUT.println("sent " + Arrays.stream(load.sent).sum());
        OUT.flush();
    }

    private static void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                continue;
            }
        } catch (IOException broken) {
            // Whoever started this program is gone.
        }
    }

    private void sendToEach() {
        for (int partition = 0; partition < sent.length; partition++) {
            long number = sent[partition]++;
            int to = partition;
            producer.send(new ProducerRecord<>(topic, to, null, value(number)), (metadata, refusal) -> {
                if (refusal == null) {
                    OUT.println("acknowledged " + to + " " + metadata.offset() + " " + number);
                } else {
                    OUT.println("refused " + to + " " + number + " " + refusal);
                }
            });
        }
    }

    /** The producer, the number, and bytes of a length that differs from record to record. */
    private byte[] value(long number) {
        long id = producerNumber << 56 | number;
        byte[] filling = ByteBuffer.allocate(8).putLong(id * 0x9E3779B97F4A7C15L).array();
        ByteBuffer value = ByteBuffer.allocate(8 + (int) (number * 37 % 900)).putLong(id);
        for (int i = 0; value.hasRemaining(); i++) {
            value.put(filling[i % 8]);
        }
        return value.array();
    }
}
