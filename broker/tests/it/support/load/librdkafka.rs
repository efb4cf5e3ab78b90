//! The producer, the reader and the group, on librdkafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barnabas_testing::consumer::Consumer;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use super::notes::{Notes, lock};
use super::record::{identify, value};
use super::{LIBRDKAFKA, PATIENCE, Plan, Retries};
use crate::support::checker::Record;
use crate::support::wait::wait_for;

pub const GROUP: &str = "load-readers";
const POLL: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_secs(5);

/// Clients that come back quickly after a fault.
fn configuration(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config.set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "50");
    config.set("retry.backoff.ms", "20").set("retry.backoff.max.ms", "100");
    config.set("topic.metadata.refresh.fast.interval.ms", "50").set("topic.metadata.refresh.interval.ms", "1000");
    config.set("socket.timeout.ms", "5000").set("log_level", "2");
    config
}

/// Creates a topic and waits until every leader of it serves.
pub fn create_topic(bootstrap: &str, name: &str, partitions: i32, replicas: i32) {
    wait_for("the topic", PATIENCE, || match try_to_create(bootstrap, name, partitions, replicas) {
        // The answer to an earlier try may have been lost.
        Ok(()) | Err(RDKafkaErrorCode::TopicAlreadyExists) => Some(()),
        Err(RDKafkaErrorCode::RequestTimedOut | RDKafkaErrorCode::OperationTimedOut) => None,
        Err(error) => panic!("creating {name}: {error}"),
    });
    let client: BaseConsumer = configuration(bootstrap).create().expect("a client");
    for partition in 0..partitions {
        let ask = || client.fetch_watermarks(name, partition, ANSWER).ok();
        wait_for("a leader that serves", PATIENCE, ask);
    }
}

/// Creates a topic of which a majority of the replicas must have a record.
pub fn try_to_create(bootstrap: &str, name: &str, partitions: i32, replicas: i32) -> Result<(), RDKafkaErrorCode> {
    let admin: AdminClient<DefaultClientContext> = configuration(bootstrap).create().expect("an admin client");
    let min_in_sync = (replicas / 2 + 1).to_string();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let topic = topic.set("min.insync.replicas", &min_in_sync);
    // The broker's own limit comes first: it is to say what is wrong.
    let options = AdminOptions::new().request_timeout(Some(4 * ANSWER)).operation_timeout(Some(ANSWER));
    let created = admin.create_topics([&topic], &options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(created) {
        Ok(results) => results.into_iter().try_for_each(|result| result.map(drop).map_err(|(_, code)| code)),
        Err(KafkaError::AdminOp(code)) => Err(code),
        Err(error) => panic!("creating {name}: {error}"),
    }
}

/// Notes each delivery.
struct Deliveries(Arc<Notes>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let noted = match result {
            Ok(message) => record(message).map(|record| lock(&self.0.acknowledged).push(record)),
            Err((error, message)) => Err(format!("librdkafka, partition {}: {error}", message.partition())),
        };
        noted.unwrap_or_else(|refusal| self.0.refuse(refusal));
    }
}

fn record(message: &BorrowedMessage<'_>) -> Result<Record, String> {
    let (producer, sequence) = identify(message.payload().unwrap_or_default())?;
    Ok(Record { producer, partition: message.partition(), offset: message.offset(), sequence })
}

fn producer(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> ThreadedProducer<Deliveries> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("log_level", "2");
    if plan.retries == Retries::Endless {
        config = configuration(bootstrap);
        config.set("message.timeout.ms", "0").set("linger.ms", "1").set("queue.buffering.max.messages", "5000");
    }
    config.set("enable.idempotence", "true").set("acks", "all").set("compression.type", "lz4");
    config.create_with_context(Deliveries(notes.clone())).expect("a producer")
}

/// A thread that sends numbered records to all partitions until told to stop; then waits for every acknowledgement.
/// Gives how many each partition was sent.
pub fn start_producer(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> JoinHandle<Vec<u64>> {
    let (producer, notes, plan) = (producer(bootstrap, plan, notes), notes.clone(), plan.clone());
    thread::spawn(move || {
        send_first(&producer, &notes, &plan);
        while !notes.stop.load(SeqCst) && lock(&notes.refusals).is_empty() {
            (0..plan.partitions).for_each(|partition| send(&producer, &notes, plan.topic, partition));
            // The queue's bound holds while nobody takes records.
            thread::sleep(plan.tick);
        }
        if let Err(error) = producer.flush(PATIENCE) {
            notes.refuse(format!("flushing: {error}"));
        }
        notes.sent.iter().map(|sent| sent.load(SeqCst)).collect()
    })
}

/// One record for each partition, alone in flight.
fn send_first(producer: &ThreadedProducer<Deliveries>, notes: &Notes, plan: &Plan) {
    for partition in 0..plan.partitions {
        send(producer, notes, plan.topic, partition);
    }
    if let Err(error) = producer.flush(PATIENCE) {
        notes.refuse(format!("flushing: {error}"));
    }
}

fn send(producer: &ThreadedProducer<Deliveries>, notes: &Notes, topic: &str, partition: i32) {
    let sent = &notes.sent[partition as usize];
    let value = value(LIBRDKAFKA, sent.load(SeqCst));
    let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(&value);
    match producer.send(record) {
        Ok(()) => drop(sent.fetch_add(1, SeqCst)),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {}
        Err((error, _)) => notes.refuse(format!("librdkafka, partition {partition}: {error}")),
    }
}

fn consumer(bootstrap: &str, group: &str) -> Consumer {
    let mut config = configuration(bootstrap);
    config.set("group.id", group).set("enable.auto.commit", "false");
    config.set("fetch.wait.max.ms", "20").set("fetch.error.backoff.ms", "20").set("enable.partition.eof", "false");
    config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "200");
    // A member begins at the beginning, and must never be sent there again: its deliveries are checked.
    config.set("auto.offset.reset", "earliest");
    Consumer::new(config.create().expect("a consumer"))
}

/// One that reads all partitions, each from its position or its beginning; being sent elsewhere is an error, not a new
/// beginning.
fn reader(bootstrap: &str, plan: &Plan, positions: &BTreeMap<i32, i64>) -> Consumer {
    let mut config = configuration(bootstrap);
    config.set("group.id", "load-auditor").set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    config.set("fetch.wait.max.ms", "20").set("fetch.error.backoff.ms", "20");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..plan.partitions {
        let position = positions.get(&partition).copied().unwrap_or_default();
        list.add_partition_offset(plan.topic, partition, Offset::Offset(position)).expect("a valid offset");
    }
    consumer.assign(&list).expect("an assignment");
    Consumer::new(consumer)
}

/// What a reader is given by one poll. A cluster with faults gives errors now and then, which librdkafka gets over by
/// itself; that what was read is gone is none of these.
fn next(consumer: &Consumer, wait: Duration) -> Result<Option<Record>, String> {
    const GONE: [RDKafkaErrorCode; 3] =
        [RDKafkaErrorCode::AutoOffsetReset, RDKafkaErrorCode::LogTruncation, RDKafkaErrorCode::OffsetOutOfRange];
    match consumer.poll(wait) {
        None => Ok(None),
        Some(Ok(message)) => record(&message).map(Some),
        Some(Err(error)) => match error.rdkafka_error_code() {
            Some(code) if GONE.contains(&code) => Err(format!("reading: {error}")),
            _ => Ok(None),
        },
    }
}

/// A thread that reads everything until told to stop.
pub fn start_reader(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> JoinHandle<()> {
    let (bootstrap, plan, notes) = (bootstrap.to_owned(), plan.clone(), notes.clone());
    thread::spawn(move || {
        let mut positions = BTreeMap::new();
        let mut consumer = reader(&bootstrap, &plan, &positions);
        while !notes.stop.load(SeqCst) {
            match next(&consumer, POLL) {
                Ok(Some(record)) => {
                    positions.insert(record.partition, record.offset + 1);
                    lock(&notes.read).push(record);
                }
                Ok(None) if consumer.is_deadlocked() => consumer = reader(&bootstrap, &plan, &positions),
                Ok(None) => {}
                Err(refusal) => return notes.refuse(refusal),
            }
        }
    })
}

/// Every record of the topic, in the order of the log.
pub fn read_all(bootstrap: &str, plan: &Plan) -> Vec<Record> {
    let consumer = reader(bootstrap, plan, &BTreeMap::new());
    let end = |partition| {
        let ask = || consumer.fetch_watermarks(plan.topic, partition, ANSWER).ok();
        wait_for("the end of a partition", PATIENCE, ask).1
    };
    let ends: BTreeMap<_, _> = (0..plan.partitions).map(|partition| (partition, end(partition))).collect();
    let mut found = Vec::new();
    let mut next_offsets: BTreeMap<_, _> = (0..plan.partitions).map(|partition| (partition, 0)).collect();
    while ends != next_offsets {
        let wait = Duration::from_millis(200);
        let record = wait_for("the next record", PATIENCE, || next(&consumer, wait).expect("a sound log"));
        next_offsets.insert(record.partition, record.offset + 1);
        found.push(record);
    }
    found
}

/// A client that asks for the group's offsets.
pub fn member(bootstrap: &str) -> Consumer {
    consumer(bootstrap, GROUP)
}

pub fn committed_offsets(member: &Consumer, plan: &Plan) -> Result<BTreeMap<i32, i64>, KafkaError> {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_range(plan.topic, 0, plan.partitions - 1);
    let committed = member.committed_offsets(partitions, ANSWER)?;
    let offsets = committed.elements().into_iter();
    Ok(offsets.filter_map(|one| Some((one.partition(), raw_offset(one.offset())?))).collect())
}

fn raw_offset(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// A thread that reads as a member of the group and commits what it read, until told to stop.
pub fn start_group(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> JoinHandle<()> {
    let (bootstrap, notes, plan) = (bootstrap.to_owned(), notes.clone(), plan.clone());
    thread::spawn(move || {
        let join = || {
            let member = consumer(&bootstrap, GROUP);
            member.subscribe(&[plan.topic]).expect("a subscription");
            member
        };
        let mut member = join();
        while !notes.stop.load(SeqCst) {
            let mut positions = BTreeMap::new();
            while positions.len() < plan.partitions as usize
                && let Some(record) = next(&member, POLL).unwrap_or_else(|wrong| panic!("the group: {wrong}"))
            {
                let violation = lock(&notes.commits).check_delivery(record.partition, record.offset);
                assert_eq!(violation, None);
                positions.insert(record.partition, record.offset + 1);
            }
            commit(&member, &plan, &positions, &notes);
            if positions.is_empty() && member.is_deadlocked() {
                member = join();
            }
        }
    })
}

fn commit(member: &Consumer, plan: &Plan, positions: &BTreeMap<i32, i64>, notes: &Notes) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        list.add_partition_offset(plan.topic, *partition, Offset::Offset(*offset)).expect("a valid offset");
    }
    if positions.is_empty() {
        return;
    }
    match member.within(PATIENCE, move |member| member.commit(&list, CommitMode::Sync)) {
        Some(Ok(())) => {}
        Some(Err(_)) => return,
        None if !member.answers() => return,
        None => return notes.refuse("the group: a commit was not answered".to_owned()),
    }
    let mut commits = lock(&notes.commits);
    positions.iter().for_each(|(partition, offset)| commits.acknowledge(*partition, *offset));
    notes.commits_acknowledged.fetch_add(1, SeqCst);
}
