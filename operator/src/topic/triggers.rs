//! What has to be reconciled when something changes.

use super::index::{cluster_of, topic_of};
use super::steps::Topics;
use super::verdict::condition;
use crate::admin::{Change, ClusterKey};
use crate::crd::{ConditionStatus, KafkaTopic};
use crate::metrics::TopicsOf;
use crate::watching::received;
use futures::Stream;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Finds the resources that a change concerns.
pub struct Triggers {
    topics: Arc<Topics>,
    rivals: UnboundedSender<ObjectRef<KafkaTopic>>,
    /// What topics were told last of their cluster.
    clusters: Mutex<HashMap<ClusterKey, Outline>>,
    /// Whether a resource was touched since topics were counted.
    touched: AtomicBool,
}

/// What topics care for of a cluster: whether and how it is to be served, and who can take replicas. All else of it changes
/// often, and for no topic.
#[derive(PartialEq)]
struct Outline {
    /// Of the KafkaCluster: uid, generation, whether it is being deleted.
    resource: Option<(Option<String>, Option<i64>, bool)>,
    has_controller: bool,
    /// Each with whether it can take replicas, and its rack.
    brokers: BTreeMap<i32, (bool, Option<String>)>,
    configs: Vec<(String, String)>,
}

impl Triggers {
    /// Together with the resources that are concerned by what was touched.
    pub fn new(topics: Arc<Topics>) -> (Triggers, impl Stream<Item = ObjectRef<KafkaTopic>> + Send + 'static) {
        let (rivals, concerned) = unbounded_channel();
        let triggers = Triggers { topics, rivals, clusters: Mutex::default(), touched: AtomicBool::new(true) };
        (triggers, received(concerned))
    }

    /// A resource was applied or deleted: others of its topic may have to take over, or to let go.
    pub fn touched(&self, resource: &KafkaTopic) {
        let reference = ObjectRef::from_obj(resource);
        let current = self.topics.context.topics.get(&reference);
        self.topics.note(resource, current.is_some_and(|current| topic_of(&current) == topic_of(resource)));
        for rival in self.topics.index.of_topic(&cluster_of(resource), &topic_of(resource)) {
            if rival != reference {
                self.rivals.send(rival).ok();
            }
        }
        self.touched.store(true, Ordering::Relaxed);
    }

    /// The resources that a change of a cluster concerns.
    pub fn concerned(&self, change: &Change) -> Vec<ObjectRef<KafkaTopic>> {
        let index = &self.topics.index;
        match change {
            Change::Topics(key, names) => names.iter().flat_map(|name| index.of_topic(key, name)).collect(),
            Change::AllTopics(key) => index.of_cluster(key),
            Change::Cluster(key) if self.is_news(key) => index.of_cluster(key),
            Change::Cluster(_) => Vec::new(),
        }
    }

    /// Whether a cluster is not as topics have it in mind.
    fn is_news(&self, key: &ClusterKey) -> bool {
        let outline = self.outline(key);
        let mut clusters = self.clusters.lock().expect("no panic while held");
        let is_news = clusters.get(key) != Some(&outline);
        if outline.resource.is_some() {
            clusters.insert(key.clone(), outline);
        } else {
            clusters.remove(key);
            self.topics.forget_cluster(key);
        }
        is_news
    }

    fn outline(&self, key: &ClusterKey) -> Outline {
        let context = &self.topics.context;
        let resource = context.clusters.get(&key.object_ref()).map(|cluster| {
            let metadata = &cluster.metadata;
            (metadata.uid.clone(), metadata.generation, metadata.deletion_timestamp.is_some())
        });
        let state = context.links.of(key).and_then(|link| link.last()).map(|view| view.state);
        let Some(state) = state else {
            return Outline { resource, has_controller: false, brokers: BTreeMap::new(), configs: Vec::new() };
        };
        let brokers = state.brokers.iter().map(|broker| {
            let takes_replicas = !broker.fenced && !broker.in_controlled_shutdown;
            (broker.id, (takes_replicas, broker.rack.clone()))
        });
        Outline {
            resource,
            has_controller: state.active_controller_id.is_some(),
            brokers: brokers.collect(),
            configs: state.broker_configs.iter().map(|one| (one.name.clone(), one.value.clone())).collect(),
        }
    }

    /// Counts how many topics are ready, if any was touched since.
    pub fn count(&self) {
        if !self.touched.swap(false, Ordering::Relaxed) {
            return;
        }
        let metrics = &self.topics.context.metrics;
        let resources = self.topics.context.topics.state();
        let mut counts: BTreeMap<TopicsOf, usize> = BTreeMap::new();
        for resource in &resources {
            let ready = condition(resource, "Ready").is_some_and(|ready| ready.status == ConditionStatus::True);
            let namespace = resource.namespace().unwrap_or_default();
            let cluster = resource.spec.cluster_ref.name.clone();
            *counts.entry(TopicsOf { namespace, cluster, ready }).or_default() += 1;
        }
        metrics.topics(&self.topics.context.scope, counts);
    }
}
