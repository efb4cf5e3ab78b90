//! Making the log safe on the disk, without holding up who appends.
//!
//! - The recovery point moves to an offset only when all that lies before it was synced, names of new files included.
//! - What a task writes besides is dropped if the log was cut meanwhile: it would speak of what is not there any more.
//! - After a failed sync the kernel may have dropped what it could not write, and says so only once. What lies behind
//!   the recovery point is then read, checked and written again before the next sync is believed.

use super::files::{self, lock};
use super::log::{Log, WriteState};
use super::names::{self, LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA};
use super::producer_snapshot;
use super::scan::Scanner;
use super::segment::{Segment, into_io};
use crate::protocol::batch::RecordBatch;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// Bytes that are read at once where a log is written again.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes behind the last checkpoint that are worth another: validating them takes about a tenth of a second.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// What has to be synced for the recovery point to move; run without the log's lock.
#[derive(Debug)]
#[must_use = "nothing is synced before it is run"]
pub struct FlushTask {
    directory: Arc<Path>,
    small_files: Arc<SmallFiles>,
    files: Vec<Arc<File>>,
    /// Files that were written without a sync.
    unsynced: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    epochs: Option<String>,
    snapshots: Vec<Snapshot>,
    flushed: Flushed,
}

/// What was synced: to be handed back to [`Log::flushed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    end_offset: i64,
    generation: u64,
    /// How many changes of names and of epochs were saved.
    names: u64,
    epochs: u64,
    /// The base offset of the segment before which all indexes are synced, and the bytes it had.
    active_base: i64,
    active_size: u64,
    /// The last snapshot that was written: recovery may begin there.
    snapshot: Option<i64>,
}

/// A snapshot of the producers that waits to be written. Written behind all else it says that what lies before its
/// offset, indexes included, is on the disk.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub offset: i64,
    pub bytes: Vec<u8>,
    /// Whether it stands where a segment begins, and is kept as long as that.
    pub begins_segment: bool,
}

/// The files that tasks write whole, and what they hold: written by one at a time, and never by a task that is late.
#[derive(Debug, Default)]
pub(super) struct SmallFiles {
    state: Mutex<SmallFilesState>,
}

#[derive(Debug, Default)]
struct SmallFilesState {
    /// Counts truncations: what a task knows from before one is not written behind it.
    generation: u64,
    /// How many changes of the epochs the file holds.
    epochs: u64,
    /// The snapshot that the last checkpoint made; those where segments begin are not meant.
    snapshot: Option<i64>,
}

impl SmallFiles {
    /// Keeps tasks that were made before from writing anything; gives the new generation.
    pub fn log_is_cut(&self) -> u64 {
        let mut state = lock(&self.state);
        state.generation += 1;
        state.generation
    }

    /// Takes note of a snapshot that stands where no segment begins.
    pub fn found_snapshot(&self, offset: i64) {
        lock(&self.state).snapshot = Some(offset);
    }
}

impl FlushTask {
    /// Waits until all is on the disk.
    /// Errors: the log has to be told by [`Log::flush_failed`].
    pub fn run(self) -> io::Result<Flushed> {
        for file in &self.files {
            files::sync(file)?;
        }
        for path in &self.unsynced {
            sync_path(path)?;
        }
        for path in &self.directories {
            files::sync_directory(path)?;
        }
        self.write_small_files()?;
        Ok(self.flushed)
    }

    fn write_small_files(&self) -> io::Result<()> {
        let mut state = lock(&self.small_files.state);
        if state.generation != self.flushed.generation {
            return Ok(());
        }
        if let Some(text) = self.epochs.as_ref().filter(|_| state.epochs < self.flushed.epochs) {
            files::replace(&self.directory.join(LEADER_EPOCH_CHECKPOINT), text.as_bytes())?;
            state.epochs = self.flushed.epochs;
        }
        for snapshot in &self.snapshots {
            files::replace(&names::snapshot_file(&self.directory, snapshot.offset), &snapshot.bytes)?;
            if !snapshot.begins_segment {
                self.remove_older_snapshot(state.snapshot.replace(snapshot.offset), snapshot.offset)?;
            }
        }
        Ok(())
    }

    fn remove_older_snapshot(&self, older: Option<i64>, newer: i64) -> io::Result<()> {
        match older {
            Some(older) if older != newer => files::remove(&names::snapshot_file(&self.directory, older)),
            _ => Ok(()),
        }
    }
}

/// A file that is not there any more has nothing to sync.
fn sync_path(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => files::sync(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl Log {
    /// Whether the topic asks for a sync now (`flush.messages`, `flush.ms`).
    pub fn flush_is_due(&self, now: i64) -> bool {
        let unsynced = self.log_end_offset - self.recovery_point();
        let waited = self.state.dirty_since.map_or(0, |since| now.saturating_sub(since));
        unsynced > 0 && (unsynced >= self.config.flush_messages || waited >= self.config.flush_ms)
    }

    /// What has to be synced for all that was appended so far; `None` if all is.
    /// Errors: what has to be written before could not be.
    pub fn flush_task(&mut self) -> io::Result<Option<FlushTask>> {
        self.flush_task_to(self.log_end_offset)
    }

    /// What has to be synced for the segments that were closed; `None` if all are. Syncing them as they are closed keeps
    /// the recovery short: it validates the active segment only.
    pub fn flush_task_for_closed(&mut self) -> io::Result<Option<FlushTask>> {
        self.flush_task_to(self.active().base_offset)
    }

    /// As [`Log::flush_task`], with all that lets the recovery begin here instead of at the start of the active segment;
    /// `None` as long as that would save little. To be called about each minute.
    pub fn checkpoint_task(&mut self) -> io::Result<Option<FlushTask>> {
        if self.active().size.saturating_sub(self.state.checkpointed_size) < CHECKPOINT_BYTES {
            return Ok(None);
        }
        self.full_task()
    }

    /// What has to be synced so that nothing has to be validated or replayed when the log is opened.
    pub(super) fn full_task(&mut self) -> io::Result<Option<FlushTask>> {
        let saved = self.recovery_point() == self.log_end_offset && !self.state.epochs.is_unsaved();
        if self.log_end_offset == 0 || saved && self.state.snapshot_offset == self.log_end_offset {
            return Ok(None);
        }
        self.active_mut().finish_indexes()?;
        let mut task = self.task_to(self.log_end_offset)?;
        let active = self.active();
        if active.size > 0 {
            task.files.extend([active.offset_index.file().open()?, active.time_index.file().open()?]);
            task.unsynced.push(active.transactions.file().path());
            task.directories = vec![self.path.to_path_buf(), self.directory.path().to_owned()];
        }
        task.snapshots.push(self.snapshot());
        task.flushed.snapshot = Some(self.log_end_offset);
        Ok(Some(task))
    }

    /// The state of the producers at the log's end.
    pub(super) fn snapshot(&self) -> Snapshot {
        let offset = self.log_end_offset;
        let begins_segment = self.active().base_offset == offset;
        Snapshot { offset, bytes: producer_snapshot::write(&self.producers), begins_segment }
    }

    fn flush_task_to(&mut self, end_offset: i64) -> io::Result<Option<FlushTask>> {
        if end_offset <= self.recovery_point() && !self.state.names.is_unsaved() {
            return Ok(None);
        }
        self.task_to(end_offset).map(Some)
    }

    fn task_to(&mut self, end_offset: i64) -> io::Result<FlushTask> {
        if self.state.sync_failed {
            self.write_again()?;
        }
        let (files, unsynced) = self.unsynced_files(self.recovery_point(), end_offset)?;
        let WriteState { names, epochs, generation, .. } = &self.state;
        let directories = || vec![self.path.to_path_buf(), self.directory.path().to_owned()];
        Ok(FlushTask {
            directory: self.path.clone(),
            small_files: self.state.small_files.clone(),
            files,
            unsynced,
            directories: names.is_unsaved().then(directories).unwrap_or_default(),
            epochs: epochs.is_unsaved().then(|| self.epochs.to_checkpoint()),
            snapshots: self.state.snapshot.iter().cloned().collect(),
            flushed: Flushed {
                end_offset,
                generation: *generation,
                names: names.changes(),
                epochs: epochs.changes(),
                active_base: self.active().base_offset,
                active_size: self.active().size,
                snapshot: self.state.snapshot.as_ref().map(|snapshot| snapshot.offset),
            },
        })
    }

    fn unsynced_files(&mut self, from: i64, to: i64) -> io::Result<(Vec<Arc<File>>, Vec<PathBuf>)> {
        let (mut files, mut unsynced) = (Vec::new(), Vec::new());
        let active_base = self.active().base_offset;
        let indexes_from = self.state.indexes_unsynced_from;
        let (first, first_unsynced) = (self.segment_of(from.min(indexes_from)), self.segment_of(from));
        for (place, segment) in self.segments.iter_mut().enumerate().skip(first) {
            if place >= first_unsynced && segment.base_offset < to && segment.size > 0 {
                segment.transactions.write()?;
                files.push(segment.log.open()?);
            }
            if (indexes_from..active_base).contains(&segment.base_offset) {
                segment.finish_indexes()?;
                unsynced.extend([segment.offset_index.file().path(), segment.time_index.file().path()]);
                unsynced.push(segment.transactions.file().path());
            }
        }
        if self.state.names.is_unsaved() {
            unsynced.push(self.path.join(PARTITION_METADATA));
        }
        Ok((files, unsynced))
    }

    /// Takes note that a task was run.
    pub fn flushed(&mut self, flushed: Flushed) {
        if flushed.generation != self.state.generation {
            return;
        }
        self.state.names.saved(flushed.names);
        self.state.epochs.saved(flushed.epochs);
        let is_active = flushed.active_base == self.active().base_offset;
        self.state.indexes_unsynced_from =
            if is_active { i64::MAX } else { self.state.indexes_unsynced_from.max(flushed.active_base) };
        self.progress.recovery_point.fetch_max(flushed.end_offset, Ordering::AcqRel);
        if flushed.end_offset >= self.log_end_offset {
            self.state.dirty_since = None;
        }
        if let Some(offset) = flushed.snapshot {
            self.state.snapshot_offset = self.state.snapshot_offset.max(offset);
            self.state.snapshot.take_if(|waiting| waiting.offset <= offset);
            if is_active && offset > flushed.active_base {
                self.state.checkpointed_size = flushed.active_size;
            }
        }
    }

    /// Takes note that running a task failed.
    pub fn flush_failed(&mut self) {
        self.state.sync_failed = true;
    }

    /// Syncs all that was appended; the caller waits for the disk.
    pub fn flush(&mut self) -> io::Result<()> {
        let task = self.flush_task()?;
        self.run(task)
    }

    pub(super) fn run(&mut self, task: Option<FlushTask>) -> io::Result<()> {
        let Some(task) = task else { return Ok(()) };
        match task.run() {
            Ok(flushed) => {
                self.flushed(flushed);
                Ok(())
            }
            Err(error) => {
                self.flush_failed();
                Err(error)
            }
        }
    }

    /// Makes the kernel write again what it may have dropped: all that lies behind the recovery point.
    /// Errors: `InvalidData` if what can be read is not what was appended.
    fn write_again(&mut self) -> io::Result<()> {
        for segment in &self.segments[self.segment_of(self.recovery_point())..] {
            if segment.size > 0 {
                write_again(segment)?;
            }
        }
        self.state.sync_failed = false;
        Ok(())
    }
}

fn write_again(segment: &Segment) -> io::Result<()> {
    let file = segment.log.open()?;
    let mut scanner = Scanner::new(&file, 0, segment.size, BLOCK_BYTES);
    while let Some((batch, bytes)) = scanner.next_batch().map_err(into_io)? {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let (stored, _) = RecordBatch::split_first(bytes).map_err(invalid)?;
        stored.check_crc().map_err(invalid)?;
        files::write_at(&file, bytes, &[], batch.position)?;
    }
    Ok(())
}
