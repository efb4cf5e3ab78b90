//! Where replicas go: leaders and replicas spread evenly over the brokers, each partition over the racks. Pure and seeded.
//!
//! - Leaders differ by at most one between the live brokers that were offered.
//! - No broker has two replicas of one partition, and none of a rack's brokers has a second one before every rack that
//!   has a broker left has its first.
//! - With racks of equal size and all brokers live, replicas differ by at most two.
//! - The same offer and seed give the same placement.
//!
//! Deliberately absent: sizes and loads of partitions. They change after the placement; rebalancing looks at them.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::cmp::Reverse;

/// A broker that replicas can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub id: i32,
    pub rack: Option<String>,
    /// One that is not live leads nothing, and gets replicas only where the live ones are not enough.
    pub live: bool,
    /// One that is drained leads nothing, unless all live ones are, and gets replicas only where the others of its rack and of
    /// the racks that are as full are not enough.
    pub drained: bool,
    /// Leaders and replicas it has already, to be counted in.
    pub leaders: usize,
    pub replicas: usize,
}

/// Why replicas cannot be placed. The texts are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    #[error("All brokers are currently fenced.")]
    NoneLive,
    #[error(
        "The target replication factor of {wanted} cannot be reached because only {registered} broker(s) are registered."
    )]
    TooFew { wanted: usize, registered: usize },
}

/// Places one partition after the other, and keeps count.
#[derive(Clone, Debug)]
pub struct Placer {
    brokers: Vec<Broker>,
    rack_count: usize,
    /// Decides between equals, and moves on: so that not always the same two brokers share their partitions.
    turn: usize,
}

#[derive(Clone, Debug)]
struct Broker {
    id: i32,
    rack: usize,
    live: bool,
    drained: bool,
    leaders: usize,
    replicas: usize,
}

impl Placer {
    pub fn new(candidates: &[Candidate], seed: u64) -> Placer {
        let mut racks: Vec<Option<&str>> = candidates.iter().map(|candidate| candidate.rack.as_deref()).collect();
        racks.sort_unstable();
        racks.dedup();
        let mut brokers: Vec<Broker> = candidates.iter().map(|candidate| Broker::new(candidate, &racks)).collect();
        brokers.sort_by_key(|broker| broker.id);
        brokers.shuffle(&mut StdRng::seed_from_u64(seed));
        Placer { brokers, rack_count: racks.len(), turn: 0 }
    }

    /// The brokers of one more partition, its leader first.
    pub fn place(&mut self, replication_factor: usize) -> Result<Vec<i32>, PlacementError> {
        if !self.brokers.iter().any(|broker| broker.live) {
            return Err(PlacementError::NoneLive);
        }
        if replication_factor > self.brokers.len() {
            let registered = self.brokers.len();
            return Err(PlacementError::TooFew { wanted: replication_factor, registered });
        }
        let leader = self.choose_leader();
        let mut chosen = vec![leader];
        let mut in_rack = vec![0usize; self.rack_count];
        in_rack[self.brokers[leader].rack] += 1;
        while chosen.len() < replication_factor {
            let follower = self.choose_follower(&chosen, &in_rack);
            in_rack[self.brokers[follower].rack] += 1;
            chosen.push(follower);
        }
        self.turn += 1;
        self.brokers[leader].leaders += 1;
        for index in &chosen {
            self.brokers[*index].replicas += 1;
        }
        Ok(chosen.into_iter().map(|index| self.brokers[index].id).collect())
    }

    /// Counts a partition that somebody else has placed, its leader first.
    pub fn count(&mut self, replicas: &[i32]) {
        for (position, id) in replicas.iter().enumerate() {
            if let Some(broker) = self.brokers.iter_mut().find(|broker| broker.id == *id) {
                broker.replicas += 1;
                broker.leaders += usize::from(position == 0);
            }
        }
    }

    fn choose_leader(&self) -> usize {
        let live = (0..self.brokers.len()).filter(|index| self.brokers[*index].live);
        live.min_by_key(|index| {
            let broker = &self.brokers[*index];
            (broker.drained, broker.leaders, broker.replicas, self.rank(*index))
        })
        .expect("one is live")
    }

    /// The broker's place in this turn's order.
    fn rank(&self, index: usize) -> usize {
        (index + self.turn + self.turn / self.brokers.len()) % self.brokers.len()
    }

    fn choose_follower(&self, chosen: &[usize], in_rack: &[usize]) -> usize {
        let free = (0..self.brokers.len()).filter(|index| !chosen.contains(index));
        free.min_by_key(|index| {
            let broker = &self.brokers[*index];
            let last = (broker.drained, broker.replicas, Reverse(broker.leaders), self.rank(*index));
            (!broker.live, in_rack[broker.rack], last)
        })
        .expect("more brokers than replicas")
    }
}

impl Broker {
    fn new(candidate: &Candidate, racks: &[Option<&str>]) -> Broker {
        Broker {
            id: candidate.id,
            rack: racks.binary_search(&candidate.rack.as_deref()).expect("the racks are the candidates'"),
            live: candidate.live,
            drained: candidate.drained,
            leaders: candidate.leaders,
            replicas: candidate.replicas,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Live brokers 0, 1... on the racks of these numbers.
    fn candidates(racks: &[usize]) -> Vec<Candidate> {
        let candidate = |(id, rack): (usize, &usize)| Candidate {
            id: id as i32,
            rack: Some(format!("r{rack}")),
            live: true,
            drained: false,
            leaders: 0,
            replicas: 0,
        };
        racks.iter().enumerate().map(candidate).collect()
    }

    fn spread(counts: &BTreeMap<i32, usize>) -> usize {
        counts.values().max().unwrap() - counts.values().min().unwrap()
    }

    fn counts(brokers: usize, placed: impl Iterator<Item = i32>) -> BTreeMap<i32, usize> {
        let mut counts: BTreeMap<i32, usize> = (0..brokers as i32).map(|id| (id, 0)).collect();
        placed.for_each(|id| *counts.get_mut(&id).unwrap() += 1);
        counts
    }

    #[test]
    fn a_drained_broker_comes_behind_the_others_and_before_a_rack_without_replicas_and_the_fenced() {
        let place = |racks: &[usize], drained: &[usize], fenced: &[usize], factor| {
            let mut brokers = candidates(racks);
            drained.iter().for_each(|broker| brokers[*broker].drained = true);
            fenced.iter().for_each(|broker| brokers[*broker].live = false);
            let mut placer = Placer::new(&brokers, 7);
            let mut placed = placer.place(factor).unwrap();
            placed[1..].sort_unstable();
            placed
        };
        assert_eq!(place(&[0, 0, 0], &[0, 1], &[], 1), [2]);
        assert_eq!(place(&[0, 0, 0], &[1], &[2], 2), [0, 1], "the fenced come last");
        let apart = place(&[0, 0, 1, 2], &[3], &[], 3);
        assert!(apart[0] != 3 && apart.contains(&2) && apart.contains(&3), "{apart:?}");
        assert_eq!(place(&[0, 0], &[0, 1], &[], 2).len(), 2);
    }

    proptest! {
        #[test]
        fn equal_racks_share_leaders_and_replicas_equally(
            racks in 1usize..5, each in 1usize..5, partitions in 1usize..60, factor in 0usize..4, seed: u64,
        ) {
            let brokers = racks * each;
            let factor = factor % brokers + 1;
            let layout: Vec<usize> = (0..brokers).map(|id| id % racks).collect();
            let mut placer = Placer::new(&candidates(&layout), seed);
            let placed: Vec<_> = (0..partitions).map(|_| placer.place(factor).unwrap()).collect();
            for replicas in &placed {
                prop_assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), factor);
                let in_racks = replicas.iter().map(|id| layout[*id as usize]).collect::<BTreeSet<_>>();
                prop_assert_eq!(in_racks.len(), factor.min(racks));
            }
            prop_assert!(spread(&counts(brokers, placed.iter().map(|replicas| replicas[0]))) <= 1);
            prop_assert!(spread(&counts(brokers, placed.iter().flatten().copied())) <= 2);
        }

        #[test]
        fn any_racks_get_leaders_equally_and_each_partition_spread(
            layout in prop::collection::vec(0usize..4, 1..12), partitions in 1usize..40, factor in 0usize..4, seed: u64,
        ) {
            let factor = factor % layout.len() + 1;
            let racks = layout.iter().collect::<BTreeSet<_>>().len();
            let mut placer = Placer::new(&candidates(&layout), seed);
            let placed: Vec<_> = (0..partitions).map(|_| placer.place(factor).unwrap()).collect();
            for replicas in &placed {
                let in_racks = replicas.iter().map(|id| layout[*id as usize]).collect::<BTreeSet<_>>();
                prop_assert_eq!(in_racks.len(), factor.min(racks));
            }
            prop_assert!(spread(&counts(layout.len(), placed.iter().map(|replicas| replicas[0]))) <= 1);
        }

        #[test]
        fn the_same_seed_places_the_same_way(seed: u64) {
            let place = || {
                let mut placer = Placer::new(&candidates(&[0, 0, 1, 1, 2]), seed);
                (0..20).map(|_| placer.place(3).unwrap()).collect::<Vec<_>>()
            };
            prop_assert_eq!(place(), place());
        }
    }

    #[test]
    fn brokers_that_are_not_live_lead_nothing_and_come_last() {
        let mut brokers = candidates(&[0, 1, 2, 3]);
        brokers[1].live = false;
        let mut placer = Placer::new(&brokers, 1);
        for _ in 0..20 {
            assert!(!placer.place(3).unwrap().contains(&1));
        }
        let four = placer.place(4).unwrap();
        assert_eq!(four[3], 1);
    }

    #[test]
    fn too_few_brokers_are_named() {
        let mut placer = Placer::new(&candidates(&[0]), 1);
        assert_eq!(placer.place(3), Err(PlacementError::TooFew { wanted: 3, registered: 1 }));
        let mut brokers = candidates(&[0, 0]);
        brokers.iter_mut().for_each(|broker| broker.live = false);
        assert_eq!(Placer::new(&brokers, 1).place(1), Err(PlacementError::NoneLive));
    }

    #[test]
    fn what_is_there_already_counts() {
        let mut brokers = candidates(&[0, 0, 0]);
        (brokers[0].leaders, brokers[0].replicas) = (10, 10);
        let mut placer = Placer::new(&brokers, 1);
        placer.count(&[1]);
        let leaders: Vec<i32> = (0..19).map(|_| placer.place(1).unwrap()[0]).collect();
        assert_eq!(counts(3, leaders.into_iter()), BTreeMap::from([(0, 0), (1, 9), (2, 10)]));
    }
}
