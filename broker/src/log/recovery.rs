//! Opening a log: after a clean shutdown its tail is looked at, after a crash what lies behind the recovery point is validated.
//!
//! - What lies before the recovery point was synced and is trusted; behind it every batch is read and its checksum made.
//! - The log ends before the first batch that is not whole. What lies behind it is removed: it was never synced, and
//!   with a gap before it the offsets would lie.
//! - Indexes are rebuilt where they are missing, cannot be right, or speak of what was validated.

use super::LogConfig;
use super::batch_header::BatchHeader;
use super::directory::LogDirectory;
use super::epochs::LeaderEpochs;
use super::files;
use super::index::{OffsetEntry, TimeEntry};
use super::listing::{self, Listing};
use super::log::Log;
use super::names::LEADER_EPOCH_CHECKPOINT;
use super::scan::{ScanError, Scanner};
use super::segment::{FileSizes, Segment, into_io};
use crate::protocol::Uuid;
use crate::protocol::batch::RecordBatch;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::{error, warn};

/// Bytes that are read at once where batches are validated.
const VALIDATE_BLOCK_BYTES: usize = 1 << 20;
/// Bytes that are read at once where only headers are wanted.
const HEADER_BLOCK_BYTES: usize = 8 << 10;

impl Log {
    /// Opens the log in the directory of a partition.
    /// `topic_id` is written to `partition.metadata` if there is none.
    /// Errors: those of the system. Damaged files are no error: what cannot be read of them is cut or made again.
    pub fn open(
        directory: &Arc<LogDirectory>,
        topic: &str,
        partition: i32,
        topic_id: Option<Uuid>,
        config: Arc<LogConfig>,
        now: i64,
    ) -> io::Result<Log> {
        let path: Arc<Path> = Arc::from(directory.partition_path(topic, partition));
        let listing = listing::list(&path)?;
        let mut log = Log::empty(directory, topic, partition, path, config, now);
        log.topic_id = super::partition_metadata::read_file(&log.path.join(super::names::PARTITION_METADATA))?;
        if let Some(topic_id) = topic_id.filter(|_| log.topic_id.is_none()) {
            log.set_topic_id(topic_id)?;
        }
        log.load(listing, now)?;
        directory.register(topic, partition, &log.progress);
        Ok(log)
    }

    fn load(&mut self, listing: Listing, now: i64) -> io::Result<()> {
        let found = self.directory.found(&self.topic, self.partition);
        let epochs_known = self.load_epochs()?;
        if let Some((first, _)) = listing.segments.first_key_value() {
            self.segments.clear();
            self.progress.log_start_offset.store(found.log_start_offset.max(*first), Ordering::Release);
        }
        for (base_offset, sizes) in &listing.segments {
            self.segments.push(Segment::new(self.directory.files(), &self.path, *base_offset, *sizes, now));
        }
        let mut snapshots = listing.snapshots.clone();
        let vouched_to = self.vouched_to(&mut snapshots, found.recovery_point)?;
        let validated_from = self.load_segments(&listing, found.recovery_point, vouched_to)?;
        self.progress.recovery_point.store(found.recovery_point.min(self.log_end_offset), Ordering::Release);
        if found.log_start_offset > self.log_end_offset {
            self.start_anew_at(found.log_start_offset, now)?;
        }
        let all_validated = validated_from.is_some_and(|from| from <= self.segments[0].base_offset);
        let reliable = all_validated || epochs_known && self.epochs_reach_start();
        if !reliable {
            self.rebuild_epochs()?;
        }
        self.trim_epochs();
        self.load_producers(snapshots, now)
    }

    /// Up to where the files that help the log can be believed after a crash: a snapshot of the producers is written
    /// when all before it was synced. Snapshots behind the recovery point are not believed, and removed.
    fn vouched_to(&self, snapshots: &mut Vec<i64>, recovery_point: i64) -> io::Result<Option<i64>> {
        if self.directory.was_shut_down_cleanly() {
            return Ok(None);
        }
        let latest = self.latest_snapshot(snapshots, recovery_point)?.map(|(offset, _)| offset);
        snapshots.extend(latest);
        Ok(latest)
    }

    /// Validates the segments that have to be; gives the offset from which on that was done.
    fn load_segments(
        &mut self,
        listing: &Listing,
        recovery_point: i64,
        vouched_to: Option<i64>,
    ) -> io::Result<Option<i64>> {
        let mut first_validated = None;
        let validate_from = match self.directory.was_shut_down_cleanly() {
            true => self.segments.len(),
            // Without a snapshot, a segment that ends at the recovery point may have been closed behind the last sync.
            false => self.segment_of(vouched_to.unwrap_or(recovery_point - 1)),
        };
        for place in 0..self.segments.len() {
            let last = place + 1 == self.segments.len();
            let sizes = listing.segments.get(&self.segments[place].base_offset).copied().unwrap_or_default();
            if place < validate_from && self.segments[place].trust(&sizes, last) {
                continue;
            }
            if place < validate_from && !last {
                self.segments[place].rebuild_indexes(sizes, self.config.index_interval_bytes)?;
                continue;
            }
            let trusted_to = vouched_to.unwrap_or(0).max(self.segments[place].base_offset);
            let end = self.validate(place, trusted_to, sizes)?;
            self.state.indexes_unsynced_from = self.state.indexes_unsynced_from.min(self.segments[place].base_offset);
            first_validated.get_or_insert(end.from);
            if !last && (end.cut || self.is_gap(place, end.next_offset)) {
                self.remove_behind(place)?;
                break;
            }
        }
        self.log_end_offset = self.active_mut().end_offset().map_err(into_io)?;
        Ok(first_validated)
    }

    /// Whether the next segment does not continue this one: offsets are missing, which only compaction leaves, or come
    /// twice, as when a removed file is there again.
    fn is_gap(&self, place: usize, next_offset: i64) -> bool {
        let next = self.segments[place + 1].base_offset;
        next < next_offset || next > next_offset && !self.config.cleanup_policy.compact
    }

    fn validate(&mut self, place: usize, trusted_to: i64, sizes: FileSizes) -> io::Result<Validated> {
        let index_interval = self.config.index_interval_bytes;
        let segment = &mut self.segments[place];
        let start = segment.prepare_validation(trusted_to, sizes)?;
        let from = if start > 0 { trusted_to } else { segment.base_offset };
        let mut validated = Validated { from, next_offset: segment.base_offset, cut: false };
        if segment.size == 0 {
            return Ok(validated);
        }
        let file = segment.log.open()?;
        let size = segment.size;
        let mut scanner = Scanner::new(&file, start, size, VALIDATE_BLOCK_BYTES);
        segment.size = start;
        let invalid = loop {
            let batch = match scanner.next_batch() {
                Ok(None) => break None,
                Ok(Some((batch, bytes))) => match segment.check(batch.header, bytes, validated.next_offset) {
                    Ok(()) => batch,
                    Err(reason) => break Some(reason),
                },
                Err(ScanError::Invalid { error, .. }) => break Some(error.to_string()),
                Err(ScanError::Io(error)) => return Err(error),
            };
            if segment.size == start {
                // What the file says of the epochs from here on may be older than the batches.
                self.state.epochs.changed_if(self.epochs.truncate_from_end(batch.header.base_offset));
            }
            segment.added(&batch.header, index_interval);
            validated.next_offset = batch.header.next_offset();
            self.state.epochs.changed_if(self.epochs.assign(batch.header.leader_epoch, batch.header.base_offset));
        };
        if let Some(reason) = invalid {
            warn!(log = %segment.log.path().display(), position = segment.size, bytes = size - segment.size, reason, "cut");
            files::truncate(&file, segment.size)?;
            validated.cut = true;
        }
        segment.finish_indexes()?;
        Ok(validated)
    }

    /// Removes the segments behind one that ends too early.
    fn remove_behind(&mut self, place: usize) -> io::Result<()> {
        for segment in self.segments.drain(place + 1..) {
            warn!(log = %segment.log.path().display(), bytes = segment.size, "removed: it lies behind a gap");
            for path in segment.paths() {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Reads `leader-epoch-checkpoint`; gives whether it could be.
    fn load_epochs(&mut self) -> io::Result<bool> {
        let path = self.path.join(LEADER_EPOCH_CHECKPOINT);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match LeaderEpochs::from_checkpoint(&text) {
            Ok(epochs) if !text.is_empty() => self.epochs = epochs,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether the epoch of the first record is known. It is not if the log's start was moved up shortly before a crash
    /// that lost the new start.
    fn epochs_reach_start(&self) -> bool {
        let start = self.log_start_offset();
        start == self.log_end_offset || self.epochs.epoch_at(start).is_some()
    }

    /// Makes the epochs from the batches, where their file is lost.
    fn rebuild_epochs(&mut self) -> io::Result<()> {
        self.epochs.clear();
        for place in 0..self.segments.len() {
            let epochs = &mut self.epochs;
            let mut changed = 0;
            for_each_header(&self.segments[place], |header| {
                changed += u32::from(epochs.assign(header.leader_epoch, header.base_offset));
            })?;
            self.state.epochs.changed_if(changed > 0);
        }
        Ok(())
    }

    fn trim_epochs(&mut self) {
        let (start, end) = (self.log_start_offset(), self.log_end_offset);
        let cut = self.epochs.truncate_from_end(end) | self.epochs.truncate_from_start(start);
        self.state.epochs.changed_if(cut);
    }
}

/// How far a segment was found whole.
#[derive(Clone, Copy, Debug)]
struct Validated {
    /// The offset from which on it was looked at.
    from: i64,
    next_offset: i64,
    /// Whether something lay behind that was not.
    cut: bool,
}

impl Segment {
    /// Whether the segment can be used without validation: its indexes are there, and if it is the last, its batches
    /// can be walked to its end.
    fn trust(&mut self, sizes: &FileSizes, last: bool) -> bool {
        let aligned = |bytes: Option<u64>, entry: u64| bytes.is_some_and(|bytes| bytes % entry == 0);
        // A closed time index has at least one entry, unless no batch has a timestamp: to look again then is only slow.
        let timed = aligned(sizes.time_index, 12) && sizes.time_index > Some(0);
        let indexed = self.size == 0 || aligned(sizes.offset_index, 8) && timed;
        indexed && self.last_entries_are_right() && (!last || self.end_offset().is_ok())
    }

    fn last_entries_are_right(&self) -> bool {
        let inside = |entry: OffsetEntry| (1..self.size).contains(&u64::from(entry.position));
        let offset = self.offset_index.last().map(|last| last.is_none_or(inside));
        // Zeros are what Kafka leaves behind the entries of an index that it did not close.
        let written = |entry: TimeEntry| entry.timestamp > 0 || entry.timestamp == 0 && entry.relative_offset > 0;
        let time = self.time_index.last().map(|last| last.is_none_or(written));
        offset.unwrap_or(false) && time.unwrap_or(false)
    }

    /// The offset behind the last batch, and with it what only a walk to the end tells.
    fn end_offset(&mut self) -> Result<i64, ScanError> {
        self.load_tail()
    }

    /// Makes the indexes of a closed segment anew. What was synced is never cut: where a batch is damaged, the indexes end,
    /// and who reads there is told.
    fn rebuild_indexes(&mut self, sizes: FileSizes, index_interval: u32) -> io::Result<()> {
        self.prepare_validation(self.base_offset, sizes)?;
        let file = self.log.open()?;
        let mut scanner = Scanner::new(&file, 0, self.size, HEADER_BLOCK_BYTES);
        loop {
            match scanner.next_header() {
                Ok(Some(batch)) => self.observe(&batch.header, batch.position, index_interval),
                Ok(None) => break,
                Err(ScanError::Invalid { position, error }) => {
                    error!(log = %self.log.path().display(), position, %error, "damaged: what lies behind cannot be read");
                    break;
                }
                Err(ScanError::Io(error)) => return Err(error),
            }
        }
        self.finish_indexes()
    }

    /// Drops what the indexes say of `trusted_to` and behind; gives the position to validate from.
    fn prepare_validation(&mut self, trusted_to: i64, sizes: FileSizes) -> io::Result<u64> {
        let there = sizes.offset_index.is_some() && sizes.time_index.is_some();
        let trusted = if there && trusted_to > self.base_offset { self.trusted_start(trusted_to)? } else { None };
        let Some((start, relative_offset)) = trusted else {
            if sizes.offset_index.is_some() {
                self.offset_index.rebuild(Vec::new())?;
            }
            if sizes.time_index.is_some() {
                self.time_index.rebuild(Vec::new())?;
            }
            (self.largest, self.bytes_since_index_entry) = (None, 0);
            return Ok(0);
        };
        self.offset_index.truncate_where(|entry| u64::from(entry.position) <= start)?;
        self.time_index.truncate_where(|entry| i64::from(entry.relative_offset) <= relative_offset)?;
        self.largest = self.time_index.last()?.map(|entry| self.timestamp_offset(entry));
        self.bytes_since_index_entry = 0;
        Ok(start)
    }

    /// The last indexed batch that ends below `trusted_to`, if the indexes can be believed: its position and last
    /// relative offset.
    fn trusted_start(&self, trusted_to: i64) -> io::Result<Option<(u64, i64)>> {
        let (Ok(offsets), Ok(times)) = (self.offset_index.all(), self.time_index.all()) else { return Ok(None) };
        if times.is_empty() {
            return Ok(None);
        }
        let below = offsets.partition_point(|entry| self.base_offset + i64::from(entry.relative_offset) < trusted_to);
        let Some(entry) = below.checked_sub(1).map(|last| offsets[last]) else { return Ok(None) };
        let file = self.log.open()?;
        let start = self.verified(&file, entry);
        Ok((start > 0).then_some((start, i64::from(entry.relative_offset))))
    }

    /// Whether a batch that was read whole may stand where it does.
    fn check(&self, header: BatchHeader, bytes: &[u8], expected: i64) -> Result<(), String> {
        let (batch, _) = RecordBatch::split_first(bytes).map_err(|error| error.to_string())?;
        batch.check_crc().map_err(|error| error.to_string())?;
        if header.base_offset < expected || !self.can_hold(header.last_offset()) {
            return Err(format!("a batch at offset {}, where {expected} is next", header.base_offset));
        }
        Ok(())
    }
}

/// Gives `each` the header of every batch in the segment.
pub(super) fn for_each_header(segment: &Segment, mut each: impl FnMut(&BatchHeader)) -> io::Result<()> {
    if segment.size == 0 {
        return Ok(());
    }
    let file = segment.log.open()?;
    let mut scanner = Scanner::new(&file, 0, segment.size, HEADER_BLOCK_BYTES);
    while let Some(batch) = scanner.next_header().map_err(into_io)? {
        each(&batch.header);
    }
    Ok(())
}
