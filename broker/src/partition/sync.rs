//! Group commit: threads that sync logs, so that the appends of many requests share one `fdatasync`, and no request's
//! thread waits for a disk.
//!
//! A partition is in the queue once. What is appended while it is synced is synced with the next turn, all of it at once.

use super::partition::Partition;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where a partition stands with its syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncTurn {
    #[default]
    None,
    Queued,
    Running,
    /// Something was appended meanwhile.
    RunningAndWanted,
}

impl SyncTurn {
    /// Asks for a sync; whether the partition has to be put into the queue for that.
    pub fn want(&mut self) -> bool {
        let before = *self;
        *self = match before {
            SyncTurn::None | SyncTurn::Queued => SyncTurn::Queued,
            SyncTurn::Running | SyncTurn::RunningAndWanted => SyncTurn::RunningAndWanted,
        };
        before == SyncTurn::None
    }

    pub fn begin(&mut self) {
        *self = SyncTurn::Running;
    }

    /// Whether the partition has to be put into the queue again.
    pub fn end(&mut self) -> bool {
        let again = *self == SyncTurn::RunningAndWanted;
        *self = if again { SyncTurn::Queued } else { SyncTurn::None };
        again
    }
}

/// The partitions that wait for their sync.
#[derive(Debug, Default)]
pub struct SyncQueue {
    state: Mutex<QueueState>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<Weak<Partition>>,
    stopped: bool,
}

impl SyncQueue {
    pub(super) fn add(&self, partition: Weak<Partition>) {
        self.state.lock().expect("no panic while held").waiting.push_back(partition);
        self.moved.notify_one();
    }

    /// The next one; `None` once the queue was stopped and is empty.
    fn next(&self) -> Option<Arc<Partition>> {
        let mut state = self.state.lock().expect("no panic while held");
        loop {
            match state.waiting.pop_front() {
                Some(partition) => match partition.upgrade() {
                    Some(partition) => return Some(partition),
                    None => continue,
                },
                None if state.stopped => return None,
                None => state = self.moved.wait(state).expect("no panic while held"),
            }
        }
    }

    /// Ends the threads once nothing waits any more.
    pub fn stop(&self) {
        self.state.lock().expect("no panic while held").stopped = true;
        self.moved.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().expect("no panic while held").stopped
    }
}

/// Starts `threads` that sync what `queue` gives, until it is stopped.
pub fn start_syncing(broker: &Arc<super::Broker>, threads: usize) -> Vec<JoinHandle<()>> {
    let spawn = |number: usize| {
        let broker = broker.clone();
        let thread = std::thread::Builder::new().name(format!("log-sync-{number}"));
        thread.spawn(move || run(&broker.syncs)).expect("the system has a thread to spare at the start")
    };
    (0..threads).map(spawn).collect()
}

fn run(queue: &SyncQueue) {
    /// How long a disk that failed is left alone.
    const PATIENCE: Duration = Duration::from_millis(500);
    while let Some(partition) = queue.next() {
        if let Err(error) = partition.sync_in_turn() {
            tracing::error!(topic = %partition.topic, partition = partition.index, %error, "a log could not be synced");
            if !queue.is_stopped() {
                std::thread::sleep(PATIENCE);
                partition.want_sync();
            }
        }
    }
}
