//! Heartbeat: a member is still there, and learns whether it has to join again.
//!
//! Behaviour:
//! - REBALANCE_IN_PROGRESS asks the member to join again; it is kept alive too.
//! - While the group is being loaded every heartbeat is good: a member must not give up because its coordinator moved.
//!
//! Version notes:
//! - v3 has group instance ids (KIP-345).

use super::Context;
use crate::coordinator::Groups;
use crate::protocol::ErrorCode;
use crate::protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

pub async fn handle(groups: &Groups, context: &Context<'_>, request: HeartbeatRequest<'_>) -> HeartbeatResponse {
    let result = match request.group_id.is_empty() {
        true => Err(ErrorCode::InvalidGroupId),
        false => groups.heartbeat(context, &request).await,
    };
    let error = match result {
        Ok(()) | Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
        Err(error) => error,
    };
    HeartbeatResponse { error_code: error.code(), ..Default::default() }
}
