//! Partitions whose logs cannot be used for a while, with real log directories.

use super::*;
use crate::controller::records::MetadataRecord;
use crate::coordinator::GroupConfig;
use crate::log::FileCache;
use crate::partition::testing::{TOPIC, TOPIC_ID, append};
use crate::partition::{Acks, FetcherSettings, ReplicaSettings};
use crate::protocol::messages::metadata_records::{
    PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const BROKER: i32 = 1;

/// A broker with two log directories.
struct Broker {
    applier: Applier,
    image: MetadataImage,
    directories: Vec<TempDir>,
}

impl Broker {
    fn new() -> Broker {
        Broker::of((0..2).map(|_| tempfile::tempdir().unwrap()).collect())
    }

    fn of(directories: Vec<TempDir>) -> Broker {
        let paths: Vec<PathBuf> = directories.iter().map(|directory| directory.path().to_owned()).collect();
        let log_dirs = Arc::new(LogDirs::open(&paths, BROKER, Some("cluster"), FileCache::new(16)).unwrap());
        let settings = ReplicaSettings { broker_id: BROKER, ..ReplicaSettings::default() };
        let partitions = Arc::new(Partitions::new(settings));
        let found = log_dirs.partitions().unwrap().into_iter();
        let runtime = tokio::runtime::Handle::current();
        let broker = partitions.broker().clone();
        let applier = Applier {
            broker_id: BROKER,
            incarnation: Uuid::ZERO,
            superseded: watch::Sender::new(false),
            found: Mutex::new(found.map(|found| ((found.topic.clone(), found.partition), found)).collect()),
            log_dirs,
            groups: Arc::new(crate::coordinator::Groups::new(GroupConfig::default(), Arc::new(now_ms))),
            settings: Settings::default(),
            failed: Mutex::default(),
            applying: Mutex::default(),
            open_threads: 2,
            commit_timeout: Duration::from_secs(1),
            followers: Followers::new(
                FetcherSettings::default(),
                broker,
                Arc::new(|| 1),
                Arc::default(),
                runtime.clone(),
            ),
            partitions,
            runtime,
        };
        Broker { applier, image: MetadataImage::default(), directories }
    }

    /// The process ends and comes back.
    fn restart(self) -> Broker {
        let Broker { applier, directories, .. } = self;
        drop(applier);
        Broker::of(directories)
    }

    fn apply(&mut self, records: Vec<MetadataRecord<'_>>) {
        let mut delta = ImageDelta::default();
        records.iter().for_each(|record| self.image.replay(record, &mut delta).unwrap());
        self.applier.apply(&self.image, &delta);
    }

    fn partition(&self) -> Option<Arc<Partition>> {
        self.applier.partitions.topic_by_id(TOPIC_ID)?.partition(0)
    }

    /// The directories that the partition lies in.
    fn places(&self) -> Vec<PathBuf> {
        let name = format!("{TOPIC}-0");
        let places = self.directories.iter().map(|directory| directory.path().join(&name));
        places.filter(|path| path.exists()).collect()
    }
}

fn topic() -> MetadataRecord<'static> {
    TopicRecord { name: TOPIC.into(), topic_id: TOPIC_ID }.into()
}

fn partition(partition_epoch: i32) -> MetadataRecord<'static> {
    partition_record(partition_epoch).into()
}

fn partition_record(partition_epoch: i32) -> PartitionRecord {
    let (replicas, isr) = (vec![BROKER], vec![BROKER]);
    PartitionRecord {
        topic_id: TOPIC_ID,
        partition_id: 0,
        replicas,
        isr,
        leader: BROKER,
        partition_epoch,
        ..Default::default()
    }
}

/// A broker with one record, started again while its log cannot be used; and what has to go until it can.
fn broker_with_a_fault() -> (Broker, PathBuf) {
    let mut before = Broker::new();
    before.apply(vec![topic(), partition(0)]);
    append(&before.partition().unwrap(), "value", Acks::Leader).unwrap();
    // What the recovery would remove, and cannot.
    let fault = before.places()[0].join("00000000000000000007.log.deleted");
    fs::create_dir(&fault).unwrap();
    let mut broker = before.restart();
    broker.apply(vec![topic(), partition(0)]);
    assert!(broker.applier.has_failed() && broker.partition().is_none());
    (broker, fault)
}

/// As after the pod of a process that goes on was deleted by force: both hear that "this broker" leads.
#[tokio::test]
async fn a_process_whose_node_id_another_one_has_registered_with_does_nothing_in_its_name() {
    let registered = |incarnation: u8| -> MetadataRecord<'static> {
        let incarnation_id = Uuid([incarnation; 16]);
        RegisterBrokerRecord { broker_id: BROKER, incarnation_id, ..Default::default() }.into()
    };
    let leads = |broker: &Broker| append(&broker.partition().unwrap(), "value", Acks::Leader).is_ok();
    let mut broker = Broker::new();
    broker.applier.incarnation = Uuid([1; 16]);
    let follows = PartitionRecord { leader: 2, replicas: vec![1, 2], isr: vec![1, 2], ..partition_record(0) };
    broker.apply(vec![registered(1), topic(), follows.into()]);
    assert!(!leads(&broker) && !*broker.applier.superseded.borrow());
    broker.apply(vec![registered(2)]);
    assert!(*broker.applier.superseded.borrow());
    broker.apply(vec![PartitionRecord { leader_epoch: 1, ..partition_record(1) }.into()]);
    assert!(!leads(&broker));
    broker.apply(vec![registered(1), PartitionRecord { leader_epoch: 2, ..partition_record(2) }.into()]);
    assert!(!leads(&broker), "it has missed what came between");
}

#[tokio::test]
async fn a_log_that_could_not_be_used_is_opened_once() {
    let (mut broker, fault) = broker_with_a_fault();
    broker.apply(vec![partition(1)]);
    broker.applier.retry_failed();
    assert_eq!(broker.applier.failed.lock().unwrap().len(), 1);
    let failed = broker.applier.failed.lock().unwrap().clone();
    fs::remove_dir(fault).unwrap();
    broker.apply(vec![partition(2)]);
    let held = broker.partition().expect("its log can be used now");
    assert!(broker.applier.has_failed(), "it is not looked at again yet");
    broker.applier.retry_failed();
    assert!(!broker.applier.has_failed());
    broker.applier.hold_all(failed.into_values().collect());
    assert!(Arc::ptr_eq(&held, &broker.partition().unwrap()));
    assert_eq!((held.log_end().end, broker.places().len()), (1, 1));
}

#[tokio::test]
async fn a_topic_that_was_deleted_while_its_log_could_not_be_used_does_not_come_back() {
    let (mut broker, fault) = broker_with_a_fault();
    broker.apply(vec![RemoveTopicRecord { topic_id: TOPIC_ID }.into()]);
    fs::remove_dir(fault).unwrap();
    broker.applier.retry_failed();
    assert!(broker.partition().is_none() && !broker.applier.has_failed());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_retries_come_one_after_the_other() {
    let (mut broker, fault) = broker_with_a_fault();
    fs::remove_dir(fault).unwrap();
    let mut delta = ImageDelta::default();
    broker.image.replay(&partition(1), &mut delta).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| broker.applier.apply(&broker.image, &delta));
        scope.spawn(|| broker.applier.retry_failed());
    });
    assert!(!broker.applier.has_failed());
    assert_eq!((broker.partition().unwrap().log_end().end, broker.places().len()), (1, 1));
}
