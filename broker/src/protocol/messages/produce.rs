//! Appends record batches to partitions.

use crate::protocol::codec::{Records, Str, Uuid};

super::messages! {
    ProduceRequest<'a> {
        transactional_id: Option<Str<'a>> [3..],
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData<'a>>,
    }

    TopicProduceData<'a> {
        name: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partition_data: Vec<PartitionProduceData<'a>>,
    }

    PartitionProduceData<'a> {
        index: i32,
        records: Option<Records<'a>>,
    }

    ProduceResponse<'a> {
        responses: Vec<TopicProduceResponse<'a>>,
        throttle_time_ms: i32 [1..],
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 10..],
    }

    TopicProduceResponse<'a> {
        name: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partition_responses: Vec<PartitionProduceResponse<'a>>,
    }

    PartitionProduceResponse<'a> {
        index: i32,
        error_code: i16,
        base_offset: i64,
        log_append_time_ms: i64 [2..] = -1,
        log_start_offset: i64 [5..] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage<'a>> [8..],
        error_message: Option<Str<'a>> [8..],
        current_leader: LeaderIdAndEpoch [tag 0, 10..],
    }

    BatchIndexAndErrorMessage<'a> {
        batch_index: i32 [8..],
        batch_index_error_message: Option<Str<'a>> [8..],
    }

    LeaderIdAndEpoch {
        leader_id: i32 [10..] = -1,
        leader_epoch: i32 [10..] = -1,
    }

    NodeEndpoint<'a> {
        node_id: i32 [10..],
        host: Str<'a> [10..],
        port: i32 [10..],
        rack: Option<Str<'a>> [10..],
    }
}
