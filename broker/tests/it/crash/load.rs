//! The load: an idempotent producer and a group with one member, both on librdkafka, which note what the broker
//! acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use super::checker::{Commits, Record, check_records};
use crate::support::wait::wait_for;

const TOPIC: &str = "crash";
const GROUP: &str = "crash-readers";
const PARTITIONS: i32 = 4;
/// How long clients may need to come back after a restart, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the clients noted.
#[derive(Default)]
struct Notes {
    acknowledged: Mutex<Vec<Record>>,
    acknowledgements: AtomicU64,
    /// Why records were not acknowledged. Kept here, not panicked with: librdkafka's threads must not unwind.
    refusals: Mutex<Vec<String>>,
    commits: Mutex<Commits>,
    commits_acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Notes {
    fn refuse(&self, partition: i32, error: &KafkaError) {
        lock(&self.refusals).push(format!("partition {partition}: {error}"));
    }
}

/// A running load.
pub struct Load {
    bootstrap: String,
    notes: Arc<Notes>,
    producer: JoinHandle<[u64; PARTITIONS as usize]>,
    group: JoinHandle<()>,
    committed: BaseConsumer,
}

impl Load {
    /// Creates the topic, starts the clients, and waits until every partition has acknowledged a record. That makes the
    /// producer known: a broker accepts any sequence as the first of an unknown producer (KIP-98), Apache Kafka also
    /// that of a second batch whose first was refused while the leader was starting.
    pub fn start(bootstrap: &str) -> Load {
        create_topic(bootstrap);
        let notes = Arc::new(Notes::default());
        let producer = producer(bootstrap, &notes);
        let group = consumer(bootstrap, GROUP);
        group.subscribe(&[TOPIC]).expect("a subscription");
        let [for_producer, for_group] = [notes.clone(), notes.clone()];
        let load = Load {
            bootstrap: bootstrap.to_owned(),
            notes,
            producer: thread::spawn(move || produce(&producer, &for_producer)),
            group: thread::spawn(move || read_and_commit(&group, &for_group)),
            committed: consumer(bootstrap, GROUP),
        };
        wait_for("an acknowledged record in each partition", PATIENCE, || {
            load.assert_clients_run();
            let partitions: BTreeSet<_> = lock(&load.notes.acknowledged).iter().map(|one| one.partition).collect();
            (partitions.len() == PARTITIONS as usize).then_some(())
        });
        load
    }

    /// Waits until one more record is acknowledged.
    pub fn wait_for_acknowledgements(&self) {
        let before = self.notes.acknowledgements.load(SeqCst);
        wait_for("an acknowledged record", PATIENCE, || {
            self.assert_clients_run();
            (self.notes.acknowledgements.load(SeqCst) > before).then_some(())
        });
    }

    /// Asks the broker for the group's offsets, then waits until the group has committed once more.
    pub fn check_committed_offsets(&self) {
        let commits = lock(&self.notes.commits).clone();
        let found = wait_for("the committed offsets", PATIENCE, || self.committed_offsets().ok());
        assert_eq!(commits.check(&found), []);
        let before = self.notes.commits_acknowledged.load(SeqCst);
        wait_for("an acknowledged commit", PATIENCE, || {
            self.assert_clients_run();
            (self.notes.commits_acknowledged.load(SeqCst) > before).then_some(())
        });
    }

    /// Stops the clients, and compares the log with what was acknowledged.
    pub fn finish(self) {
        self.notes.stop.store(true, SeqCst);
        let sent = self.producer.join().expect("the producer saw nothing wrong");
        self.group.join().expect("the group saw nothing wrong");
        assert_eq!(lock(&self.notes.refusals).first(), None);
        let acknowledged = lock(&self.notes.acknowledged);
        assert_eq!(acknowledged.len() as u64, sent.iter().sum::<u64>(), "all is acknowledged in the end");
        let found = read_all(&self.bootstrap);
        let violations = check_records(&acknowledged, &found);
        assert_eq!(violations[..violations.len().min(20)], [], "{} violations", violations.len());
        println!("{} records acknowledged, sent to each partition: {sent:?}", acknowledged.len());
        println!("{} commits acknowledged", self.notes.commits_acknowledged.load(SeqCst));
    }

    fn committed_offsets(&self) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(TOPIC, 0, PARTITIONS - 1);
        let committed = self.committed.committed_offsets(partitions, Duration::from_secs(5))?;
        let offsets = committed.elements().into_iter();
        Ok(offsets.filter_map(|one| Some((one.partition(), raw_offset(one.offset())?))).collect())
    }

    /// A client thread ends early only when it was refused, or by a panic, whose message is printed already.
    fn assert_clients_run(&self) {
        assert_eq!(lock(&self.notes.refusals).first(), None);
        assert!(!self.producer.is_finished() && !self.group.is_finished(), "a client saw something wrong");
    }
}

fn raw_offset(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no client panicked")
}

/// Clients that come back quickly after a restart.
fn configuration(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config.set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "50");
    config.set("retry.backoff.ms", "20").set("retry.backoff.max.ms", "100");
    config.set("socket.timeout.ms", "10000").set("log_level", "2");
    config
}

fn create_topic(bootstrap: &str) {
    let admin: AdminClient<DefaultClientContext> = configuration(bootstrap).create().expect("an admin client");
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let created = admin.create_topics([&topic], &AdminOptions::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(runtime.block_on(created).expect("an answer"), [Ok(TOPIC.to_owned())]);
}

/// Notes each delivery.
struct Deliveries(Arc<Notes>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = match result {
            Ok(message) => message,
            // Nothing expires and retries never end: an error here is the broker's refusal.
            Err((error, message)) => return self.0.refuse(message.partition(), error),
        };
        let sequence = sequence(message.payload().expect("a payload"));
        let record = Record { partition: message.partition(), offset: message.offset(), sequence };
        lock(&self.0.acknowledged).push(record);
        self.0.acknowledgements.fetch_add(1, SeqCst);
    }
}

fn producer(bootstrap: &str, notes: &Arc<Notes>) -> ThreadedProducer<Deliveries> {
    let mut config = configuration(bootstrap);
    config.set("enable.idempotence", "true").set("acks", "all").set("message.timeout.ms", "0");
    config.set("linger.ms", "1").set("compression.type", "lz4").set("queue.buffering.max.messages", "5000");
    config.create_with_context(Deliveries(notes.clone())).expect("a producer")
}

/// Sends numbered records to all partitions until told to stop; then waits for every acknowledgement. Returns how many
/// each partition was sent.
fn produce(producer: &ThreadedProducer<Deliveries>, notes: &Notes) -> [u64; PARTITIONS as usize] {
    let mut sent = [0; PARTITIONS as usize];
    while !notes.stop.load(SeqCst) {
        for (partition, next) in (0..).zip(&mut sent) {
            let value = value(*next);
            let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(TOPIC).partition(partition).payload(&value);
            match producer.send(record) {
                Ok(()) => *next += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {}
                Err((error, _)) => {
                    notes.refuse(partition, &error);
                    return sent;
                }
            }
        }
        // The pace: up to 4,000 records a second. The queue's bound holds while the broker is down.
        thread::sleep(Duration::from_millis(1));
    }
    if let Err(error) = producer.flush(PATIENCE) {
        notes.refuse(-1, &error);
    }
    sent
}

/// The number, and bytes of a length that differs from record to record.
fn value(sequence: u64) -> Vec<u8> {
    let filling = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let length = (sequence * 37 % 900) as usize;
    sequence.to_be_bytes().into_iter().chain(filling.into_iter().cycle().take(length)).collect()
}

/// The number of a record, whose filling must be what was sent.
fn sequence(payload: &[u8]) -> u64 {
    let sequence = u64::from_be_bytes(payload[..8].try_into().expect("eight bytes"));
    assert_eq!(payload, value(sequence), "the bytes of record {sequence}");
    sequence
}

fn consumer(bootstrap: &str, group: &str) -> BaseConsumer {
    let mut config = configuration(bootstrap);
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("fetch.wait.max.ms", "20").set("fetch.error.backoff.ms", "20").set("enable.partition.eof", "false");
    config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "200");
    config.create().expect("a consumer")
}

/// Reads as a member of the group and commits what it read, until told to stop.
fn read_and_commit(consumer: &BaseConsumer, notes: &Notes) {
    while !notes.stop.load(SeqCst) {
        let mut positions = BTreeMap::new();
        while positions.len() < PARTITIONS as usize
            && let Some(message) = consumer.poll(Duration::from_millis(20))
        {
            // The broker is down now and then: librdkafka says so, and goes on.
            let Ok(message) = message else { continue };
            sequence(message.payload().expect("a payload"));
            let violation = lock(&notes.commits).check_delivery(message.partition(), message.offset());
            assert_eq!(violation, None);
            positions.insert(message.partition(), message.offset() + 1);
        }
        commit(consumer, &positions, notes);
    }
}

fn commit(consumer: &BaseConsumer, positions: &BTreeMap<i32, i64>, notes: &Notes) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        list.add_partition_offset(TOPIC, *partition, Offset::Offset(*offset)).expect("a valid offset");
    }
    if positions.is_empty() || consumer.commit(&list, CommitMode::Sync).is_err() {
        return;
    }
    let mut commits = lock(&notes.commits);
    positions.iter().for_each(|(partition, offset)| commits.acknowledge(*partition, *offset));
    notes.commits_acknowledged.fetch_add(1, SeqCst);
}

/// Every record of the topic, in the order of the log.
fn read_all(bootstrap: &str) -> Vec<Record> {
    let consumer = consumer(bootstrap, "crash-auditor");
    let watermarks = |partition| consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(30));
    let ends: BTreeMap<_, _> = (0..PARTITIONS).map(|p| (p, watermarks(p).expect("watermarks").1)).collect();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Beginning).expect("a valid offset");
    }
    consumer.assign(&list).expect("an assignment");
    let mut found = Vec::new();
    let mut next = BTreeMap::from_iter((0..PARTITIONS).map(|partition| (partition, 0)));
    while ends != next {
        let message = wait_for("the next record", PATIENCE, || consumer.poll(Duration::from_secs(1)));
        let message = message.expect("a record");
        let (partition, offset) = (message.partition(), message.offset());
        found.push(Record { partition, offset, sequence: sequence(message.payload().expect("a payload")) });
        next.insert(partition, offset + 1);
    }
    found
}
