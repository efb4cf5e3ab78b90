//! What clients write to topics and read from them, counted.
//!
//! - A partition finds its topic's counters once, when it is made; counting is then an addition or two for each batch.
//! - The first [`TOPICS_MAX`] topics that this broker holds at a time have counters of their own; those that come later share
//!   [`OTHER_TOPICS`]. So no count ever falls while its topic is held here, which would look like a great deal of traffic.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

/// Topics with counters of their own.
pub const TOPICS_MAX: usize = 1000;

/// The name of all other topics together.
pub const OTHER_TOPICS: &str = "other";

/// The counters of one topic, or of the others.
#[derive(Debug, Default)]
pub struct Traffic {
    produced_records: AtomicU64,
    produced_bytes: AtomicU64,
    fetched_bytes: AtomicU64,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCount {
    pub produced_records: u64,
    pub produced_bytes: u64,
    pub fetched_bytes: u64,
}

impl Traffic {
    /// A batch was appended for a producer.
    pub fn produced(&self, records: u64, bytes: u64) {
        self.produced_records.fetch_add(records, Relaxed);
        self.produced_bytes.fetch_add(bytes, Relaxed);
    }

    /// Record batches are sent to a consumer.
    pub fn fetched(&self, bytes: u64) {
        self.fetched_bytes.fetch_add(bytes, Relaxed);
    }

    fn count(&self) -> TrafficCount {
        TrafficCount {
            produced_records: self.produced_records.load(Relaxed),
            produced_bytes: self.produced_bytes.load(Relaxed),
            fetched_bytes: self.fetched_bytes.load(Relaxed),
        }
    }
}

/// The counters of all topics that this broker holds.
#[derive(Debug, Default)]
pub struct TopicTraffic {
    /// Held by the partitions of each topic.
    topics: Mutex<HashMap<Arc<str>, Weak<Traffic>>>,
    others: Arc<Traffic>,
}

impl TopicTraffic {
    /// The counters for a partition of `topic`.
    pub(super) fn of(&self, topic: &Arc<str>) -> Arc<Traffic> {
        let mut topics = self.topics.lock().expect("no panic while held");
        if let Some(traffic) = topics.get(topic).and_then(Weak::upgrade) {
            return traffic;
        }
        if topics.len() >= TOPICS_MAX {
            topics.retain(|_, traffic| traffic.strong_count() > 0);
        }
        if topics.len() >= TOPICS_MAX {
            return self.others.clone();
        }
        let traffic = Arc::<Traffic>::default();
        topics.insert(topic.clone(), Arc::downgrade(&traffic));
        traffic
    }

    /// What was counted for each topic, and for the others if there are any.
    pub fn counts(&self) -> Vec<(Arc<str>, TrafficCount)> {
        let topics = self.topics.lock().expect("no panic while held");
        let counted = |(name, traffic): (&Arc<str>, &Weak<Traffic>)| Some((name.clone(), traffic.upgrade()?.count()));
        let others = Some(self.others.count()).filter(|count| *count != TrafficCount::default());
        topics.iter().filter_map(counted).chain(others.map(|count| (OTHER_TOPICS.into(), count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(of: &TopicTraffic, topic: &str) -> Option<TrafficCount> {
        of.counts().into_iter().find(|(name, _)| &**name == topic).map(|(_, count)| count)
    }

    #[test]
    fn the_partitions_of_a_topic_share_its_counters() {
        let all = TopicTraffic::default();
        let (first, second) = (all.of(&"a".into()), all.of(&"a".into()));
        first.produced(2, 20);
        second.produced(3, 30);
        second.fetched(7);
        let expected = TrafficCount { produced_records: 5, produced_bytes: 50, fetched_bytes: 7 };
        assert_eq!(count(&all, "a"), Some(expected));
        drop(first);
        assert_eq!(count(&all, "a"), Some(expected));
        drop(second);
        assert_eq!(count(&all, "a"), None, "this broker holds it no more");
        assert_eq!(count(&all, OTHER_TOPICS), None);
    }

    #[test]
    fn topics_beyond_the_bound_share_counters_that_never_fall() {
        let all = TopicTraffic::default();
        let mut own: Vec<_> = (0..TOPICS_MAX).map(|topic| all.of(&topic.to_string().into())).collect();
        let late = all.of(&"late".into());
        late.produced(1, 10);
        assert_eq!((all.counts().len(), count(&all, "late")), (TOPICS_MAX + 1, None));
        own.pop();
        let free = all.of(&"free".into());
        free.produced(4, 40);
        assert_eq!(count(&all, "free").unwrap().produced_bytes, 40);
        drop(late);
        assert_eq!(count(&all, OTHER_TOPICS).unwrap().produced_bytes, 10);
    }
}
