//! ListGroups: the groups that this broker coordinates.
//!
//! Behaviour:
//! - Filters do not look at case; one that names nothing known matches nothing.
//! - COORDINATOR_LOAD_IN_PROGRESS while some of the groups are loaded: a part is not taken for the whole.
//!
//! Version notes:
//! - v4 filters by state (KIP-518), v5 by type (KIP-848).

use super::Context;
use crate::coordinator::Groups;
use crate::protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};

pub async fn handle(groups: &Groups, _: &Context<'_>, request: ListGroupsRequest<'_>) -> ListGroupsResponse<'static> {
    let states: Vec<&str> = request.states_filter.iter().map(|state| &**state).collect();
    let types: Vec<&str> = request.types_filter.iter().map(|group_type| &**group_type).collect();
    match groups.list(&states, &types) {
        Ok(groups) => ListGroupsResponse { groups, ..Default::default() },
        Err(error) => ListGroupsResponse { error_code: error.code(), ..Default::default() },
    }
}
