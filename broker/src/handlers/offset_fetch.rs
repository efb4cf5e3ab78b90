//! OffsetFetch: how far groups have read.
//!
//! Behaviour:
//! - A partition without a committed offset, also of a group or topic that does not exist, has offset -1 and no error.
//! - Null topics ask for all that is committed.
//! - What is answered is committed in `__consumer_offsets` too, so `require_stable` (KIP-447) asks for nothing more.
//! - The member id and epoch of v9 belong to the protocol of KIP-848; a classic group does not look at them.
//!
//! Version notes:
//! - v1 has no error of its own: one of the group stands at each partition.
//! - v2 may ask for all topics, and has an error of its own.
//! - v8 asks for several groups, each with its own error (KIP-709).

use super::Context;
use crate::coordinator::Groups;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

pub async fn handle(
    groups: &Groups,
    context: &Context<'_>,
    request: OffsetFetchRequest<'_>,
) -> OffsetFetchResponse<'static> {
    if context.version < 8 {
        return handle_one_group(groups, context, request).await;
    }
    let mut responses = Vec::with_capacity(request.groups.len());
    for group in &request.groups {
        responses.push(fetch(groups, group).await);
    }
    OffsetFetchResponse { groups: responses, ..Default::default() }
}

async fn fetch(groups: &Groups, request: &OffsetFetchRequestGroup<'_>) -> OffsetFetchResponseGroup<'static> {
    let fetched = groups.fetch(&request.group_id, request.topics.as_deref()).await;
    // Clients of before Kafka 3.9 do not retry on anything else when it takes too long.
    let fetched = fetched.map_err(|error| match error {
        ErrorCode::CoordinatorNotAvailable => ErrorCode::NotCoordinator,
        error => error,
    });
    let error_code = fetched.as_ref().err().map_or(0, |error| error.code());
    let group_id = request.group_id.to_string().into();
    OffsetFetchResponseGroup { group_id, topics: fetched.unwrap_or_default(), error_code }
}

async fn handle_one_group(
    groups: &Groups,
    context: &Context<'_>,
    request: OffsetFetchRequest<'_>,
) -> OffsetFetchResponse<'static> {
    let topics = request.topics.map(|topics| topics.into_iter().map(batched_topic).collect());
    let group = OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() };
    let response = fetch(groups, &group).await;
    let topics = match response.error_code {
        0 => response.topics.into_iter().map(single_topic).collect(),
        error_code if context.version < 2 => failed_topics(&group, error_code),
        _ => Vec::new(),
    };
    OffsetFetchResponse { topics, error_code: response.error_code, ..Default::default() }
}

fn batched_topic(topic: OffsetFetchRequestTopic<'_>) -> OffsetFetchRequestTopics<'_> {
    OffsetFetchRequestTopics { name: topic.name, partition_indexes: topic.partition_indexes }
}

fn single_topic(topic: OffsetFetchResponseTopics<'static>) -> OffsetFetchResponseTopic<'static> {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}

fn failed_topics(group: &OffsetFetchRequestGroup<'_>, error_code: i16) -> Vec<OffsetFetchResponseTopic<'static>> {
    let failed = |index: &i32| OffsetFetchResponsePartition {
        partition_index: *index,
        committed_offset: -1,
        metadata: Some("".into()),
        error_code,
        ..Default::default()
    };
    let topics = group.topics.iter().flatten().map(|topic| OffsetFetchResponseTopic {
        name: topic.name.to_string().into(),
        partitions: topic.partition_indexes.iter().map(failed).collect(),
    });
    topics.collect()
}
