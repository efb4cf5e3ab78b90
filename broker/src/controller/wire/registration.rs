//! Brokers and controllers that start.

use super::{error_code, error_message, outcome};
use crate::controller::image::{Endpoint, SupportedFeature};
use crate::controller::request::{Outcome, RegisterBroker, RegisterController};
use crate::protocol::ErrorCode;
use crate::protocol::messages::broker_registration::*;
use crate::protocol::messages::controller_registration::*;

pub fn broker_registration_request<'a>(
    cluster_id: &'a str,
    broker: &'a RegisterBroker,
) -> BrokerRegistrationRequest<'a> {
    BrokerRegistrationRequest {
        broker_id: broker.id,
        cluster_id: cluster_id.into(),
        incarnation_id: broker.incarnation,
        listeners: broker.endpoints.iter().map(listener).collect(),
        features: broker.features.iter().map(feature).collect(),
        rack: broker.rack.as_deref().map(Into::into),
        is_migrating_zk_broker: false,
        log_dirs: broker.directories.clone(),
        previous_broker_epoch: broker.previous_epoch,
    }
}

/// Errors: `InconsistentClusterId` for a broker of another cluster; `BrokerIdNotRegistered` for one that comes from
/// ZooKeeper, as in Apache Kafka.
pub fn read_broker_registration(cluster_id: &str, message: BrokerRegistrationRequest<'_>) -> Outcome<RegisterBroker> {
    if message.cluster_id != cluster_id {
        return Err(ErrorCode::InconsistentClusterId.into());
    }
    if message.is_migrating_zk_broker {
        return Err(ErrorCode::BrokerIdNotRegistered.into());
    }
    Ok(RegisterBroker {
        id: message.broker_id,
        incarnation: message.incarnation_id,
        endpoints: message.listeners.into_iter().map(endpoint).collect(),
        features: message.features.into_iter().map(supported).collect(),
        rack: message.rack.map(|rack| rack.into_owned()),
        directories: message.log_dirs,
        previous_epoch: message.previous_broker_epoch,
    })
}

pub fn broker_registration_response(epoch: &Outcome<i64>) -> BrokerRegistrationResponse {
    let broker_epoch = *epoch.as_ref().unwrap_or(&-1);
    BrokerRegistrationResponse { throttle_time_ms: 0, error_code: error_code(epoch), broker_epoch }
}

/// The broker's epoch.
pub fn read_broker_registration_response(message: &BrokerRegistrationResponse) -> Outcome<i64> {
    outcome(message.error_code, None).map(|()| message.broker_epoch)
}

pub fn controller_registration_request(controller: &RegisterController) -> ControllerRegistrationRequest<'_> {
    ControllerRegistrationRequest {
        controller_id: controller.id,
        incarnation_id: controller.incarnation,
        zk_migration_ready: false,
        listeners: controller.endpoints.iter().map(listener).collect(),
        features: controller.features.iter().map(feature).collect(),
    }
}

pub fn read_controller_registration(message: ControllerRegistrationRequest<'_>) -> RegisterController {
    RegisterController {
        id: message.controller_id,
        incarnation: message.incarnation_id,
        endpoints: message.listeners.into_iter().map(endpoint).collect(),
        features: message.features.into_iter().map(supported).collect(),
    }
}

pub fn controller_registration_response(registered: &Outcome<()>) -> ControllerRegistrationResponse<'_> {
    ControllerRegistrationResponse {
        throttle_time_ms: 0,
        error_code: error_code(registered),
        error_message: error_message(registered),
    }
}

pub fn read_controller_registration_response(message: &ControllerRegistrationResponse<'_>) -> Outcome<()> {
    outcome(message.error_code, message.error_message.as_deref())
}

fn listener(endpoint: &Endpoint) -> Listener<'_> {
    Listener {
        name: (&*endpoint.name).into(),
        host: (&*endpoint.host).into(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    }
}

fn endpoint(listener: Listener<'_>) -> Endpoint {
    Endpoint {
        name: listener.name.into_owned(),
        host: listener.host.into_owned(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    }
}

fn feature(supported: &SupportedFeature) -> Feature<'_> {
    Feature {
        name: (&*supported.name).into(),
        min_supported_version: supported.min,
        max_supported_version: supported.max,
    }
}

fn supported(feature: Feature<'_>) -> SupportedFeature {
    SupportedFeature {
        name: feature.name.into_owned(),
        min: feature.min_supported_version,
        max: feature.max_supported_version,
    }
}
