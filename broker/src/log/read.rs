//! Reading: which bytes of which file hold the batches that were asked for.
//!
//! - A slice holds whole batches, and none that reaches the limit.
//! - At the log's end nothing is searched: the places of the last batches are known.

use super::log::Log;
use super::segment::first_where;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Whole batches within a segment's file. They stay readable when the segment is deleted meanwhile.
#[derive(Clone, Debug)]
pub struct FileSlice {
    pub file: Arc<File>,
    pub position: u64,
    pub length: usize,
    /// The offset behind the last batch.
    pub next_offset: i64,
}

impl FileSlice {
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes)
    }
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {offset}, where {start} to {end} are there")]
    OffsetOutOfRange { offset: i64, start: i64, end: i64 },
    #[error(transparent)]
    Storage(#[from] io::Error),
}

impl Log {
    /// The batches from the one that holds `offset` on, of one segment: at most `max_bytes` of them, and only those that
    /// end below `limit` (the high watermark, or the last stable offset). With `at_least_one` the first is given even if
    /// it is larger. `None` if there is nothing to give.
    /// Errors: `OffsetOutOfRange` if `offset` is below the log's start or above its end; `Storage`.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        limit: i64,
        at_least_one: bool,
    ) -> Result<Option<FileSlice>, ReadError> {
        let (start, end) = (self.log_start_offset(), self.log_end_offset);
        if offset < start || offset > end {
            return Err(ReadError::OffsetOutOfRange { offset, start, end });
        }
        let limit = limit.min(end);
        if offset >= limit {
            return Ok(None);
        }
        let Some((place, position)) = self.locate(offset)? else { return Ok(None) };
        let (next_offset, end) = self.end_of(place, position, max_bytes, limit, at_least_one)?;
        if end == position {
            return Ok(None);
        }
        let length = (end - position) as usize;
        Ok(Some(FileSlice { file: self.segments[place].log.open()?, position, length, next_offset }))
    }

    /// As [`Log::read`], with the bytes themselves.
    pub fn read_bytes(&self, offset: i64, max_bytes: usize, limit: i64) -> Result<Vec<u8>, ReadError> {
        match self.read(offset, max_bytes, limit, true)? {
            Some(slice) => Ok(slice.read()?),
            None => Ok(Vec::new()),
        }
    }

    /// The segment and the position of the first batch that holds `offset` or lies behind it.
    pub(super) fn locate(&self, offset: i64) -> io::Result<Option<(usize, u64)>> {
        if let Some(position) = self.recent.position_of(offset) {
            return Ok(Some((self.segments.len() - 1, position)));
        }
        for place in self.segment_of(offset)..self.segments.len() {
            if let Some(batch) = self.segments[place].locate(offset)? {
                return Ok(Some((place, batch.position)));
            }
        }
        Ok(None)
    }

    /// Where a read from `position` ends: the offset and the position of what lies behind it.
    fn end_of(
        &self,
        place: usize,
        position: u64,
        max_bytes: usize,
        limit: i64,
        at_least_one: bool,
    ) -> io::Result<(i64, u64)> {
        let segment = &self.segments[place];
        let end = self.end_below(place, position, limit)?;
        let wanted = position.saturating_add(max_bytes as u64);
        if wanted >= end.1 {
            return Ok(end);
        }
        let boundary = match self.recent_boundary(place, wanted) {
            Some(boundary) => boundary,
            None => segment.batch_behind(wanted, position)?.unwrap_or(end),
        };
        if boundary.1 > position || !at_least_one {
            return Ok((boundary.0, boundary.1.max(position)));
        }
        let first = first_where(&*segment.log.open()?, position, segment.size, |_| true)?;
        Ok(first.map_or(end, |batch| (batch.header.next_offset(), batch.end())))
    }

    /// Where the batches of a segment that end below `limit` end.
    fn end_below(&self, place: usize, position: u64, limit: i64) -> io::Result<(i64, u64)> {
        let segment = &self.segments[place];
        let end_offset = self.segments.get(place + 1).map_or(self.log_end_offset, |next| next.base_offset);
        if limit >= end_offset {
            return Ok((end_offset, segment.size));
        }
        if let Some(end) = self.recent.position_of(limit).filter(|_| self.is_active(place)) {
            return Ok((limit, end.max(position)));
        }
        Ok((limit, segment.locate(limit)?.map_or(segment.size, |batch| batch.position).max(position)))
    }

    fn recent_boundary(&self, place: usize, position: u64) -> Option<(i64, u64)> {
        self.is_active(place).then(|| self.recent.boundary_before(position)).flatten()
    }

    fn is_active(&self, place: usize) -> bool {
        place + 1 == self.segments.len()
    }
}
