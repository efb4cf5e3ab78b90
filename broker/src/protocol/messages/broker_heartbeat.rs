//! A broker's sign of life to the controller, and what it wants (KIP-631, KIP-858).

use crate::protocol::codec::Uuid;

super::messages! {
    BrokerHeartbeatRequest {
        broker_id: i32,
        broker_epoch: i64 = -1,
        current_metadata_offset: i64,
        want_fence: bool,
        want_shut_down: bool,
        offline_log_dirs: Vec<Uuid> [tag 0, 1..],
    }

    BrokerHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: i16,
        is_caught_up: bool,
        is_fenced: bool = true,
        should_shut_down: bool,
    }
}
