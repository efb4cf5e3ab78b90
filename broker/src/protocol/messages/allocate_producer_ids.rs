//! Gives a broker a block of producer ids of its own (KIP-730).

super::messages! {
    AllocateProducerIdsRequest {
        broker_id: i32,
        broker_epoch: i64 = -1,
    }

    AllocateProducerIdsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id_start: i64,
        producer_id_len: i32,
    }
}
