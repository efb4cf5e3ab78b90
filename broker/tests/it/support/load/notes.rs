//! What the clients note.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard};

use crate::support::checker::{Commits, Record};

pub struct Notes {
    pub acknowledged: Mutex<Vec<Record>>,
    /// How many records librdkafka was given for each partition.
    pub sent: Vec<AtomicU64>,
    /// What the reader was given.
    pub read: Mutex<Vec<Record>>,
    /// Why records were not acknowledged, or not read. Kept here, not panicked with: librdkafka's threads must not
    /// unwind.
    pub refusals: Mutex<Vec<String>>,
    pub commits: Mutex<Commits>,
    pub commits_acknowledged: AtomicU64,
    pub stop: AtomicBool,
}

impl Notes {
    pub fn new(partitions: i32) -> Notes {
        Notes {
            acknowledged: Mutex::default(),
            sent: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
            read: Mutex::default(),
            refusals: Mutex::default(),
            commits: Mutex::default(),
            commits_acknowledged: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    pub fn refuse(&self, refusal: String) {
        lock(&self.refusals).push(refusal);
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no client panicked")
}
