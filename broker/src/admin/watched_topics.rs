//! What those who watch the topics are told: all of them, then what is not as they were told.
//!
//! A watcher is compared with the newest metadata when it has taken all that it was told before: one that reads slowly keeps
//! the image that it knows, which shares most of itself with the newest, and misses what was overtaken.

use super::proto::{Topic, TopicChanges, TopicPartition};
use super::state::configs;
use crate::controller::delta::ImageDelta;
use crate::controller::image::{self, PartitionRegistration, ResourceType};
use crate::controller::{ControllerClient, MetadataImage, topic_name};
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;

/// Between two changes that one watcher is told.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a message after which nothing is added: far from what gRPC's clients take, 4 MiB.
const MESSAGE_BYTES: usize = 256 << 10;

/// Tells `watcher` all topics, then their changes, until it has gone.
pub async fn tell(controller: Arc<ControllerClient>, watcher: mpsc::Sender<Result<TopicChanges, Status>>) {
    let mut images = controller.watch();
    let mut told = None;
    loop {
        let newest = images.borrow_and_update().clone();
        // Before anything is applied there is nothing to tell: no topic would look like a cluster without topics.
        if newest.applied.end_offset > 0 {
            for message in Changes::between(told.clone(), newest.clone()) {
                if watcher.send(Ok(message)).await.is_err() {
                    return;
                }
            }
            told = Some(newest);
            tokio::time::sleep(PAUSE).await;
        }
        tokio::select! {
            changed = images.changed() => if changed.is_err() {
                // The node stops: whoever asked for this ends the stream.
                return watcher.closed().await;
            },
            () = watcher.closed() => return,
        }
    }
}

/// The messages that lead from what a watcher knows to the newest metadata, made as they are taken.
struct Changes {
    /// `None`: nothing at all.
    told: Option<Arc<MetadataImage>>,
    newest: Arc<MetadataImage>,
    /// Names of topics that may be not as they were told.
    names: std::vec::IntoIter<Arc<str>>,
    ended: bool,
}

impl Changes {
    fn between(told: Option<Arc<MetadataImage>>, newest: Arc<MetadataImage>) -> Changes {
        let names: Vec<Arc<str>> = match &told {
            None => newest.topics.iter().map(|topic| topic.name.clone()).collect(),
            Some(told) => touched(ImageDelta::between(told, &newest)).into_iter().collect(),
        };
        Changes { told, newest, names: names.into_iter(), ended: false }
    }

    /// Adds what has become of a topic to `message`; gives the bytes that takes.
    fn add(&self, name: &Arc<str>, message: &mut TopicChanges) -> usize {
        let told = self.told.as_ref().and_then(|told| topic(told, name));
        match topic(&self.newest, name) {
            None if told.is_some() => {
                message.deleted.push(name.to_string());
                name.len()
            }
            Some(now) if told.as_ref() != Some(&now) => {
                let bytes = now.encoded_len();
                message.changed.push(now);
                bytes
            }
            _ => 0,
        }
    }
}

impl Iterator for Changes {
    type Item = TopicChanges;

    fn next(&mut self) -> Option<TopicChanges> {
        if self.ended {
            return None;
        }
        let metadata_end_offset = self.newest.applied.end_offset;
        let mut message = TopicChanges { metadata_end_offset, ..TopicChanges::default() };
        let mut bytes = 0;
        while bytes < MESSAGE_BYTES
            && let Some(name) = self.names.next()
        {
            bytes += self.add(&name, &mut message);
        }
        self.ended = self.names.as_slice().is_empty();
        message.complete = self.ended || self.told.is_some();
        // That there is nothing is told once.
        let says_something = self.told.is_none() || !message.changed.is_empty() || !message.deleted.is_empty();
        says_something.then_some(message)
    }
}

/// The topics that a delta concerns, by name: each once, also if it was deleted and made again.
fn touched(delta: ImageDelta) -> BTreeSet<Arc<str>> {
    let topics = delta.topics.into_values().map(|topic| topic.name);
    let configured = delta.configs.into_iter().filter(|(resource, _)| *resource == ResourceType::Topic);
    topics.chain(configured.map(|(_, name)| name)).collect()
}

fn topic(image: &MetadataImage, name: &str) -> Option<Topic> {
    let topic: &image::Topic = image.topics.by_name(name)?;
    Some(Topic {
        name: topic.name.to_string(),
        id: topic.id.to_string(),
        internal: topic_name::is_internal(name),
        partitions: topic.partitions.iter().map(|partition| topic_partition(partition)).collect(),
        configs: configs(image.configs.topic(name)),
    })
}

fn topic_partition(partition: &PartitionRegistration) -> TopicPartition {
    TopicPartition {
        replicas: partition.replicas.to_vec(),
        isr: partition.isr.to_vec(),
        leader: partition.has_leader().then_some(partition.leader),
        adding: partition.adding_replicas().to_vec(),
        removing: partition.removing_replicas().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::proto::Config;
    use crate::controller::image::ResourceType::Topic as OfTopic;
    use crate::controller::request::*;
    use crate::controller::testing::{Bench, topic as new_topic};
    use std::collections::BTreeMap;

    /// Somebody who is told, and what they know then.
    #[derive(Default)]
    struct Watcher {
        told: Option<Arc<MetadataImage>>,
        topics: BTreeMap<String, Topic>,
    }

    impl Watcher {
        /// What is told about the newest image.
        fn hear(&mut self, newest: &MetadataImage) -> Vec<TopicChanges> {
            let newest = Arc::new(newest.clone());
            let messages: Vec<_> = Changes::between(self.told.replace(newest.clone()), newest).collect();
            for message in &messages {
                message.deleted.iter().for_each(|name| drop(self.topics.remove(name)));
                self.topics.extend(message.changed.iter().map(|topic| (topic.name.clone(), topic.clone())));
            }
            messages
        }
    }

    /// The names of what is changed and deleted in the only message.
    fn names(messages: Vec<TopicChanges>) -> (Vec<String>, Vec<String>) {
        let [message] = &messages[..] else { panic!("{messages:?}") };
        assert!(message.complete);
        (message.changed.iter().map(|topic| topic.name.clone()).collect(), message.deleted.clone())
    }

    fn told(changed: &[&str], deleted: &[&str]) -> (Vec<String>, Vec<String>) {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        (owned(changed), owned(deleted))
    }

    fn set(bench: &mut Bench, topic: &str, value: &str) {
        let operation = ConfigOperation::Set(value.into());
        bench.alter(OfTopic, topic, ConfigChange::Alter(vec![("retention.ms".into(), operation)])).unwrap();
    }

    #[test]
    fn that_there_are_no_topics_is_told_once() {
        let (bench, mut watcher) = (Bench::one_broker(), Watcher::default());
        assert_eq!(names(watcher.hear(bench.image())), told(&[], &[]));
        assert_eq!(watcher.hear(bench.image()), []);
    }

    #[test]
    fn what_has_changed_is_told_and_nothing_else() {
        let (mut bench, mut watcher) = (Bench::one_broker(), Watcher::default());
        for name in ["a", "b", "c"] {
            bench.create(new_topic(name, 2, 1)).unwrap();
        }
        assert_eq!(names(watcher.hear(bench.image())), told(&["a", "b", "c"], &[]));
        set(&mut bench, "b", "5");
        assert_eq!(names(watcher.hear(bench.image())), told(&["b"], &[]), "only its configuration");
        assert_eq!(watcher.topics["b"].configs, [Config { name: "retention.ms".into(), value: "5".into() }]);
        bench.grow("c", 3, None).unwrap();
        bench.delete(TopicSelector::Name("a".into())).unwrap();
        assert_eq!(names(watcher.hear(bench.image())), told(&["c"], &["a"]));
        let [partition, ..] = &watcher.topics["c"].partitions[..] else { panic!("no partitions") };
        assert_eq!((&partition.replicas[..], &partition.isr[..], partition.leader), (&[1][..], &[1][..], Some(1)));
        bench.beat(1).unwrap();
        assert_eq!(watcher.hear(bench.image()), []);
        let epoch = bench.image().brokers[&1].epoch;
        bench.ask(Request::BrokerLost { id: 1, epoch });
        assert_eq!(names(watcher.hear(bench.image())), told(&["b", "c"], &[]));
        assert!(watcher.topics.values().flat_map(|topic| &topic.partitions).all(|one| one.leader.is_none()));
    }

    #[test]
    fn a_topic_that_is_made_again_has_changed_and_one_that_came_and_went_was_never_there() {
        let (mut bench, mut watcher) = (Bench::one_broker(), Watcher::default());
        bench.create(new_topic("again", 2, 1)).unwrap();
        set(&mut bench, "again", "5");
        watcher.hear(bench.image());
        bench.delete(TopicSelector::Name("again".into())).unwrap();
        let id = bench.create(new_topic("again", 1, 1)).unwrap().id;
        bench.create(new_topic("fleeting", 1, 1)).unwrap();
        bench.delete(TopicSelector::Name("fleeting".into())).unwrap();
        assert_eq!(names(watcher.hear(bench.image())), told(&["again"], &[]));
        let again = &watcher.topics["again"];
        assert_eq!((&again.id, again.partitions.len(), again.configs.len()), (&id.to_string(), 1, 0));
    }

    #[test]
    fn a_change_and_back_is_not_told() {
        let (mut bench, mut watcher) = (Bench::one_broker(), Watcher::default());
        bench.create(new_topic("t", 1, 1)).unwrap();
        set(&mut bench, "t", "5");
        watcher.hear(bench.image());
        set(&mut bench, "t", "6");
        set(&mut bench, "t", "5");
        assert_eq!(watcher.hear(bench.image()), []);
    }

    #[test]
    fn many_topics_are_told_in_messages_of_which_the_last_says_so() {
        const TOPICS: usize = 3000;
        let (mut bench, mut watcher) = (Bench::one_broker(), Watcher::default());
        for number in 0..TOPICS {
            bench.create(new_topic(&format!("{number:0200}"), 1, 1)).unwrap();
        }
        let messages = watcher.hear(bench.image());
        assert!(messages.len() > 1 && watcher.topics.len() == TOPICS);
        let complete: Vec<bool> = messages.iter().map(|message| message.complete).collect();
        assert_eq!(complete.iter().position(|complete| *complete), Some(messages.len() - 1));
        assert!(messages.iter().all(|message| message.encoded_len() < 2 * MESSAGE_BYTES));
        let names: Vec<_> = watcher.topics.keys().cloned().map(TopicSelector::Name).collect();
        bench.ask(Request::DeleteTopics(names));
        let messages = watcher.hear(bench.image());
        assert!(messages.len() > 1 && watcher.topics.is_empty());
        assert!(messages.iter().all(|message| message.complete), "all there is had been told before");
    }
}
