//! DescribeGroups: state, protocol and members of groups.
//!
//! Behaviour:
//! - Protocol and subscriptions are shown of stable groups only; assignments are the last that were made.
//! - A group that does not exist is `Dead`.
//!
//! Version notes:
//! - v3 may ask for the operations that the client is allowed.
//! - v6 says GROUP_ID_NOT_FOUND, with a message, of a group that does not exist (KIP-1043).

use super::Context;
use crate::coordinator::Groups;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup};

/// Everything that can be done to a group, as bits of Kafka's `AclOperation`: read 3, delete 6, describe 8, describe
/// configs 10, alter configs 11. Without an authorizer every client may do all of it.
const ALL_GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

pub async fn handle(
    groups: &Groups,
    context: &Context<'_>,
    request: DescribeGroupsRequest<'_>,
) -> DescribeGroupsResponse<'static> {
    let described = request.groups.iter().map(|group_id| {
        let mut group = describe(groups, context, group_id);
        if request.include_authorized_operations && group.error_code == 0 {
            group.authorized_operations = ALL_GROUP_OPERATIONS;
        }
        group
    });
    DescribeGroupsResponse { groups: described.collect(), ..Default::default() }
}

fn describe(groups: &Groups, context: &Context<'_>, group_id: &str) -> DescribedGroup<'static> {
    match groups.describe(group_id) {
        Ok(Some(group)) => group,
        Ok(None) => unknown(context, group_id),
        Err(error) => {
            DescribedGroup { group_id: group_id.to_owned().into(), error_code: error.code(), ..Default::default() }
        }
    }
}

fn unknown(context: &Context<'_>, group_id: &str) -> DescribedGroup<'static> {
    let mut group =
        DescribedGroup { group_id: group_id.to_owned().into(), group_state: "Dead".into(), ..Default::default() };
    if context.version >= 6 {
        group.error_code = ErrorCode::GroupIdNotFound.code();
        group.error_message = Some(format!("Group {group_id} not found.").into());
    }
    group
}
