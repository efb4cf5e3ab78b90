//! Lookups by time: exact to the record, so a batch is decompressed where only its records can tell.

use super::log::Log;
use super::scan::{BatchAt, Scanner};
use super::segment::{Segment, into_io};
use crate::protocol::batch::{RecordBatch, TimestampType};
use crate::protocol::record::Records;
use std::io;

const BLOCK_BYTES: usize = 64 << 10;

/// A record that was found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

impl Log {
    /// The first record whose timestamp is `timestamp` or later: its offset, timestamp and leader epoch.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> io::Result<Option<(i64, i64, i32)>> {
        for segment in &self.segments {
            if segment.largest_timestamp()?.is_none_or(|largest| largest.timestamp < timestamp) {
                continue;
            }
            let from = segment.position_before_timestamp(timestamp)?;
            let start = self.log_start_offset();
            if let Some(found) =
                segment.first_record(from, timestamp, |found| found.timestamp >= timestamp && found.offset >= start)?
            {
                return Ok(Some((found.offset, found.timestamp, found.leader_epoch)));
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp, and that (KIP-734); `None` if no record has one.
    pub fn max_timestamp(&self) -> io::Result<Option<(i64, i64)>> {
        let mut largest = None;
        for segment in &self.segments {
            let of_segment = segment.largest_timestamp()?;
            if of_segment.is_some_and(|one| largest.is_none_or(|(_, timestamp)| one.timestamp > timestamp)) {
                largest = of_segment.map(|one| (segment, one.timestamp));
            }
        }
        let Some((segment, timestamp)) = largest else { return Ok(None) };
        let from = segment.position_before_timestamp(timestamp - 1)?;
        let found = segment.first_record(from, timestamp, |found| found.timestamp == timestamp)?;
        Ok(found.map(|found| (found.offset, found.timestamp)))
    }
}

impl Segment {
    /// The first record from `position` on that is `wanted`, among the batches that reach `timestamp`.
    fn first_record(
        &self,
        position: u64,
        timestamp: i64,
        wanted: impl Fn(&Found) -> bool,
    ) -> io::Result<Option<Found>> {
        if self.size == 0 {
            return Ok(None);
        }
        let file = self.log.open()?;
        let mut scanner = Scanner::new(&file, position, self.size, BLOCK_BYTES);
        while let Some(batch) = scanner.next_header().map_err(into_io)? {
            if batch.header.max_timestamp < timestamp {
                continue;
            }
            let mut whole = Scanner::new(&file, batch.position, batch.end(), batch.header.size);
            let Some((batch, bytes)) = whole.next_batch().map_err(into_io)? else { continue };
            if let Some(found) = record_in(&batch, bytes, &wanted)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn record_in(batch: &BatchAt, bytes: &[u8], wanted: impl Fn(&Found) -> bool) -> io::Result<Option<Found>> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let (stored, _) = RecordBatch::split_first(bytes).map_err(invalid)?;
    for record in Records::of(stored).map_err(invalid)?.iter() {
        let record = record.map_err(invalid)?;
        let timestamp = match stored.timestamp_type() {
            TimestampType::LogAppendTime => stored.max_timestamp(),
            TimestampType::CreateTime => stored.base_timestamp().saturating_add(record.timestamp_delta),
        };
        let offset = batch.header.base_offset + i64::from(record.offset_delta);
        let found = Found { offset, timestamp, leader_epoch: batch.header.leader_epoch };
        if wanted(&found) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
