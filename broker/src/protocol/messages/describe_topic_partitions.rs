//! Describes topics page by page (KIP-966).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    DescribeTopicPartitionsRequest<'a> {
        topics: Vec<TopicRequest<'a>>,
        response_partition_limit: i32 = 2000,
        cursor: Option<CursorRequest<'a>>,
    }

    TopicRequest<'a> {
        name: Str<'a>,
    }

    CursorRequest<'a> {
        topic_name: Str<'a>,
        partition_index: i32,
    }

    DescribeTopicPartitionsResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
        next_cursor: Option<CursorResponse<'a>>,
    }

    DescribeTopicPartitionsResponseTopic<'a> {
        error_code: i16,
        name: Option<Str<'a>>,
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        topic_authorized_operations: i32 = -2147483648,
    }

    DescribeTopicPartitionsResponsePartition {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Vec<i32>,
    }

    CursorResponse<'a> {
        topic_name: Str<'a>,
        partition_index: i32,
    }
}
