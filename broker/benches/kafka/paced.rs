//! Paced load through librdkafka with its defaults: what a record costs, and how long it takes from send to receipt, when
//! the broker is far from its limit.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use crate::batch::RECORD_BYTES;
use crate::load::PARTITIONS;
use crate::process::{self, Usage};

/// Records are sent in ticks of this length, as many as are due.
const TICK: Duration = Duration::from_millis(1);

/// How long the last record may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pace, and how long the load runs, before and while it is measured.
#[derive(Clone, Copy)]
pub struct Phases {
    pub records_a_second: u64,
    pub warm_up: Duration,
    pub measured: Duration,
}

impl Phases {
    fn records(self) -> u64 {
        self.due((self.warm_up + self.measured).as_secs_f64())
    }

    /// How many records are due so many seconds after the start.
    fn due(self, seconds: f64) -> u64 {
        (seconds * self.records_a_second as f64) as u64
    }

    fn due_time(self, record: u64) -> Duration {
        Duration::from_secs_f64(record as f64 / self.records_a_second as f64)
    }
}

pub struct Outcome {
    pub usage: Usage,
    /// Of every record in the measured phase, sorted.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// The latency, in milliseconds, that the share `quantile` of the records stayed within.
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        let rank = (self.latencies.len() as f64 * quantile).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }

    pub fn records(&self) -> u64 {
        self.latencies.len() as u64
    }
}

/// Writes to and reads from the topic at the same time. Errors: a record is missing at the end, or came twice.
pub fn run(pids: &[u32], bootstrap: &str, topic: &str, phases: Phases) -> Result<Outcome> {
    let producer = idempotent_producer(bootstrap)?;
    let consumer = consumer_of(bootstrap, topic)?;
    let start = Instant::now();
    thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&consumer, start, phases));
        let sending = scope.spawn(|| send(&producer, topic, start, phases));
        sleep_until(start + phases.warm_up);
        let usage = process::usage_during(pids, || {
            sleep_until(start + phases.warm_up + phases.measured);
            Ok(())
        });
        sending.join().map_err(|_| anyhow!("the sending thread panicked"))??;
        let latencies = receiving.join().map_err(|_| anyhow!("the receiving thread panicked"))??;
        Ok(Outcome { usage: usage?, latencies })
    })
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Idempotent, with librdkafka's defaults otherwise: acks=all, linger of 5 ms, sticky random partitions.
fn idempotent_producer(bootstrap: &str) -> Result<ThreadedProducer<DefaultProducerContext>> {
    Ok(client(bootstrap).set("enable.idempotence", "true").create()?)
}

/// Reads all partitions from their start; no group, no commits.
fn consumer_of(bootstrap: &str, topic: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer =
        client(bootstrap).set("group.id", "bench").set("enable.auto.commit", "false").create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// Each record carries the time it was due, not the time it was sent: a client that falls behind hides nothing.
fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    start: Instant,
    phases: Phases,
) -> Result<()> {
    let mut payload = vec![0; RECORD_BYTES];
    SmallRng::seed_from_u64(1).fill_bytes(&mut payload);
    let records = phases.records();
    let mut sent = 0;
    while sent < records {
        let due = phases.due(start.elapsed().as_secs_f64());
        for number in sent..due.min(records) {
            payload[..8].copy_from_slice(&phases.due_time(number).as_nanos().to_be_bytes()[8..]);
            let record = BaseRecord::<(), [u8]>::to(topic).payload(&payload);
            producer.send(record).map_err(|(error, _)| error).context("sending a record")?;
        }
        sent = sent.max(due.min(records));
        thread::sleep(TICK);
    }
    producer.flush(PATIENCE).context("flushing")
}

/// The latencies of the records that were due in the measured phase.
fn receive(consumer: &BaseConsumer, start: Instant, phases: Phases) -> Result<Vec<Duration>> {
    let expected = phases.records();
    let deadline = start + phases.warm_up + phases.measured + PATIENCE;
    let mut latencies = Vec::with_capacity(expected as usize);
    let mut received = 0;
    while received < expected {
        ensure!(Instant::now() < deadline, "{received} of {expected} records came back in time");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        let due = message.payload().and_then(|payload| payload.first_chunk()).context("a record without a time")?;
        let due = Duration::from_nanos(u64::from_be_bytes(*due));
        received += 1;
        if due >= phases.warm_up {
            latencies.push(start.elapsed().saturating_sub(due));
        }
    }
    ensure!(consumer.poll(Duration::from_millis(100)).is_none(), "more records came back than were sent");
    latencies.sort_unstable();
    Ok(latencies)
}

fn sleep_until(instant: Instant) {
    thread::sleep(instant.saturating_duration_since(Instant::now()));
}
