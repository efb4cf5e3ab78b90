//! The partitions of this broker, found by topic name or id.

use super::broker::{Broker, LiveBrokers, ReplicaSettings};
use super::partition::Partition;
use crate::protocol::{ErrorCode, Uuid};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

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

    fn remove(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.partitions.write().expect("no panic while held").get_mut(index)?.take()
    }

    fn is_empty(&self) -> bool {
        self.partitions.read().expect("no panic while held").iter().all(Option::is_none)
    }

    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().expect("no panic while held").iter().flatten().cloned().collect()
    }
}

/// The partitions that this broker holds.
pub struct Partitions {
    topics: RwLock<Topics>,
    broker: Arc<Broker>,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<TopicPartitions>>,
    by_id: HashMap<Uuid, Arc<TopicPartitions>>,
}

impl Topics {
    fn forget(&mut self, topic: &TopicPartitions) {
        self.by_id.remove(&topic.id);
        // A topic of the same name may have been made anew already.
        if self.by_name.get(&topic.name).is_some_and(|named| named.id == topic.id) {
            self.by_name.remove(&topic.name);
        }
    }
}

impl Partitions {
    pub fn new(settings: ReplicaSettings) -> Partitions {
        Partitions { topics: RwLock::default(), broker: Arc::new(Broker::new(settings)) }
    }

    pub fn topic_by_name(&self, name: &str) -> Option<Arc<TopicPartitions>> {
        self.topics.read().expect("no panic while held").by_name.get(name).cloned()
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<Arc<TopicPartitions>> {
        self.topics.read().expect("no panic while held").by_id.get(&id).cloned()
    }

    pub fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topic_by_name(topic)?.partition(index)
    }

    /// A partition of a topic, by name.
    /// Errors: `NotLeaderOrFollower` where it is another broker's; `UnknownTopicOrPartition`.
    pub fn find(&self, topic: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        self.partition(topic, index).ok_or_else(|| match self.broker.image().topics.partition(topic, index) {
            Some(_) => ErrorCode::NotLeaderOrFollower,
            None => ErrorCode::UnknownTopicOrPartition,
        })
    }

    /// A partition of a topic, by the topic's id.
    /// Errors: `NotLeaderOrFollower` where it is another broker's; `UnknownTopicId`, `UnknownTopicOrPartition`.
    pub fn find_by_id(&self, topic: Uuid, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let found = self.topic_by_id(topic).and_then(|topic| topic.partition(index));
        found.ok_or_else(|| match self.broker.image().topics.by_id(topic).map(|topic| topic.partition(index)) {
            Some(Some(_)) => ErrorCode::NotLeaderOrFollower,
            Some(None) => ErrorCode::UnknownTopicOrPartition,
            None => ErrorCode::UnknownTopicId,
        })
    }

    /// What the partitions of this map share.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// The partitions that have closed a segment since the last call.
    pub fn take_rolled(&self) -> Vec<Arc<Partition>> {
        self.broker.rolled.take()
    }

    /// Who is alive from now on: a follower that died holds no high watermark up any more.
    pub fn set_live(&self, live: LiveBrokers) {
        self.broker.set_live(live);
        self.tick(self.broker.now());
    }

    /// Has leaders look for followers that lag for too long. To be called twice each `replica.lag.time.max.ms`.
    pub fn tick(&self, now: i64) {
        self.all().iter().for_each(|partition| partition.tick(now));
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
        let Some(topic) = topics.by_id.get(&id).cloned() else { return Vec::new() };
        topics.forget(&topic);
        topic.all()
    }

    /// Takes one partition out: its replica here is to go.
    pub fn remove(&self, id: Uuid, index: i32) -> Option<Arc<Partition>> {
        let mut topics = self.topics.write().expect("no panic while held");
        let topic = topics.by_id.get(&id)?.clone();
        let partition = topic.remove(index);
        if topic.is_empty() {
            topics.forget(&topic);
        }
        partition
    }

    pub fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read().expect("no panic while held");
        topics.by_id.values().flat_map(|topic| topic.all()).collect()
    }
}
