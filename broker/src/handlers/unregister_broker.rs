//! UnregisterBroker: takes a broker that is gone for good out of the cluster (KIP-631).
//!
//! Behaviour: answered when that is durable. A broker that runs registers itself again.
//! Version notes: there is one version.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::protocol::Str;
use crate::protocol::messages::unregister_broker::*;

pub async fn handle(
    controller: &ControllerClient,
    _: &Context<'_>,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse<'static> {
    match controller.unregister_broker(request.broker_id).await.flatten() {
        Ok(()) => UnregisterBrokerResponse::default(),
        Err(refusal) => UnregisterBrokerResponse {
            error_code: refusal.code.code(),
            error_message: refusal.message.map(Str::Owned),
            ..Default::default()
        },
    }
}
