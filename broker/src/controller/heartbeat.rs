//! What heartbeats and their absence do: brokers are unfenced, fenced, and shut down in order (KIP-631).
//!
//! - A heartbeat walks no partitions unless it changes the broker's state.
//! - Records stand in an order that may be cut anywhere: a broker leads nothing before it is fenced, and is unfenced before it
//!   leads anything. What a cut leaves undone, the broker's next heartbeat or the next active controller does.
//! - A broker that wants to end may do so when it leads nothing, and all others have applied that.

use super::directories::offline;
use super::image::BrokerRegistration;
use super::leadership::Turn;
use super::request::{BrokerHeartbeat, HeartbeatAnswer, Outcome};
use super::state::{Controller, Records};
use crate::protocol::messages::metadata_records::BrokerRegistrationChangeRecord;
use std::sync::Arc;

/// What a broker is after a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    ShuttingDown,
    MayEnd,
}

impl Controller {
    pub(super) fn broker_heartbeat(
        &mut self,
        now: i64,
        heartbeat: &BrokerHeartbeat,
    ) -> Outcome<(HeartbeatAnswer, Records)> {
        let broker = self.check_broker_epoch(heartbeat.id, heartbeat.epoch)?;
        self.liveness.heard(now, broker.id, heartbeat.metadata_end_offset);
        let gone = offline(&broker, &heartbeat.offline_directories);
        // One thing at a time: each is decided upon the image before it.
        let next = if gone.is_some() { state(&broker) } else { self.next_state(now, &broker, heartbeat) };
        let records = match (next, &gone) {
            (_, Some(gone)) => self.without_directories(&broker, gone),
            (State::Unfenced, None) if broker.fenced => self.unfence(&broker),
            (State::Fenced | State::MayEnd, None) if !broker.fenced => self.fence(&broker),
            (State::ShuttingDown, None) if !broker.in_controlled_shutdown => self.begin_shutdown(&broker),
            _ => Records::new(),
        };
        if next == State::ShuttingDown {
            self.liveness.shutdown_offset(broker.id, self.image.applied.end_offset + records.len() as i64);
        }
        if next == State::MayEnd {
            self.liveness.ended(broker.id);
        }
        let answer = HeartbeatAnswer {
            is_caught_up: is_caught_up(&broker, heartbeat),
            is_fenced: matches!(next, State::Fenced | State::MayEnd),
            should_shut_down: next == State::MayEnd,
        };
        Ok((answer, records))
    }

    fn next_state(&mut self, now: i64, broker: &BrokerRegistration, heartbeat: &BrokerHeartbeat) -> State {
        let leads = self.image.topics.led_by(broker.id) > 0;
        let wants_fence = heartbeat.wants_fence || has_no_directory_left(broker, heartbeat);
        match (broker.fenced, heartbeat.wants_shutdown) {
            (true, true) => State::MayEnd,
            (true, false) => {
                let ready = !wants_fence && is_caught_up(broker, heartbeat);
                if ready && self.liveness.is_steady(now, broker.id) { State::Unfenced } else { State::Fenced }
            }
            (false, _) if broker.in_controlled_shutdown => {
                let behind = self.liveness.shutdown_offset(broker.id, self.image.applied.end_offset);
                if leads || self.least_applied() < behind { State::ShuttingDown } else { State::MayEnd }
            }
            (false, true) if wants_fence || !leads => State::MayEnd,
            (false, true) => State::ShuttingDown,
            (false, false) if wants_fence => State::Fenced,
            (false, false) => State::Unfenced,
        }
    }

    /// The offset that every active broker has applied.
    fn least_applied(&self) -> i64 {
        let active = self.image.brokers.values().filter(|broker| broker.is_active());
        active.map(|broker| self.liveness.applied(broker.id)).min().unwrap_or(i64::MAX)
    }

    fn unfence(&self, broker: &BrokerRegistration) -> Records {
        let mut records: Records = vec![BrokerRegistrationChangeRecord { fenced: -1, ..unchanged(broker) }.into()];
        records.extend(self.lead_the_leaderless(Turn::Comes(broker.id)));
        records
    }

    fn fence(&self, broker: &BrokerRegistration) -> Records {
        let mut records = self.partitions_without(broker.id);
        records.push(BrokerRegistrationChangeRecord { fenced: 1, ..unchanged(broker) }.into());
        records
    }

    fn begin_shutdown(&self, broker: &BrokerRegistration) -> Records {
        let mut records = self.partitions_without(broker.id);
        records.push(BrokerRegistrationChangeRecord { in_controlled_shutdown: 1, ..unchanged(broker) }.into());
        records
    }

    /// Fences a broker that somebody knows to be gone.
    pub(super) fn broker_lost(&mut self, now: i64, id: i32, epoch: i64) -> Outcome<Records> {
        let broker = self.check_broker_epoch(id, epoch)?;
        self.liveness.ended(id);
        if broker.fenced {
            return Ok(Records::new());
        }
        self.liveness.strike(now, id);
        Ok(self.fence(&broker))
    }

    /// Fences one broker that was silent for too long, if there is any.
    pub(super) fn fence_the_silent(&mut self, now: i64) -> Records {
        let silent = |broker: &&Arc<BrokerRegistration>| !broker.fenced && self.liveness.deadline(broker.id) <= now;
        let Some(broker) = self.image.brokers.values().find(silent).cloned() else { return Records::new() };
        self.liveness.strike(now, broker.id);
        self.fence(&broker)
    }

    /// When the first broker is silent for too long, if it is not heard before.
    pub(super) fn next_silence(&self) -> i64 {
        let unfenced = self.image.live_brokers();
        unfenced.map(|broker| self.liveness.deadline(broker.id)).min().unwrap_or(i64::MAX)
    }
}

fn state(broker: &BrokerRegistration) -> State {
    match (broker.fenced, broker.in_controlled_shutdown) {
        (true, _) => State::Fenced,
        (false, true) => State::ShuttingDown,
        (false, false) => State::Unfenced,
    }
}

fn has_no_directory_left(broker: &BrokerRegistration, heartbeat: &BrokerHeartbeat) -> bool {
    let gone = |directory| heartbeat.offline_directories.contains(directory);
    !broker.directories.is_empty() && broker.directories.iter().all(gone)
}

fn is_caught_up(broker: &BrokerRegistration, heartbeat: &BrokerHeartbeat) -> bool {
    heartbeat.metadata_end_offset > broker.epoch
}

pub(super) fn unchanged(broker: &BrokerRegistration) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord { broker_id: broker.id, broker_epoch: broker.epoch, ..Default::default() }
}
