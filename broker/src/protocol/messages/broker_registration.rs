//! Makes a starting broker known to the controller (KIP-631, KIP-858).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    BrokerRegistrationRequest<'a> {
        broker_id: i32,
        cluster_id: Str<'a>,
        incarnation_id: Uuid,
        listeners: Vec<Listener<'a>>,
        features: Vec<Feature<'a>>,
        rack: Option<Str<'a>>,
        is_migrating_zk_broker: bool [1..],
        log_dirs: Vec<Uuid> [2..],
        previous_broker_epoch: i64 [3..] = -1,
    }

    Listener<'a> {
        name: Str<'a>,
        host: Str<'a>,
        port: u16,
        security_protocol: i16,
    }

    Feature<'a> {
        name: Str<'a>,
        min_supported_version: i16,
        max_supported_version: i16,
    }

    BrokerRegistrationResponse {
        throttle_time_ms: i32,
        error_code: i16,
        broker_epoch: i64 = -1,
    }
}
