//! The directories of `log.dirs`: whose they are, which partitions they hold, how far each is safe on the disk.
//!
//! - A directory belongs to one process at a time: `.lock` is held from start to end, against Apache Kafka too.
//! - The clean-shutdown marker is gone before the first log is opened, and is there again only when all were closed.
//! - A recovery point on the disk never lies above what was synced: a log that is cut below it writes a lower one first.

use super::checkpoint::{self, CheckpointError};
use super::files::{self, FileCache, lock};
use super::meta_properties::{MetaError, MetaProperties};
use super::names::{self, DELETE_DIRECTORY_SUFFIX, PARTITION_METADATA};
use super::partition_metadata;
use crate::protocol::Uuid;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const LOCK: &str = ".lock";
const META_PROPERTIES: &str = "meta.properties";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// `producer.id.expiration.ms` of Kafka.
const PRODUCER_ID_EXPIRATION_MS: i64 = 86_400_000;

/// Kafka's checkpoints of a log directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Up to where each log is synced to the disk.
    RecoveryPoint,
    LogStartOffset,
    HighWatermark,
    /// Up to where each log is compacted.
    Cleaner,
}

impl Checkpoint {
    fn file_name(self) -> &'static str {
        match self {
            Checkpoint::RecoveryPoint => "recovery-point-offset-checkpoint",
            Checkpoint::LogStartOffset => "log-start-offset-checkpoint",
            Checkpoint::HighWatermark => "replication-offset-checkpoint",
            Checkpoint::Cleaner => "cleaner-offset-checkpoint",
        }
    }
}

/// Why the log directories cannot be used. Each is one clear line for who starts the broker.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("log directory {}: in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("log directory {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Meta { path: PathBuf, source: MetaError },
    #[error("{}: {source}", path.display())]
    Checkpoint { path: PathBuf, source: CheckpointError },
    #[error("log directory {}: belongs to cluster {found}, not {expected}", path.display())]
    ClusterId { path: PathBuf, expected: String, found: String },
    #[error("log directory {}: belongs to node {found}, not {expected}", path.display())]
    NodeId { path: PathBuf, expected: i32, found: i32 },
    #[error("log directories {} and {}: both hold {name}", first.display(), second.display())]
    Twice { name: String, first: PathBuf, second: PathBuf },
}

/// A partition's topic and number.
pub type PartitionKey = (String, i32);

/// What the checkpoints of a directory say of one log; the log keeps it up to date.
#[derive(Debug, Default)]
pub struct Progress {
    pub recovery_point: AtomicI64,
    pub log_start_offset: AtomicI64,
}

/// Bytes of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    pub usable_bytes: u64,
}

/// One directory of `log.dirs`.
#[derive(Debug)]
pub struct LogDirectory {
    path: PathBuf,
    /// Its place in `log.dirs`.
    index: usize,
    id: Uuid,
    files: Arc<FileCache>,
    /// The epoch that the clean-shutdown marker named; -1 without one.
    previous_broker_epoch: i64,
    clean_shutdown: bool,
    producer_id_expiration_ms: AtomicI64,
    /// The logs that are open.
    logs: Mutex<BTreeMap<PartitionKey, Arc<Progress>>>,
    /// What the checkpoints said when the directory was opened, of logs that are not open yet.
    found: Mutex<HashMap<PartitionKey, Found>>,
    /// Logs that were deleted, of which the checkpoints on the disk may still speak.
    stale: Mutex<HashSet<PartitionKey>>,
    /// Held for as long as the directory is used.
    _lock: File,
}

/// What a directory's checkpoints say of a log that is not open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub recovery_point: i64,
    pub log_start_offset: i64,
    pub high_watermark: Option<i64>,
    pub cleaned_to: Option<i64>,
}

impl LogDirectory {
    fn open(
        path: &Path,
        index: usize,
        meta: MetaProperties,
        lock: File,
        files: Arc<FileCache>,
    ) -> Result<LogDirectory, DirectoryError> {
        let io = |source| DirectoryError::Io { path: path.to_owned(), source };
        let marker = std::fs::read_to_string(path.join(CLEAN_SHUTDOWN)).ok();
        files::remove(&path.join(CLEAN_SHUTDOWN)).map_err(io)?;
        files::sync_directory(path).map_err(io)?;
        remove_temporary_files(path).map_err(io)?;
        Ok(LogDirectory {
            path: path.to_owned(),
            index,
            id: meta.directory_id,
            files,
            previous_broker_epoch: marker.as_deref().and_then(broker_epoch_of).unwrap_or(-1),
            clean_shutdown: marker.is_some(),
            producer_id_expiration_ms: AtomicI64::new(PRODUCER_ID_EXPIRATION_MS),
            logs: Mutex::default(),
            found: Mutex::new(read_checkpoints(path)?),
            stale: Mutex::default(),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn index(&self) -> usize {
        self.index
    }

    /// The space on the directory's volume.
    pub fn space(&self) -> io::Result<Space> {
        let volume = rustix::fs::statvfs(&self.path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        Ok(Space { total_bytes: bytes(volume.f_blocks), usable_bytes: bytes(volume.f_bavail) })
    }

    /// Renames a partition's directory, so that it is neither served nor removed (KIP-866's strays).
    pub fn set_aside(&self, topic: &str, partition: i32) -> io::Result<()> {
        let name = names::stray_directory(topic, partition, rand::random());
        files::rename(&self.partition_path(topic, partition), &self.path.join(name))?;
        self.unregister(topic, partition);
        Ok(())
    }

    /// `directory.id` of `meta.properties` (KIP-858).
    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn files(&self) -> &Arc<FileCache> {
        &self.files
    }

    /// Whether the process that last used the directory closed all its logs.
    pub fn was_shut_down_cleanly(&self) -> bool {
        self.clean_shutdown
    }

    /// Milliseconds after which a producer that writes nothing is forgotten (`producer.id.expiration.ms`).
    pub fn producer_id_expiration_ms(&self) -> i64 {
        self.producer_id_expiration_ms.load(Ordering::Relaxed)
    }

    pub fn partition_path(&self, topic: &str, partition: i32) -> PathBuf {
        self.path.join(names::partition_directory(topic, partition))
    }

    /// What the checkpoints said of a log when the directory was opened.
    pub fn found(&self, topic: &str, partition: i32) -> Found {
        lock(&self.found).get(&(topic.to_owned(), partition)).copied().unwrap_or_default()
    }

    /// Lets the checkpoints speak of a log from now on.
    pub fn register(&self, topic: &str, partition: i32, progress: &Arc<Progress>) {
        lock(&self.logs).insert((topic.to_owned(), partition), progress.clone());
    }

    /// Drops a log from the checkpoints.
    pub fn unregister(&self, topic: &str, partition: i32) {
        let key = (topic.to_owned(), partition);
        lock(&self.logs).remove(&key);
        lock(&self.found).remove(&key);
        lock(&self.stale).insert(key);
    }

    /// Sees to it that no checkpoint on the disk speaks of a log that is about to be made: what was said of a deleted
    /// one of the same name would be taken for its own after a crash.
    pub fn forget(&self, topic: &str, partition: i32) -> io::Result<()> {
        let key = (topic.to_owned(), partition);
        if !lock(&self.stale).contains(&key) && !lock(&self.found).contains_key(&key) {
            return Ok(());
        }
        let _logs = lock(&self.logs);
        for which in
            [Checkpoint::RecoveryPoint, Checkpoint::LogStartOffset, Checkpoint::HighWatermark, Checkpoint::Cleaner]
        {
            let offsets = read_checkpoint(&self.path, which).map_err(io::Error::other)?;
            if offsets.iter().any(|(other, _)| *other == key) {
                self.write_checkpoint(which, offsets.into_iter().filter(|(other, _)| *other != key))?;
            }
        }
        lock(&self.stale).remove(&key);
        lock(&self.found).remove(&key);
        Ok(())
    }

    fn partitions(&self) -> io::Result<Vec<PartitionKey>> {
        let mut partitions = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            if let Some((topic, partition)) = entry.file_name().to_str().and_then(names::parse_partition_directory) {
                partitions.push((topic.to_owned(), partition));
            }
        }
        partitions.sort();
        Ok(partitions)
    }

    fn open_logs(&self) -> usize {
        lock(&self.logs).len()
    }

    /// Writes the recovery points of all logs, atomically and synced.
    pub fn checkpoint_recovery_points(&self) -> io::Result<()> {
        self.checkpoint_progress(
            Checkpoint::RecoveryPoint,
            |progress| &progress.recovery_point,
            |found| found.recovery_point,
        )
    }

    /// Writes the log start offsets of all logs, atomically and synced.
    pub fn checkpoint_log_start_offsets(&self) -> io::Result<()> {
        self.checkpoint_progress(
            Checkpoint::LogStartOffset,
            |progress| &progress.log_start_offset,
            |found| found.log_start_offset,
        )
    }

    /// Holding the lock while writing keeps an older state from being written over a newer one.
    fn checkpoint_progress(
        &self,
        which: Checkpoint,
        of_log: impl Fn(&Progress) -> &AtomicI64,
        of_found: impl Fn(&Found) -> i64,
    ) -> io::Result<()> {
        let logs = lock(&self.logs);
        let mut offsets: BTreeMap<PartitionKey, i64> =
            lock(&self.found).iter().map(|(key, found)| (key.clone(), of_found(found))).collect();
        offsets.extend(logs.iter().map(|(key, progress)| (key.clone(), of_log(progress).load(Ordering::Acquire))));
        self.write_checkpoint(which, offsets.into_iter().filter(|(_, offset)| *offset > 0))
    }

    /// Writes one of the checkpoints whole.
    pub fn write_checkpoint(
        &self,
        which: Checkpoint,
        offsets: impl Iterator<Item = (PartitionKey, i64)>,
    ) -> io::Result<()> {
        let offsets: Vec<_> = offsets.collect();
        files::replace(&self.path.join(which.file_name()), checkpoint::write_offsets(&offsets).as_bytes())
    }

    /// Removes what remains of partitions that were deleted.
    fn remove_deleted(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(DELETE_DIRECTORY_SUFFIX) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove_temporary_files(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let temporary = entry.file_name().to_string_lossy().ends_with(names::TEMPORARY_SUFFIX);
        if temporary && entry.file_type()?.is_file() {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn read_checkpoints(path: &Path) -> Result<HashMap<PartitionKey, Found>, DirectoryError> {
    let mut found: HashMap<PartitionKey, Found> = HashMap::new();
    for (key, offset) in read_checkpoint(path, Checkpoint::RecoveryPoint)? {
        found.entry(key).or_default().recovery_point = offset;
    }
    for (key, offset) in read_checkpoint(path, Checkpoint::LogStartOffset)? {
        found.entry(key).or_default().log_start_offset = offset;
    }
    for (key, offset) in read_checkpoint(path, Checkpoint::HighWatermark)? {
        found.entry(key).or_default().high_watermark = Some(offset);
    }
    for (key, offset) in read_checkpoint(path, Checkpoint::Cleaner)? {
        found.entry(key).or_default().cleaned_to = Some(offset);
    }
    Ok(found)
}

/// A checkpoint that is not there holds nothing: every log is then validated from its start.
fn read_checkpoint(path: &Path, which: Checkpoint) -> Result<Vec<(PartitionKey, i64)>, DirectoryError> {
    let path = path.join(which.file_name());
    match fs::read_to_string(&path) {
        Ok(text) => checkpoint::read_offsets(&text).map_err(|source| DirectoryError::Checkpoint { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(DirectoryError::Io { path, source }),
    }
}

/// A partition that was found in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    pub topic: String,
    pub partition: i32,
    /// From `partition.metadata`; `None` where that was never written, or was lost with the power.
    pub topic_id: Option<Uuid>,
    /// The place of its directory in `log.dirs`.
    pub directory: usize,
}

/// A deleted partition's directory, and when it is to be removed.
#[derive(Debug)]
struct Deleted {
    path: PathBuf,
    due: i64,
}

/// All directories of `log.dirs`.
#[derive(Debug)]
pub struct LogDirs {
    cluster_id: String,
    directories: Vec<Arc<LogDirectory>>,
    deleted: Mutex<Vec<Deleted>>,
}

fn broker_epoch_of(marker: &str) -> Option<i64> {
    serde_json::from_str::<serde_json::Value>(marker).ok()?.get("brokerEpoch")?.as_i64()
}

impl LogDirs {
    /// The id of the cluster that directories were formatted for, if any was. Errors: one cannot be read.
    pub fn cluster_id_of(paths: &[PathBuf]) -> Result<Option<String>, DirectoryError> {
        for path in paths {
            if let Some(meta) = read_meta(path)? {
                return Ok(Some(meta.cluster_id));
            }
        }
        Ok(None)
    }

    /// Takes the directories into use, makes those that are not there, and formats those that are new.
    /// `cluster_id` is checked where it is given; where it is not, and no directory has one, a new one is made.
    /// Errors: one clear line each, see [`DirectoryError`]; nothing stays locked.
    pub fn open(
        paths: &[PathBuf],
        node_id: i32,
        cluster_id: Option<&str>,
        files: Arc<FileCache>,
    ) -> Result<LogDirs, DirectoryError> {
        let mut locked = Vec::new();
        for path in paths {
            locked.push((path, make_and_lock(path)?, read_meta(path)?));
        }
        let known = locked.iter().find_map(|(_, _, meta)| meta.as_ref().map(|meta| meta.cluster_id.clone()));
        let cluster_id = cluster_id.map(str::to_owned).or(known).unwrap_or_else(|| random_id().to_string());
        let mut directories = Vec::new();
        for (index, (path, lock, meta)) in locked.into_iter().enumerate() {
            let meta = check_or_format(path, meta, node_id, &cluster_id)?;
            directories.push(Arc::new(LogDirectory::open(path, index, meta, lock, files.clone())?));
        }
        for directory in &directories {
            let io = |source| DirectoryError::Io { path: directory.path.clone(), source };
            directory.remove_deleted().map_err(io)?;
        }
        Ok(LogDirs { cluster_id, directories, deleted: Mutex::default() })
    }

    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// In the order of `log.dirs`.
    pub fn directories(&self) -> &[Arc<LogDirectory>] {
        &self.directories
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<LogDirectory>> {
        self.directories.iter()
    }

    /// `producer.id.expiration.ms`, for all logs of all directories.
    pub fn set_producer_id_expiration_ms(&self, expiration_ms: i64) {
        for directory in &self.directories {
            directory.producer_id_expiration_ms.store(expiration_ms, Ordering::Relaxed);
        }
    }

    /// The partitions that lie in the directories; `__cluster_metadata-0` is one of them.
    /// Errors: `Twice` for a partition in two directories; `Io`.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, DirectoryError> {
        let mut found = Vec::new();
        let mut places: HashMap<PartitionKey, usize> = HashMap::new();
        for (index, directory) in self.directories.iter().enumerate() {
            let io = |source| DirectoryError::Io { path: directory.path.clone(), source };
            for (topic, partition) in directory.partitions().map_err(io)? {
                if let Some(other) = places.insert((topic.clone(), partition), index) {
                    return Err(self.twice(&topic, partition, other, index));
                }
                let path = directory.partition_path(&topic, partition).join(PARTITION_METADATA);
                let topic_id = partition_metadata::read_file(&path).map_err(io)?;
                found.push(FoundPartition { topic, partition, topic_id, directory: index });
            }
        }
        Ok(found)
    }

    fn twice(&self, topic: &str, partition: i32, first: usize, second: usize) -> DirectoryError {
        DirectoryError::Twice {
            name: names::partition_directory(topic, partition),
            first: self.directories[first].path.clone(),
            second: self.directories[second].path.clone(),
        }
    }

    /// The directory that a new partition goes to: the one that holds the fewest.
    pub fn directory_for_new_partition(&self) -> &Arc<LogDirectory> {
        self.directories.iter().min_by_key(|directory| directory.open_logs()).expect("at least one log directory")
    }

    /// The high watermark that a partition had when it was last checkpointed.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Option<i64> {
        self.directories.iter().find_map(|directory| directory.found(topic, partition).high_watermark)
    }

    /// Writes the recovery points and log start offsets of all logs. To be called each minute
    /// (`log.flush.offset.checkpoint.interval.ms`), and at shutdown before [`LogDirs::mark_clean_shutdown`].
    /// Errors: the first, after every directory was tried.
    pub fn checkpoint(&self) -> io::Result<()> {
        let each = |directory: &Arc<LogDirectory>| {
            directory.checkpoint_recovery_points().and(directory.checkpoint_log_start_offsets())
        };
        self.directories.iter().map(each).fold(Ok(()), io::Result::and)
    }

    /// Writes the high watermarks that `high_watermark` gives for the open logs; where it gives none, the last one
    /// that was written is kept (`replica.high.watermark.checkpoint.interval.ms`).
    /// Errors: the first, after every directory was tried.
    pub fn checkpoint_high_watermarks(&self, high_watermark: impl Fn(&str, i32) -> Option<i64>) -> io::Result<()> {
        let each = |directory: &Arc<LogDirectory>| {
            let keys: Vec<PartitionKey> = lock(&directory.logs).keys().cloned().collect();
            let offsets = keys.into_iter().filter_map(|(topic, partition)| {
                let kept = || directory.found(&topic, partition).high_watermark;
                let offset = high_watermark(&topic, partition).or_else(kept)?;
                Some(((topic, partition), offset))
            });
            directory.write_checkpoint(Checkpoint::HighWatermark, offsets)
        };
        self.directories.iter().map(each).fold(Ok(()), io::Result::and)
    }

    /// Says in every directory that all its logs were closed: the next start need not validate them.
    /// `broker_epoch` is the one that the broker was registered with, -1 if it was not (KIP-966).
    pub fn mark_clean_shutdown(&self, broker_epoch: i64) -> io::Result<()> {
        let marker = format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#);
        for directory in &self.directories {
            files::replace(&directory.path.join(CLEAN_SHUTDOWN), marker.as_bytes())?;
        }
        Ok(())
    }

    /// The epoch that the broker had when it was shut down in order; -1 if it was not.
    pub fn previous_broker_epoch(&self) -> i64 {
        self.directories.iter().map(|directory| directory.previous_broker_epoch).min().unwrap_or(-1)
    }

    /// Remembers the directory of a deleted partition, to be removed at `due`.
    pub fn remove_later(&self, path: PathBuf, due: i64) {
        lock(&self.deleted).push(Deleted { path, due });
    }

    /// Removes the directories of deleted partitions whose time has come. What cannot be removed is tried again.
    /// Errors: the last one.
    pub fn maintain(&self, now: i64) -> io::Result<()> {
        let due: Vec<Deleted> = lock(&self.deleted).extract_if(.., |deleted| deleted.due <= now).collect();
        let mut result = Ok(());
        for deleted in due {
            match fs::remove_dir_all(&deleted.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    lock(&self.deleted).push(deleted);
                    result = Err(error);
                }
                _ => {}
            }
        }
        result
    }
}

/// Java's file locks are `fcntl`'s, which do not keep two users within one process apart: both kinds are taken.
fn make_and_lock(path: &Path) -> Result<File, DirectoryError> {
    let io = |source| DirectoryError::Io { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(io)?;
    let lock = File::options().read(true).write(true).create(true).truncate(false).open(path.join(LOCK)).map_err(io)?;
    let taken = flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .and_then(|()| fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive));
    match taken {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Err(DirectoryError::InUse(path.to_owned())),
        Err(error) => Err(io(error.into())),
    }
}

fn read_meta(path: &Path) -> Result<Option<MetaProperties>, DirectoryError> {
    let path = path.join(META_PROPERTIES);
    match fs::read_to_string(&path) {
        Ok(text) => MetaProperties::parse(&text).map(Some).map_err(|source| DirectoryError::Meta { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DirectoryError::Io { path, source }),
    }
}

fn check_or_format(
    path: &Path,
    meta: Option<MetaProperties>,
    node_id: i32,
    cluster_id: &str,
) -> Result<MetaProperties, DirectoryError> {
    let Some(meta) = meta else {
        let meta = MetaProperties { cluster_id: cluster_id.to_owned(), node_id, directory_id: random_id() };
        let io = |source| DirectoryError::Io { path: path.to_owned(), source };
        files::replace(&path.join(META_PROPERTIES), meta.to_text().as_bytes()).map_err(io)?;
        return Ok(meta);
    };
    if meta.cluster_id != cluster_id {
        let (path, expected, found) = (path.to_owned(), cluster_id.to_owned(), meta.cluster_id);
        return Err(DirectoryError::ClusterId { path, expected, found });
    }
    if meta.node_id != node_id {
        return Err(DirectoryError::NodeId { path: path.to_owned(), expected: node_id, found: meta.node_id });
    }
    Ok(meta)
}

fn random_id() -> Uuid {
    Uuid::from_random(rand::random())
}
