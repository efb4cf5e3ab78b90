import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What one broker wrote into the metadata log, and another finds there. */
final class MetadataScenarios {
    private static final String FIRST = "metadata-first";
    private static final String AGAIN = "metadata.again";
    private static final ConfigResource ALL_BROKERS = new ConfigResource(ConfigResource.Type.BROKER, "");

    private final Clients clients;

    MetadataScenarios(Clients clients) {
        this.clients = clients;
    }

    /** A topic with configurations, one that was deleted and made again, altered and enlarged, a setting of all brokers. */
    Scenarios write() {
        return new Scenarios().add("writing metadata", () -> {
            clients.create(FIRST, 3, Map.of("retention.ms", "123456789"));
            for (int round = 0; round < 3; round++) {
                clients.create(AGAIN, 2);
                clients.admin.deleteTopics(Set.of(AGAIN)).all().get();
            }
            clients.create(AGAIN, 1);
            clients.admin.createPartitions(Map.of(AGAIN, NewPartitions.increaseTo(4))).all().get();
            alter(topic(AGAIN), "cleanup.policy", "compact");
            alter(ALL_BROKERS, "log.retention.ms", "98765");
            clients.produce(new TopicPartition(FIRST, 0), "0", "1");
        });
    }

    Scenarios find() {
        return new Scenarios()
            .add("the topics are those that were left", () -> {
                var topics = clients.admin.describeTopics(List.of(FIRST, AGAIN)).allTopicNames().get();
                var sizes = topics.values().stream().collect(Collectors.toMap(t -> t.name(), t -> t.partitions().size()));
                Scenarios.equal(Map.of(FIRST, 3, AGAIN, 4), sizes, "partitions");
                boolean led = topics.values().stream().flatMap(t -> t.partitions().stream()).allMatch(p -> p.leader() != null);
                Scenarios.equal(true, led, "every partition is led");
            })
            .add("the configurations are those that were left", () -> {
                Scenarios.equal("123456789", config(topic(FIRST)).get("retention.ms").value(), "retention.ms");
                Scenarios.equal("98765", config(topic(AGAIN)).get("retention.ms").value(), "retention.ms of all brokers");
                Scenarios.equal("compact", config(topic(AGAIN)).get("cleanup.policy").value(), "cleanup.policy");
                Scenarios.equal("98765", config(ALL_BROKERS).get("log.retention.ms").value(), "log.retention.ms");
            })
            .add("the records are still there, and more can be written", () -> {
                TopicPartition partition = new TopicPartition(FIRST, 0);
                clients.produce(partition, "2");
                Scenarios.equal(List.of("0", "1", "2"), Clients.values(clients.readAll(partition, 3)), "values");
            })
            .add("the metadata can be changed again", () -> {
                clients.create("metadata-later", 1);
                clients.admin.deleteTopics(Set.of("metadata-later")).all().get();
            });
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private void alter(ConfigResource resource, String name, String value) throws Exception {
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
        clients.admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
    }

    private Config config(ConfigResource resource) throws Exception {
        return clients.admin.describeConfigs(Set.of(resource)).all().get().get(resource);
    }
}
