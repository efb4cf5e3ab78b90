//! Reading a partition, by clients and by followers.

use super::error::PartitionError;
use super::partition::{NO_EPOCH, Partition, Progress, Result, State};
use super::replica::{FollowerFetch, LogEnd};
use super::throttle::Throttling;
use super::traffic::Traffic;
use super::waiters::Moves;
use crate::log::{AbortedTransaction, FileSlice, Log, ReadError, UNDEFINED_EPOCH, UNDEFINED_OFFSET};
use std::sync::Arc;

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

/// Who reads, which decides from whom it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Only from the leader.
    OfLeader,
    /// From any replica; the rack it is in decides which is best (KIP-392), where it says one.
    OfAnyReplica { rack: Option<String> },
    /// The follower in broker `id`; its fetch tells the leader how far it has come.
    Follower { id: i32, broker_epoch: i64 },
}

/// What is to be read.
#[derive(Clone, Debug)]
pub struct ReadRequest<'r> {
    pub offset: i64,
    /// The leader epoch that the reader believes in, or [`NO_EPOCH`].
    pub leader_epoch: i32,
    /// The epoch of the record before `offset` in the reader's own log, or [`NO_EPOCH`]: where the two logs part is told
    /// instead of records.
    pub last_fetched_epoch: i32,
    pub bytes_max: usize,
    /// The first batch is given whatever its size.
    pub at_least_one: bool,
    pub isolation: Isolation,
    pub reader: &'r Reader,
}

/// What a read found: the records may be none at the end of what is readable.
#[derive(Debug)]
pub struct Readable {
    pub records: Option<FileSlice>,
    pub progress: Progress,
    /// For readers of committed records only: the transactions among the records that were aborted.
    pub aborted: Option<Vec<AbortedTransaction>>,
    /// The reader's log is another behind this epoch and offset: it has to cut there, and got nothing.
    pub diverging: Option<(i32, i64)>,
    /// A replica that is nearer to the reader: it should read there, and got nothing.
    pub preferred_replica: Option<i32>,
    pub throttling: Throttling,
    /// Where records count that a consumer is sent.
    traffic: Option<Arc<Traffic>>,
}

impl Readable {
    /// The records are sent. Those for followers do not count.
    pub fn count_sent(&self) {
        if let (Some(traffic), Some(records)) = (&self.traffic, &self.records) {
            traffic.fetched(records.length as u64);
        }
    }
}

impl Progress {
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
    /// Whole batches from the one that holds `offset`.
    /// Errors: those of the leader epoch; `OffsetOutOfRange`; of a follower's fetch [`super::replica::FetchRefusal`].
    pub fn read(&self, request: &ReadRequest<'_>) -> Result<Readable> {
        let mut state = self.state();
        match request.reader {
            Reader::OfAnyReplica { .. } => state.held(request.leader_epoch)?,
            Reader::OfLeader | Reader::Follower { .. } => state.led(request.leader_epoch)?,
        };
        if let Some(diverging) = diverging(&state, request)? {
            return nothing(&state, Some(diverging), None);
        }
        let (mut committed, mut throttling) = (false, Throttling::None);
        if let Reader::Follower { id, broker_epoch } = *request.reader {
            check_range(&state, request.offset)?;
            let fetch = FollowerFetch { id, broker_epoch, offset: request.offset };
            committed = self.broker.view(|view| state.replica.fetched(fetch, view))?;
            throttling = self.throttling(&state, id);
        }
        let read = match (throttling, self.nearer_replica(&state, request)) {
            (Throttling::HeldBackUntil(_), _) => nothing(&state, None, None),
            (_, Some(nearer)) => nothing(&state, None, Some(nearer)),
            (_, None) => read(&state, request),
        };
        self.release(state, Moves { committed, ..Moves::default() });
        let read = read?;
        let is_followers = matches!(request.reader, Reader::Follower { .. });
        let counts = read.records.is_some() && !is_followers;
        Ok(Readable { throttling, traffic: counts.then(|| self.traffic.clone()), ..read })
    }

    /// A replica in the reader's rack that has what it asks for, if this one is in another (`RackAwareReplicaSelector`).
    fn nearer_replica(&self, state: &State, request: &ReadRequest<'_>) -> Option<i32> {
        let Reader::OfAnyReplica { rack: Some(rack) } = request.reader else { return None };
        if !self.broker.settings.rack_aware || !state.replica.is_leader() {
            return None;
        }
        let live = self.broker.live();
        let is_near = |id: i32| live.get(&id).is_some_and(|broker| broker.rack.as_ref() == Some(rack));
        if is_near(self.broker.settings.broker_id) {
            return None;
        }
        let has_it =
            |(id, log_end): &(i32, i64)| state.replica.isr().contains(id) && *log_end >= request.offset && is_near(*id);
        state.replica.followers().filter(has_it).max_by_key(|(_, log_end)| *log_end).map(|(id, _)| id)
    }

    /// As [`Partition::read`], for the broker's own use: the bytes themselves, up to the log's end.
    pub fn read_bytes(&self, offset: i64, bytes_max: usize) -> Result<Vec<u8>> {
        let request = ReadRequest {
            offset,
            leader_epoch: NO_EPOCH,
            last_fetched_epoch: NO_EPOCH,
            bytes_max,
            at_least_one: true,
            isolation: Isolation::LogEnd,
            reader: &Reader::OfLeader,
        };
        let slice = self.read(&request)?.records;
        Ok(slice.map(|slice| slice.read()).transpose()?.unwrap_or_default())
    }

    /// Errors: those of the leader epoch.
    pub fn progress(&self, believed_epoch: i32) -> Result<Progress> {
        let mut state = self.state();
        state.led(believed_epoch)?;
        state.progress().ok_or(PartitionError::NotLeader)
    }

    /// The offsets as a client may know them. A new leader may not know yet all that was committed before it: until it
    /// does, an end that it told could lie below one that another leader had told (KIP-207).
    /// Errors: those of the leader epoch; `OffsetNotAvailable`.
    pub fn committed_progress(&self, believed_epoch: i32) -> Result<Progress> {
        let mut state = self.state();
        state.led(believed_epoch)?;
        let progress = state.progress().ok_or(PartitionError::NotLeader)?;
        match state.replica.epoch_start() {
            Some(start) if progress.high_watermark < start => Err(PartitionError::OffsetNotAvailable),
            _ => Ok(progress),
        }
    }

    /// Looks into the log while this broker leads it.
    /// Errors: those of the leader epoch.
    pub fn with_log<T>(&self, believed_epoch: i32, look: impl FnOnce(&Log) -> T) -> Result<T> {
        self.state().led(believed_epoch).map(|(log, _)| look(log))
    }

    /// The offsets of this replica, led or not.
    pub fn offsets(&self) -> Option<(Progress, LogEnd)> {
        let progress = self.state().progress()?;
        Some((progress, self.log_end()))
    }
}

fn log(state: &State) -> Result<&Log> {
    state.log.as_ref().ok_or(PartitionError::NotLeader)
}

fn check_range(state: &State, offset: i64) -> Result<()> {
    let (start, end) = (log(state)?.log_start_offset(), log(state)?.log_end_offset());
    match (start..=end).contains(&offset) {
        true => Ok(()),
        false => Err(ReadError::OffsetOutOfRange { offset, start, end }.into()),
    }
}

/// Where the reader's log parts from this one, if it does before `offset` (KIP-595).
fn diverging(state: &State, request: &ReadRequest<'_>) -> Result<Option<(i32, i64)>> {
    if request.last_fetched_epoch == NO_EPOCH {
        return Ok(None);
    }
    let log = log(state)?;
    let (epoch, end_offset) = log.end_offset_for_epoch(request.last_fetched_epoch);
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    if epoch == UNDEFINED_EPOCH || end_offset == UNDEFINED_OFFSET || request.offset < start {
        return Err(ReadError::OffsetOutOfRange { offset: request.offset, start, end }.into());
    }
    let parts = epoch < request.last_fetched_epoch || end_offset < request.offset;
    Ok(parts.then_some((epoch, end_offset)))
}

fn nothing(state: &State, diverging: Option<(i32, i64)>, preferred_replica: Option<i32>) -> Result<Readable> {
    let progress = state.progress().ok_or(PartitionError::NotLeader)?;
    Ok(Readable {
        records: None,
        progress,
        aborted: None,
        diverging,
        preferred_replica,
        throttling: Throttling::None,
        traffic: None,
    })
}

fn read(state: &State, request: &ReadRequest<'_>) -> Result<Readable> {
    let (log, progress) = (log(state)?, state.progress().ok_or(PartitionError::NotLeader)?);
    let limit = progress.limit(request.isolation);
    let records = log.read(request.offset, request.bytes_max, limit, request.at_least_one)?;
    let aborted = match (request.isolation, &records) {
        (Isolation::ReadCommitted, Some(slice)) => Some(log.aborted_transactions(request.offset, slice.next_offset)?),
        (Isolation::ReadCommitted, None) => Some(Vec::new()),
        _ => None,
    };
    Ok(Readable {
        records,
        progress,
        aborted,
        diverging: None,
        preferred_replica: None,
        throttling: Throttling::None,
        traffic: None,
    })
}
