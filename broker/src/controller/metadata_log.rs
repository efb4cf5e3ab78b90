//! The metadata log on the disk: `__cluster_metadata-0` with its snapshots and its `quorum-state`.
//!
//! - It is read whole and checked before anything is written: a batch that is corrupt, a gap, a snapshot that misses its
//!   end name their file and position, and the node does not start.
//! - Only what a write left that did not finish is cut: it was never promised to anybody.

use super::batch_file::{BatchFile, Next};
use super::image::MetadataImage;
use super::loader::{LoadError, Loader};
use super::snapshot_files;
use crate::log::{AppendError, FlushTask, Flushed, Log, LogConfig, LogDirectory, ReadError};
use crate::protocol::batch::{BatchError, RecordBatch};
use crate::raft::quorum_state::{self, QuorumStateFile};
use crate::raft::wire::METADATA_TOPIC_ID;
use crate::raft::{BatchSpan, ElectionState, LeaderEpoch, LogView, OffsetAndEpoch, ReplicaId, SnapshotId};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::warn;

const TOPIC: &str = super::topic_name::CLUSTER_METADATA;
const PARTITION: i32 = 0;

/// Beside the log's directory: what a formatted cluster starts with.
const BOOTSTRAP: &str = "bootstrap.checkpoint";
const QUORUM_STATE: &str = "quorum-state";
/// There from the first start in this directory on, until the node has all that its quorum has committed: it may have had
/// another disk before.
const STARTED_WITH_NOTHING: &str = "started-with-nothing";

/// Why the metadata cannot be loaded. Each is one clear line for who starts the node.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: at byte {position}: {source}", path.display())]
    Corrupt { path: PathBuf, position: u64, source: LoadError },
    #[error("{}: {source}", path.display())]
    Contradiction { path: PathBuf, source: LoadError },
    #[error("{}: {reason}", path.display())]
    QuorumState { path: PathBuf, reason: String },
    #[error("{}: the log starts at offset {start}, and no snapshot reaches so far", path.display())]
    MissingSnapshot { path: PathBuf, start: i64 },
    #[error(
        "{}: the voters of the quorum were {found:?} when this node last ran, and controller.quorum.voters says \
         {configured:?}: either the configuration is wrong, or this is the directory of another cluster", path.display()
    )]
    Voters { path: PathBuf, found: Vec<i32>, configured: Vec<i32> },
}

/// The metadata log, open for appending.
pub struct MetadataLog {
    log: Log,
    directory: PathBuf,
    voters: BTreeSet<ReplicaId>,
    /// In which form `quorum-state` was found, and is written.
    state_version: i64,
}

/// What was found on the disk.
pub struct Found {
    pub log: MetadataLog,
    pub election: ElectionState,
    /// Whether the node was started with nothing, and has not been found to have all since.
    pub started_with_nothing: bool,
    pub outline: LogView,
    /// What the latest snapshot says, which is committed.
    pub snapshot: Loader,
    /// What the whole log says, of which the end may not be committed.
    pub whole: Loader,
}

impl MetadataLog {
    /// Reads all there is in `directory`, and opens the log behind it; makes it where there is none. `voters` are the
    /// quorum's.
    /// Errors: [`MetadataError`]; nothing was changed on the disk but leftovers of unfinished writes.
    pub fn open(
        directory: &Arc<LogDirectory>,
        config: LogConfig,
        voters: BTreeSet<ReplicaId>,
        now: i64,
    ) -> Result<Found, MetadataError> {
        let path = directory.partition_path(TOPIC, PARTITION);
        let io = |source| MetadataError::Io { path: path.clone(), source };
        let config = Arc::new(config);
        if !path.exists() {
            let log = Log::create(directory, TOPIC, PARTITION, METADATA_TOPIC_ID, config, now).map_err(io)?;
            let started_with_nothing = voters.len() > 1;
            if started_with_nothing {
                replace(&path.join(STARTED_WITH_NOTHING), b"").map_err(io)?;
            }
            let log = MetadataLog { log, directory: path.clone(), voters, state_version: 0 };
            let (election, outline) = (ElectionState::default(), LogView::default());
            let (snapshot, whole) = (Loader::default(), Loader::default());
            return Ok(Found { log, election, started_with_nothing, outline, snapshot, whole });
        }
        snapshot_files::remove_unfinished(&path).map_err(io)?;
        let state = read_quorum_state(&path)?;
        check_voters(&path, &state.voters, &voters)?;
        let synced_to = directory.found(TOPIC, PARTITION).recovery_point;
        let Loaded { snapshot, whole, batches } = load(&path, synced_to)?;
        let mut log = Log::open(directory, TOPIC, PARTITION, Some(METADATA_TOPIC_ID), config, now).map_err(io)?;
        let end_offset = whole.applied().end_offset;
        if log.log_end_offset() < end_offset {
            // The snapshot holds all that the log had.
            log.truncate_fully_and_start_at(end_offset, now).map_err(io)?;
        }
        let found = log.log_end_offset();
        if found != end_offset {
            let source = LoadError::Gap { expected: end_offset, found };
            return Err(MetadataError::Corrupt { path, position: 0, source });
        }
        let start = start(&path, &mut log).map_err(io)?;
        let mut outline = LogView::starting_at(start, latest(&path).map_err(io)?);
        outline.append(&behind(batches, start));
        let started_with_nothing = path.join(STARTED_WITH_NOTHING).exists();
        let log = MetadataLog { log, directory: path, voters, state_version: state.version };
        Ok(Found { log, election: state.election, started_with_nothing, outline, snapshot, whole })
    }

    /// Where the log's files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Appends whole batches, which continue the log. Not yet synced. Errors: the disk's; nothing was appended.
    pub fn append(&mut self, batches: &[u8], now: i64) -> io::Result<()> {
        let end_offset = self.log.log_end_offset();
        let appended = self.log.append_replicated(batches, now).map(drop).map_err(|error| match error {
            AppendError::Storage(error) => error,
            other => panic!("the quorum's batches continue its log: {other}"),
        });
        if appended.is_err() {
            self.log.truncate_to(end_offset, now)?;
        }
        appended
    }

    /// Cuts the log so that it ends at `end_offset`. Errors: the disk's.
    pub fn truncate(&mut self, end_offset: i64, now: i64) -> io::Result<()> {
        self.log.truncate_to(end_offset, now)
    }

    /// What must be synced so that all of the log is durable. Errors: the disk's.
    pub fn flush_task(&mut self) -> io::Result<Option<FlushTask>> {
        self.log.flush_task()
    }

    /// Takes note of how a task went.
    pub fn flushed(&mut self, result: &io::Result<Option<Flushed>>) {
        match result {
            Ok(Some(flushed)) => self.log.flushed(*flushed),
            Ok(None) => {}
            Err(_) => self.log.flush_failed(),
        }
    }

    /// Whole batches from `offset` on, below `limit`: the first in any case, more up to `bytes_max`.
    /// Errors: the disk's, also for an offset that the log does not have.
    pub fn read(&self, offset: i64, bytes_max: usize, limit: i64) -> io::Result<Vec<u8>> {
        self.log.read_bytes(offset, bytes_max, limit).map_err(|error| match error {
            ReadError::Storage(error) => error,
            other => io::Error::other(other.to_string()),
        })
    }

    /// Drops what the snapshot `start` makes useless: older snapshots, and whole segments of the log.
    pub fn forget_before(&mut self, start: SnapshotId, now: i64) -> io::Result<()> {
        snapshot_files::remove_older(&self.directory, start)?;
        self.log.advance_log_start_offset(start.offset)?;
        self.log.maintain(now, self.log.log_end_offset()).map(drop)
    }

    /// Reads a snapshot that was received whole, and lets the log begin anew at its end.
    /// Errors: the snapshot cannot be read, and has not become valid; the disk's.
    pub fn install_snapshot(&mut self, id: SnapshotId, now: i64) -> Result<Loader, MetadataError> {
        let io = |source| MetadataError::Io { path: self.directory.clone(), source };
        snapshot_files::finish(&self.directory, id).map_err(io)?;
        let loader = snapshot_files::read(&self.directory, id)?;
        self.log.truncate_fully_and_start_at(id.offset, now).map_err(io)?;
        snapshot_files::remove_older(&self.directory, id).map_err(io)?;
        self.log.flush().map_err(io)?;
        Ok(loader)
    }

    /// Remembers an election before it has any effect.
    pub fn write_election(&self, state: &ElectionState) -> io::Result<()> {
        let text = match self.state_version {
            0 => quorum_state::encode_v0(state, &self.voters),
            _ => quorum_state::encode_v1(state),
        };
        replace(&self.directory.join(QUORUM_STATE), text.as_bytes())
    }

    /// The node has all that its quorum has committed.
    pub fn has_all(&self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(STARTED_WITH_NOTHING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub fn close(&mut self) -> io::Result<()> {
        self.log.close()
    }
}

/// Where the log starts: at the end of a snapshot, since a follower that is further behind needs one.
fn start(directory: &Path, log: &mut Log) -> io::Result<OffsetAndEpoch> {
    let start = log.log_start_offset();
    if start == 0 {
        return Ok(OffsetAndEpoch::default());
    }
    let snapshot = snapshot_files::list(directory)?.into_iter().find(|snapshot| snapshot.offset >= start);
    let snapshot = snapshot.expect("a snapshot reaches the log's start, or nothing would have been loaded");
    log.advance_log_start_offset(snapshot.offset)?;
    Ok(snapshot)
}

fn latest(directory: &Path) -> io::Result<Option<SnapshotId>> {
    Ok(snapshot_files::list(directory)?.pop())
}

/// The batches behind `start`; one that lies across it counts from there.
fn behind(batches: Vec<BatchSpan>, start: OffsetAndEpoch) -> Vec<BatchSpan> {
    let behind = batches.into_iter().filter(|batch| batch.end_offset > start.offset);
    behind.map(|batch| BatchSpan { base_offset: batch.base_offset.max(start.offset), ..batch }).collect()
}

/// A quorum's log is not for other voters to go on with.
fn check_voters(
    directory: &Path,
    found: &BTreeSet<ReplicaId>,
    voters: &BTreeSet<ReplicaId>,
) -> Result<(), MetadataError> {
    if found.is_empty() || found == voters {
        return Ok(());
    }
    let ids = |voters: &BTreeSet<ReplicaId>| voters.iter().map(|voter| voter.0).collect();
    Err(MetadataError::Voters { path: directory.join(QUORUM_STATE), found: ids(found), configured: ids(voters) })
}

/// The image that a formatted directory starts with: what `bootstrap.checkpoint` says, nothing where there is none.
/// Errors: as [`MetadataLog::open`].
pub fn read_bootstrap(directory: &LogDirectory) -> Result<MetadataImage, MetadataError> {
    let path = directory.path().join(BOOTSTRAP);
    if !path.exists() {
        return Ok(MetadataImage::default());
    }
    let (loader, _) = snapshot_files::read_file(&path)?;
    Ok(loader.into_image())
}

fn read_quorum_state(directory: &Path) -> Result<QuorumStateFile, MetadataError> {
    let path = directory.join(QUORUM_STATE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            quorum_state::decode(&text).map_err(|error| MetadataError::QuorumState { path, reason: error.to_string() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(QuorumStateFile { election: ElectionState::default(), voters: BTreeSet::new(), version: 0 })
        }
        Err(source) => Err(MetadataError::Io { path, source }),
    }
}

struct Loaded {
    snapshot: Loader,
    whole: Loader,
    batches: Vec<BatchSpan>,
}

/// Reads the newest snapshot and the log behind it. What lies before `synced_to` cannot be an unfinished write.
fn load(directory: &Path, synced_to: i64) -> Result<Loaded, MetadataError> {
    let io = |source| MetadataError::Io { path: directory.to_owned(), source };
    let snapshot = match latest(directory).map_err(io)? {
        Some(id) => snapshot_files::read(directory, id)?,
        None => Loader::default(),
    };
    let (mut loader, mut batches) = (snapshot.clone(), Vec::new());
    let segments = segments(directory).map_err(io)?;
    if let Some(start) = segments.first().filter(|start| **start > loader.applied().end_offset) {
        return Err(MetadataError::MissingSnapshot { path: directory.to_owned(), start: *start });
    }
    for (index, base_offset) in segments.iter().enumerate() {
        let may_be_torn = index + 1 == segments.len();
        let path = segment_path(directory, *base_offset);
        load_segment(&path, may_be_torn.then_some(synced_to), &mut loader, &mut batches)?;
    }
    Ok(Loaded { snapshot, whole: loader, batches })
}

/// `torn_from` is the offset from which on the segment may end in an unfinished write; `None` if it may not.
fn load_segment(
    path: &Path,
    torn_from: Option<i64>,
    loader: &mut Loader,
    batches: &mut Vec<BatchSpan>,
) -> Result<(), MetadataError> {
    let io = |source| MetadataError::Io { path: path.to_owned(), source };
    let corrupt = |position, source| MetadataError::Corrupt { path: path.to_owned(), position, source };
    let mut file = BatchFile::open(path).map_err(io)?;
    loop {
        let (position, offset) = (file.position(), loader.applied().end_offset);
        match file.next_batch(offset).map_err(io)? {
            Next::Batch(batch) => {
                batches.push(span(batch));
                loader.take(batch).map_err(|source| corrupt(position, source))?;
            }
            Next::End => return Ok(()),
            Next::Torn if torn_from.is_some_and(|from| offset >= from) => {
                warn!(log = %path.display(), position, "the log ends in a write that did not finish: it is cut");
                return Ok(());
            }
            Next::Torn => return Err(corrupt(position, LoadError::Batch { offset, source: BatchError::Truncated })),
            Next::Corrupt(source) => return Err(corrupt(position, LoadError::Batch { offset, source })),
        }
    }
}

fn span(batch: RecordBatch<'_>) -> BatchSpan {
    let (base_offset, epoch) = (batch.base_offset(), LeaderEpoch(batch.leader_epoch()));
    BatchSpan { base_offset, end_offset: batch.next_offset(), epoch, size: batch.size() }
}

/// The base offsets of the log's segments, in order.
fn segments(directory: &Path) -> io::Result<Vec<i64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
        segments.extend(digits.and_then(|digits| digits.parse::<i64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

fn segment_path(directory: &Path, base_offset: i64) -> PathBuf {
    directory.join(format!("{base_offset:020}.log"))
}

/// Replaces a small file, whole and synced.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(contents)?;
    file.sync_data()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().expect("a file is in a directory"))?.sync_all()
}
