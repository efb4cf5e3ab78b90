//! Brings this broker in line with the metadata: partitions made, led, followed, configured and deleted.

use super::group_log::GroupLog;
use crate::clock::now_ms;
use crate::config::topic::ThrottledReplicas;
use crate::config::{Settings, ThrottledRates, topic};
use crate::controller::delta::{ImageDelta, TopicChange, TopicDelta};
use crate::controller::image::{MetadataImage, PartitionRegistration, ResourceType, Topic};
use crate::coordinator::Groups;
use crate::log::{FoundPartition, Log, LogConfig, LogDirs};
use crate::partition::replica::RoleChange;
use crate::partition::{Followers, Partition, Partitions, Throttled, live_brokers};
use crate::protocol::Uuid;
use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, warn};

const GROUPS_TOPIC: &str = "__consumer_offsets";

/// The partitions that lay in the log directories when the broker started, until they are claimed.
pub type FoundPartitions = HashMap<(String, i32), FoundPartition>;

/// Applies images in their order.
pub struct Applier {
    pub broker_id: i32,
    /// Of this process. Once another process has registered with this node.id, what the metadata says of it is not this one's to
    /// do, ever again: two would lead the same partitions.
    pub incarnation: Uuid,
    pub superseded: watch::Sender<bool>,
    pub log_dirs: Arc<LogDirs>,
    pub partitions: Arc<Partitions>,
    pub groups: Arc<Groups>,
    pub settings: Settings,
    pub found: Mutex<FoundPartitions>,
    /// Partitions whose logs could not be used, by topic id and number, to be tried again.
    pub failed: Mutex<BTreeMap<(Uuid, i32), Assigned>>,
    /// Held by whoever brings the broker in line: images and what failed before may want the same log.
    pub applying: Mutex<()>,
    /// Threads that open logs at the same time (`num.recovery.threads.per.data.dir`, for each directory).
    pub open_threads: usize,
    pub commit_timeout: Duration,
    /// Fetches what others lead.
    pub followers: Arc<Followers>,
    /// Loads groups in the background; the controller's thread has no runtime of its own.
    pub runtime: tokio::runtime::Handle,
}

/// A partition that this broker holds from now on.
#[derive(Clone)]
pub struct Assigned {
    topic: Arc<Topic>,
    index: i32,
    config: Arc<LogConfig>,
    throttled: Throttled,
}

impl Applier {
    /// Makes, leads, follows, configures and deletes what `delta` says has changed in `image`.
    pub fn apply(&self, image: &MetadataImage, delta: &ImageDelta) {
        let _applying = self.applying.lock().expect("no panic while held");
        let own = image.brokers.get(&self.broker_id);
        if own.is_some_and(|own| own.incarnation != self.incarnation) {
            self.superseded.send_replace(true);
        }
        if *self.superseded.borrow() {
            return;
        }
        let broker = self.partitions.broker();
        broker.set_image(Arc::new(image.clone()));
        if !delta.brokers.is_empty() {
            self.partitions.set_live(live_brokers(image));
            self.followers.brokers_changed(image);
        }
        self.delete_topics(delta);
        self.configure(image, delta);
        // Before the first group is loaded: which partition a group belongs to depends on it.
        if let Some(topic) = image.topics.by_name(GROUPS_TOPIC)
            && delta.topics.contains_key(&topic.id)
        {
            self.groups.set_partition_count(i32::try_from(topic.partitions.len()).expect("numbered by an i32"));
        }
        let mut assigned = Vec::new();
        for (id, delta) in &delta.topics {
            if let Some(topic) = image.topics.by_id(*id) {
                self.change(image, topic, delta, &mut assigned);
            }
        }
        self.hold_all(assigned);
    }

    /// Takes over what is new of partitions that are held, lets go of those that are not ours any more, and adds those to
    /// `assigned` that are from now on.
    fn change(&self, image: &MetadataImage, topic: &Arc<Topic>, delta: &TopicDelta, assigned: &mut Vec<Assigned>) {
        let held = self.partitions.topic_by_id(topic.id);
        let config = LazyCell::new(|| self.log_config(image, &topic.name));
        let throttled = LazyCell::new(|| self.throttled_replicas(image, &topic.name));
        for index in &delta.partitions {
            let Some(registration) = topic.partition(*index) else { continue };
            let ours = registration.replicas.contains(&self.broker_id);
            match held.as_ref().and_then(|held| held.partition(*index)) {
                Some(partition) if ours => self.take_role(&partition, registration),
                Some(partition) => self.let_go(&partition),
                None if ours => assigned.push(Assigned {
                    topic: topic.clone(),
                    index: *index,
                    config: config.clone(),
                    throttled: throttled_in(&throttled, *index),
                }),
                None => {}
            }
        }
    }

    /// Leads or follows as `registration` says, with all that depends on it.
    fn take_role(&self, partition: &Arc<Partition>, registration: &PartitionRegistration) {
        let change = partition.apply(registration);
        match change {
            RoleChange::BeganToLead | RoleChange::LeadsOn | RoleChange::BeganToFollow => {
                self.followers.assign(partition);
            }
            // It is fetched from where it is fetched already, or not at all.
            RoleChange::Stale | RoleChange::StillLeads | RoleChange::StillFollows => {}
        }
        if &*partition.topic != GROUPS_TOPIC {
            return;
        }
        match change {
            RoleChange::BeganToLead => self.coordinate(partition, registration.leader_epoch),
            RoleChange::BeganToFollow => self.groups.resign(partition.index),
            // Nobody else has appended anything: the groups stay as they are, and their log knows the new epoch.
            RoleChange::LeadsOn => {}
            RoleChange::Stale | RoleChange::StillLeads | RoleChange::StillFollows => {}
        }
    }

    /// The replica has moved to other brokers: this one is deleted.
    fn let_go(&self, partition: &Arc<Partition>) {
        self.partitions.remove(partition.topic_id, partition.index);
        self.delete(partition);
    }

    fn delete(&self, partition: &Arc<Partition>) {
        self.followers.forget(partition);
        if &*partition.topic == GROUPS_TOPIC {
            self.groups.resign(partition.index);
        }
        if let Err(error) = partition.delete(&self.log_dirs, now_ms()) {
            error!(topic = %partition.topic, partition = partition.index, %error, "a deleted partition stays on disk");
        }
    }

    fn log_config(&self, image: &MetadataImage, name: &str) -> Arc<LogConfig> {
        Arc::new(topic::resolve(&self.settings_now(image), image.configs.topic(name)))
    }

    /// With what was changed since the start.
    fn settings_now(&self, image: &MetadataImage) -> Settings {
        let for_all = image.configs.default_broker();
        self.settings.with_dynamic(for_all, image.configs.broker(self.broker_id))
    }

    fn throttled_replicas(&self, image: &MetadataImage, name: &str) -> ThrottledReplicas {
        ThrottledReplicas::of(image.configs.topic(name), self.broker_id)
    }

    fn set_throttled_rates(&self, image: &MetadataImage) {
        let rates = ThrottledRates::from_settings(&self.settings_now(image));
        let throttles = &self.partitions.broker().throttles;
        throttles.leader.set_limit(rates.leader);
        throttles.follower.set_limit(rates.follower);
    }

    /// Whoever is held back for `partition` by a limit that was changed looks again at once.
    fn throttle_anew(&self, partition: &Arc<Partition>) {
        partition.look_again();
        self.followers.assign(partition);
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
    }

    /// Tries the logs again that could not be used: there may be room now.
    pub fn retry_failed(&self) {
        let _applying = self.applying.lock().expect("no panic while held");
        let failed = std::mem::take(&mut *self.failed.lock().expect("no panic while held"));
        self.hold_all(failed.into_values().collect());
    }

    /// Whether a log could not be used. Its directory must not be marked as cleanly shut down.
    pub fn has_failed(&self) -> bool {
        !self.failed.lock().expect("no panic while held").is_empty()
    }

    fn hold(&self, assigned: &Assigned) {
        let (name, id, index) = (&assigned.topic.name, assigned.topic.id, assigned.index);
        if self.partitions.topic_by_id(id).is_some_and(|topic| topic.partition(index).is_some()) {
            // Its log failed, and did not when it was assigned once more.
            return;
        }
        // Of one whose log failed before, the metadata may say something else by now.
        let image = self.partitions.broker().image();
        let registration = image.topics.by_id(id).and_then(|topic| topic.partition(index));
        let Some(registration) = registration.filter(|one| one.replicas.contains(&self.broker_id)) else { return };
        match self.open_or_create(assigned) {
            Ok((log, high_watermark)) => {
                let broker = self.partitions.broker();
                let partition = Partition::new(name.clone(), id, index, log, high_watermark, broker);
                partition.set_throttled(assigned.throttled);
                self.partitions.insert(partition.clone());
                self.take_role(&partition, registration);
            }
            Err(error) => {
                error!(topic = %name, partition = index, %error, "the partition's log cannot be used, and is tried again");
                self.failed.lock().expect("no panic while held").insert((id, index), assigned.clone());
            }
        }
    }

    /// The log, and the high watermark that was written down for it.
    fn open_or_create(&self, assigned: &Assigned) -> std::io::Result<(Log, Option<i64>)> {
        let (name, index, id) = (&assigned.topic.name, assigned.index, assigned.topic.id);
        let key = (name.to_string(), index);
        let found = self.found.lock().expect("no panic while held").get(&key).cloned();
        if let Some(found) = found {
            let directory = &self.log_dirs.directories()[found.directory];
            if found.topic_id.is_none_or(|found| found == id) {
                let high_watermark = self.log_dirs.high_watermark(name, index);
                let log = Log::open(directory, name, index, Some(id), assigned.config.clone(), now_ms())?;
                self.found.lock().expect("no panic while held").remove(&key);
                return Ok((log, high_watermark));
            }
            warn!(topic = %name, partition = index, "an older topic of the same name is set aside");
            directory.set_aside(name, index)?;
            self.found.lock().expect("no panic while held").remove(&key);
        }
        let directory = self.log_dirs.directory_for_new_partition();
        Ok((Log::create(directory, name, index, id, assigned.config.clone(), now_ms())?, None))
    }

    /// Loads the groups of a partition that this broker leads.
    fn coordinate(&self, partition: &Arc<Partition>, leader_epoch: i32) {
        let log = GroupLog { partition: partition.clone(), leader_epoch, commit_timeout: self.commit_timeout };
        let _runtime = self.runtime.enter();
        self.groups.become_leader(partition.index, leader_epoch, Arc::new(log));
    }

    fn delete_topics(&self, delta: &ImageDelta) {
        let deleted = delta.topics.iter().filter(|(_, topic)| topic.change == TopicChange::Deleted);
        let mut names = Vec::new();
        for (id, topic) in deleted {
            names.push(&*topic.name);
            self.failed.lock().expect("no panic while held").retain(|(failed, _), _| failed != id);
            self.partitions.remove_topic(*id).iter().for_each(|partition| self.delete(partition));
        }
        if !names.is_empty() {
            self.groups.topics_deleted(&names);
        }
    }

    fn configure(&self, image: &MetadataImage, delta: &ImageDelta) {
        let of = |wanted: ResourceType| delta.configs.iter().filter(move |(kind, _)| *kind == wanted);
        if of(ResourceType::Broker).next().is_some() {
            self.set_throttled_rates(image);
            for partition in self.partitions.all() {
                partition.set_config(self.log_config(image, &partition.topic));
                let throttled = throttled_in(&self.throttled_replicas(image, &partition.topic), partition.index);
                if partition.set_throttled(throttled) || throttled.any() {
                    self.throttle_anew(&partition);
                }
            }
            return;
        }
        for (_, name) in of(ResourceType::Topic) {
            let Some(topic) = self.partitions.topic_by_name(name) else { continue };
            let (config, throttled) = (self.log_config(image, name), self.throttled_replicas(image, name));
            for partition in topic.all() {
                partition.set_config(config.clone());
                if partition.set_throttled(throttled_in(&throttled, partition.index)) {
                    self.throttle_anew(&partition);
                }
            }
        }
    }

    /// Sets aside what lay in the log directories and is not this broker's to hold: it is neither served nor deleted.
    /// `image` must be as new as what the broker had applied when it ended.
    pub fn set_strays_aside(&self, image: &MetadataImage) {
        let is_ours = |partition: &PartitionRegistration| partition.replicas.contains(&self.broker_id);
        let is_stray = |(topic, index): &(String, i32)| !image.topics.partition(topic, *index).is_some_and(is_ours);
        let _applying = self.applying.lock().expect("no panic while held");
        // A partition whose log could not be used yet stays where it is.
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

fn throttled_in(replicas: &ThrottledReplicas, partition: i32) -> Throttled {
    Throttled { as_leader: replicas.leaders.contains(partition), as_follower: replicas.followers.contains(partition) }
}

#[cfg(test)]
#[path = "apply_test.rs"]
mod tests;
