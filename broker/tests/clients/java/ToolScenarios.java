import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.apache.kafka.common.TopicPartition;

/** Kafka's command-line tools, by their arguments and their output. */
final class ToolScenarios {
    private static final String GROUPS = "consumer.group.ConsumerGroupCommand";

    private final Clients clients;

    ToolScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios all() {
        return new Scenarios()
            .add("kafka-topics.sh creates, lists, describes, alters and deletes", this::topics)
            .add("kafka-configs.sh sets, describes and deletes topic configs", this::configs)
            .add("kafka-configs.sh describes a broker", this::brokerConfigs)
            .add("kafka-get-offsets.sh prints each partition's offsets", this::getOffsets)
            .add("kafka-console-producer.sh and kafka-console-consumer.sh pass records", this::console)
            .add("kafka-consumer-groups.sh lists and describes", this::groupsAreDescribed)
            .add("kafka-consumer-groups.sh resets offsets", this::offsetsAreReset)
            .add("kafka-consumer-groups.sh deletes offsets and groups", this::groupsAreDeleted)
            .add("kafka-groups.sh lists groups of every kind", this::groupsOfEveryKind)
            .add("kafka-delete-records.sh moves the start of the log", this::deleteRecords)
            .add("kafka-log-dirs.sh describes replicas", this::logDirs)
            .add("kafka-broker-api-versions.sh reads every range", this::apiVersions)
            .add("kafka-verifiable-consumer.sh reads and commits", this::verifiableConsumer)
            .add("kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh run", this::performance);
    }

    private Tool.Result run(String tool, String... arguments) throws Exception {
        return Tool.run(tool, withBootstrap(arguments));
    }

    private String[] withBootstrap(String... arguments) {
        return java.util.stream.Stream.concat(java.util.stream.Stream.of("--bootstrap-server", clients.bootstrap),
            java.util.stream.Stream.of(arguments)).toArray(String[]::new);
    }

    private void topics() throws Exception {
        contains(run("TopicCommand", "--create", "--topic", "tool", "--partitions", "2", "--replication-factor", "1",
            "--config", "retention.ms=777").succeeded(), "Created topic tool.");
        contains(run("TopicCommand", "--create", "--topic", "tool").failed(), "Topic 'tool' already exists.");
        contains(run("TopicCommand", "--create", "--if-not-exists", "--topic", "tool").succeeded(), "");
        contains(run("TopicCommand", "--list").succeeded(), "tool\n");
        String described = run("TopicCommand", "--describe", "--topic", "tool").succeeded();
        contains(described, "PartitionCount: 2\tReplicationFactor: 1\tConfigs: ");
        contains(described, "retention.ms=777");
        contains(described, "Topic: tool\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1");
        run("TopicCommand", "--alter", "--topic", "tool", "--partitions", "3").succeeded();
        contains(run("TopicCommand", "--describe", "--topic", "tool").succeeded(), "PartitionCount: 3");
        contains(run("TopicCommand", "--alter", "--topic", "tool", "--partitions", "1").failed(), "3 partition");
        String unavailable = run("TopicCommand", "--describe", "--unavailable-partitions").succeeded();
        Scenarios.check(!unavailable.contains("Topic:"), unavailable);
        run("TopicCommand", "--delete", "--topic", "tool").succeeded();
        contains(run("TopicCommand", "--describe", "--topic", "tool").failed(), "does not exist as expected");
    }

    private void configs() throws Exception {
        clients.create("configured", 1);
        String[] set = {"--entity-type", "topics", "--entity-name", "configured", "--alter", "--add-config",
            "retention.ms=4321,cleanup.policy=[compact,delete]"};
        contains(run("kafka.admin.ConfigCommand", set).succeeded(), "Completed updating config for topic configured.");
        String[] describe = {"--entity-type", "topics", "--entity-name", "configured", "--describe"};
        String described = run("kafka.admin.ConfigCommand", describe).succeeded();
        contains(described, "retention.ms=4321 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=4321");
        contains(described, "cleanup.policy=compact,delete");
        String[] unset = {"--entity-type", "topics", "--entity-name", "configured", "--alter", "--delete-config",
            "retention.ms"};
        run("kafka.admin.ConfigCommand", unset).succeeded();
        String after = run("kafka.admin.ConfigCommand", describe).succeeded();
        Scenarios.check(!after.contains("retention.ms=4321"), after);
        String[] wrong = {"--entity-type", "topics", "--entity-name", "configured", "--alter", "--add-config",
            "retention.ms=soon"};
        contains(run("kafka.admin.ConfigCommand", wrong).failed(), "Invalid value soon for configuration retention.ms");
    }

    private void brokerConfigs() throws Exception {
        String all = run("kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-name", "1", "--describe",
            "--all").succeeded();
        contains(all, "node.id=1 sensitive=false synonyms={STATIC_BROKER_CONFIG:node.id=1");
        contains(all, "log.segment.bytes=1073741824 sensitive=false synonyms={DEFAULT_CONFIG:log.segment.bytes=");
    }

    private void getOffsets() throws Exception {
        clients.create("counted", 2);
        clients.produce(new TopicPartition("counted", 1), "a", "b");
        Scenarios.equal("counted:0:0\ncounted:1:2\n", run("GetOffsetShell", "--topic", "counted").succeeded(), "latest");
        Scenarios.equal("counted:0:0\ncounted:1:0\n",
            run("GetOffsetShell", "--topic", "counted", "--time", "earliest").succeeded(), "earliest");
        contains(run("GetOffsetShell", "--topic-partitions", "counted:1", "--time", "max-timestamp").succeeded(),
            "counted:1:");
    }

    private void console() throws Exception {
        clients.create("console", 1);
        Tool.runWithInput("k1\tone\nk2\ttwo\n", "ConsoleProducer", withBootstrap("--topic", "console",
            "--property", "parse.key=true", "--compression-codec", "zstd")).succeeded();
        String read = run("consumer.ConsoleConsumer", "--topic", "console", "--from-beginning", "--max-messages", "2",
            "--property", "print.key=true", "--property", "print.offset=true", "--group", "console").succeeded();
        contains(read, "Offset:0\tk1\tone\nOffset:1\tk2\ttwo\n");
        contains(read, "Processed a total of 2 messages");
    }

    private void groupsAreDescribed() throws Exception {
        clients.create("grouped", 2);
        new GroupScenarios(clients).commitOne("tool-group", "grouped");
        clients.produce(new TopicPartition("grouped", 0), "unread");
        contains(run(GROUPS, "--list").succeeded(), "tool-group");
        Scenarios.check(Pattern.compile("tool-group\\s+Classic\\s+Empty").matcher(
            run(GROUPS, "--list", "--state", "--type").succeeded()).find(), "type and state are not listed");
        String described = run(GROUPS, "--describe", "--group", "tool-group").succeeded();
        matches(described, "tool-group\\s+grouped\\s+0\\s+1\\s+2\\s+1\\s");
        String state = run(GROUPS, "--describe", "--group", "tool-group", "--state").succeeded();
        matches(state, "tool-group\\s+127.0.0.1:\\d+ \\s*\\(1\\).*Empty\\s+0");
        run(GROUPS, "--describe", "--group", "tool-group", "--members").succeeded();
        contains(run(GROUPS, "--describe", "--group", "nobody").output(), "Group nobody not found.");
    }

    private void offsetsAreReset() throws Exception {
        clients.create("rewound", 1);
        clients.produce(new TopicPartition("rewound", 0), "0", "1", "2", "3");
        new GroupScenarios(clients).commitOne("rewinder", "rewound");
        String[][] resets = {{"--to-latest", "5"}, {"--to-earliest", "0"}, {"--shift-by=3", "3"}, {"--to-offset=2", "2"},
            {"--to-datetime=2001-01-01T00:00:00.000", "0"}, {"--by-duration=PT1H", "0"}};
        for (String[] reset : resets) {
            String output = run(GROUPS, "--reset-offsets", "--group", "rewinder", "--topic", "rewound", "--execute",
                reset[0].split("=")[0], reset[0].contains("=") ? reset[0].split("=")[1] : "--timeout=30000").succeeded();
            matches(output, "rewinder\\s+rewound\\s+0\\s+" + reset[1] + "\\s");
        }
        String[] dryRun = {"--reset-offsets", "--group", "rewinder", "--topic", "rewound:0", "--to-latest", "--dry-run"};
        matches(run(GROUPS, dryRun).succeeded(), "rewinder\\s+rewound\\s+0\\s+5\\s");
        matches(run(GROUPS, "--describe", "--group", "rewinder").succeeded(), "rewound\\s+0\\s+0\\s+5\\s+5\\s");
    }

    private void groupsAreDeleted() throws Exception {
        clients.create("dropped", 1);
        new GroupScenarios(clients).commitOne("dropper", "dropped");
        String[] offsets = {"--delete-offsets", "--group", "dropper", "--topic", "dropped"};
        matches(run(GROUPS, offsets).succeeded(), "dropped\\s+0\\s+Successful");
        new GroupScenarios(clients).commitOne("dropper", "dropped");
        contains(run(GROUPS, "--delete", "--group", "dropper").succeeded(), "('dropper') was successful");
        contains(run(GROUPS, "--delete", "--group", "dropper").output(), "GroupIdNotFoundException");
    }

    private void groupsOfEveryKind() throws Exception {
        clients.create("kinds", 1);
        new GroupScenarios(clients).commitOne("kind-group", "kinds");
        matches(run("GroupsCommand", "--list").succeeded(), "kind-group\\s+Classic\\s+consumer");
    }

    private void deleteRecords() throws Exception {
        clients.create("cut", 1);
        clients.produce(new TopicPartition("cut", 0), "0", "1", "2");
        Path file = Files.createTempFile("delete-records", ".json");
        try {
            Files.writeString(file,
                "{\"version\": 1, \"partitions\": [{\"topic\": \"cut\", \"partition\": 0, \"offset\": 2}]}");
            contains(run("DeleteRecordsCommand", "--offset-json-file", file.toString()).succeeded(),
                "partition: cut-0\tlow_watermark: 2");
        } finally {
            Files.delete(file);
        }
        contains(run("GetOffsetShell", "--topic", "cut", "--time", "earliest").succeeded(), "cut:0:2");
    }

    private void logDirs() throws Exception {
        clients.create("placed", 1);
        String described = run("LogDirsCommand", "--describe", "--topic-list", "placed").succeeded();
        contains(described, "\"partition\":\"placed-0\"");
        contains(described, "\"error\":null");
    }

    private void apiVersions() throws Exception {
        String versions = run("BrokerApiVersionsCommand").succeeded();
        contains(versions, "(id: 1 rack: null isFenced: false) -> (");
        for (String api : List.of("Produce(0): ", "Fetch(1): ", "Metadata(3): ", "JoinGroup(11): ")) {
            matches(versions, Pattern.quote(api) + "\\d+ to \\d+ \\[usable: \\d+\\]");
        }
    }

    private void verifiableConsumer() throws Exception {
        clients.create("verifiable", 1);
        clients.produce(new TopicPartition("verifiable", 0), "0", "1", "2");
        String output = run("VerifiableConsumer", "--topic", "verifiable", "--group-id", "verifiable",
            "--max-messages", "3", "--reset-policy", "earliest").output();
        contains(output, "\"name\":\"partitions_assigned\"");
        contains(output, "\"name\":\"records_consumed\",\"count\":3");
        contains(output, "\"offset\":3}],\"success\":true");
    }

    private void performance() throws Exception {
        clients.create("fast", 1);
        String produced = Tool.run("ProducerPerformance", "--topic", "fast", "--num-records", "20000", "--record-size",
            "100", "--throughput", "-1", "--producer-props", "bootstrap.servers=" + clients.bootstrap).succeeded();
        contains(produced, "20000 records sent");
        String consumed = run("ConsumerPerformance", "--topic", "fast", "--messages", "20000").succeeded();
        matches(consumed, ", 20000, ");
    }

    private static void contains(String output, String expected) {
        Scenarios.check(output.contains(expected), "no \"" + expected + "\" in\n" + output);
    }

    private static void matches(String output, String expected) {
        Scenarios.check(Pattern.compile(expected).matcher(output).find(), "no /" + expected + "/ in\n" + output);
    }
}
