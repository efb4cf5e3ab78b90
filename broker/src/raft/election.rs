//! Who may lead: votes asked for and given (KIP-595, KIP-996), epochs that begin and end.

use super::action::{Complaint, RequestId};
use super::ids::{LeaderAndEpoch, ReplicaId, ReplicaKey};
use super::message::{
    Answer, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, Refusal, Request, VoteRequest,
};
use super::node::Node;
use super::peers::Asked;
use super::role::{Role, Tally};

impl Node {
    pub(super) fn on_vote(&mut self, id: RequestId, vote: VoteRequest) {
        if let Err(refusal) = self.check_voters(vote.candidate.id) {
            return self.refuse(id, refusal);
        }
        if vote.epoch < self.election.epoch {
            return self.refuse(id, Refusal::FencedLeaderEpoch);
        }
        if vote.epoch > self.election.epoch {
            self.become_unattached(vote.epoch, None);
        }
        let granted = if vote.pre_vote { self.would_vote_for(&vote) } else { self.may_vote_for(&vote) };
        if granted && !vote.pre_vote && self.election.voted.is_none() {
            self.election.voted = Some(vote.candidate);
            // Nobody has any records: the quorum is new, and so is this node.
            self.may_have_lost_its_disk = false;
            self.wait_for_election();
        }
        self.answer(id, Answer::Vote { granted });
    }

    /// A pre-vote is given to any candidate that could lead, unless a leader is known to be alive.
    fn would_vote_for(&self, vote: &VoteRequest) -> bool {
        let leader_is_alive = match &self.role {
            Role::Leader(_) => true,
            Role::Follower(follower) => follower.heard,
            _ => false,
        };
        !leader_is_alive && self.can_judge(vote) && vote.log_end.is_as_complete_as(self.log.end())
    }

    /// One vote in an epoch, and none once its leader is known.
    fn may_vote_for(&self, vote: &VoteRequest) -> bool {
        match self.election.voted {
            _ if self.election.leader.is_some() => false,
            Some(voted) => voted == vote.candidate,
            None => self.can_judge(vote) && vote.log_end.is_as_complete_as(self.log.end()),
        }
    }

    /// Who may have had more than it has now cannot say that a candidate has all.
    fn can_judge(&self, vote: &VoteRequest) -> bool {
        !self.may_have_lost_its_disk || vote.log_end.offset == 0
    }

    /// Whether this node and `other` may take part in an election with each other.
    fn check_voters(&mut self, other: ReplicaId) -> Result<(), Refusal> {
        if other == self.settings.local.id {
            self.complain(Complaint::DuplicateNodeId(other));
            return Err(Refusal::InvalidRequest);
        }
        if !self.settings.is_voter(other) {
            self.complain(Complaint::UnknownVoter(other));
            return Err(Refusal::InconsistentVoterSet);
        }
        if self.is_voter() { Ok(()) } else { Err(Refusal::InconsistentVoterSet) }
    }

    pub(super) fn count_vote(&mut self, from: ReplicaId, granted: bool) {
        let backoff = self.random_time(1, self.settings.election_backoff_max_ms);
        let voters = self.settings.voters.len();
        match &mut self.role {
            Role::Prospective(nominee) => {
                nominee.votes.insert(from, granted);
            }
            Role::Candidate(nominee) => {
                nominee.votes.insert(from, granted);
                if nominee.tally(voters) == Tally::Lost {
                    nominee.expires_at = nominee.expires_at.min(backoff);
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_begin_quorum_epoch(&mut self, id: RequestId, begin: BeginQuorumEpochRequest) {
        if let Err(refusal) = self.check_leader(begin.leader, begin.epoch) {
            return self.refuse(id, refusal);
        }
        self.learn_leader(LeaderAndEpoch { leader: Some(begin.leader), epoch: begin.epoch });
        match &self.role {
            // Only a connection had been lost, or some answers.
            Role::Prospective(_) if self.election.leader == Some(begin.leader) => {
                self.become_follower(begin.epoch, begin.leader);
            }
            _ => {}
        }
        if self.election.leader == Some(begin.leader) {
            self.answer(id, Answer::BeginQuorumEpoch);
        } else {
            self.refuse(id, Refusal::InvalidRequest);
        }
    }

    pub(super) fn on_end_quorum_epoch(&mut self, id: RequestId, end: EndQuorumEpochRequest) {
        if let Err(refusal) = self.check_leader(end.leader, end.epoch) {
            return self.refuse(id, refusal);
        }
        self.learn_leader(LeaderAndEpoch { leader: Some(end.leader), epoch: end.epoch });
        let candidacy_at = self.candidacy_time(&end.successors);
        match &mut self.role {
            Role::Follower(follower) if follower.leader == end.leader => {
                follower.heard = false;
                follower.expires_at = candidacy_at;
            }
            _ => {}
        }
        self.answer(id, Answer::EndQuorumEpoch);
    }

    /// When this voter asks for an election whose preferred order is `successors`: the first at once, the others behind
    /// one another.
    fn candidacy_time(&mut self, successors: &[ReplicaKey]) -> i64 {
        let local = self.settings.local.id;
        let place = successors.iter().position(|key| key.id == local).unwrap_or(1).min(8) as i64;
        let step = self.settings.suspicion_jitter_ms();
        if place == 0 { self.now } else { self.random_time(place * step, (place + 1) * step) }
    }

    fn check_leader(&mut self, leader: ReplicaId, epoch: super::LeaderEpoch) -> Result<(), Refusal> {
        if leader == self.settings.local.id {
            self.complain(Complaint::DuplicateNodeId(leader));
            return Err(Refusal::InvalidRequest);
        }
        if !self.settings.is_voter(leader) {
            self.complain(Complaint::UnknownVoter(leader));
            return Err(Refusal::InconsistentVoterSet);
        }
        if epoch < self.election.epoch { Err(Refusal::FencedLeaderEpoch) } else { Ok(()) }
    }

    pub(super) fn end_was_acknowledged(&mut self, from: ReplicaId) {
        if let Role::Resigned(resigned) = &mut self.role {
            resigned.untold.remove(&from);
        }
    }

    /// Sends what the role wants to ask of whom, where nothing is under way yet.
    pub(super) fn send_what_is_due(&mut self) {
        match &self.role {
            Role::Unattached(_) => self.look_for_leader(),
            Role::Follower(_) => self.fetch_from_leader(),
            Role::Prospective(nominee) | Role::Candidate(nominee) => {
                let counted: Vec<ReplicaId> = nominee.votes.keys().copied().collect();
                self.ask_for_votes(&counted);
            }
            Role::Leader(_) => self.remind_voters(),
            Role::Resigned(_) => self.tell_resignation(),
        }
    }

    fn ask_for_votes(&mut self, counted: &[ReplicaId]) {
        let pre_vote = matches!(self.role, Role::Prospective(_));
        let asked = if pre_vote { Asked::PreVote } else { Asked::Vote };
        let log_end = self.log.end();
        let vote = VoteRequest { candidate: self.settings.local, epoch: self.election.epoch, log_end, pre_vote };
        for voter in self.ready_voters() {
            if !counted.contains(&voter) {
                self.send(voter, asked, Request::Vote(vote));
            }
        }
    }

    fn tell_resignation(&mut self) {
        let Role::Resigned(resigned) = &self.role else { return };
        let leader = self.settings.local.id;
        let end = EndQuorumEpochRequest { leader, epoch: self.election.epoch, successors: resigned.successors.clone() };
        let untold = resigned.untold.clone();
        for voter in self.ready_voters() {
            if untold.contains(&voter) {
                self.send(voter, Asked::EndQuorumEpoch, Request::EndQuorumEpoch(end.clone()));
            }
        }
    }

    /// Asks one voter after the other by a fetch: who does not lead says who does.
    fn look_for_leader(&mut self) {
        let ready = self.ready_voters();
        if self.peers.is_idle() && !ready.is_empty() && self.log_is_synced() {
            let voter = ready[self.pick(ready.len())];
            let fetch = FetchRequest { wait_max_ms: 0, ..self.next_fetch() };
            self.send(voter, Asked::Fetch, Request::Fetch(fetch));
        }
    }

    pub(super) fn ready_voters(&self) -> Vec<ReplicaId> {
        self.settings.other_voters().filter(|voter| self.peers.is_ready(*voter, self.now)).collect()
    }
}
