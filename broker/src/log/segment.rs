//! One segment of a log: its batches, and the indexes to find them.
//!
//! - `size` counts whole batches that are part of the log. What a failed write left behind it is cut before the next one.
//! - Its files are made by the first append, and open only while they are used.

use super::batch_header::BatchHeader;
use super::files::{self, CachedFile, FileCache};
use super::index::{Index, OffsetEntry, TimeEntry};
use super::names::FileKind;
use super::scan::{BatchAt, ScanError, Scanner};
use super::transaction_index::TransactionIndex;
use crate::protocol::batch::NO_TIMESTAMP;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that a lookup reads at once: two index intervals.
const LOOKUP_BLOCK_BYTES: usize = 8 << 10;

/// A timestamp and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp: i64,
    pub offset: i64,
}

/// The sizes of a segment's files, of those that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSizes {
    pub log: Option<u64>,
    pub offset_index: Option<u64>,
    pub time_index: Option<u64>,
    pub transaction_index: Option<u64>,
}

/// One segment.
#[derive(Debug)]
pub struct Segment {
    pub base_offset: i64,
    /// Bytes of its batches.
    pub size: u64,
    pub log: CachedFile,
    pub offset_index: Index<OffsetEntry>,
    pub time_index: Index<TimeEntry>,
    pub transactions: TransactionIndex,
    /// The largest timestamp; `None` where only the time index knows.
    pub largest: Option<TimestampOffset>,
    /// The largest timestamp of the first batch, once it is known: what the segment's age is counted from.
    pub first_timestamp: Option<i64>,
    /// When this object was made: its age where batches have no timestamps.
    pub created: i64,
    pub bytes_since_index_entry: u64,
}

impl Segment {
    /// The segment of the files that `sizes` describes; none of them is opened.
    pub fn new(files: &Arc<FileCache>, directory: &Arc<Path>, base_offset: i64, sizes: FileSizes, now: i64) -> Segment {
        let file = |kind| CachedFile::new(files, directory, base_offset, kind);
        Segment {
            base_offset,
            size: sizes.log.unwrap_or(0),
            log: file(FileKind::Log),
            offset_index: Index::new(file(FileKind::OffsetIndex), sizes.offset_index.unwrap_or(0)),
            time_index: Index::new(file(FileKind::TimeIndex), sizes.time_index.unwrap_or(0)),
            transactions: TransactionIndex::new(file(FileKind::TransactionIndex), sizes.transaction_index.unwrap_or(0)),
            largest: None,
            first_timestamp: None,
            created: now,
            bytes_since_index_entry: 0,
        }
    }

    /// A segment without batches.
    pub fn empty(files: &Arc<FileCache>, directory: &Arc<Path>, base_offset: i64, now: i64) -> Segment {
        let none = TimestampOffset { timestamp: NO_TIMESTAMP, offset: base_offset };
        Segment { largest: Some(none), ..Segment::new(files, directory, base_offset, FileSizes::default(), now) }
    }

    pub fn paths(&self) -> [PathBuf; 4] {
        [
            self.log.path(),
            self.offset_index.file().path(),
            self.time_index.file().path(),
            self.transactions.file().path(),
        ]
    }

    fn relative(&self, offset: i64) -> Option<u32> {
        u32::try_from(offset - self.base_offset).ok().filter(|relative| *relative <= i32::MAX as u32)
    }

    /// Whether an index of this segment can name `offset`: it has 31 bits for the distance.
    pub fn can_hold(&self, offset: i64) -> bool {
        self.relative(offset).is_some()
    }

    /// Writes behind the last batch; the segment knows of it only after [`Segment::added`].
    pub fn write(&self, first: &[u8], second: &[u8]) -> io::Result<()> {
        files::write_at(&*self.log.open_or_create()?, first, second, self.size)
    }

    /// Cuts what a failed write left.
    pub fn cut_to_size(&self) -> io::Result<()> {
        files::truncate(&*self.log.open_or_create()?, self.size)
    }

    /// Takes a batch that was written behind the last one into the segment; `index_interval` bytes lie between entries.
    pub fn added(&mut self, header: &BatchHeader, index_interval: u32) {
        self.observe(header, self.size, index_interval);
        self.size += header.size as u64;
    }

    /// Takes note of the batch at `position` for the indexes.
    pub fn observe(&mut self, header: &BatchHeader, position: u64, index_interval: u32) {
        let none = TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset };
        let largest = self.largest.get_or_insert(none);
        if header.max_timestamp > largest.timestamp {
            *largest = TimestampOffset { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if self.bytes_since_index_entry > u64::from(index_interval) {
            self.index(header.last_offset(), position);
        }
        self.bytes_since_index_entry += header.size as u64;
    }

    fn index(&mut self, last_offset: i64, position: u64) {
        if let (Some(relative_offset), Ok(position)) = (self.relative(last_offset), u32::try_from(position)) {
            self.offset_index.append(OffsetEntry { relative_offset, position });
            self.index_largest();
        }
        self.bytes_since_index_entry = 0;
    }

    fn index_largest(&mut self) {
        let Some(TimestampOffset { timestamp, offset }) = self.largest.filter(|largest| largest.timestamp >= 0) else {
            return;
        };
        if let Some(relative_offset) = self.relative(offset) {
            self.time_index.append(TimeEntry { timestamp, relative_offset });
        }
    }

    /// Whether an index has as many entries as `index_bytes` allow (`segment.index.bytes`).
    pub fn index_is_full(&self, index_bytes: u32) -> bool {
        self.offset_index.bytes() + 8 > u64::from(index_bytes) || self.time_index.bytes() + 24 > u64::from(index_bytes)
    }

    /// Ends the indexes: the largest timestamp is entered, and all is written, so that they can be relied on when the
    /// segment is opened again.
    pub fn finish_indexes(&mut self) -> io::Result<()> {
        self.index_largest();
        self.offset_index.write()?;
        self.time_index.write()?;
        if self.size > 0 {
            // Kafka builds an index again that is not there, even if there is nothing to enter.
            self.offset_index.file().open_or_create()?;
            self.time_index.file().open_or_create()?;
        }
        Ok(())
    }

    /// The largest timestamp of the segment, `None` if its batches have none.
    pub fn largest_timestamp(&self) -> io::Result<Option<TimestampOffset>> {
        let largest = match self.largest {
            Some(largest) => Some(largest),
            None => self.time_index.last()?.map(|entry| self.timestamp_offset(entry)),
        };
        Ok(largest.filter(|largest| largest.timestamp >= 0))
    }

    pub fn timestamp_offset(&self, entry: TimeEntry) -> TimestampOffset {
        TimestampOffset { timestamp: entry.timestamp, offset: self.base_offset + i64::from(entry.relative_offset) }
    }

    /// What the age of the segment is counted from: the timestamp of its first batch.
    pub fn first_timestamp(&mut self) -> io::Result<Option<i64>> {
        if self.first_timestamp.is_none() && self.size > 0 {
            let file = self.log.open()?;
            let first = Scanner::new(&file, 0, self.size, 64).next_header().map_err(into_io)?;
            self.first_timestamp = first.map(|batch| batch.header.max_timestamp);
        }
        Ok(self.first_timestamp.filter(|timestamp| *timestamp >= 0))
    }

    /// The first batch that holds `offset` or lies behind it.
    /// Errors: `InvalidData` for a damaged file, and those of the system.
    pub fn locate(&self, offset: i64) -> io::Result<Option<BatchAt>> {
        if self.size == 0 {
            return Ok(None);
        }
        let file = self.log.open()?;
        let floor = self.offset_index.floor(offset - self.base_offset).unwrap_or(None);
        let start = floor.map_or(0, |entry| self.verified(&file, entry));
        first_where(&file, start, self.size, |batch| batch.header.last_offset() >= offset)
    }

    /// Where batches can be walked from: the entry's position if its batch is there, the start of the segment if not.
    pub fn verified(&self, file: &File, entry: OffsetEntry) -> u64 {
        let position = u64::from(entry.position);
        if position >= self.size {
            return 0;
        }
        let expected = self.base_offset + i64::from(entry.relative_offset);
        match Scanner::new(file, position, self.size, 64).next_header() {
            Ok(Some(batch)) if batch.header.last_offset() == expected => position,
            _ => 0,
        }
    }

    /// The batch behind the last one that ends at or before `position`, known that one begins or ends at `from`: its offset
    /// and position. `None` if that is the last of the segment.
    pub fn batch_behind(&self, position: u64, from: u64) -> io::Result<Option<(i64, u64)>> {
        let file = self.log.open()?;
        let floor = self.offset_index.last_where(|entry| u64::from(entry.position) <= position).unwrap_or(None);
        let start = floor.map_or(0, |entry| self.verified(&file, entry)).max(from);
        let over = first_where(&file, start, self.size, |batch| batch.end() > position)?;
        Ok(over.map(|batch| (batch.header.base_offset, batch.position)))
    }

    /// A position from which all batches with a timestamp of `timestamp` or later can be walked to.
    pub fn position_before_timestamp(&self, timestamp: i64) -> io::Result<u64> {
        let entry = self.time_index.floor(timestamp).unwrap_or(None);
        let Some(entry) = entry else { return Ok(0) };
        Ok(self.locate(self.timestamp_offset(entry).offset)?.map_or(0, |batch| batch.position))
    }

    /// Forgets what lies at `position` and behind.
    pub fn truncate(&mut self, position: u64) -> io::Result<()> {
        let file = self.log.open_or_create()?;
        files::truncate(&file, position)?;
        self.size = position;
        self.offset_index.truncate_where(|entry| u64::from(entry.position) < position)?;
        self.forget_timestamps_behind(&file)
    }

    /// Lets the time index and the largest timestamp speak of the batches before `size` only.
    fn forget_timestamps_behind(&mut self, file: &File) -> io::Result<()> {
        let last = self.offset_index.last()?;
        let (kept, start) = last.map_or((-1, 0), |entry| (i64::from(entry.relative_offset), u64::from(entry.position)));
        self.time_index.truncate_where(|entry| i64::from(entry.relative_offset) <= kept)?;
        self.largest = self.time_index.last()?.map(|entry| self.timestamp_offset(entry));
        self.first_timestamp = self.first_timestamp.filter(|_| self.size > 0);
        self.walk_behind_index(file, start)
    }

    /// Walks the batches from the last index entry on, which the indexes do not speak of yet.
    /// Gives the offset behind the last batch.
    pub fn load_tail(&mut self) -> Result<i64, ScanError> {
        if self.size == 0 {
            self.largest = Some(TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset });
            return Ok(self.base_offset);
        }
        let file = self.log.open()?;
        let last = self.offset_index.last()?;
        let start = last.map_or(0, |entry| self.verified(&file, entry));
        self.largest = self.time_index.last()?.map(|entry| self.timestamp_offset(entry));
        let mut scanner = Scanner::new(&file, start, self.size, LOOKUP_BLOCK_BYTES);
        let mut next_offset = self.base_offset;
        while let Some(batch) = scanner.next_header()? {
            next_offset = batch.header.next_offset();
            self.observe(&batch.header, batch.position, u32::MAX);
        }
        self.bytes_since_index_entry = self.size - start;
        Ok(next_offset)
    }

    fn walk_behind_index(&mut self, file: &File, start: u64) -> io::Result<()> {
        let mut scanner = Scanner::new(file, start, self.size, LOOKUP_BLOCK_BYTES);
        while let Some(batch) = scanner.next_header().map_err(into_io)? {
            self.observe(&batch.header, batch.position, u32::MAX);
        }
        self.largest.get_or_insert(TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset });
        self.bytes_since_index_entry = self.size - start;
        Ok(())
    }
}

/// The first batch between `start` and `end` for which `wanted` is true.
pub fn first_where(
    file: &File,
    start: u64,
    end: u64,
    wanted: impl Fn(&BatchAt) -> bool,
) -> io::Result<Option<BatchAt>> {
    let mut scanner = Scanner::new(file, start, end, LOOKUP_BLOCK_BYTES);
    while let Some(batch) = scanner.next_header().map_err(into_io)? {
        if wanted(&batch) {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

pub fn into_io(error: ScanError) -> io::Error {
    match error {
        ScanError::Io(error) => error,
        invalid => io::Error::new(io::ErrorKind::InvalidData, invalid),
    }
}
