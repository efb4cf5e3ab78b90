import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Consumer groups seen from outside, with the Java AdminClient. */
final class GroupScenarios {
    private final Clients clients;

    GroupScenarios(Clients clients) {
        this.clients = clients;
    }

    Scenarios all() {
        return new Scenarios()
            .add("a stable group is described with its members", this::stableGroupIsDescribed)
            .add("a group that everyone left is empty", this::leftGroupIsEmpty)
            .add("groups are listed by state and type", this::groupsAreListedByStateAndType)
            .add("an unknown group is dead or not found", this::unknownGroup)
            .add("offsets of an empty group are altered", this::offsetsAreAltered)
            .add("offsets of an active group are refused", this::offsetsOfAnActiveGroup)
            .add("offsets are deleted by partition", this::offsetsAreDeleted)
            .add("only an empty group is deleted", this::onlyEmptyGroupsAreDeleted)
            .add("deleting a topic deletes its committed offsets", this::offsetsGoWithTheirTopic)
            .add("a static member is removed by its instance id", this::staticMemberIsRemoved)
            .add("offsets of several groups come in one request", this::offsetsOfSeveralGroups);
    }

    private void stableGroupIsDescribed() throws Exception {
        clients.create("members", 2);
        try (KafkaConsumer<String, String> consumer = joined("stable", "members", "client.id", "reader")) {
            ConsumerGroupDescription group = describe("stable");
            Scenarios.equal(GroupState.STABLE, group.groupState(), "state");
            Scenarios.equal(GroupType.CLASSIC, group.type(), "type");
            Scenarios.equal("range", group.partitionAssignor(), "assignor");
            Scenarios.equal(1, group.coordinator().id(), "coordinator");
            Scenarios.equal(1, group.members().size(), "members");
            MemberDescription member = group.members().iterator().next();
            Scenarios.equal("reader", member.clientId(), "client id");
            Scenarios.equal("/127.0.0.1", member.host(), "host");
            Scenarios.check(member.consumerId().startsWith("reader-"), "member id " + member.consumerId());
            Scenarios.equal(consumer.assignment(), member.assignment().topicPartitions(), "assignment");
        }
    }

    private void leftGroupIsEmpty() throws Exception {
        clients.create("left", 1);
        commitOne("left-behind", "left");
        ConsumerGroupDescription group = describe("left-behind");
        Scenarios.equal(GroupState.EMPTY, group.groupState(), "state");
        Scenarios.equal(0, group.members().size(), "members");
        Scenarios.equal(1L, committed("left-behind").get(new TopicPartition("left", 0)).offset(), "offset");
    }

    private void groupsAreListedByStateAndType() throws Exception {
        clients.create("listed", 1);
        commitOne("listed-empty", "listed");
        try (KafkaConsumer<String, String> consumer = joined("listed-stable", "listed")) {
            ListGroupsOptions stable = new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE));
            Scenarios.check(listed(stable).contains("listed-stable"), "stable " + listed(stable));
            Scenarios.check(!listed(stable).contains("listed-empty"), "stable " + listed(stable));
            ListGroupsOptions empty = new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY));
            Scenarios.check(listed(empty).contains("listed-empty"), "empty " + listed(empty));
            ListGroupsOptions classic = new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC));
            Scenarios.check(listed(classic).containsAll(List.of("listed-empty", "listed-stable")), "classic");
            ListGroupsOptions share = new ListGroupsOptions().withTypes(Set.of(GroupType.SHARE));
            Scenarios.equal(List.of(), listed(share), "share groups");
        }
    }

    private List<String> listed(ListGroupsOptions options) throws Exception {
        return clients.admin.listGroups(options).all().get().stream().map(listing -> listing.groupId()).toList();
    }

    private void unknownGroup() throws Exception {
        Scenarios.fails(GroupIdNotFoundException.class, () -> describe("no-such-group"));
        Scenarios.fails(GroupIdNotFoundException.class, () -> delete("no-such-group"));
        Scenarios.fails(GroupIdNotFoundException.class,
            () -> clients.admin.deleteConsumerGroupOffsets("no-such-group", Set.of(new TopicPartition("t", 0)))
                .all().get());
        Scenarios.equal(Map.of(), committed("no-such-group"), "offsets");
    }

    private void offsetsAreAltered() throws Exception {
        clients.create("alterable", 2);
        TopicPartition partition = new TopicPartition("alterable", 1);
        OffsetAndMetadata offset = new OffsetAndMetadata(42, java.util.Optional.of(3), "why");
        alter("altered-group", partition, offset);
        Scenarios.equal(Map.of(partition, offset), committed("altered-group"), "offsets");
        TopicPartition unknown = new TopicPartition("alterable", 7);
        Scenarios.fails(UnknownTopicOrPartitionException.class, () -> alter("altered-group", unknown, offset));
        Scenarios.equal(GroupState.EMPTY, describe("altered-group").groupState(), "a group made by its offsets");
    }

    private void offsetsOfAnActiveGroup() throws Exception {
        clients.create("active", 1);
        TopicPartition partition = new TopicPartition("active", 0);
        try (KafkaConsumer<String, String> consumer = joined("active-group", "active")) {
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(0)));
            Scenarios.fails(UnknownMemberIdException.class,
                () -> alter("active-group", partition, new OffsetAndMetadata(1)));
            Scenarios.fails(GroupSubscribedToTopicException.class,
                () -> clients.admin.deleteConsumerGroupOffsets("active-group", Set.of(partition)).all().get());
        }
    }

    private void offsetsAreDeleted() throws Exception {
        clients.create("deletable", 2);
        TopicPartition first = new TopicPartition("deletable", 0);
        TopicPartition second = new TopicPartition("deletable", 1);
        clients.admin.alterConsumerGroupOffsets("forgetful",
            Map.of(first, new OffsetAndMetadata(1), second, new OffsetAndMetadata(2))).all().get();
        clients.admin.deleteConsumerGroupOffsets("forgetful", Set.of(first)).all().get();
        Scenarios.equal(Set.of(second), committed("forgetful").keySet(), "partitions with offsets");
    }

    private void onlyEmptyGroupsAreDeleted() throws Exception {
        clients.create("occupied", 1);
        try (KafkaConsumer<String, String> consumer = joined("occupied-group", "occupied")) {
            Scenarios.fails(GroupNotEmptyException.class, () -> delete("occupied-group"));
        }
        commitOne("occupied-group", "occupied");
        delete("occupied-group");
        Scenarios.fails(GroupIdNotFoundException.class, () -> describe("occupied-group"));
        Scenarios.equal(Map.of(), committed("occupied-group"), "offsets of a deleted group");
    }

    private void offsetsGoWithTheirTopic() throws Exception {
        clients.create("passing", 1);
        commitOne("survivor", "passing");
        clients.admin.deleteTopics(List.of("passing")).all().get();
        Scenarios.eventually("the offsets are gone", () -> committed("survivor").isEmpty());
    }

    private void staticMemberIsRemoved() throws Exception {
        clients.create("static", 1);
        joined("static-group", "static", "group.instance.id", "one").close();
        Scenarios.equal(1, describe("static-group").members().size(), "a static member stays when it closes");
        var options = new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("one")));
        clients.admin.removeMembersFromConsumerGroup("static-group", options).all().get();
        Scenarios.equal(GroupState.EMPTY, describe("static-group").groupState(), "state");
        Scenarios.fails(UnknownMemberIdException.class,
            () -> clients.admin.removeMembersFromConsumerGroup("static-group", options).memberResult(
                new MemberToRemove("one")).get());
    }

    private void offsetsOfSeveralGroups() throws Exception {
        clients.create("several", 1);
        TopicPartition partition = new TopicPartition("several", 0);
        alter("several-1", partition, new OffsetAndMetadata(1));
        alter("several-2", partition, new OffsetAndMetadata(2));
        ListConsumerGroupOffsetsSpec spec = new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(partition));
        var all = clients.admin.listConsumerGroupOffsets(Map.of("several-1", spec, "several-2", spec)).all().get();
        Scenarios.equal(1L, all.get("several-1").get(partition).offset(), "the first group");
        Scenarios.equal(2L, all.get("several-2").get(partition).offset(), "the second group");
    }

    /** Produces a record to partition 0, and commits offset 1 as a member that then leaves. */
    void commitOne(String group, String topic) throws Exception {
        clients.produce(new TopicPartition(topic, 0), "read");
        try (KafkaConsumer<String, String> consumer = joined(group, topic)) {
            consumer.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(1)));
        }
    }

    /** A member of {@code group} that has its partitions. */
    private KafkaConsumer<String, String> joined(String group, String topic, String... properties) throws Exception {
        String[] all = java.util.stream.Stream.concat(
            java.util.stream.Stream.of("group.id", group, "enable.auto.commit", "false"),
            java.util.stream.Stream.of(properties)).toArray(String[]::new);
        KafkaConsumer<String, String> consumer = clients.consumer(all);
        consumer.subscribe(Set.of(topic));
        Scenarios.eventually("partitions are assigned", () -> {
            consumer.poll(Clients.POLL);
            return !consumer.assignment().isEmpty();
        });
        return consumer;
    }

    private ConsumerGroupDescription describe(String group) throws Exception {
        return clients.admin.describeConsumerGroups(Set.of(group)).all().get().get(group);
    }

    private Map<TopicPartition, OffsetAndMetadata> committed(String group) throws Exception {
        return clients.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    private Void alter(String group, TopicPartition partition, OffsetAndMetadata offset) throws Exception {
        return clients.admin.alterConsumerGroupOffsets(group, Map.of(partition, offset)).all().get();
    }

    private Void delete(String group) throws Exception {
        return clients.admin.deleteConsumerGroups(Set.of(group)).all().get();
    }
}
