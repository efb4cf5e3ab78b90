//! Takes a broker that is gone for good out of the cluster (KIP-631).

use crate::protocol::codec::Str;

super::messages! {
    UnregisterBrokerRequest {
        broker_id: i32,
    }

    UnregisterBrokerResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
