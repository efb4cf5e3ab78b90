//! The replicas of partitions that do not exist yet: the controller's own placement, with what brokers have counted in.

use super::layout::Layout;
use super::{Broker, Partition, Refusal};
use barnabas::controller::placement::{Candidate, PlacementError, Placer};

/// The replicas of `count` new partitions, of a new topic or of one that gets more, the preferred leader first.
///
/// Brokers that have less than others get more, but none more than about twice its share of these partitions: a topic that is
/// made right after a broker joined must not lie on this broker alone, where all its clients would meet. So new topics keep a
/// balanced cluster balanced, and bring one that is not nearer to it with each topic: leaders then differ by at most one, and where
/// racks are equal and all partitions have the same replication factor, replicas by at most two. With factors that differ leaders
/// come first, and [`super::spread`] evens out replicas.
pub fn assign(
    brokers: &[Broker],
    load: &[Partition],
    count: usize,
    replication_factor: usize,
    seed: u64,
) -> Result<Vec<Vec<i32>>, Refusal> {
    if replication_factor == 0 {
        return Err(Refusal::NoReplicas);
    }
    let candidates = candidates(brokers, load, count, replication_factor);
    let too_few = |error| match error {
        PlacementError::TooFew { wanted: needed, registered: brokers } => {
            Refusal::TooFewBrokers { needed, brokers, topic: None }
        }
        PlacementError::NoneLive => Refusal::TooFewBrokers { needed: replication_factor, brokers: 0, topic: None },
    };
    let mut placer = Placer::new(&candidates, seed);
    (0..count).map(|_| placer.place(replication_factor).map_err(too_few)).collect()
}

/// The brokers, each with what it has more than the one with the least, up to a share of what is to come: more than that
/// would make the others wait for a whole topic.
fn candidates(brokers: &[Broker], load: &[Partition], count: usize, replication_factor: usize) -> Vec<Candidate> {
    let layout = Layout::new(brokers, load);
    let open = || layout.seats().iter().filter(|seat| seat.open);
    let open_count = open().count().max(1);
    let leaders_min = open().map(|seat| seat.leaders).min().unwrap_or(0);
    let replicas_min = open().map(|seat| seat.replicas).min().unwrap_or(0);
    let leaders_share = count.div_ceil(open_count);
    let replicas_share = (count * replication_factor).div_ceil(open_count);
    let rack = |id| brokers.iter().rfind(|broker| broker.id == id).and_then(|broker| broker.rack.clone());
    open()
        .map(|seat| Candidate {
            id: seat.id,
            rack: rack(seat.id),
            live: true,
            drained: false,
            leaders: (seat.leaders - leaders_min).min(leaders_share),
            replicas: (seat.replicas - replicas_min).min(replicas_share),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Counts, brokers, cluster, racks_are_apart};
    use super::*;
    use proptest::prelude::*;

    fn partitions(topic: &str, replicas: Vec<Vec<i32>>) -> Vec<Partition> {
        let partition = |(partition, replicas)| Partition { topic: topic.into(), partition, replicas };
        (0..).zip(replicas).map(partition).collect()
    }

    proptest! {
        #[test]
        fn topic_after_topic_keeps_the_cluster_balanced(
            each in 1usize..5, racks in 1usize..4, topics in prop::collection::vec((1usize..20, 0usize..4), 1..12),
            one_factor: bool, seed: u64,
        ) {
            let brokers = brokers(each * racks, racks);
            let mut load = Vec::new();
            for (number, (count, factor)) in topics.iter().copied().enumerate() {
                let factor = if one_factor { topics[0].1 } else { factor } % brokers.len() + 1;
                let placed = assign(&brokers, &load, count, factor, seed).unwrap();
                prop_assert!(placed.iter().all(|replicas| racks_are_apart(&brokers, replicas)));
                load.extend(partitions(&format!("t{number}"), placed));
            }
            let counts = Counts::of(&brokers, &load);
            prop_assert!(counts.leaders_differ() <= 1, "{:?}", counts);
            prop_assert!(!one_factor || counts.replicas_differ() <= 2, "{:?}", counts);
        }

        #[test]
        fn no_broker_gets_more_than_twice_its_share_of_a_topic(cluster in cluster(12, 100), count in 1usize..50, seed: u64) {
            let placed = assign(&cluster.brokers, &cluster.load, count, 1, seed).unwrap();
            let counts = Counts::of(&cluster.brokers, &partitions("new", placed));
            let share = count.div_ceil(cluster.brokers.len());
            prop_assert!(counts.leaders.values().all(|leaders| *leaders <= 2 * share), "{:?}", counts);
        }
    }

    #[test]
    fn one_partition_goes_to_the_broker_with_the_least() {
        let load = partitions("old", vec![vec![0], vec![1], vec![1], vec![2]]);
        assert_eq!(assign(&brokers(4, 0), &load, 1, 1, 7).unwrap(), [[3]]);
    }

    #[test]
    fn more_replicas_than_brokers_are_refused() {
        let refusal = Refusal::TooFewBrokers { needed: 3, brokers: 2, topic: None };
        assert_eq!(assign(&brokers(2, 0), &[], 1, 3, 0), Err(refusal));
        let refusal = Refusal::TooFewBrokers { needed: 1, brokers: 0, topic: None };
        assert_eq!(assign(&[], &[], 1, 1, 0), Err(refusal));
        assert_eq!(assign(&brokers(2, 0), &[], 1, 0, 0), Err(Refusal::NoReplicas));
    }
}
