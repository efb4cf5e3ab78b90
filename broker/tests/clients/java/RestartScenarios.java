import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What is written before the broker is killed, and found again after it was restarted. */
final class RestartScenarios {
    private static final String TOPIC = "java-kept";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 1);
    private static final OffsetAndMetadata OFFSET = new OffsetAndMetadata(2, java.util.Optional.of(0), "kept");

    private final Clients clients;

    RestartScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios write() {
        return new Scenarios().add("writing before the kill", () -> {
            clients.create(TOPIC, 3, Map.of("retention.ms", "123456789"));
            clients.produce(PARTITION, "0", "1", "2");
            clients.admin.alterConsumerGroupOffsets("java-kept", Map.of(PARTITION, OFFSET)).all().get();
        });
    }

    Scenarios find() {
        return new Scenarios()
            .add("the topic is found again", () -> {
                TopicDescription topic = clients.admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC);
                Scenarios.equal(3, topic.partitions().size(), "partitions");
            })
            .add("its config is found again", () -> {
                ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
                var config = clients.admin.describeConfigs(Set.of(resource)).all().get().get(resource);
                Scenarios.equal("123456789", config.get("retention.ms").value(), "retention.ms");
            })
            .add("its records are found again", () ->
                Scenarios.equal(List.of("0", "1", "2"), Clients.values(clients.readAll(PARTITION, 3)), "values"))
            .add("the committed offset is found again", () -> {
                var committed = clients.admin.listConsumerGroupOffsets("java-kept").partitionsToOffsetAndMetadata();
                Scenarios.equal(Map.of(PARTITION, OFFSET), committed.get(), "offsets");
            })
            .add("the group continues after it", () -> {
                try (KafkaConsumer<String, String> consumer = clients.consumer("group.id", "java-kept")) {
                    consumer.subscribe(List.of(TOPIC));
                    Scenarios.equal(List.of("2"), Clients.values(Clients.poll(consumer, 1)), "values");
                }
            });
    }
}
