//! A network that loses, delays, reorders and duplicates, and that can be cut in one direction or both.

use super::schedule::{MS, Micros};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::BTreeSet;

/// The links between parties `P`.
#[derive(Debug)]
pub struct Network<P> {
    /// Pairs between which nothing passes, in this direction.
    cut: BTreeSet<(P, P)>,
    pub loss: f64,
    pub duplication: f64,
    pub delay_min: Micros,
    pub delay_max: Micros,
}

impl<P> Default for Network<P> {
    fn default() -> Self {
        Network { cut: BTreeSet::new(), loss: 0.0, duplication: 0.0, delay_min: MS / 20, delay_max: MS }
    }
}

impl<P: Copy + Ord> Network<P> {
    pub fn is_open(&self, from: P, to: P) -> bool {
        !self.cut.contains(&(from, to))
    }

    pub fn cut(&mut self, from: P, to: P) {
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
