//! OffsetForLeaderEpoch: where a leader epoch ended, so that a client can tell whether the log it read was truncated.
//!
//! Behaviour: the answer is the largest epoch up to the one asked for, and the offset at which the next one began.
//! Version notes: 3 adds the replica id, which is ignored.

use crate::partition::Partitions;
use crate::protocol::messages::offset_for_leader_epoch::*;

pub fn handle<'a>(
    partitions: &Partitions,
    request: OffsetForLeaderEpochRequest<'a>,
) -> OffsetForLeaderEpochResponse<'a> {
    let topic = |topic: OffsetForLeaderTopic<'a>| OffsetForLeaderTopicResult {
        partitions: topic.partitions.iter().map(|wanted| answer(partitions, &topic.topic, wanted)).collect(),
        topic: topic.topic,
    };
    OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics: request.topics.into_iter().map(topic).collect() }
}

fn answer(partitions: &Partitions, topic: &str, wanted: &OffsetForLeaderPartition) -> EpochEndOffset {
    let look = |wanted: &OffsetForLeaderPartition| {
        let partition = partitions.find(topic, wanted.partition)?;
        partition
            .with_log(wanted.current_leader_epoch, |log| log.end_offset_for_epoch(wanted.leader_epoch))
            .map_err(|error| error.code())
    };
    let partition = wanted.partition;
    match look(wanted) {
        Ok((leader_epoch, end_offset)) => EpochEndOffset { error_code: 0, partition, leader_epoch, end_offset },
        Err(code) => EpochEndOffset { error_code: code.code(), partition, leader_epoch: -1, end_offset: -1 },
    }
}
