//! Makes a starting controller known to the active one (KIP-919).

use crate::protocol::codec::{Str, Uuid};
use crate::protocol::messages::broker_registration::{Feature, Listener};

super::messages! {
    ControllerRegistrationRequest<'a> {
        controller_id: i32,
        incarnation_id: Uuid,
        zk_migration_ready: bool,
        listeners: Vec<Listener<'a>>,
        features: Vec<Feature<'a>>,
    }

    ControllerRegistrationResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
