//! The leader's work: answer fetches, move the high watermark, remind voters that it leads, describe the quorum.

use super::action::{Action, Complaint, LogRead, RequestId};
use super::ids::{LeaderEpoch, ReplicaId, ReplicaKey};
use super::leader::{Leader, Parked, Progress};
use super::log_view::Comparison;
use super::message::{
    Answer, BeginQuorumEpochRequest, FetchAnswer, FetchRequest, FetchSnapshotRequest, Fetched, Records, Refusal,
    Request, Response, SnapshotChunk,
};
use super::node::Node;
use super::peers::Asked;
use super::role::Role;

/// The quorum as its leader sees it: what DescribeQuorum answers (KIP-836).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumDescription {
    pub leader: ReplicaId,
    pub epoch: LeaderEpoch,
    pub high_watermark: i64,
    pub voters: Vec<ReplicaDescription>,
    pub observers: Vec<ReplicaDescription>,
}

/// One replica; `None` where the leader does not know (yet). Times are milliseconds as in `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaDescription {
    pub key: ReplicaKey,
    pub log_end_offset: Option<i64>,
    pub last_fetch_ms: Option<i64>,
    pub last_caught_up_ms: Option<i64>,
}

impl Node {
    pub(super) fn on_fetch(&mut self, id: RequestId, fetch: FetchRequest) {
        if let Err(refusal) = self.check_reader(fetch.replica, fetch.epoch) {
            return self.refuse(id, refusal);
        }
        let comparison = self.log.compare(fetch.position);
        self.note_fetch(&fetch, comparison);
        match comparison {
            Comparison::BehindSnapshot(snapshot) => self.answer_fetch(id, Fetched::Snapshot(snapshot)),
            Comparison::Diverging(end) => self.answer_fetch(id, Fetched::Diverging(end)),
            Comparison::Prefix => self.answer_or_park(id, &fetch),
        }
    }

    /// What every request for the leader's log must be, in the order in which Kafka checks it.
    fn check_reader(&mut self, replica: Option<ReplicaKey>, epoch: LeaderEpoch) -> Result<(), Refusal> {
        if replica.is_some_and(|replica| replica.id == self.settings.local.id) {
            self.complain(Complaint::DuplicateNodeId(self.settings.local.id));
            return Err(Refusal::InvalidRequest);
        }
        match self.role {
            _ if epoch < self.election.epoch => Err(Refusal::FencedLeaderEpoch),
            _ if epoch > self.election.epoch => Err(Refusal::UnknownLeaderEpoch),
            Role::Leader(_) => Ok(()),
            _ => Err(Refusal::NotLeader),
        }
    }

    /// Remembers that the replica is alive, and how far it is if its log is a prefix of this one.
    fn note_fetch(&mut self, fetch: &FetchRequest, comparison: Comparison) {
        let (now, log_end) = (self.now, self.log.end().offset);
        let (Role::Leader(leader), Some(replica)) = (&mut self.role, fetch.replica) else { return };
        let progress = leader.progress(replica, now);
        if comparison == Comparison::Prefix {
            progress.fetched(fetch.position.offset, log_end, now);
        }
        progress.contacted(replica, now);
        self.advance_high_watermark();
    }

    fn answer_or_park(&mut self, id: RequestId, fetch: &FetchRequest) {
        let wait_ms = fetch.wait_max_ms.min(self.settings.fetch_wait_max_ms());
        let parked = Parked {
            id,
            offset: fetch.position.offset,
            high_watermark: fetch.high_watermark,
            bytes_max: fetch.bytes_max.min(self.settings.fetch_bytes_max),
            expires_at: self.now + wait_ms,
        };
        let news = parked.offset < self.log.end().offset || parked.high_watermark < self.high_watermark;
        match (&mut self.role, fetch.replica) {
            (Role::Leader(leader), Some(replica)) if !news && wait_ms > 0 => {
                // A replica waits once: it has given up what it asked before.
                if let Some(given_up) = leader.parked.insert(replica, parked) {
                    self.answer_parked(given_up);
                }
            }
            _ => self.answer_parked(parked),
        }
    }

    fn answer_parked(&mut self, parked: Parked) {
        if parked.offset >= self.log.end().offset {
            return self.answer_fetch(parked.id, Fetched::Records(Records::default()));
        }
        let body = Ok(Answer::Fetch(self.fetch_answer(Fetched::Records(Records::default()))));
        let response = Response { leader: self.leader(), body };
        let read = LogRead { offset: parked.offset, bytes_max: parked.bytes_max };
        self.push(Action::RespondWithRecords { to: parked.id, response, read });
    }

    fn answer_fetch(&mut self, id: RequestId, found: Fetched) {
        let answer = self.fetch_answer(found);
        self.answer(id, Answer::Fetch(answer));
    }

    fn fetch_answer(&self, found: Fetched) -> FetchAnswer {
        FetchAnswer { high_watermark: self.high_watermark, log_start_offset: self.log.start().offset, found }
    }

    pub(super) fn on_fetch_snapshot(&mut self, id: RequestId, fetch: FetchSnapshotRequest) {
        if let Err(refusal) = self.check_reader(fetch.replica, fetch.epoch) {
            return self.refuse(id, refusal);
        }
        let now = self.now;
        if let (Role::Leader(leader), Some(replica)) = (&mut self.role, fetch.replica) {
            leader.progress(replica, now).contacted(replica, now);
        }
        let chunk = SnapshotChunk { id: fetch.id, size: 0, position: fetch.position, bytes: Vec::new() };
        let response = Response { leader: self.leader(), body: Ok(Answer::FetchSnapshot(chunk)) };
        let bytes_max = fetch.bytes_max.min(self.settings.fetch_bytes_max);
        self.push(Action::RespondWithSnapshot { to: id, response, bytes_max });
    }

    /// Moves the high watermark to what a majority has on disk, and tells who waits for that.
    pub(super) fn advance_high_watermark(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        if let Some(high_watermark) = leader.committable(self.synced.end_offset) {
            self.raise_high_watermark(high_watermark);
            self.wake_fetches();
        }
    }

    /// Answers the parked fetches for which there is something new.
    pub(super) fn wake_fetches(&mut self) {
        let (log_end, high_watermark) = (self.log.end().offset, self.high_watermark);
        self.unpark(|parked| parked.offset < log_end || parked.high_watermark < high_watermark);
    }

    pub(super) fn answer_expired_fetches(&mut self) {
        let now = self.now;
        self.unpark(|parked| parked.expires_at <= now);
    }

    fn unpark(&mut self, due: impl Fn(&Parked) -> bool) {
        let Role::Leader(leader) = &mut self.role else { return };
        for parked in leader.unpark(due) {
            self.answer_parked(parked);
        }
    }

    pub(super) fn begin_was_acknowledged(&mut self, from: ReplicaId) {
        let now = self.now;
        if let Role::Leader(leader) = &mut self.role
            && let Some(voter) = leader.voters.get_mut(&from)
        {
            voter.acknowledged_at = Some(now);
        }
    }

    /// Tells the voters that neither fetch nor have said that they know.
    pub(super) fn remind_voters(&mut self) {
        let begin = BeginQuorumEpochRequest { leader: self.settings.local.id, epoch: self.election.epoch };
        for voter in self.ready_voters() {
            let Role::Leader(leader) = &self.role else { return };
            if self.reminder_time(&leader.voters[&voter]) <= self.now {
                self.send(voter, Asked::BeginQuorumEpoch, Request::BeginQuorumEpoch(begin));
            }
        }
    }

    fn reminder_time(&self, voter: &Progress) -> i64 {
        let last = voter.fetched_at.max(voter.acknowledged_at);
        last.map_or(i64::MIN, |last| last + self.settings.fetch_timeout_ms / 2)
    }

    /// When a voter that is not being asked already wants to be reminded.
    pub(super) fn next_reminder(&self) -> i64 {
        let Role::Leader(leader) = &self.role else { return i64::MAX };
        let due = |voter: &ReplicaId| self.reminder_time(&leader.voters[voter]);
        self.ready_voters().iter().map(due).min().unwrap_or(i64::MAX)
    }

    /// The quorum as this node leads it; `None` if it does not.
    pub fn describe(&self) -> Option<QuorumDescription> {
        let Role::Leader(leader) = &self.role else { return None };
        Some(QuorumDescription {
            leader: self.settings.local.id,
            epoch: self.election.epoch,
            high_watermark: self.high_watermark,
            voters: self.settings.voters.iter().map(|id| self.describe_voter(leader, *id)).collect(),
            observers: leader.observers.iter().map(|(key, progress)| describe_progress(*key, progress)).collect(),
        })
    }

    fn describe_voter(&self, leader: &Leader, id: ReplicaId) -> ReplicaDescription {
        match leader.voters.get(&id) {
            Some(progress) => describe_progress(progress.key.unwrap_or(ReplicaKey::of(id)), progress),
            None => ReplicaDescription {
                key: self.settings.local,
                log_end_offset: Some(self.log.end().offset),
                last_fetch_ms: Some(self.now),
                last_caught_up_ms: Some(self.now),
            },
        }
    }
}

fn describe_progress(key: ReplicaKey, progress: &Progress) -> ReplicaDescription {
    ReplicaDescription {
        key,
        log_end_offset: progress.end_offset,
        last_fetch_ms: progress.fetched_at,
        last_caught_up_ms: progress.caught_up_at,
    }
}
