//! librdkafka through the crate rdkafka: admin, every codec it was built with, groups, and what is found after a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::{Builder, Runtime};

use crate::support::broker::Broker;
use crate::support::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn configuration(broker: &Broker, properties: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap());
    config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "100");
    properties.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config
}

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    configuration(broker, &[]).create().expect("an admin client")
}

fn create(broker: &Broker, topic: &str, partitions: i32) {
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "987654321");
    let created = runtime().block_on(admin(broker).create_topics([&topic], &AdminOptions::new()));
    assert_eq!(created.expect("an answer"), [Ok(topic.name.to_owned())]);
}

/// Writes `values` to one partition with an idempotent producer; returns once all are acknowledged.
fn produce(broker: &Broker, topic: &str, partition: i32, values: &[String], properties: &[(&str, &str)]) {
    let mut config = configuration(broker, properties);
    config.set("enable.idempotence", "true").set("linger.ms", "20");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    for value in values {
        let headers = OwnedHeaders::new().insert(Header { key: "from", value: Some("rdkafka") });
        let record = BaseRecord::to(topic).partition(partition).key("key").payload(value).headers(headers);
        producer.send(record).expect("room in the queue");
    }
    producer.flush(LIMIT).expect("all acknowledged");
}

fn consumer(broker: &Broker, group: &str, properties: &[(&str, &str)]) -> BaseConsumer {
    let mut config = configuration(broker, &[("group.id", group), ("auto.offset.reset", "earliest")]);
    config.set("enable.auto.commit", "false").set("heartbeat.interval.ms", "200").set("fetch.wait.max.ms", "50");
    properties.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config.create().expect("a consumer")
}

fn subscribed(broker: &Broker, group: &str, topic: &str, properties: &[(&str, &str)]) -> BaseConsumer {
    let consumer = consumer(broker, group, properties);
    consumer.subscribe(&[topic]).expect("a subscription");
    consumer
}

/// Polls until `count` records have come.
fn read(consumer: &BaseConsumer, count: usize) -> Vec<OwnedMessage> {
    let next = || wait_for("a record", LIMIT, || consumer.poll(POLL)).expect("a record").detach();
    (0..count).map(|_| next()).collect()
}

fn texts(messages: &[OwnedMessage]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(message.payload().unwrap_or(b"null")).into_owned()).collect()
}

fn values(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("value {n}")).collect()
}

fn at(topic: &str, offsets: &[(i32, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("a valid offset");
    }
    list
}

/// Polls each member, and gives the partitions of each.
fn assignments(members: &[&BaseConsumer]) -> Vec<BTreeSet<i32>> {
    let partitions = |member: &&BaseConsumer| {
        // Nothing is produced in the tests of groups: what comes is an error, or nothing.
        assert!(member.poll(POLL).is_none_or(|result| result.is_ok()));
        let assignment = member.assignment().expect("an assignment");
        assignment.elements().iter().map(|element| element.partition()).collect()
    };
    members.iter().map(partitions).collect()
}

fn wait_for_sizes(members: &[&BaseConsumer], expected: &[usize]) {
    wait_for(&format!("assignments of {expected:?} partitions"), LIMIT, || {
        let sizes: Vec<_> = assignments(members).iter().map(BTreeSet::len).collect();
        (sizes == expected).then_some(())
    });
}

#[test]
fn librdkafka_creates_grows_and_deletes_topics() {
    let broker = Broker::start(&[]);
    create(&broker, "rd-topic", 2);
    let (admin, options, runtime) = (admin(&broker), AdminOptions::new(), runtime());
    let again = NewTopic::new("rd-topic", 1, TopicReplication::Fixed(1));
    let refused = runtime.block_on(admin.create_topics([&again], &options)).expect("an answer");
    assert_eq!(refused, [Err(("rd-topic".to_owned(), RDKafkaErrorCode::TopicAlreadyExists))]);
    let grown = runtime.block_on(admin.create_partitions([&NewPartitions::new("rd-topic", 3)], &options));
    assert_eq!(grown.expect("an answer"), [Ok("rd-topic".to_owned())]);
    wait_for("three partitions on one broker", LIMIT, || {
        let metadata = admin.inner().fetch_metadata(Some("rd-topic"), LIMIT).expect("metadata");
        let sizes = (metadata.topics()[0].partitions().len(), metadata.brokers().len());
        (sizes == (3, 1)).then_some(())
    });
    let deleted = runtime.block_on(admin.delete_topics(&["rd-topic"], &options)).expect("an answer");
    assert_eq!(deleted, [Ok("rd-topic".to_owned())]);
}

#[test]
fn librdkafka_alters_and_describes_configs() {
    let broker = Broker::start(&[]);
    create(&broker, "rd-configs", 1);
    let (admin, runtime) = (admin(&broker), runtime());
    let resource = ResourceSpecifier::Topic("rd-configs");
    let alter = AlterConfig::new(resource).set("retention.ms", "4711");
    runtime.block_on(admin.alter_configs([&alter], &AdminOptions::new())).expect("an answer")[0]
        .as_ref()
        .expect("altered");
    wait_for("the new retention", LIMIT, || {
        let described = runtime.block_on(admin.describe_configs([&resource], &AdminOptions::new()));
        let config: ConfigResource = described.expect("an answer").remove(0).expect("a description");
        (config.get("retention.ms")?.value.as_deref() == Some("4711")).then_some(())
    });
}

#[test]
fn librdkafka_reads_back_what_it_wrote_with_every_codec() {
    let broker = Broker::start(&[]);
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let topic = format!("rd-codec-{codec}");
        create(&broker, &topic, 1);
        produce(&broker, &topic, 0, &values(500), &[("compression.type", codec)]);
        let messages = read(&subscribed(&broker, codec, &topic, &[]), 500);
        assert_eq!(texts(&messages), values(500), "{codec}");
        let header = messages[499].headers().expect("headers").get(0);
        assert_eq!((header.key, header.value), ("from", Some(&b"rdkafka"[..])));
        assert_eq!((messages[499].offset(), messages[499].key()), (499, Some(&b"key"[..])));
    }
}

#[test]
fn librdkafka_members_share_and_take_over() {
    let broker = Broker::start(&[]);
    for strategy in ["range", "roundrobin", "cooperative-sticky"] {
        let topic = format!("rd-shared-{strategy}");
        create(&broker, &topic, 4);
        let assignor = [("partition.assignment.strategy", strategy)];
        let first = subscribed(&broker, strategy, &topic, &assignor);
        wait_for_sizes(&[&first], &[4]);
        let second = subscribed(&broker, strategy, &topic, &assignor);
        wait_for_sizes(&[&first, &second], &[2, 2]);
        let shared = assignments(&[&first, &second]);
        assert_eq!(&shared[0] | &shared[1], BTreeSet::from([0, 1, 2, 3]), "{strategy}");
        drop(second);
        wait_for_sizes(&[&first], &[4]);
    }
}

#[test]
fn librdkafka_static_members_keep_their_partitions_over_a_restart_of_theirs() {
    let broker = Broker::start(&[]);
    create(&broker, "rd-static", 2);
    let member = |name| {
        let properties = [("group.instance.id", name), ("session.timeout.ms", "30000")];
        subscribed(&broker, "rd-static", "rd-static", &properties)
    };
    let (stays, leaves) = (member("one"), member("two"));
    wait_for_sizes(&[&stays, &leaves], &[1, 1]);
    let before = assignments(&[&stays, &leaves]);
    drop(leaves);
    let back = member("two");
    wait_for_sizes(&[&stays, &back], &[1, 1]);
    assert_eq!(assignments(&[&stays, &back]), before);
}

#[test]
fn librdkafka_lists_groups_with_their_members() {
    let broker = Broker::start(&[]);
    create(&broker, "rd-listed", 1);
    let member = subscribed(&broker, "rd-listed", "rd-listed", &[("client.id", "reader")]);
    wait_for_sizes(&[&member], &[1]);
    let groups = member.fetch_group_list(Some("rd-listed"), LIMIT).expect("groups");
    let group = &groups.groups()[0];
    assert_eq!((group.state(), group.protocol_type(), group.members().len()), ("Stable", "consumer", 1));
    assert_eq!(group.members()[0].client_id(), "reader");
}

#[test]
fn librdkafka_finds_offsets_by_time_and_by_end() {
    let broker = Broker::start(&[]);
    create(&broker, "rd-timed", 1);
    produce(&broker, "rd-timed", 0, &values(3), &[]);
    let consumer = consumer(&broker, "rd-timed", &[]);
    assert_eq!(consumer.fetch_watermarks("rd-timed", 0, LIMIT).expect("watermarks"), (0, 3));
    let found = consumer.offsets_for_times(at("rd-timed", &[(0, 1)]), LIMIT).expect("offsets");
    assert_eq!(found.elements()[0].offset(), Offset::Offset(0));
    let found = consumer.offsets_for_times(at("rd-timed", &[(0, i64::MAX / 2)]), LIMIT).expect("offsets");
    assert_eq!(found.elements()[0].offset(), Offset::End);
}

#[test]
fn librdkafka_finds_everything_again_after_a_kill() {
    let mut broker = Broker::start(&[]);
    create(&broker, "rd-kept", 2);
    produce(&broker, "rd-kept", 1, &values(10), &[]);
    let before = subscribed(&broker, "rd-kept", "rd-kept", &[]);
    read(&before, 10);
    before.commit(&at("rd-kept", &[(1, 7)]), CommitMode::Sync).expect("committed");
    // The member lives on, as in a broker's crash in production, and comes back by itself.
    broker.kill();
    broker.start_again();
    // The coordinator may say for a moment that it is still loading.
    let ask = || before.committed_offsets(at("rd-kept", &[(1, 0)]), LIMIT).ok();
    let committed = wait_for("the committed offset", LIMIT, ask);
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(7));
    drop(before);
    let after = subscribed(&broker, "rd-kept", "rd-kept", &[]);
    assert_eq!(texts(&read(&after, 3)), values(10)[7..]);
    let resource = ResourceSpecifier::Topic("rd-kept");
    let described = runtime().block_on(admin(&broker).describe_configs([&resource], &AdminOptions::new()));
    let configs = described.expect("an answer").remove(0).expect("a description");
    let values: BTreeMap<_, _> = configs.entries.into_iter().map(|entry| (entry.name, entry.value)).collect();
    assert_eq!(values["retention.ms"].as_deref(), Some("987654321"));
}
