//! Brings this broker in line with the metadata: partitions made, led, configured and deleted.

use super::group_log::GroupLog;
use crate::config::{Settings, topic};
use crate::controller::delta::{ImageDelta, TopicChange, TopicDelta};
use crate::controller::image::{MetadataImage, ResourceType, Topic};
use crate::coordinator::Groups;
use crate::handlers::now_ms;
use crate::log::{FoundPartition, Log, LogConfig, LogDirs};
use crate::partition::{Partition, Partitions};
use crate::protocol::Uuid;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::{error, warn};

const GROUPS_TOPIC: &str = "__consumer_offsets";

/// The partitions that lay in the log directories when the broker started, until they are claimed.
pub type FoundPartitions = HashMap<(String, i32), FoundPartition>;

/// Applies images in their order.
pub struct Applier {
    pub broker_id: i32,
    pub log_dirs: Arc<LogDirs>,
    pub partitions: Arc<Partitions>,
    pub groups: Arc<Groups>,
    pub settings: Settings,
    pub found: Mutex<FoundPartitions>,
    /// Partitions whose logs could not be used, to be tried again.
    pub failed: Mutex<Vec<Assigned>>,
    /// Threads that open logs at the same time (`num.recovery.threads.per.data.dir`, for each directory).
    pub open_threads: usize,
    pub commit_timeout: Duration,
    /// Loads groups in the background; the controller's thread has no runtime of its own.
    pub runtime: tokio::runtime::Handle,
}

/// A partition that this broker holds from now on.
#[derive(Clone)]
pub struct Assigned {
    topic: Arc<Topic>,
    index: i32,
    leader_epoch: i32,
    config: Arc<LogConfig>,
}

impl Applier {
    /// Makes, configures and deletes what `delta` says has changed in `image`.
    pub fn apply(&self, image: &MetadataImage, delta: &ImageDelta) {
        self.delete_topics(delta);
        self.configure(image, delta);
        // Before the first group is loaded: which partition a group belongs to depends on it.
        if let Some(topic) = image.topics.by_name(GROUPS_TOPIC)
            && delta.topics.contains_key(&topic.id)
        {
            self.groups.set_partition_count(i32::try_from(topic.partitions.len()).expect("numbered by an i32"));
        }
        let assigned: Vec<Assigned> =
            delta.topics.iter().flat_map(|(id, topic)| self.assigned(image, *id, topic)).collect();
        self.hold_all(assigned);
    }

    /// The partitions of a changed topic that are this broker's to hold, and that it does not hold yet.
    fn assigned(&self, image: &MetadataImage, id: Uuid, delta: &TopicDelta) -> Vec<Assigned> {
        let Some(topic) = image.topics.by_id(id) else { return Vec::new() };
        let config = self.log_config(image, &topic.name);
        let held = self.partitions.topic_by_id(id);
        let assign = |index: &i32| {
            let partition = topic.partition(*index)?;
            let is_held = held.as_ref().is_some_and(|held| held.partition(*index).is_some());
            let ours = partition.replicas.contains(&self.broker_id) && !is_held;
            let (topic, config) = (topic.clone(), config.clone());
            ours.then_some(Assigned { topic, index: *index, leader_epoch: partition.leader_epoch, config })
        };
        delta.partitions.iter().filter_map(assign).collect()
    }

    fn log_config(&self, image: &MetadataImage, name: &str) -> Arc<LogConfig> {
        let for_all = image.configs.default_broker();
        let settings = self.settings.with_dynamic(for_all, image.configs.broker(self.broker_id));
        Arc::new(topic::resolve(&settings, image.configs.topic(name)))
    }

    /// Opens or makes the logs on several threads: after a crash each may have much to validate.
    fn hold_all(&self, assigned: Vec<Assigned>) {
        const LOGS_PER_THREAD: usize = 16;
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(assigned) = assigned.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.hold(assigned);
            }
        };
        let helpers = self.open_threads.min(assigned.len().div_ceil(LOGS_PER_THREAD)).saturating_sub(1);
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(work);
            }
            work();
        });
        for assigned in assigned.iter().filter(|assigned| &*assigned.topic.name == GROUPS_TOPIC) {
            self.coordinate(assigned);
        }
    }

    /// Tries the logs again that could not be used: there may be room now.
    pub fn retry_failed(&self) {
        let failed = std::mem::take(&mut *self.failed.lock().expect("no panic while held"));
        self.hold_all(failed);
    }

    /// Whether a log could not be used. Its directory must not be marked as cleanly shut down.
    pub fn has_failed(&self) -> bool {
        !self.failed.lock().expect("no panic while held").is_empty()
    }

    fn hold(&self, assigned: &Assigned) {
        let (name, index) = (&assigned.topic.name, assigned.index);
        match self.open_or_create(assigned) {
            Ok(log) => {
                let partition =
                    Partition::new(name.clone(), assigned.topic.id, index, log, self.partitions.rolled().clone());
                partition.lead(assigned.leader_epoch);
                self.partitions.insert(Arc::new(partition));
            }
            Err(error) => {
                error!(topic = %name, partition = index, %error, "the partition's log cannot be used, and is tried again");
                self.failed.lock().expect("no panic while held").push(assigned.clone());
            }
        }
    }

    fn open_or_create(&self, assigned: &Assigned) -> std::io::Result<Log> {
        let (name, index, id) = (&assigned.topic.name, assigned.index, assigned.topic.id);
        let key = (name.to_string(), index);
        let found = self.found.lock().expect("no panic while held").get(&key).cloned();
        if let Some(found) = found {
            let directory = &self.log_dirs.directories()[found.directory];
            if found.topic_id.is_none_or(|found| found == id) {
                let log = Log::open(directory, name, index, Some(id), assigned.config.clone(), now_ms())?;
                self.found.lock().expect("no panic while held").remove(&key);
                return Ok(log);
            }
            warn!(topic = %name, partition = index, "an older topic of the same name is set aside");
            directory.set_aside(name, index)?;
            self.found.lock().expect("no panic while held").remove(&key);
        }
        let directory = self.log_dirs.directory_for_new_partition();
        Log::create(directory, name, index, id, assigned.config.clone(), now_ms())
    }

    /// Loads the groups of a partition that this broker leads.
    fn coordinate(&self, assigned: &Assigned) {
        let Some(partition) = self.partitions.partition(GROUPS_TOPIC, assigned.index) else { return };
        let log = GroupLog { partition, commit_timeout: self.commit_timeout };
        let _runtime = self.runtime.enter();
        self.groups.become_leader(assigned.index, assigned.leader_epoch, Arc::new(log));
    }

    fn delete_topics(&self, delta: &ImageDelta) {
        let deleted = delta.topics.iter().filter(|(_, topic)| topic.change == TopicChange::Deleted);
        let mut names = Vec::new();
        for (id, topic) in deleted {
            names.push(&*topic.name);
            self.failed.lock().expect("no panic while held").retain(|failed| failed.topic.id != *id);
            for partition in self.partitions.remove_topic(*id) {
                if &*partition.topic == GROUPS_TOPIC {
                    self.groups.resign(partition.index);
                }
                if let Err(error) = partition.delete(&self.log_dirs, now_ms()) {
                    error!(topic = %partition.topic, partition = partition.index, %error, "a deleted partition stays on disk");
                }
            }
        }
        if !names.is_empty() {
            self.groups.topics_deleted(&names);
        }
    }

    fn configure(&self, image: &MetadataImage, delta: &ImageDelta) {
        let of = |wanted: ResourceType| delta.configs.iter().filter(move |(kind, _)| *kind == wanted);
        if of(ResourceType::Broker).next().is_some() {
            for partition in self.partitions.all() {
                partition.set_config(self.log_config(image, &partition.topic));
            }
            return;
        }
        for (_, name) in of(ResourceType::Topic) {
            let Some(topic) = self.partitions.topic_by_name(name) else { continue };
            let config = self.log_config(image, name);
            for partition in topic.all() {
                partition.set_config(config.clone());
            }
        }
    }

    /// Sets aside what lay in the log directories and belongs to no topic: it is neither served nor deleted.
    pub fn set_strays_aside(&self, image: &MetadataImage) {
        let is_stray = |(topic, index): &(String, i32)| image.topics.partition(topic, *index).is_none();
        let mut found = self.found.lock().expect("no panic while held");
        for ((topic, index), found) in found.extract_if(|key, _| is_stray(key)) {
            let directory = &self.log_dirs.directories()[found.directory];
            match directory.set_aside(&topic, index) {
                Ok(()) => warn!(%topic, partition = index, "a partition of no known topic is set aside"),
                Err(error) => error!(%topic, partition = index, %error, "a partition of no known topic stays in place"),
            }
        }
    }
}
