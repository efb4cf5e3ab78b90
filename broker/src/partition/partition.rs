//! One partition: its log, who leads it, and how far it is committed.

use super::error::PartitionError;
use super::map::Rolled;
use super::waiters::{Waiter, Waiters};
use crate::log::{
    AbortedTransaction, AppendError, Appended, FileSlice, FlushTask, Log, LogConfig, LogDirs, Maintenance, Origin,
    ReadError,
};
use crate::protocol::Uuid;
use crate::protocol::batch::RecordBatch;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;

type Result<T> = std::result::Result<T, PartitionError>;

/// The leader epoch of a client that does not know any (KIP-320).
const NO_EPOCH: i32 = -1;

/// How far a reader may read (`isolation.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the first offset of the oldest open transaction, the last stable offset.
    ReadCommitted,
    /// Up to the log's end: for the broker's own logs, and for followers.
    LogEnd,
}

/// A partition's offsets at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub log_start_offset: i64,
    pub last_stable_offset: i64,
    pub high_watermark: i64,
    pub log_end_offset: i64,
}

/// What a read found: the records may be none at the end of what is readable.
#[derive(Debug)]
pub struct Readable {
    pub records: Option<FileSlice>,
    pub progress: Progress,
    /// For readers of committed records only: the transactions among the records that were aborted.
    pub aborted: Option<Vec<AbortedTransaction>>,
}

pub struct Partition {
    pub topic: Arc<str>,
    pub topic_id: Uuid,
    pub index: i32,
    state: Mutex<State>,
    waiters: Waiters,
    rolled: Arc<Rolled>,
}

struct State {
    /// `None` once the partition was closed or deleted: then nobody leads it either.
    log: Option<Log>,
    /// The epoch in which this broker leads, or none.
    leader_epoch: Option<i32>,
    high_watermark: i64,
}

impl State {
    /// The log, and the epoch in which it is led.
    /// Errors: `NotLeader`; `FencedLeaderEpoch` or `UnknownLeaderEpoch` where the client believes in another leader.
    fn led(&mut self, believed_epoch: i32) -> Result<(&mut Log, i32)> {
        let epoch = self.leader_epoch.ok_or(PartitionError::NotLeader)?;
        let log = self.log.as_mut().ok_or(PartitionError::NotLeader)?;
        match believed_epoch {
            NO_EPOCH => Ok((log, epoch)),
            believed if believed < epoch => Err(PartitionError::FencedLeaderEpoch),
            believed if believed > epoch => Err(PartitionError::UnknownLeaderEpoch),
            _ => Ok((log, epoch)),
        }
    }
}

impl Progress {
    fn of(log: &Log, high_watermark: i64) -> Progress {
        Progress {
            log_start_offset: log.log_start_offset(),
            last_stable_offset: log.last_stable_offset(high_watermark),
            high_watermark,
            log_end_offset: log.log_end_offset(),
        }
    }

    /// The offset behind the last one that may be read.
    fn limit(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset,
            Isolation::LogEnd => self.log_end_offset,
        }
    }
}

impl Partition {
    /// `rolled` is told when a segment is closed.
    pub fn new(topic: Arc<str>, topic_id: Uuid, index: i32, log: Log, rolled: Arc<Rolled>) -> Partition {
        let high_watermark = log.log_start_offset();
        let state = Mutex::new(State { log: Some(log), leader_epoch: None, high_watermark });
        Partition { topic, topic_id, index, state, waiters: Waiters::default(), rolled }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// Leads the partition from now on, as its only replica: all of its log is committed.
    pub fn lead(&self, leader_epoch: i32) {
        let mut state = self.state();
        let Some(log) = &mut state.log else { return };
        log.begin_epoch(leader_epoch);
        state.high_watermark = log.log_end_offset();
        state.leader_epoch = Some(leader_epoch);
        drop(state);
        self.waiters.wake();
    }

    /// Appends `batch` and gives its offsets. With one replica it is committed at once.
    /// Errors: `NotLeader`, those of [`Log::append`].
    pub fn append(&self, batch: RecordBatch<'_>, origin: Origin, now: i64) -> Result<Appended> {
        let mut state = self.state();
        let (log, epoch) = state.led(NO_EPOCH)?;
        let appended = log.append(batch, epoch, origin, now)?;
        if log.flush_is_due(now) {
            log.flush().map_err(AppendError::Storage)?;
        }
        state.high_watermark = log.log_end_offset();
        drop(state);
        if appended.rolled {
            self.rolled.add(self.topic_id, self.index);
        }
        self.waiters.wake();
        Ok(appended)
    }

    pub fn is_led(&self) -> bool {
        self.state().leader_epoch.is_some()
    }

    /// The offset behind the last committed record.
    pub fn high_watermark(&self) -> i64 {
        self.state().high_watermark
    }

    /// Whether a record at `offset` is committed.
    pub fn is_committed(&self, offset: i64) -> bool {
        self.high_watermark() > offset
    }

    /// Returns once the record at `offset` is committed.
    /// Errors: `NotLeader` if that can no longer be told; `TimedOut` behind `deadline`.
    pub async fn committed(&self, offset: i64, deadline: Instant) -> Result<()> {
        let waiter = Waiter::new();
        loop {
            self.waiters.register(&waiter);
            {
                let mut state = self.state();
                state.led(NO_EPOCH)?;
                if state.high_watermark > offset {
                    return Ok(());
                }
            }
            tokio::time::timeout_at(deadline, waiter.moved()).await.map_err(|_| PartitionError::TimedOut)?;
        }
    }

    /// Has `waiter` woken by the next change of this partition.
    pub fn watch(&self, waiter: &Arc<Waiter>) {
        self.waiters.register(waiter);
    }

    /// Whole batches from the one that holds `offset`, at most `bytes_max` unless `at_least_one` asks for the first
    /// batch whatever its size.
    /// Errors: those of the leader epoch; `OffsetOutOfRange`.
    pub fn read(
        &self,
        offset: i64,
        believed_epoch: i32,
        bytes_max: usize,
        isolation: Isolation,
        at_least_one: bool,
    ) -> Result<Readable> {
        let mut state = self.state();
        let high_watermark = state.high_watermark;
        let (log, _) = state.led(believed_epoch)?;
        let progress = Progress::of(log, high_watermark);
        let records = log.read(offset, bytes_max, progress.limit(isolation), at_least_one)?;
        let aborted = match (isolation, &records) {
            (Isolation::ReadCommitted, Some(slice)) => Some(log.aborted_transactions(offset, slice.next_offset)?),
            (Isolation::ReadCommitted, None) => Some(Vec::new()),
            _ => None,
        };
        Ok(Readable { records, progress, aborted })
    }

    /// As [`Partition::read`], for the broker's own use: the bytes themselves, up to the log's end.
    pub fn read_bytes(&self, offset: i64, bytes_max: usize) -> Result<Vec<u8>> {
        let slice = self.read(offset, NO_EPOCH, bytes_max, Isolation::LogEnd, true)?.records;
        Ok(slice.map(|slice| slice.read()).transpose()?.unwrap_or_default())
    }

    /// Errors: those of the leader epoch.
    pub fn progress(&self, believed_epoch: i32) -> Result<Progress> {
        let mut state = self.state();
        let high_watermark = state.high_watermark;
        Ok(Progress::of(state.led(believed_epoch)?.0, high_watermark))
    }

    /// Moves the log's start to `offset`, or to the high watermark for -1, and gives it (DeleteRecords).
    /// Errors: `NotLeader`; `OffsetOutOfRange` above the high watermark.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64> {
        const TO_HIGH_WATERMARK: i64 = -1;
        let mut state = self.state();
        let end = state.high_watermark;
        let (log, _) = state.led(NO_EPOCH)?;
        let offset = if offset == TO_HIGH_WATERMARK { end } else { offset };
        if !(0..=end).contains(&offset) {
            return Err(ReadError::OffsetOutOfRange { offset, start: log.log_start_offset(), end }.into());
        }
        log.advance_log_start_offset(offset)?;
        Ok(log.log_start_offset())
    }

    /// Looks into the log while this broker leads it.
    /// Errors: those of the leader epoch.
    pub fn with_log<T>(&self, believed_epoch: i32, look: impl FnOnce(&Log) -> T) -> Result<T> {
        self.state().led(believed_epoch).map(|(log, _)| look(log))
    }

    /// Looks into the log, led or not; `None` where it was closed.
    pub fn log<T>(&self, look: impl FnOnce(&Log) -> T) -> Option<T> {
        self.state().log.as_ref().map(look)
    }

    pub fn set_config(&self, config: Arc<LogConfig>) {
        if let Some(log) = &mut self.state().log {
            log.set_config(config);
        }
    }

    /// Rolls, deletes and expires what is due. Errors: the disk's.
    pub fn maintain(&self, now: i64) -> io::Result<Maintenance> {
        let mut state = self.state();
        let high_watermark = state.high_watermark;
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

    fn sync(&self, task: impl FnOnce(&mut Log) -> io::Result<Option<FlushTask>>) -> io::Result<()> {
        let task = self.state().log.as_mut().map_or(Ok(None), task)?;
        let Some(task) = task else { return Ok(()) };
        let synced = task.run();
        if let Some(log) = &mut self.state().log {
            match &synced {
                Ok(flushed) => log.flushed(*flushed),
                Err(_) => log.flush_failed(),
            }
        }
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

    /// Leads no more, and gives up the log.
    fn end(&self) -> Option<Log> {
        let mut state = self.state();
        state.leader_epoch = None;
        let log = state.log.take();
        drop(state);
        self.waiters.wake();
        log
    }
}
