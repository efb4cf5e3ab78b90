//! What the tests of this room are made of.

use crate::admin::View;
use crate::admin::proto::{Broker, ClusterState, Config, Topic, TopicPartition};
use crate::crd::{ClusterRef, KafkaCluster, KafkaTopic, KafkaTopicSpec};
use crate::topic::observe::{Live, Observed, Sight};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use std::sync::Arc;

/// A resource of namespace `ns` and cluster `c`.
pub struct Made(KafkaTopic);

pub fn resource(name: &str) -> Made {
    let spec = KafkaTopicSpec { cluster_ref: ClusterRef { name: "c".into() }, adopt: true, ..Default::default() };
    let mut resource = KafkaTopic::new(name, spec);
    resource.metadata.namespace = Some("ns".into());
    resource.metadata.uid = Some(format!("uid-of-{name}"));
    resource.metadata.generation = Some(1);
    resource.metadata.creation_timestamp = Some(time(1));
    Made(resource)
}

impl Made {
    pub fn about(self, topic: &str) -> Made {
        self.with(|resource| resource.spec.topic_name = Some(topic.into()))
    }

    pub fn at(self, second: i64) -> Made {
        self.with(|resource| resource.metadata.creation_timestamp = Some(time(second)))
    }

    pub fn sized(self, partitions: i32, replication_factor: i32) -> Made {
        self.with(|resource| {
            resource.spec.partitions = Some(partitions);
            resource.spec.replication_factor = Some(replication_factor);
        })
    }

    pub fn set(self, name: &str, value: &str) -> Made {
        self.with(|resource| drop(resource.spec.config.insert(name.into(), value.into())))
    }

    pub fn with(mut self, change: impl FnOnce(&mut KafkaTopic)) -> Made {
        change(&mut self.0);
        self
    }

    pub fn built(self) -> KafkaTopic {
        self.0
    }
}

pub fn time(second: i64) -> Time {
    Time(Timestamp::from_second(second).expect("a time"))
}

/// A topic with these replicas, whose id is `id-of-` and its name.
pub fn topic(name: &str, replicas: &[&[i32]]) -> Topic {
    let partition = |replicas: &&[i32]| TopicPartition {
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: replicas.first().copied(),
        ..TopicPartition::default()
    };
    Topic {
        name: name.into(),
        id: format!("id-of-{name}"),
        internal: false,
        partitions: replicas.iter().map(partition).collect(),
        configs: Vec::new(),
    }
}

pub fn configured(mut topic: Topic, configs: &[(&str, &str)]) -> Topic {
    let config = |(name, value): &(&str, &str)| Config { name: (*name).into(), value: (*value).into() };
    topic.configs = configs.iter().map(config).collect();
    topic
}

pub fn cluster(brokers: i32) -> KafkaCluster {
    let mut cluster = KafkaCluster::new("c", Default::default());
    cluster.metadata.namespace = Some("ns".into());
    cluster.metadata.uid = Some("uid-of-c".into());
    cluster.metadata.generation = Some(1);
    cluster.spec.brokers.replicas = brokers;
    cluster
}

/// What is seen of a resource, of a cluster of as many brokers (in racks `r0`, `r1`, ...), and of these topics.
pub fn seen(resource: KafkaTopic, brokers: i32, topics: impl IntoIterator<Item = Topic>) -> Observed {
    let broker = |id| Broker { id, rack: Some(format!("r{id}")), ..Broker::default() };
    let state = ClusterState {
        active_controller_id: Some(0),
        brokers: (0..brokers).map(broker).collect(),
        ..ClusterState::default()
    };
    let topics = topics.into_iter().map(|topic| (topic.name.clone(), Arc::new(topic))).collect();
    let view = View { state: state.into(), topics, is_live: true };
    let topic = view.topics.get(&crate::topic::index::topic_of(&resource)).cloned();
    let live = Live { cluster: Arc::new(cluster(brokers)), view, topic };
    Observed { resource: Arc::new(resource), owner: None, cluster: Sight::Live(live) }
}

/// A store that shows these.
pub fn stored<K>(all: impl IntoIterator<Item = K>) -> (Store<K>, reflector::store::Writer<K>)
where
    K: reflector::Lookup<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    for one in all {
        writer.apply_watcher_event(&Event::InitApply(one));
    }
    writer.apply_watcher_event(&Event::InitDone);
    (store, writer)
}
