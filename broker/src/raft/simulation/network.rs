//! A network that loses, delays, reorders and duplicates, and that can be cut in one direction or both.

use super::world::{MS, Micros};
use crate::raft::{Correlation, ReplicaId, Request, Response};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::BTreeSet;

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

#[derive(Debug)]
pub struct Network {
    /// Pairs between which nothing passes, in this direction.
    cut: BTreeSet<(ReplicaId, ReplicaId)>,
    pub loss: f64,
    pub duplication: f64,
    pub delay_min: Micros,
    pub delay_max: Micros,
}

impl Default for Network {
    fn default() -> Self {
        Network { cut: BTreeSet::new(), loss: 0.0, duplication: 0.0, delay_min: MS / 20, delay_max: MS }
    }
}

impl Envelope {
    /// Who sends `packet`: the asker its request, the asked one everything else.
    pub fn sender_of(&self, packet: &Packet) -> ReplicaId {
        if matches!(packet, Packet::Request(_)) { self.from } else { self.to }
    }
}

impl Network {
    pub fn is_open(&self, from: ReplicaId, to: ReplicaId) -> bool {
        !self.cut.contains(&(from, to))
    }

    pub fn cut(&mut self, from: ReplicaId, to: ReplicaId) {
        self.cut.insert((from, to));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Loses, delays and duplicates nothing from now on.
    pub fn calm_down(&mut self) {
        *self = Network::default();
    }

    /// After how long each copy of a packet arrives; none if it is lost.
    pub fn delays(&self, random: &mut SmallRng) -> Vec<Micros> {
        let mut delays = Vec::new();
        if self.loss == 0.0 || !random.random_bool(self.loss) {
            delays.push(random.random_range(self.delay_min..=self.delay_max));
        }
        if self.duplication > 0.0 && random.random_bool(self.duplication) {
            delays.push(random.random_range(self.delay_min..=4 * self.delay_max));
        }
        delays
    }
}
