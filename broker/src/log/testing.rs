//! What the room's tests share: a log directory that can be opened again and again, and batches to put into it.

use super::directory::LogDirs;
use super::files::FileCache;
use super::log::Log;
use super::producer_state::Origin;
use super::{AppendError, Appended, LogConfig};
use crate::protocol::Uuid;
use crate::protocol::batch::{Compression, RecordBatch};
use crate::protocol::compression;
use crate::protocol::record::{BatchBuilder, Header};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

pub const TOPIC: &str = "topic";
pub const TOPIC_ID: Uuid = Uuid([7; 16]);
/// The time at which tests begin, in milliseconds.
pub const NOW: i64 = 1_000_000;

/// A directory for tests, in memory where there is such a place: they sync a lot.
pub fn temporary_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a temporary directory")
}

/// One partition in a log directory of its own.
pub struct Fixture {
    pub directory: TempDir,
    pub config: Arc<LogConfig>,
    /// `None` between a crash and the next start.
    pub dirs: Option<LogDirs>,
}

impl Fixture {
    pub fn new(config: LogConfig) -> (Fixture, Log) {
        let mut fixture = Fixture { directory: temporary_directory(), config: Arc::new(config), dirs: None };
        fixture.start();
        let directory = fixture.dirs().directories()[0].clone();
        let log = Log::create(&directory, TOPIC, 0, TOPIC_ID, fixture.config.clone(), NOW).unwrap();
        (fixture, log)
    }

    pub fn dirs(&self) -> &LogDirs {
        self.dirs.as_ref().expect("started")
    }

    pub fn start(&mut self) {
        let paths = [self.directory.path().to_owned()];
        self.dirs = Some(LogDirs::open(&paths, 1, None, FileCache::new(4)).unwrap());
    }

    pub fn open(&self, now: i64) -> Log {
        let directory = &self.dirs().directories()[0];
        Log::open(directory, TOPIC, 0, None, self.config.clone(), now).unwrap()
    }

    /// Opens the log as the next process would find it, without anything that was not written.
    pub fn crash_and_reopen(&mut self, log: Log, now: i64) -> Log {
        drop(log);
        self.dirs = None;
        self.start();
        self.open(now)
    }

    pub fn close_and_reopen(&mut self, mut log: Log, now: i64) -> Log {
        log.close().unwrap();
        self.dirs().checkpoint().unwrap();
        self.dirs().mark_clean_shutdown(-1).unwrap();
        self.crash_and_reopen(log, now)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(format!("{TOPIC}-0")).join(file)
    }
}

/// A batch as a producer sends it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub records: usize,
    pub value_bytes: usize,
    pub timestamp: i64,
    pub compression: Compression,
    /// Id, epoch and first sequence.
    pub producer: Option<(i64, i16, i32)>,
}

impl Default for Sent {
    fn default() -> Self {
        Sent { records: 1, value_bytes: 10, timestamp: NOW, compression: Compression::None, producer: None }
    }
}

impl Sent {
    /// The batch; `salt` makes it differ from others.
    pub fn bytes(&self, salt: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(self.timestamp);
        if let Some((producer_id, epoch, sequence)) = self.producer {
            (builder.producer_id, builder.producer_epoch, builder.base_sequence) = (producer_id, epoch, sequence);
        }
        for record in 0..self.records {
            let value: Vec<u8> = (0..self.value_bytes).map(|at| (at * 31 + salt * 7 + record) as u8).collect();
            builder.add(Some(format!("key {salt} {record}").as_bytes()), Some(&value));
        }
        compressed(&builder.build(), self.compression)
    }
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let (batch, _) = RecordBatch::split_first(bytes).unwrap();
    let mut header = Header::of(batch);
    header.set_compression(compression);
    header.with_payload(&compression::compress(compression, batch.payload()))
}

/// Appends one batch as a producer's.
pub fn append(log: &mut Log, bytes: &[u8], epoch: i32, now: i64) -> Result<Appended, AppendError> {
    let (batch, _) = RecordBatch::split_first(bytes).unwrap();
    log.append(batch, epoch, Origin::Producer, now)
}

/// All that can be read of the log, batch by batch.
pub fn contents(log: &Log) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let bytes = log.read_bytes(offset, 100_000, i64::MAX).unwrap();
        if bytes.is_empty() {
            break;
        }
        for batch in crate::protocol::batch::batches(&bytes) {
            let batch = batch.unwrap();
            offset = batch.next_offset();
            batches.push(batch.bytes().to_vec());
        }
    }
    batches
}

/// The base offsets of [`contents`].
pub fn base_offsets(log: &Log) -> Vec<i64> {
    let base_offset = |bytes: &Vec<u8>| RecordBatch::split_first(bytes).unwrap().0.base_offset();
    contents(log).iter().map(base_offset).collect()
}
