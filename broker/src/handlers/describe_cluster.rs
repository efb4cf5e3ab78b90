//! DescribeCluster: the cluster's brokers, or its controllers (KIP-700, KIP-919).
//!
//! Behaviour: clients of a broker get the brokers with an address on the listener that the request came by; those of a
//! controller get the voters of the quorum. Who asks one for the other is told so.
//! Version notes: since 1 it says whether it means brokers or controllers; version 0 means brokers, and gets
//! INVALID_REQUEST from a controller. Since 2 fenced brokers are shown to who asks for them (KIP-1073).

use super::{Context, authorized_operations, controller_id};
use crate::controller::client::ControllerClient;
use crate::controller::image::{BrokerRegistration, MetadataImage};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_cluster::*;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
const ENDPOINT_TYPES_SINCE: i16 = 1;

/// The answer of a broker.
pub fn of_brokers(
    image: &MetadataImage,
    cluster_id: &str,
    context: &Context<'_>,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse<'static> {
    if let Some(refused) = mismatch(BROKERS, context.version, request.endpoint_type) {
        return refused;
    }
    let shown = image.brokers.values().filter(|broker| request.include_fenced_brokers || !broker.fenced);
    let brokers: Vec<_> = shown.filter_map(|broker| described(broker, context.listener)).collect();
    let live = brokers.iter().filter(|broker| !broker.is_fenced);
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: cluster_id.to_owned().into(),
        controller_id: controller_id::any_of(live.map(|broker| broker.broker_id)),
        brokers,
        cluster_authorized_operations: authorized_operations::of_cluster(request.include_cluster_authorized_operations),
        ..Default::default()
    }
}

/// The answer of a controller.
pub fn of_controllers(
    controller: &ControllerClient,
    version: i16,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse<'static> {
    if let Some(refused) = mismatch(CONTROLLERS, version, request.endpoint_type) {
        return refused;
    }
    let voters = controller.border().voters.iter();
    let voters = voters.map(|(id, address)| DescribeClusterBroker {
        broker_id: id.0,
        host: address.host.clone().into(),
        port: address.port.into(),
        ..Default::default()
    });
    DescribeClusterResponse {
        endpoint_type: CONTROLLERS,
        cluster_id: controller.cluster_id().to_owned().into(),
        controller_id: controller.leader().leader.map_or(-1, |leader| leader.0),
        brokers: voters.collect(),
        cluster_authorized_operations: authorized_operations::of_cluster(request.include_cluster_authorized_operations),
        ..Default::default()
    }
}

/// The refusal of a request for other endpoints than these are.
fn mismatch(ours: i8, version: i16, wanted: i8) -> Option<DescribeClusterResponse<'static>> {
    let name = |endpoint| if endpoint == BROKERS { "BROKER" } else { "CONTROLLER" };
    let (code, message) = match wanted {
        wanted if wanted == ours => return None,
        BROKERS | CONTROLLERS => {
            let (ours, wanted) = (name(ours), name(wanted));
            let text = format!(
                "The request was sent to an endpoint of type {ours}, but we wanted an endpoint of type {wanted}"
            );
            (ErrorCode::MismatchedEndpointType, text)
        }
        other => (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}")),
    };
    let code = if version < ENDPOINT_TYPES_SINCE { ErrorCode::InvalidRequest } else { code };
    let error_message = Some(message.into());
    Some(DescribeClusterResponse { error_code: code.code(), error_message, ..Default::default() })
}

fn described(broker: &BrokerRegistration, listener: &str) -> Option<DescribeClusterBroker<'static>> {
    let endpoint = broker.endpoint(listener)?;
    Some(DescribeClusterBroker {
        broker_id: broker.id,
        host: endpoint.host.clone().into(),
        port: endpoint.port.into(),
        rack: broker.rack.clone().map(Into::into),
        is_fenced: broker.fenced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::image::Endpoint;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    /// Brokers 1 and 2, 3 which is fenced, and 4 which has another listener.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        for (id, name, fenced) in
            [(1, "PLAINTEXT", false), (2, "PLAINTEXT", false), (3, "PLAINTEXT", true), (4, "OTHER", false)]
        {
            let endpoint = Endpoint { name: name.into(), host: "h".into(), port: 9092, security_protocol: 0 };
            let endpoints = vec![endpoint];
            image.brokers.insert(id, Arc::new(BrokerRegistration { endpoints, fenced, ..registration(id) }));
        }
        image
    }

    fn registration(id: i32) -> BrokerRegistration {
        BrokerRegistration {
            id,
            epoch: 1,
            incarnation: crate::protocol::Uuid::ZERO,
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
            directories: Vec::new(),
        }
    }

    fn ask(version: i16, endpoint_type: i8, include_fenced_brokers: bool) -> DescribeClusterResponse<'static> {
        let client_host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let context =
            Context { version, client_id: "", client_host, listener: "PLAINTEXT", now: 0, is_forwarded: false };
        let request = DescribeClusterRequest { endpoint_type, include_fenced_brokers, ..Default::default() };
        of_brokers(&image(), "cluster", &context, &request)
    }

    #[test]
    fn fenced_brokers_are_shown_to_who_asks_and_never_as_the_controller() {
        let shown = |response: &DescribeClusterResponse<'_>| {
            response.brokers.iter().map(|broker| (broker.broker_id, broker.is_fenced)).collect::<Vec<_>>()
        };
        assert_eq!(shown(&ask(2, BROKERS, false)), [(1, false), (2, false)]);
        for _ in 0..100 {
            let response = ask(2, BROKERS, true);
            assert_eq!(shown(&response), [(1, false), (2, false), (3, true)]);
            assert!([1, 2].contains(&response.controller_id), "{}", response.controller_id);
        }
    }

    #[test]
    fn who_asks_for_other_endpoints_is_told_so() {
        let code = |response: DescribeClusterResponse<'_>| ErrorCode::from_code(response.error_code).unwrap();
        assert_eq!(code(ask(1, CONTROLLERS, false)), ErrorCode::MismatchedEndpointType);
        assert_eq!(code(ask(1, 3, false)), ErrorCode::UnsupportedEndpointType);
        assert_eq!(code(mismatch(CONTROLLERS, 1, BROKERS).unwrap()), ErrorCode::MismatchedEndpointType);
        assert_eq!(code(mismatch(CONTROLLERS, 0, BROKERS).unwrap()), ErrorCode::InvalidRequest);
        assert_eq!(mismatch(CONTROLLERS, 2, CONTROLLERS), None);
    }
}
