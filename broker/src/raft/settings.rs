//! What a node of the quorum is told about the quorum, and how long it waits for what.
//!
//! The defaults are shorter than Kafka's on purpose: a frozen leader is replaced within a second (Kafka: 2 to 4). They
//! still leave room for a node that is not scheduled for some hundred milliseconds.

use super::ids::{ReplicaId, ReplicaKey};
use std::collections::BTreeSet;

/// A node's settings. Fields carry the names of Kafka's properties behind `controller.quorum.`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node: `node.id`, and the directory id of its metadata log (zero where it has none).
    pub local: ReplicaKey,
    /// The nodes that vote (`controller.quorum.voters`, without their addresses). A node outside it is an observer.
    pub voters: BTreeSet<ReplicaId>,
    /// Milliseconds that an election, or the wait before one, takes at least; at most twice that
    /// (`controller.quorum.election.timeout.ms`). Default 250; Kafka's is 1000.
    pub election_timeout_ms: i64,
    /// Milliseconds without an answer from the leader before a voter asks for an election, and two thirds of those
    /// without a majority's fetches before a leader resigns (`controller.quorum.fetch.timeout.ms`).
    /// Default 500; Kafka's is 2000.
    pub fetch_timeout_ms: i64,
    /// Milliseconds before the next try behind a lost election, at most (`controller.quorum.election.backoff.max.ms`).
    /// Default 250; Kafka's is 1000.
    pub election_backoff_max_ms: i64,
    /// Milliseconds for the answer to a request (`controller.quorum.request.timeout.ms`). Default 500; Kafka's is 2000.
    pub request_timeout_ms: i64,
    /// Milliseconds between a failed request and the next to the same node (`controller.quorum.retry.backoff.ms`).
    /// Default 20.
    pub retry_backoff_ms: i64,
    /// Bytes of records or of a snapshot in one answer, at most. 1 MiB: an answer must arrive within `request_timeout_ms`, on
    /// slow links too. Kafka's is 8 MiB, and its timeout longer.
    pub fetch_bytes_max: i32,
}

impl Settings {
    pub fn new(local: ReplicaKey, voters: impl IntoIterator<Item = ReplicaId>) -> Settings {
        Settings {
            local,
            voters: voters.into_iter().collect(),
            election_timeout_ms: 250,
            fetch_timeout_ms: 500,
            election_backoff_max_ms: 250,
            request_timeout_ms: 500,
            retry_backoff_ms: 20,
            fetch_bytes_max: 1 << 20,
        }
    }

    /// How long a leader holds a fetch that finds nothing new: several answers fit into `fetch_timeout_ms`, so that one
    /// lost message does not look like a lost leader.
    pub(super) fn fetch_wait_max_ms(&self) -> i64 {
        self.fetch_timeout_ms / 4
    }

    /// How long a leader goes on without the fetches of a majority: longer than its followers wait (as in Kafka), so
    /// that who lost whom is found by the side that can elect.
    pub(super) fn check_quorum_timeout_ms(&self) -> i64 {
        self.fetch_timeout_ms * 3 / 2
    }

    /// The most that followers spread their first tries over when their leader's connections close at once.
    pub(super) fn suspicion_jitter_ms(&self) -> i64 {
        self.election_timeout_ms / 5
    }

    pub(super) fn is_voter(&self, id: ReplicaId) -> bool {
        self.voters.contains(&id)
    }

    pub(super) fn other_voters(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.voters.iter().copied().filter(|id| *id != self.local.id)
    }
}
