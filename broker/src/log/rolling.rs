//! Where one segment ends and the next begins, and where the log is cut.

use super::files;
use super::log::Log;
use super::names;
use super::segment::{Segment, into_io};
use std::io;
use std::sync::atomic::Ordering;

impl Log {
    /// Milliseconds that a segment is appended to: `segment.ms` less a part of `segment.jitter.ms`, so that the segments
    /// of a topic are not all closed at once. The part follows from the partition, and stays.
    pub(super) fn segment_age_max(&self) -> i64 {
        let jitter = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if jitter <= 0 {
            return self.config.segment_ms;
        }
        let spread = (self.partition as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.active().base_offset as u64;
        self.config.segment_ms - (spread % jitter as u64) as i64
    }

    /// Closes the active segment, and begins a new one at `base_offset`.
    /// Errors: the active segment stays what it was.
    pub(super) fn roll(&mut self, base_offset: i64, now: i64) -> io::Result<()> {
        let next = Segment::empty(self.files(), &self.path, base_offset, now);
        next.log.open_or_create()?;
        // Indexes that cannot be written now wait in memory; they are made again if the log is not closed cleanly.
        self.active_mut().finish_indexes().ok();
        self.state.indexes_unsynced_from = self.state.indexes_unsynced_from.min(self.active().base_offset);
        if self.active().size == 0 {
            let replaced = self.segments.pop().expect("a log has a segment");
            remove_files(&replaced)?;
        }
        self.segments.push(next);
        self.state.snapshot = (self.log_end_offset > 0).then(|| self.snapshot());
        self.state.checkpointed_size = 0;
        self.recent.clear();
        self.state.names.changed();
        Ok(())
    }

    /// Cuts the log so that it ends at `offset`, or at the end of the last batch before it: where `offset` lies within a
    /// batch, that batch is removed. Above the log's end nothing happens.
    /// Errors: nothing can be appended until the log was cut again, or opened again.
    pub fn truncate_to(&mut self, offset: i64, now: i64) -> io::Result<()> {
        if offset >= self.log_end_offset && !self.state.cutting {
            // An epoch that began here and wrote nothing is not one that the new leader has.
            let end = self.log_end_offset;
            self.state.epochs.changed_if(self.epochs.truncate_from_end(end));
            return Ok(());
        }
        let start = self.log_start_offset();
        if offset <= start {
            return self.truncate_fully_and_start_at(offset, now);
        }
        self.begin_cut(offset)?;
        while self.active().base_offset >= offset && self.segments.len() > 1 {
            remove_files(self.active())?;
            self.segments.pop();
            self.active_mut().load_tail().map_err(into_io)?;
        }
        self.cut_active(offset)?;
        if self.log_end_offset <= start {
            return self.truncate_fully_and_start_at(start, now);
        }
        let end = self.log_end_offset;
        self.state.epochs.changed_if(self.epochs.truncate_from_end(end));
        self.load_producers(names::snapshots(&self.path)?, now)?;
        self.state.cutting = false;
        Ok(())
    }

    fn begin_cut(&mut self, offset: i64) -> io::Result<()> {
        self.lower_recovery_point(offset)?;
        self.recent.clear();
        // Removed files whose names come back after a loss of power would lie behind, or within, what is appended next.
        self.state.names.changed();
        self.state.cutting = true;
        Ok(())
    }

    fn cut_active(&mut self, offset: i64) -> io::Result<()> {
        if let Some(batch) = self.active().locate(offset)? {
            self.lower_recovery_point(offset.min(batch.header.base_offset))?;
            self.active_mut().truncate(batch.position)?;
        }
        let end = self.active_mut().load_tail().map_err(into_io)?;
        self.lower_recovery_point(end)?;
        self.log_end_offset = end;
        self.active_mut().transactions.truncate(end)?;
        self.state.torn = false;
        Ok(())
    }

    /// Removes all that the log holds, and lets it begin and end at `offset`.
    /// Errors: nothing can be appended until the log was cut again, or opened again.
    pub fn truncate_fully_and_start_at(&mut self, offset: i64, now: i64) -> io::Result<()> {
        self.begin_cut(offset.min(self.log_start_offset()))?;
        self.start_anew_at(offset, now)?;
        self.epochs.clear();
        self.state.epochs.changed();
        self.producers.clear();
        self.state.cutting = false;
        Ok(())
    }

    pub(super) fn start_anew_at(&mut self, offset: i64, now: i64) -> io::Result<()> {
        for segment in self.segments.iter().rev() {
            remove_files(segment)?;
        }
        for snapshot in names::snapshots(&self.path)? {
            files::remove(&names::snapshot_file(&self.path, snapshot))?;
        }
        self.state.snapshot_offset = 0;
        self.log_end_offset = offset;
        self.segments = vec![Segment::empty(self.files(), &self.path, offset, now)];
        self.active().log.open_or_create()?;
        self.state.torn = false;
        self.state.names.changed();
        self.progress.log_start_offset.store(offset, Ordering::Release);
        self.progress.recovery_point.store(offset, Ordering::Release);
        Ok(())
    }

    /// Says on the disk that what lies at `offset` and behind is not synced, before something else is written there.
    fn lower_recovery_point(&mut self, offset: i64) -> io::Result<()> {
        self.state.generation = self.state.small_files.log_is_cut();
        self.state.checkpointed_size = 0;
        self.state.snapshot.take_if(|snapshot| snapshot.offset > offset);
        if self.recovery_point() <= offset {
            return Ok(());
        }
        self.progress.recovery_point.store(offset, Ordering::Release);
        self.directory.checkpoint_recovery_points()
    }
}

pub(super) fn remove_files(segment: &Segment) -> io::Result<()> {
    segment.paths().iter().try_for_each(|path| files::remove(path))
}
