//! What a log needs from time to time: closing an old segment, dropping what is not kept, removing files that were dropped.

use super::append::age_of;
use super::files;
use super::log::{Log, Removed};
use super::names::{self, DELETED_SUFFIX};
use super::retention::{ClosedSegment, Retention, droppable};
use super::segment::Segment;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

/// What was done.
#[derive(Debug, Default)]
pub struct Maintenance {
    /// Segments that left the log.
    pub dropped_segments: usize,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Whether the active segment was closed for its age: see [`Log::flush_task_for_closed`].
    pub rolled: bool,
}

impl Log {
    /// Closes the active segment if it is old enough (`segment.ms`), drops closed segments that are not to be kept
    /// (`retention.ms`, `retention.bytes`, the log's start) and are below `high_watermark`, removes files that were
    /// dropped `file.delete.delay.ms` ago, and forgets producers that are gone.
    /// Errors: the first; what was not done is done the next time.
    pub fn maintain(&mut self, now: i64, high_watermark: i64) -> io::Result<Maintenance> {
        let mut maintenance = Maintenance::default();
        if self.end_when_maintained == self.log_end_offset {
            self.recent.clear();
        }
        self.end_when_maintained = self.log_end_offset;
        self.producers.expire(now, self.directory.producer_id_expiration_ms());
        if self.active_is_due(now, high_watermark)? {
            self.roll(self.log_end_offset, now)?;
            maintenance.rolled = true;
        }
        self.drop_old(now, high_watermark, &mut maintenance)?;
        self.remove_dropped(now)?;
        Ok(maintenance)
    }

    /// When [`Log::maintain`] removes the next files that were dropped.
    pub fn next_removal(&self) -> Option<i64> {
        self.removed.iter().map(|removed| removed.due).min()
    }

    /// The log starts at `offset` from now on: what lies below cannot be read, and is dropped as whole segments.
    /// Below the log's start nothing happens.
    /// Errors: `InvalidInput` if `offset` lies behind the log's end.
    pub fn advance_log_start_offset(&mut self, offset: i64) -> io::Result<()> {
        if offset > self.log_end_offset {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an offset behind the log's end"));
        }
        if offset > self.log_start_offset() {
            self.progress.log_start_offset.store(offset, Ordering::Release);
            self.state.epochs.changed_if(self.epochs.truncate_from_start(offset));
        }
        Ok(())
    }

    /// A segment is closed for its age, or so that it can be dropped although nothing more is appended.
    fn active_is_due(&mut self, now: i64, high_watermark: i64) -> io::Result<bool> {
        if self.active().size == 0 || self.state.torn {
            return Ok(false);
        }
        let age_max = self.segment_age_max();
        if age_of(self.active_mut(), now, now) > age_max {
            return Ok(true);
        }
        let retention = Retention { bytes: None, ..self.retention(high_watermark) };
        let active = [self.active().as_closed(self.log_end_offset)?];
        Ok(droppable(&active, 0, &retention, now) > 0)
    }

    fn retention(&self, high_watermark: i64) -> Retention {
        let limited = self.config.cleanup_policy.delete;
        Retention {
            ms: Some(self.config.retention_ms).filter(|ms| limited && *ms >= 0),
            bytes: u64::try_from(self.config.retention_bytes).ok().filter(|_| limited),
            log_start_offset: self.log_start_offset(),
            high_watermark,
        }
    }

    fn drop_old(&mut self, now: i64, high_watermark: i64, maintenance: &mut Maintenance) -> io::Result<()> {
        let ends: Vec<i64> = self.segments.iter().skip(1).map(|segment| segment.base_offset).collect();
        let closed = self.segments.iter().zip(ends).map(|(segment, end)| segment.as_closed(end));
        let closed: Vec<ClosedSegment> = closed.collect::<io::Result<_>>()?;
        for _ in 0..droppable(&closed, self.active().size, &self.retention(high_watermark), now) {
            maintenance.dropped_bytes += self.segments[0].size;
            self.drop_oldest(now)?;
            maintenance.dropped_segments += 1;
        }
        Ok(())
    }

    /// Moves the log's start behind its oldest segment, and the segment's files out of the log.
    fn drop_oldest(&mut self, now: i64) -> io::Result<()> {
        let start = self.segments[1].base_offset;
        self.advance_log_start_offset(start)?;
        let dropped = &self.segments[0];
        let mut paths = vec![dropped.log.path(), dropped.offset_index.file().path(), dropped.time_index.file().path()];
        paths.extend((!dropped.transactions.is_empty()).then(|| dropped.transactions.file().path()));
        paths.push(names::snapshot_file(&self.path, dropped.base_offset));
        let renamed = rename_to_deleted(paths)?;
        self.segments.remove(0);
        let due = now.saturating_add(self.config.file_delete_delay_ms);
        self.removed.push(Removed { due, paths: renamed });
        Ok(())
    }

    fn remove_dropped(&mut self, now: i64) -> io::Result<()> {
        for removed in self.removed.iter_mut().filter(|removed| removed.due <= now) {
            while let Some(path) = removed.paths.last() {
                files::remove(path)?;
                removed.paths.pop();
            }
        }
        self.removed.retain(|removed| !removed.paths.is_empty());
        Ok(())
    }
}

/// Renames the files that are there. The first is the segment's own: without it the others are of no use, and are
/// removed when the log is opened, should they stay.
fn rename_to_deleted(paths: Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut renamed = Vec::new();
    for (number, path) in paths.into_iter().enumerate() {
        let mut name = path.clone().into_os_string();
        name.push(DELETED_SUFFIX);
        let name = PathBuf::from(name);
        match files::rename(&path, &name) {
            Ok(()) => renamed.push(name),
            Err(error) if number == 0 && error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
    }
    Ok(renamed)
}

impl Segment {
    fn as_closed(&self, end_offset: i64) -> io::Result<ClosedSegment> {
        let largest_timestamp = match self.largest_timestamp()? {
            Some(largest) => largest.timestamp,
            None if self.size > 0 => modified_ms(&self.log.path())?,
            None => i64::MIN,
        };
        Ok(ClosedSegment { end_offset, size: self.size, largest_timestamp })
    }
}

fn modified_ms(path: &std::path::Path) -> io::Result<i64> {
    let modified = std::fs::metadata(path)?.modified()?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
