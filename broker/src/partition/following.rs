//! A follower's side of a partition: what it asks its leader for, and what it does with the answer.
//!
//! - An answer counts only in the epoch it was asked in, and only for the log's end as it was when it was asked.
//! - The log is cut only where the leader says that the logs part, or starts anew where the leader has nothing older.

use super::error::PartitionError;
use super::partition::{NO_EPOCH, Partition, State};
use super::replica::truncation_offset;
use super::waiters::Moves;
use crate::log::{AppendError, Log};

/// Where a follower is, and what it believes: what its fetch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub leader_epoch: i32,
    pub offset: i64,
    /// The epoch of the last record; [`NO_EPOCH`] of an empty log.
    pub last_epoch: i32,
    pub log_start_offset: i64,
    pub high_watermark: i64,
    /// What was appended has to be synced before the leader hears of it.
    pub awaits_sync: bool,
}

/// What the leader has sent.
#[derive(Clone, Copy, Debug)]
pub struct FetchedRecords<'a> {
    /// Whole batches; the last may be cut short.
    pub records: &'a [u8],
    pub high_watermark: i64,
    pub log_start_offset: i64,
}

/// Why an answer of the leader could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Of no consequence: the metadata has moved on, or the log has.
    #[error("the answer is not to what would be asked now")]
    Outdated,
    #[error("the leader's log does not reach offset {end}, where this one ends, and says nothing of their difference")]
    Unreachable { end: i64 },
    #[error(transparent)]
    Partition(#[from] PartitionError),
}

impl From<AppendError> for FollowError {
    fn from(error: AppendError) -> FollowError {
        FollowError::Partition(error.into())
    }
}

impl From<std::io::Error> for FollowError {
    fn from(error: std::io::Error) -> FollowError {
        FollowError::Partition(error.into())
    }
}

type Result<T> = std::result::Result<T, FollowError>;

impl State {
    fn position(&self) -> Option<Position> {
        let log = self.log.as_ref().filter(|_| !self.replica.is_leader())?;
        let (offset, end) = (log.log_end_offset(), self.log_end());
        Some(Position {
            leader_epoch: self.replica.leader_epoch(),
            offset,
            last_epoch: log.epoch_at(offset - 1).unwrap_or(NO_EPOCH),
            log_start_offset: log.log_start_offset(),
            high_watermark: self.replica.high_watermark(),
            awaits_sync: end.durable < end.end,
        })
    }

    /// The log, if this broker still follows and would ask as it did for `asked`.
    fn following(&mut self, asked: &Position) -> Result<&mut Log> {
        let now = self.position().ok_or(FollowError::Outdated)?;
        if (now.leader_epoch, now.offset) != (asked.leader_epoch, asked.offset) {
            return Err(FollowError::Outdated);
        }
        Ok(self.log.as_mut().expect("there was one a moment ago"))
    }
}

impl Partition {
    /// Where this follower is; `None` where it leads or is gone.
    pub fn position(&self) -> Option<Position> {
        self.state().position()
    }

    /// Appends what the leader has sent for `asked`, and takes over how far it is committed; gives where it is now.
    /// Errors: `Outdated`; those of [`Log::append_replicated`]. Nothing was appended.
    pub fn follow(&self, asked: &Position, fetched: FetchedRecords<'_>, now: i64) -> Result<Position> {
        let mut state = self.state();
        let log = state.following(asked)?;
        let mut rolled = false;
        if !fetched.records.is_empty() {
            let appended = log.append_replicated(fetched.records, now);
            rolled = appended.inspect_err(|error| self.note_failure(error))?.rolled;
        }
        let end = log.log_end_offset();
        // A start above what is committed here would be one above what the leader has told.
        let start = fetched.log_start_offset.min(fetched.high_watermark).min(end);
        log.advance_log_start_offset(start)?;
        let committed = state.replica.followed(asked.leader_epoch, end, fetched.high_watermark);
        state.replica.started_at(start);
        let position = state.position().expect("it follows");
        if !position.awaits_sync {
            self.sync_if_due(&mut state);
        }
        self.release(state, Moves { appended: !fetched.records.is_empty(), committed, role: false });
        self.note_rolled(rolled);
        Ok(position)
    }

    /// Cuts the log where the leader says that its own is another (`DivergingEpoch`); gives where it is now.
    /// Errors: `Outdated`; the disk's: then the log has to be cut again before anything is appended.
    pub fn cut_where_it_diverges(&self, asked: &Position, epoch: i32, end_offset: i64, now: i64) -> Result<Position> {
        let mut state = self.state();
        let high_watermark = state.replica.high_watermark();
        let log = state.following(asked)?;
        let cut = truncation_offset(epoch, end_offset, asked.offset, |epoch| log.end_offset_for_epoch(epoch));
        if cut < high_watermark {
            tracing::warn!(
                topic = %self.topic, partition = self.index, offset = cut, high_watermark,
                "committed records are cut: the leader was elected without them"
            );
        }
        log.truncate_to(cut, now)?;
        Ok(self.was_cut(state))
    }

    /// The leader has no record at the log's end. Starts anew where the leader's log does, if that lies behind this log's
    /// end, or if nothing is in this log; gives where it is now.
    /// Errors: `Outdated`; `Unreachable` where records would be lost by it; the disk's.
    pub fn start_anew(&self, asked: &Position, leader_log_start: i64, now: i64) -> Result<Position> {
        let mut state = self.state();
        let log = state.following(asked)?;
        let is_empty = log.log_start_offset() == asked.offset;
        if leader_log_start <= asked.offset && !is_empty {
            return Err(FollowError::Unreachable { end: asked.offset });
        }
        log.truncate_fully_and_start_at(leader_log_start, now)?;
        state.replica.started_at(leader_log_start);
        Ok(self.was_cut(state))
    }

    fn was_cut(&self, mut state: std::sync::MutexGuard<'_, State>) -> Position {
        let end = state.log.as_ref().map_or(0, Log::log_end_offset);
        state.replica.truncated(end);
        let position = state.position().expect("it follows");
        self.release(state, Moves { role: true, ..Moves::default() });
        position
    }
}
