//! The one task that looks at the deadlines of all shards.

use super::driver::{Active, Groups};
use super::log::CoordinatorLog;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Milliseconds after which what a deadline leads to is tried again, if its records could not be appended.
const RETRY_BACKOFF_MS: i64 = 500;
/// Milliseconds that the task sleeps at most.
const SLEEP_MS_MAX: i64 = 3_600_000;

/// When the task wakes up, and how it is woken earlier.
pub struct Alarm {
    /// While the task looks at the shards, any deadline wakes it again.
    at: AtomicI64,
    earlier: Notify,
}

impl Alarm {
    pub fn new() -> Alarm {
        Alarm { at: AtomicI64::new(i64::MAX), earlier: Notify::new() }
    }

    /// There is a deadline at `deadline`.
    pub fn set(&self, deadline: i64) {
        if deadline < self.at.load(Ordering::SeqCst) {
            self.earlier.notify_one();
        }
    }
}

impl Groups {
    /// Lets members expire, rebalances end and offsets be forgotten when their time has come. Never ends.
    pub async fn run(&self) {
        loop {
            self.alarm.at.store(i64::MAX, Ordering::SeqCst);
            let next = self.look_at_deadlines();
            self.alarm.at.store(next, Ordering::SeqCst);
            let sleep_ms = next.saturating_sub((self.clock)()).clamp(0, SLEEP_MS_MAX);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(sleep_ms.unsigned_abs())) => {}
                () = self.alarm.earlier.notified() => {}
            }
        }
    }

    /// Returns when to look again.
    fn look_at_deadlines(&self) -> i64 {
        let mut next = i64::MAX;
        for slot in self.slots() {
            if let Ok(active) = slot.lock().active() {
                self.look_at(active, &*slot.log);
                next = next.min(active.next_deadline());
            }
        }
        next
    }

    fn look_at(&self, active: &mut Active, log: &dyn CoordinatorLog) {
        let now = (self.clock)();
        while let Some(group) = active.shard.due(now) {
            let effects = active.shard.expire(now, &group);
            if let Err(error) = active.carry_out(log, effects, now) {
                tracing::warn!(%group, %error, "a group's deadlines could not be carried out");
                active.shard.postpone(&group, now + RETRY_BACKOFF_MS);
            }
        }
        if active.next_retention_check <= now {
            active.next_retention_check = now + self.config.offsets_retention_check_interval_ms;
            let effects = active.shard.expire_offsets(now);
            active.forget(log, effects, now);
        }
    }
}
