//! Which partitions change with a broker, and under which rules.
//!
//! A broker that is fenced concerns each partition that it is in sync for: they are found by walking the whole image. Only what
//! happens rarely may walk; a heartbeat that changes nothing does not.

use super::config_changes::{ELR_VERSION, MIN_INSYNC_REPLICAS};
use super::image::{NO_LEADER, PartitionRegistration, ResourceType, Topic, UNASSIGNED_DIRECTORY};
use super::partition_change::{Circumstances, PartitionChange, Standing};
use super::state::{Controller, Records};
use crate::protocol::Uuid;

pub(super) const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";

/// Levels of metadata.version that begin something.
pub(super) mod level {
    pub const NO_EPOCH_FOR_SMALLER_ISR: i16 = 12;
    pub const CONTROLLER_REGISTRATION: i16 = 15;
    pub const DIRECTORIES: i16 = 17;
    pub const ELR: i16 = 23;
}

/// What is about to happen to a broker, while the image does not know it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Nothing,
    /// It may lead nothing any more.
    Goes(i32),
    /// It may lead from now on.
    Comes(i32),
}

/// The rules for the partitions of one topic.
pub(super) struct TopicRules<'a> {
    controller: &'a Controller,
    turn: Turn,
    min_insync_replicas: usize,
    pub unclean: bool,
    elr: bool,
    metadata_version: i16,
}

impl Circumstances for TopicRules<'_> {
    fn standing(&self, partition: &PartitionRegistration, id: i32) -> Standing {
        let Some(broker) = self.controller.image.brokers.get(&id) else { return Standing::Unfit };
        let active = match self.turn {
            Turn::Goes(gone) if gone == id => false,
            Turn::Comes(come) if come == id => true,
            _ => broker.is_active(),
        };
        let directory = partition.directory(id).unwrap_or(UNASSIGNED_DIRECTORY);
        match active && broker.has_directory(directory) {
            false => Standing::Unfit,
            true if self.controller.liveness.drained.contains(&id) => Standing::Reluctant,
            true => Standing::Fit,
        }
    }

    fn min_insync_replicas(&self) -> usize {
        self.min_insync_replicas
    }

    fn unclean(&self) -> bool {
        self.unclean
    }

    fn elr(&self) -> bool {
        self.elr
    }

    fn shrinking_begins_an_epoch(&self) -> bool {
        self.metadata_version < level::NO_EPOCH_FOR_SMALLER_ISR
    }

    fn directories(&self) -> bool {
        self.metadata_version >= level::DIRECTORIES
    }

    fn has_directory(&self, broker: i32, directory: Uuid) -> bool {
        self.controller.image.brokers.get(&broker).is_some_and(|broker| broker.has_directory(directory))
    }

    fn directory_for(&self, broker: i32) -> Uuid {
        self.controller.directory_for(broker)
    }
}

impl Controller {
    pub(super) fn elr_enabled(&self) -> bool {
        self.image.feature_level(ELR_VERSION) > 0
    }

    pub(super) fn topic_rules(&self, topic: &str, turn: Turn) -> TopicRules<'_> {
        let min_insync_replicas = self.topic_setting(topic, MIN_INSYNC_REPLICAS).and_then(|value| value.parse().ok());
        let unclean = self.topic_setting(topic, UNCLEAN_LEADER_ELECTION);
        TopicRules {
            controller: self,
            turn,
            min_insync_replicas: min_insync_replicas.unwrap_or(self.settings.min_insync_replicas.max(1) as usize),
            unclean: unclean.map_or(self.settings.unclean_leader_election, |value| value == "true"),
            elr: self.elr_enabled(),
            metadata_version: self.metadata_version(),
        }
    }

    /// What was set for a topic, this node or all brokers, the first of these; `None` where it was not set.
    fn topic_setting(&self, topic: &str, name: &str) -> Option<&str> {
        let configs = &self.image.configs;
        let own = configs.of(ResourceType::Topic, topic).get(name);
        let node = || configs.broker(self.settings.node_id).get(name);
        own.or_else(node).or_else(|| configs.default_broker().get(name)).map(String::as_str)
    }

    /// The changes of all partitions that `change` changes, under the rules of `turn`.
    pub(super) fn change_partitions(
        &self,
        turn: Turn,
        mut change: impl for<'a> FnMut(&Topic, i32, &'a PartitionRegistration) -> Option<PartitionChange<'a>>,
    ) -> Records {
        let mut records = Records::new();
        for topic in self.image.topics.iter() {
            let mut rules = None;
            for (number, partition) in (0..).zip(&topic.partitions) {
                if let Some(change) = change(topic, number, partition) {
                    let rules = rules.get_or_insert_with(|| self.topic_rules(&topic.name, turn));
                    records.extend(change.record(topic.id, number, rules).map(Into::into));
                }
            }
        }
        records
    }

    /// Takes a broker out of the ISR and the lead of all partitions.
    pub(super) fn partitions_without(&self, broker: i32) -> Records {
        self.change_partitions(Turn::Goes(broker), |_, _, partition| {
            let concerned = partition.leader == broker || partition.isr.contains(&broker);
            concerned.then(|| PartitionChange::of(partition).without(broker))
        })
    }

    /// As [`partitions_without`](Controller::partitions_without), where the broker may have lost what it had: it is not
    /// eligible to lead without the others any more.
    pub(super) fn partitions_without_trust_in(&self, broker: i32) -> Records {
        self.change_partitions(Turn::Goes(broker), |_, _, partition| {
            let concerned = partition.isr.contains(&broker) || partition.elr().contains(&broker);
            concerned
                .then(|| PartitionChange { untrusted: Some(broker), ..PartitionChange::of(partition).without(broker) })
        })
    }

    /// Gives leaders to the partitions that have none and can have one.
    pub(super) fn lead_the_leaderless(&self, turn: Turn) -> Records {
        if self.image.topics.led_by(NO_LEADER) == 0 {
            return Records::new();
        }
        self.change_partitions(turn, |_, _, partition| {
            (!partition.has_leader()).then(|| PartitionChange::of(partition))
        })
    }
}
