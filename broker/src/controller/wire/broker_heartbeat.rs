//! A broker's sign of life.

use super::{error_code, outcome};
use crate::controller::request::{BrokerHeartbeat, HeartbeatAnswer, Outcome};
use crate::protocol::messages::broker_heartbeat::*;

pub fn broker_heartbeat_request(heartbeat: &BrokerHeartbeat) -> BrokerHeartbeatRequest {
    BrokerHeartbeatRequest {
        broker_id: heartbeat.id,
        broker_epoch: heartbeat.epoch,
        // Kafka names the last record, not the offset behind it.
        current_metadata_offset: heartbeat.metadata_end_offset - 1,
        want_fence: heartbeat.wants_fence,
        want_shut_down: heartbeat.wants_shutdown,
        offline_log_dirs: heartbeat.offline_directories.clone(),
    }
}

pub fn read_broker_heartbeat(message: BrokerHeartbeatRequest) -> BrokerHeartbeat {
    BrokerHeartbeat {
        id: message.broker_id,
        epoch: message.broker_epoch,
        metadata_end_offset: message.current_metadata_offset.saturating_add(1),
        wants_fence: message.want_fence,
        wants_shutdown: message.want_shut_down,
        offline_directories: message.offline_log_dirs,
    }
}

pub fn broker_heartbeat_response(answer: &Outcome<HeartbeatAnswer>) -> BrokerHeartbeatResponse {
    let error_code = error_code(answer);
    let Ok(answer) = answer else {
        return BrokerHeartbeatResponse { error_code, ..Default::default() };
    };
    BrokerHeartbeatResponse {
        throttle_time_ms: 0,
        error_code,
        is_caught_up: answer.is_caught_up,
        is_fenced: answer.is_fenced,
        should_shut_down: answer.should_shut_down,
    }
}

pub fn read_broker_heartbeat_response(message: &BrokerHeartbeatResponse) -> Outcome<HeartbeatAnswer> {
    outcome(message.error_code, None)?;
    Ok(HeartbeatAnswer {
        is_caught_up: message.is_caught_up,
        is_fenced: message.is_fenced,
        should_shut_down: message.should_shut_down,
    })
}
