//! LeaveGroup: members leave, or are removed by an administrator.
//!
//! Behaviour:
//! - Each member has its own error; the group rebalances once for all of them.
//! - Of a group that does not exist every member is unknown.
//!
//! Version notes:
//! - v3 names several members, and static ones by their instance id (KIP-345). Before, there is one, and its error is the
//!   error of the response.

use super::Context;
use crate::coordinator::Groups;
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};

pub async fn handle(
    groups: &Groups,
    context: &Context<'_>,
    mut request: LeaveGroupRequest<'_>,
) -> LeaveGroupResponse<'static> {
    if context.version < 3 {
        let member_id = std::mem::take(&mut request.member_id);
        request.members = vec![MemberIdentity { member_id, ..Default::default() }];
    }
    let left = match request.group_id.is_empty() {
        true => Err(ErrorCode::InvalidGroupId),
        false => groups.leave(context, &request).await,
    };
    match left {
        Err(error) => LeaveGroupResponse { error_code: error.code(), ..Default::default() },
        Ok(members) if context.version < 3 => {
            let error_code = members.first().map_or(0, |member| member.error_code);
            LeaveGroupResponse { error_code, ..Default::default() }
        }
        Ok(members) => LeaveGroupResponse { members, ..Default::default() },
    }
}
