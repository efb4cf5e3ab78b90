//! Saturating load, raw: a thread, a connection and a partition for each producer and consumer.
//!
//! The requests are built here and not by a client library: the size of a batch is what the measure says it is, and the
//! client's own work takes little from the broker on a small machine.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::batch::{self, ProduceFrame, ProducerId};
use crate::connection::Connection;
use crate::wire::{self, Writer};

/// Producers, consumers and partitions of each load.
pub const PARTITIONS: i32 = 4;

/// The load lies behind the one record that proves a new partition to be serving.
const FIRST_OFFSET: i64 = 1;
const SERVING_LIMIT: Duration = Duration::from_secs(60);

/// Kafka's bound for idempotent producers (`max.in.flight.requests.per.connection`).
const IN_FLIGHT_MAX: u64 = 5;

/// The defaults of a Java consumer.
const FETCH_MAX_WAIT_MS: i32 = 500;
const FETCH_MIN_BYTES: i32 = 1;
const FETCH_MAX_BYTES: i32 = 50 * 1024 * 1024;
const MAX_PARTITION_FETCH_BYTES: i32 = 1024 * 1024;

/// Idempotent producers with acks=all, one for each partition of a topic.
pub struct Producers(Vec<Producer>);

impl Producers {
    /// Creates the topic, and a producer for each partition that sends one batch of `batch_records` in a request.
    pub fn open(port: u16, topic: &str, replicas: i16, batch_records: i32) -> Result<Self> {
        let mut connection = Connection::open(port)?;
        connection.create_topic(topic, PARTITIONS, replicas)?;
        let metadata = connection.metadata(topic)?;
        let producers = metadata.partitions.iter().map(|partition| {
            let leader = metadata.port_of(partition.leader.context("a partition without a leader")?)?;
            Producer::open(leader, topic, partition.index, batch_records)
        });
        producers.collect::<Result<_>>().map(Self)
    }

    /// The size of one batch as it goes over the wire.
    pub fn batch_bytes(&self) -> usize {
        self.0.first().map_or(0, |producer| producer.frame.batch_bytes())
    }

    /// Writes at least `records` records, and returns how many once all are acknowledged.
    pub fn produce(&mut self, records: u64) -> Result<u64> {
        let each = records.div_ceil(self.0.len() as u64);
        in_parallel(&mut self.0, |producer| producer.produce(each))
    }
}

struct Producer {
    connection: Connection,
    frame: ProduceFrame,
    batch_records: u64,
    next_sequence: i32,
    next_offset: i64,
}

impl Producer {
    fn open(port: u16, topic: &str, partition: i32, batch_records: i32) -> Result<Self> {
        let mut connection = Connection::open(port)?;
        // Metadata may name a leader before it is one: a record says that it serves.
        connection.await_writable(topic, &[partition], Instant::now() + SERVING_LIMIT)?;
        let (id, epoch) = connection.init_producer_id()?;
        let frame = ProduceFrame::new(topic, partition, ProducerId { id, epoch }, batch_records);
        Ok(Self { connection, frame, batch_records: batch_records as u64, next_sequence: 0, next_offset: FIRST_OFFSET })
    }

    fn produce(&mut self, records: u64) -> Result<u64> {
        let batches = records.div_ceil(self.batch_records);
        let mut sent = 0;
        for acknowledged in 0..batches {
            while sent < batches && sent - acknowledged < IN_FLIGHT_MAX {
                self.send()?;
                sent += 1;
            }
            self.acknowledge()?;
        }
        Ok(batches * self.batch_records)
    }

    fn send(&mut self) -> Result<()> {
        let frame = self.frame.stamp(self.connection.next_correlation_id(), self.next_sequence);
        self.connection.send(frame)?;
        self.next_sequence += self.batch_records as i32;
        Ok(())
    }

    /// Nobody else writes to the partition: each batch must lie behind the one before.
    fn acknowledge(&mut self) -> Result<()> {
        let answers = wire::read_acknowledgements(self.connection.receive(wire::PRODUCE)?)?;
        let answer = answers.first().context("Produce answered for no partition")?;
        ensure!(answer.error_code == 0, "Produce answered error code {}", answer.error_code);
        ensure!(answer.base_offset == self.next_offset, "acknowledged at offset {}", answer.base_offset);
        self.next_offset += self.batch_records as i64;
        Ok(())
    }
}

/// Consumers with a Java consumer's defaults, one for each partition of a topic.
pub struct Consumers(Vec<Consumer>);

impl Consumers {
    pub fn open(port: u16, topic: &str) -> Result<Self> {
        (0..PARTITIONS).map(|partition| Consumer::open(port, topic, partition)).collect::<Result<_>>().map(Self)
    }

    /// Reads the first `records` records of every partition, `passes` times, and returns how many came.
    pub fn consume(&mut self, records: u64, passes: u64) -> Result<u64> {
        in_parallel(&mut self.0, |consumer| (0..passes).map(|_| consumer.consume(records)).sum())
    }
}

struct Consumer {
    connection: Connection,
    topic: String,
    partition: i32,
}

impl Consumer {
    fn open(port: u16, topic: &str, partition: i32) -> Result<Self> {
        Ok(Self { connection: Connection::open(port)?, topic: topic.to_owned(), partition })
    }

    fn consume(&mut self, records: u64) -> Result<u64> {
        let mut offset = FIRST_OFFSET;
        while offset < FIRST_OFFSET + records as i64 {
            let batches = self.fetch(offset)?;
            let next = batch::end_offset(batches, offset).context("batches that do not follow each other")?;
            ensure!(next > offset, "nothing at offset {offset}");
            offset = next;
        }
        Ok((offset - FIRST_OFFSET) as u64)
    }

    fn fetch(&mut self, offset: i64) -> Result<&[u8]> {
        let mut frame = Writer::frame(wire::FETCH, self.connection.next_correlation_id());
        frame.i32(-1).i32(FETCH_MAX_WAIT_MS).i32(FETCH_MIN_BYTES).i32(FETCH_MAX_BYTES).i8(0).i32(0).i32(-1);
        frame.compact_len(1).compact_string(&self.topic).compact_len(1);
        frame.i32(self.partition).i32(-1).i64(offset).i32(-1).i64(-1).i32(MAX_PARTITION_FETCH_BYTES);
        frame.no_tags().no_tags().compact_len(0).compact_string("").no_tags();
        self.connection.send(&frame.finish_frame())?;
        wire::read_fetched(self.connection.receive(wire::FETCH)?)
    }
}

/// Runs `work` for each worker in a thread of its own, and adds up what they did.
fn in_parallel<W: Send>(workers: &mut [W], work: impl Fn(&mut W) -> Result<u64> + Sync) -> Result<u64> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a load thread panicked"))?).sum()
    })
}
