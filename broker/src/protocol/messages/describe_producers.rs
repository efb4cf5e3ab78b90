//! Describes the active producers of partitions (KIP-664).

use crate::protocol::codec::Str;

super::messages! {
    DescribeProducersRequest<'a> {
        topics: Vec<TopicRequest<'a>>,
    }

    TopicRequest<'a> {
        name: Str<'a>,
        partition_indexes: Vec<i32>,
    }

    DescribeProducersResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<TopicResponse<'a>>,
    }

    TopicResponse<'a> {
        name: Str<'a>,
        partitions: Vec<PartitionResponse<'a>>,
    }

    PartitionResponse<'a> {
        partition_index: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        active_producers: Vec<ProducerState>,
    }

    ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }
}
