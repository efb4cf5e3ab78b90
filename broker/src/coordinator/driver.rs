//! Which shards are here, and how what they decide is carried out.

use super::deadlines::Alarm;
use super::group::records::batch_of;
use super::group::{Effects, GroupConfig, GroupOffset, GroupRecord, GroupState, Shard, Token, partition_for};
use super::load::{Loaded, load};
use super::log::CoordinatorLog;
use super::waiting::Waiting;
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::messages::sync_group::SyncGroupResponse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Milliseconds since 1970; the same clock that requests are stamped with.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Bytes of keys and values that are appended in one batch where they need not be one.
const FORGOTTEN_BYTES_MAX: usize = 512 << 10;

/// The groups that this broker coordinates.
pub struct Groups {
    pub(super) config: Arc<GroupConfig>,
    pub(super) clock: Clock,
    pub(super) alarm: Alarm,
    /// How many partitions `__consumer_offsets` has.
    partition_count: AtomicI32,
    /// The partitions that this broker leads.
    slots: RwLock<BTreeMap<i32, Arc<Slot>>>,
    next_token: AtomicU64,
}

/// One partition that this broker leads.
pub(super) struct Slot {
    pub log: Arc<dyn CoordinatorLog>,
    leader_epoch: i32,
    state: Mutex<State>,
}

pub(super) enum State {
    /// With the topics that have been deleted in the meantime.
    Loading(BTreeSet<String>),
    Failed,
    Active(Active),
}

/// A shard at work.
pub(super) struct Active {
    pub shard: Shard,
    pub joins: Waiting<JoinGroupResponse<'static>>,
    pub syncs: Waiting<SyncGroupResponse<'static>>,
    /// The last offset of the log that the shard has seen.
    pub last_offset: i64,
    /// When expired offsets are looked for.
    pub next_retention_check: i64,
}

impl Groups {
    pub fn new(config: GroupConfig, clock: Clock) -> Groups {
        Groups {
            partition_count: AtomicI32::new(config.offsets_topic_num_partitions),
            config: Arc::new(config),
            clock,
            alarm: Alarm::new(),
            slots: RwLock::default(),
            next_token: AtomicU64::new(0),
        }
    }

    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// Tells how many partitions `__consumer_offsets` really has, once it exists.
    pub fn set_partition_count(&self, partitions: i32) {
        self.partition_count.store(partitions, Ordering::Relaxed);
    }

    /// The partition of `__consumer_offsets` whose leader coordinates `group_id`.
    pub fn partition_for(&self, group_id: &str) -> i32 {
        partition_for(group_id, self.partition_count.load(Ordering::Relaxed))
    }

    /// This broker leads `partition` in `leader_epoch` from now on: its groups are loaded, and answered with
    /// `CoordinatorLoadInProgress` until the returned task has ended. In an epoch that it led already they stay as they are.
    pub fn become_leader(
        self: &Arc<Self>,
        partition: i32,
        leader_epoch: i32,
        log: Arc<dyn CoordinatorLog>,
    ) -> JoinHandle<()> {
        let slot = Arc::new(Slot { log, leader_epoch, state: Mutex::new(State::Loading(BTreeSet::new())) });
        let (is_new, replaced) = {
            let mut slots = self.slots.write().expect("no panic under this lock");
            let is_new = slots.get(&partition).is_none_or(|other| other.leader_epoch < leader_epoch);
            (is_new, is_new.then(|| slots.insert(partition, slot.clone())).flatten())
        };
        if let Some(replaced) = replaced {
            replaced.end();
        }
        let groups = self.clone();
        tokio::task::spawn_blocking(move || {
            if is_new {
                groups.load(partition, leader_epoch, &slot);
            }
        })
    }

    /// This broker no longer leads `partition`. Who waits for an answer gets `NotCoordinator`.
    pub fn resign(&self, partition: i32) {
        let slot = self.slots.write().expect("no panic under this lock").remove(&partition);
        if let Some(slot) = slot {
            tracing::debug!(partition, "unloaded groups");
            slot.end();
        }
    }

    fn load(&self, partition: i32, leader_epoch: i32, slot: &Slot) {
        let started = std::time::Instant::now();
        let loaded = load(&*slot.log, partition, self.config.clone(), || (self.clock)());
        let mut state = slot.lock();
        // Resigned in the meantime.
        let State::Loading(deleted_topics) = &*state else { return };
        match loaded {
            Ok(loaded) => {
                tracing::debug!(partition, leader_epoch, elapsed = ?started.elapsed(), "loaded groups");
                let mut active = self.activate(loaded);
                active.forget_topics(&*slot.log, &borrowed(deleted_topics), (self.clock)());
                *state = State::Active(active);
            }
            Err(error) => {
                tracing::error!(partition, leader_epoch, %error, "groups could not be loaded");
                *state = State::Failed;
            }
        }
    }

    fn activate(&self, loaded: Loaded) -> Active {
        let active = Active {
            shard: loaded.shard,
            joins: Waiting::new(),
            syncs: Waiting::new(),
            last_offset: loaded.last_offset,
            next_retention_check: (self.clock)() + self.config.offsets_retention_check_interval_ms,
        };
        self.alarm.set(active.next_deadline());
        active
    }

    /// How many of the groups here are in each state.
    pub fn state_counts(&self) -> BTreeMap<GroupState, usize> {
        let mut counts = BTreeMap::from(GroupState::ALL.map(|state| (state, 0)));
        for slot in self.slots() {
            if let Ok(active) = slot.lock().active() {
                active
                    .shard
                    .state_counts()
                    .into_iter()
                    .for_each(|(state, count)| *counts.entry(state).or_default() += count);
            }
        }
        counts
    }

    /// The committed offsets of the groups here; where there are more than `max`, those of the first groups by name.
    pub fn committed_offsets(&self, max: usize) -> Vec<GroupOffset> {
        let mut offsets = Vec::new();
        for slot in self.slots() {
            if let Ok(active) = slot.lock().active() {
                offsets.extend(active.shard.committed_offsets().take(max));
            }
        }
        // A group is in one shard alone, and there its offsets follow each other.
        offsets.sort_by(|one: &GroupOffset, other| one.group.cmp(&other.group));
        offsets.truncate(max);
        offsets
    }

    /// Forgets the committed offsets of `topics`, which have been deleted; of a shard that is loading, when it has loaded.
    pub fn topics_deleted(&self, topics: &[&str]) {
        let topics: BTreeSet<&str> = topics.iter().copied().collect();
        for slot in self.slots() {
            match &mut *slot.lock() {
                State::Active(active) => active.forget_topics(&*slot.log, &topics, (self.clock)()),
                State::Loading(deleted_topics) => deleted_topics.extend(topics.iter().copied().map(str::to_owned)),
                State::Failed => {}
            }
        }
    }

    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().expect("no panic under this lock").values().cloned().collect()
    }

    pub(super) fn token(&self) -> Token {
        Token(self.next_token.fetch_add(1, Ordering::Relaxed))
    }

    /// Works on the shard of `group_id` under its lock. Errors: `NotCoordinator`, `CoordinatorLoadInProgress`, and those of
    /// `work`.
    pub(super) fn with_shard<R>(
        &self,
        group_id: &str,
        work: impl FnOnce(&mut Active, &dyn CoordinatorLog) -> Result<R, ErrorCode>,
    ) -> Result<(Arc<Slot>, R), ErrorCode> {
        let partition = self.partition_for(group_id);
        let slot = self.slots.read().expect("no panic under this lock").get(&partition).cloned();
        let slot = slot.ok_or(ErrorCode::NotCoordinator)?;
        let result = {
            let mut state = slot.lock();
            let active = state.active()?;
            let result = work(active, &*slot.log)?;
            self.alarm.set(active.next_deadline());
            result
        };
        Ok((slot, result))
    }

    /// Waits until `offset` is committed. Errors: as a coordinator says them; `CoordinatorNotAvailable` if it takes longer
    /// than `offsets.commit.timeout.ms`, and then the records may be committed yet.
    pub(super) async fn committed(&self, slot: &Slot, offset: Option<i64>) -> Result<(), ErrorCode> {
        let Some(offset) = offset.filter(|offset| *offset >= 0) else { return Ok(()) };
        let patience = Duration::from_millis(self.config.offsets_commit_timeout_ms);
        let committed = tokio::time::timeout(patience, slot.log.committed(offset)).await;
        committed.unwrap_or(Err(ErrorCode::RequestTimedOut)).map_err(coordinator_error)
    }
}

impl Slot {
    fn end(&self) {
        *self.lock() = State::Failed;
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}

impl State {
    /// Errors: `CoordinatorLoadInProgress`; `NotCoordinator` where the shard is not here or could not be loaded.
    pub fn active(&mut self) -> Result<&mut Active, ErrorCode> {
        match self {
            State::Active(active) => Ok(active),
            State::Loading(_) => Err(ErrorCode::CoordinatorLoadInProgress),
            State::Failed => Err(ErrorCode::NotCoordinator),
        }
    }
}

impl Active {
    /// Appends and applies what was decided, and answers who waited. Returns the offset behind which the answer of the
    /// request itself may leave. Errors: as a coordinator says them; then nothing has happened.
    pub fn carry_out(
        &mut self,
        log: &dyn CoordinatorLog,
        effects: Effects,
        now: i64,
    ) -> Result<Option<i64>, ErrorCode> {
        let appends = !effects.records.is_empty();
        check_size(&effects.records)?;
        if appends {
            self.last_offset = log.append(batch_of(&effects.records, now), now).map_err(coordinator_error)?;
        }
        let after = appends.then_some(self.last_offset);
        self.shard.apply(effects.records, effects.changes);
        for (token, response) in effects.joins {
            self.joins.answer(token, response, after);
        }
        // An assignment may have been written down by an earlier request.
        for (token, response) in effects.syncs {
            self.syncs.answer(token, response, Some(self.last_offset));
        }
        Ok(after)
    }

    /// Appends tombstones, which may be many and need not be one batch. What cannot be appended stays, and the rest goes on.
    pub fn forget(&mut self, log: &dyn CoordinatorLog, effects: Effects, now: i64) {
        for records in chunks(effects.records) {
            let count = records.len();
            if let Err(error) = self.carry_out(log, Effects { records, ..Default::default() }, now) {
                tracing::warn!(%error, count, "tombstones of offsets could not be appended");
            }
        }
    }

    fn forget_topics(&mut self, log: &dyn CoordinatorLog, topics: &BTreeSet<&str>, now: i64) {
        let effects = self.shard.forget_topics(topics);
        self.forget(log, effects, now);
    }

    pub fn next_deadline(&self) -> i64 {
        self.shard.next_deadline().unwrap_or(i64::MAX).min(self.next_retention_check)
    }
}

/// Errors: more records than a log takes in one batch, whatever its `max.message.bytes`.
fn check_size(records: &[GroupRecord]) -> Result<(), ErrorCode> {
    const FEW: usize = 1000;
    const APPENDED_BYTES_MAX: usize = 64 << 20;
    let is_too_large =
        records.len() > FEW && records.iter().map(GroupRecord::encoded_size).sum::<usize>() > APPENDED_BYTES_MAX;
    if is_too_large { Err(coordinator_error(ErrorCode::MessageTooLarge)) } else { Ok(()) }
}

fn borrowed(names: &BTreeSet<String>) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// `records` in their order, in batches of at most [`FORGOTTEN_BYTES_MAX`] or of one record.
fn chunks(records: Vec<GroupRecord>) -> Vec<Vec<GroupRecord>> {
    let mut chunks: Vec<Vec<GroupRecord>> = Vec::new();
    let mut left = 0;
    for record in records {
        let size = record.encoded_size();
        match chunks.last_mut().filter(|_| size <= left) {
            Some(chunk) => chunk.push(record),
            None => {
                left = FORGOTTEN_BYTES_MAX.max(size);
                chunks.push(vec![record]);
            }
        }
        left -= size;
    }
    chunks
}

/// A coordinator's word for what its log says.
fn coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
