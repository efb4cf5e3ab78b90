//! InitProducerId: gives an idempotent producer its id (KIP-98).
//!
//! Behaviour: without a transactional id the answer is always a new id with epoch 0, also for a producer that names the
//! id it had (KIP-360), as in Kafka. A transactional id has no coordinator here: there are no transactions yet.
//! Version notes: since 3 a producer may name its id and epoch, both or neither.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::protocol::ErrorCode;
use crate::protocol::messages::init_producer_id::*;

const NONE: i16 = -1;

pub async fn handle(
    controller: &ControllerClient,
    _: &Context<'_>,
    request: InitProducerIdRequest<'_>,
) -> InitProducerIdResponse {
    match assign(controller, &request).await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(code) => InitProducerIdResponse { error_code: code.code(), producer_epoch: NONE, ..Default::default() },
    }
}

async fn assign(controller: &ControllerClient, request: &InitProducerIdRequest<'_>) -> Result<i64, ErrorCode> {
    if (request.producer_id == i64::from(NONE)) != (request.producer_epoch == NONE) {
        return Err(ErrorCode::InvalidRequest);
    }
    match request.transactional_id.as_deref() {
        None => controller.next_producer_id().await.map_err(|refusal| refusal.code),
        Some("") => Err(ErrorCode::InvalidRequest),
        Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
    }
}
