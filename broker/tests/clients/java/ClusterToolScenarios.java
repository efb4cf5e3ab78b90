import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Kafka's command-line tools for clusters, against one of three brokers, by their arguments and their output. */
final class ClusterToolScenarios {
    private static final String REASSIGN = "reassign.ReassignPartitionsCommand";

    private final Clients clients;

    ClusterToolScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios all() {
        return new Scenarios()
            .add("kafka-topics.sh places replicas on different brokers", this::topicsAreSpread)
            .add("kafka-topics.sh takes a replica assignment, and refuses more replicas than brokers", this::assignments)
            .add("kafka-topics.sh lists partitions below their minimum", this::troubledPartitions)
            .add("kafka-reassign-partitions.sh generates a plan", this::plan)
            .add("kafka-reassign-partitions.sh moves partitions", () -> move("moved"))
            .add("kafka-reassign-partitions.sh moves with a throttle, and removes it", () -> moveThrottled("throttled"))
            .add("kafka-reassign-partitions.sh cancels", this::cancel)
            .add("kafka-leader-election.sh elects the preferred leader", this::preferredElection)
            .add("kafka-leader-election.sh has nothing to elect where there is a leader", this::uncleanElection)
            .add("kafka-metadata-quorum.sh describes the status", this::quorumStatus)
            .add("kafka-metadata-quorum.sh describes the replication", this::quorumReplication)
            .add("kafka-configs.sh sets configs of one broker and of all", this::brokerConfigs)
            .add("kafka-log-dirs.sh describes every broker", this::logDirs)
            .add("kafka-features.sh describes the features", this::features)
            .add("kafka-broker-api-versions.sh reads every broker", this::apiVersions)
            .add("kafka-replica-verification.sh finds replicas equal", this::verification);
    }

    private Tool.Result run(String tool, String... arguments) throws Exception {
        return Tool.run(tool, Stream.concat(Stream.of("--bootstrap-server", clients.bootstrap), Stream.of(arguments))
            .toArray(String[]::new));
    }

    private void create(String topic, String... arguments) throws Exception {
        run("TopicCommand", Stream.concat(Stream.of("--create", "--topic", topic), Stream.of(arguments))
            .toArray(String[]::new)).succeeded();
        Scenarios.eventually("every replica of " + topic + " is in sync", () -> {
            try {
                return partitions(topic).stream().allMatch(one -> one.isr().size() == one.replicas().size());
            } catch (ExecutionException unknown) {
                return Scenarios.rethrowUnless(UnknownTopicOrPartitionException.class, unknown);
            }
        });
    }

    private List<TopicPartitionInfo> partitions(String topic) throws Exception {
        return clients.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
    }

    private List<Integer> replicas(String topic, int partition) throws Exception {
        return partitions(topic).get(partition).replicas().stream().map(Node::id).toList();
    }

    private void topicsAreSpread() throws Exception {
        create("spread", "--partitions", "6", "--replication-factor", "3");
        String described = run("TopicCommand", "--describe", "--topic", "spread").succeeded();
        matches(described, "PartitionCount: 6\\s+ReplicationFactor: 3");
        List<Integer> leaders = new ArrayList<>();
        for (TopicPartitionInfo partition : partitions("spread")) {
            Scenarios.equal(3L, partition.replicas().stream().distinct().count(), "brokers of " + partition);
            leaders.add(partition.replicas().get(0).id());
        }
        for (int id = 1; id <= 3; id++) {
            Scenarios.equal(2, Collections.frequency(leaders, id), "partitions that broker " + id + " is to lead");
        }
    }

    private void assignments() throws Exception {
        create("assigned", "--replica-assignment", "2:3,3:1");
        Scenarios.equal(List.of(2, 3), replicas("assigned", 0), "replicas");
        Scenarios.equal(List.of(3, 1), replicas("assigned", 1), "replicas");
        String refused = run("TopicCommand", "--create", "--topic", "much", "--replication-factor", "4").failed();
        contains(refused, "InvalidReplicationFactorException");
    }

    private void troubledPartitions() throws Exception {
        create("fine", "--partitions", "3", "--replication-factor", "3");
        String[] troubles = {"--under-replicated-partitions", "--under-min-isr-partitions", "--at-min-isr-partitions",
            "--unavailable-partitions"};
        for (String trouble : troubles) {
            String listed = run("TopicCommand", "--describe", "--topic", "fine", trouble).succeeded();
            Scenarios.check(!listed.contains("Partition:"), listed);
        }
    }

    private void plan() throws Exception {
        create("planned", "--partitions", "3", "--replication-factor", "2");
        Path topics = file("{\"version\": 1, \"topics\": [{\"topic\": \"planned\"}]}");
        String plan = run(REASSIGN, "--generate", "--topics-to-move-json-file", topics.toString(), "--broker-list",
            "1,2").succeeded();
        contains(plan, "Current partition replica assignment");
        contains(plan, "Proposed partition reassignment configuration");
    }

    /** A topic with records whose one partition is on brokers 1 and 2, and a file that moves it to 3 and 1. */
    private Path toBeMoved(String topic) throws Exception {
        create(topic, "--replica-assignment", "1:2");
        clients.produce(new TopicPartition(topic, 0), "a", "b", "c");
        return file("{\"version\": 1, \"partitions\": [{\"topic\": \"" + topic
            + "\", \"partition\": 0, \"replicas\": [3, 1]}]}");
    }

    private void move(String topic) throws Exception {
        Path plan = toBeMoved(topic);
        String started = run(REASSIGN, "--execute", "--reassignment-json-file", plan.toString()).succeeded();
        contains(started, "Successfully started partition reassignment for " + topic + "-0");
        Scenarios.eventually(topic + " is moved", () -> run(REASSIGN, "--verify", "--reassignment-json-file",
            plan.toString()).succeeded().contains("Reassignment of partition " + topic + "-0 is completed"));
        Scenarios.equal(List.of(3, 1), replicas(topic, 0), "replicas");
        contains(run(REASSIGN, "--list").succeeded(), "No partition reassignments found.");
        Scenarios.equal(List.of("a", "b", "c"),
            Clients.values(clients.readAll(new TopicPartition(topic, 0), 3)), "records");
    }

    private void moveThrottled(String topic) throws Exception {
        Path plan = toBeMoved(topic);
        String started = run(REASSIGN, "--execute", "--reassignment-json-file", plan.toString(), "--throttle",
            "1000000").succeeded();
        contains(started, "The inter-broker throttle limit was set to 1000000 B/s");
        String described = run("kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", topic,
            "--describe").succeeded();
        contains(described, "leader.replication.throttled.replicas=0:1,0:2");
        contains(described, "follower.replication.throttled.replicas=0:3");
        Scenarios.eventually(topic + " is moved", () -> run(REASSIGN, "--verify", "--reassignment-json-file",
            plan.toString()).succeeded().contains("Clearing topic-level throttles on topic " + topic));
        Scenarios.equal(List.of(3, 1), replicas(topic, 0), "replicas");
        Scenarios.eventually("the throttles are gone", () -> !run("kafka.admin.ConfigCommand", "--entity-type",
            "topics", "--entity-name", topic, "--describe").succeeded().contains("throttled.replicas"));
    }

    /** A throttle of one byte a second holds the move up until it is cancelled. */
    private void cancel() throws Exception {
        String topic = "cancelled";
        create(topic, "--replica-assignment", "1:2");
        clients.produce(new TopicPartition(topic, 0), Stream.generate(() -> "x".repeat(100_000)).limit(30)
            .toArray(String[]::new));
        Path plan = file("{\"version\": 1, \"partitions\": [{\"topic\": \"" + topic
            + "\", \"partition\": 0, \"replicas\": [3, 1]}]}");
        run(REASSIGN, "--execute", "--reassignment-json-file", plan.toString(), "--throttle", "1").succeeded();
        contains(run(REASSIGN, "--list").succeeded(), topic + "-0: replicas: 3,1,2. adding: 3. removing: 2.");
        String cancelled = run(REASSIGN, "--cancel", "--reassignment-json-file", plan.toString()).succeeded();
        contains(cancelled, "Successfully cancelled partition reassignment for: " + topic + "-0");
        Scenarios.eventually("the replicas are those from before", () -> replicas(topic, 0).equals(List.of(1, 2)));
        contains(run(REASSIGN, "--list").succeeded(), "No partition reassignments found.");
    }

    /** The order of the replicas is changed, so that another one is preferred. */
    private void preferredElection() throws Exception {
        create("elected", "--replica-assignment", "1:2:3");
        TopicPartition partition = new TopicPartition("elected", 0);
        var other = Optional.of(new NewPartitionReassignment(List.of(2, 3, 1)));
        clients.admin.alterPartitionReassignments(Map.of(partition, other)).all().get();
        Scenarios.eventually("the order is changed", () -> replicas("elected", 0).equals(List.of(2, 3, 1)));
        Scenarios.equal(1, partitions("elected").get(0).leader().id(), "leader before the election");
        String[] election = {"--election-type", "preferred", "--topic", "elected", "--partition", "0"};
        contains(run("LeaderElectionCommand", election).succeeded(),
            "Successfully completed leader election (PREFERRED) for partitions elected-0");
        Scenarios.eventually("broker 2 leads", () -> partitions("elected").get(0).leader().id() == 2);
        contains(run("LeaderElectionCommand", election).succeeded(),
            "Valid replica already elected for partitions elected-0");
    }

    private void uncleanElection() throws Exception {
        create("led", "--replica-assignment", "3:1");
        contains(run("LeaderElectionCommand", "--election-type", "unclean", "--topic", "led", "--partition", "0")
            .succeeded(), "Valid replica already elected for partitions led-0");
    }

    private void quorumStatus() throws Exception {
        String status = run("MetadataQuorumCommand", "describe", "--status").succeeded();
        for (String line : List.of("ClusterId: +\\S{22}", "LeaderId: +[123]", "LeaderEpoch: +\\d+",
            "HighWatermark: +\\d+", "MaxFollowerLag: +\\d+", "MaxFollowerLagTimeMs: +-?\\d+",
            "CurrentVoters: +\\[.*\"id\": 1.*\"id\": 2.*\"id\": 3.*", "CurrentObservers: +\\[\\]")) {
            matches(status, "(?m)^" + line);
        }
    }

    private void quorumReplication() throws Exception {
        String described = run("MetadataQuorumCommand", "describe", "--replication").succeeded();
        List<String> rows = described.lines().skip(1).filter(row -> !row.isBlank()).toList();
        Scenarios.equal(3, rows.size(), "rows of\n" + described);
        Scenarios.equal(1L, rows.stream().filter(row -> row.trim().endsWith("Leader")).count(), "leaders");
        Scenarios.equal(2L, rows.stream().filter(row -> row.trim().endsWith("Follower")).count(), "followers");
    }

    private void brokerConfigs() throws Exception {
        String tool = "kafka.admin.ConfigCommand";
        String[] one = {"--entity-type", "brokers", "--entity-name", "2"};
        String[] all = {"--entity-type", "brokers", "--entity-default"};
        contains(configure(tool, one, "--alter", "--add-config", "log.retention.ms=7200000"), "Completed updating");
        contains(configure(tool, all, "--alter", "--add-config", "log.retention.ms=3600000"), "Completed updating");
        Scenarios.eventually("both are described", () -> configure(tool, one, "--describe").contains(
            "synonyms={DYNAMIC_BROKER_CONFIG:log.retention.ms=7200000, "
                + "DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=3600000"));
        contains(configure(tool, all, "--describe"), "log.retention.ms=3600000");
        configure(tool, one, "--alter", "--delete-config", "log.retention.ms");
        configure(tool, all, "--alter", "--delete-config", "log.retention.ms");
        Scenarios.eventually("both are gone", () -> !configure(tool, one, "--describe").contains("log.retention.ms"));
    }

    private String configure(String tool, String[] entity, String... arguments) throws Exception {
        return run(tool, Stream.concat(Arrays.stream(entity), Arrays.stream(arguments)).toArray(String[]::new))
            .succeeded();
    }

    private void logDirs() throws Exception {
        create("placed", "--partitions", "3", "--replication-factor", "2");
        String described = run("LogDirsCommand", "--describe", "--topic-list", "placed").succeeded();
        for (int id = 1; id <= 3; id++) {
            contains(described, "\"broker\":" + id);
        }
        Scenarios.equal(6, described.split("\"partition\":\"placed-", -1).length - 1, "replicas in " + described);
        Scenarios.equal(6, described.split("\"offsetLag\":0", -1).length - 1, "replicas without a lag in " + described);
    }

    private void features() throws Exception {
        matches(run("FeatureCommand", "describe").succeeded(),
            "Feature: metadata.version\\s+SupportedMinVersion: \\S+\\s+SupportedMaxVersion: \\S+\\s+FinalizedVersionLevel: ");
    }

    private void apiVersions() throws Exception {
        String versions = run("BrokerApiVersionsCommand").succeeded();
        for (int id = 1; id <= 3; id++) {
            contains(versions, "(id: " + id + " rack: null isFenced: false) -> (");
        }
    }

    /** It reports until it is killed; one report that saw every partition is enough. */
    private void verification() throws Exception {
        create("verified", "--partitions", "3", "--replication-factor", "3");
        for (int partition = 0; partition < 3; partition++) {
            clients.produce(new TopicPartition("verified", partition), "a", "b", "c");
        }
        Process tool = new ProcessBuilder("java", "-Xmx128m", "-XX:TieredStopAtLevel=1",
            "-cp", System.getProperty("java.class.path"), "org.apache.kafka.tools.ReplicaVerificationTool",
            "--broker-list", clients.bootstrap, "--topics-include", "verified", "--report-interval-ms", "200")
            .redirectErrorStream(true).start();
        StringBuilder output = new StringBuilder();
        try (var lines = tool.inputReader()) {
            String line = lines.readLine();
            while (line != null && !line.contains("max lag is 0 for partition verified-")) {
                output.append(line).append('\n');
                line = lines.readLine();
            }
            Scenarios.check(line != null, "no report in\n" + output);
            matches(line, "at offset 3 among 3 partitions");
        } finally {
            tool.destroyForcibly();
        }
    }

    private static Path file(String json) throws Exception {
        Path file = Files.createTempFile("cluster-tools", ".json");
        file.toFile().deleteOnExit();
        return Files.writeString(file, json);
    }

    private static void contains(String output, String expected) {
        Scenarios.check(output.contains(expected), "no \"" + expected + "\" in\n" + output);
    }

    private static void matches(String output, String expected) {
        Scenarios.check(Pattern.compile(expected).matcher(output).find(), "no /" + expected + "/ in\n" + output);
    }
}
