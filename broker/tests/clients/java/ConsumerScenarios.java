import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;

/** Reading and groups from the inside, with the Java consumer and the classic group protocol, which is its default. */
final class ConsumerScenarios {
    private final Clients clients;

    ConsumerScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios all() {
        Scenarios scenarios = new Scenarios();
        for (Class<?> assignor : List.of(RangeAssignor.class, RoundRobinAssignor.class, StickyAssignor.class,
                CooperativeStickyAssignor.class)) {
            String name = assignor.getSimpleName();
            scenarios.add("members share all partitions: " + name, () -> membersShare(assignor));
        }
        return scenarios
            .add("a cooperative rebalance takes only what moves", this::cooperativeTakesOnlyWhatMoves)
            .add("a static member comes back without a rebalance", this::staticMemberComesBack)
            .add("a second holder of an instance id fences the first", this::secondHolderFences)
            .add("an inconsistent protocol is refused", this::inconsistentProtocolIsRefused)
            .add("a session timeout out of bounds is refused", this::sessionTimeoutIsBounded)
            .add("a silent member is expelled", this::silentMemberIsExpelled)
            .add("a group continues after its committed offset", this::groupContinues)
            .add("committed offsets keep their metadata", this::committedOffsetsKeepMetadata)
            .add("a pattern finds topics that come later", this::patternFindsLaterTopics)
            .add("seek goes anywhere", this::seekGoesAnywhere)
            .add("offsets for times, beginning and end", this::offsetsForTimes)
            .add("read_committed reads all without transactions", this::readCommitted)
            .add("auto.offset.reset decides where nothing is committed", this::resetDecides)
            .add("a fetch below the log start is out of range", this::belowTheStartIsOutOfRange)
            .add("a long poll ends when a record comes", this::longPollEndsWithARecord)
            .add("paused partitions wait", this::pausedPartitionsWait);
    }

    private void membersShare(Class<?> assignor) throws Exception {
        String topic = "shared-" + assignor.getSimpleName();
        clients.create(topic, 6);
        try (Member first = new Member(topic, topic, assignor); Member second = new Member(topic, topic, assignor)) {
            Scenarios.eventually("two members share", () -> sizes(first, second).equals(List.of(3, 3)));
            Set<TopicPartition> all = new HashSet<>(first.assignment());
            all.addAll(second.assignment());
            Scenarios.equal(6, all.size(), "partitions");
            for (int partition = 0; partition < 6; partition++) {
                clients.produce(new TopicPartition(topic, partition), "to " + partition);
            }
            Scenarios.eventually("all is read", () -> {
                first.poll();
                second.poll();
                return first.read.size() == 3 && second.read.size() == 3;
            });
            second.consumer.close();
            Scenarios.eventually("the other takes over", () -> first.poll().size() == 6);
        }
    }

    /** Polls both, and says how many partitions each has. */
    private static List<Integer> sizes(Member first, Member second) {
        return List.of(first.poll().size(), second.poll().size());
    }

    private void cooperativeTakesOnlyWhatMoves() throws Exception {
        clients.create("cooperative", 4);
        Class<?> assignor = CooperativeStickyAssignor.class;
        try (Member first = new Member("cooperative", "cooperative", assignor)) {
            Scenarios.eventually("one has all", () -> first.poll().size() == 4);
            try (Member second = new Member("cooperative", "cooperative", assignor)) {
                Scenarios.eventually("two share", () -> sizes(first, second).equals(List.of(2, 2)));
                Scenarios.equal(2, first.revoked.get(), "partitions revoked from the first");
                Scenarios.equal(0, first.lost.get(), "partitions lost by the first");
            }
        }
    }

    private void staticMemberComesBack() throws Exception {
        clients.create("static", 2);
        String[] one = {"group.instance.id", "one", "session.timeout.ms", "30000"};
        String[] two = {"group.instance.id", "two", "session.timeout.ms", "30000"};
        try (Member stays = new Member("static", "static", RangeAssignor.class, one)) {
            Member leaves = new Member("static", "static", RangeAssignor.class, two);
            Scenarios.eventually("two share", () -> sizes(stays, leaves).equals(List.of(1, 1)));
            int generation = stays.consumer.groupMetadata().generationId();
            leaves.consumer.close();
            try (Member back = new Member("static", "static", RangeAssignor.class, two)) {
                Scenarios.eventually("it has its partition", () -> back.poll().size() == 1);
                stays.poll();
                Scenarios.equal(generation, stays.consumer.groupMetadata().generationId(), "generation");
                Scenarios.equal(generation, back.consumer.groupMetadata().generationId(), "generation");
            }
        }
    }

    private void secondHolderFences() throws Exception {
        clients.create("fenced", 1);
        String[] one = {"group.instance.id", "one", "heartbeat.interval.ms", "100"};
        try (Member first = new Member("fenced", "fenced", RangeAssignor.class, one)) {
            Scenarios.eventually("the first has it", () -> first.poll().size() == 1);
            try (Member second = new Member("fenced", "fenced", RangeAssignor.class, one)) {
                Scenarios.eventually("the second has it", () -> second.poll().size() == 1);
                Scenarios.fails(FencedInstanceIdException.class, () -> {
                    Scenarios.eventually("the first is fenced", () -> first.poll() == null);
                    return null;
                });
            }
        }
    }

    private void inconsistentProtocolIsRefused() throws Exception {
        clients.create("inconsistent", 1);
        try (Member first = new Member("inconsistent", "inconsistent", RangeAssignor.class)) {
            Scenarios.eventually("the first has it", () -> first.poll().size() == 1);
            try (Member second = new Member("inconsistent", "inconsistent", RoundRobinAssignor.class)) {
                Scenarios.fails(InconsistentGroupProtocolException.class, () -> {
                    Scenarios.eventually("refused", () -> second.poll() == null);
                    return null;
                });
            }
        }
    }

    private void sessionTimeoutIsBounded() throws Exception {
        clients.create("hasty", 1);
        String[] hasty = {"session.timeout.ms", "100", "heartbeat.interval.ms", "30"};
        try (Member member = new Member("hasty", "hasty", RangeAssignor.class, hasty)) {
            Scenarios.fails(InvalidSessionTimeoutException.class, () -> {
                Scenarios.eventually("refused", () -> member.poll() == null);
                return null;
            });
        }
    }

    private void silentMemberIsExpelled() throws Exception {
        clients.create("silent", 2);
        String[] quick = {"max.poll.interval.ms", "1000", "heartbeat.interval.ms", "100"};
        try (Member silent = new Member("silent", "silent", RangeAssignor.class, quick);
                Member lively = new Member("silent", "silent", RangeAssignor.class)) {
            Scenarios.eventually("two share", () -> sizes(silent, lively).equals(List.of(1, 1)));
            Scenarios.eventually("one has all", () -> lively.poll().size() == 2);
        }
    }

    private void groupContinues() throws Exception {
        TopicPartition partition = new TopicPartition("continued", 0);
        clients.create("continued", 1);
        clients.produce(partition, "0", "1", "2");
        String[] group = {"group.id", "continued", "enable.auto.commit", "false", "max.poll.records", "1"};
        try (KafkaConsumer<String, String> consumer = clients.consumer(group)) {
            consumer.subscribe(List.of("continued"));
            Scenarios.eventually("one is read", () -> !consumer.poll(Clients.POLL).isEmpty());
            consumer.commitSync();
        }
        try (KafkaConsumer<String, String> consumer = clients.consumer(group)) {
            consumer.subscribe(List.of("continued"));
            Scenarios.equal(List.of("1", "2"), Clients.values(Clients.poll(consumer, 2)), "what follows");
        }
    }

    private void committedOffsetsKeepMetadata() throws Exception {
        TopicPartition partition = new TopicPartition("annotated", 0);
        clients.create("annotated", 2);
        try (KafkaConsumer<String, String> consumer = clients.consumer("group.id", "annotated")) {
            OffsetAndMetadata offset = new OffsetAndMetadata(7, java.util.Optional.of(0), "a note");
            consumer.commitSync(Map.of(partition, offset));
            TopicPartition other = new TopicPartition("annotated", 1);
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(Set.of(partition, other));
            Scenarios.equal(offset, committed.get(partition), "committed");
            Scenarios.equal(null, committed.get(other), "never committed");
            OffsetAndMetadata tooMuch = new OffsetAndMetadata(8, "x".repeat(4097));
            Scenarios.fails(org.apache.kafka.common.errors.OffsetMetadataTooLarge.class, () -> {
                consumer.commitSync(Map.of(partition, tooMuch));
                return null;
            });
        }
    }

    private void patternFindsLaterTopics() throws Exception {
        clients.create("pattern-1", 1);
        String[] quick = {"group.id", "pattern", "metadata.max.age.ms", "200"};
        try (KafkaConsumer<String, String> consumer = clients.consumer(quick)) {
            consumer.subscribe(Pattern.compile("pattern-.*"));
            Scenarios.eventually("the first is found", () -> polledAssignment(consumer).size() == 1);
            clients.create("pattern-2", 1);
            Scenarios.eventually("the second is found", () -> polledAssignment(consumer).size() == 2);
        }
    }

    private static Set<TopicPartition> polledAssignment(KafkaConsumer<String, String> consumer) {
        consumer.poll(Clients.POLL);
        return consumer.assignment();
    }

    private void seekGoesAnywhere() throws Exception {
        TopicPartition partition = new TopicPartition("sought", 0);
        clients.create("sought", 1);
        clients.produce(partition, IntStream.range(0, 100).mapToObj(String::valueOf).toArray(String[]::new));
        try (KafkaConsumer<String, String> consumer = clients.consumer("max.poll.records", "1")) {
            consumer.assign(Set.of(partition));
            for (long offset : List.of(99L, 0L, 50L)) {
                consumer.seek(partition, offset);
                Scenarios.equal(String.valueOf(offset), next(consumer).value(), "value");
            }
            consumer.seekToEnd(Set.of(partition));
            Scenarios.equal(100L, consumer.position(partition), "end");
            consumer.seekToBeginning(Set.of(partition));
            Scenarios.equal(0L, next(consumer).offset(), "beginning");
        }
    }

    private static ConsumerRecord<String, String> next(KafkaConsumer<String, String> consumer) {
        return consumer.poll(Duration.ofSeconds(10)).iterator().next();
    }

    private void offsetsForTimes() throws Exception {
        TopicPartition partition = new TopicPartition("timed", 0);
        clients.create("timed", 1);
        try (KafkaProducer<String, String> producer = clients.producer()) {
            for (long timestamp : List.of(100L, 200L, 300L)) {
                producer.send(new ProducerRecord<>("timed", 0, timestamp, null, "x")).get();
            }
        }
        try (KafkaConsumer<String, String> consumer = clients.consumer()) {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, 150L)).get(partition);
            Scenarios.equal(List.of(1L, 200L), List.of(found.offset(), found.timestamp()), "at 150");
            Scenarios.equal(null, consumer.offsetsForTimes(Map.of(partition, 301L)).get(partition), "at 301");
            Scenarios.equal(0L, consumer.beginningOffsets(Set.of(partition)).get(partition), "beginning");
            Scenarios.equal(3L, consumer.endOffsets(Set.of(partition)).get(partition), "end");
        }
    }

    private void readCommitted() throws Exception {
        TopicPartition partition = new TopicPartition("committed", 0);
        clients.create("committed", 1);
        clients.produce(partition, "0", "1");
        try (KafkaConsumer<String, String> consumer = clients.consumer("isolation.level", "read_committed")) {
            consumer.assign(Set.of(partition));
            Scenarios.equal(List.of("0", "1"), Clients.values(Clients.poll(consumer, 2)), "values");
            Scenarios.equal(2L, consumer.endOffsets(Set.of(partition)).get(partition), "last stable offset");
        }
    }

    private void resetDecides() throws Exception {
        TopicPartition partition = new TopicPartition("reset", 0);
        clients.create("reset", 1);
        clients.produce(partition, "old");
        try (KafkaConsumer<String, String> none = clients.consumer("auto.offset.reset", "none", "group.id", "none");
                KafkaConsumer<String, String> latest = clients.consumer("auto.offset.reset", "latest")) {
            none.assign(Set.of(partition));
            Scenarios.fails(NoOffsetForPartitionException.class, () -> none.poll(Duration.ofSeconds(10)));
            latest.assign(Set.of(partition));
            Scenarios.equal(1L, latest.position(partition), "latest");
        }
    }

    private void belowTheStartIsOutOfRange() throws Exception {
        TopicPartition partition = new TopicPartition("range", 0);
        clients.create("range", 1);
        clients.produce(partition, "0");
        try (KafkaConsumer<String, String> consumer = clients.consumer("auto.offset.reset", "none")) {
            consumer.assign(Set.of(partition));
            consumer.seek(partition, 5);
            Scenarios.fails(OffsetOutOfRangeException.class, () -> consumer.poll(Duration.ofSeconds(10)));
        }
    }

    private void longPollEndsWithARecord() throws Exception {
        TopicPartition partition = new TopicPartition("awaited", 0);
        clients.create("awaited", 1);
        try (KafkaConsumer<String, String> consumer = clients.consumer("fetch.max.wait.ms", "6000")) {
            consumer.assign(Set.of(partition));
            consumer.poll(Clients.POLL);
            long start = System.currentTimeMillis();
            clients.produce(partition, "here");
            Scenarios.equal("here", next(consumer).value(), "value");
            long took = System.currentTimeMillis() - start;
            Scenarios.check(took < 3_000, "the poll took " + took + " ms");
        }
    }

    private void pausedPartitionsWait() throws Exception {
        TopicPartition paused = new TopicPartition("paused", 0);
        TopicPartition open = new TopicPartition("paused", 1);
        clients.create("paused", 2);
        clients.produce(paused, "later");
        clients.produce(open, "now");
        try (KafkaConsumer<String, String> consumer = clients.consumer()) {
            consumer.assign(Set.of(paused, open));
            consumer.pause(Set.of(paused));
            Scenarios.equal(List.of("now"), Clients.values(Clients.poll(consumer, 1)), "while paused");
            consumer.resume(Set.of(paused));
            Scenarios.equal(List.of("later"), Clients.values(Clients.poll(consumer, 1)), "after resuming");
        }
    }

    /** A group member that counts what it read and what was taken from it. */
    private final class Member implements AutoCloseable, ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        final List<String> read = new ArrayList<>();
        final AtomicInteger revoked = new AtomicInteger();
        final AtomicInteger lost = new AtomicInteger();

        Member(String group, String topic, Class<?> assignor, String... properties) {
            List<String> all = new ArrayList<>(List.of("group.id", group, "partition.assignment.strategy",
                assignor.getName(), "heartbeat.interval.ms", "200"));
            all.addAll(List.of(properties));
            consumer = clients.consumer(all.toArray(String[]::new));
            consumer.subscribe(List.of(topic), this);
        }

        /** Polls once and returns the assignment. */
        Set<TopicPartition> poll() {
            consumer.poll(Clients.POLL).forEach(record -> read.add(record.value()));
            return consumer.assignment();
        }

        Set<TopicPartition> assignment() {
            return consumer.assignment();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) { }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            revoked.addAndGet(partitions.size());
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            lost.addAndGet(partitions.size());
        }

        @Override
        public void close() {
            consumer.close();
        }
    }
}
