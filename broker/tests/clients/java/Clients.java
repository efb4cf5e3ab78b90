import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Clients of one broker, and what the scenarios do with them again and again. */
final class Clients implements AutoCloseable {
    static final Duration POLL = Duration.ofMillis(100);

    final String bootstrap;
    final Admin admin;

    Clients(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "30000"));
    }

    /** A producer with {@code properties} as key, value, key, value. */
    KafkaProducer<String, String> producer(String... properties) {
        return new KafkaProducer<>(configuration(properties), new StringSerializer(), new StringSerializer());
    }

    /** A consumer that starts at the earliest offset, with {@code properties} as key, value, key, value. */
    KafkaConsumer<String, String> consumer(String... properties) {
        Map<String, Object> all = new HashMap<>(Map.of("auto.offset.reset", "earliest"));
        all.putAll(configuration(properties));
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    private Map<String, Object> configuration(String... properties) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        for (int i = 0; i < properties.length; i += 2) {
            all.put(properties[i], properties[i + 1]);
        }
        return all;
    }

    /**
     * Creates a topic and waits until its leaders serve. Apache Kafka answers the creation earlier: an idempotent
     * producer whose first batch comes too early then has its second accepted and its first refused forever.
     */
    void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        admin.createTopics(Set.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
        Map<TopicPartition, OffsetSpec> all = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) {
            all.put(new TopicPartition(topic, partition), OffsetSpec.latest());
        }
        Scenarios.eventually("the leaders of " + topic + " serve", () -> {
            try {
                return admin.listOffsets(all).all().get() != null;
            } catch (ExecutionException unknown) {
                return Scenarios.rethrowUnless(UnknownTopicOrPartitionException.class, unknown);
            }
        });
    }

    void create(String topic, int partitions) throws Exception {
        create(topic, partitions, Map.of());
    }

    /** Sends {@code values} to one partition and waits for every acknowledgement. */
    void produce(TopicPartition partition, String... values) throws Exception {
        try (KafkaProducer<String, String> producer = producer()) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (String value : values) {
                sent.add(producer.send(new ProducerRecord<>(partition.topic(), partition.partition(), null, value)));
            }
            for (Future<RecordMetadata> record : sent) {
                record.get();
            }
        }
    }

    /** Polls until {@code count} records have come. */
    static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count)
            throws Exception {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        Scenarios.eventually(count + " records are read", () -> {
            consumer.poll(POLL).forEach(records::add);
            return records.size() >= count;
        });
        Scenarios.equal(count, records.size(), "records");
        return records;
    }

    /** All {@code count} records of one partition, from its beginning. */
    List<ConsumerRecord<String, String>> readAll(TopicPartition partition, int count) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            consumer.assign(Set.of(partition));
            return poll(consumer, count);
        }
    }

    static List<String> values(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).toList();
    }

    @Override
    public void close() {
        admin.close();
    }
}
