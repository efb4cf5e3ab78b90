//! The metadata log on the disk: `__cluster_metadata-0` with its snapshots and its `quorum-state`.
//!
//! - It is read whole and checked before anything is written: a batch that is corrupt, a gap, a snapshot that misses its
//!   end name their file and position, and the node does not start.
//! - Only what a write left that did not finish is cut: it was never answered.

use super::batch_file::{BatchFile, Next};
use super::image::MetadataImage;
use super::loader::{LoadError, Loader};
use super::quorum_state::QuorumState;
use super::snapshot_files::{self, SnapshotId};
use crate::log::{AppendError, Log, LogConfig, LogDirectory};
use crate::protocol::Uuid;
use crate::protocol::batch::BatchError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::warn;

const TOPIC: &str = super::topic_name::CLUSTER_METADATA;
const PARTITION: i32 = 0;
/// The id of the topic that the metadata log would be (`org.apache.kafka.common.Uuid.METADATA_TOPIC_ID`).
const TOPIC_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Beside the log's directory: what a formatted cluster starts with.
const BOOTSTRAP: &str = "bootstrap.checkpoint";
const QUORUM_STATE: &str = "quorum-state";

/// Why the metadata cannot be loaded. Each is one clear line for who starts the node.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: at byte {position}: {source}", path.display())]
    Corrupt { path: PathBuf, position: u64, source: LoadError },
    #[error("{}: {reason}", path.display())]
    QuorumState { path: PathBuf, reason: String },
    #[error("{}: the log starts at offset {start}, and no snapshot reaches so far", path.display())]
    MissingSnapshot { path: PathBuf, start: i64 },
    #[error("{}: the quorum's voters are {voters:?}, where node {node_id} is to be the only one", path.display())]
    Voters { path: PathBuf, voters: Vec<i32>, node_id: i32 },
}

/// The metadata log, open for appending.
pub struct MetadataLog {
    log: Log,
    directory: PathBuf,
    /// Where the log must end before anything more is appended: what lies behind was refused, and could not be cut.
    refused_from: Option<i64>,
}

/// What was found on the disk.
pub struct Found {
    pub log: MetadataLog,
    pub loader: Loader,
    pub quorum_state: QuorumState,
}

impl MetadataLog {
    /// Reads all there is in `directory`, and opens the log behind it; makes it where there is none.
    /// Errors: [`MetadataError`]; nothing was changed on the disk but leftovers of unfinished writes.
    pub fn open(directory: &Arc<LogDirectory>, config: LogConfig, now: i64) -> Result<Found, MetadataError> {
        let path = directory.partition_path(TOPIC, PARTITION);
        let io = |source| MetadataError::Io { path: path.clone(), source };
        let config = Arc::new(config);
        if !path.exists() {
            let log = Log::create(directory, TOPIC, PARTITION, TOPIC_ID, config, now).map_err(io)?;
            let log = MetadataLog { log, directory: path, refused_from: None };
            return Ok(Found { log, loader: Loader::default(), quorum_state: QuorumState::none() });
        }
        let quorum_state = read_quorum_state(&path)?;
        let synced_to = directory.found(TOPIC, PARTITION).recovery_point;
        let loader = load(&path, synced_to)?;
        let mut log = Log::open(directory, TOPIC, PARTITION, Some(TOPIC_ID), config, now).map_err(io)?;
        let end_offset = loader.applied().end_offset;
        if log.log_end_offset() < end_offset {
            // The snapshot holds all that the log had.
            log.truncate_fully_and_start_at(end_offset, now).map_err(io)?;
        }
        let found = log.log_end_offset();
        if found != end_offset {
            let source = LoadError::Gap { expected: end_offset, found };
            return Err(MetadataError::Corrupt { path, position: 0, source });
        }
        Ok(Found { log: MetadataLog { log, directory: path, refused_from: None }, loader, quorum_state })
    }

    /// Where the log's files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Appends whole batches, which continue the log, and waits until they are on the disk.
    /// Errors: the batches are not in the log, or will be cut from it before anything else is appended.
    pub fn append(&mut self, batches: &[u8], now: i64) -> io::Result<()> {
        self.cut_refused(now)?;
        let end_offset = self.log.log_end_offset();
        let appended = self.log.append_replicated(batches, now).map_err(|error| match error {
            AppendError::Storage(error) => error,
            other => panic!("the controller's batches continue its log: {other}"),
        });
        let result = appended.and_then(|_| self.log.flush());
        if result.is_err() {
            self.refused_from = Some(end_offset);
            // If this fails too, the next append tries again before it writes.
            self.cut_refused(now).ok();
        }
        result
    }

    fn cut_refused(&mut self, now: i64) -> io::Result<()> {
        if let Some(end_offset) = self.refused_from {
            self.log.truncate_to(end_offset, now)?;
            self.log.flush()?;
            self.refused_from = None;
        }
        Ok(())
    }

    /// Drops what a snapshot makes useless: older snapshots, and whole segments of the log.
    pub fn forget_before(&mut self, snapshot: SnapshotId, now: i64) -> io::Result<()> {
        snapshot_files::remove_older(&self.directory, snapshot)?;
        self.log.advance_log_start_offset(snapshot.end_offset)?;
        self.log.maintain(now, self.log.log_end_offset()).map(drop)
    }

    /// Remembers an election before it has any effect.
    pub fn write_quorum_state(&self, state: &QuorumState) -> io::Result<()> {
        replace(&self.directory.join(QUORUM_STATE), state.to_text().as_bytes())
    }

    pub fn close(&mut self) -> io::Result<()> {
        self.log.close()
    }
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

fn read_quorum_state(directory: &Path) -> Result<QuorumState, MetadataError> {
    let path = directory.join(QUORUM_STATE);
    match fs::read_to_string(&path) {
        Ok(text) => QuorumState::parse(&text).map_err(|reason| MetadataError::QuorumState { path, reason }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(QuorumState::none()),
        Err(source) => Err(MetadataError::Io { path, source }),
    }
}

/// Reads the newest snapshot and the log behind it. What lies before `synced_to` cannot be an unfinished write.
fn load(directory: &Path, synced_to: i64) -> Result<Loader, MetadataError> {
    let io = |source| MetadataError::Io { path: directory.to_owned(), source };
    let snapshot = snapshot_files::list(directory).map_err(io)?.pop();
    let mut loader = match snapshot {
        Some(id) => snapshot_files::read(directory, id)?,
        None => Loader::default(),
    };
    let segments = segments(directory).map_err(io)?;
    let needed = segments.partition_point(|base_offset| *base_offset <= loader.applied().end_offset).saturating_sub(1);
    if let Some(start) = segments.first().filter(|start| **start > loader.applied().end_offset) {
        return Err(MetadataError::MissingSnapshot { path: directory.to_owned(), start: *start });
    }
    for (index, base_offset) in segments.iter().enumerate().skip(needed) {
        let may_be_torn = index + 1 == segments.len();
        let path = segment_path(directory, *base_offset);
        load_segment(&path, may_be_torn.then_some(synced_to), &mut loader)?;
    }
    Ok(loader)
}

/// `torn_from` is the offset from which on the segment may end in an unfinished write; `None` if it may not.
fn load_segment(path: &Path, torn_from: Option<i64>, loader: &mut Loader) -> Result<(), MetadataError> {
    let io = |source| MetadataError::Io { path: path.to_owned(), source };
    let corrupt = |position, source| MetadataError::Corrupt { path: path.to_owned(), position, source };
    let mut file = BatchFile::open(path).map_err(io)?;
    loop {
        let (position, offset) = (file.position(), loader.applied().end_offset);
        match file.next_batch(offset).map_err(io)? {
            Next::Batch(batch) => loader.take(batch).map_err(|source| corrupt(position, source))?,
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
