//! Blocks of producer ids.

use super::{error_code, outcome};
use crate::controller::request::{Outcome, ProducerIdBlock};
use crate::protocol::messages::allocate_producer_ids::*;

pub fn allocate_producer_ids_request(broker_id: i32, broker_epoch: i64) -> AllocateProducerIdsRequest {
    AllocateProducerIdsRequest { broker_id, broker_epoch }
}

pub fn allocate_producer_ids_response(block: &Outcome<ProducerIdBlock>) -> AllocateProducerIdsResponse {
    let error_code = error_code(block);
    let (producer_id_start, count) = block.as_ref().map_or((0, 0), |block| (block.first, block.count));
    let producer_id_len = i32::try_from(count).expect("a block is small");
    AllocateProducerIdsResponse { throttle_time_ms: 0, error_code, producer_id_start, producer_id_len }
}

pub fn read_allocate_producer_ids_response(message: &AllocateProducerIdsResponse) -> Outcome<ProducerIdBlock> {
    outcome(message.error_code, None)?;
    Ok(ProducerIdBlock { first: message.producer_id_start, count: message.producer_id_len.into() })
}
