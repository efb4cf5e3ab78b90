//! What the clients note.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;
use tokio::sync::watch;

/// What is known of one partition. Records are numbered from 0 as they are sent.
#[derive(Debug, Default)]
pub struct Partition {
    /// When each record was sent.
    pub sent: Vec<Instant>,
    pub acknowledged: Vec<Acknowledged>,
    pub read: Vec<Read>,
}

#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub sequence: u64,
    pub offset: i64,
    pub at: Instant,
}

#[derive(Clone, Debug)]
pub struct Read {
    pub sequence: u64,
    pub offset: i64,
}

pub struct Notes {
    pub partitions: Vec<Mutex<Partition>>,
    /// What was refused, in words. Kept here, not panicked with: librdkafka's threads must not unwind.
    pub refusals: Mutex<Vec<String>>,
    /// What the reader was told last that was no record, for the message of a test that fails.
    pub last_error: Mutex<Option<String>>,
    /// Tells those who wait that something was noted.
    pub news: watch::Sender<()>,
    pub stop_sending: AtomicBool,
    pub stop_reading: AtomicBool,
}

impl Notes {
    pub fn new(partitions: i32) -> Notes {
        Notes {
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            refusals: Mutex::default(),
            last_error: Mutex::default(),
            news: watch::Sender::new(()),
            stop_sending: AtomicBool::new(false),
            stop_reading: AtomicBool::new(false),
        }
    }

    pub fn partition(&self, number: i32) -> MutexGuard<'_, Partition> {
        lock(&self.partitions[number as usize])
    }

    pub fn refuse(&self, refusal: String) {
        lock(&self.refusals).push(refusal);
        self.news.send_replace(());
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it in hand")
}
