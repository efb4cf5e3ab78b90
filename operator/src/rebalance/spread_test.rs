//! What [`spread`] promises, on random clusters.

use super::testing::{Cluster, Counts, Random, applied, brokers, cluster, partition, racks_are_apart, replicas_moved};
use super::{Broker, Partition, assign, leaders, spread, spread_within};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A balanced cluster: topics of these numbers of partitions, placed one after the other, then spread.
fn balanced(brokers: &[Broker], topics: &[usize], factor: usize) -> Vec<Partition> {
    let mut load = Vec::new();
    for (number, count) in topics.iter().enumerate() {
        let placed = assign(brokers, &load, *count, factor, 1).unwrap();
        load.extend((0..).zip(placed).map(|(index, replicas)| partition(&format!("t{number}"), index, &replicas)));
    }
    applied(&load, &spread(brokers, &load))
}

/// What no move may raise, the most important first: pairs of replicas in a rack, then squares of replicas.
fn potential(brokers: &[Broker], load: &[Partition]) -> (usize, usize) {
    let racks: HashMap<i32, &Option<String>> = brokers.iter().map(|broker| (broker.id, &broker.rack)).collect();
    let pairs = |replicas: &Vec<i32>| {
        let of_one = |id| replicas.iter().filter(|other| racks[other] == racks[id]).count();
        replicas.iter().map(of_one).sum::<usize>()
    };
    (load.iter().map(|one| pairs(&one.replicas)).sum(), squares(Counts::of(brokers, load).replicas.values()))
}

fn squares<'a>(counts: impl IntoIterator<Item = &'a usize>) -> usize {
    counts.into_iter().map(|count| count * count).sum()
}

/// Carries out random first parts of plans until nothing is left. No move may raise the potential.
fn spread_in_parts(brokers: &[Broker], load: &[Partition], random: &mut Random) -> Vec<Partition> {
    let mut load = load.to_vec();
    for _ in 0..10 * load.len() + 10 {
        let plan = spread(brokers, &load);
        if plan.is_empty() {
            return load;
        }
        for one in &plan[..1 + random.below(plan.len())] {
            let before = potential(brokers, &load);
            load = applied(&load, std::slice::from_ref(one));
            assert!(potential(brokers, &load) <= before, "{one:?} leads away");
        }
    }
    panic!("plans have no end");
}

proptest! {
    #[test]
    fn nothing_is_left_after_a_plan(Cluster { brokers, load } in cluster(12, 200)) {
        let after = applied(&load, &spread(&brokers, &load));
        prop_assert_eq!(spread(&brokers, &after), vec![]);
        prop_assert_eq!(leaders(&brokers, &after), vec![]);
    }

    #[test]
    fn first_parts_of_plans_come_to_an_end_too(Cluster { brokers, load } in cluster(12, 60), seed: u64) {
        let whole = applied(&load, &spread(&brokers, &load));
        let parts = spread_in_parts(&brokers, &load, &mut Random(seed));
        prop_assert_eq!(potential(&brokers, &whole), potential(&brokers, &parts));
    }

    #[test]
    fn racks_are_apart_and_replication_factors_kept(Cluster { brokers, load } in cluster(12, 200)) {
        let after = applied(&load, &spread(&brokers, &load));
        for (before, after) in load.iter().zip(&after) {
            prop_assert!(racks_are_apart(&brokers, &after.replicas), "{:?}", after);
            prop_assert_eq!(after.replicas.iter().collect::<BTreeSet<_>>().len(), before.replicas.len());
        }
    }

    #[test]
    fn equal_racks_have_brokers_that_differ_by_at_most_one(
        each in 1usize..4, racks in 0usize..5, factor in 1usize..6, partitions in 1usize..200, seed: u64,
    ) {
        let brokers = brokers(each * racks.max(1), racks);
        let factor = factor.min(brokers.len());
        let mut random = Random(seed);
        let replicas = |random: &mut Random| {
            let first = random.below(brokers.len());
            (0..factor).map(|next| ((first + next) % brokers.len()) as i32).collect::<Vec<i32>>()
        };
        let load: Vec<_> = (0..partitions as i32).map(|number| partition("t", number, &replicas(&mut random))).collect();
        let counts = Counts::of(&brokers, &applied(&load, &spread(&brokers, &load)));
        prop_assert!(counts.replicas_differ() <= 1, "{:?}", counts);
        prop_assert!(counts.leaders_differ() <= 1, "{:?}", counts);
    }

    #[test]
    fn brokers_without_racks_have_equally_many_replicas_whatever_the_factors(Cluster { brokers, load } in cluster(12, 200)) {
        let brokers: Vec<Broker> = brokers.into_iter().map(|broker| Broker { rack: None, ..broker }).collect();
        let counts = Counts::of(&brokers, &applied(&load, &spread(&brokers, &load)));
        prop_assert!(counts.replicas_differ() <= 1, "{:?}", counts);
    }

    #[test]
    fn no_other_distribution_is_more_equal(Cluster { brokers, load } in cluster(6, 5)) {
        let after = applied(&load, &spread(&brokers, &load));
        let counts = Counts::of(&brokers, &after);
        let best_replicas = best(brokers.len(), load.iter().map(|one| separated(&brokers, one.replicas.len())));
        let single = |id: &i32| vec![*id as usize];
        let best_leaders = best(brokers.len(), after.iter().map(|one| one.replicas.iter().map(single).collect()));
        prop_assert_eq!(squares(counts.replicas.values()), best_replicas);
        prop_assert_eq!(squares(counts.leaders.values()), best_leaders);
    }

    #[test]
    fn brokers_that_join_get_their_share_with_few_moves(
        old in 1usize..8, new in 1usize..6, racks in 0usize..4, factor in 1usize..4,
        topics in prop::collection::vec(1usize..40, 1..8),
    ) {
        let each = racks.max(1);
        let (old, all) = (old * each, (old + new) * each);
        let factor = factor.min(old);
        let load = balanced(&brokers(old, racks), &topics, factor);
        let brokers = brokers(all, racks);
        let after = applied(&load, &spread(&brokers, &load));
        let counts = Counts::of(&brokers, &load);
        let share = counts.replicas.values().sum::<usize>() / all;
        let lacking: usize = counts.replicas.values().map(|count| share.saturating_sub(*count)).sum();
        let surplus: usize = counts.replicas.values().map(|count| count.saturating_sub(share + 1)).sum();
        let moved = replicas_moved(&load, &after);
        prop_assert!(moved <= 2 * lacking.max(surplus), "{moved} moved, {lacking} lacking, {surplus} too many");
    }

    #[test]
    fn reordering_moves_no_data(Cluster { brokers, load } in cluster(12, 200)) {
        let after = applied(&load, &leaders(&brokers, &load));
        prop_assert_eq!(replicas_moved(&load, &after), 0);
        let (before, after) = (Counts::of(&brokers, &load), Counts::of(&brokers, &after));
        prop_assert!(after.leaders_differ() <= before.leaders_differ());
    }

    #[test]
    fn the_order_of_the_input_changes_nothing(Cluster { brokers, load } in cluster(12, 100)) {
        let reversed: Vec<Partition> = load.iter().rev().cloned().collect();
        let brokers_reversed: Vec<Broker> = brokers.iter().rev().cloned().collect();
        prop_assert_eq!(spread(&brokers, &load), spread(&brokers_reversed, &reversed));
    }

    #[test]
    fn what_lies_elsewhere_stays_and_bound_topics_stay_within(Cluster { brokers, load } in cluster(12, 100), gone in 0usize..12) {
        let staying = &brokers[gone % brokers.len()..];
        let allowed = |topic: &str, id: i32| topic != "t1" || id % 2 == 0;
        let plan = spread_within(staying, &load, allowed);
        let after = applied(&load, &plan);
        for (before, after) in load.iter().zip(&after) {
            for id in &after.replicas {
                let is_open = staying.iter().any(|broker| broker.id == *id);
                prop_assert!(before.replicas.contains(id) || (is_open && allowed(&after.topic, *id)));
            }
            for id in before.replicas.iter().filter(|id| staying.iter().all(|broker| broker.id != **id)) {
                prop_assert!(after.replicas.contains(id));
            }
        }
        prop_assert_eq!(spread_within(staying, &after, allowed), vec![]);
    }
}

/// The sets of this many brokers that are apart in racks.
fn separated(brokers: &[Broker], factor: usize) -> Vec<Vec<usize>> {
    let sets = (0u32..1 << brokers.len()).filter(|set| set.count_ones() as usize == factor);
    let members = |set: u32| (0..brokers.len()).filter(|index| set & (1 << index) != 0).collect::<Vec<usize>>();
    let ids = |members: &Vec<usize>| members.iter().map(|index| *index as i32).collect::<Vec<i32>>();
    sets.map(members).filter(|members| racks_are_apart(brokers, &ids(members))).collect()
}

/// The smallest sum of squares over all choices of one set for each partition.
fn best(brokers: usize, choices: impl Iterator<Item = Vec<Vec<usize>>>) -> usize {
    let mut reached = BTreeSet::from([vec![0usize; brokers]]);
    for sets in choices {
        let with = |counts: &Vec<usize>, set: &Vec<usize>| {
            let mut counts = counts.clone();
            set.iter().for_each(|broker| counts[*broker] += 1);
            counts
        };
        reached = reached.iter().flat_map(|counts| sets.iter().map(move |set| with(counts, set))).collect();
    }
    reached.iter().map(squares).min().unwrap()
}

#[test]
fn a_topic_lies_on_new_brokers_by_its_share() {
    let topics = [100, 30, 12, 6, 3, 1, 1, 60];
    for (old, all) in [(3, 4), (3, 6), (4, 8), (6, 9)] {
        let load = balanced(&brokers(old, 0), &topics, 3);
        let after = applied(&load, &spread(&brokers(all, 0), &load));
        for (number, partitions) in topics.iter().enumerate() {
            let of_topic = after.iter().filter(|one| one.topic == format!("t{number}"));
            let on_new = of_topic.flat_map(|one| &one.replicas).filter(|id| **id >= old as i32).count();
            let share = 3 * partitions * (all - old) / all;
            assert!(on_new.abs_diff(share) <= 3 + share / 4, "{on_new} of {partitions} on new brokers, {old} to {all}");
        }
    }
}

#[test]
fn a_broker_that_joins_leads_its_share() {
    let load = balanced(&brokers(3, 3), &[40, 8], 3);
    let brokers = brokers(4, 3);
    let counts = Counts::of(&brokers, &applied(&load, &spread(&brokers, &load)));
    assert_eq!(counts.leaders, BTreeMap::from([(0, 12), (1, 12), (2, 12), (3, 12)]));
    // Broker 3 shares a rack with broker 0, which keeps the replicas of one rack in it: 48 for two.
    assert_eq!(counts.replicas, BTreeMap::from([(0, 24), (1, 48), (2, 48), (3, 24)]));
}

#[test]
fn a_new_rack_gets_a_replica_of_every_partition() {
    let load = balanced(&brokers(2, 2), &[10], 2);
    let brokers = [brokers(2, 2), vec![Broker { id: 2, rack: Some("r2".into()) }]].concat();
    let counts = Counts::of(&brokers, &applied(&load, &spread(&brokers, &load)));
    assert!(counts.replicas_differ() <= 1, "{counts:?}");
    let crowded: Vec<Partition> = (0..10).map(|number| partition("t", number, &[0, 1])).collect();
    let brokers: Vec<Broker> = (0..3).map(|id| Broker { id, rack: Some(format!("r{}", id / 2)) }).collect();
    let after = applied(&crowded, &spread(&brokers, &crowded));
    assert!(after.iter().all(|one| one.replicas.contains(&2)), "{after:?}");
}

#[test]
fn leaders_are_balanced_without_moving_data() {
    let load: Vec<Partition> = (0..9).map(|number| partition("t", number, &[0, 1, 2])).collect();
    let brokers = brokers(3, 3);
    let after = applied(&load, &spread(&brokers, &load));
    assert_eq!(replicas_moved(&load, &after), 0);
    assert_eq!(Counts::of(&brokers, &after).leaders_differ(), 0);
}

#[test]
fn an_empty_cluster_has_nothing_to_spread() {
    assert_eq!(spread(&[], &[partition("t", 0, &[1, 2])]), []);
    assert_eq!(spread(&brokers(3, 0), &[]), []);
    assert_eq!(spread(&brokers(3, 0), &[partition("t", 0, &[])]), []);
}
