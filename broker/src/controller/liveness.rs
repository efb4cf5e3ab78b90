//! Which brokers live, as far as the active controller has heard: soft state, begun anew by each active controller.
//!
//! - A broker that is not heard for a session's time is to be fenced; one whose connection broke, at once. Either may be
//!   wrong: the broker is unfenced again when it is heard, and epochs keep what it did meanwhile from doing harm.
//! - A slow broker must not flap, since each time moves its leaders away and back. Being fenced against its will is
//!   remembered for [`MEMORY`] sessions. The first time it is unfenced with its next heartbeat; after that it must have been
//!   heard without a break for one session, then 3, 7 and at most [`PROBATION_MAX`].
//! - Time in which the controller itself was held up counts against nobody: if it is not called for half a session, every
//!   session is longer by that time.
//! - A broker that this controller has not heard itself, but knows from the metadata, has a session as if it had been heard,
//!   and does not stand in the way of another process with its id.

use std::collections::{BTreeMap, BTreeSet};

/// Sessions for which it is remembered that a broker was fenced against its will.
const MEMORY: i64 = 100;

/// Sessions that a broker must be heard without a break at most before it is unfenced.
const PROBATION_MAX: i64 = 15;

#[derive(Clone, Debug)]
pub(super) struct Liveness {
    timeout_ms: i64,
    /// When the controller was last called.
    called: i64,
    sessions: BTreeMap<i32, Session>,
    /// Brokers that are to lead nothing.
    pub drained: BTreeSet<i32>,
}

#[derive(Clone, Debug, Default)]
struct Session {
    /// When the broker has been silent for too long.
    deadline: i64,
    /// Whether this controller has heard it.
    heard: bool,
    /// The offset behind the last record that it has applied; -1 until it says so.
    applied: i64,
    /// What the others have to apply before the broker may end.
    shutdown_offset: Option<i64>,
    /// Times that it was fenced against its will and that is not forgotten yet.
    strikes: u32,
    /// When it was last fenced against its will.
    struck: i64,
    /// Since when it was heard without a break.
    steady_since: i64,
}

impl Liveness {
    pub fn new(timeout_ms: i64, brokers: impl Iterator<Item = i32>, now: i64) -> Liveness {
        let session = Session { deadline: now + timeout_ms, applied: -1, ..Session::default() };
        let sessions = brokers.map(|broker| (broker, session.clone())).collect();
        Liveness { timeout_ms, called: now, sessions, drained: BTreeSet::new() }
    }

    /// Takes note of a call at `now`, and of how long there was none.
    pub fn called(&mut self, now: i64) {
        let away = now - self.called;
        if away > self.timeout_ms / 2 {
            self.sessions.values_mut().for_each(|session| session.deadline += away);
        }
        self.called = self.called.max(now);
    }

    /// When the controller must be called if nothing happens: soon enough to know that it was not held up.
    pub fn next_call(&self) -> i64 {
        self.called + (self.timeout_ms / 4).max(1)
    }

    /// A process has registered itself as the broker.
    pub fn registered(&mut self, now: i64, broker: i32) {
        let session = Session {
            deadline: now + self.timeout_ms,
            heard: true,
            applied: -1,
            steady_since: now,
            ..Session::default()
        };
        self.sessions.insert(broker, session);
    }

    /// The broker has sent a heartbeat, and has applied the metadata up to `applied`.
    pub fn heard(&mut self, now: i64, broker: i32, applied: i64) {
        let session = self.sessions.entry(broker).or_default();
        if !session.heard || now >= session.deadline {
            session.steady_since = now;
        }
        (session.heard, session.applied, session.deadline) = (true, applied, now + self.timeout_ms);
    }

    /// Nothing is to be heard of the broker any more.
    pub fn ended(&mut self, broker: i32) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            (session.heard, session.deadline, session.shutdown_offset) = (false, i64::MIN, None);
        }
    }

    /// The broker is gone for good.
    pub fn forget(&mut self, broker: i32) {
        self.sessions.remove(&broker);
        self.drained.remove(&broker);
    }

    /// The broker is fenced although it did not want to be.
    pub fn strike(&mut self, now: i64, broker: i32) {
        let memory = MEMORY * self.timeout_ms;
        let session = self.sessions.entry(broker).or_default();
        let remembered = if now - session.struck < memory { session.strikes } else { 0 };
        (session.strikes, session.struck, session.steady_since) = (remembered + 1, now, now);
    }

    /// The broker's node has given signs of being gone: it has a third of a session to be heard.
    pub fn suspect(&mut self, now: i64, broker: i32) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.deadline = session.deadline.min(now + self.timeout_ms / 3);
        }
    }

    /// Whether this controller has heard the broker, and may expect to hear it again.
    pub fn is_heard(&self, now: i64, broker: i32) -> bool {
        self.sessions.get(&broker).is_some_and(|session| session.heard && now < session.deadline)
    }

    /// When the broker is to be fenced unless it is heard.
    pub fn deadline(&self, broker: i32) -> i64 {
        self.sessions.get(&broker).map_or(i64::MIN, |session| session.deadline)
    }

    /// Whether the broker has been heard for long enough to be unfenced.
    pub fn is_steady(&self, now: i64, broker: i32) -> bool {
        let Some(session) = self.sessions.get(&broker) else { return false };
        let forgotten = now - session.struck >= MEMORY * self.timeout_ms;
        let doublings = if forgotten { 0 } else { session.strikes.saturating_sub(1).min(8) };
        let probation = ((1 << doublings) - 1).min(PROBATION_MAX) * self.timeout_ms;
        now - session.steady_since >= probation
    }

    /// The offset that the others must have applied before the broker may end: `end_offset`, when it is asked for the first
    /// time.
    pub fn shutdown_offset(&mut self, broker: i32, end_offset: i64) -> i64 {
        *self.sessions.entry(broker).or_default().shutdown_offset.get_or_insert(end_offset)
    }

    /// The offset behind the last record that the broker has applied; -1 where that is not known.
    pub fn applied(&self, broker: i32) -> i64 {
        self.sessions.get(&broker).map_or(-1, |session| session.applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_broker_1() -> Liveness {
        let mut liveness = Liveness::new(600, [1, 2].into_iter(), 0);
        liveness.heard(0, 1, 5);
        liveness
    }

    #[test]
    fn a_broker_known_from_the_metadata_alone_has_a_session_but_was_not_heard() {
        let liveness = with_broker_1();
        assert_eq!((liveness.deadline(1), liveness.deadline(2), liveness.deadline(3)), (600, 600, i64::MIN));
        assert!(liveness.is_heard(599, 1) && !liveness.is_heard(600, 1) && !liveness.is_heard(0, 2));
    }

    #[test]
    fn a_suspect_has_a_third_of_a_session_until_it_is_heard() {
        let mut liveness = with_broker_1();
        liveness.suspect(0, 2);
        assert_eq!(liveness.deadline(2), 200);
        liveness.heard(100, 2, 0);
        assert_eq!(liveness.deadline(2), 700);
    }

    #[test]
    fn who_is_fenced_again_and_again_must_be_heard_longer_and_longer() {
        let mut liveness = with_broker_1();
        let mut waited = Vec::new();
        let mut now = 0;
        for _ in 0..7 {
            now += 1000;
            liveness.strike(now, 1);
            let struck = now;
            liveness.heard(now, 1, 5);
            while !liveness.is_steady(now, 1) {
                now += 100;
                liveness.heard(now, 1, 5);
            }
            waited.push(now - struck);
        }
        assert_eq!(waited, [0, 600, 1800, 4200, 9000, 9000, 9000]);
        liveness.strike(now + 60_000, 1);
        assert!(liveness.is_steady(now + 60_000, 1), "after a minute in peace it is the first time again");
    }

    #[test]
    fn a_break_while_it_must_be_heard_begins_the_time_anew() {
        let mut liveness = with_broker_1();
        liveness.strike(0, 1);
        liveness.strike(1, 1);
        liveness.heard(300, 1, 5);
        liveness.heard(900, 1, 5);
        assert!(!liveness.is_steady(1499, 1) && liveness.is_steady(1500, 1));
    }

    #[test]
    fn time_in_which_the_controller_was_held_up_counts_against_nobody() {
        let mut liveness = with_broker_1();
        for now in (0..=500).step_by(100) {
            liveness.called(now);
        }
        liveness.called(2500);
        assert_eq!(liveness.deadline(1), 2600);
        assert_eq!(liveness.next_call(), 2650);
    }
}
