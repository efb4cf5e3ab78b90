//! DeleteGroups: groups without members are forgotten, with their offsets (KIP-229).
//!
//! Behaviour:
//! - Each group has its own error: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. One that is named twice is answered once.
//!
//! Version notes: all versions are alike.

use super::Context;
use crate::coordinator::Groups;
use crate::protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use std::collections::BTreeSet;

pub async fn handle(
    groups: &Groups,
    context: &Context<'_>,
    request: DeleteGroupsRequest<'_>,
) -> DeleteGroupsResponse<'static> {
    let group_ids: BTreeSet<&str> = request.groups_names.iter().map(|name| &**name).collect();
    let mut results = Vec::with_capacity(group_ids.len());
    for group_id in group_ids {
        let error_code = groups.delete(context, group_id).await.err().map_or(0, |error| error.code());
        results.push(DeletableGroupResult { group_id: group_id.to_owned().into(), error_code });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
