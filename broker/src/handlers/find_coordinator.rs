//! FindCoordinator: which broker keeps a group (or, once there are transactions, a transactional id).
//!
//! Behaviour: a group's coordinator leads the partition of `__consumer_offsets` that the hash of its id falls on. The
//! topic is made when it is first asked for. Transactional ids and share groups have no coordinator here yet.
//! Version notes: since 4 a request names several keys (KIP-699); up to 3 it names one.

use super::Context;
use crate::controller::{ControllerClient, MetadataImage};
use crate::coordinator::Groups;
use crate::protocol::messages::find_coordinator::*;
use crate::protocol::{ErrorCode, Str};

const BATCHED_SINCE: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const GROUPS_TOPIC: &str = "__consumer_offsets";
const NO_NODE: i32 = -1;

pub async fn handle<'a>(
    controller: &ControllerClient,
    groups: &Groups,
    context: &Context<'_>,
    request: FindCoordinatorRequest<'a>,
) -> FindCoordinatorResponse<'a> {
    let key_type = request.key_type;
    let refusal = match key_type {
        GROUP => make_topic(controller).await.err(),
        TRANSACTION => Some(ErrorCode::CoordinatorNotAvailable),
        _ => Some(ErrorCode::InvalidRequest),
    };
    let image = controller.image();
    let find = |key: Str<'a>| match refusal {
        Some(code) => missing(key, code),
        None => find(&image, groups, context.listener, key),
    };
    if context.version >= BATCHED_SINCE {
        let coordinators = request.coordinator_keys.into_iter().map(find).collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let found = find(request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

async fn make_topic(controller: &ControllerClient) -> Result<(), ErrorCode> {
    if controller.image().topics.by_name(GROUPS_TOPIC).is_some() {
        return Ok(());
    }
    controller.create_internal_topic(GROUPS_TOPIC).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)
}

fn find<'a>(image: &MetadataImage, groups: &Groups, listener: &str, key: Str<'a>) -> Coordinator<'a> {
    if key.is_empty() {
        return missing(key, ErrorCode::InvalidGroupId);
    }
    let Some(topic) = image.topics.by_name(GROUPS_TOPIC) else {
        return missing(key, ErrorCode::CoordinatorNotAvailable);
    };
    let leader = topic.partition(groups.partition_for(&key)).map_or(NO_NODE, |partition| partition.leader);
    let Some(endpoint) = image.address(leader, listener) else {
        return missing(key, ErrorCode::CoordinatorNotAvailable);
    };
    Coordinator {
        key,
        node_id: leader,
        host: Str::Owned(endpoint.host.clone()),
        port: i32::from(endpoint.port),
        ..Default::default()
    }
}

fn missing(key: Str<'_>, code: ErrorCode) -> Coordinator<'_> {
    Coordinator {
        key,
        node_id: NO_NODE,
        host: Str::default(),
        port: -1,
        error_code: code.code(),
        error_message: Some(Str::Borrowed(message(code))),
    }
}

fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest => "key types are 0 (group) and 1 (transaction)",
        ErrorCode::InvalidGroupId => "a group id is not empty",
        _ => "the coordinator is not available",
    }
}
