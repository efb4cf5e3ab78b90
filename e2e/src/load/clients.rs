//! The producer and the reader, on librdkafka with its own settings.

use super::notes::{Acknowledged, Notes, Read, lock};
use super::{PATIENCE, Plan};
use barnabas_testing::consumer::Consumer;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of a record besides its number.
const FILLING: usize = 100;

/// Notes each delivery.
struct Deliveries(Arc<Notes>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let at = Instant::now();
        match result {
            Ok(message) => match sequence(message.payload()) {
                Some(sequence) => {
                    let acknowledged = Acknowledged { sequence, offset: message.offset(), at };
                    self.0.partition(message.partition()).acknowledged.push(acknowledged);
                    self.0.news.send_replace(());
                }
                None => self.0.refuse("a delivery of a record that was never sent".to_owned()),
            },
            Err((error, message)) => {
                self.0.refuse(format!("a produce failed, partition {}: {error}", message.partition()));
            }
        }
    }
}

/// A thread that sends numbered records to all partitions until it is told to stop; then waits for all acknowledgements.
pub fn start_producer(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> anyhow::Result<JoinHandle<()>> {
    let mut config = plan.configuration(bootstrap);
    config.set("enable.idempotence", "true").set("acks", "all");
    let producer: ThreadedProducer<Deliveries> = config.create_with_context(Deliveries(notes.clone()))?;
    let (notes, plan) = (notes.clone(), plan.clone());
    Ok(thread::spawn(move || {
        let tick = Duration::from_secs(1) * plan.partitions as u32 / plan.records_per_second;
        while !notes.stop_sending.load(SeqCst) && lock(&notes.refusals).is_empty() {
            (0..plan.partitions).for_each(|partition| send(&producer, &notes, &plan.topic, partition));
            // The rate, not a wait for anything.
            thread::sleep(tick);
        }
        if let Err(error) = producer.flush(PATIENCE) {
            notes.refuse(format!("the last records: {error}"));
        }
    }))
}

fn send(producer: &ThreadedProducer<Deliveries>, notes: &Notes, topic: &str, number: i32) {
    let sequence = notes.partition(number).sent.len() as u64;
    let value = format!("{sequence} {:.<FILLING$}", "");
    let key = number.to_string();
    // Before it is sent: the answer may be there before the next line.
    notes.partition(number).sent.push(Instant::now());
    let record = BaseRecord::to(topic).partition(number).key(&key).payload(&value);
    if let Err((error, _)) = producer.send(record) {
        notes.partition(number).sent.pop();
        if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
            notes.refuse(format!("a produce failed, partition {number}: {error}"));
        }
    }
}

/// A thread that reads all partitions from their beginning until it is told to stop.
pub fn start_reader(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> anyhow::Result<JoinHandle<()>> {
    let mut consumer = reader(bootstrap, plan, notes)?;
    let (bootstrap, plan, notes) = (bootstrap.to_owned(), plan.clone(), notes.clone());
    Ok(thread::spawn(move || {
        while !notes.stop_reading.load(SeqCst) {
            let found_nothing = !read(&consumer, &notes);
            if found_nothing && consumer.is_deadlocked() {
                match reader(&bootstrap, &plan, &notes) {
                    Ok(another) => consumer = another,
                    Err(error) => return notes.refuse(format!("another reader: {error}")),
                }
            }
        }
    }))
}

/// One that goes on behind what is read.
fn reader(bootstrap: &str, plan: &Plan, notes: &Notes) -> anyhow::Result<Consumer> {
    let mut config = plan.configuration(bootstrap);
    // Being sent elsewhere is an error, not a new beginning.
    config.set("group.id", "barnabas-e2e-load").set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..plan.partitions {
        let position = notes.partition(partition).read.last().map_or(0, |last| last.offset + 1);
        assignment.add_partition_offset(&plan.topic, partition, Offset::Offset(position))?;
    }
    consumer.assign(&assignment)?;
    Ok(Consumer::new(consumer))
}

/// Whether there was something. Faults give errors now and then, which librdkafka gets over by itself; that what was read is
/// gone is none of these.
fn read(consumer: &Consumer, notes: &Notes) -> bool {
    const GONE: [RDKafkaErrorCode; 3] =
        [RDKafkaErrorCode::AutoOffsetReset, RDKafkaErrorCode::LogTruncation, RDKafkaErrorCode::OffsetOutOfRange];
    match consumer.poll(Duration::from_millis(50)) {
        None => return false,
        Some(Ok(message)) => match sequence(message.payload()) {
            Some(sequence) => {
                notes.partition(message.partition()).read.push(Read { sequence, offset: message.offset() });
                notes.news.send_replace(());
            }
            None => notes.refuse("a record was read that was never sent".to_owned()),
        },
        Some(Err(error)) => {
            *lock(&notes.last_error) = Some(error.to_string());
            if error.rdkafka_error_code().is_some_and(|code| GONE.contains(&code)) {
                notes.refuse(format!("reading: {error}"));
            }
        }
    }
    true
}

fn sequence(payload: Option<&[u8]>) -> Option<u64> {
    str::from_utf8(payload?).ok()?.split(' ').next()?.parse().ok()
}
