//! Bugs planted on purpose: the simulation is worth something only if it finds them.

use crate::raft::node::Node;
use crate::raft::role::Role;
use crate::raft::{Action, ElectionState, Event};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The vote is told but not written to disk.
    VoteNotPersisted,
    /// A leader counts replicas of records of older epochs as committed (Raft section 5.4.2, figure 8).
    OlderEpochCounted,
    /// The log is not cut where the leader says that it differs.
    TruncationSkipped,
    /// A candidate does not ask for pre-votes, or does not care for the answers.
    PreVoteIgnored,
    /// A sync is said to be done when it has not begun.
    AckBeforeSync,
}

impl Bug {
    /// What the disk keeps of an election state.
    pub fn kept_of(bug: Option<Bug>, state: ElectionState) -> ElectionState {
        match bug {
            Some(Bug::VoteNotPersisted) => ElectionState { voted: None, ..state },
            _ => state,
        }
    }

    /// Makes a node do wrong behind a step, by the same functions by which it does right.
    pub fn tamper_with(self, node: &mut Node, clock: i64, actions: &mut Vec<Action>) {
        match (self, &mut node.role) {
            (Bug::OlderEpochCounted, Role::Leader(leader)) => leader.epoch_start_offset = -1,
            (Bug::PreVoteIgnored, Role::Prospective(_)) => {
                node.become_candidate();
                actions.extend(node.step(clock, Event::Tick));
            }
            _ => {}
        }
    }
}
