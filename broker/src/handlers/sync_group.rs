//! SyncGroup: a member asks for its assignment; the leader brings everyone's.
//!
//! Behaviour:
//! - Waits until the leader's assignments are written down.
//!
//! Version notes:
//! - v3 has group instance ids (KIP-345).
//! - v5 must name the protocol type and the protocol, which have to be the group's (KIP-559).

use super::Context;
use crate::coordinator::Groups;
use crate::coordinator::group::sync_error;
use crate::protocol::ErrorCode;
use crate::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

pub async fn handle(
    groups: &Groups,
    context: &Context<'_>,
    request: SyncGroupRequest<'_>,
) -> SyncGroupResponse<'static> {
    let synced = match validate(context, &request) {
        Ok(()) => groups.sync(context, &request).await,
        Err(error) => Err(error),
    };
    synced.unwrap_or_else(sync_error)
}

fn validate(context: &Context<'_>, request: &SyncGroupRequest<'_>) -> Result<(), ErrorCode> {
    if context.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    if request.group_id.is_empty() { Err(ErrorCode::InvalidGroupId) } else { Ok(()) }
}
