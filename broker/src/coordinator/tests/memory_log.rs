//! A log in memory, for tests: it can refuse to append and put off commits.

use crate::coordinator::{BoxFuture, CoordinatorLog};
use crate::protocol::ErrorCode;
use crate::protocol::batch::{RecordBatch, batches};
use crate::protocol::record::BatchBuilder;
use std::sync::Mutex;
use tokio::sync::watch;

pub struct MemoryLog {
    batches: Mutex<Vec<Vec<u8>>>,
    /// What the next appends fail with.
    failures: Mutex<Vec<ErrorCode>>,
    /// The log end, once there are no commits to be put off.
    high_watermark: watch::Sender<i64>,
    commits_at_once: Mutex<bool>,
}

impl MemoryLog {
    pub fn new() -> MemoryLog {
        MemoryLog {
            batches: Mutex::default(),
            failures: Mutex::default(),
            high_watermark: watch::Sender::new(0),
            commits_at_once: Mutex::new(true),
        }
    }

    pub fn fail_next(&self, error: ErrorCode) {
        self.failures.lock().unwrap().push(error);
    }

    /// From now on nothing is committed before [`MemoryLog::commit_all`].
    pub fn put_off_commits(&self) {
        *self.commits_at_once.lock().unwrap() = false;
    }

    pub fn commit_all(&self) {
        self.high_watermark.send_replace(self.log_end_offset());
    }

    /// Appends bytes as they are but for their base offset: what another broker has written.
    pub fn append_bytes(&self, batch: &[u8]) {
        let mut batches = self.batches.lock().unwrap();
        let mut batch = batch.to_vec();
        batch[..8].copy_from_slice(&end_of(&batches).to_be_bytes());
        batches.push(batch);
    }

    pub fn record_count(&self) -> i64 {
        self.log_end_offset()
    }
}

fn end_of(stored: &[Vec<u8>]) -> i64 {
    stored.last().map_or(0, |last| RecordBatch::split_first(last).unwrap().0.next_offset())
}

impl CoordinatorLog for MemoryLog {
    fn append(&self, batch: BatchBuilder, _: i64) -> Result<i64, ErrorCode> {
        if let Some(error) = self.failures.lock().unwrap().pop() {
            return Err(error);
        }
        self.append_bytes(&batch.build());
        if *self.commits_at_once.lock().unwrap() {
            self.commit_all();
        }
        Ok(self.log_end_offset() - 1)
    }

    fn committed(&self, offset: i64) -> BoxFuture<'_, Result<(), ErrorCode>> {
        let mut high_watermark = self.high_watermark.subscribe();
        Box::pin(async move {
            let reached = high_watermark.wait_for(|high_watermark| *high_watermark > offset).await;
            reached.map(|_| ()).map_err(|_| ErrorCode::NotLeaderOrFollower)
        })
    }

    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, ErrorCode> {
        let mut bytes = Vec::new();
        for batch in self.batches.lock().unwrap().iter() {
            let next_offset = batches(batch).next().unwrap().unwrap().next_offset();
            if next_offset > offset && (bytes.is_empty() || bytes.len() + batch.len() <= max_bytes) {
                bytes.extend(batch);
            }
        }
        Ok(bytes)
    }

    fn log_start_offset(&self) -> i64 {
        0
    }

    fn log_end_offset(&self) -> i64 {
        end_of(&self.batches.lock().unwrap())
    }
}
