//! What there is of a cluster, and what is wanted, as plain data: what plans are made from.

use crate::admin::View;
use crate::admin::proto::{Broker, Topic, TopicPartition};
use crate::crd::{Placement, RebalanceMode, RestartBy};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything that a plan depends on.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    pub wanted: Wanted,
    /// Brokers that the StatefulSet has now; `None` where there is none.
    pub size: Option<i32>,
    /// Bytes of the volumes that the StatefulSets make.
    pub broker_set_storage: Option<i128>,
    pub controller_set_storage: Option<i128>,
    /// The revision of the pods that the StatefulSets make.
    pub broker_set_revision: Option<String>,
    pub controller_set_revision: Option<String>,
    pub pods: Vec<Pod>,
    pub claims: Vec<Claim>,
    /// What the cluster says of itself; `None` while nobody answers.
    pub view: Option<View>,
    /// The brokers over which partitions were spread last.
    pub balanced_over: Vec<i32>,
    /// Where replicas of a topic may be, for those that are not allowed everywhere.
    pub placements: BTreeMap<String, Placement>,
    /// The incarnation that each broker had when its process was last known to run.
    pub incarnations: BTreeMap<i32, String>,
    /// Nobody has answered for so long that nobody will.
    pub is_silent: bool,
    /// Whether the cluster was ready when its status was written last.
    pub was_ready: bool,
    /// What the PodDisruptionBudget allows now.
    pub disruptions_allowed: Option<i32>,
}

/// What the resource asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub brokers: i32,
    /// The ids of dedicated controllers; empty where the first brokers are the controllers.
    pub dedicated: Vec<i32>,
    pub stopped: bool,
    /// Whether volumes go with the KafkaCluster.
    pub deletes_volumes: bool,
    /// The revision that pods of brokers, and of dedicated controllers, should have.
    pub broker_revision: String,
    pub controller_revision: String,
    /// Bytes of the volume of a broker, and of a dedicated controller.
    pub broker_storage: i128,
    pub controller_storage: i128,
    pub max_unavailable: i32,
    pub restart_by: RestartBy,
    pub rebalance: RebalanceMode,
    pub moves_at_once: usize,
    pub throttle: Option<i64>,
    /// Configurations that brokers take while they run.
    pub dynamic_config: BTreeMap<String, String>,
    /// min.insync.replicas of topics that do not say it.
    pub min_isr: usize,
    /// The name and port that brokers should tell clients outside, by id.
    pub external: BTreeMap<i32, (Option<String>, u32)>,
}

/// A pod of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// node.id: the ordinal of the pod.
    pub id: i32,
    pub is_broker: bool,
    pub revision: Option<String>,
    /// Where its admin listener is reached, without a port.
    pub ip: Option<String>,
    pub node: Option<String>,
    pub rack: Option<String>,
    pub process: Process,
    /// Its container, which is another one after each start.
    pub container: Option<String>,
    pub is_ready: bool,
    /// How long it has not been ready.
    pub unready_for: Duration,
    /// It is being deleted.
    pub ends: bool,
    /// Kubernetes' node that it runs on is gone, or has not been heard of for a while.
    pub node_is_lost: bool,
}

/// The process of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Process {
    /// Not started yet.
    #[default]
    Waiting,
    Running,
    /// It has ended.
    Ended,
    /// It cannot start, or ends again and again; why.
    Failing(String),
}

/// A volume claim of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub id: i32,
    pub is_broker: bool,
    pub uid: String,
    /// Whether it goes with the KafkaCluster.
    pub is_owned: bool,
    /// Bytes that are asked for.
    pub size: i128,
    /// The volume behind it does not exist any more.
    pub is_lost: bool,
    pub ends: bool,
}

impl Situation {
    pub fn pod(&self, id: i32) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.id == id)
    }

    /// What the active controller itself says. Nothing that cannot be undone may rest upon less: another node may not have
    /// heard yet what was decided, and one that has just started may know a part of it only.
    pub fn authority(&self) -> Option<&View> {
        let is_active = |view: &&View| view.state.active_controller_id == Some(view.state.node_id);
        let knows_all = |view: &&View| view.state.topics == view.topics.len() as u64;
        self.view.as_ref().filter(is_active).filter(knows_all)
    }

    /// Replicas that are assigned to a broker, whether it is there or not.
    pub fn replicas_on(&self, id: i32) -> usize {
        self.partitions().filter(|(_, _, partition)| partition.replicas.contains(&id)).count()
    }

    /// Whether all partitions keep enough replicas in sync for acks=all, and a leader, without these brokers.
    pub fn is_safe_without(&self, without: &[i32]) -> bool {
        self.partitions().all(|(topic, _, partition)| {
            let stays = partition.isr.iter().filter(|id| !without.contains(id)).count();
            stays == partition.isr.len() || stays >= self.min_isr(topic).max(1)
        })
    }

    /// Whether the quorum keeps a majority of voters that serve without these nodes.
    pub fn keeps_quorum_without(&self, without: &[i32]) -> bool {
        let voters = self.view.as_ref().map_or(&[][..], |view| &view.state.voters);
        let stay = voters.iter().filter(|voter| !without.contains(&voter.id) && self.serves(voter.id)).count();
        voters.is_empty() || stay > voters.len() / 2
    }

    /// The registered brokers.
    pub fn brokers(&self) -> &[Broker] {
        self.view.as_ref().map_or(&[], |view| &view.state.brokers)
    }

    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers().iter().find(|broker| broker.id == id)
    }

    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.view.iter().flat_map(|view| view.topics.values().map(|topic| &**topic))
    }

    /// Every partition, with its topic and number.
    pub fn partitions(&self) -> impl Iterator<Item = (&Topic, usize, &TopicPartition)> {
        self.topics().flat_map(|topic| topic.partitions.iter().enumerate().map(move |(number, it)| (topic, number, it)))
    }

    /// How many replicas of a partition of the topic must be in sync for acks=all.
    pub fn min_isr(&self, topic: &Topic) -> usize {
        let said = |configs: &[crate::admin::proto::Config]| {
            let config = configs.iter().find(|config| config.name == "min.insync.replicas");
            config.and_then(|config| config.value.parse().ok())
        };
        let of_all = || self.view.as_ref().and_then(|view| said(&view.state.broker_configs));
        said(&topic.configs).or_else(of_all).unwrap_or(self.wanted.min_isr)
    }

    /// Whether replicas of a topic may be on a broker.
    pub fn may_hold(&self, topic: &str, id: i32) -> bool {
        let Some(placement) = self.placements.get(topic) else { return true };
        let rack = self.broker(id).and_then(|broker| broker.rack.as_ref());
        let by_id = placement.brokers.as_ref().is_none_or(|brokers| brokers.contains(&id));
        by_id && placement.racks.as_ref().is_none_or(|racks| rack.is_some_and(|rack| racks.contains(rack)))
    }

    /// Whether a wanted node serves: its pod is ready and, if it is a broker, the controllers hear it.
    pub fn serves(&self, id: i32) -> bool {
        let is_ready = self.pod(id).is_some_and(|pod| pod.is_ready && !pod.ends);
        is_ready && (self.wanted.dedicated.contains(&id) || self.broker(id).is_some_and(|broker| !broker.fenced))
    }

    /// All nodes that should run.
    pub fn wanted_nodes(&self) -> impl Iterator<Item = i32> {
        let brokers = if self.wanted.stopped { 0 } else { self.wanted.brokers };
        let controllers: &[i32] = if self.wanted.stopped { &[] } else { &self.wanted.dedicated };
        (0..brokers).chain(controllers.iter().copied())
    }

    /// Wanted nodes that do not serve.
    pub fn missing(&self) -> Vec<i32> {
        self.wanted_nodes().filter(|id| !self.serves(*id)).collect()
    }

    /// Brokers that are there, or hold replicas, and are not wanted.
    pub fn leaving(&self) -> BTreeSet<i32> {
        let registered = self.brokers().iter().map(|broker| broker.id);
        let sized = self.wanted.brokers..self.size.unwrap_or(0);
        registered.chain(sized).filter(|id| *id >= self.wanted.brokers && !self.wanted.dedicated.contains(id)).collect()
    }
}
