//! The log of one partition: its segments, from the oldest to the one that is appended to.

use super::LogConfig;
use super::directory::{LogDirectory, LogDirs, Progress};
use super::epochs::LeaderEpochs;
use super::files::{self, FileCache};
use super::flush::{SmallFiles, Snapshot};
use super::names::{self, PARTITION_METADATA};
use super::partition_metadata;
use super::producer_state::{ProducerDescription, ProducerState};
use super::recent::RecentBatches;
use super::segment::Segment;
use super::transaction_index::AbortedTransaction;
use crate::protocol::Uuid;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// One partition's log. The caller sees to it that one thread at a time changes it.
#[derive(Debug)]
pub struct Log {
    pub(super) directory: Arc<LogDirectory>,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) topic_id: Option<Uuid>,
    pub(super) path: Arc<Path>,
    pub(super) config: Arc<LogConfig>,
    /// By base offset; the last is the active one. Never empty.
    pub(super) segments: Vec<Segment>,
    pub(super) log_end_offset: i64,
    pub(super) progress: Arc<Progress>,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: ProducerState,
    pub(super) recent: RecentBatches,
    /// The highest high watermark that was asked about: transactions that ended below it are replicated.
    pub(super) high_watermark_seen: AtomicI64,
    pub(super) state: WriteState,
    pub(super) removed: Vec<Removed>,
    /// Where the log ended when it was last maintained: a log that has not grown since is idle.
    pub(super) end_when_maintained: i64,
}

/// What stands between the log's files and the disk.
#[derive(Debug)]
pub(super) struct WriteState {
    /// A write failed and what it left could not be cut: nothing is appended until it is.
    pub torn: bool,
    /// Names of files in the directory, and of the directory itself.
    pub names: Unsaved,
    /// The first closed segment whose indexes are not synced; `i64::MAX` if all are.
    pub indexes_unsynced_from: i64,
    /// Leader epochs that `leader-epoch-checkpoint` lacks.
    pub epochs: Unsaved,
    /// A sync failed: what lies behind the recovery point is written again before it is synced.
    pub sync_failed: bool,
    /// A truncation began and did not end: nothing is appended until one does.
    pub cutting: bool,
    /// The log was closed or deleted: nothing is appended any more.
    pub closed: bool,
    /// When the first of the records that are not synced was appended.
    pub dirty_since: Option<i64>,
    /// Counts truncations, so that a sync that ran meanwhile does not vouch for what was cut.
    pub generation: u64,
    pub small_files: Arc<SmallFiles>,
    /// The snapshot of the producers where the active segment begins, as long as it is not on the disk.
    pub snapshot: Option<Snapshot>,
    /// The offset of the last snapshot that is.
    pub snapshot_offset: i64,
    /// Bytes of the active segment up to where recovery may begin.
    pub checkpointed_size: u64,
}

impl Default for WriteState {
    fn default() -> Self {
        WriteState {
            torn: false,
            names: Unsaved::default(),
            indexes_unsynced_from: i64::MAX,
            epochs: Unsaved::default(),
            sync_failed: false,
            cutting: false,
            closed: false,
            dirty_since: None,
            generation: 0,
            small_files: Arc::default(),
            snapshot: None,
            snapshot_offset: 0,
            checkpointed_size: 0,
        }
    }
}

/// Counts changes, and up to which of them all is on the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unsaved {
    changes: u64,
    saved: u64,
}

impl Unsaved {
    pub fn changed(&mut self) {
        self.changes += 1;
    }

    pub fn changed_if(&mut self, changed: bool) {
        self.changes += u64::from(changed);
    }

    pub fn is_unsaved(&self) -> bool {
        self.saved < self.changes
    }

    /// The changes so far: what a save that begins now will cover.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub fn saved(&mut self, changes: u64) {
        self.saved = self.saved.max(changes);
    }
}

/// Files that left the log and wait for their removal.
#[derive(Debug)]
pub(super) struct Removed {
    pub due: i64,
    pub paths: Vec<PathBuf>,
}

impl Log {
    /// Makes the directory of a new partition. Its other files are made when something is appended.
    /// Errors: `AlreadyExists` if there is such a directory; those of the system.
    pub fn create(
        directory: &Arc<LogDirectory>,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
        now: i64,
    ) -> io::Result<Log> {
        let path: Arc<Path> = Arc::from(directory.partition_path(topic, partition));
        directory.forget(topic, partition)?;
        std::fs::create_dir(&path)?;
        let mut log = Log::empty(directory, topic, partition, path, config, now);
        if let Err(error) = log.set_topic_id(topic_id) {
            // The directory is empty but for what could not be written; the error of that is the one that matters.
            std::fs::remove_dir_all(&log.path).ok();
            return Err(error);
        }
        directory.register(topic, partition, &log.progress);
        Ok(log)
    }

    pub(super) fn empty(
        directory: &Arc<LogDirectory>,
        topic: &str,
        partition: i32,
        path: Arc<Path>,
        config: Arc<LogConfig>,
        now: i64,
    ) -> Log {
        let segment = Segment::empty(directory.files(), &path, 0, now);
        Log {
            directory: directory.clone(),
            topic: topic.to_owned(),
            partition,
            topic_id: None,
            path,
            config,
            segments: vec![segment],
            log_end_offset: 0,
            progress: Arc::default(),
            epochs: LeaderEpochs::default(),
            producers: ProducerState::default(),
            recent: RecentBatches::default(),
            high_watermark_seen: AtomicI64::new(0),
            state: WriteState::default(),
            removed: Vec::new(),
            end_when_maintained: -1,
        }
    }

    /// Writes `partition.metadata`, if it does not name this topic yet.
    pub(super) fn set_topic_id(&mut self, topic_id: Uuid) -> io::Result<()> {
        if self.topic_id != Some(topic_id) {
            let text = partition_metadata::to_text(topic_id);
            files::replace_unsynced(&self.path.join(PARTITION_METADATA), text.as_bytes())?;
            self.topic_id = Some(topic_id);
            self.state.names.changed();
        }
        Ok(())
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn partition(&self) -> i32 {
        self.partition
    }

    pub fn topic_id(&self) -> Option<Uuid> {
        self.topic_id
    }

    pub fn directory(&self) -> &Arc<LogDirectory> {
        &self.directory
    }

    /// The place of its directory in `log.dirs`.
    pub fn directory_index(&self) -> usize {
        self.directory.index()
    }

    /// The directory of the partition.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// What is appended, rolled and removed from now on follows `config`.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The first offset that can be read.
    pub fn log_start_offset(&self) -> i64 {
        self.progress.log_start_offset.load(Ordering::Acquire)
    }

    /// The offset that the next record gets.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    /// The offset up to which the log is synced to the disk.
    pub fn recovery_point(&self) -> i64 {
        self.progress.recovery_point.load(Ordering::Acquire)
    }

    /// The offset below which no transaction is undecided; at most `high_watermark` (KIP-98).
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        self.high_watermark_seen.fetch_max(high_watermark, Ordering::Relaxed);
        self.producers.last_stable_offset(high_watermark)
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// The base offsets of the segments, oldest first.
    pub fn segment_base_offsets(&self) -> impl Iterator<Item = i64> {
        self.segments.iter().map(|segment| segment.base_offset)
    }

    /// The epoch that the record at `offset` was written in, as far as it is known.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.epoch_at(offset)
    }

    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest().map(|latest| latest.epoch)
    }

    /// The largest epoch not above `epoch`, and the offset where it ends; -1 and -1 if that cannot be told (KIP-320).
    pub fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        self.epochs.end_offset_for(epoch, self.log_end_offset)
    }

    /// Lets `epoch` begin at the log's end: what a leader does before it appends.
    pub fn begin_epoch(&mut self, epoch: i32) {
        self.state.epochs.changed_if(self.epochs.assign(epoch, self.log_end_offset));
    }

    /// The producers that are remembered, by id.
    pub fn producers(&self) -> Vec<ProducerDescription> {
        self.producers.describe()
    }

    /// The aborted transactions that a reader of the offsets from `from` up to, not including, `to` has to know.
    pub fn aborted_transactions(&self, from: i64, to: i64) -> io::Result<Vec<AbortedTransaction>> {
        let mut found = Vec::new();
        for segment in &self.segments[self.segment_of(from)..] {
            if segment.transactions.is_empty() {
                continue;
            }
            let all = segment.transactions.all()?;
            let complete = all.iter().any(|transaction| transaction.last_stable_offset >= to);
            found.extend(all.into_iter().filter(|one| one.last_offset >= from && one.first_offset < to));
            if complete {
                break;
            }
        }
        Ok(found)
    }

    /// The place of the segment that holds `offset`, or would.
    pub(super) fn segment_of(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }

    pub(super) fn active(&self) -> &Segment {
        self.segments.last().expect("a log has a segment")
    }

    pub(super) fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has a segment")
    }

    pub(super) fn files(&self) -> &Arc<FileCache> {
        self.directory.files()
    }

    /// Ends the log's use: all that helps to open it fast is written and synced, and its recovery point is its end. The
    /// directory may be marked as cleanly shut down once all its logs are closed. Nothing can be appended any more.
    /// Errors: the log was not written whole; the directory must not be marked.
    pub fn close(&mut self) -> io::Result<()> {
        if self.state.closed {
            return Ok(());
        }
        if self.state.torn {
            self.cut_torn_tail()?;
        }
        let task = self.full_task()?;
        self.run(task)?;
        self.state.closed = true;
        Ok(())
    }

    /// Takes the partition out of the log directory: its directory is renamed, and removed after `file.delete.delay.ms`
    /// by [`LogDirs::maintain`]. Nothing can be appended any more.
    pub fn delete(&mut self, dirs: &LogDirs, now: i64) -> io::Result<()> {
        // A sync under way must not write into the directory of a topic of the same name that is made next.
        self.state.generation = self.state.small_files.log_is_cut();
        let name = names::deleted_directory(&self.topic, self.partition, rand::random());
        let path = self.directory.path().join(name);
        files::rename(&self.path, &path)?;
        self.state.closed = true;
        self.directory.unregister(&self.topic, self.partition);
        dirs.remove_later(path, now.saturating_add(self.config.file_delete_delay_ms));
        Ok(())
    }
}
