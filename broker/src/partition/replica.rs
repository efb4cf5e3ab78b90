//! What one replica of a partition knows of the others, and what follows from it: who is in sync, what is committed.
//!
//! - The high watermark lies at or below the log of every replica of the *maximal* ISR: the committed one, and whatever a
//!   change that was asked for would let in. Whichever of them the controller takes, nothing committed is lost (KIP-497).
//! - It does not move while the ISR is smaller than `min.insync.replicas` (KIP-966), and it never goes back.
//! - A replica joins the ISR in the incarnation that the metadata knows only (KIP-903), once it has all that is committed
//!   and all that was there when the leader began.
//! - What an older leader epoch or an older partition epoch says is ignored.
//!
//! Deliberately absent: the log, the clock, the network. `now` is in milliseconds and never goes back.

use crate::controller::image::{NO_LEADER, PartitionRegistration};
use crate::controller::request::{AlteredPartition, InSyncReplica, IsrChange};
use crate::protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// The log end of a follower that has not fetched yet.
const UNKNOWN: i64 = -1;
/// A time before all others.
const NEVER: i64 = i64::MIN / 2;

/// What a decision depends on beside the replica itself.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub now: i64,
    /// The epoch of a broker that is neither fenced nor shutting down.
    pub live: &'a dyn Fn(i32) -> Option<i64>,
}

/// How far a log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The offset that the next record gets.
    pub end: i64,
    /// The offset up to which records count as written here: the synced end where an answer waits for the disk, else `end`.
    pub durable: i64,
}

impl LogEnd {
    /// Of a log whose records count as soon as they are appended.
    pub fn at(end: i64) -> LogEnd {
        LogEnd { end, durable: end }
    }
}

/// A follower's fetch, as far as it says something about the follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    pub id: i32,
    /// The epoch of the broker that the follower runs in.
    pub broker_epoch: i64,
    /// The follower has all that lies before this offset.
    pub offset: i64,
}

/// Why a follower's fetch does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefusal {
    #[error("this broker does not lead the partition")]
    NotLeader,
    #[error("broker {0} holds no replica of the partition, as far as this broker knows")]
    UnknownReplica(i32),
    #[error("the fetch of an earlier incarnation of broker {0}")]
    EarlierIncarnation(i32),
}

/// What a change of the metadata made of this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// It was older than what is known.
    Stale,
    /// It leads in a new epoch: the log has to begin it before anything is appended.
    BeganToLead,
    /// It leads in a new epoch as it did in the one before: the log has to begin that one too, and has all it had.
    LeadsOn,
    /// It leads as before; the other replicas or the ISR may have changed.
    StillLeads,
    /// It follows a leader, or waits for one, in a new epoch.
    BeganToFollow,
    StillFollows,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Replica {
    broker_id: i32,
    /// Milliseconds that a follower may be behind and stay in the ISR (`replica.lag.time.max.ms`).
    lag_time_max_ms: i64,
    leader_epoch: i32,
    partition_epoch: i32,
    high_watermark: i64,
    role: Role,
}

#[derive(Clone, Debug)]
enum Role {
    Leader(Leader),
    /// Of this broker, or of none ([`NO_LEADER`]).
    Follower(i32),
}

#[derive(Clone, Debug)]
struct Leader {
    /// Of all replicas, this one included.
    replica_count: usize,
    isr: Arc<[i32]>,
    change: Option<Change>,
    followers: Vec<Follower>,
    log: LogEnd,
    /// Where the log ended when this broker began to lead.
    epoch_start: i64,
    /// The first epoch of those in which it has led without a break: its log has only grown since.
    leads_since: i32,
    min_isr: usize,
}

/// A change of the ISR that was not answered yet.
#[derive(Clone, Debug)]
struct Change {
    isr: Vec<InSyncReplica>,
    progress: ChangeProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeProgress {
    ToBeSent,
    Sent,
    /// The controller knows more than this leader does: the metadata will say what.
    LeftToMetadata,
}

/// What the leader knows of another replica.
#[derive(Clone, Debug)]
struct Follower {
    id: i32,
    broker_epoch: i64,
    log_end: i64,
    /// When it was last seen to have all that the leader had.
    caught_up_at: i64,
    /// When it fetched last, and where the leader's log ended then.
    fetched_at: i64,
    leader_end_then: i64,
}

impl Follower {
    fn new(id: i32, caught_up_at: i64) -> Follower {
        Follower {
            id,
            broker_epoch: -1,
            log_end: UNKNOWN,
            caught_up_at,
            fetched_at: caught_up_at,
            leader_end_then: i64::MAX,
        }
    }

    fn fetched(&mut self, fetch: FollowerFetch, leader_end: i64, now: i64) {
        if fetch.offset >= leader_end {
            self.caught_up_at = now;
        } else if fetch.offset >= self.leader_end_then {
            // It has reached what the leader had when it fetched before: it was caught up then.
            self.caught_up_at = self.caught_up_at.max(self.fetched_at);
        }
        self.broker_epoch = fetch.broker_epoch;
        self.log_end = fetch.offset;
        self.fetched_at = now;
        self.leader_end_then = leader_end;
    }

    fn is_caught_up(&self, leader_end: i64, now: i64, lag_time_max_ms: i64) -> bool {
        self.log_end == leader_end || now - self.caught_up_at <= lag_time_max_ms
    }

    fn is_live(&self, view: View<'_>) -> bool {
        (view.live)(self.id) == Some(self.broker_epoch)
    }
}

impl Replica {
    /// A replica that nothing is known of but its own log: it follows nobody yet. `high_watermark` as it was written down
    /// last; of a new one 0.
    pub fn new(broker_id: i32, lag_time_max_ms: i64, high_watermark: i64) -> Replica {
        Replica {
            broker_id,
            lag_time_max_ms,
            leader_epoch: -1,
            partition_epoch: -1,
            high_watermark,
            role: Role::Follower(NO_LEADER),
        }
    }

    /// The offset behind the last record that is known to be committed.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The leader's epoch, whoever leads; -1 before the first.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The broker that leads, if any does.
    pub fn leader(&self) -> Option<i32> {
        match self.role {
            Role::Leader(_) => Some(self.broker_id),
            Role::Follower(leader) => Some(leader).filter(|leader| *leader != NO_LEADER),
        }
    }

    /// The ISR as the controller has it; empty where this broker does not lead.
    pub fn isr(&self) -> &[i32] {
        self.leading().map_or(&[], |leader| &leader.isr)
    }

    /// Where this broker's log ended when it began to lead.
    pub fn epoch_start(&self) -> Option<i64> {
        self.leading().map(|leader| leader.epoch_start)
    }

    /// Whether this broker leads, and has led without a break since `epoch`: what it appended then is in its log still.
    pub fn has_led_since(&self, epoch: i32) -> bool {
        self.leading().is_some_and(|leader| leader.leads_since <= epoch)
    }

    /// The other replicas and how far their logs reach, as far as it is known (-1: not at all).
    pub fn followers(&self) -> impl Iterator<Item = (i32, i64)> {
        self.leading().into_iter().flat_map(|leader| leader.followers.iter().map(|one| (one.id, one.log_end)))
    }

    /// Whether the high watermark does not move past the log of the follower `id`: it is in sync, or about to be.
    pub fn waits_for(&self, id: i32, view: View<'_>) -> bool {
        let Some(leader) = self.leading() else { return false };
        let mut followers = leader.followers.iter();
        followers.any(|one| one.id == id && leader.waits_for(one, self.lag_time_max_ms, view))
    }

    /// Whether too few replicas are in sync for acks=all (`min.insync.replicas`).
    pub fn is_under_min_isr(&self) -> bool {
        self.leading().is_some_and(Leader::is_under_min_isr)
    }

    /// Takes over what the metadata says. Of the log of a leader nothing may be missing in `log`.
    pub fn apply(
        &mut self,
        registration: &PartitionRegistration,
        log: LogEnd,
        min_isr: usize,
        view: View<'_>,
    ) -> RoleChange {
        let (epoch, partition_epoch) = (registration.leader_epoch, registration.partition_epoch);
        if epoch < self.leader_epoch || partition_epoch < self.partition_epoch {
            return RoleChange::Stale;
        }
        let (is_new, is_newer) = (epoch > self.leader_epoch, partition_epoch > self.partition_epoch);
        (self.leader_epoch, self.partition_epoch) = (epoch, partition_epoch);
        if registration.leader != self.broker_id {
            let before = std::mem::replace(&mut self.role, Role::Follower(registration.leader));
            let follows_another = !matches!(before, Role::Follower(leader) if leader == registration.leader);
            let begins = is_new || follows_another;
            return if begins { RoleChange::BeganToFollow } else { RoleChange::StillFollows };
        }
        let change = match &mut self.role {
            Role::Leader(leader) if !is_new => {
                leader.changed(self.broker_id, registration, is_newer);
                RoleChange::StillLeads
            }
            Role::Leader(leader) => {
                let leads_since = leader.leads_since;
                let anew = Leader::new(self.broker_id, registration, log, min_isr, view.now);
                *leader = Leader { leads_since, ..anew };
                RoleChange::LeadsOn
            }
            role => {
                *role = Role::Leader(Leader::new(self.broker_id, registration, log, min_isr, view.now));
                RoleChange::BeganToLead
            }
        };
        self.let_idle_join(view);
        self.advance(view);
        change
    }

    /// Lets those join who have everything. They may have fetched the last of it while another change was under way, and are
    /// not asked to fetch again where nothing is written.
    fn let_idle_join(&mut self, view: View<'_>) {
        let Role::Leader(leader) = &mut self.role else { return };
        let end = leader.log.end;
        leader.let_join(self.broker_id, self.high_watermark, view, |one| one.log_end == end);
    }

    /// The leader's log has grown, or more of it is on the disk. Whether the high watermark has moved.
    pub fn appended(&mut self, log: LogEnd, view: View<'_>) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        if log.end > leader.log.end {
            let end = leader.log.end;
            // A follower that lacked nothing was caught up until now, though nothing made it fetch.
            leader.followers.iter_mut().filter(|one| one.log_end == end).for_each(|one| one.caught_up_at = view.now);
        }
        leader.log = log;
        self.advance(view)
    }

    /// `min.insync.replicas` has changed. Whether the high watermark has moved.
    pub fn set_min_isr(&mut self, min_isr: usize, view: View<'_>) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        leader.min_isr = min_isr;
        self.advance(view)
    }

    /// A follower asks for what lies behind `fetch.offset`, which is an offset of its own log that does not contradict this
    /// one. Whether the high watermark has moved.
    /// Errors: the fetch does not count.
    pub fn fetched(&mut self, fetch: FollowerFetch, view: View<'_>) -> Result<bool, FetchRefusal> {
        let high_watermark = self.high_watermark;
        let Role::Leader(leader) = &mut self.role else { return Err(FetchRefusal::NotLeader) };
        let leader_end = leader.log.end;
        let follower = leader.followers.iter_mut().find(|follower| follower.id == fetch.id);
        let follower = follower.ok_or(FetchRefusal::UnknownReplica(fetch.id))?;
        if fetch.broker_epoch < follower.broker_epoch {
            return Err(FetchRefusal::EarlierIncarnation(fetch.id));
        }
        follower.fetched(fetch, leader_end, view.now);
        leader.let_join(self.broker_id, high_watermark, view, |one| one.id == fetch.id);
        Ok(self.advance(view))
    }

    /// Time has passed, or other brokers live: followers that lag for too long leave the ISR, those that died hold nothing up
    /// any more, and those that had fetched all before they were known to live join. (An idle partition is not fetched again.)
    /// Whether the high watermark has moved.
    pub fn tick(&mut self, view: View<'_>) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        let end = leader.log.end;
        let lags = |one: &&Follower| !one.is_caught_up(end, view.now, self.lag_time_max_ms);
        let lagging: Vec<i32> = leader.followers.iter().filter(lags).map(|one| one.id).collect();
        if leader.change.is_none() && leader.isr.iter().any(|id| lagging.contains(id)) {
            let stay = leader.in_sync(self.broker_id, view, |id| leader.isr.contains(&id) && !lagging.contains(&id));
            leader.change = Some(Change { isr: stay, progress: ChangeProgress::ToBeSent });
        }
        self.let_idle_join(view);
        self.advance(view)
    }

    /// Whether [`Replica::take_isr_change`] would give something.
    pub fn wants_isr_change(&self) -> bool {
        let to_be_sent = |change: &Change| change.progress == ChangeProgress::ToBeSent;
        self.leading().and_then(|leader| leader.change.as_ref()).is_some_and(to_be_sent)
    }

    /// The change that is to be asked of the controller now. What became of it is told to [`Replica::isr_answered`].
    pub fn take_isr_change(&mut self, topic_id: Uuid, partition: i32) -> Option<IsrChange> {
        let (leader_epoch, partition_epoch) = (self.leader_epoch, self.partition_epoch);
        let Role::Leader(leader) = &mut self.role else { return None };
        let change = leader.change.as_mut().filter(|change| change.progress == ChangeProgress::ToBeSent)?;
        change.progress = ChangeProgress::Sent;
        let isr = change.isr.clone();
        Some(IsrChange { topic_id, partition, leader_epoch, partition_epoch, isr, leader_recovering: false })
    }

    /// The controller's answer to `asked`. Whether the high watermark has moved.
    pub fn isr_answered(
        &mut self,
        asked: &IsrChange,
        answer: Result<&AlteredPartition, ErrorCode>,
        view: View<'_>,
    ) -> bool {
        let is_current = asked.leader_epoch == self.leader_epoch && asked.partition_epoch == self.partition_epoch;
        let Role::Leader(leader) = &mut self.role else { return false };
        if !is_current {
            // The metadata has come first, and has said all.
            return false;
        }
        match answer {
            Ok(now) if now.leader_epoch == self.leader_epoch && now.partition_epoch >= self.partition_epoch => {
                self.partition_epoch = now.partition_epoch;
                leader.isr = now.isr.as_slice().into();
                leader.change = None;
                self.let_idle_join(view);
            }
            Ok(_) => leader.leave_change(ChangeProgress::LeftToMetadata),
            Err(code) => match code {
                // The controller says that it has done nothing.
                ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica => leader.change = None,
                ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::NewLeaderElected
                | ErrorCode::InvalidRequest
                | ErrorCode::UnknownTopicId
                | ErrorCode::UnknownTopicOrPartition => leader.leave_change(ChangeProgress::LeftToMetadata),
                // It may have been done: it stays part of the maximal ISR, and is asked for again.
                _ => leader.leave_change(ChangeProgress::ToBeSent),
            },
        }
        self.advance(view)
    }

    /// The leader of `leader_epoch` has told its high watermark, and this log ends at `log_end`. Whether ours has moved.
    pub fn followed(&mut self, leader_epoch: i32, log_end: i64, leader_high_watermark: i64) -> bool {
        if self.is_leader() || leader_epoch != self.leader_epoch {
            return false;
        }
        let high_watermark = leader_high_watermark.min(log_end);
        let moved = high_watermark > self.high_watermark;
        self.high_watermark = self.high_watermark.max(high_watermark);
        moved
    }

    /// A follower's log was cut, and ends at `log_end` now. Below the high watermark that happens only when a replica was
    /// elected that lacked committed records (`unclean.leader.election.enable`).
    pub fn truncated(&mut self, log_end: i64) {
        self.high_watermark = self.high_watermark.min(log_end);
    }

    /// The log does not begin before `log_start`: what lies below was committed once.
    pub fn started_at(&mut self, log_start: i64) {
        self.high_watermark = self.high_watermark.max(log_start);
    }

    fn leading(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Follower(_) => None,
        }
    }

    fn advance(&mut self, view: View<'_>) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        if leader.is_under_min_isr() {
            return false;
        }
        let committed = leader.committed_end(self.lag_time_max_ms, view);
        let moved = committed > self.high_watermark;
        self.high_watermark = self.high_watermark.max(committed);
        moved
    }
}

impl Leader {
    fn new(broker_id: i32, registration: &PartitionRegistration, log: LogEnd, min_isr: usize, now: i64) -> Leader {
        let caught_up_at = |id: &i32| if registration.isr.contains(id) { now } else { NEVER };
        let others = registration.replicas.iter().filter(|id| **id != broker_id);
        Leader {
            replica_count: registration.replicas.len(),
            isr: registration.isr.clone(),
            change: None,
            followers: others.map(|id| Follower::new(*id, caught_up_at(id))).collect(),
            log,
            epoch_start: log.end,
            leads_since: registration.leader_epoch,
            min_isr,
        }
    }

    /// The same epoch of the same leader. What was asked for is settled by whatever is newer.
    fn changed(&mut self, broker_id: i32, registration: &PartitionRegistration, is_newer: bool) {
        self.replica_count = registration.replicas.len();
        let is_other = |id: i32| id != broker_id && registration.replicas.contains(&id);
        self.followers.retain(|follower| is_other(follower.id));
        for id in registration.replicas.iter().copied().filter(|id| is_other(*id)) {
            if self.followers.iter().all(|follower| follower.id != id) {
                self.followers.push(Follower::new(id, NEVER));
            }
        }
        if is_newer {
            self.isr = registration.isr.clone();
            self.change = None;
        }
    }

    fn is_under_min_isr(&self) -> bool {
        self.isr.len() < self.min_isr.min(self.replica_count)
    }

    /// The offset behind the last record that every replica has which may be in sync.
    fn committed_end(&self, lag_time_max_ms: i64, view: View<'_>) -> i64 {
        let counts = |one: &&Follower| self.waits_for(one, lag_time_max_ms, view);
        let behind = self.followers.iter().filter(|one| one.log_end < self.log.durable).filter(counts);
        behind.map(|one| one.log_end).min().unwrap_or(self.log.durable)
    }

    fn waits_for(&self, one: &Follower, lag_time_max_ms: i64, view: View<'_>) -> bool {
        self.may_be_in_sync(one.id)
            // One that is about to join is waited for: else it would never reach the high watermark of a busy leader.
            || one.is_caught_up(self.log.end, view.now, lag_time_max_ms) && one.is_live(view)
    }

    fn may_be_in_sync(&self, id: i32) -> bool {
        let asked = self.change.as_ref().is_some_and(|change| change.isr.iter().any(|one| one.id == id));
        asked || self.isr.contains(&id)
    }

    /// This broker and those of the others that are `wanted`, each with the epoch it was seen in.
    fn in_sync(&self, broker_id: i32, view: View<'_>, wanted: impl Fn(i32) -> bool) -> Vec<InSyncReplica> {
        let itself = InSyncReplica { id: broker_id, broker_epoch: (view.live)(broker_id).unwrap_or(-1) };
        let others = self.followers.iter().filter(|one| wanted(one.id));
        let others = others.map(|one| InSyncReplica { id: one.id, broker_epoch: one.broker_epoch });
        std::iter::once(itself).chain(others).collect()
    }

    /// Asks for the followers among `candidates` that have all that is committed, and all that was there when this leader
    /// began, and live in the incarnation that has it.
    fn let_join(
        &mut self,
        broker_id: i32,
        high_watermark: i64,
        view: View<'_>,
        candidates: impl Fn(&Follower) -> bool,
    ) {
        let needed = high_watermark.max(self.epoch_start);
        let joins = |one: &&Follower| {
            candidates(one) && !self.isr.contains(&one.id) && one.log_end >= needed && one.is_live(view)
        };
        let joining: Vec<i32> = self.followers.iter().filter(joins).map(|one| one.id).collect();
        if self.change.is_none() && !joining.is_empty() {
            let isr = self.in_sync(broker_id, view, |id| self.isr.contains(&id) || joining.contains(&id));
            self.change = Some(Change { isr, progress: ChangeProgress::ToBeSent });
        }
    }

    fn leave_change(&mut self, progress: ChangeProgress) {
        if let Some(change) = &mut self.change {
            change.progress = progress;
        }
    }
}

/// Where a follower cuts its log when its leader says that the follower's last epoch ended otherwise there (KIP-595,
/// `DivergingEpoch`). `ends_at` gives, of the follower's own log, the largest epoch up to one, and where that ends.
/// Cutting may have to be repeated: each time the follower loses at least one epoch that the leader does not have.
pub fn truncation_offset(
    diverging_epoch: i32,
    diverging_end: i64,
    log_end: i64,
    ends_at: impl FnOnce(i32) -> (i32, i64),
) -> i64 {
    const UNDEFINED: i32 = -1;
    match ends_at(diverging_epoch) {
        (UNDEFINED, _) => diverging_end.min(log_end),
        (epoch, end) if epoch == diverging_epoch => diverging_end.min(end).min(log_end),
        (_, end) => end.min(log_end),
    }
}

#[cfg(test)]
#[path = "replica_test.rs"]
mod tests;
