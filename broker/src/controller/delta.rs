//! What changed between two images: so that nobody walks a million partitions because of one.

use super::image::{MetadataImage, ResourceType, Topic};
use crate::protocol::Uuid;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The things that differ, by name; what they are now is in the newer image, what they were in the older.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDelta {
    /// By topic id: a topic that was deleted and created again is there twice.
    pub topics: BTreeMap<Uuid, TopicDelta>,
    /// Resources whose configuration changed.
    pub configs: BTreeSet<(ResourceType, Arc<str>)>,
    /// Brokers that were registered, unregistered, fenced or unfenced.
    pub brokers: BTreeSet<i32>,
    /// Whether the level of a feature changed.
    pub features: bool,
}

/// What changed in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDelta {
    pub name: Arc<str>,
    pub change: TopicChange,
    /// Partitions that were created or changed; of a deleted topic, those it had.
    pub partitions: BTreeSet<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicChange {
    Created,
    Altered,
    Deleted,
    /// Created and deleted between the two images: in neither of them.
    Fleeting,
}

impl ImageDelta {
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.configs.is_empty() && self.brokers.is_empty() && !self.features
    }

    /// All that `image` holds, as seen by someone who knows nothing yet.
    pub fn everything(image: &MetadataImage) -> ImageDelta {
        let mut delta = ImageDelta { features: true, ..ImageDelta::default() };
        for topic in image.topics.iter() {
            let partitions = partition_numbers(topic).collect();
            let created = TopicDelta { name: topic.name.clone(), change: TopicChange::Created, partitions };
            delta.topics.insert(topic.id, created);
        }
        for resource in ResourceType::ALL {
            delta.configs.extend(image.configs.resources(resource).map(|(name, _)| (resource, name.into())));
        }
        delta.brokers.extend(image.brokers.keys());
        delta
    }

    /// What differs between two images, whatever happened between them. Of what they share only the topics are walked.
    pub fn between(old: &MetadataImage, new: &MetadataImage) -> ImageDelta {
        let mut delta = ImageDelta { features: old.features != new.features, ..ImageDelta::default() };
        for difference in old.topics.differing(&new.topics) {
            match difference {
                (Some(before), Some(topic)) => {
                    let changed = |number: &i32| before.partition(*number) != topic.partition(*number);
                    delta.note(topic, TopicChange::Altered, partition_numbers(topic).filter(changed).collect());
                }
                (None, Some(topic)) => delta.note(topic, TopicChange::Created, partition_numbers(topic).collect()),
                (Some(before), None) => delta.note(before, TopicChange::Deleted, partition_numbers(before).collect()),
                (None, None) => unreachable!("what differs is in one of them"),
            }
        }
        for resource in ResourceType::ALL {
            let differing = old.configs.differing(&new.configs, resource);
            delta.configs.extend(differing.into_iter().map(|name| (resource, name)));
        }
        let brokers = old.brokers.keys().chain(new.brokers.keys());
        delta.brokers.extend(brokers.filter(|id| old.brokers.get(id) != new.brokers.get(id)));
        delta
    }

    fn note(&mut self, topic: &Topic, change: TopicChange, partitions: BTreeSet<i32>) {
        self.topics.insert(topic.id, TopicDelta { name: topic.name.clone(), change, partitions });
    }

    /// Adds what changed next.
    pub fn merge(&mut self, next: ImageDelta) {
        for (id, topic) in next.topics {
            match self.topics.entry(id) {
                Entry::Vacant(entry) => drop(entry.insert(topic)),
                Entry::Occupied(mut entry) => entry.get_mut().merge(topic),
            }
        }
        self.configs.extend(next.configs);
        self.brokers.extend(next.brokers);
        self.features |= next.features;
    }

    pub(super) fn topic_created(&mut self, id: Uuid, name: Arc<str>) {
        let created = TopicDelta { name, change: TopicChange::Created, partitions: BTreeSet::new() };
        self.topics.insert(id, created);
    }

    pub(super) fn partition_changed(&mut self, id: Uuid, name: Arc<str>, partition: i32) {
        let altered = || TopicDelta { name, change: TopicChange::Altered, partitions: BTreeSet::new() };
        self.topics.entry(id).or_insert_with(altered).partitions.insert(partition);
    }

    pub(super) fn topic_deleted(&mut self, topic: &Topic) {
        let created = self.topics.get(&topic.id).is_some_and(|delta| delta.change == TopicChange::Created);
        let change = if created { TopicChange::Fleeting } else { TopicChange::Deleted };
        let partitions = partition_numbers(topic).collect();
        self.topics.insert(topic.id, TopicDelta { name: topic.name.clone(), change, partitions });
    }
}

impl TopicDelta {
    fn merge(&mut self, next: TopicDelta) {
        self.change = match (self.change, next.change) {
            (TopicChange::Created, TopicChange::Deleted) => TopicChange::Fleeting,
            (TopicChange::Created, _) => TopicChange::Created,
            (_, change) => change,
        };
        self.partitions.extend(next.partitions);
    }
}

fn partition_numbers(topic: &Topic) -> impl Iterator<Item = i32> {
    0..i32::try_from(topic.partitions.len()).expect("partitions are numbered by an i32")
}
