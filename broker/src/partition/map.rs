//! The partitions of this broker, found by topic name or id.

use super::partition::Partition;
use crate::protocol::Uuid;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

/// The partitions of one topic that this broker holds.
pub struct TopicPartitions {
    pub name: Arc<str>,
    pub id: Uuid,
    partitions: RwLock<Vec<Option<Arc<Partition>>>>,
}

impl TopicPartitions {
    fn new(name: Arc<str>, id: Uuid) -> TopicPartitions {
        TopicPartitions { name, id, partitions: RwLock::default() }
    }

    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.partitions.read().expect("no panic while held").get(index)?.clone()
    }

    fn insert(&self, partition: Arc<Partition>) {
        let index = usize::try_from(partition.index).expect("indexes come from the controller");
        let mut partitions = self.partitions.write().expect("no panic while held");
        if partitions.len() <= index {
            partitions.resize(index + 1, None);
        }
        partitions[index] = Some(partition);
    }

    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().expect("no panic while held").iter().flatten().cloned().collect()
    }
}

/// Partitions that have closed a segment which is not synced yet.
#[derive(Debug, Default)]
pub struct Rolled {
    partitions: Mutex<Vec<(Uuid, i32)>>,
}

impl Rolled {
    pub fn add(&self, topic_id: Uuid, partition: i32) {
        self.partitions.lock().expect("no panic while held").push((topic_id, partition));
    }
}

#[derive(Default)]
pub struct Partitions {
    topics: RwLock<Topics>,
    rolled: Arc<Rolled>,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<TopicPartitions>>,
    by_id: HashMap<Uuid, Arc<TopicPartitions>>,
}

impl Partitions {
    pub fn topic_by_name(&self, name: &str) -> Option<Arc<TopicPartitions>> {
        self.topics.read().expect("no panic while held").by_name.get(name).cloned()
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<TopicPartitions>> {
        self.topics.read().expect("no panic while held").by_id.get(&id).cloned()
    }

    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topic_by_name(topic)?.partition(index)
    }

    /// Where the partitions of this map say that they have closed a segment.
    pub fn rolled(&self) -> &Arc<Rolled> {
        &self.rolled
    }

    /// The partitions that have closed a segment since the last call.
    pub fn take_rolled(&self) -> Vec<Arc<Partition>> {
        let rolled = std::mem::take(&mut *self.rolled.partitions.lock().expect("no panic while held"));
        rolled.into_iter().filter_map(|(id, index)| self.topic_by_id(id)?.partition(index)).collect()
    }

    pub fn insert(&self, partition: Arc<Partition>) {
        let mut topics = self.topics.write().expect("no panic while held");
        let topic = topics.by_id.get(&partition.topic_id).cloned().unwrap_or_else(|| {
            let topic = Arc::new(TopicPartitions::new(partition.topic.clone(), partition.topic_id));
            topics.by_name.insert(partition.topic.clone(), topic.clone());
            topics.by_id.insert(partition.topic_id, topic.clone());
            topic
        });
        topic.insert(partition);
    }

    /// Takes a topic out, and gives the partitions it had.
    pub fn remove_topic(&self, id: Uuid) -> Vec<Arc<Partition>> {
        let mut topics = self.topics.write().expect("no panic while held");
        let Some(topic) = topics.by_id.remove(&id) else { return Vec::new() };
        // A topic of the same name may have been made anew already.
        if topics.by_name.get(&topic.name).is_some_and(|named| named.id == id) {
            topics.by_name.remove(&topic.name);
        }
        topic.all()
    }

    pub fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read().expect("no panic while held");
        topics.by_id.values().flat_map(|topic| topic.all()).collect()
    }
}
