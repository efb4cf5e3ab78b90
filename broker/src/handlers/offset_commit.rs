//! OffsetCommit: a group remembers how far it has read.
//!
//! Behaviour:
//! - From a member of the current generation, or from anyone (generation -1, no member id) while the group has no members.
//! - Each partition has its own error; a partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION and the others go on.
//!
//! Version notes:
//! - v2 to v4 choose their own retention time, which then counts instead of `offsets.retention.minutes`.
//! - v7 has group instance ids (KIP-345).
//! - v9 answers GROUP_ID_NOT_FOUND where older clients get ILLEGAL_GENERATION.

use super::{Context, TopicPartitions};
use crate::coordinator::Groups;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

pub async fn handle(
    groups: &Groups,
    topics: &TopicPartitions<'_>,
    context: &Context<'_>,
    mut request: OffsetCommitRequest<'_>,
) -> OffsetCommitResponse<'static> {
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &mut request.topics {
        let name = &topic.name;
        let unknown = topic.partitions.extract_if(.., |it| !topics(name, it.partition_index));
        let unknown: Vec<i32> = unknown.map(|it| it.partition_index).collect();
        responses.push(failed(name, unknown, ErrorCode::UnknownTopicOrPartition));
    }
    let committed = commit(groups, context, &request).await;
    for (response, committed) in responses.iter_mut().zip(committed) {
        response.partitions.extend(committed.partitions);
    }
    responses.retain(|topic| !topic.partitions.is_empty());
    OffsetCommitResponse { topics: responses, ..Default::default() }
}

/// Commits what exists; the answer has the topics of the request in their order.
async fn commit(
    groups: &Groups,
    context: &Context<'_>,
    request: &OffsetCommitRequest<'_>,
) -> Vec<OffsetCommitResponseTopic<'static>> {
    if request.topics.iter().all(|topic| topic.partitions.is_empty()) {
        return Vec::new();
    }
    let committed = groups.commit(context, request).await;
    committed.unwrap_or_else(|error| request.topics.iter().map(|topic| all_failed(topic, error)).collect())
}

fn all_failed(topic: &OffsetCommitRequestTopic<'_>, error: ErrorCode) -> OffsetCommitResponseTopic<'static> {
    failed(&topic.name, topic.partitions.iter().map(|partition| partition.partition_index), error)
}

fn failed(
    name: &str,
    partitions: impl IntoIterator<Item = i32>,
    error: ErrorCode,
) -> OffsetCommitResponseTopic<'static> {
    let partitions = partitions
        .into_iter()
        .map(|partition_index| OffsetCommitResponsePartition { partition_index, error_code: error.code() })
        .collect();
    OffsetCommitResponseTopic { name: name.to_owned().into(), partitions }
}
