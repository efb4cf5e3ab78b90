//! Replication throttles (KIP-73): what replicas that lag may take from those that clients use.
//!
//! - Both ends hold back, each by its own limit: the leader gives no records, the follower does not ask for any.
//! - Only replicas that a topic names are held back or counted, and of these only those that are not in sync are held back:
//!   no acknowledgement ever waits for a throttle. What those in sync take counts.
//! - A partition that no topic names costs the look at a flag.

use super::partition::{Partition, State};
use super::rate::{Rate, Windows};
use super::waiters::Moves;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// Bytes a second that are no limit.
pub const UNLIMITED: i64 = i64::MAX;

/// One limit of a broker, and what has passed under it.
#[derive(Debug)]
pub struct Throttle {
    limit: AtomicI64,
    rate: Mutex<Rate>,
}

impl Throttle {
    pub fn new(windows: Windows) -> Throttle {
        Throttle { limit: AtomicI64::new(UNLIMITED), rate: Mutex::new(Rate::new(windows)) }
    }

    /// Bytes a second, from now on; [`UNLIMITED`]: all pass.
    pub fn set_limit(&self, limit: i64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub fn count(&self, now: i64, bytes: usize) {
        if bytes > 0 && self.limit.load(Ordering::Relaxed) != UNLIMITED {
            self.rate.lock().expect("no panic while held").count(now, bytes as u64);
        }
    }

    /// When more may pass; `None`: now.
    pub fn resumes_at(&self, now: i64) -> Option<i64> {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == UNLIMITED {
            return None;
        }
        let limit = u64::try_from(limit).unwrap_or(0);
        let at = self.rate.lock().expect("no panic while held").allows_at(now, limit);
        (at > now).then_some(at)
    }
}

/// The limits of a broker.
#[derive(Debug)]
pub struct Throttles {
    /// Of what it sends as a leader (`leader.replication.throttled.rate`).
    pub leader: Throttle,
    /// Of what it takes as a follower (`follower.replication.throttled.rate`).
    pub follower: Throttle,
}

impl Throttles {
    pub fn new(windows: Windows) -> Throttles {
        Throttles { leader: Throttle::new(windows), follower: Throttle::new(windows) }
    }
}

/// In which roles a replica falls under this broker's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// `leader.replication.throttled.replicas` names it.
    pub as_leader: bool,
    /// `follower.replication.throttled.replicas` names it.
    pub as_follower: bool,
}

impl Throttled {
    pub fn any(self) -> bool {
        self.as_leader || self.as_follower
    }
}

#[derive(Debug, Default)]
pub(super) struct Flags {
    as_leader: AtomicBool,
    as_follower: AtomicBool,
}

/// What the throttle says of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Throttling {
    /// Nothing.
    #[default]
    None,
    /// The records count once they are sent.
    Counts,
    /// There are none before this moment.
    HeldBackUntil(i64),
}

impl Partition {
    pub fn throttled(&self) -> Throttled {
        Throttled {
            as_leader: self.throttled.as_leader.load(Ordering::Relaxed),
            as_follower: self.throttled.as_follower.load(Ordering::Relaxed),
        }
    }

    /// Whether that is a change.
    pub fn set_throttled(&self, throttled: Throttled) -> bool {
        let before = self.throttled();
        self.throttled.as_leader.store(throttled.as_leader, Ordering::Relaxed);
        self.throttled.as_follower.store(throttled.as_follower, Ordering::Relaxed);
        throttled != before
    }

    /// Followers that are held back here look again: a limit has changed.
    pub fn look_again(&self) {
        self.release(self.state(), Moves { appended: true, ..Moves::default() });
    }

    /// What the leader's throttle says of a read by the follower `id`. One that the high watermark waits for is not held
    /// back, in the ISR or not: producers would wait with it.
    pub(super) fn throttling(&self, state: &State, id: i32) -> Throttling {
        if !self.throttled.as_leader.load(Ordering::Relaxed) {
            return Throttling::None;
        }
        if self.broker.view(|view| state.replica.waits_for(id, view)) {
            return Throttling::Counts;
        }
        let resumes_at = self.broker.throttles.leader.resumes_at(self.broker.now());
        resumes_at.map_or(Throttling::Counts, Throttling::HeldBackUntil)
    }

    /// How long this follower asks its leader for nothing. `lags`: as far as it knows, it lacks committed records.
    pub(super) fn held_back(&self, lags: bool) -> Option<Duration> {
        if !lags || !self.throttled.as_follower.load(Ordering::Relaxed) || self.is_in_isr() {
            return None;
        }
        let now = self.broker.now();
        let until = self.broker.throttles.follower.resumes_at(now)?;
        Some(Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or(0)))
    }

    /// This follower has taken `bytes` from its leader.
    pub(super) fn count_followed(&self, bytes: usize) {
        if self.throttled.as_follower.load(Ordering::Relaxed) {
            self.broker.throttles.follower.count(self.broker.now(), bytes);
        }
    }

    /// Whether the metadata has this replica in sync.
    fn is_in_isr(&self) -> bool {
        let image = self.broker.image();
        let registration = image.topics.by_id(self.topic_id).and_then(|topic| topic.partition(self.index));
        registration.is_some_and(|registration| registration.isr.contains(&self.broker.settings.broker_id))
    }
}
