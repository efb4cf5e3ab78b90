//! Those who wait for a partition to move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::Notify;

/// Waits for any of the partitions it was registered with. A wake between two waits is not lost.
#[derive(Debug, Default)]
pub struct Waiter {
    notify: Notify,
}

impl Waiter {
    pub fn new() -> Arc<Waiter> {
        Arc::default()
    }

    /// Returns once something was appended or committed since the last return.
    pub async fn moved(&self) {
        self.notify.notified().await;
    }
}

/// The waiters of one partition. A waiter that was dropped is forgotten with the next wake or registration.
#[derive(Debug, Default)]
pub struct Waiters {
    any: AtomicBool,
    waiting: Mutex<Vec<Weak<Waiter>>>,
}

impl Waiters {
    /// Has `waiter` woken by the next wake. Registering again before that changes nothing.
    pub fn register(&self, waiter: &Arc<Waiter>) {
        let waiter = Arc::downgrade(waiter);
        let mut waiting = self.waiting.lock().expect("no panic while held");
        if waiting.iter().any(|other| other.ptr_eq(&waiter)) {
            return;
        }
        waiting.retain(|other| other.strong_count() > 0);
        waiting.push(waiter);
        self.any.store(true, Ordering::SeqCst);
    }

    /// Wakes all, who look for themselves whether that was what they waited for and register again if not.
    pub fn wake(&self) {
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let waiting = {
            let mut waiting = self.waiting.lock().expect("no panic while held");
            self.any.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        for waiter in waiting.iter().filter_map(Weak::upgrade) {
            waiter.notify.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_lost() {
        let (waiters, waiter) = (Waiters::default(), Waiter::new());
        waiters.register(&waiter);
        waiters.wake();
        waiter.moved().await;
    }

    #[test]
    fn a_waiter_that_registers_again_is_there_once() {
        let (waiters, waiter) = (Waiters::default(), Waiter::new());
        for _ in 0..100 {
            waiters.register(&waiter);
        }
        assert_eq!(waiters.waiting.lock().unwrap().len(), 1);
    }

    #[test]
    fn waiters_that_are_gone_are_forgotten() {
        let waiters = Waiters::default();
        for _ in 0..100 {
            waiters.register(&Waiter::new());
        }
        assert_eq!(waiters.waiting.lock().unwrap().len(), 1);
    }
}
