import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.DescribeProducersResult;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.record.TimestampType;

/** What is written and what is read, with the Java producer: the idempotent one, which is its default. */
final class RecordScenarios {
    private final Clients clients;

    RecordScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios all() {
        Scenarios scenarios = new Scenarios();
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            scenarios.add("records with headers come back as sent: " + codec, () -> recordsComeBack(codec));
        }
        return scenarios
            .add("a topic's compression.type is applied by the broker", this::brokerRecompresses)
            .add("acks=0 and acks=1 are honoured", this::weakerAcksAreHonoured)
            .add("null and empty keys and values stay apart", this::nullsStayNulls)
            .add("several partitions each keep their order", this::partitionsKeepTheirOrder)
            .add("timestamps are the producer's, or the broker's where the topic says so", this::timestamps)
            .add("a timestamp outside the topic's bounds is refused", this::timestampsAreBounded)
            .add("a batch over max.message.bytes is refused", this::tooLargeIsRefused)
            .add("a record of a megabyte passes", this::aMegabytePasses)
            .add("min.insync.replicas is capped by the replication factor", this::minInSyncReplicas)
            .add("a topic is created by its first record", this::topicsAreCreatedByTheirFirstRecord)
            .add("a partition that does not exist is not written", this::unknownPartitionIsNotWritten)
            .add("offsets are listed by timestamp and by end", this::offsetsAreListed)
            .add("records are deleted up to an offset", this::recordsAreDeleted)
            .add("active producers are described", this::producersAreDescribed)
            .add("segments roll and every record is still read", this::segmentsRoll);
    }

    private void recordsComeBack(String codec) throws Exception {
        TopicPartition partition = new TopicPartition("codec-" + codec, 0);
        clients.create(partition.topic(), 1);
        int count = 1000;
        try (KafkaProducer<String, String> producer = clients.producer("compression.type", codec, "linger.ms", "20")) {
            for (int i = 0; i < count; i++) {
                var record = new ProducerRecord<>(partition.topic(), 0, 1_000L + i, "key" + i, "value " + i);
                record.headers().add("index", String.valueOf(i).getBytes(StandardCharsets.UTF_8)).add("null", null);
                producer.send(record);
            }
            producer.flush();
        }
        List<ConsumerRecord<String, String>> records = clients.readAll(partition, count);
        for (int i = 0; i < count; i++) {
            ConsumerRecord<String, String> record = records.get(i);
            Scenarios.equal((long) i, record.offset(), "offset");
            Scenarios.equal(1_000L + i, record.timestamp(), "timestamp");
            Scenarios.equal("key" + i, record.key(), "key");
            Scenarios.equal("value " + i, record.value(), "value");
            Scenarios.equal(String.valueOf(i),
                new String(record.headers().lastHeader("index").value(), StandardCharsets.UTF_8), "header");
            Scenarios.equal(null, record.headers().lastHeader("null").value(), "null header");
        }
    }

    private void brokerRecompresses() throws Exception {
        for (String codec : List.of("uncompressed", "gzip", "snappy", "lz4", "zstd")) {
            TopicPartition partition = new TopicPartition("recompressed-" + codec, 0);
            clients.create(partition.topic(), 1, Map.of("compression.type", codec));
            clients.produce(partition, "a".repeat(5000), "b".repeat(5000));
            List<String> values = Clients.values(clients.readAll(partition, 2));
            Scenarios.equal(List.of("a".repeat(5000), "b".repeat(5000)), values, codec);
            long size = clients.admin.describeLogDirs(Set.of(1)).allDescriptions().get().get(1).values().iterator()
                .next().replicaInfos().get(partition).size();
            Scenarios.check(codec.equals("uncompressed") == size > 10_000, codec + " takes " + size + " bytes");
        }
    }

    private void weakerAcksAreHonoured() throws Exception {
        clients.create("acks", 1);
        for (String acks : List.of("0", "1")) {
            String[] weak = {"acks", acks, "enable.idempotence", "false"};
            try (KafkaProducer<String, String> producer = clients.producer(weak)) {
                RecordMetadata sent = producer.send(new ProducerRecord<>("acks", "with " + acks)).get();
                Scenarios.equal(acks.equals("1"), sent.hasOffset(), "an offset with acks=" + acks);
            }
        }
        List<String> values = Clients.values(clients.readAll(new TopicPartition("acks", 0), 2));
        Scenarios.equal(List.of("with 0", "with 1"), values, "values");
    }

    private void nullsStayNulls() throws Exception {
        clients.create("nulls", 1);
        try (KafkaProducer<String, String> producer = clients.producer()) {
            producer.send(new ProducerRecord<>("nulls", null, null));
            producer.send(new ProducerRecord<>("nulls", "", ""));
            producer.send(new ProducerRecord<>("nulls", "key", null));
        }
        List<ConsumerRecord<String, String>> records = clients.readAll(new TopicPartition("nulls", 0), 3);
        Scenarios.equal(null, records.get(0).key(), "key");
        Scenarios.equal(null, records.get(0).value(), "value");
        Scenarios.equal("", records.get(1).key(), "key");
        Scenarios.equal("", records.get(1).value(), "value");
        Scenarios.equal(null, records.get(2).value(), "value");
    }

    private void partitionsKeepTheirOrder() throws Exception {
        clients.create("ordered", 4);
        try (KafkaProducer<String, String> producer = clients.producer("batch.size", "500")) {
            for (int i = 0; i < 4000; i++) {
                producer.send(new ProducerRecord<>("ordered", i % 4, null, String.valueOf(i)));
            }
        }
        for (int partition = 0; partition < 4; partition++) {
            List<String> values = Clients.values(clients.readAll(new TopicPartition("ordered", partition), 1000));
            for (int i = 0; i < 1000; i++) {
                Scenarios.equal(String.valueOf(4 * i + partition), values.get(i), "record " + i);
            }
        }
    }

    private void timestamps() throws Exception {
        clients.create("stamped", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        try (KafkaProducer<String, String> producer = clients.producer()) {
            RecordMetadata sent = producer.send(new ProducerRecord<>("stamped", 0, 5L, null, "now")).get();
            Scenarios.check(sent.timestamp() >= before, "append time in the answer: " + sent.timestamp());
        }
        ConsumerRecord<String, String> record = clients.readAll(new TopicPartition("stamped", 0), 1).get(0);
        Scenarios.equal(TimestampType.LOG_APPEND_TIME, record.timestampType(), "type");
        Scenarios.check(record.timestamp() >= before, "append time of the record: " + record.timestamp());
    }

    private void timestampsAreBounded() throws Exception {
        clients.create("bounded", 1, Map.of("message.timestamp.before.max.ms", "1000",
            "message.timestamp.after.max.ms", "1000"));
        try (KafkaProducer<String, String> producer = clients.producer()) {
            for (long timestamp : List.of(5L, System.currentTimeMillis() + 3_600_000)) {
                Scenarios.fails(InvalidTimestampException.class,
                    () -> producer.send(new ProducerRecord<>("bounded", 0, timestamp, null, "late")).get());
            }
            producer.send(new ProducerRecord<>("bounded", "now")).get();
        }
    }

    private void tooLargeIsRefused() throws Exception {
        clients.create("small", 1, Map.of("max.message.bytes", "1000"));
        try (KafkaProducer<String, String> producer = clients.producer()) {
            Scenarios.fails(RecordTooLargeException.class,
                () -> producer.send(new ProducerRecord<>("small", "x".repeat(1001))).get());
            producer.send(new ProducerRecord<>("small", "fits")).get();
        }
        List<String> values = Clients.values(clients.readAll(new TopicPartition("small", 0), 1));
        Scenarios.equal(List.of("fits"), values, "values");
    }

    private void aMegabytePasses() throws Exception {
        TopicPartition partition = new TopicPartition("large", 0);
        clients.create("large", 1);
        String large = "x".repeat(1_000_000);
        clients.produce(partition, "small", large, "small");
        try (KafkaConsumer<String, String> consumer =
                 clients.consumer("max.partition.fetch.bytes", "1000", "fetch.max.bytes", "1000")) {
            consumer.assign(Set.of(partition));
            List<String> values = Clients.values(Clients.poll(consumer, 3));
            Scenarios.equal(List.of("small", large, "small"), values, "values");
        }
    }

    private void minInSyncReplicas() throws Exception {
        clients.create("demanding", 1, Map.of("min.insync.replicas", "2"));
        clients.produce(new TopicPartition("demanding", 0), "written");
    }

    private void topicsAreCreatedByTheirFirstRecord() throws Exception {
        try (KafkaProducer<String, String> producer = clients.producer()) {
            Scenarios.equal(0L, producer.send(new ProducerRecord<>("automatic", "first")).get().offset(), "offset");
        }
        Scenarios.equal(1, clients.admin.describeTopics(List.of("automatic")).allTopicNames().get().get("automatic")
            .partitions().size(), "num.partitions");
    }

    private void unknownPartitionIsNotWritten() throws Exception {
        clients.create("narrow", 1);
        try (KafkaProducer<String, String> producer = clients.producer("max.block.ms", "1000")) {
            Scenarios.fails(TimeoutException.class,
                () -> producer.send(new ProducerRecord<>("narrow", 5, null, "nowhere")).get());
        }
        Scenarios.fails(UnknownTopicOrPartitionException.class,
            () -> clients.admin.describeTopics(List.of("no-such-topic")).allTopicNames().get());
    }

    private void offsetsAreListed() throws Exception {
        TopicPartition partition = new TopicPartition("offsets", 0);
        clients.create("offsets", 1);
        Scenarios.equal(-1L, offset(partition, OffsetSpec.maxTimestamp()).offset(), "max timestamp of nothing");
        try (KafkaProducer<String, String> producer = clients.producer()) {
            for (long timestamp : List.of(1000L, 3000L, 2000L)) {
                producer.send(new ProducerRecord<>("offsets", 0, timestamp, null, "at " + timestamp)).get();
            }
        }
        Scenarios.equal(0L, offset(partition, OffsetSpec.earliest()).offset(), "earliest");
        Scenarios.equal(3L, offset(partition, OffsetSpec.latest()).offset(), "latest");
        ListOffsetsResultInfo max = offset(partition, OffsetSpec.maxTimestamp());
        Scenarios.equal(List.of(1L, 3000L), List.of(max.offset(), max.timestamp()), "max timestamp");
        ListOffsetsResultInfo found = offset(partition, OffsetSpec.forTimestamp(1001));
        Scenarios.equal(List.of(1L, 3000L), List.of(found.offset(), found.timestamp()), "first after 1001");
        Scenarios.equal(-1L, offset(partition, OffsetSpec.forTimestamp(3001)).offset(), "after the last");
    }

    private ListOffsetsResultInfo offset(TopicPartition partition, OffsetSpec spec) throws Exception {
        return clients.admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get();
    }

    private void recordsAreDeleted() throws Exception {
        TopicPartition partition = new TopicPartition("trimmed", 0);
        clients.create("trimmed", 1);
        clients.produce(partition, "0", "1", "2", "3");
        Scenarios.equal(2L, delete(partition, 2), "low watermark");
        Scenarios.equal(2L, offset(partition, OffsetSpec.earliest()).offset(), "earliest");
        Scenarios.equal(List.of("2", "3"), Clients.values(clients.readAll(partition, 2)), "what is left");
        Scenarios.fails(OffsetOutOfRangeException.class, () -> delete(partition, 5));
        Scenarios.equal(4L, delete(partition, -1), "low watermark after deleting all");
        clients.produce(partition, "4");
        Scenarios.equal(4L, clients.readAll(partition, 1).get(0).offset(), "the next offset");
    }

    private long delete(TopicPartition partition, long offset) throws Exception {
        return clients.admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(offset)))
            .lowWatermarks().get(partition).get().lowWatermark();
    }

    private void producersAreDescribed() throws Exception {
        TopicPartition partition = new TopicPartition("produced", 0);
        clients.create("produced", 1);
        clients.produce(partition, "0", "1", "2");
        DescribeProducersResult.PartitionProducerState state =
            clients.admin.describeProducers(Set.of(partition)).partitionResult(partition).get();
        Scenarios.equal(1, state.activeProducers().size(), "producers");
        ProducerState producer = state.activeProducers().get(0);
        Scenarios.check(producer.producerId() >= 0, "producer id " + producer.producerId());
        Scenarios.equal(0, producer.producerEpoch(), "epoch");
        Scenarios.equal(2, producer.lastSequence(), "last sequence");
        Scenarios.check(producer.currentTransactionStartOffset().isEmpty(), "a transaction");
    }

    private void segmentsRoll() throws Exception {
        TopicPartition partition = new TopicPartition("rolling", 0);
        clients.create("rolling", 1, Map.of("segment.bytes", "1048576", "index.interval.bytes", "256"));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = clients.producer("batch.size", "16384")) {
            for (int i = 0; i < 5000; i++) {
                sent.add(producer.send(new ProducerRecord<>("rolling", 0, 10_000L + i, null, i + "x".repeat(1000))));
            }
        }
        for (Future<RecordMetadata> record : sent) {
            record.get();
        }
        List<ConsumerRecord<String, String>> records = clients.readAll(partition, 5000);
        for (int i = 0; i < 5000; i++) {
            Scenarios.check(records.get(i).value().startsWith(i + "x"), "record " + i);
        }
        for (long i : List.of(0L, 1L, 1234L, 4999L)) {
            Scenarios.equal(i, offset(partition, OffsetSpec.forTimestamp(10_000 + i)).offset(), "by timestamp");
        }
        try (KafkaConsumer<String, String> consumer = clients.consumer("max.poll.records", "1")) {
            consumer.assign(Set.of(partition));
            for (long i : List.of(4321L, 7L, 2500L)) {
                consumer.seek(partition, i);
                ConsumerRecord<String, String> record = consumer.poll(Duration.ofSeconds(10)).iterator().next();
                Scenarios.equal(i, record.offset(), "offset after seeking");
            }
        }
    }
}
