//! Topics and configurations: changed through the Admin service, and told by it whoever changed them.

use barnabas::admin::proto::resource_configs::Resource;
use barnabas::admin::proto::*;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use super::{PAUSE, serving, start};
use crate::support::admin::{Operator, Topics, Watcher, create_topic, errors, replicas, topic_on};

async fn create(operator: &mut Operator, topics: Vec<NewTopic>) -> Vec<barnabas::admin::proto::Result> {
    operator.create_topics(CreateTopicsRequest { topics }).await.expect("an answer").into_inner().results
}

async fn delete(operator: &mut Operator, name: &str, id: &str) -> Vec<String> {
    let topics = vec![DeletedTopic { name: name.to_owned(), id: id.to_owned() }];
    errors(operator.delete_topics(DeleteTopicsRequest { topics }).await.expect("an answer"))
}

async fn add(operator: &mut Operator, name: &str, from: u32) -> Vec<String> {
    let topics = vec![AddedPartitions { topic: name.to_owned(), from, assignment: replicas(&[&[1]]) }];
    errors(operator.add_partitions(AddPartitionsRequest { topics }).await.expect("an answer"))
}

fn config(name: &str, value: &str) -> Config {
    Config { name: name.to_owned(), value: value.to_owned() }
}

fn change(resource: Resource, set: &[(&str, &str)], unset: &[&str]) -> ResourceConfigs {
    ResourceConfigs {
        resource: Some(resource),
        set: set.iter().map(|(name, value)| config(name, value)).collect(),
        unset: unset.iter().map(|name| name.to_string()).collect(),
    }
}

async fn alter(operator: &mut Operator, resources: Vec<ResourceConfigs>) -> Vec<barnabas::admin::proto::Result> {
    operator.alter_configs(AlterConfigsRequest { resources }).await.expect("an answer").into_inner().results
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_or_refused_each_for_itself() {
    let (_broker, mut operator) = start();
    serving(&mut Watcher::of(&mut operator).await).await;
    let mut topics = Topics::of(&mut operator).await;
    let results = create(
        &mut operator,
        vec![
            topic_on("made", &[&[1], &[1]], &[("retention.ms", "5000")]),
            topic_on("wrong", &[&[1]], &[("retention.mss", "5000")]),
            topic_on("nowhere", &[], &[]),
            topic_on("elsewhere", &[&[9]], &[]),
        ],
    )
    .await;
    let errors: Vec<&str> = results.iter().map(|result| result.error.as_str()).collect();
    assert_eq!(errors, ["", "INVALID_CONFIG", "INVALID_REPLICA_ASSIGNMENT", "INVALID_REPLICA_ASSIGNMENT"]);
    assert!(results[1].message.contains("retention.mss"), "{results:?}");
    assert!(results[3].message.contains("broker 9"), "{results:?}");
    let again = create(&mut operator, vec![topic_on("made", &[&[1]], &[])]).await;
    assert_eq!(again[0].error, "TOPIC_ALREADY_EXISTS");

    let topic = topics.wait_for("the topic", "made", |topic| topic.is_some()).await.expect("it is there");
    let partition = TopicPartition { replicas: vec![1], isr: vec![1], leader: Some(1), ..TopicPartition::default() };
    assert_eq!((topic.id.len(), topic.internal, topic.partitions), (22, false, vec![partition.clone(), partition]));
    assert_eq!(topic.configs, [config("retention.ms", "5000")]);
    assert_eq!(topics.known.len(), 1);
    let known = Topics::of(&mut operator).await.known;
    assert_eq!(known, topics.known, "who comes later is told the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_is_told() {
    let (broker, mut operator) = start();
    serving(&mut Watcher::of(&mut operator).await).await;
    let mut topics = Topics::of(&mut operator).await;
    create_topic(&broker.bootstrap(), "theirs", 3, 1, &[("cleanup.policy", "compact")]).await;
    let topic = topics.wait_for("the topic", "theirs", |topic| topic.is_some()).await.expect("it is there");
    assert_eq!((topic.partitions.len(), &topic.configs[..]), (3, &[config("cleanup.policy", "compact")][..]));

    let changes = vec![change(Resource::Topic("theirs".into()), &[("retention.ms", "7")], &["cleanup.policy"])];
    assert_eq!(alter(&mut operator, changes).await, [Result::default()]);
    let configured = |topic: Option<&Topic>| topic.is_some_and(|topic| topic.configs == [config("retention.ms", "7")]);
    topics.wait_for("the configuration", "theirs", configured).await;

    let mut client = rdkafka::ClientConfig::new();
    let kafka: AdminClient<DefaultClientContext> =
        client.set("bootstrap.servers", broker.bootstrap()).create().expect("an admin client");
    kafka.delete_topics(&["theirs"], &AdminOptions::new()).await.expect("an answer")[0].as_ref().expect("deleted");
    topics.wait_for("nothing", "theirs", |topic| topic.is_none()).await;
    assert!(topics.is_silent_for(5 * PAUSE).await, "nothing changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_deleted_if_it_is_the_one_that_is_meant() {
    let (_broker, mut operator) = start();
    serving(&mut Watcher::of(&mut operator).await).await;
    let mut topics = Topics::of(&mut operator).await;
    create(&mut operator, vec![topic_on("t", &[&[1]], &[])]).await;
    let first = topics.wait_for("the topic", "t", |topic| topic.is_some()).await.expect("it is there").id;
    assert_eq!(delete(&mut operator, "t", "AAAAAAAAAAAAAAAAAAAAAB").await, ["UNKNOWN_TOPIC_ID"]);
    assert_eq!(delete(&mut operator, "unknown", "").await, ["UNKNOWN_TOPIC_OR_PARTITION"]);
    assert_eq!(delete(&mut operator, "t", &first).await, [""]);
    create(&mut operator, vec![topic_on("t", &[&[1], &[1]], &[])]).await;
    let is_another = |topic: Option<&Topic>| topic.is_some_and(|topic| topic.id != first);
    let second = topics.wait_for("another topic of this name", "t", is_another).await.expect("it is there");
    assert_eq!(second.partitions.len(), 2);
    assert_eq!(delete(&mut operator, "t", &first).await, ["UNKNOWN_TOPIC_ID"]);
    assert_eq!(delete(&mut operator, "t", "").await, [""]);
    topics.wait_for("nothing", "t", |topic| topic.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added_if_nobody_else_did() {
    let (_broker, mut operator) = start();
    serving(&mut Watcher::of(&mut operator).await).await;
    create(&mut operator, vec![topic_on("t", &[&[1], &[1]], &[])]).await;
    assert_eq!(add(&mut operator, "t", 1).await, ["INVALID_PARTITIONS"]);
    assert_eq!(add(&mut operator, "t", 3).await, ["INVALID_PARTITIONS"]);
    assert_eq!(add(&mut operator, "unknown", 1).await, ["UNKNOWN_TOPIC_OR_PARTITION"]);
    assert_eq!(add(&mut operator, "t", 2).await, [""]);
    let topics = Topics::of(&mut operator).await;
    assert_eq!(topics.known["t"].partitions.len(), 3, "the node that has answered knows it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_for_all_brokers_is_told() {
    let (_broker, mut operator) = start();
    let mut watcher = Watcher::of(&mut operator).await;
    serving(&mut watcher).await;
    let all = || Resource::Broker(-1);
    let results = alter(&mut operator, vec![change(all(), &[("log.retention.ms", "70000")], &[])]).await;
    assert_eq!(results, [Result::default()]);
    let is_set = config("log.retention.ms", "70000");
    watcher.wait_for("the configuration", |state| state.broker_configs.contains(&is_set)).await;

    let changes = vec![
        change(all(), &[("node.id", "2")], &[]),
        change(Resource::Broker(9), &[("log.retention.ms", "1")], &[]),
        change(Resource::Topic("unknown".into()), &[("retention.ms", "1")], &[]),
        ResourceConfigs::default(),
    ];
    let results = alter(&mut operator, changes).await;
    let errors: Vec<&str> = results.iter().map(|result| result.error.as_str()).collect();
    assert_eq!(errors, ["INVALID_REQUEST", "INVALID_REQUEST", "UNKNOWN_TOPIC_OR_PARTITION", "INVALID_REQUEST"]);
    assert!(results[0].message.contains("node.id"), "{results:?}");

    let results = alter(&mut operator, vec![change(all(), &[], &["log.retention.ms"])]).await;
    assert_eq!(results, [Result::default()]);
    watcher.wait_for("the default", |state| !state.broker_configs.contains(&is_set)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_may_hold_more_than_one_batch_of_records() {
    const BATCH: usize = 10_000;
    let (_broker, mut operator) = start();
    serving(&mut Watcher::of(&mut operator).await).await;
    create(&mut operator, vec![topic_on("last", &[&[1]], &[])]).await;
    let names = (0..BATCH).map(|number| format!("unknown-{number}")).chain(["last".to_owned()]);
    let topics = names.map(|name| DeletedTopic { name, id: String::new() }).collect();
    let mut results = errors(operator.delete_topics(DeleteTopicsRequest { topics }).await.expect("an answer"));
    assert_eq!(results.pop().as_deref(), Some(""));
    assert_eq!(results, vec!["UNKNOWN_TOPIC_OR_PARTITION"; BATCH]);
}
