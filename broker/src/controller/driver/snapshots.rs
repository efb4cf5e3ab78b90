//! When a snapshot of the metadata is due, and what it makes useless.

use super::{MetadataLogConfig, Work};
use crate::controller::image::MetadataImage;
use crate::controller::loader::QuorumControl;
use crate::controller::snapshot_files;
use crate::raft::SnapshotId;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

pub struct Snapshots {
    config: MetadataLogConfig,
    work: mpsc::Sender<Work>,
    /// Bytes of records since the last snapshot.
    bytes: usize,
    /// When the last one was begun.
    last: i64,
    running: bool,
    latest: Option<SnapshotId>,
    writer: Option<JoinHandle<()>>,
}

impl Snapshots {
    pub fn new(config: MetadataLogConfig, latest: Option<SnapshotId>, work: mpsc::Sender<Work>, now: i64) -> Snapshots {
        Snapshots { config, work, bytes: 0, last: now, running: false, latest, writer: None }
    }

    pub fn committed(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    pub fn is_due(&self, now: i64) -> bool {
        self.next_at() <= now
            || !self.running && self.bytes as i64 >= self.config.snapshot_after_bytes && self.bytes > 0
    }

    /// When one is due that is not asked for by size.
    pub fn next_at(&self) -> i64 {
        let interval = self.config.snapshot_interval_ms.filter(|_| !self.running && self.bytes > 0);
        interval.map_or(i64::MAX, |interval| self.last.saturating_add(interval))
    }

    /// Writes a snapshot beside the work: an image does not change.
    pub fn begin(&mut self, directory: PathBuf, image: MetadataImage, quorum: QuorumControl, now: i64) {
        (self.bytes, self.last, self.running) = (0, now, true);
        let work = self.work.clone();
        let write = move || {
            let written = snapshot_files::write(&directory, &image, &quorum, now);
            work.send(Work::SnapshotWritten(written)).ok();
        };
        match std::thread::Builder::new().name("snapshot".into()).spawn(write) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => drop(self.work.send(Work::SnapshotWritten(Err(error)))),
        }
    }

    pub fn failed(&mut self) {
        self.running = false;
    }

    /// Takes note of a snapshot, and gives the one before it. What lies before that one may go: so a follower that is a
    /// little behind needs records, and not a snapshot.
    pub fn written(&mut self, snapshot: SnapshotId) -> Option<SnapshotId> {
        self.running = false;
        self.latest.replace(snapshot).filter(|before| before.offset < snapshot.offset)
    }

    /// Takes note of a snapshot that was received.
    pub fn installed(&mut self, snapshot: SnapshotId) {
        (self.latest, self.bytes) = (Some(snapshot), 0);
    }
}

/// Nothing is written into the directory of a node that has stopped.
impl Drop for Snapshots {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // What it was about to say, nobody hears any more.
            writer.join().ok();
        }
    }
}
