//! Brokers and controllers that register themselves, and brokers that are forgotten (KIP-631, KIP-919). The checks, their
//! order and their texts are Kafka's.
//!
//! - A registered broker is fenced until its heartbeats say that it has seen its registration.
//! - A new process in a broker's place loses all leaderships of the one before it: they come back with a new leader epoch, so
//!   that nobody takes an offset of that time for one of this (KIP-320).
//! - The same process may register itself again, and keeps its epoch.
//! - What a process was drained for is over when another one has taken its place: that may lead.

use super::SUPPORTED_FEATURES;
use super::image::{
    BrokerRegistration, Endpoint, LOST_DIRECTORY, MIGRATING_DIRECTORY, MetadataImage, SupportedFeature,
};
use super::image::{METADATA_VERSION, UNASSIGNED_DIRECTORY};
use super::leadership::level;
use super::request::{Outcome, Refusal, RegisterBroker, RegisterController};
use super::state::{Controller, Records};
use crate::protocol::messages::metadata_records::*;
use crate::protocol::{ErrorCode, Uuid};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Controller {
    pub(super) fn register_broker(&mut self, now: i64, request: RegisterBroker) -> Outcome<(i64, Records)> {
        let existing = self.image.brokers.get(&request.id).cloned();
        let same = existing.as_ref().filter(|broker| broker.incarnation == request.incarnation);
        if let Some(existing) = &existing {
            let lives = self.liveness.is_heard(now, request.id) && !existing.in_controlled_shutdown;
            if same.is_none() && lives {
                let text = "Another broker is registered with that broker id. If the broker was recently restarted this \
                            should self-resolve once the heartbeat manager expires the broker's session.";
                return Err(Refusal::new(ErrorCode::DuplicateBrokerRegistration, text));
            }
        }
        self.check_directories(&request)?;
        check_features(&self.image, "broker", &request.features)?;
        let mut records = Records::new();
        if same.is_none() {
            records = self.without_earlier_process(&request, existing.as_deref());
            self.liveness.drained.remove(&request.id);
        }
        let epoch = match same {
            Some(same) => same.epoch,
            None => self.image.applied.end_offset + records.len() as i64,
        };
        self.liveness.registered(now, request.id);
        let (fenced, in_controlled_shutdown) =
            same.map_or((true, false), |broker| (broker.fenced, broker.in_controlled_shutdown));
        records.push(RegisterBrokerRecord { fenced, in_controlled_shutdown, ..request.record(epoch) }.into());
        Ok((epoch, records))
    }

    /// What the process before this one leaves behind. With eligible leader replicas a replica that was not shut down in order
    /// is not trusted to have all that it had.
    fn without_earlier_process(&self, request: &RegisterBroker, existing: Option<&BrokerRegistration>) -> Records {
        let Some(existing) = existing else { return Records::new() };
        if self.elr_enabled() && existing.epoch != request.previous_epoch {
            return self.partitions_without_trust_in(request.id);
        }
        if existing.fenced && self.image.topics.led_by(request.id) == 0 {
            return Records::new();
        }
        self.partitions_without(request.id)
    }

    fn check_directories(&self, request: &RegisterBroker) -> Outcome<()> {
        const RESERVED: [Uuid; 3] = [UNASSIGNED_DIRECTORY, LOST_DIRECTORY, MIGRATING_DIRECTORY];
        let refused = |text: String| Err(Refusal::new(ErrorCode::InvalidRequest, text));
        if request.directories.iter().any(|directory| RESERVED.contains(directory)) {
            return refused("Reserved directory ID in request".into());
        }
        if request.directories.iter().collect::<BTreeSet<_>>().len() != request.directories.len() {
            return refused("Duplicate directory ID in request".into());
        }
        let others = self.image.brokers.values().filter(|broker| broker.id != request.id);
        let mut clashes =
            others.flat_map(|other| other.directories.iter().map(move |directory| (other.id, *directory)));
        match clashes.find(|(_, directory)| request.directories.contains(directory)) {
            None => Ok(()),
            Some((other, directory)) => {
                refused(format!("Broker {} claims the directory {directory} of broker {other}.", request.id))
            }
        }
    }

    pub(super) fn unregister_broker(&mut self, id: i32) -> Outcome<Records> {
        let Some(broker) = self.image.brokers.get(&id) else {
            let text = format!("Broker ID {id} is not currently registered");
            return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, text));
        };
        let broker_epoch = broker.epoch;
        let mut records = match self.elr_enabled() {
            true => self.partitions_without_trust_in(id),
            false => self.partitions_without(id),
        };
        records.push(UnregisterBrokerRecord { broker_id: id, broker_epoch }.into());
        self.liveness.forget(id);
        Ok(records)
    }

    pub(super) fn register_controller(&self, request: RegisterController) -> Outcome<Records> {
        if self.metadata_version() < level::CONTROLLER_REGISTRATION {
            let text = "The current MetadataVersion is too old to support controller registrations.";
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, text));
        }
        check_features(&self.image, "controller", &request.features)?;
        let record = RegisterControllerRecord {
            controller_id: request.id,
            incarnation_id: request.incarnation,
            zk_migration_ready: false,
            end_points: request.endpoints.into_iter().map(Endpoint::into_controller_record).collect(),
            features: request.features.into_iter().map(SupportedFeature::into_controller_record).collect(),
        };
        Ok(vec![record.into()])
    }

    /// Errors: `StaleBrokerEpoch`, where the broker is not registered with this epoch.
    pub(super) fn check_broker_epoch(&self, id: i32, epoch: i64) -> Outcome<Arc<BrokerRegistration>> {
        let stale = |text| Err(Refusal::new(ErrorCode::StaleBrokerEpoch, text));
        match self.image.brokers.get(&id) {
            None => stale(format!("No broker registration found for broker id {id}")),
            Some(broker) if broker.epoch != epoch => {
                stale(format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch))
            }
            Some(broker) => Ok(broker.clone()),
        }
    }
}

/// Features that this controller does not know, which a directory of Apache Kafka's may name, ask nothing of anybody here.
/// Errors: `UnsupportedVersion`, where a node does not work with the level of a feature that the cluster has.
fn check_features(image: &MetadataImage, what: &str, supported: &[SupportedFeature]) -> Outcome<()> {
    // The metadata.version leads, as the one that an operator has to look at first.
    let (first, others): (Vec<_>, Vec<_>) = image.features.iter().partition(|(name, _)| *name == METADATA_VERSION);
    let is_known = |name: &str| SUPPORTED_FEATURES.iter().any(|(known, _)| *known == name);
    for (name, level) in first.into_iter().chain(others).filter(|(name, _)| is_known(name)) {
        let unsupported =
            format!("Unable to register because the {what} does not support finalized version {level} of {name}");
        match supported.iter().find(|feature| feature.name == *name) {
            None => return Err(Refusal::new(ErrorCode::UnsupportedVersion, unsupported)),
            Some(feature) if !(feature.min..=feature.max).contains(level) => {
                let text = format!(
                    "{unsupported}. The {what} wants a version between {} and {}, inclusive.",
                    feature.min, feature.max
                );
                return Err(Refusal::new(ErrorCode::UnsupportedVersion, text));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl RegisterBroker {
    /// The record that registers the broker, fenced until it is known to live.
    fn record(self, broker_epoch: i64) -> RegisterBrokerRecord<'static> {
        RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: false,
            incarnation_id: self.incarnation,
            broker_epoch,
            end_points: self.endpoints.into_iter().map(Endpoint::into_broker_record).collect(),
            features: self.features.into_iter().map(SupportedFeature::into_broker_record).collect(),
            rack: self.rack.map(Cow::Owned),
            fenced: true,
            in_controlled_shutdown: false,
            log_dirs: self.directories,
        }
    }
}

impl Endpoint {
    fn into_broker_record(self) -> BrokerEndpoint<'static> {
        let Endpoint { name, host, port, security_protocol } = self;
        BrokerEndpoint { name: name.into(), host: host.into(), port, security_protocol }
    }

    fn into_controller_record(self) -> ControllerEndpoint<'static> {
        let Endpoint { name, host, port, security_protocol } = self;
        ControllerEndpoint { name: name.into(), host: host.into(), port, security_protocol }
    }
}

impl SupportedFeature {
    fn into_broker_record(self) -> BrokerFeature<'static> {
        BrokerFeature { name: self.name.into(), min_supported_version: self.min, max_supported_version: self.max }
    }

    fn into_controller_record(self) -> ControllerFeature<'static> {
        ControllerFeature { name: self.name.into(), min_supported_version: self.min, max_supported_version: self.max }
    }
}
