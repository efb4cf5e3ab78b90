//! What is done with a partition's log from time to time, and at its end.

use super::partition::Partition;
use super::replica::LogEnd;
use super::waiters::Moves;
use crate::log::{FlushTask, Log, LogDirs, Maintenance};
use std::io;

impl Partition {
    /// Rolls, deletes and expires what is due. Errors: the disk's.
    pub fn maintain(&self, now: i64) -> io::Result<Maintenance> {
        let mut state = self.state();
        let high_watermark = state.replica.high_watermark();
        state.log.as_mut().map_or(Ok(Maintenance::default()), |log| log.maintain(now, high_watermark))
    }

    /// When the files of deleted segments may be removed by [`Partition::maintain`]; `None` if there are none.
    pub fn next_removal(&self) -> Option<i64> {
        self.log(Log::next_removal).flatten()
    }

    /// Whether `flush.ms` or `flush.messages` ask for a sync.
    pub fn flush_is_due(&self, now: i64) -> bool {
        self.log(|log| log.flush_is_due(now)).unwrap_or(false)
    }

    /// Syncs all that was appended, without holding up appends meanwhile. Errors: the disk's.
    pub fn flush(&self) -> io::Result<()> {
        self.sync(Log::flush_task)
    }

    /// Syncs the segments that were closed, without holding up appends meanwhile. Errors: the disk's.
    pub fn flush_closed_segments(&self) -> io::Result<()> {
        self.sync(Log::flush_task_for_closed)
    }

    /// Vouches for what was synced, so that a crash validates little. Errors: the disk's.
    pub fn checkpoint(&self) -> io::Result<()> {
        self.sync(Log::checkpoint_task)
    }

    /// As [`Partition::flush`], when its turn in the queue has come. Errors: the disk's.
    pub(super) fn sync_in_turn(&self) -> io::Result<()> {
        self.state().sync.begin();
        let synced = self.flush();
        if self.state().sync.end() {
            self.broker.syncs.add(self.weak());
        }
        synced
    }

    fn sync(&self, task: impl FnOnce(&mut Log) -> io::Result<Option<FlushTask>>) -> io::Result<()> {
        let task = {
            let mut state = self.state();
            let task = state.log.as_mut().map_or(Ok(None), task);
            if task.is_err() {
                state.sync_failed_below = state.log.as_ref().map_or(0, Log::log_end_offset);
                self.release(state, Moves::default());
            }
            task?
        };
        let Some(task) = task else { return Ok(()) };
        let synced = task.run();
        let mut state = self.state();
        if let Some(log) = &mut state.log {
            match &synced {
                Ok(flushed) => log.flushed(*flushed),
                Err(_) => {
                    self.broker.disks.fail();
                    log.flush_failed();
                    state.sync_failed_below = state.log.as_ref().map_or(0, Log::log_end_offset);
                }
            }
        }
        let committed = self.broker.view(|view| state.log_moved(view));
        self.release(state, Moves { committed, ..Moves::default() });
        synced.map(drop)
    }

    /// Ends the log's life in this process, whole and synced. Errors: the disk's.
    pub fn close(&self) -> io::Result<()> {
        self.end().map_or(Ok(()), |mut log| log.close())
    }

    /// Moves the log's directory out of the way, to be removed behind `file.delete.delay.ms`. Errors: the disk's.
    pub fn delete(&self, log_dirs: &LogDirs, now: i64) -> io::Result<()> {
        self.end().map_or(Ok(()), |mut log| log.delete(log_dirs, now))
    }

    /// Leads and follows no more, and gives up the log.
    fn end(&self) -> Option<Log> {
        let mut state = self.state();
        let log = state.log.take();
        let role = log.is_some();
        self.release(state, Moves { role, ..Moves::default() });
        log
    }

    /// How far the log reaches; 0 of one that was closed.
    pub fn log_end(&self) -> LogEnd {
        self.state().log_end()
    }

    /// Looks into the log, led or not; `None` where it was closed.
    pub fn log<T>(&self, look: impl FnOnce(&Log) -> T) -> Option<T> {
        self.state().log.as_ref().map(look)
    }
}
