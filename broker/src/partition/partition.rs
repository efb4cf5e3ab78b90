//! One partition: its log, who leads it, and how far it is committed.

use super::broker::Broker;
use super::error::PartitionError;
use super::replica::{LogEnd, Replica, RoleChange, View};
use super::sync::SyncTurn;
use super::throttle::Flags;
use super::traffic::Traffic;
use super::waiters::{AckWaiters, Acks, Moves, Subscribers, Subscription};
use crate::controller::image::PartitionRegistration;
use crate::controller::request::{AlteredPartition, IsrChange};
use crate::log::{AppendError, Appended, Log, LogConfig, Origin, ReadError};
use crate::protocol::batch::RecordBatch;
use crate::protocol::{ErrorCode, Uuid};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tokio::time::Instant;

pub(super) type Result<T> = std::result::Result<T, PartitionError>;

/// The leader epoch of a client that does not know any (KIP-320).
pub const NO_EPOCH: i32 = -1;

/// A partition's offsets at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub log_start_offset: i64,
    pub last_stable_offset: i64,
    pub high_watermark: i64,
    pub log_end_offset: i64,
}

/// How a batch is appended.
#[derive(Clone, Copy, Debug)]
pub struct Append {
    pub origin: Origin,
    /// `All`: refused where fewer replicas are in sync than `min.insync.replicas`.
    pub acks: Acks,
    /// The epoch in which the caller believes this broker to lead, or [`NO_EPOCH`]. An earlier one will do, if this broker
    /// has led without a break since.
    pub leader_epoch: i32,
}

/// Where a batch was appended, and in which epoch: what its acknowledgement is waited for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub appended: Appended,
    pub leader_epoch: i32,
}

/// A partition of this broker: one replica of it.
pub struct Partition {
    pub topic: Arc<str>,
    pub topic_id: Uuid,
    pub index: i32,
    state: Mutex<State>,
    subscribers: Subscribers,
    pub(super) throttled: Flags,
    /// Of its topic.
    pub traffic: Arc<Traffic>,
    pub(super) broker: Arc<Broker>,
    this: Weak<Partition>,
}

pub(super) struct State {
    /// `None` once the partition was closed or deleted: then nobody leads it either.
    pub log: Option<Log>,
    pub replica: Replica,
    pub acks: AckWaiters,
    pub sync: SyncTurn,
    /// What was appended below this offset and is not synced could not be.
    pub sync_failed_below: i64,
    isr_change_asked: bool,
}

impl State {
    /// The log, and the epoch in which this broker leads it.
    /// Errors: `NotLeader`; `FencedLeaderEpoch` or `UnknownLeaderEpoch` where the client believes in another leader.
    pub fn led(&mut self, believed_epoch: i32) -> Result<(&mut Log, i32)> {
        if !self.replica.is_leader() {
            return Err(PartitionError::NotLeader);
        }
        self.held(believed_epoch)
    }

    /// As [`State::led`], for who knows all that was appended since `believed_epoch` if this broker has led ever since.
    fn led_since(&mut self, believed_epoch: i32) -> Result<(&mut Log, i32)> {
        let epoch = self.replica.leader_epoch();
        let holds = (0..epoch).contains(&believed_epoch) && self.replica.has_led_since(believed_epoch);
        self.led(if holds { epoch } else { believed_epoch })
    }

    /// As [`State::led`], by whomever it is led.
    pub fn held(&mut self, believed_epoch: i32) -> Result<(&mut Log, i32)> {
        let epoch = self.replica.leader_epoch();
        let log = self.log.as_mut().ok_or(PartitionError::NotLeader)?;
        match believed_epoch {
            NO_EPOCH => Ok((log, epoch)),
            believed if believed < epoch => Err(PartitionError::FencedLeaderEpoch),
            believed if believed > epoch => Err(PartitionError::UnknownLeaderEpoch),
            _ => Ok((log, epoch)),
        }
    }

    pub fn log_end(&self) -> LogEnd {
        self.log.as_ref().map_or(LogEnd::at(0), log_end)
    }

    pub fn progress(&self) -> Option<Progress> {
        let (log, high_watermark) = (self.log.as_ref()?, self.replica.high_watermark());
        Some(Progress {
            log_start_offset: log.log_start_offset(),
            last_stable_offset: log.last_stable_offset(high_watermark),
            high_watermark,
            log_end_offset: log.log_end_offset(),
        })
    }

    /// Tells the replica how far its log reaches now. Whether the high watermark has moved.
    pub fn log_moved(&mut self, view: View<'_>) -> bool {
        let end = self.log_end();
        self.replica.appended(end, view)
    }

    /// What is to be said of records that wait for their acknowledgement; `None` as long as that is open.
    fn acknowledgement(&self, acks: Acks, last_offset: i64, leader_epoch: i32) -> Option<Result<()>> {
        if !self.replica.has_led_since(leader_epoch) || self.log.is_none() {
            return Some(Err(PartitionError::NotLeader));
        }
        let durable = self.log_end().durable > last_offset;
        if !durable && last_offset < self.sync_failed_below {
            let error = std::io::Error::other("the log could not be synced");
            return Some(Err(PartitionError::Storage(error)));
        }
        match acks {
            Acks::Leader => durable.then_some(Ok(())),
            Acks::All if self.replica.high_watermark() <= last_offset => None,
            Acks::All if self.replica.is_under_min_isr() => Some(Err(PartitionError::NotEnoughReplicasAfterAppend)),
            Acks::All => Some(Ok(())),
        }
    }

    pub fn settle(&mut self) {
        let mut waiters = std::mem::take(&mut self.acks);
        waiters.settle(|acks, last_offset, epoch| self.acknowledgement(acks, last_offset, epoch));
        self.acks = waiters;
    }
}

/// Where each record is synced before it is acknowledged (`flush.messages=1`), only synced ones count.
fn log_end(log: &Log) -> LogEnd {
    let end = log.log_end_offset();
    LogEnd { end, durable: if syncs_each(log.config()) { log.recovery_point().min(end) } else { end } }
}

pub(super) fn syncs_each(config: &LogConfig) -> bool {
    config.flush_messages <= 1
}

fn min_isr(log: &Log) -> usize {
    log.config().min_insync_replicas as usize
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.index)
    }
}

impl Partition {
    /// A partition that this broker holds a replica of; it follows nobody until [`Partition::apply`].
    /// `high_watermark`: as it was written down last, if it was.
    pub fn new(
        topic: Arc<str>,
        topic_id: Uuid,
        index: i32,
        log: Log,
        high_watermark: Option<i64>,
        broker: &Arc<Broker>,
    ) -> Arc<Partition> {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let high_watermark = high_watermark.unwrap_or(start).clamp(start, end);
        let replica = Replica::new(broker.settings.broker_id, broker.settings.lag_time_max_ms, high_watermark);
        let state = State {
            log: Some(log),
            replica,
            acks: AckWaiters::default(),
            sync: SyncTurn::None,
            sync_failed_below: 0,
            isr_change_asked: false,
        };
        let traffic = broker.traffic.of(&topic);
        Arc::new_cyclic(|this| Partition {
            topic,
            topic_id,
            index,
            state: Mutex::new(state),
            subscribers: Subscribers::default(),
            throttled: Flags::default(),
            traffic,
            broker: broker.clone(),
            this: this.clone(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// Lets go of `state`, behind which `moves` have happened, and tells all whom they concern.
    pub(super) fn release(&self, mut state: MutexGuard<'_, State>, moves: Moves) {
        state.settle();
        let asks = state.replica.wants_isr_change() && !std::mem::replace(&mut state.isr_change_asked, true);
        drop(state);
        if asks {
            self.broker.isr_changes.add(self.this.clone());
        }
        self.subscribers.tell(moves);
    }

    /// Takes over what the metadata says of this partition: leads it from now on, or follows. A new leader epoch begins at
    /// the log's end before anything is appended in it.
    pub fn apply(&self, registration: &PartitionRegistration) -> RoleChange {
        let mut state = self.state();
        let (before, isr) = (state.replica.high_watermark(), state.replica.isr().to_vec());
        let end = state.log_end();
        let min_isr = state.log.as_ref().map_or(1, min_isr);
        let change = self.broker.view(|view| state.replica.apply(registration, end, min_isr, view));
        if matches!(change, RoleChange::BeganToLead | RoleChange::LeadsOn) {
            let epoch = state.replica.leader_epoch();
            if let Some(log) = &mut state.log {
                log.begin_epoch(epoch);
            }
            // What it had appended as a follower may not be synced yet.
            self.sync_if_due(&mut state);
        }
        self.broker.isr_moves.count(&isr, state.replica.isr());
        let committed = state.replica.high_watermark() > before;
        let role = matches!(change, RoleChange::BeganToLead | RoleChange::LeadsOn | RoleChange::BeganToFollow);
        self.release(state, Moves { committed, role, ..Moves::default() });
        change
    }

    /// Appends `batch` and gives its offsets. With one replica it is committed at once.
    /// Errors: those of the leader epoch; `NotEnoughReplicas` (nothing was appended); those of [`Log::append`].
    pub fn append(&self, batch: RecordBatch<'_>, how: Append, now: i64) -> Result<Placed> {
        let mut state = self.state();
        state.led_since(how.leader_epoch)?;
        if how.acks == Acks::All && state.replica.is_under_min_isr() {
            return Err(PartitionError::NotEnoughReplicas);
        }
        let (log, leader_epoch) = state.led_since(how.leader_epoch)?;
        let appended =
            log.append(batch, leader_epoch, how.origin, now).inspect_err(|error| self.note_failure(error))?;
        self.sync_if_due(&mut state);
        let committed = self.broker.view(|view| state.log_moved(view));
        self.release(state, Moves { appended: !appended.duplicate, committed, role: false });
        self.note_rolled(appended.rolled);
        Ok(Placed { appended, leader_epoch })
    }

    /// Whoever watches over the disks is to know of one that refuses writes.
    pub(super) fn note_failure(&self, error: &AppendError) {
        if matches!(error, AppendError::Storage(_)) {
            self.broker.disks.fail();
        }
    }

    pub(super) fn weak(&self) -> Weak<Partition> {
        self.this.clone()
    }

    pub(super) fn note_rolled(&self, rolled: bool) {
        if rolled {
            self.broker.rolled.add(self.this.clone());
        }
    }

    /// Puts the log into the queue of those to be synced, where its configuration asks for that now.
    pub(super) fn sync_if_due(&self, state: &mut State) {
        let is_due = state.log.as_ref().is_some_and(|log| log.flush_is_due(i64::MIN));
        if is_due && state.sync.want() {
            self.broker.syncs.add(self.this.clone());
        }
    }

    /// Puts the log into the queue of those to be synced.
    pub(super) fn want_sync(&self) {
        if self.state().sync.want() {
            self.broker.syncs.add(self.this.clone());
        }
    }

    pub fn is_led(&self) -> bool {
        let state = self.state();
        state.log.is_some() && state.replica.is_leader()
    }

    /// The leader as this broker knows it, and the epoch; `None` where there is none.
    pub fn leader(&self) -> Option<(i32, i32)> {
        let state = self.state();
        Some((state.replica.leader()?, state.replica.leader_epoch()))
    }

    /// The offset behind the last committed record.
    pub fn high_watermark(&self) -> i64 {
        self.state().replica.high_watermark()
    }

    /// Looks at what this replica knows of the others.
    pub fn replica<T>(&self, look: impl FnOnce(&Replica) -> T) -> T {
        look(&self.state().replica)
    }

    /// Whether records that were appended are acknowledged.
    /// Errors: as [`Partition::acknowledged`].
    pub fn is_acknowledged(&self, placed: &Placed, acks: Acks) -> Result<bool> {
        let answer = self.state().acknowledgement(acks, placed.appended.last_offset, placed.leader_epoch);
        answer.transpose().map(|answer| answer.is_some())
    }

    /// Returns once records that were appended are acknowledged.
    /// Errors: `NotLeader` if that can no longer be told; `NotEnoughReplicasAfterAppend`; `Storage`; `TimedOut` behind
    /// `deadline`. Except for the first the records may be committed yet.
    pub async fn acknowledged(&self, placed: &Placed, acks: Acks, deadline: Instant) -> Result<()> {
        self.wait(acks, placed.appended.last_offset, placed.leader_epoch, deadline).await
    }

    /// Returns once the record at `offset`, which was appended in `leader_epoch`, is committed.
    /// Errors: as [`Partition::acknowledged`].
    pub async fn committed(&self, offset: i64, leader_epoch: i32, deadline: Instant) -> Result<()> {
        self.wait(Acks::All, offset, leader_epoch, deadline).await
    }

    async fn wait(&self, acks: Acks, last_offset: i64, leader_epoch: i32, deadline: Instant) -> Result<()> {
        let answered = {
            let mut state = self.state();
            if let Some(answer) = state.acknowledgement(acks, last_offset, leader_epoch) {
                return answer;
            }
            state.acks.add(acks, last_offset, leader_epoch)
        };
        let answer = tokio::time::timeout_at(deadline, answered).await.map_err(|_| PartitionError::TimedOut)?;
        answer.unwrap_or(Err(PartitionError::NotLeader))
    }

    /// Has `subscription` told of each move of this partition, for as long as it lives.
    pub fn subscribe(&self, subscription: &Arc<Subscription>) {
        self.subscribers.add(subscription);
    }

    /// Looks for followers that lag for too long.
    pub fn tick(&self, now: i64) {
        let mut state = self.state();
        if !state.replica.is_leader() {
            return;
        }
        let committed = self.broker.view(|view| state.replica.tick(View { now, ..view }));
        self.release(state, Moves { committed, ..Moves::default() });
    }

    /// The change of the ISR that this leader wants now, if any; to be answered by [`Partition::isr_answered`].
    pub fn take_isr_change(&self) -> Option<IsrChange> {
        let mut state = self.state();
        state.isr_change_asked = false;
        state.replica.take_isr_change(self.topic_id, self.index)
    }

    /// What the controller said to `asked`.
    pub fn isr_answered(&self, asked: &IsrChange, answer: std::result::Result<&AlteredPartition, ErrorCode>) {
        let mut state = self.state();
        let isr = state.replica.isr().to_vec();
        let committed = self.broker.view(|view| state.replica.isr_answered(asked, answer, view));
        self.broker.isr_moves.count(&isr, state.replica.isr());
        self.release(state, Moves { committed, ..Moves::default() });
    }

    /// Moves the log's start to `offset`, or to the high watermark for -1, and gives it (DeleteRecords).
    /// Errors: `NotLeader`; `OffsetOutOfRange` above the high watermark.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64> {
        const TO_HIGH_WATERMARK: i64 = -1;
        let mut state = self.state();
        let end = state.replica.high_watermark();
        let (log, _) = state.led(NO_EPOCH)?;
        let offset = if offset == TO_HIGH_WATERMARK { end } else { offset };
        if !(0..=end).contains(&offset) {
            return Err(ReadError::OffsetOutOfRange { offset, start: log.log_start_offset(), end }.into());
        }
        log.advance_log_start_offset(offset).map_err(AppendError::Storage)?;
        let start = log.log_start_offset();
        // Followers learn of it as of a new high watermark.
        self.release(state, Moves { committed: true, ..Moves::default() });
        Ok(start)
    }

    pub fn set_config(&self, config: Arc<LogConfig>) {
        let mut state = self.state();
        let Some(log) = &mut state.log else { return };
        log.set_config(config);
        let min_isr = min_isr(log);
        let committed = self.broker.view(|view| {
            let moved = state.replica.set_min_isr(min_isr, view);
            state.log_moved(view) || moved
        });
        self.sync_if_due(&mut state);
        self.release(state, Moves { committed, ..Moves::default() });
    }
}
