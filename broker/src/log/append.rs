//! Appending: what is checked, what is written, and what happens when that fails.
//!
//! - Nothing of the log changes before the write has succeeded, and nothing can fail behind it.
//! - What a failed write left is cut before anything else is appended.
//! - A batch is stored as it came, but for its base offset and leader epoch, unless the topic's configuration asks for
//!   other timestamps or another compression.

use super::batch_header::BatchHeader;
use super::log::Log;
use super::producer_state::{BatchMetadata, Marker, Origin, ProducerError};
use super::rewrite::{Rewritten, rewritten};
use super::segment::Segment;
use super::transaction_index::AbortedTransaction;
use crate::protocol::batch::{self, ASSIGNED_BYTES, BatchError, NO_TIMESTAMP, RecordBatch, TimestampType};
use crate::protocol::codec::{Decoder, Wire};
use crate::protocol::messages::control_records::EndTxnMarker;
use crate::protocol::record::Records;
use std::io;

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    pub last_offset: i64,
    /// The broker's time where the topic asks for it (`message.timestamp.type=LogAppendTime`), else -1.
    pub log_append_time: i64,
    pub log_start_offset: i64,
    /// Whether the batch had been appended before, and nothing was written.
    pub duplicate: bool,
    /// Whether a segment was closed: a [`super::FlushTask`] will make the recovery point advance to its end.
    pub rolled: bool,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Corrupt(#[from] BatchError),
    #[error("a batch of {size} bytes, where {max} are allowed")]
    TooLarge { size: usize, max: usize },
    #[error("a batch with sequence {found}, where {expected} is next")]
    OutOfOrderSequence { expected: i32, found: i32 },
    #[error("a batch of producer epoch {found}, where {current} is current")]
    InvalidProducerEpoch { current: i16, found: i16 },
    #[error("a batch outside of the transaction that its producer has open")]
    InvalidTxnState,
    #[error("a marker of coordinator epoch {found}, where {current} is current")]
    CoordinatorFenced { current: i32, found: i32 },
    #[error("a timestamp {timestamp}, which is not between {min} and {max}")]
    InvalidTimestamp { timestamp: i64, min: i64, max: i64 },
    #[error("{0}")]
    InvalidRecord(&'static str),
    #[error("a batch at offset {found}, where {expected} is next")]
    NonSequentialOffset { expected: i64, found: i64 },
    #[error(transparent)]
    Storage(#[from] io::Error),
}

impl From<ProducerError> for AppendError {
    fn from(error: ProducerError) -> AppendError {
        match error {
            ProducerError::OutOfOrderSequence { expected, found } => {
                AppendError::OutOfOrderSequence { expected, found }
            }
            ProducerError::InvalidProducerEpoch { current, found } => {
                AppendError::InvalidProducerEpoch { current, found }
            }
            ProducerError::InvalidTxnState => AppendError::InvalidTxnState,
            ProducerError::CoordinatorFenced { current, found } => AppendError::CoordinatorFenced { current, found },
        }
    }
}

impl Log {
    /// Appends `batch` at the log's end and gives the offsets it got. It is in the operating system's hands then, not yet
    /// on the disk: see [`Log::flush_task`].
    /// A batch that its producer sent before is not appended again; it is answered with the offsets it has (KIP-98).
    /// Errors: those of [`AppendError`] but `NonSequentialOffset`; the log is as it was.
    pub fn append(
        &mut self,
        batch: RecordBatch<'_>,
        leader_epoch: i32,
        origin: Origin,
        now: i64,
    ) -> Result<Appended, AppendError> {
        let received = self.check(batch, origin, now)?;
        if let Some(known) = self.duplicate(&received, origin) {
            return Ok(self.answer_duplicate(known));
        }
        let marker = marker_of(batch, &received)?;
        self.check_producer(&received, marker, origin)?;
        let header = BatchHeader { base_offset: self.log_end_offset, leader_epoch, ..received };
        let (header, rolled) = match rewritten(batch, header, &self.config, now)? {
            Rewritten::Not => {
                let prefix = batch::assigned_prefix(batch, header.base_offset, leader_epoch);
                (header, self.write(&header, &prefix, &batch.bytes()[ASSIGNED_BYTES..], now)?)
            }
            Rewritten::Header(header, bytes) => (header, self.write(&header, &bytes, batch.payload(), now)?),
            Rewritten::Whole(header, bytes) => {
                // What was small while it was compressed may not be any more.
                self.check_size(bytes.len())?;
                (header, self.write(&header, &bytes, &[], now)?)
            }
        };
        self.commit(&header, marker, now);
        Ok(self.appended(header.base_offset, header.last_offset(), header.max_timestamp, rolled))
    }

    fn check(&self, batch: RecordBatch<'_>, origin: Origin, now: i64) -> Result<BatchHeader, AppendError> {
        self.check_size(batch.size())?;
        if origin != Origin::Coordinator {
            batch.check_crc()?;
        }
        if origin == Origin::Producer {
            check_produced(batch)?;
            self.check_timestamps(batch, now)?;
        }
        // What a producer writes into the base offset is replaced, and must not be judged.
        let header = BatchHeader::of_produced(batch)?;
        if self.config.cleanup_policy.compact && !batch.is_control() {
            check_keys(batch)?;
        }
        Ok(header)
    }

    fn check_size(&self, size: usize) -> Result<(), AppendError> {
        let max = self.config.max_message_bytes.min(self.config.segment_bytes) as usize;
        if size <= max { Ok(()) } else { Err(AppendError::TooLarge { size, max }) }
    }

    /// Kafka compares each record's timestamp; the header's two say the same without a look at the records.
    fn check_timestamps(&self, batch: RecordBatch<'_>, now: i64) -> Result<(), AppendError> {
        if self.config.message_timestamp_type == TimestampType::LogAppendTime {
            return Ok(());
        }
        if batch.timestamp_type() == TimestampType::LogAppendTime {
            return Err(AppendError::InvalidRecord("a producer must not set the timestamp type LogAppendTime"));
        }
        let min = now.saturating_sub(self.config.message_timestamp_before_max_ms);
        let max = now.saturating_add(self.config.message_timestamp_after_max_ms);
        for timestamp in [batch.base_timestamp(), batch.max_timestamp()] {
            if timestamp != NO_TIMESTAMP && !(min..=max).contains(&timestamp) {
                return Err(AppendError::InvalidTimestamp { timestamp, min, max });
            }
        }
        Ok(())
    }

    fn duplicate(&self, header: &BatchHeader, origin: Origin) -> Option<BatchMetadata> {
        if origin != Origin::Producer || !header.has_producer() {
            return None;
        }
        self.producers.duplicate(header)
    }

    fn answer_duplicate(&self, known: BatchMetadata) -> Appended {
        let appended = self.appended(known.base_offset(), known.last_offset, known.timestamp, false);
        Appended { duplicate: true, ..appended }
    }

    fn appended(&self, base_offset: i64, last_offset: i64, max_timestamp: i64, rolled: bool) -> Appended {
        let log_append_time = match self.config.message_timestamp_type {
            TimestampType::LogAppendTime => max_timestamp,
            TimestampType::CreateTime => NO_TIMESTAMP,
        };
        let log_start_offset = self.log_start_offset();
        Appended { base_offset, last_offset, log_append_time, log_start_offset, duplicate: false, rolled }
    }

    fn check_producer(&self, header: &BatchHeader, marker: Option<Marker>, origin: Origin) -> Result<(), AppendError> {
        if !header.has_producer() {
            return Ok(());
        }
        match marker {
            Some(marker) => self.producers.check_marker(header, marker, origin)?,
            None if header.is_control() => {}
            None => self.producers.check_batch(header, origin)?,
        }
        Ok(())
    }

    /// Appends batches as a leader has them, at the offsets they have there. A batch that ends too early is left for the
    /// next fetch if others come before it.
    /// Errors: `Corrupt`, `NonSequentialOffset`: nothing is appended. `Storage`: whole batches before the error may be.
    pub fn append_replicated(&mut self, bytes: &[u8], now: i64) -> Result<Appended, AppendError> {
        let batches = self.check_replicated(bytes)?;
        let (Some((first, _)), Some((last, _))) = (batches.first(), batches.last()) else {
            return Err(BatchError::Truncated.into());
        };
        let (mut rest, mut bytes, mut rolled) = (&batches[..], bytes, false);
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(self.run_that_fits(rest, now));
            let (run_bytes, bytes_behind) = bytes.split_at(run.iter().map(|(header, _)| header.size).sum());
            rolled |= self.write(&run[0].0, run_bytes, &[], now)?;
            for (header, marker) in run {
                self.commit(header, *marker, now);
            }
            (rest, bytes) = (behind, bytes_behind);
        }
        Ok(self.appended(first.base_offset, last.last_offset(), last.max_timestamp, rolled))
    }

    /// How many of `batches` go into one segment, and so into one write: at least the first.
    fn run_that_fits(&mut self, batches: &[(BatchHeader, Option<Marker>)], now: i64) -> usize {
        let first = &batches[0].0;
        let (base_offset, used) = if self.should_roll(first, now) {
            (self.base_of_next(first), 0)
        } else {
            (self.active().base_offset, self.active().size)
        };
        let mut room = u64::from(self.config.segment_bytes).saturating_sub(used);
        let fitting = batches.iter().take_while(|(header, _)| {
            let fits = header.size as u64 <= room && header.last_offset() - base_offset <= i64::from(i32::MAX);
            room = room.saturating_sub(header.size as u64);
            fits
        });
        fitting.count().max(1)
    }

    fn check_replicated(&self, bytes: &[u8]) -> Result<Vec<(BatchHeader, Option<Marker>)>, AppendError> {
        let mut checked = Vec::new();
        let mut expected = self.log_end_offset;
        for batch in batch::batches(bytes) {
            let batch = match batch {
                Err(BatchError::Truncated) if !checked.is_empty() => break,
                batch => batch?,
            };
            batch.check_crc()?;
            let header = BatchHeader::of(batch)?;
            // Behind a gap may be the next one: a compacted leader lacks whole batches, also where the topic is not compacted
            // any more. That nothing is missing here which the leader has is up to the caller, who asks for what lies
            // at this log's end, and takes no answer to another question (`Partition::follow`).
            if header.base_offset < expected {
                return Err(AppendError::NonSequentialOffset { expected, found: header.base_offset });
            }
            expected = header.next_offset();
            checked.push((header, marker_of(batch, &header)?));
        }
        Ok(checked)
    }

    /// Writes one batch behind the last, into a new segment if this one is full; gives whether it was.
    /// Errors: the log is as it was; what the write left is cut, now or before the next write.
    fn write(&mut self, header: &BatchHeader, first: &[u8], second: &[u8], now: i64) -> Result<bool, AppendError> {
        if self.state.closed {
            return Err(io::Error::other("the log is closed").into());
        }
        if self.state.cutting {
            return Err(io::Error::other("the log could not be cut, and has to be cut again").into());
        }
        if self.state.torn {
            self.cut_torn_tail()?;
        }
        let rolled = self.should_roll(header, now);
        if rolled {
            self.roll(self.base_of_next(header), now)?;
        }
        if let Err(error) = self.active().write(first, second) {
            self.state.torn = true;
            // If this fails too, the next append tries again before it writes.
            self.cut_torn_tail().ok();
            return Err(error.into());
        }
        Ok(rolled)
    }

    /// Where a segment for this batch begins: at the log's end, so that a segment that is missing is noticed, unless the
    /// batch lies too far behind it.
    fn base_of_next(&self, header: &BatchHeader) -> i64 {
        let reaches = header.last_offset() - self.log_end_offset <= i64::from(i32::MAX);
        if reaches { self.log_end_offset } else { header.base_offset }
    }

    pub(super) fn cut_torn_tail(&mut self) -> io::Result<()> {
        self.active().cut_to_size()?;
        self.state.torn = false;
        Ok(())
    }

    /// Takes a written batch into the log.
    fn commit(&mut self, header: &BatchHeader, marker: Option<Marker>, now: i64) {
        let index_interval = self.config.index_interval_bytes;
        self.recent.add(header.base_offset, self.active().size);
        self.active_mut().added(header, index_interval);
        self.log_end_offset = header.next_offset();
        self.state.dirty_since.get_or_insert(now);
        self.state.epochs.changed_if(self.epochs.assign(header.leader_epoch, header.base_offset));
        if header.has_producer() {
            self.note_producer(header, marker, now.max(header.max_timestamp));
        }
    }

    fn note_producer(&mut self, header: &BatchHeader, marker: Option<Marker>, timestamp: i64) {
        match marker {
            Some(marker) => {
                let ended = self.producers.append_marker(header, marker, timestamp);
                self.producers.high_watermark_reached(*self.high_watermark_seen.get_mut());
                if let Some(aborted) = ended.filter(|ended| !ended.committed) {
                    self.active_mut().transactions.append(AbortedTransaction::from(aborted));
                }
            }
            None if header.is_control() => {}
            None => self.producers.append_batch(header, timestamp),
        }
    }

    /// Whether the batch has to go into a new segment, as Kafka decides it.
    fn should_roll(&mut self, header: &BatchHeader, now: i64) -> bool {
        let (segment_bytes, index_bytes) = (self.config.segment_bytes, self.config.segment_index_bytes);
        let age_max = self.segment_age_max();
        let active = self.active_mut();
        if active.size == 0 {
            return !active.can_hold(header.last_offset());
        }
        active.size + header.size as u64 > u64::from(segment_bytes)
            || age_of(active, header.max_timestamp, now) > age_max
            || active.index_is_full(index_bytes)
            || !active.can_hold(header.last_offset())
    }
}

/// Milliseconds between the first batch of the segment and one at `timestamp`; between its making and now, where the
/// batches have no timestamps.
pub(super) fn age_of(segment: &mut Segment, timestamp: i64, now: i64) -> i64 {
    match segment.first_timestamp() {
        Ok(Some(first)) if timestamp >= 0 => timestamp.saturating_sub(first),
        Ok(Some(_)) => 0,
        _ => now.saturating_sub(segment.created),
    }
}

/// What only a client's batches must be.
fn check_produced(batch: RecordBatch<'_>) -> Result<(), AppendError> {
    batch.check_produced()?;
    if batch.is_control() {
        return Err(AppendError::InvalidRecord("clients must not write control records"));
    }
    if batch.has_producer() && (batch.base_sequence() < 0 || batch.producer_epoch() < 0) {
        return Err(AppendError::InvalidRecord("a batch of a producer without an epoch or a sequence"));
    }
    if batch.is_transactional() && !batch.has_producer() {
        return Err(AppendError::InvalidRecord("a batch of a transaction without a producer"));
    }
    Ok(())
}

fn check_keys(batch: RecordBatch<'_>) -> Result<(), AppendError> {
    for record in Records::of(batch)?.iter() {
        if record?.key.is_none() {
            return Err(AppendError::InvalidRecord("a record without a key, which a compacted topic cannot keep"));
        }
    }
    Ok(())
}

/// The transaction's end that `batch` holds, if it is a control batch of a producer.
pub(super) fn marker_of(batch: RecordBatch<'_>, header: &BatchHeader) -> Result<Option<Marker>, BatchError> {
    if !header.is_control() || !header.has_producer() {
        return Ok(None);
    }
    let records = Records::of(batch)?;
    let Some(record) = records.iter().next().transpose()? else { return Ok(None) };
    let key = record.key.and_then(|key| key.first_chunk::<4>());
    let committed = match key.map(|key| i16::from_be_bytes([key[2], key[3]])) {
        Some(0) => false,
        Some(1) => true,
        _ => return Ok(None),
    };
    let marker =
        EndTxnMarker::read(&mut Decoder::new(record.value.unwrap_or_default().get(2..).unwrap_or_default(), 0, false))?;
    Ok(Some(Marker { committed, coordinator_epoch: marker.coordinator_epoch }))
}
