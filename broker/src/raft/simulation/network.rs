//! What nodes of a quorum send to one another.

use crate::raft::{Correlation, ReplicaId, Request, Response};

/// Whose request it is, whom it asks, and which process of the asker waits for the answer.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    pub from: ReplicaId,
    pub to: ReplicaId,
    pub incarnation: u64,
    pub correlation: Correlation,
}

#[derive(Clone, Debug)]
pub enum Packet {
    Request(Request),
    Response(Response),
    /// The connection closed before an answer came.
    Failed,
}

impl Envelope {
    /// Who sends `packet`: the asker its request, the asked one everything else.
    pub fn sender_of(&self, packet: &Packet) -> ReplicaId {
        if matches!(packet, Packet::Request(_)) { self.from } else { self.to }
    }
}
