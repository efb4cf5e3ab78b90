//! Random clusters for the properties, and what is asked of a plan.

use super::{Broker, Move, Partition};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub brokers: Vec<Broker>,
    pub load: Vec<Partition>,
}

/// Brokers 0, 1... over this many racks in turn; without a rack if there are none.
pub(super) fn brokers(count: usize, racks: usize) -> Vec<Broker> {
    let rack = |id: usize| (racks > 0).then(|| format!("r{}", id % racks));
    (0..count).map(|id| Broker { id: id as i32, rack: rack(id) }).collect()
}

pub(super) fn partition(topic: &str, partition: i32, replicas: &[i32]) -> Partition {
    Partition { topic: topic.into(), partition, replicas: replicas.to_vec() }
}

/// At most `brokers_max` brokers on up to four racks of any size, with up to `partitions_max` partitions (at least one) of a few
/// topics anywhere on them, RF 1 to 5.
pub(super) fn cluster(brokers_max: usize, partitions_max: usize) -> impl Strategy<Value = Cluster> {
    let racks = prop::collection::vec(0usize..4, 1..=brokers_max);
    (racks, any::<bool>(), 1..=partitions_max, any::<u64>()).prop_map(|(racks, with_racks, partitions, seed)| {
        let rack = |rack: &usize| with_racks.then(|| format!("r{rack}"));
        let brokers: Vec<Broker> = (0..).zip(&racks).map(|(id, number)| Broker { id, rack: rack(number) }).collect();
        let mut random = Random(seed);
        let mut load = Vec::new();
        let lopsided = random.below(3);
        for number in 0..partitions {
            let factor = 1 + random.below(5.min(brokers.len()));
            let mut ids: Vec<i32> = (0..brokers.len() as i32).collect();
            // Some clusters are lopsided: the low brokers have most.
            (0..factor).for_each(|place| {
                let left = ids.len() - place;
                let chosen = (0..=lopsided).map(|_| random.below(left)).min().unwrap_or(0);
                ids.swap(place, place + chosen);
            });
            ids.truncate(factor);
            load.push((format!("t{}", random.below(5)), number as i32, ids));
        }
        load.sort();
        let load = load.into_iter().map(|(topic, partition, replicas)| Partition { topic, partition, replicas });
        Cluster { brokers, load: load.collect() }
    })
}

/// SplitMix64: the same numbers on every machine.
pub(super) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// The partitions after these moves, which have to be of them and each of another one.
pub(super) fn applied(load: &[Partition], moves: &[Move]) -> Vec<Partition> {
    let mut load = load.to_vec();
    let places: HashMap<(String, i32), usize> =
        load.iter().enumerate().map(|(place, one)| ((one.topic.clone(), one.partition), place)).collect();
    let mut moved = vec![false; load.len()];
    for one in moves {
        let place = places[&(one.topic.clone(), one.partition)];
        assert!(!std::mem::replace(&mut moved[place], true), "{one:?} is planned twice");
        assert_ne!(load[place].replicas, one.replicas, "{one:?} is none");
        load[place].replicas.clone_from(&one.replicas);
    }
    load
}

/// Replicas that are on another broker than before.
pub(super) fn replicas_moved(before: &[Partition], after: &[Partition]) -> usize {
    let new = |(before, after): (&Partition, &Partition)| {
        after.replicas.iter().filter(|id| !before.replicas.contains(id)).count()
    };
    before.iter().zip(after).map(new).sum()
}

/// Whether no rack has two replicas more than one that has a broker left.
pub(super) fn racks_are_apart(brokers: &[Broker], replicas: &[i32]) -> bool {
    let mut racks: BTreeMap<Option<&str>, (usize, bool)> = BTreeMap::new();
    for broker in brokers {
        let (held, has_free) = racks.entry(broker.rack.as_deref()).or_default();
        match replicas.contains(&broker.id) {
            true => *held += 1,
            false => *has_free = true,
        }
    }
    let most = racks.values().map(|(held, _)| *held).max().unwrap_or(0);
    racks.values().all(|(held, has_free)| !has_free || held + 2 > most)
}

/// What each broker has.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub replicas: BTreeMap<i32, usize>,
    pub leaders: BTreeMap<i32, usize>,
}

impl Counts {
    pub fn of(brokers: &[Broker], load: &[Partition]) -> Counts {
        let mut counts = Counts::default();
        for broker in brokers {
            counts.replicas.insert(broker.id, 0);
            counts.leaders.insert(broker.id, 0);
        }
        for partition in load {
            partition.replicas.iter().for_each(|id| *counts.replicas.entry(*id).or_default() += 1);
            partition.replicas.iter().take(1).for_each(|id| *counts.leaders.entry(*id).or_default() += 1);
        }
        counts
    }

    pub fn replicas_differ(&self) -> usize {
        differ(&self.replicas)
    }

    pub fn leaders_differ(&self) -> usize {
        differ(&self.leaders)
    }
}

fn differ(counts: &BTreeMap<i32, usize>) -> usize {
    counts.values().max().unwrap_or(&0) - counts.values().min().unwrap_or(&0)
}
