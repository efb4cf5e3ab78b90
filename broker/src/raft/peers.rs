//! What is under way between this node and the others: one request to each at a time, with its deadline.

use super::action::Correlation;
use super::ids::ReplicaId;
use std::collections::BTreeMap;

/// What was asked, as far as the answer's meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    PreVote,
    Vote,
    BeginQuorumEpoch,
    EndQuorumEpoch,
    Fetch,
    FetchSnapshot,
}

#[derive(Debug)]
struct Connection {
    in_flight: Option<InFlight>,
    /// Nothing is sent before.
    ready_at: i64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    correlation: Correlation,
    asked: Asked,
    expires_at: i64,
}

#[derive(Debug)]
pub(super) struct Peers {
    last_correlation: u64,
    connections: BTreeMap<ReplicaId, Connection>,
}

impl Peers {
    pub fn new(peers: impl Iterator<Item = ReplicaId>) -> Peers {
        let idle = |id| (id, Connection { in_flight: None, ready_at: i64::MIN });
        Peers { last_correlation: 0, connections: peers.map(idle).collect() }
    }

    /// Whether a request may be sent to `peer` now.
    pub fn is_ready(&self, peer: ReplicaId, now: i64) -> bool {
        self.connections.get(&peer).is_some_and(|peer| peer.in_flight.is_none() && peer.ready_at <= now)
    }

    pub fn is_idle(&self) -> bool {
        self.connections.values().all(|peer| peer.in_flight.is_none())
    }

    pub fn begin(&mut self, peer: ReplicaId, asked: Asked, expires_at: i64) -> Correlation {
        self.last_correlation += 1;
        let correlation = Correlation(self.last_correlation);
        let connection = self.connections.get_mut(&peer).expect("only voters are asked");
        connection.in_flight = Some(InFlight { correlation, asked, expires_at });
        correlation
    }

    /// Ends the request that an answer belongs to. `None`: nobody waits for it any more.
    pub fn complete(&mut self, peer: ReplicaId, correlation: Correlation) -> Option<Asked> {
        let connection = self.connections.get_mut(&peer)?;
        let asked = connection.in_flight.filter(|sent| sent.correlation == correlation)?.asked;
        connection.in_flight = None;
        Some(asked)
    }

    pub fn back_off(&mut self, peer: ReplicaId, ready_at: i64) {
        if let Some(connection) = self.connections.get_mut(&peer) {
            connection.ready_at = ready_at;
        }
    }

    /// Ends the requests whose time is over.
    pub fn expire(&mut self, now: i64, ready_at: i64) {
        for connection in self.connections.values_mut() {
            if connection.in_flight.is_some_and(|sent| sent.expires_at <= now) {
                *connection = Connection { in_flight: None, ready_at };
            }
        }
    }

    /// Forgets all requests: a node that changes its role has other things to ask, and old answers to leave alone.
    pub fn reset(&mut self) {
        for connection in self.connections.values_mut() {
            *connection = Connection { in_flight: None, ready_at: i64::MIN };
        }
    }

    /// When a request expires or a peer may be asked again, whichever is next behind `now`.
    pub fn next_deadline(&self, now: i64) -> Option<i64> {
        let deadline = |peer: &Connection| peer.in_flight.map_or(peer.ready_at, |sent| sent.expires_at);
        self.connections.values().map(deadline).filter(|at| *at > now).min()
    }
}
