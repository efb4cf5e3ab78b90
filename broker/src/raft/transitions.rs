//! The changes of role, each in one place. What they change of the election state is on disk before anybody is told.

use super::action::Complaint;
use super::control;
use super::ids::{LeaderAndEpoch, LeaderEpoch, ReplicaId};
use super::leader::Leader;
use super::message::Refusal;
use super::node::Node;
use super::quorum_state::ElectionState;
use super::role::{Follower, Nominee, Resigned, Role, Unattached};

impl Node {
    /// The role that the disk's election state asks for.
    ///
    /// A candidacy is not taken up again, nor leadership: the log may have lost its unsynced end, and with it the
    /// right to what was promised then.
    pub(super) fn take_first_role(&mut self) {
        let local = self.settings.local.id;
        match self.election.leader {
            Some(leader) if leader == local && self.settings.voters.len() > 1 => self.become_resigned(Vec::new()),
            Some(leader) if leader != local && self.settings.is_voter(leader) => self.follow(leader),
            _ => self.wait_for_election(),
        }
        if self.is_voter() && self.settings.voters.len() == 1 {
            self.role = Role::Unattached(Unattached { election_at: self.now });
        }
    }

    /// Enters `epoch` (or stays in it) with nobody to follow.
    pub(super) fn become_unattached(&mut self, epoch: LeaderEpoch, leader: Option<ReplicaId>) {
        self.enter_epoch(epoch, leader);
        self.wait_for_election();
    }

    /// Waits for a leader, or for the time to ask for an election.
    pub(super) fn wait_for_election(&mut self) {
        let election_at = self.election_time();
        self.change_role(Role::Unattached(Unattached { election_at }));
    }

    pub(super) fn become_follower(&mut self, epoch: LeaderEpoch, leader: ReplicaId) {
        self.enter_epoch(epoch, Some(leader));
        self.follow(leader);
    }

    fn follow(&mut self, leader: ReplicaId) {
        let expires_at = self.leader_lost_time();
        self.change_role(Role::Follower(Follower { leader, expires_at, heard: false, snapshot: None }));
    }

    /// Asks the others whether they would vote for it; changes no epoch, so that asking disturbs nobody (KIP-996).
    pub(super) fn become_prospective(&mut self) {
        let expires_at = self.election_time();
        self.change_role(Role::Prospective(Nominee::new(self.settings.local.id, expires_at)));
    }

    /// A majority has no leader and would vote for this node, or nobody said so in time: waits again.
    pub(super) fn give_up_nomination(&mut self) {
        let local = self.settings.local.id;
        let retry_at =
            self.random_time(self.settings.election_backoff_max_ms / 2, self.settings.election_backoff_max_ms);
        match self.election.leader {
            Some(leader) if leader != local => {
                let follower = Follower { leader, expires_at: retry_at, heard: false, snapshot: None };
                self.change_role(Role::Follower(follower));
            }
            _ => self.change_role(Role::Unattached(Unattached { election_at: retry_at })),
        }
    }

    pub(super) fn become_candidate(&mut self) {
        let local = self.settings.local;
        self.election = ElectionState { epoch: self.election.epoch.next(), leader: None, voted: Some(local) };
        let expires_at = self.election_time();
        self.change_role(Role::Candidate(Nominee::new(local.id, expires_at)));
    }

    /// Begins the epoch with a record of its own: what earlier leaders left is committed together with it.
    pub(super) fn become_leader(&mut self) {
        self.may_have_lost_its_disk = false;
        let Role::Candidate(nominee) = &self.role else { unreachable!("only a candidate is elected") };
        let granting = nominee.granting();
        self.election.leader = Some(self.settings.local.id);
        let start = self.log.end().offset;
        let leader = Leader::new(start, self.settings.other_voters(), self.now);
        self.change_role(Role::Leader(Box::new(leader)));
        self.append(control::leader_change(start, self.leader(), &self.settings.voters, &granting, self.now));
    }

    /// Gives up leadership, telling the most complete voter to go first (KIP-595, "EndQuorumEpoch").
    pub(super) fn resign(&mut self) {
        if let Role::Leader(leader) = &self.role {
            let successors = leader.successors();
            self.become_resigned(successors);
        }
    }

    fn become_resigned(&mut self, successors: Vec<super::ReplicaKey>) {
        let untold = self.settings.other_voters().collect();
        // The others go first.
        let election_at = self.election_time() + self.settings.election_timeout_ms;
        self.change_role(Role::Resigned(Resigned { untold, successors, election_at }));
    }

    /// Takes in who leads which epoch, from whatever says so. Older epochs and what is known already change nothing.
    pub(super) fn learn_leader(&mut self, claimed: LeaderAndEpoch) {
        let local = self.settings.local.id;
        let leader = claimed.leader.filter(|leader| self.settings.is_voter(*leader));
        if let Some(unknown) = claimed.leader.filter(|_| leader.is_none()) {
            self.complain(Complaint::UnknownVoter(unknown));
        }
        if claimed.epoch > self.election.epoch {
            match leader {
                Some(leader) if leader != local => self.become_follower(claimed.epoch, leader),
                // "I" led an epoch that this disk knows nothing of: then it must not vote in it either.
                leader => self.become_unattached(claimed.epoch, leader),
            }
        } else if let (true, Some(leader)) = (claimed.epoch == self.election.epoch, leader) {
            self.learn_leader_of_own_epoch(leader);
        }
    }

    fn learn_leader_of_own_epoch(&mut self, leader: ReplicaId) {
        match self.election.leader {
            None if leader != self.settings.local.id => self.become_follower(self.election.epoch, leader),
            Some(known) if known == leader && leader != self.settings.local.id => {
                if matches!(self.role, Role::Unattached(_)) {
                    self.follow(leader);
                }
            }
            Some(known) if known != leader => {
                let known = LeaderAndEpoch { leader: Some(known), epoch: self.election.epoch };
                self.complain(Complaint::TwoLeaders { known, claimed: leader });
            }
            _ => {}
        }
    }

    fn enter_epoch(&mut self, epoch: LeaderEpoch, leader: Option<ReplicaId>) {
        assert!(epoch >= self.election.epoch, "epochs never go back");
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        self.election = ElectionState { epoch, leader, voted };
    }

    fn change_role(&mut self, role: Role) {
        self.peers.reset();
        if let Role::Leader(leader) = std::mem::replace(&mut self.role, role) {
            for parked in leader.parked.into_values() {
                self.refuse(parked.id, Refusal::NotLeader);
            }
        }
    }

    /// When an election ends or begins: spread out, so that two nodes seldom ask for votes at once.
    fn election_time(&mut self) -> i64 {
        if self.is_voter() {
            self.random_time(self.settings.election_timeout_ms, 2 * self.settings.election_timeout_ms)
        } else {
            i64::MAX
        }
    }

    /// When a leader that is silent from now on counts as lost.
    pub(super) fn leader_lost_time(&mut self) -> i64 {
        let timeout = self.settings.fetch_timeout_ms;
        self.random_time(timeout, timeout + timeout / 10)
    }
}
