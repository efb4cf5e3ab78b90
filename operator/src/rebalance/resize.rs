//! Changes that somebody asked for: another replication factor, other brokers. What may stay stays.

use super::layout::Layout;
use super::{Broker, Move, Partition, Refusal};
use std::cmp::Reverse;
use std::collections::HashSet;

/// Gives the partitions of a topic this replication factor on these brokers. `load` is what the whole cluster has, with or
/// without this topic.
///
/// Moves the least: replicas on brokers that are allowed stay, as far as the replication factor allows, and so does the
/// preferred leader. What is added goes where the partition's racks, then the brokers have the least; what is taken away comes
/// from where they have the most.
pub fn resize(
    brokers: &[Broker],
    load: &[Partition],
    partitions_of_topic: &[Partition],
    replication_factor: usize,
) -> Result<Vec<Move>, Refusal> {
    if replication_factor == 0 {
        return Err(Refusal::NoReplicas);
    }
    let name = |partition: &'_ Partition| (partition.topic.clone(), partition.partition);
    let topics: HashSet<&str> = partitions_of_topic.iter().map(|partition| partition.topic.as_str()).collect();
    let names: HashSet<_> = partitions_of_topic.iter().map(name).collect();
    let is_resized = |partition: &Partition| topics.contains(&*partition.topic) && names.contains(&name(partition));
    let others = load.iter().filter(|partition| !is_resized(partition));
    let mut layout = Layout::new(brokers, others.chain(partitions_of_topic));
    let open = layout.seats().iter().filter(|seat| seat.open).count();
    if replication_factor > open {
        let topic = partitions_of_topic.first().map(|partition| partition.topic.clone());
        return Err(Refusal::TooFewBrokers { needed: replication_factor, brokers: open, topic });
    }
    for partition in 0..layout.partitions() {
        if is_resized(layout.origin(partition)) {
            settle(&mut layout, partition, replication_factor);
        }
    }
    Ok(layout.moves())
}

/// Moves every replica off the brokers that do not stay, and nothing else.
///
/// Each goes where the partition's racks, then the brokers have the least. Where the preferred leader goes, the one of its
/// partition's brokers that leads the least takes its place.
/// Refused if a partition has more replicas than brokers stay.
pub fn drain(brokers_staying: &[Broker], load: &[Partition]) -> Result<Vec<Move>, Refusal> {
    drain_layout(Layout::new(brokers_staying, load))
}

/// [`drain`] where topics are bound to brokers: replicas of a topic go only to the brokers `allowed` for it. Those that lie
/// elsewhere, on brokers that stay, are left to [`resize`].
pub fn drain_within(
    brokers_staying: &[Broker],
    load: &[Partition],
    allowed: impl Fn(&str, i32) -> bool,
) -> Result<Vec<Move>, Refusal> {
    drain_layout(Layout::new(brokers_staying, load).within(allowed))
}

fn drain_layout(mut layout: Layout) -> Result<Vec<Move>, Refusal> {
    check_enough_stay(&layout)?;
    for partition in 0..layout.partitions() {
        let replicas = layout.replicas(partition);
        if replicas.iter().any(|seat| !layout.seats()[*seat].open) {
            let factor = replicas.len();
            settle(&mut layout, partition, factor);
        }
    }
    Ok(layout.moves())
}

fn check_enough_stay(layout: &Layout) -> Result<(), Refusal> {
    let needed = |partition: &usize| layout.replicas(*partition).len();
    let stranded: Vec<usize> =
        (0..layout.partitions()).filter(|partition| needed(partition) > brokers_for(layout, *partition)).collect();
    let topics: HashSet<usize> = stranded.iter().map(|partition| layout.topic(*partition)).collect();
    match stranded.into_iter().max_by_key(|partition| (needed(partition), Reverse(*partition))) {
        None => Ok(()),
        Some(worst) => Err(Refusal::TooFewStay {
            topic: layout.origin(worst).topic.clone(),
            needed: needed(&worst),
            brokers: brokers_for(layout, worst),
            topics: topics.len(),
        }),
    }
}

/// How many brokers may hold the partition after a drain: those that have it already and those that may get it.
fn brokers_for(layout: &Layout, partition: usize) -> usize {
    let holds = |seat: usize| layout.seats()[seat].open && layout.replicas(partition).contains(&seat);
    (0..layout.seats().len()).filter(|seat| layout.takes(partition, *seat) || holds(*seat)).count()
}

/// Gives the partition `factor` replicas, all on open brokers. There are at least as many of these.
fn settle(layout: &mut Layout, partition: usize, factor: usize) {
    let before = layout.replicas(partition);
    let mut replicas: Vec<usize> = before.iter().copied().filter(|seat| layout.seats()[*seat].open).collect();
    let leader_stays = replicas.first().is_some_and(|leader| before.first() == Some(leader));
    while replicas.len() > factor {
        let surplus = surplus(layout, &replicas, leader_stays);
        replicas.remove(surplus);
    }
    while replicas.len() < factor {
        replicas.push(layout.vacancy(partition, &replicas).expect("as many open brokers as replicas"));
    }
    if !leader_stays && let Some(next) = (0..factor).min_by_key(|position| layout.seats()[replicas[*position]].leaders)
    {
        replicas.swap(0, next);
    }
    layout.set(partition, replicas);
}

/// The position of the replica to do without: in the rack with the most of them, on the broker with the most, late in the list.
fn surplus(layout: &Layout, replicas: &[usize], leader_stays: bool) -> usize {
    let in_racks = layout.in_racks(replicas);
    let positions = usize::from(leader_stays)..replicas.len();
    positions
        .max_by_key(|position| {
            let seat = &layout.seats()[replicas[*position]];
            (in_racks[seat.rack], seat.replicas)
        })
        .expect("more replicas than wanted, and at least one is")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Cluster, applied, brokers, cluster, partition, racks_are_apart};
    use super::*;
    use proptest::prelude::*;

    fn ids(brokers: &[Broker]) -> Vec<i32> {
        brokers.iter().map(|broker| broker.id).collect()
    }

    proptest! {
        #[test]
        fn resize_moves_the_least(
            Cluster { brokers, load } in cluster(12, 60), leaving in 0usize..12, factor in 0usize..5,
        ) {
            let allowed = &brokers[leaving % brokers.len()..];
            let factor = factor % allowed.len() + 1;
            let topic: Vec<Partition> = load.iter().filter(|one| one.topic == load[0].topic).cloned().collect();
            let moves = resize(allowed, &load, &topic, factor).unwrap();
            prop_assert_eq!(&moves, &resize(allowed, &load[topic.len()..], &topic, factor).unwrap());
            let after = applied(&topic, &moves);
            for (before, after) in topic.iter().zip(&after) {
                let may_stay: Vec<i32> =
                    before.replicas.iter().copied().filter(|id| ids(allowed).contains(id)).collect();
                let stayed = after.replicas.iter().filter(|id| may_stay.contains(id)).count();
                prop_assert_eq!(after.replicas.len(), factor);
                prop_assert!(after.replicas.iter().all(|id| ids(allowed).contains(id)));
                prop_assert_eq!(stayed, may_stay.len().min(factor));
                if may_stay.contains(&before.replicas[0]) {
                    prop_assert_eq!(before.replicas[0], after.replicas[0]);
                }
                if may_stay.is_empty() {
                    prop_assert!(racks_are_apart(allowed, &after.replicas));
                }
            }
        }

        #[test]
        fn drain_moves_what_has_to_go_and_nothing_else(
            Cluster { brokers, load } in cluster(12, 100), leaving in 0usize..12,
        ) {
            let staying = &brokers[leaving % brokers.len()..];
            let needed = load.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0);
            let moves = drain(staying, &load);
            if needed > staying.len() {
                let refused = matches!(moves, Err(Refusal::TooFewStay { needed: worst, .. }) if worst == needed);
                prop_assert!(refused, "{moves:?}");
                return Ok(());
            }
            let after = applied(&load, &moves.unwrap());
            for (before, after) in load.iter().zip(&after) {
                prop_assert_eq!(before.replicas.len(), after.replicas.len());
                prop_assert!(after.replicas.iter().all(|id| ids(staying).contains(id)));
                for id in before.replicas.iter().filter(|id| ids(staying).contains(id)) {
                    prop_assert!(after.replicas.contains(id));
                }
                if ids(staying).contains(&before.replicas[0]) {
                    prop_assert_eq!(before.replicas[0], after.replicas[0]);
                }
            }
            prop_assert_eq!(drain(staying, &after), Ok(vec![]));
        }
    }

    #[test]
    fn a_drained_replica_goes_to_the_rack_that_the_partition_lacks() {
        // Brokers 0 to 5 on the racks 0, 1, 2, 0, 1, 2.
        let brokers = brokers(6, 3);
        let load = [partition("orders", 0, &[0, 1, 2])];
        let moves = drain(&brokers[1..], &load).unwrap();
        assert!(moves[0].replicas.contains(&3));
    }

    #[test]
    fn a_bound_topic_is_drained_to_its_own_brokers_or_not_at_all() {
        let load = [partition("bound", 0, &[0]), partition("bound", 1, &[1])];
        let staying = &brokers(4, 0)[1..];
        let moves = drain_within(staying, &load, |_, id| id < 2).unwrap();
        assert_eq!(applied(&load, &moves)[0].replicas, [1]);
        let refusal = drain_within(staying, &load, |_, id| id < 1).unwrap_err();
        assert_eq!(refusal, Refusal::TooFewStay { topic: "bound".into(), needed: 1, brokers: 0, topics: 1 });
    }

    #[test]
    fn a_replica_too_many_is_taken_from_the_rack_with_two() {
        let load = [partition("orders", 0, &[0, 1, 3])];
        let moves = resize(&brokers(6, 3), &load, &load, 2).unwrap();
        assert_eq!(applied(&load, &moves), [partition("orders", 0, &[0, 1])]);
    }

    #[test]
    fn a_drain_that_cannot_be_names_the_worst_topic_and_counts_all() {
        let load = [
            partition("a", 0, &[0, 1]),
            partition("b", 0, &[0, 1, 2]),
            partition("c", 0, &[1]),
            partition("c", 1, &[0]),
        ];
        let refusal = drain(&brokers(1, 0), &load).unwrap_err();
        assert_eq!(refusal, Refusal::TooFewStay { topic: "b".into(), needed: 3, brokers: 1, topics: 2 });
        assert!(refusal.to_string().contains("at least 3 have to stay"), "{refusal}");
    }

    #[test]
    fn more_replicas_than_brokers_are_refused_with_the_topic() {
        let load = [partition("orders", 0, &[0])];
        let refusal = resize(&brokers(2, 0), &load, &load, 3).unwrap_err();
        assert_eq!(refusal, Refusal::TooFewBrokers { needed: 3, brokers: 2, topic: Some("orders".into()) });
        assert_eq!(resize(&brokers(2, 0), &load, &load, 0), Err(Refusal::NoReplicas));
    }
}
