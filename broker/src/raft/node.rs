//! The node: what comes in is given to the role's handlers, then everything that is due is done.

use super::action::{Action, Complaint, Correlation, Event, RequestId, SyncPoint};
use super::ids::{LeaderAndEpoch, LeaderEpoch, OffsetAndEpoch, ReplicaId, ReplicaKey, SnapshotId};
use super::log_view::{Comparison, LogView};
use super::message::{Answer, Records, Refusal, Request, Response};
use super::peers::{Asked, Peers};
use super::quorum_state::ElectionState;
use super::role::{Role, Tally, Unattached};
use super::settings::Settings;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// One node of the quorum, voter or observer. See the room's documentation for what it promises.
#[derive(Debug)]
pub struct Node {
    pub(super) settings: Settings,
    pub(super) now: i64,
    pub(super) election: ElectionState,
    pub(super) log: LogView,
    pub(super) high_watermark: i64,
    pub(super) role: Role,
    pub(super) peers: Peers,
    pub(super) synced: Synced,
    /// It was started with nothing: as the first of a new quorum, or with another disk than it had.
    pub(super) may_have_lost_its_disk: bool,
    random: SmallRng,
    /// The election state that the last `PersistElection` holds.
    persisted: ElectionState,
    announced: LeaderAndEpoch,
    last_complaint: Option<Complaint>,
    actions: Vec<Action>,
}

/// How much of the log is durable.
#[derive(Debug)]
pub(super) struct Synced {
    pub end_offset: i64,
    cuts: u64,
    under_way: bool,
}

impl Synced {
    /// Whether a sync up to `point` was of the log as it is now.
    pub fn covers(&self, point: SyncPoint) -> bool {
        point.cuts == self.cuts
    }
}

/// The controller proposed records to a node that does not lead, or that do not follow its log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the leader of the epoch, or not at the log's end")]
pub struct ProposalRefused;

impl Node {
    /// A node as it starts: `election` and `log` are what the disk holds, `log` with its latest snapshot. `seed` should
    /// differ between nodes and starts. Its first actions come with its first step, which should follow at once.
    pub fn new(settings: Settings, election: ElectionState, log: LogView, seed: u64, now: i64) -> Node {
        let start = log.start().offset;
        let is_empty = log.end().offset == 0 && election == ElectionState::default();
        let unattached = Role::Unattached(Unattached { election_at: i64::MAX });
        let mut node = Node {
            peers: Peers::new(settings.other_voters()),
            settings,
            now,
            election,
            log,
            high_watermark: start,
            role: unattached,
            // What survived a crash of the process may still be lost with the machine: it counts after a sync.
            synced: Synced { end_offset: start, cuts: 0, under_way: false },
            may_have_lost_its_disk: is_empty,
            random: SmallRng::seed_from_u64(seed),
            persisted: election,
            announced: LeaderAndEpoch { leader: None, epoch: LeaderEpoch(0) },
            last_complaint: None,
            actions: Vec::new(),
        };
        node.rest_on_snapshot();
        node.take_first_role();
        node
    }

    /// Takes in one event at `now` and returns what must be done, in this order (see [`Action`]).
    pub fn step(&mut self, now: i64, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        match event {
            Event::Tick => {}
            Event::Request { id, request } => self.on_request(id, request),
            Event::Response { from, correlation, response } => self.on_response(from, correlation, response),
            Event::Failed { from, correlation } => self.on_failure(from, correlation),
            Event::Synced(point) => self.on_synced(point),
            Event::SnapshotTaken(id) => self.log.take_snapshot(id),
            Event::LogStartMoved(id) => self.log.move_start(id),
            Event::Resign => self.resign(),
        }
        self.do_what_is_due()
    }

    /// Appends the controller's records. They begin at [`Node::log_end`]'s offset and have the leader's epoch.
    /// Errors: `ProposalRefused`; nothing was changed.
    pub fn propose(&mut self, now: i64, records: Records) -> Result<Vec<Action>, ProposalRefused> {
        self.now = self.now.max(now);
        let own_epoch = records.batches.iter().all(|batch| batch.epoch == self.election.epoch);
        let fits = own_epoch && records.end_behind(self.log.end()).is_some();
        if !fits || !matches!(self.role, Role::Leader(_)) {
            return Err(ProposalRefused);
        }
        self.append(records);
        self.wake_fetches();
        Ok(self.do_what_is_due())
    }

    /// When the next step must come, if nothing else happens before.
    pub fn next_deadline(&self) -> i64 {
        let peers = self.peers.next_deadline(self.now).unwrap_or(i64::MAX);
        peers.min(self.role_deadline())
    }

    /// Whether the node may have lost its disk, and has not been found to have all since (see the room's invariants).
    pub fn may_have_lost_its_disk(&self) -> bool {
        self.may_have_lost_its_disk
    }

    /// The node was started with nothing some starts ago, and had not been found to have all when it ended.
    pub fn started_with_nothing(&mut self) {
        self.may_have_lost_its_disk = true;
    }

    /// This node.
    pub fn local(&self) -> ReplicaKey {
        self.settings.local
    }

    pub fn log_end(&self) -> OffsetAndEpoch {
        self.log.end()
    }

    pub fn log(&self) -> &LogView {
        &self.log
    }

    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The leader that this node would name to others.
    pub fn leader(&self) -> LeaderAndEpoch {
        let local = self.settings.local.id;
        let leader = match &self.role {
            Role::Leader(_) => Some(local),
            // A leader that may be lost; not this node itself, which has resigned if it led this epoch.
            Role::Follower(_) | Role::Prospective(_) => self.election.leader.filter(|leader| *leader != local),
            Role::Candidate(_) | Role::Unattached(_) | Role::Resigned(_) => None,
        };
        LeaderAndEpoch { leader, epoch: self.election.epoch }
    }

    /// Kafka's name of the node's state: `leader`, `follower`, `candidate`, ... or `observer` (metric `current-state`).
    pub fn state_name(&self) -> &'static str {
        match &self.role {
            Role::Follower(_) if !self.is_voter() => "observer",
            role => role.name(),
        }
    }

    /// Whether others still have to be told that this node resigned: a process that shuts down waits for it, a little.
    pub fn is_resigning(&self) -> bool {
        matches!(&self.role, Role::Resigned(resigned) if !resigned.untold.is_empty())
    }

    /// A snapshot is of committed records: a log that a crash left without them, or with others in their place, begins
    /// anew at the snapshot's end.
    fn rest_on_snapshot(&mut self) {
        let newer = self.log.latest_snapshot().filter(|id| id.offset > self.log.start().offset);
        if let Some(id) = newer.filter(|id| self.log.compare(*id) != Comparison::Prefix) {
            self.install_snapshot(id);
        }
    }

    fn on_request(&mut self, id: RequestId, request: Request) {
        match request {
            Request::Vote(vote) => self.on_vote(id, vote),
            Request::BeginQuorumEpoch(begin) => self.on_begin_quorum_epoch(id, begin),
            Request::EndQuorumEpoch(end) => self.on_end_quorum_epoch(id, end),
            Request::Fetch(fetch) => self.on_fetch(id, fetch),
            Request::FetchSnapshot(fetch) => self.on_fetch_snapshot(id, fetch),
        }
    }

    fn on_response(&mut self, from: ReplicaId, correlation: Correlation, response: Response) {
        let Some(asked) = self.peers.complete(from, correlation) else { return };
        let before = (self.election.epoch, std::mem::discriminant(&self.role));
        self.learn_leader(response.leader);
        if before != (self.election.epoch, std::mem::discriminant(&self.role)) {
            return;
        }
        let outdated = response.leader.epoch < self.election.epoch;
        match (asked, response.body) {
            (_, Err(refusal)) => self.on_refusal(from, asked, refusal),
            _ if outdated => self.back_off(from),
            (Asked::PreVote | Asked::Vote, Ok(Answer::Vote { granted })) => self.count_vote(from, granted),
            (Asked::BeginQuorumEpoch, Ok(Answer::BeginQuorumEpoch)) => self.begin_was_acknowledged(from),
            (Asked::EndQuorumEpoch, _) => self.end_was_acknowledged(from),
            (Asked::Fetch, Ok(Answer::Fetch(answer))) => self.on_fetched(from, answer),
            (Asked::FetchSnapshot, Ok(Answer::FetchSnapshot(chunk))) => self.on_snapshot_chunk(from, chunk),
            (_, Ok(_)) => self.back_off(from),
        }
    }

    fn on_refusal(&mut self, from: ReplicaId, asked: Asked, refusal: Refusal) {
        // A node that knows no leader either soon might, but asking it all the time makes it no sooner.
        let probing = matches!(self.role, Role::Unattached(_));
        let pause_ms = if probing { self.settings.election_timeout_ms / 4 } else { self.settings.retry_backoff_ms };
        self.peers.back_off(from, self.now + pause_ms);
        match refusal {
            Refusal::InconsistentVoterSet | Refusal::InconsistentClusterId | Refusal::InvalidVoterKey => {
                self.complain(Complaint::Refused { from, refusal });
            }
            _ => {}
        }
        match asked {
            Asked::PreVote | Asked::Vote => self.count_vote(from, false),
            Asked::FetchSnapshot => self.give_up_snapshot(),
            _ => {}
        }
    }

    fn on_failure(&mut self, from: ReplicaId, correlation: Correlation) {
        let Some(asked) = self.peers.complete(from, correlation) else { return };
        self.back_off(from);
        if matches!(asked, Asked::Fetch | Asked::FetchSnapshot) {
            self.suspect_leader(from);
        }
    }

    fn on_synced(&mut self, point: SyncPoint) {
        self.synced.under_way = false;
        if self.synced.covers(point) {
            self.synced.end_offset = self.synced.end_offset.max(point.end_offset);
        }
        self.advance_high_watermark();
    }

    fn do_what_is_due(&mut self) -> Vec<Action> {
        self.peers.expire(self.now, self.now + self.settings.retry_backoff_ms);
        while self.change_role_if_due() {}
        self.sync_if_needed();
        self.answer_expired_fetches();
        self.send_what_is_due();
        self.announce_leader();
        self.flush_election();
        std::mem::take(&mut self.actions)
    }

    /// One change of role that time or an election's outcome asks for; whether there was one.
    fn change_role_if_due(&mut self) -> bool {
        let due = self.now >= self.role_deadline_of_election();
        match &self.role {
            Role::Unattached(_) | Role::Resigned(_) if due => self.become_prospective(),
            Role::Follower(_) if due && self.is_voter() => self.become_prospective(),
            Role::Follower(_) if due => self.become_unattached(self.election.epoch, self.election.leader),
            Role::Leader(_) if due => self.resign(),
            Role::Prospective(nominee) => match nominee.tally(self.settings.voters.len()) {
                Tally::Won => self.become_candidate(),
                Tally::Open if !due => return false,
                Tally::Open | Tally::Lost => self.give_up_nomination(),
            },
            Role::Candidate(nominee) => match nominee.tally(self.settings.voters.len()) {
                Tally::Won => self.become_leader(),
                _ if due => self.become_prospective(),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// When the role ends by itself.
    fn role_deadline_of_election(&self) -> i64 {
        match &self.role {
            Role::Unattached(unattached) => unattached.election_at,
            Role::Resigned(resigned) => resigned.election_at,
            Role::Follower(follower) => follower.expires_at,
            Role::Prospective(nominee) | Role::Candidate(nominee) => nominee.expires_at,
            Role::Leader(_) if self.settings.voters.len() == 1 => i64::MAX,
            Role::Leader(leader) => leader.majority_fetched_at(self.now) + self.settings.check_quorum_timeout_ms(),
        }
    }

    fn role_deadline(&self) -> i64 {
        let own = self.role_deadline_of_election();
        match &self.role {
            Role::Leader(leader) => {
                let parked = leader.parked.values().map(|parked| parked.expires_at).min().unwrap_or(i64::MAX);
                own.min(parked).min(self.next_reminder())
            }
            _ => own,
        }
    }

    fn sync_if_needed(&mut self) {
        let end_offset = self.log.end().offset;
        if !self.synced.under_way && self.synced.end_offset < end_offset {
            self.synced.under_way = true;
            self.push(Action::Sync(SyncPoint { end_offset, cuts: self.synced.cuts }));
        }
    }

    fn announce_leader(&mut self) {
        let leader = self.leader();
        if leader != self.announced {
            self.announced = leader;
            self.push(Action::LeaderChanged(leader));
        }
    }

    pub(super) fn append(&mut self, records: Records) {
        self.log.append(&records.batches);
        self.push(Action::Append(records));
    }

    pub(super) fn truncate(&mut self, end_offset: i64) {
        self.log.truncate(end_offset);
        self.synced.end_offset = self.synced.end_offset.min(end_offset);
        self.synced.cuts += 1;
        self.push(Action::Truncate { end_offset });
    }

    pub(super) fn install_snapshot(&mut self, id: SnapshotId) {
        self.log.reset_to(id);
        self.synced.end_offset = id.offset;
        self.synced.cuts += 1;
        self.push(Action::InstallSnapshot(id));
        self.raise_high_watermark(id.offset);
    }

    /// The high watermark never goes back, whatever this node was or becomes.
    pub(super) fn raise_high_watermark(&mut self, high_watermark: i64) {
        if high_watermark > self.high_watermark {
            self.high_watermark = high_watermark;
            self.push(Action::Committed { high_watermark });
        }
    }

    /// Adds an action. The election state goes to disk before anything that others could see of it.
    pub(super) fn push(&mut self, action: Action) {
        self.flush_election();
        self.actions.push(action);
    }

    fn flush_election(&mut self) {
        if self.persisted != self.election {
            self.persisted = self.election;
            self.actions.push(Action::PersistElection(self.election));
        }
    }

    pub(super) fn answer(&mut self, to: RequestId, answer: Answer) {
        let response = Response { leader: self.leader(), body: Ok(answer) };
        self.push(Action::Respond { to, response });
    }

    pub(super) fn refuse(&mut self, to: RequestId, refusal: Refusal) {
        let response = Response { leader: self.leader(), body: Err(refusal) };
        self.push(Action::Respond { to, response });
    }

    /// Says something once, until there is something else to say.
    pub(super) fn complain(&mut self, complaint: Complaint) {
        if self.last_complaint != Some(complaint) {
            self.last_complaint = Some(complaint);
            self.push(Action::Complain(complaint));
        }
    }

    pub(super) fn send(&mut self, to: ReplicaId, asked: Asked, request: Request) {
        let correlation = self.peers.begin(to, asked, self.now + self.settings.request_timeout_ms);
        self.push(Action::Send { to, correlation, request });
    }

    pub(super) fn back_off(&mut self, peer: ReplicaId) {
        self.peers.back_off(peer, self.now + self.settings.retry_backoff_ms);
    }

    pub(super) fn is_voter(&self) -> bool {
        self.settings.is_voter(self.settings.local.id)
    }

    /// Between `least` and `most` milliseconds from now.
    pub(super) fn random_time(&mut self, least: i64, most: i64) -> i64 {
        self.now + self.random.random_range(least..=most.max(least))
    }

    pub(super) fn pick(&mut self, count: usize) -> usize {
        self.random.random_range(0..count)
    }
}
