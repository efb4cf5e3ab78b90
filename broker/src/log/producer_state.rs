//! What a log remembers of the producers that write to it: sequences, epochs, transactions (KIP-98, KIP-360). Pure.
//!
//! - The last five batches of a producer are known: one of them sent again is answered with the offsets it has.
//! - The last stable offset never passes the first record of a transaction whose end is not yet replicated.

use super::batch_header::BatchHeader;
use crate::protocol::batch::{NO_PRODUCER_EPOCH, NO_SEQUENCE};
use std::collections::{BTreeMap, HashMap};

/// How many batches of a producer are remembered: as many as an idempotent producer may have in flight.
pub const REMEMBERED_BATCHES: usize = 5;

/// Who appends, and what is therefore checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client: everything is checked.
    Producer,
    /// The broker's own coordinators and the controller: trusted bytes, checked epochs.
    Coordinator,
    /// A leader's batches, which it has checked: taken as they are.
    Replication,
}

/// One remembered batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMetadata {
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    pub timestamp: i64,
}

impl BatchMetadata {
    pub fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn is(&self, header: &BatchHeader) -> bool {
        self.last_sequence == header.last_sequence() && self.offset_delta == header.last_offset_delta
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    pub epoch: i16,
    /// Oldest first, `batch_count` of them.
    batches: [BatchMetadata; REMEMBERED_BATCHES],
    batch_count: u8,
    /// When it last wrote: the broker's clock where it was seen, the batch's timestamp where it was read from the log.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that ended its last transaction, or -1.
    pub coordinator_epoch: i32,
    pub current_txn_first_offset: Option<i64>,
}

impl Producer {
    fn new(epoch: i16) -> Producer {
        Producer {
            epoch,
            batches: Default::default(),
            batch_count: 0,
            last_timestamp: -1,
            coordinator_epoch: -1,
            current_txn_first_offset: None,
        }
    }

    /// One producer as a snapshot or a request to describe it holds it.
    pub fn restored(
        epoch: i16,
        last_batch: Option<BatchMetadata>,
        last_timestamp: i64,
        coordinator_epoch: i32,
        current_txn_first_offset: Option<i64>,
    ) -> Producer {
        let mut producer =
            Producer { last_timestamp, coordinator_epoch, current_txn_first_offset, ..Producer::new(epoch) };
        if let Some(batch) = last_batch {
            producer.remember(batch);
        }
        producer
    }

    fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.batch_count)]
    }

    pub fn last_batch(&self) -> Option<BatchMetadata> {
        self.batches().last().copied()
    }

    fn remember(&mut self, batch: BatchMetadata) {
        if usize::from(self.batch_count) == REMEMBERED_BATCHES {
            self.batches.rotate_left(1);
            self.batch_count -= 1;
        }
        self.batches[usize::from(self.batch_count)] = batch;
        self.batch_count += 1;
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }
}

/// What is shown of a producer (DescribeProducers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerDescription {
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// -1 if it is not known.
    pub last_sequence: i32,
    pub last_timestamp: i64,
    /// -1 if none of its transactions was ended yet.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction.
    pub current_txn_start_offset: Option<i64>,
}

/// Why a producer's batch is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerError {
    OutOfOrderSequence {
        expected: i32,
        found: i32,
    },
    InvalidProducerEpoch {
        current: i16,
        found: i16,
    },
    /// A batch outside of a transaction, from a producer that has one open.
    InvalidTxnState,
    /// A marker of a coordinator that another has replaced.
    CoordinatorFenced {
        current: i32,
        found: i32,
    },
}

/// How a transaction ended, and by which coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    pub committed: bool,
    pub coordinator_epoch: i32,
}

/// A transaction whose marker was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
    pub committed: bool,
    /// The last stable offset that its end makes possible, once the marker is replicated.
    pub last_stable_offset: i64,
}

/// The producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerState {
    producers: HashMap<i64, Producer>,
    /// Open transactions: first offset and producer.
    ongoing: BTreeMap<i64, i64>,
    /// Ended transactions whose marker may not be replicated yet: first offset and the marker's.
    ended: BTreeMap<i64, i64>,
}

impl ProducerState {
    /// The producers and their ids, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.producers.iter().map(|(id, producer)| (*id, producer))
    }

    /// Every producer as it is shown to who asks, by id.
    pub fn describe(&self) -> Vec<ProducerDescription> {
        let describe = |(id, producer): (i64, &Producer)| ProducerDescription {
            producer_id: id,
            producer_epoch: producer.epoch,
            last_sequence: producer.last_batch().map_or(NO_SEQUENCE, |batch| batch.last_sequence),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            current_txn_start_offset: producer.current_txn_first_offset,
        };
        let mut producers: Vec<_> = self.iter().map(describe).collect();
        producers.sort_by_key(|producer| producer.producer_id);
        producers
    }

    /// Takes a producer as a snapshot holds it.
    pub fn restore(&mut self, producer_id: i64, producer: Producer) {
        if let Some(first_offset) = producer.current_txn_first_offset {
            self.ongoing.insert(first_offset, producer_id);
        }
        self.producers.insert(producer_id, producer);
    }

    /// The remembered batch that `header` repeats.
    pub fn duplicate(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        let producer = self.producers.get(&header.producer_id).filter(|known| known.epoch == header.producer_epoch)?;
        producer.batches().iter().find(|batch| batch.is(header)).copied()
    }

    /// Whether a batch with records may follow what the producer has written.
    /// Errors: those of [`ProducerError`]; `Replication` is never refused.
    pub fn check_batch(&self, header: &BatchHeader, origin: Origin) -> Result<(), ProducerError> {
        let Some(producer) = self.producers.get(&header.producer_id) else { return Ok(()) };
        if origin == Origin::Replication {
            return Ok(());
        }
        check_epoch(producer, header)?;
        if origin == Origin::Producer {
            check_sequence(producer, header)?;
        }
        if producer.current_txn_first_offset.is_some() && !header.is_transactional() {
            return Err(ProducerError::InvalidTxnState);
        }
        Ok(())
    }

    /// Whether a transaction's end may be written.
    /// Errors: those of [`ProducerError`]; `Replication` is never refused.
    pub fn check_marker(&self, header: &BatchHeader, marker: Marker, origin: Origin) -> Result<(), ProducerError> {
        let Some(producer) = self.producers.get(&header.producer_id) else { return Ok(()) };
        if origin == Origin::Replication {
            return Ok(());
        }
        check_epoch(producer, header)?;
        if producer.coordinator_epoch > marker.coordinator_epoch {
            let (current, found) = (producer.coordinator_epoch, marker.coordinator_epoch);
            return Err(ProducerError::CoordinatorFenced { current, found });
        }
        Ok(())
    }

    /// Takes note of a batch that was appended at `header.base_offset`, at `timestamp`.
    pub fn append_batch(&mut self, header: &BatchHeader, timestamp: i64) {
        let producer = self.producers.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.set_epoch(header.producer_epoch);
        producer.last_timestamp = timestamp;
        producer.remember(BatchMetadata {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if header.is_transactional() && producer.current_txn_first_offset.is_none() {
            producer.current_txn_first_offset = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, header.producer_id);
        }
    }

    /// Takes note of a transaction's end that was appended at `header.base_offset`; gives the transaction, if the
    /// producer had written anything in it.
    pub fn append_marker(
        &mut self,
        header: &BatchHeader,
        marker: Marker,
        timestamp: i64,
    ) -> Option<CompletedTransaction> {
        let producer = self.producers.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.set_epoch(header.producer_epoch);
        producer.last_timestamp = timestamp;
        producer.coordinator_epoch = marker.coordinator_epoch;
        let first_offset = producer.current_txn_first_offset.take()?;
        let last_offset = header.last_offset();
        self.ongoing.remove(&first_offset);
        self.ended.insert(first_offset, last_offset);
        let last_stable_offset = self.ongoing.keys().next().copied().unwrap_or(last_offset + 1);
        let (producer_id, committed) = (header.producer_id, marker.committed);
        Some(CompletedTransaction { producer_id, first_offset, last_offset, committed, last_stable_offset })
    }

    /// The offset below which every transaction is decided, and its decision replicated. At most `high_watermark`.
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let ongoing = self.ongoing.keys().next().copied();
        let ended = self.ended.iter().find(|(_, marker)| **marker >= high_watermark).map(|(first, _)| *first);
        let unstable = ongoing.into_iter().chain(ended).min().unwrap_or(high_watermark);
        unstable.min(high_watermark)
    }

    /// Forgets ended transactions whose markers are replicated.
    pub fn high_watermark_reached(&mut self, high_watermark: i64) {
        self.ended.retain(|_, marker| *marker >= high_watermark);
    }

    /// Forgets producers without an open transaction that have not written for `expiration_ms`
    /// (`producer.id.expiration.ms`).
    pub fn expire(&mut self, now: i64, expiration_ms: i64) {
        self.producers.retain(|_, producer| {
            producer.current_txn_first_offset.is_some() || now.saturating_sub(producer.last_timestamp) < expiration_ms
        });
    }

    pub fn clear(&mut self) {
        *self = ProducerState::default();
    }
}

fn check_epoch(producer: &Producer, header: &BatchHeader) -> Result<(), ProducerError> {
    if header.producer_epoch < producer.epoch {
        let (current, found) = (producer.epoch, header.producer_epoch);
        return Err(ProducerError::InvalidProducerEpoch { current, found });
    }
    Ok(())
}

/// A known producer goes on where it was, and begins a new epoch at 0. After a producer's own records were deleted, or
/// where only its marker was seen, any sequence may follow.
fn check_sequence(producer: &Producer, header: &BatchHeader) -> Result<(), ProducerError> {
    let found = header.base_sequence;
    let expected = if header.producer_epoch != producer.epoch {
        if producer.epoch == NO_PRODUCER_EPOCH {
            return Ok(());
        }
        0
    } else {
        match producer.last_batch() {
            Some(last) => crate::protocol::batch::sequence_after(last.last_sequence, 1),
            None => 0,
        }
    };
    if found == expected { Ok(()) } else { Err(ProducerError::OutOfOrderSequence { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch::attributes;

    fn batch(producer_id: i64, epoch: i16, sequence: i32, base_offset: i64, records: i32) -> BatchHeader {
        BatchHeader {
            base_offset,
            size: 100,
            leader_epoch: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: 0,
            max_timestamp: 50,
            producer_id,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: records,
        }
    }

    fn transactional(header: BatchHeader) -> BatchHeader {
        BatchHeader { attributes: attributes::TRANSACTIONAL, ..header }
    }

    fn marker(producer_id: i64, epoch: i16, offset: i64) -> BatchHeader {
        let header = batch(producer_id, epoch, -1, offset, 1);
        BatchHeader { attributes: attributes::TRANSACTIONAL | attributes::CONTROL, ..header }
    }

    const COMMIT: Marker = Marker { committed: true, coordinator_epoch: 0 };

    #[test]
    fn a_producer_goes_on_where_it_was() {
        let mut state = ProducerState::default();
        state.append_batch(&batch(1, 0, 0, 10, 3), 0);
        assert_eq!(state.check_batch(&batch(1, 0, 3, 13, 1), Origin::Producer), Ok(()));
        let gap = state.check_batch(&batch(1, 0, 4, 13, 1), Origin::Producer);
        assert_eq!(gap, Err(ProducerError::OutOfOrderSequence { expected: 3, found: 4 }));
        assert_eq!(state.check_batch(&batch(1, 0, 4, 13, 1), Origin::Replication), Ok(()));
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        assert_eq!(ProducerState::default().check_batch(&batch(1, 0, 99, 0, 1), Origin::Producer), Ok(()));
    }

    #[test]
    fn a_new_epoch_begins_at_sequence_zero_and_fences_the_old() {
        let mut state = ProducerState::default();
        state.append_batch(&batch(1, 0, 0, 0, 1), 0);
        let late = state.check_batch(&batch(1, 1, 1, 1, 1), Origin::Producer);
        assert_eq!(late, Err(ProducerError::OutOfOrderSequence { expected: 0, found: 1 }));
        state.append_batch(&batch(1, 1, 0, 1, 1), 0);
        let old = state.check_batch(&batch(1, 0, 1, 2, 1), Origin::Producer);
        assert_eq!(old, Err(ProducerError::InvalidProducerEpoch { current: 1, found: 0 }));
    }

    #[test]
    fn each_of_the_last_five_batches_is_known_again() {
        let mut state = ProducerState::default();
        for number in 0..7 {
            state.append_batch(&batch(1, 0, number * 2, i64::from(number) * 10, 2), 0);
        }
        for number in 2..7 {
            let known = state.duplicate(&batch(1, 0, number * 2, 0, 2)).expect("remembered");
            assert_eq!((known.base_offset(), known.last_offset), (i64::from(number) * 10, i64::from(number) * 10 + 1));
        }
        assert_eq!(state.duplicate(&batch(1, 0, 2, 0, 2)), None, "the sixth last");
        assert_eq!(state.duplicate(&batch(1, 0, 12, 0, 1)), None, "another number of records");
        assert_eq!(state.duplicate(&batch(1, 1, 12, 0, 2)), None, "another epoch");
    }

    #[test]
    fn sequences_wrap_behind_their_maximum() {
        let mut state = ProducerState::default();
        state.append_batch(&batch(1, 0, i32::MAX - 1, 0, 2), 0);
        assert_eq!(state.check_batch(&batch(1, 0, 0, 2, 1), Origin::Producer), Ok(()));
        state.append_batch(&batch(1, 0, 0, 2, 1), 0);
        assert!(state.duplicate(&batch(1, 0, i32::MAX - 1, 0, 2)).is_some());
    }

    #[test]
    fn the_last_stable_offset_waits_for_the_end_of_transactions_and_for_its_replication() {
        let mut state = ProducerState::default();
        state.append_batch(&transactional(batch(1, 0, 0, 5, 1)), 0);
        state.append_batch(&transactional(batch(2, 0, 0, 6, 1)), 0);
        assert_eq!(state.last_stable_offset(7), 5);
        assert_eq!(state.last_stable_offset(3), 3, "never above the high watermark");
        let first = state.append_marker(&marker(1, 0, 7), COMMIT, 0).unwrap();
        assert_eq!((first.first_offset, first.last_offset, first.last_stable_offset), (5, 7, 6));
        assert_eq!(state.last_stable_offset(7), 5, "the marker is not replicated");
        assert_eq!(state.last_stable_offset(8), 6);
        let second = state.append_marker(&marker(2, 0, 8), COMMIT, 0).unwrap();
        assert_eq!(second.last_stable_offset, 9);
        assert_eq!(state.last_stable_offset(9), 9);
        state.high_watermark_reached(9);
        assert_eq!(state.last_stable_offset(20), 20);
    }

    #[test]
    fn a_batch_outside_of_the_open_transaction_is_refused() {
        let mut state = ProducerState::default();
        state.append_batch(&transactional(batch(1, 0, 0, 0, 1)), 0);
        assert_eq!(state.check_batch(&batch(1, 0, 1, 1, 1), Origin::Producer), Err(ProducerError::InvalidTxnState));
    }

    #[test]
    fn a_marker_of_a_replaced_coordinator_is_refused() {
        let mut state = ProducerState::default();
        state.append_marker(&marker(1, 3, 0), Marker { committed: false, coordinator_epoch: 5 }, 0);
        let late =
            state.check_marker(&marker(1, 3, 1), Marker { committed: true, coordinator_epoch: 4 }, Origin::Coordinator);
        assert_eq!(late, Err(ProducerError::CoordinatorFenced { current: 5, found: 4 }));
        let old =
            state.check_marker(&marker(1, 2, 1), Marker { committed: true, coordinator_epoch: 5 }, Origin::Coordinator);
        assert_eq!(old, Err(ProducerError::InvalidProducerEpoch { current: 3, found: 2 }));
    }

    #[test]
    fn a_marker_of_a_transaction_that_wrote_nothing_completes_nothing() {
        assert_eq!(ProducerState::default().append_marker(&marker(1, 0, 0), COMMIT, 0), None);
    }

    #[test]
    fn idle_producers_expire_unless_their_transaction_is_open() {
        let mut state = ProducerState::default();
        state.append_batch(&batch(1, 0, 0, 0, 1), 100);
        state.append_batch(&transactional(batch(2, 0, 0, 1, 1)), 100);
        state.append_batch(&batch(3, 0, 0, 2, 1), 150);
        state.expire(200, 100);
        assert!(state.describe().iter().map(|producer| producer.producer_id).eq([2, 3]));
    }
}
