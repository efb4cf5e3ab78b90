//! Which resources mean which topic: what a change of a topic concerns is found without looking at all of them.

use crate::admin::ClusterKey;
use crate::crd::KafkaTopic;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

/// The cluster that a resource names.
pub fn cluster_of(resource: &KafkaTopic) -> ClusterKey {
    ClusterKey::new(resource.namespace().unwrap_or_default(), &resource.spec.cluster_ref.name)
}

/// The name of the topic that a resource is about.
pub fn topic_of(resource: &KafkaTopic) -> String {
    resource.spec.topic_name.clone().unwrap_or_else(|| resource.name_any())
}

/// The names of resources by the topic that they are about, for each cluster. It may name one that is gone, so whoever reads
/// it looks into the store; it never lacks one that was touched.
#[derive(Default)]
pub struct Index {
    clusters: Mutex<HashMap<ClusterKey, BTreeMap<String, BTreeSet<String>>>>,
}

impl Index {
    /// A resource was seen, or has gone.
    pub fn note(&self, resource: &KafkaTopic, is_there: bool) {
        let (cluster, topic, name) = (cluster_of(resource), topic_of(resource), resource.name_any());
        let mut clusters = self.clusters();
        let topics = clusters.entry(cluster.clone()).or_default();
        let names = topics.entry(topic.clone()).or_default();
        if is_there {
            names.insert(name);
            return;
        }
        names.remove(&name);
        if names.is_empty() {
            topics.remove(&topic);
        }
        if topics.is_empty() {
            clusters.remove(&cluster);
        }
    }

    /// The resources of one topic.
    pub fn of_topic(&self, cluster: &ClusterKey, topic: &str) -> Vec<ObjectRef<KafkaTopic>> {
        let clusters = self.clusters();
        let names = clusters.get(cluster).and_then(|topics| topics.get(topic));
        names.into_iter().flatten().map(|name| reference(cluster, name)).collect()
    }

    /// The resources of all topics of a cluster.
    pub fn of_cluster(&self, cluster: &ClusterKey) -> Vec<ObjectRef<KafkaTopic>> {
        let clusters = self.clusters();
        let topics = clusters.get(cluster);
        topics.into_iter().flat_map(BTreeMap::values).flatten().map(|name| reference(cluster, name)).collect()
    }

    /// The resource that has the topic, where several are about one: the oldest.
    pub fn owner(&self, resource: &KafkaTopic, store: &Store<KafkaTopic>) -> Option<String> {
        let (cluster, topic) = (cluster_of(resource), topic_of(resource));
        let references = self.of_topic(&cluster, &topic);
        let rivals = references.iter().filter_map(|reference| store.get(reference));
        let rivals = rivals.filter(|rival| topic_of(rival) == topic && cluster_of(rival) == cluster);
        let oldest = rivals.map(|rival| age(&rival)).min()?;
        (oldest < age(resource)).then_some(oldest.1)
    }

    fn clusters(&self) -> MutexGuard<'_, HashMap<ClusterKey, BTreeMap<String, BTreeSet<String>>>> {
        self.clusters.lock().expect("no panic while held")
    }
}

/// Orders resources by when they were made; those of one second by name.
pub fn age(resource: &KafkaTopic) -> (Option<i64>, String) {
    let created = resource.metadata.creation_timestamp.as_ref();
    (created.map(|created| created.0.as_second()), resource.name_any())
}

fn reference(cluster: &ClusterKey, name: &str) -> ObjectRef<KafkaTopic> {
    ObjectRef::new(name).within(&cluster.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::fixture::{resource, stored};

    #[test]
    fn a_change_of_a_topic_concerns_all_resources_that_are_about_it() {
        let index = Index::default();
        for made in [resource("a").about("t"), resource("b").about("t"), resource("t"), resource("other")] {
            index.note(&made.built(), true);
        }
        let names = |references: Vec<ObjectRef<KafkaTopic>>| -> Vec<String> {
            references.into_iter().map(|reference| reference.name).collect()
        };
        let cluster = ClusterKey::new("ns", "c");
        assert_eq!(names(index.of_topic(&cluster, "t")), ["a", "b", "t"]);
        assert_eq!(names(index.of_cluster(&cluster)), ["other", "a", "b", "t"]);
        assert!(index.of_topic(&ClusterKey::new("else", "c"), "t").is_empty());
        index.note(&resource("b").about("t").built(), false);
        assert_eq!(names(index.of_topic(&cluster, "t")), ["a", "t"]);
    }

    #[test]
    fn the_oldest_resource_owns_the_topic_and_the_next_takes_over() {
        let index = Index::default();
        let (old, young) = (resource("z").about("t").at(1).built(), resource("a").about("t").at(2).built());
        let twin = resource("b").about("t").at(2).built();
        for resource in [&old, &young, &twin] {
            index.note(resource, true);
        }
        let (store, mut writer) = stored([old.clone(), young.clone(), twin.clone()]);
        assert_eq!(index.owner(&old, &store), None);
        assert_eq!(index.owner(&young, &store).as_deref(), Some("z"));
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Delete(old));
        assert_eq!(index.owner(&young, &store), None);
        assert_eq!(index.owner(&twin, &store).as_deref(), Some("a"));
    }
}
