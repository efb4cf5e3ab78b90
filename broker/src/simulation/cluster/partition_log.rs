//! A partition's log in memory: the epochs and the producers are the log's own, the bytes are left out.

use crate::log::{BatchHeader, LeaderEpochs, Origin, ProducerError, ProducerState};
use crate::protocol::ErrorCode;
use rand::Rng;
use rand::rngs::SmallRng;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The producer of batches that nobody tells apart.
pub const NO_PRODUCER: i64 = -1;

/// What a producer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Produced {
    pub producer: i64,
    pub sequence: i32,
    pub count: i32,
    /// Tells batches of no producer apart.
    pub value: u64,
}

/// One batch, and a hash of it and all before it: two logs with the same chain at an offset are equal up to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub produced: Produced,
    pub chain: u64,
}

impl Batch {
    pub fn end_offset(&self) -> i64 {
        self.base_offset + i64::from(self.produced.count)
    }

    fn header(&self) -> BatchHeader {
        let Produced { producer, sequence, count, .. } = self.produced;
        BatchHeader {
            base_offset: self.base_offset,
            size: 100,
            leader_epoch: self.leader_epoch,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: producer,
            producer_epoch: if producer == NO_PRODUCER { -1 } else { 0 },
            base_sequence: sequence,
            record_count: count,
        }
    }
}

/// What the disk of a machine holds of a partition.
#[derive(Debug, Default)]
pub struct PartitionLog {
    batches: Vec<Batch>,
    epochs: LeaderEpochs,
    producers: ProducerState,
    /// What a power loss leaves.
    synced_end: i64,
    /// How often the log was cut: a sync that began before says nothing about what was written since.
    pub cuts: u64,
    /// The high watermark as it was written down last.
    pub checkpoint: i64,
}

impl PartitionLog {
    pub fn end(&self) -> i64 {
        self.batches.last().map_or(0, Batch::end_offset)
    }

    pub fn synced_end(&self) -> i64 {
        self.synced_end
    }

    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    pub fn last_epoch(&self) -> i32 {
        self.epochs.epoch_at(self.end() - 1).unwrap_or(-1)
    }

    pub fn begin_epoch(&mut self, epoch: i32) {
        self.epochs.assign(epoch, self.end());
    }

    pub fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        self.epochs.end_offset_for(epoch, self.end())
    }

    /// Appends what a client sends, unless it was before; gives the base offset.
    pub fn append(&mut self, produced: Produced, leader_epoch: i32) -> Result<i64, ErrorCode> {
        let batch = self.next_batch(produced, leader_epoch);
        let header = batch.header();
        if header.has_producer() {
            if let Some(known) = self.producers.duplicate(&header) {
                return Ok(known.base_offset());
            }
            self.producers.check_batch(&header, Origin::Producer).map_err(|error| match error {
                ProducerError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
                other => unreachable!("{other:?}"),
            })?;
        }
        self.push(batch);
        Ok(batch.base_offset)
    }

    /// Appends what a leader has; what does not follow the end is refused.
    pub fn append_replicated(&mut self, batches: &[Batch]) {
        for batch in batches {
            if batch.base_offset != self.end() {
                return;
            }
            self.push(self.next_batch(batch.produced, batch.leader_epoch));
        }
    }

    fn next_batch(&self, produced: Produced, leader_epoch: i32) -> Batch {
        let (base_offset, before) = (self.end(), self.batches.last().map_or(0, |batch| batch.chain));
        let mut hasher = DefaultHasher::new();
        (before, base_offset, leader_epoch, produced).hash(&mut hasher);
        Batch { base_offset, leader_epoch, produced, chain: hasher.finish() }
    }

    fn push(&mut self, batch: Batch) {
        self.epochs.assign(batch.leader_epoch, batch.base_offset);
        if batch.header().has_producer() {
            self.producers.append_batch(&batch.header(), 0);
        }
        self.batches.push(batch);
    }

    /// Whole batches from `offset` on that end before `limit`, `count` of them at most.
    pub fn read(&self, offset: i64, limit: i64, count: usize) -> Vec<Batch> {
        let from = self.batches.partition_point(|batch| batch.end_offset() <= offset);
        self.batches[from..].iter().take_while(|batch| batch.end_offset() <= limit).take(count).copied().collect()
    }

    pub fn truncate(&mut self, end_offset: i64) {
        self.batches.retain(|batch| batch.end_offset() <= end_offset);
        self.synced_end = self.synced_end.min(self.end());
        self.cuts += 1;
        self.recover();
    }

    pub fn synced(&mut self, end_offset: i64, cuts: u64) {
        if cuts == self.cuts {
            self.synced_end = self.synced_end.max(end_offset);
        }
    }

    /// The machine loses power: of what was not synced the beginning may be kept.
    pub fn lose_power(&mut self, random: &mut SmallRng) {
        let kept = random.random_range(self.synced_end..=self.end());
        self.truncate(if random.random_bool(0.5) { self.synced_end } else { kept });
        self.synced_end = self.end();
    }

    /// Derives from the records what is derived from them.
    fn recover(&mut self) {
        self.epochs.truncate_from_end(self.end());
        self.producers.clear();
        for batch in self.batches.iter().filter(|batch| batch.header().has_producer()) {
            self.producers.append_batch(&batch.header(), 0);
        }
    }

    /// The chain before `offset`, if a batch ends there.
    pub fn chain_at(&self, offset: i64) -> Option<u64> {
        if offset == 0 {
            return Some(0);
        }
        let at = self.batches.binary_search_by_key(&offset, Batch::end_offset).ok()?;
        Some(self.batches[at].chain)
    }
}
