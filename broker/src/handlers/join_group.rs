//! JoinGroup: a member joins its group and waits for the next generation.
//!
//! Behaviour:
//! - The answer comes when all members have joined or the rebalance timeout has passed, or at once if it is an error.
//! - The leader's answer lists the members and what they support; everyone else's list is empty.
//!
//! Version notes:
//! - v1 has a rebalance timeout; before, it is the session timeout (KIP-62).
//! - v4 gives a new member its id with MEMBER_ID_REQUIRED first (KIP-394).
//! - v5 has group instance ids (KIP-345).
//! - v7 may say null for the protocol name; before, an empty one.
//! - v9 can tell a static leader that came back to skip the assignment (KIP-814).

use super::Context;
use crate::coordinator::Groups;
use crate::coordinator::group::{Caller, join_error};
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use std::net::IpAddr;

pub async fn handle(
    groups: &Groups,
    context: &Context<'_>,
    mut request: JoinGroupRequest<'_>,
) -> JoinGroupResponse<'static> {
    if context.version == 0 {
        request.rebalance_timeout_ms = request.session_timeout_ms;
    }
    let joined = match validate(groups, &request) {
        Ok(()) => join(groups, context, &request).await,
        Err(error) => Err(error),
    };
    let mut response = joined.unwrap_or_else(|error| join_error(&request.member_id, error));
    if context.version < 7 {
        response.protocol_name.get_or_insert_default();
    }
    response
}

fn validate(groups: &Groups, request: &JoinGroupRequest<'_>) -> Result<(), ErrorCode> {
    let config = groups.config();
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    if !(config.min_session_timeout_ms..=config.max_session_timeout_ms).contains(&request.session_timeout_ms) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    Ok(())
}

async fn join(
    groups: &Groups,
    context: &Context<'_>,
    request: &JoinGroupRequest<'_>,
) -> Result<JoinGroupResponse<'static>, ErrorCode> {
    let caller = Caller {
        client_id: context.client_id,
        client_host: &java_address(context.client_host),
        requires_member_id: context.version >= 4,
        can_skip_assignment: context.version >= 9,
        member_uuid: &uuid_text(rand::random()),
    };
    groups.join(context, &caller, request).await
}

/// As Java shows an address without a name, which is what tools show for a member's host.
fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => format!("/{}", address.segments().map(|segment| format!("{segment:x}")).join(":")),
    }
}

/// A random UUID (version 4) as Java shows it.
fn uuid_text(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_java_shows_them() {
        assert_eq!(java_address("127.0.0.1".parse().unwrap()), "/127.0.0.1");
        assert_eq!(java_address("::ffff:10.0.0.1".parse().unwrap()), "/10.0.0.1");
        assert_eq!(java_address("::1".parse().unwrap()), "/0:0:0:0:0:0:0:1");
    }

    #[test]
    fn uuids_say_that_they_are_random() {
        assert_eq!(uuid_text(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_text(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
