//! What is done again and again for all partitions: retention, syncs, checkpoints. One thread, since disks are slow and
//! nobody waits for it.

use super::apply::Applier;
use crate::clock::now_ms;
use crate::log::LogDirs;
use crate::partition::{Partition, Partitions};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tracing::{error, warn};

/// How often each of them is done.
#[derive(Clone, Debug)]
pub struct UpkeepConfig {
    /// Milliseconds between two looks for what is to be deleted or rolled (`log.retention.check.interval.ms`).
    pub retention_check_interval_ms: i64,
    /// Milliseconds between two looks for logs to sync (`log.flush.scheduler.interval.ms`).
    pub flush_interval_ms: i64,
    /// Milliseconds between two checkpoints of recovery points and log starts
    /// (`log.flush.offset.checkpoint.interval.ms`).
    pub checkpoint_interval_ms: i64,
    /// Milliseconds between two checkpoints of high watermarks (`replica.high.watermark.checkpoint.interval.ms`).
    pub high_watermark_interval_ms: i64,
    /// Milliseconds between two looks for followers that lag for too long (half of `replica.lag.time.max.ms`).
    pub lag_check_interval_ms: i64,
}

/// Logs with files to remove, and when.
type Removals = Vec<(i64, Arc<Partition>)>;

pub struct Upkeep {
    pub config: UpkeepConfig,
    pub partitions: Arc<Partitions>,
    pub log_dirs: Arc<LogDirs>,
    pub applier: Arc<Applier>,
}

/// When something is due again.
struct Due {
    interval_ms: i64,
    at: i64,
}

impl Due {
    fn every(interval_ms: i64, now: i64) -> Due {
        Due { interval_ms, at: now.saturating_add(interval_ms) }
    }

    fn is_due(&mut self, now: i64) -> bool {
        let due = now >= self.at;
        if due {
            self.at = now.saturating_add(self.interval_ms);
        }
        due
    }
}

impl Upkeep {
    /// Runs until the other end of `stopped` is dropped.
    pub fn run(self, stopped: &Receiver<()>) {
        const TICK: Duration = Duration::from_secs(1);
        const RETRY_INTERVAL_MS: i64 = 5_000;
        // By a clock that never jumps: the wall clock only says how old records and files are.
        let clock = || self.partitions.broker().now();
        let now = clock();
        let mut retention = Due::every(self.config.retention_check_interval_ms, now);
        let mut flush = Due::every(self.config.flush_interval_ms, now);
        let mut checkpoint = Due::every(self.config.checkpoint_interval_ms, now);
        let mut failed = Due::every(RETRY_INTERVAL_MS, now);
        // Logs with deleted segments that are still on disk, and when they may go.
        let mut removals = Vec::new();
        let mut high_watermarks = Due::every(self.config.high_watermark_interval_ms, now);
        let mut lag = Due::every(self.config.lag_check_interval_ms, now);
        loop {
            if stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let (now, wall) = (clock(), now_ms());
            self.sync_closed_segments();
            if self.applier.has_failed() && failed.is_due(now) {
                self.applier.retry_failed();
            }
            self.remove_deleted(&mut removals, wall);
            if flush.is_due(now) {
                self.flush(wall);
            }
            if retention.is_due(now) {
                removals = self.retain(wall);
            }
            if checkpoint.is_due(now) {
                self.checkpoint();
            }
            if lag.is_due(now) {
                self.partitions.tick(now);
            }
            if high_watermarks.is_due(now) {
                warn_of("checkpoint of high watermarks", self.checkpoint_high_watermarks());
            }
        }
    }

    /// A closed segment that is synced need not be validated after a crash.
    fn sync_closed_segments(&self) {
        for partition in self.partitions.take_rolled() {
            log_failure(&partition, partition.flush_closed_segments());
        }
    }

    fn flush(&self, now: i64) {
        for partition in self.partitions.all() {
            if partition.flush_is_due(now) {
                log_failure(&partition, partition.flush());
            }
        }
    }

    /// Rolls and deletes what is due, and gives the logs that have files to remove later.
    fn retain(&self, now: i64) -> Removals {
        let partitions = self.partitions.all();
        for partition in &partitions {
            self.maintain(partition, now);
        }
        partitions.into_iter().filter_map(|partition| Some((partition.next_removal()?, partition))).collect()
    }

    fn maintain(&self, partition: &Partition, now: i64) {
        let done = partition.maintain(now).and_then(|done| match done.rolled {
            true => partition.flush_closed_segments(),
            false => Ok(()),
        });
        log_failure(partition, done);
    }

    /// Removes the files of deleted segments and partitions whose time has come.
    fn remove_deleted(&self, removals: &mut Removals, now: i64) {
        let (due, waiting): (Removals, Removals) = removals.drain(..).partition(|(due, _)| *due <= now);
        *removals = waiting;
        for (_, partition) in due {
            self.maintain(&partition, now);
            removals.extend(partition.next_removal().map(|due| (due, partition)));
        }
        warn_of("removal of deleted partitions", self.log_dirs.maintain(now));
    }

    /// Moves the recovery points forward and writes them down: what lies before them is not validated after a crash.
    fn checkpoint(&self) {
        for partition in self.partitions.all() {
            log_failure(&partition, partition.checkpoint());
        }
        warn_of("checkpoint", self.log_dirs.checkpoint());
    }

    fn checkpoint_high_watermarks(&self) -> std::io::Result<()> {
        self.log_dirs.checkpoint_high_watermarks(|topic, partition| {
            Some(self.partitions.partition(topic, partition)?.high_watermark())
        })
    }
}

fn log_failure(partition: &Partition, done: std::io::Result<()>) {
    if let Err(error) = done {
        error!(topic = %partition.topic, partition = partition.index, %error, "the upkeep of the log failed");
    }
}

fn warn_of(what: &str, done: std::io::Result<()>) {
    if let Err(error) = done {
        warn!(%error, "{what} failed");
    }
}
