//! DescribeProducers: the producers that a partition remembers (KIP-664).

use crate::log::{Log, ProducerDescription};
use crate::partition::Partitions;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_producers::*;

const NO_EPOCH: i32 = -1;

pub fn handle<'a>(partitions: &Partitions, request: DescribeProducersRequest<'a>) -> DescribeProducersResponse<'a> {
    let topic = |topic: TopicRequest<'a>| TopicResponse {
        partitions: topic.partition_indexes.iter().map(|index| answer(partitions, &topic.name, *index)).collect(),
        name: topic.name,
    };
    DescribeProducersResponse { throttle_time_ms: 0, topics: request.topics.into_iter().map(topic).collect() }
}

fn answer<'a>(partitions: &Partitions, topic: &str, partition_index: i32) -> PartitionResponse<'a> {
    let active = || {
        let partition = partitions.partition(topic, partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let producers = |log: &Log| log.producers().into_iter().map(describe).collect();
        partition.with_log(NO_EPOCH, producers).map_err(|error| error.code())
    };
    match active() {
        Ok(active_producers) => PartitionResponse { partition_index, active_producers, ..Default::default() },
        Err(code) => PartitionResponse { partition_index, error_code: code.code(), ..Default::default() },
    }
}

fn describe(producer: ProducerDescription) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_txn_start_offset.unwrap_or(-1),
    }
}
