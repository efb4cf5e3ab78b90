//! What tests of partitions share: brokers with log directories of their own, and what they send each other.

use super::*;
use crate::controller::image::PartitionRegistration;
use crate::log::{FileCache, Log, LogConfig, LogDirs, Origin};
use crate::protocol::Uuid;
use crate::protocol::batch::RecordBatch;
use crate::protocol::record::BatchBuilder;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub const TOPIC: &str = "topic";
pub const TOPIC_ID: Uuid = Uuid([7; 16]);
pub const NOW: i64 = 1_000_000;

/// In memory where there is such a place.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a temporary directory")
}

pub fn registration(leader: i32, leader_epoch: i32, partition_epoch: i32, isr: &[i32]) -> PartitionRegistration {
    PartitionRegistration {
        replicas: [1, 2, 3].into(),
        isr: isr.into(),
        directories: [Uuid::ZERO; 3].into(),
        leader,
        leader_epoch,
        partition_epoch,
        leader_recovering: false,
        reassignment: None,
        eligible: None,
    }
}

pub fn batch(value: &str) -> Vec<u8> {
    BatchBuilder::new(NOW).record(b"key", value.as_bytes()).build()
}

/// One broker with its partitions, all of the topic [`TOPIC`].
pub struct Node {
    pub id: i32,
    directory: TempDir,
    pub log_dirs: LogDirs,
    pub partitions: Arc<Partitions>,
    config: Arc<LogConfig>,
}

impl Node {
    pub fn new(id: i32, config: LogConfig) -> Node {
        let directory = directory();
        let (log_dirs, partitions) = Node::open(id, directory.path());
        Node { id, directory, log_dirs, partitions, config: Arc::new(config) }
    }

    fn open(id: i32, path: &Path) -> (LogDirs, Arc<Partitions>) {
        let log_dirs = LogDirs::open(&[path.to_owned()], id, Some("cluster"), FileCache::new(16)).unwrap();
        let settings = ReplicaSettings { broker_id: id, rack_aware: true, ..ReplicaSettings::default() };
        let partitions = Arc::new(Partitions::new(settings));
        let live = (1..=3).map(|id| (id, LiveBroker { epoch: i64::from(id) * 100, rack: Some(format!("rack {id}")) }));
        partitions.set_live(live.collect());
        (log_dirs, partitions)
    }

    /// A new partition of this number.
    pub fn create(&self, index: i32) -> Arc<Partition> {
        let directory = &self.log_dirs.directories()[0];
        let log = Log::create(directory, TOPIC, index, TOPIC_ID, self.config.clone(), NOW).unwrap();
        self.insert(index, log, None)
    }

    fn insert(&self, index: i32, log: Log, high_watermark: Option<i64>) -> Arc<Partition> {
        let partition = Partition::new(TOPIC.into(), TOPIC_ID, index, log, high_watermark, self.partitions.broker());
        self.partitions.insert(partition.clone());
        partition
    }

    pub fn partition(&self) -> Arc<Partition> {
        self.partitions.partition(TOPIC, 0).expect("it was made")
    }

    /// The process ends and comes back; what was written is there. The high watermark is what was written down of it.
    pub fn restart(&mut self) {
        let high_watermark = self.partition().high_watermark();
        self.log_dirs
            .checkpoint_high_watermarks(|_, _| Some(high_watermark))
            .expect("the high watermark can be written down");
        self.partitions = Arc::new(Partitions::new(ReplicaSettings::default()));
        let elsewhere = directory();
        self.log_dirs = LogDirs::open(&[elsewhere.path().to_owned()], self.id, None, FileCache::new(1)).unwrap();
        (self.log_dirs, self.partitions) = Node::open(self.id, self.directory.path());
        let high_watermark = self.log_dirs.high_watermark(TOPIC, 0);
        let directory = &self.log_dirs.directories()[0];
        let log = Log::open(directory, TOPIC, 0, Some(TOPIC_ID), self.config.clone(), NOW).unwrap();
        self.insert(0, log, high_watermark);
    }
}

pub fn append(partition: &Partition, value: &str, acks: Acks) -> Result<Placed, PartitionError> {
    append_as(partition, value, Append { origin: Origin::Producer, acks, leader_epoch: NO_EPOCH })
}

/// Appends for one who believes the broker to lead in `leader_epoch`.
pub fn append_in(partition: &Partition, value: &str, leader_epoch: i32) -> Result<Placed, PartitionError> {
    append_as(partition, value, Append { origin: Origin::Coordinator, acks: Acks::All, leader_epoch })
}

fn append_as(partition: &Partition, value: &str, how: Append) -> Result<Placed, PartitionError> {
    let bytes = batch(value);
    let (batch, _) = RecordBatch::split_first(&bytes).unwrap();
    partition.append(batch, how, NOW)
}

/// What the replica in broker `id` asks its leader for.
pub fn read_as_follower(leader: &Partition, id: i32, position: &Position) -> Result<Readable, PartitionError> {
    leader.read(&ReadRequest {
        offset: position.offset,
        leader_epoch: position.leader_epoch,
        last_fetched_epoch: position.last_epoch,
        bytes_max: 300,
        at_least_one: true,
        isolation: Isolation::LogEnd,
        reader: &Reader::Follower { id, broker_epoch: i64::from(id) * 100 },
    })
}

/// One fetch of `follower`, and its answer taken over.
pub fn fetch(leader: &Partition, follower: &Partition, id: i32) -> Result<Position, FollowError> {
    let position = follower.position().ok_or(FollowError::Outdated)?;
    let read = match read_as_follower(leader, id, &position) {
        Err(PartitionError::Read(crate::log::ReadError::OffsetOutOfRange { start, .. })) => {
            return follower.start_anew(&position, start, NOW);
        }
        read => read?,
    };
    if let Some((epoch, end_offset)) = read.diverging {
        return follower.cut_where_it_diverges(&position, epoch, end_offset, NOW);
    }
    let records = read.records.map(|slice| slice.read().unwrap()).unwrap_or_default();
    let progress = read.progress;
    let (high_watermark, log_start_offset) = (progress.high_watermark, progress.log_start_offset);
    follower.follow(&position, FetchedRecords { records: &records, high_watermark, log_start_offset }, NOW)
}

/// The bytes of the whole log, for comparing.
pub fn contents(partition: &Partition) -> Vec<u8> {
    let read = |log: &Log| {
        let (mut offset, mut bytes) = (log.log_start_offset(), Vec::new());
        while let Some(slice) = log.read(offset, 1 << 20, i64::MAX, true).unwrap() {
            bytes.extend(slice.read().unwrap());
            offset = slice.next_offset;
        }
        bytes
    };
    partition.log(read).expect("an open log")
}
