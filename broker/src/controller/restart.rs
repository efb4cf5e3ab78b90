//! What speaks against restarting a node now.
//!
//! A fenced broker holds nothing that anybody relies on: partitions do not speak against its restart. That a node may be
//! restarted is true of this moment, and of this node alone.

use super::health::{IsrDefaults, enough_in_sync};
use super::image::{MetadataImage, PartitionRegistration};
use crate::raft::{QuorumDescription, ReplicaDescription, ReplicaId};
use std::fmt;
use std::sync::Arc;

/// A voter that had all of the log within this time follows, in milliseconds: a few times what a fetch waits for.
const FOLLOWS_WITHIN_MS: i64 = 2000;

/// One reason against a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No other live broker is in sync.
    LastInSync(Partitions),
    /// Fewer replicas would be in sync than acks=all needs.
    BelowMinIsr(Partitions),
    /// Fewer voters would follow than `majority` of `voters`.
    NoMajority { following: usize, majority: usize, voters: usize },
}

/// Partitions that are at fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    pub count: usize,
    /// The first of them by topic and number, as many as were asked for.
    pub first: Vec<(Arc<str>, i32)>,
    /// Whether there are replicas enough, so that it passes once they are in sync.
    pub may_pass: bool,
}

impl Reason {
    /// Whether it may pass without anybody's doing.
    pub fn may_pass(&self) -> bool {
        match self {
            Reason::LastInSync(partitions) | Reason::BelowMinIsr(partitions) => partitions.may_pass,
            Reason::NoMajority { majority, voters, .. } => voters > majority,
        }
    }

    pub fn partitions(&self) -> Option<&Partitions> {
        match self {
            Reason::LastInSync(partitions) | Reason::BelowMinIsr(partitions) => Some(partitions),
            Reason::NoMajority { .. } => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::LastInSync(Partitions { count, may_pass: true, .. }) => {
                write!(formatter, "partitions without a leader: {count}, whose other replicas are not in sync")
            }
            Reason::LastInSync(Partitions { count, .. }) => {
                write!(formatter, "partitions without a leader: {count}, which have no other replica")
            }
            Reason::BelowMinIsr(Partitions { count, may_pass: true, .. }) => {
                write!(formatter, "partitions below their min.insync.replicas: {count}, of which some replica lags")
            }
            Reason::BelowMinIsr(Partitions { count, .. }) => {
                write!(formatter, "partitions below their min.insync.replicas: {count}, which need all their replicas")
            }
            Reason::NoMajority { following, majority, voters } => write!(
                formatter,
                "no majority of the quorum: {following} of {voters} voters would follow the active controller, \
                 {majority} are needed"
            ),
        }
    }
}

/// The active controller's view of what a restart would touch.
pub struct View<'a> {
    pub image: &'a MetadataImage,
    pub defaults: IsrDefaults,
    pub quorum: &'a QuorumDescription,
    /// Milliseconds, as in `quorum`.
    pub now: i64,
}

impl View<'_> {
    /// What speaks against restarting `node` now, with the first `list_max` partitions of each. `None`: no broker and no
    /// voter has this id. Walks all partitions.
    pub fn reasons_against_restart(&self, node: i32, list_max: usize) -> Option<Vec<Reason>> {
        let broker = self.image.brokers.get(&node);
        let votes = self.quorum.voters.iter().any(|voter| voter.key.id == ReplicaId(node));
        if broker.is_none() && !votes {
            return None;
        }
        let mut reasons = Vec::new();
        if broker.is_some_and(|broker| !broker.fenced) {
            reasons.extend(self.partitions_at_fault(node, list_max));
        }
        if votes {
            reasons.extend(self.no_majority(node));
        }
        Some(reasons)
    }

    fn partitions_at_fault(&self, node: i32, list_max: usize) -> impl Iterator<Item = Reason> + use<> {
        let new = |may_pass| Partitions { may_pass, ..Partitions::default() };
        let (mut last, mut last_of_one) = (new(true), new(false));
        let (mut below, mut below_always) = (new(true), new(false));
        for topic in self.image.topics.iter() {
            let min_insync_replicas = self.defaults.of_topic(self.image, &topic.name);
            for (number, partition) in (0..).zip(&topic.partitions).filter(|(_, one)| one.isr.contains(&node)) {
                let (others, replicas) = (self.in_sync_without(partition, node), partition.replicas.len());
                let enough = enough_in_sync(partition, min_insync_replicas);
                let at_fault = match others {
                    0 if replicas == 1 => &mut last_of_one,
                    0 => &mut last,
                    _ if others >= enough => continue,
                    _ if replicas == enough => &mut below_always,
                    _ => &mut below,
                };
                at_fault.count += 1;
                if at_fault.first.len() < list_max {
                    at_fault.first.push((topic.name.clone(), number));
                }
            }
        }
        let last = [last, last_of_one].into_iter().filter(|one| one.count > 0).map(Reason::LastInSync);
        let below = [below, below_always].into_iter().filter(|one| one.count > 0).map(Reason::BelowMinIsr);
        last.chain(below)
    }

    /// The replicas that are in sync and will stay, but for `node`.
    fn in_sync_without(&self, partition: &PartitionRegistration, node: i32) -> usize {
        let stays = |id: i32| self.image.live_broker(id).is_some_and(|broker| !broker.in_controlled_shutdown);
        partition.isr.iter().filter(|id| **id != node && stays(**id)).count()
    }

    fn no_majority(&self, node: i32) -> Option<Reason> {
        let voters = self.quorum.voters.len();
        let majority = voters / 2 + 1;
        let others = self.quorum.voters.iter().filter(|voter| voter.key.id != ReplicaId(node));
        let following = others.filter(|voter| self.follows(voter)).count();
        (following < majority).then_some(Reason::NoMajority { following, majority, voters })
    }

    fn follows(&self, voter: &ReplicaDescription) -> bool {
        let caught_up = voter.last_caught_up_ms.is_some_and(|then| self.now - then <= FOLLOWS_WITHIN_MS);
        voter.key.id == self.quorum.leader || caught_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::image::{BrokerRegistration, ResourceType, UNASSIGNED_DIRECTORY};
    use crate::protocol::Uuid;
    use crate::raft::{LeaderEpoch, ReplicaKey};

    const NOW: i64 = 1_000_000;

    /// Brokers 1 to 4, of which 4 is fenced, and a topic for each partition given.
    fn image(partitions: &[(&str, &[i32], &[i32])]) -> MetadataImage {
        let mut image = MetadataImage::default();
        for id in 1..=4 {
            let broker = BrokerRegistration {
                id,
                epoch: 0,
                incarnation: Uuid::ZERO,
                endpoints: Vec::new(),
                features: Vec::new(),
                rack: None,
                fenced: id == 4,
                in_controlled_shutdown: false,
                directories: Vec::new(),
            };
            image.brokers.insert(id, Arc::new(broker));
        }
        for (serial, (name, replicas, isr)) in (1..).zip(partitions) {
            let id = Uuid([serial; 16]);
            image.topics.insert(name, id);
            let registration = PartitionRegistration {
                replicas: (*replicas).into(),
                isr: (*isr).into(),
                directories: vec![UNASSIGNED_DIRECTORY; replicas.len()].into(),
                leader: isr[0],
                leader_epoch: 0,
                partition_epoch: 0,
                leader_recovering: false,
                reassignment: None,
                eligible: None,
            };
            image.topics.put(id, 0, registration);
        }
        image
    }

    /// A quorum led by 1 whose other voters were caught up at these times.
    fn quorum(others: &[(i32, Option<i64>)]) -> QuorumDescription {
        let voter = |id, last_caught_up_ms| ReplicaDescription {
            key: ReplicaKey::of(ReplicaId(id)),
            log_end_offset: None,
            last_fetch_ms: last_caught_up_ms,
            last_caught_up_ms,
        };
        let others = others.iter().map(|(id, then)| voter(*id, *then));
        QuorumDescription {
            leader: ReplicaId(1),
            epoch: LeaderEpoch(1),
            high_watermark: 0,
            voters: [voter(1, None)].into_iter().chain(others).collect(),
            observers: Vec::new(),
        }
    }

    fn reasons(image: &MetadataImage, quorum: &QuorumDescription, node: i32) -> Option<Vec<Reason>> {
        let defaults = IsrDefaults { node_id: 1, min_insync_replicas: 1 };
        View { image, defaults, quorum, now: NOW }.reasons_against_restart(node, 1)
    }

    fn whole_quorum() -> QuorumDescription {
        quorum(&[(2, Some(NOW)), (3, Some(NOW - FOLLOWS_WITHIN_MS))])
    }

    fn at_fault(name: &str, may_pass: bool) -> Partitions {
        Partitions { count: 1, first: vec![(name.into(), 0)], may_pass }
    }

    #[test]
    fn a_node_whose_replicas_all_have_others_in_sync_may_be_restarted() {
        let image = image(&[("a", &[1, 2, 3], &[1, 2, 3]), ("b", &[2, 3], &[2, 3]), ("c", &[1, 2], &[2])]);
        for node in [1, 3] {
            assert_eq!(reasons(&image, &whole_quorum(), node), Some(vec![]));
        }
    }

    #[test]
    fn the_last_replica_in_sync_is_kept() {
        let image = image(&[("alone", &[1], &[1]), ("lagging", &[1, 2], &[1]), ("later", &[1, 3], &[1])]);
        let lagging = Partitions { count: 2, ..at_fault("lagging", true) };
        let expected = vec![Reason::LastInSync(lagging), Reason::LastInSync(at_fault("alone", false))];
        assert_eq!(reasons(&image, &whole_quorum(), 1), Some(expected));
        assert_eq!(reasons(&image, &whole_quorum(), 2), Some(vec![]));
    }

    #[test]
    fn min_insync_replicas_are_kept() {
        let mut image = image(&[("all", &[1, 2], &[1, 2]), ("lagging", &[1, 2, 3], &[1, 2])]);
        for topic in ["all", "lagging"] {
            image.configs.set(ResourceType::Topic, topic, "min.insync.replicas", Some("2"));
        }
        let expected =
            vec![Reason::BelowMinIsr(at_fault("lagging", true)), Reason::BelowMinIsr(at_fault("all", false))];
        assert_eq!(reasons(&image, &whole_quorum(), 2), Some(expected));
        assert_eq!(reasons(&image, &whole_quorum(), 3), Some(vec![]), "what is not in sync is not missed");
    }

    #[test]
    fn who_is_about_to_end_counts_for_nothing() {
        let mut image = image(&[("a", &[1, 2], &[1, 2])]);
        let ending = BrokerRegistration { in_controlled_shutdown: true, ..(**image.brokers.get(&2).unwrap()).clone() };
        image.brokers.insert(2, Arc::new(ending));
        assert_eq!(reasons(&image, &whole_quorum(), 1), Some(vec![Reason::LastInSync(at_fault("a", true))]));
    }

    #[test]
    fn no_partition_speaks_against_restarting_a_fenced_broker() {
        let image = image(&[("a", &[4], &[4])]);
        assert_eq!(reasons(&image, &whole_quorum(), 4), Some(vec![]));
    }

    #[test]
    fn the_quorum_keeps_its_majority() {
        let image = image(&[]);
        let two_of_three = quorum(&[(2, Some(NOW)), (3, Some(NOW - FOLLOWS_WITHIN_MS - 1))]);
        let no_majority = |following, majority, voters| Some(vec![Reason::NoMajority { following, majority, voters }]);
        assert_eq!(reasons(&image, &two_of_three, 1), no_majority(1, 2, 3));
        assert_eq!(reasons(&image, &two_of_three, 2), no_majority(1, 2, 3));
        assert_eq!(reasons(&image, &two_of_three, 3), Some(vec![]), "it does not follow as it is");
        let alone = reasons(&image, &quorum(&[]), 1);
        assert_eq!(alone, no_majority(0, 1, 1));
        assert!(!alone.unwrap()[0].may_pass(), "a quorum of one has nobody to wait for");
        assert!(reasons(&image, &two_of_three, 1).unwrap()[0].may_pass());
    }

    #[test]
    fn nodes_are_brokers_or_voters() {
        let image = MetadataImage::default();
        assert_eq!(reasons(&image, &whole_quorum(), 3), Some(vec![]));
        assert_eq!(reasons(&image, &whole_quorum(), 4), None);
    }
}
