//! Facts about creating and deleting topics. Codes and texts are those that Apache Kafka 4.1 answers.

use super::image::ResourceType;
use super::request::*;
use super::testing::{Bench, topic};
use crate::protocol::{ErrorCode, Uuid};

fn refusal(outcome: Outcome<impl std::fmt::Debug>) -> (ErrorCode, String) {
    let refusal = outcome.unwrap_err();
    (refusal.code, refusal.message.unwrap_or_default())
}

#[track_caller]
fn assert_refused(outcome: Outcome<impl std::fmt::Debug>, code: ErrorCode, text: &str) {
    assert_eq!(refusal(outcome), (code, text.to_owned()));
}

#[test]
fn a_topic_gets_what_it_asks_for() {
    let mut bench = Bench::with_brokers(&[None, None, None]);
    let configs = vec![("retention.ms".to_owned(), Some("5".to_owned()))];
    let created = bench.create(NewTopic { configs, ..topic("t", 4, 2) }).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
    let made = bench.image().topics.by_name("t").unwrap();
    assert_eq!((made.id, made.partitions.len(), made.replication_factor()), (created.id, 4, 2));
    for partition in &made.partitions {
        assert_eq!(
            (partition.leader, partition.leader_epoch, partition.partition_epoch),
            (partition.replicas[0], 0, 0)
        );
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.directory(partition.leader), Some(Uuid([100 + partition.leader as u8; 16])));
    }
    assert_eq!(bench.image().configs.topic("t")["retention.ms"], "5");
}

#[test]
fn what_is_not_said_comes_from_the_defaults() {
    let mut bench = Bench::one_broker();
    bench.controller.settings.defaults.partitions = 3;
    let created = bench.create(NewTopic::with_defaults("t")).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
}

#[test]
fn a_request_that_only_asks_changes_nothing() {
    let mut bench = Bench::one_broker();
    let request = CreateTopics { topics: vec![topic("t", 1, 1)], validate_only: true };
    let Response::CreateTopics(outcomes) = bench.ask(Request::CreateTopics(request)) else { panic!() };
    assert_eq!(outcomes[0].as_ref().unwrap().partitions, 1);
    assert!(bench.image().topics.is_empty());
}

#[test]
fn impossible_topics_are_refused_in_kafkas_words() {
    use ErrorCode::*;
    let mut bench = Bench::one_broker();
    bench.create(topic("plain", 1, 1)).unwrap();
    bench.create(topic("a.b", 1, 1)).unwrap();
    let cases = [
        (
            topic("n", 1, 3),
            InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered.",
        ),
        (topic("n", 0, 1), InvalidPartitions, "Number of partitions was set to an invalid non-positive value."),
        (topic("n", -2, 1), InvalidPartitions, "Number of partitions was set to an invalid non-positive value."),
        (
            topic("n", 1, 0),
            InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (topic("plain", 1, 1), TopicAlreadyExists, "Topic 'plain' already exists."),
        (
            topic("a b", 1, 1),
            InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (topic("..", 1, 1), InvalidTopicException, "Topic name is invalid: '..' is not allowed"),
        (topic("a_b", 1, 1), InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"),
        (
            topic("__cluster_metadata", 1, 1),
            InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (topic("n", 10_000, 1), PolicyViolation, "Unable to perform excessively large batch operation."),
        (topic("n", 10_001, 1), PolicyViolation, "Excessively large number of partitions per request."),
    ];
    for (topic, code, text) in cases {
        assert_refused(bench.create(topic), code, text);
    }
    assert_eq!(bench.image().topics.len(), 2);
    assert_eq!(bench.create(topic("n", 9_999, 1)).unwrap().partitions, 9_999);
}

#[test]
fn impossible_assignments_are_refused_in_kafkas_words() {
    type Assigned<'a> = &'a [(i32, &'a [i32])];
    let mut bench = Bench::with_brokers(&[None, None]);
    let mut assigned = |assignments: Assigned| {
        let assignments = assignments.iter().map(|(partition, brokers)| (*partition, brokers.to_vec())).collect();
        bench.create(NewTopic { assignments, ..NewTopic::with_defaults("t") })
    };
    let cases: [(Assigned, &str); 7] = [
        (&[(0, &[7])], "The manual partition assignment includes broker 7, but no such broker is registered."),
        (&[(1, &[1])], "partitions should be a consecutive 0-based integer sequence"),
        (&[(0, &[1]), (2, &[1])], "partitions should be a consecutive 0-based integer sequence"),
        (&[(0, &[1]), (0, &[2])], "Found multiple manual partition assignments for partition 0"),
        (&[(0, &[1, 1])], "The manual partition assignment includes the broker 1 more than once."),
        (&[(0, &[])], "The manual partition assignment includes an empty replica list."),
        (
            &[(0, &[1]), (1, &[1, 2])],
            "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).",
        ),
    ];
    for (assignments, text) in cases {
        assert_refused(assigned(assignments), ErrorCode::InvalidReplicaAssignment, text);
    }
    assert_eq!(assigned(&[(1, &[1, 2]), (0, &[2, 1])]).unwrap().replication_factor, 2);
    let made = bench.image().topics.by_name("t").unwrap();
    assert_eq!((&*made.partitions[0].replicas, &*made.partitions[1].replicas), (&[2, 1][..], &[1, 2][..]));
}

#[test]
fn an_assignment_says_the_counts_alone() {
    let mut bench = Bench::one_broker();
    let assigned = |partitions, replication_factor| NewTopic {
        assignments: vec![(0, vec![1])],
        ..topic("t", partitions, replication_factor)
    };
    let text = "A manual partition assignment was specified, but numPartitions was not set to -1.";
    assert_refused(bench.create(assigned(1, -1)), ErrorCode::InvalidRequest, text);
    let text = "A manual partition assignment was specified, but replication factor was not set to -1.";
    assert_refused(bench.create(assigned(-1, 1)), ErrorCode::InvalidRequest, text);
}

#[test]
fn configurations_are_checked_before_a_topic_is_made() {
    let mut bench = Bench::one_broker();
    let with = |name: &str, value: Option<&str>| NewTopic {
        configs: vec![(name.to_owned(), value.map(str::to_owned))],
        ..topic("t", 1, 1)
    };
    let text = "Unknown topic config name: foo";
    assert_refused(bench.create(with("foo", Some("bar"))), ErrorCode::InvalidConfig, text);
    let text = "Null value not supported for topic configs: retention.ms";
    assert_refused(bench.create(with("retention.ms", None)), ErrorCode::InvalidConfig, text);
    assert!(bench.image().topics.is_empty());
}

#[test]
fn a_topic_named_twice_is_not_made() {
    let mut bench = Bench::one_broker();
    let topics = vec![topic("twice", 1, 1), topic("once", 1, 1), topic("twice", 2, 1)];
    let request = Request::CreateTopics(CreateTopics { topics, validate_only: false });
    let Response::CreateTopics(outcomes) = bench.ask(request) else { panic!() };
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().err().map(|refusal| refusal.code)).collect();
    assert_eq!(codes, [Some(ErrorCode::InvalidRequest), None, Some(ErrorCode::InvalidRequest)]);
    assert_eq!(bench.image().topics.len(), 1);
}

#[test]
fn a_deleted_topic_is_gone_with_its_configurations_and_may_come_back() {
    let mut bench = Bench::one_broker();
    let configs = vec![("retention.ms".to_owned(), Some("5".to_owned()))];
    let first = bench.create(NewTopic { configs, ..topic("a.b", 2, 1) }).unwrap();
    let deleted = bench.delete(TopicSelector::Name("a.b".into())).unwrap();
    assert_eq!((deleted.id, deleted.name.as_str()), (first.id, "a.b"));
    assert!(bench.image().configs.topic("a.b").is_empty());
    assert_eq!(bench.image().topics.partition_count(), 0);
    let second = bench.create(topic("a_b", 1, 1)).unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(bench.delete(TopicSelector::Id(second.id)).unwrap().name, "a_b");
}

#[test]
fn topics_that_are_not_there_cannot_be_deleted() {
    let mut bench = Bench::one_broker();
    let by_name = bench.delete(TopicSelector::Name("nope".into()));
    assert_eq!(by_name.unwrap_err(), ErrorCode::UnknownTopicOrPartition.into());
    let by_id = bench.delete(TopicSelector::Id(Uuid([1; 16])));
    assert_eq!(by_id.unwrap_err(), ErrorCode::UnknownTopicId.into());
}

#[test]
fn a_topic_named_twice_is_not_deleted() {
    let mut bench = Bench::one_broker();
    let created = bench.create(topic("t", 1, 1)).unwrap();
    let selectors = vec![TopicSelector::Name("t".into()), TopicSelector::Id(created.id)];
    let Response::DeleteTopics(outcomes) = bench.ask(Request::DeleteTopics(selectors)) else { panic!() };
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err().code == ErrorCode::InvalidRequest));
    assert_eq!(bench.image().topics.len(), 1);
}

#[test]
fn topics_only_grow() {
    let mut bench = Bench::with_brokers(&[None, None]);
    bench.create(topic("t", 2, 2)).unwrap();
    let text = "The topic t currently has 2 partition(s); 1 would not be an increase.";
    assert_refused(bench.grow("t", 1, None), ErrorCode::InvalidPartitions, text);
    assert_refused(bench.grow("t", 2, None), ErrorCode::InvalidPartitions, "Topic already has 2 partition(s).");
    assert_eq!(refusal(bench.grow("nope", 2, None)).0, ErrorCode::UnknownTopicOrPartition);
    let text = "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.";
    let too_few = bench.grow("t", 4, Some(vec![vec![1, 2]]));
    assert_refused(too_few, ErrorCode::InvalidReplicaAssignment, text);
    bench.grow("t", 4, Some(vec![vec![1, 2], vec![2, 1]])).unwrap();
    bench.grow("t", 6, None).unwrap();
    let made = bench.image().topics.by_name("t").unwrap();
    assert_eq!((made.partitions.len(), &*made.partitions[3].replicas), (6, &[2, 1][..]));
    assert!(made.partitions.iter().all(|partition| partition.replicas.len() == 2));
}

#[test]
fn lists_grow_and_shrink_and_other_values_do_not() {
    use ConfigOperation::*;
    let mut bench = Bench::one_broker();
    bench.create(topic("t", 1, 1)).unwrap();
    let mut operate = |name: &str, operation| {
        let outcome = bench.alter(ResourceType::Topic, "t", ConfigChange::Alter(vec![(name.to_owned(), operation)]));
        outcome.map(|()| bench.image().configs.topic("t").get(name).cloned())
    };
    assert_eq!(operate("cleanup.policy", Append("compact".into())).unwrap().as_deref(), Some("delete,compact"));
    assert_eq!(operate("cleanup.policy", Append("compact".into())).unwrap().as_deref(), Some("delete,compact"));
    assert_eq!(operate("cleanup.policy", Subtract("delete".into())).unwrap().as_deref(), Some("compact"));
    assert_eq!(operate("cleanup.policy", Delete).unwrap(), None);
    assert_eq!(operate("retention.ms", Set("5".into())).unwrap().as_deref(), Some("5"));
    let text = "Can't APPEND to key retention.ms because its type is not LIST.";
    assert_refused(operate("retention.ms", Append("6".into())), ErrorCode::InvalidConfig, text);
}

#[test]
fn configurations_that_cannot_be_are_refused_in_kafkas_words() {
    use ErrorCode::*;
    let mut bench = Bench::one_broker();
    bench.create(topic("t", 1, 1)).unwrap();
    let set = |pairs: &[(&str, &str)]| {
        let set = pairs.iter().map(|(name, value)| (name.to_string(), ConfigOperation::Set(value.to_string())));
        ConfigChange::Alter(set.collect())
    };
    let one = || set(&[("retention.ms", "5")]);
    let twice = set(&[("retention.ms", "5"), ("retention.ms", "6")]);
    let cases = [
        (ResourceType::Topic, "t", set(&[("foo", "5")]), InvalidConfig, "Unknown topic config name: foo"),
        (ResourceType::Topic, "t", twice, InvalidRequest, "Error due to duplicate config keys"),
        (ResourceType::Topic, "nope", one(), UnknownTopicOrPartition, "The topic 'nope' does not exist."),
        (ResourceType::Topic, "", one(), InvalidRequest, "Default topic resources are not allowed."),
        (ResourceType::Group, "", one(), InvalidRequest, "Default group resources are not allowed."),
        (ResourceType::Broker, "x", one(), InvalidRequest, "Node id must be an integer, but it is: x"),
    ];
    for (resource, name, change, code, text) in cases {
        assert_refused(bench.alter(resource, name, change), code, text);
    }
}

#[test]
fn a_topic_that_was_made_again_is_not_deleted_in_place_of_the_one_that_is_meant() {
    let mut bench = Bench::one_broker();
    let first = bench.create(topic("t", 1, 1)).unwrap();
    bench.delete(TopicSelector::Name("t".into())).unwrap();
    let second = bench.create(topic("t", 1, 1)).unwrap();
    let text = format!("The topic 't' has the id {}, not {}.", second.id, first.id);
    assert_refused(bench.delete(TopicSelector::NameAndId("t".into(), first.id)), ErrorCode::UnknownTopicId, &text);
    let unknown = bench.delete(TopicSelector::NameAndId("u".into(), second.id)).unwrap_err();
    assert_eq!(unknown.code, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(bench.delete(TopicSelector::NameAndId("t".into(), second.id)).unwrap().id, second.id);
}

#[test]
fn partitions_are_added_to_as_many_as_were_seen() {
    let mut bench = Bench::one_broker();
    bench.create(topic("t", 2, 1)).unwrap();
    let mut grow = |from| {
        let assignments = Some(vec![vec![1]]);
        let topics = vec![NewPartitions { topic: "t".into(), from: Some(from), count: from + 1, assignments }];
        match bench.ask(Request::CreatePartitions(CreatePartitions { topics, validate_only: false })) {
            Response::CreatePartitions(mut outcomes) => outcomes.remove(0),
            other => panic!("{other:?}"),
        }
    };
    for from in [1, 3] {
        let text = format!("The topic t has 2 partition(s), not {from}.");
        assert_refused(grow(from), ErrorCode::InvalidPartitions, &text);
    }
    assert_eq!(grow(2), Ok(()));
}

#[test]
fn a_replacement_removes_what_it_does_not_name() {
    let mut bench = Bench::one_broker();
    bench.create(topic("t", 1, 1)).unwrap();
    let replace = |pairs: &[(&str, &str)]| {
        ConfigChange::Replace(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    };
    bench.alter(ResourceType::Topic, "t", replace(&[("retention.ms", "5"), ("cleanup.policy", "compact")])).unwrap();
    bench.alter(ResourceType::Topic, "t", replace(&[("retention.ms", "6")])).unwrap();
    let configs: Vec<_> = bench.image().configs.topic("t").iter().collect();
    assert_eq!(configs, [(&"retention.ms".to_owned(), &"6".to_owned())]);
}

#[test]
fn blocks_of_producer_ids_follow_each_other() {
    let mut bench = Bench::one_broker();
    let broker_epoch = bench.image().brokers[&1].epoch;
    let mut allocate =
        |broker_id, broker_epoch| match bench.ask(Request::AllocateProducerIds { broker_id, broker_epoch }) {
            Response::AllocateProducerIds(outcome) => outcome,
            other => panic!("{other:?}"),
        };
    assert_eq!(allocate(1, broker_epoch), Ok(ProducerIdBlock { first: 0, count: 1000 }));
    assert_eq!(allocate(1, broker_epoch), Ok(ProducerIdBlock { first: 1000, count: 1000 }));
    assert_eq!(allocate(1, broker_epoch + 1), Err(ErrorCode::StaleBrokerEpoch.into()));
    assert_eq!(allocate(9, broker_epoch), Err(ErrorCode::BrokerIdNotRegistered.into()));
}

#[test]
fn a_broker_that_comes_back_leads_in_a_new_epoch() {
    let mut bench = Bench::one_broker();
    bench.create(topic("t", 2, 1)).unwrap();
    let before = bench.image().brokers[&1].epoch;
    bench.ask(Request::BrokerLost { id: 1, epoch: before });
    let another = RegisterBroker { incarnation: Uuid([9; 16]), ..super::testing::broker(1, None) };
    bench.ask(Request::RegisterBroker(another));
    assert!(bench.image().brokers[&1].epoch > before && bench.image().brokers[&1].fenced);
    bench.beat(1).unwrap();
    assert!(!bench.image().brokers[&1].fenced);
    for partition in &bench.image().topics.by_name("t").unwrap().partitions {
        assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (1, 2, 2));
    }
}
