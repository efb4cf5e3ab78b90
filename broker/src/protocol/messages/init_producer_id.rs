//! Gives an idempotent producer its id and epoch (KIP-98, KIP-360).

use crate::protocol::codec::Str;

super::messages! {
    InitProducerIdRequest<'a> {
        transactional_id: Option<Str<'a>>,
        transaction_timeout_ms: i32,
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
    }

    InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
