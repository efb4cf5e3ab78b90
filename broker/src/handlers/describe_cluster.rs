//! DescribeCluster: the cluster's brokers (KIP-700).
//!
//! Behaviour: the brokers with an address on the listener that the request came by.
//! Version notes: since 1 it says whether it means brokers or controllers (KIP-919), since 2 fenced brokers are shown to
//! who asks for them (KIP-1073).

use super::{Context, authorized_operations};
use crate::controller::client::ControllerClient;
use crate::controller::image::BrokerRegistration;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_cluster::*;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub async fn handle(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse<'static> {
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let text =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return refused(ErrorCode::MismatchedEndpointType, text.to_owned());
        }
        other => return refused(ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}")),
    }
    let image = controller.image();
    let shown = image.brokers.values().filter(|broker| request.include_fenced_brokers || !broker.fenced);
    DescribeClusterResponse {
        cluster_id: controller.cluster_id().to_owned().into(),
        controller_id: controller.node_id(),
        brokers: shown.filter_map(|broker| described(broker, context.listener)).collect(),
        cluster_authorized_operations: authorized_operations::of_cluster(request.include_cluster_authorized_operations),
        ..Default::default()
    }
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

fn refused(code: ErrorCode, message: String) -> DescribeClusterResponse<'static> {
    DescribeClusterResponse { error_code: code.code(), error_message: Some(message.into()), ..Default::default() }
}
