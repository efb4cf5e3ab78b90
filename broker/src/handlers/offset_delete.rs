//! OffsetDelete: a group forgets offsets of topics that it no longer reads (KIP-496).
//!
//! Behaviour:
//! - A group of consumers may have members; a topic they read is GROUP_SUBSCRIBED_TO_TOPIC. Any other group must be empty.
//! - An offset that was never committed is deleted without error; a partition that does not exist is
//!   UNKNOWN_TOPIC_OR_PARTITION.
//!
//! Version notes: there is one version.

use super::{Context, TopicPartitions};
use crate::coordinator::Groups;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

pub async fn handle(
    groups: &Groups,
    topics: &TopicPartitions<'_>,
    context: &Context<'_>,
    mut request: OffsetDeleteRequest<'_>,
) -> OffsetDeleteResponse<'static> {
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in &mut request.topics {
        let name = &topic.name;
        let unknown = topic.partitions.extract_if(.., |it| !topics(name, it.partition_index));
        let partitions = unknown.map(|it| unknown_partition(it.partition_index)).collect();
        responses.push(OffsetDeleteResponseTopic { name: name.to_string().into(), partitions });
    }
    match delete(groups, context, &request).await {
        Ok(deleted) => {
            for (response, deleted) in responses.iter_mut().zip(deleted) {
                response.partitions.extend(deleted.partitions);
            }
            responses.retain(|topic| !topic.partitions.is_empty());
            OffsetDeleteResponse { topics: responses, ..Default::default() }
        }
        Err(error) => OffsetDeleteResponse { error_code: error.code(), ..Default::default() },
    }
}

/// Deletes what exists; the answer has the topics of the request in their order.
async fn delete(
    groups: &Groups,
    context: &Context<'_>,
    request: &OffsetDeleteRequest<'_>,
) -> Result<Vec<OffsetDeleteResponseTopic<'static>>, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    groups.delete_offsets(context, request).await
}

fn unknown_partition(partition_index: i32) -> OffsetDeleteResponsePartition {
    OffsetDeleteResponsePartition { partition_index, error_code: ErrorCode::UnknownTopicOrPartition.code() }
}
