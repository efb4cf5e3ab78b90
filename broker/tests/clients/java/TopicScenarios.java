import static java.util.stream.Collectors.toSet;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics, partitions, configs, the cluster and its log directories, with the Java AdminClient. */
final class TopicScenarios {
    private final Clients clients;

    TopicScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios all() {
        return new Scenarios()
            .add("a created topic is listed and described", this::createdTopicIsDescribed)
            .add("creation answers with the topic's id, partitions and configs", this::creationAnswersInFull)
            .add("validate-only creates nothing", this::validateOnlyCreatesNothing)
            .add("defaults apply where the request names none", this::defaultsApply)
            .add("wrong creations are refused with Kafka's errors", this::wrongCreationsAreRefused)
            .add("partitions are added, never removed", this::partitionsAreAdded)
            .add("a deleted topic is gone, and its successor has another id", this::deletedTopicIsGone)
            .add("topics are described and deleted by id", this::topicsGoById)
            .add("a description of many topics comes in pages", this::descriptionsComeInPages)
            .add("internal topics are listed on request", this::internalTopicsAreListedOnRequest)
            .add("authorized operations come on request", this::authorizedOperationsComeOnRequest)
            .add("topic configs are set, appended to, subtracted from and deleted", this::configsAreAltered)
            .add("config values know their source and synonyms", this::configsKnowTheirSource)
            .add("wrong configs are refused", this::wrongConfigsAreRefused)
            .add("broker configs are described", this::brokerConfigsAreDescribed)
            .add("config resources are listed", this::configResourcesAreListed)
            .add("the cluster is described", this::clusterIsDescribed)
            .add("log directories are described with sizes", this::logDirectoriesAreDescribed);
    }

    private void createdTopicIsDescribed() throws Exception {
        clients.create("described", 3);
        Scenarios.eventually("it is listed", () -> clients.admin.listTopics().names().get().contains("described"));
        TopicDescription topic = describe("described");
        Scenarios.equal(3, topic.partitions().size(), "partitions");
        Scenarios.check(!topic.isInternal(), "internal");
        for (TopicPartitionInfo partition : topic.partitions()) {
            Scenarios.equal(1, partition.leader().id(), "leader");
            Scenarios.equal(1, partition.replicas().size(), "replicas");
            Scenarios.equal(1, partition.isr().size(), "in-sync replicas");
        }
    }

    private void creationAnswersInFull() throws Exception {
        NewTopic manual = new NewTopic("manual", Map.of(0, List.of(1), 1, List.of(1)))
            .configs(Map.of(TopicConfig.RETENTION_MS_CONFIG, "1234"));
        CreateTopicsResult result = clients.admin.createTopics(Set.of(manual));
        Scenarios.equal(2, result.numPartitions("manual").get(), "partitions");
        Scenarios.equal(1, result.replicationFactor("manual").get(), "replication factor");
        Scenarios.equal("1234", result.config("manual").get().get(TopicConfig.RETENTION_MS_CONFIG).value(), "config");
        Uuid id = result.topicId("manual").get();
        Scenarios.eventually("it is listed", () -> clients.admin.listTopics().names().get().contains("manual"));
        Scenarios.equal(id, describe("manual").topicId(), "topic id");
    }

    private void validateOnlyCreatesNothing() throws Exception {
        NewTopic topic = new NewTopic("validated", 2, (short) 1);
        clients.admin.createTopics(Set.of(topic), new CreateTopicsOptions().validateOnly(true)).all().get();
        Scenarios.fails(UnknownTopicOrPartitionException.class, () -> describe("validated"));
    }

    private void defaultsApply() throws Exception {
        var created = clients.admin.createTopics(Set.of(new NewTopic("defaults", Optional.empty(), Optional.empty())));
        Scenarios.equal(1, created.numPartitions("defaults").get(), "num.partitions");
        Scenarios.equal(1, created.replicationFactor("defaults").get(), "default.replication.factor");
    }

    private void wrongCreationsAreRefused() throws Exception {
        clients.create("existing", 1);
        refused(TopicExistsException.class, new NewTopic("existing", 1, (short) 1));
        refused(InvalidPartitionsException.class, new NewTopic("none", 0, (short) 1));
        refused(InvalidReplicationFactorException.class, new NewTopic("replicated", 1, (short) 2));
        refused(InvalidReplicationFactorException.class, new NewTopic("replicated", 1, (short) 0));
        refused(InvalidReplicaAssignmentException.class, new NewTopic("elsewhere", Map.of(0, List.of(7))));
        refused(InvalidReplicaAssignmentException.class, new NewTopic("gap", Map.of(1, List.of(1))));
        refused(InvalidReplicaAssignmentException.class, new NewTopic("twice", Map.of(0, List.of(1, 1))));
        for (String name : List.of("sp ace", "sla/sh", "..", "x".repeat(250))) {
            refused(InvalidTopicException.class, new NewTopic(name, 1, (short) 1));
        }
        clients.create("dotted.name", 1);
        refused(InvalidTopicException.class, new NewTopic("dotted_name", 1, (short) 1));
        NewTopic configured = new NewTopic("configured", 1, (short) 1);
        refused(InvalidConfigurationException.class, configured.configs(Map.of("segment.bytes", "-7")));
        refused(InvalidConfigurationException.class, configured.configs(Map.of("no.such.config", "1")));
        refused(InvalidConfigurationException.class, configured.configs(Map.of("cleanup.policy", "tidy")));
    }

    private void refused(Class<? extends Throwable> error, NewTopic topic) throws Exception {
        Throwable refusal = Scenarios.fails(error, () -> clients.admin.createTopics(Set.of(topic)).all().get());
        Scenarios.check(!String.valueOf(refusal.getMessage()).isBlank(), "no message for " + topic);
    }

    private void partitionsAreAdded() throws Exception {
        clients.create("growing", 1);
        clients.admin.createPartitions(Map.of("growing", NewPartitions.increaseTo(4))).all().get();
        Scenarios.eventually("4 partitions", () -> describe("growing").partitions().size() == 4);
        clients.admin.createPartitions(Map.of("growing", NewPartitions.increaseTo(5, List.of(List.of(1))))).all().get();
        clients.produce(new TopicPartition("growing", 4), "in the new partition");
        for (int count : List.of(5, 2, 0)) {
            Scenarios.fails(InvalidPartitionsException.class, () -> grow("growing", NewPartitions.increaseTo(count)));
        }
        NewPartitions elsewhere = NewPartitions.increaseTo(6, List.of(List.of(9)));
        Scenarios.fails(InvalidReplicaAssignmentException.class, () -> grow("growing", elsewhere));
        NewPartitions unknown = NewPartitions.increaseTo(2);
        Scenarios.fails(UnknownTopicOrPartitionException.class, () -> grow("no-such-topic", unknown));
    }

    private Void grow(String topic, NewPartitions partitions) throws Exception {
        return clients.admin.createPartitions(Map.of(topic, partitions)).all().get();
    }

    private void deletedTopicIsGone() throws Exception {
        clients.create("mortal", 1);
        Uuid id = describe("mortal").topicId();
        TopicPartition partition = new TopicPartition("mortal", 0);
        clients.produce(partition, "before");
        clients.admin.deleteTopics(List.of("mortal")).all().get();
        Scenarios.eventually("it is not listed", () -> !clients.admin.listTopics().names().get().contains("mortal"));
        Scenarios.fails(UnknownTopicOrPartitionException.class, () -> describe("mortal"));
        Scenarios.fails(UnknownTopicOrPartitionException.class,
            () -> clients.admin.deleteTopics(List.of("mortal")).all().get());
        clients.create("mortal", 1);
        Scenarios.check(!id.equals(describe("mortal").topicId()), "the same id again");
        clients.produce(partition, "after");
        Scenarios.equal(List.of("after"), Clients.values(clients.readAll(partition, 1)), "records");
    }

    private void topicsGoById() throws Exception {
        clients.create("by-id", 1);
        Uuid id = describe("by-id").topicId();
        TopicCollection ids = TopicCollection.ofTopicIds(List.of(id));
        Scenarios.equal("by-id", clients.admin.describeTopics(ids).allTopicIds().get().get(id).name(), "name");
        clients.admin.deleteTopics(ids).all().get();
        Scenarios.fails(UnknownTopicIdException.class, () -> clients.admin.deleteTopics(ids).all().get());
        Scenarios.fails(UnknownTopicIdException.class, () -> clients.admin.describeTopics(ids).allTopicIds().get());
    }

    private void descriptionsComeInPages() throws Exception {
        List<String> names = List.of("page-a", "page-b", "page-c");
        for (String name : names) {
            clients.create(name, 3);
        }
        DescribeTopicsOptions two = new DescribeTopicsOptions().partitionSizeLimitPerResponse(2);
        Map<String, TopicDescription> topics = clients.admin.describeTopics(names, two).allTopicNames().get();
        for (String name : names) {
            Scenarios.equal(3, topics.get(name).partitions().size(), "partitions of " + name);
        }
    }

    private void internalTopicsAreListedOnRequest() throws Exception {
        clients.create("watched", 1);
        new GroupScenarios(clients).commitOne("internal-watchers", "watched");
        Set<String> visible = clients.admin.listTopics().names().get();
        Scenarios.check(!visible.contains("__consumer_offsets"), "internal topic in the ordinary list");
        ListTopicsOptions all = new ListTopicsOptions().listInternal(true);
        Scenarios.check(clients.admin.listTopics(all).names().get().contains("__consumer_offsets"), "not listed");
        Scenarios.check(describe("__consumer_offsets").isInternal(), "not internal");
    }

    private void authorizedOperationsComeOnRequest() throws Exception {
        clients.create("authorized", 1);
        Scenarios.equal(null, describe("authorized").authorizedOperations(), "operations nobody asked for");
        DescribeTopicsOptions options = new DescribeTopicsOptions().includeAuthorizedOperations(true);
        Set<AclOperation> operations = clients.admin.describeTopics(List.of("authorized"), options)
            .allTopicNames().get().get("authorized").authorizedOperations();
        Set<AclOperation> all = Set.of(AclOperation.READ, AclOperation.WRITE, AclOperation.CREATE,
            AclOperation.DELETE, AclOperation.ALTER, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS,
            AclOperation.ALTER_CONFIGS);
        Scenarios.equal(all, operations, "authorized operations");
    }

    private void configsAreAltered() throws Exception {
        clients.create("altered", 1, Map.of("cleanup.policy", "delete"));
        alter("altered", "retention.ms", "60000", AlterConfigOp.OpType.SET);
        configBecomes("altered", "retention.ms", "60000");
        alter("altered", "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND);
        configBecomes("altered", "cleanup.policy", "delete,compact");
        alter("altered", "cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT);
        configBecomes("altered", "cleanup.policy", "compact");
        alter("altered", "retention.ms", null, AlterConfigOp.OpType.DELETE);
        configBecomes("altered", "retention.ms", "604800000");
        Scenarios.equal(ConfigSource.DEFAULT_CONFIG, config("altered").get("retention.ms").source(), "source");
    }

    private Void alter(String topic, String key, String value, AlterConfigOp.OpType operation) throws Exception {
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry(key, value), operation);
        return clients.admin.incrementalAlterConfigs(Map.of(topicResource(topic), List.of(op))).all().get();
    }

    private void configBecomes(String topic, String key, String expected) throws Exception {
        Scenarios.eventually(key + " is " + expected, () -> expected.equals(config(topic).get(key).value()));
    }

    private void configsKnowTheirSource() throws Exception {
        clients.create("sourced", 1, Map.of("segment.bytes", "2097152"));
        DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        ConfigResource resource = topicResource("sourced");
        Config config = clients.admin.describeConfigs(Set.of(resource), options).all().get().get(resource);
        ConfigEntry set = config.get("segment.bytes");
        Scenarios.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, set.source(), "source");
        Scenarios.equal(ConfigEntry.ConfigType.INT, set.type(), "type");
        Scenarios.check(set.documentation() != null && !set.documentation().isBlank(), "no documentation");
        List<String> synonyms = set.synonyms().stream().map(synonym -> synonym.name() + "=" + synonym.value()).toList();
        Scenarios.equal(List.of("segment.bytes=2097152", "log.segment.bytes=1073741824"), synonyms, "synonyms");
        ConfigEntry unset = config.get("compression.type");
        Scenarios.equal("producer", unset.value(), "default");
        Scenarios.check(unset.isDefault() && !unset.isReadOnly() && !unset.isSensitive(), "flags of " + unset);
        Set<String> names = config.entries().stream().map(ConfigEntry::name).collect(toSet());
        Scenarios.check(names.containsAll(Set.of("cleanup.policy", "delete.retention.ms", "file.delete.delay.ms",
            "flush.messages", "flush.ms", "index.interval.bytes", "max.message.bytes", "message.timestamp.type",
            "min.cleanable.dirty.ratio", "min.insync.replicas", "preallocate", "retention.bytes", "segment.ms",
            "segment.jitter.ms", "unclean.leader.election.enable")), "missing of " + names);
    }

    private void wrongConfigsAreRefused() throws Exception {
        clients.create("strict", 1);
        Map<String, String> wrong = Map.of("retention.ms", "soon", "min.insync.replicas", "0", "unheard.of", "1",
            "compression.type", "rar", "max.message.bytes", "-1");
        for (Map.Entry<String, String> entry : wrong.entrySet()) {
            Scenarios.fails(InvalidConfigurationException.class,
                () -> alter("strict", entry.getKey(), entry.getValue(), AlterConfigOp.OpType.SET));
        }
        Scenarios.fails(UnknownTopicOrPartitionException.class,
            () -> alter("no-such-topic", "retention.ms", "1", AlterConfigOp.OpType.SET));
        Scenarios.fails(UnknownTopicOrPartitionException.class, () -> config("no-such-topic"));
    }

    private void brokerConfigsAreDescribed() throws Exception {
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        Config config = clients.admin.describeConfigs(Set.of(broker)).all().get().get(broker);
        Scenarios.equal("1", config.get("node.id").value(), "node.id");
        Scenarios.equal(ConfigSource.STATIC_BROKER_CONFIG, config.get("node.id").source(), "source of node.id");
        Scenarios.check(config.get("node.id").isReadOnly(), "node.id can be changed");
        Scenarios.equal("1048588", config.get("message.max.bytes").value(), "message.max.bytes");
        Scenarios.equal(ConfigSource.DEFAULT_CONFIG, config.get("message.max.bytes").source(), "source of a default");
    }

    private void configResourcesAreListed() throws Exception {
        clients.create("resource", 1, Map.of("retention.ms", "5000"));
        Collection<ConfigResource> topics = clients.admin
            .listConfigResources(Set.of(ConfigResource.Type.TOPIC), new org.apache.kafka.clients.admin
                .ListConfigResourcesOptions()).all().get();
        Scenarios.check(topics.contains(topicResource("resource")), "topic not in " + topics);
        Collection<ConfigResource> all = clients.admin.listConfigResources().all().get();
        Scenarios.check(all.contains(topicResource("resource")), "topic not in " + all);
        Scenarios.check(all.contains(new ConfigResource(ConfigResource.Type.BROKER, "1")), "broker not in " + all);
    }

    private void clusterIsDescribed() throws Exception {
        var cluster = clients.admin.describeCluster();
        Scenarios.equal(1, cluster.nodes().get().size(), "nodes");
        Scenarios.equal(1, cluster.controller().get().id(), "controller");
        Scenarios.equal(22, cluster.clusterId().get().length(), "length of the cluster id");
        var node = cluster.nodes().get().iterator().next();
        Scenarios.equal(clients.bootstrap, node.host() + ":" + node.port(), "advertised address");
        Scenarios.check(!node.isFenced(), "fenced");
    }

    private void logDirectoriesAreDescribed() throws Exception {
        TopicPartition partition = new TopicPartition("sized", 0);
        clients.create("sized", 1);
        clients.produce(partition, "x".repeat(10_000));
        Map<String, LogDirDescription> all = clients.admin.describeLogDirs(Set.of(1)).allDescriptions().get().get(1);
        Scenarios.equal(1, all.size(), "log directories");
        LogDirDescription directory = all.values().iterator().next();
        Scenarios.equal(null, directory.error(), "error");
        Scenarios.check(directory.totalBytes().getAsLong() > directory.usableBytes().getAsLong(), "volume sizes");
        var replica = directory.replicaInfos().get(partition);
        Scenarios.check(replica.size() > 10_000 && replica.size() < 11_000, "size " + replica.size());
        Scenarios.equal(0L, replica.offsetLag(), "lag");
        Scenarios.check(!replica.isFuture(), "future replica");
    }

    private TopicDescription describe(String topic) throws Exception {
        return clients.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    private Config config(String topic) throws Exception {
        return clients.admin.describeConfigs(Set.of(topicResource(topic))).all().get().get(topicResource(topic));
    }

    private static ConfigResource topicResource(String topic) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }
}
