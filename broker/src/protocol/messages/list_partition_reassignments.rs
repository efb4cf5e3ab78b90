//! Lists the moves of replicas that are under way (KIP-455).

use crate::protocol::codec::Str;

super::messages! {
    ListPartitionReassignmentsRequest<'a> {
        timeout_ms: i32 = 60000,
        topics: Option<Vec<ListPartitionReassignmentsTopics<'a>>>,
    }

    ListPartitionReassignmentsTopics<'a> {
        name: Str<'a>,
        partition_indexes: Vec<i32>,
    }

    ListPartitionReassignmentsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        topics: Vec<OngoingTopicReassignment<'a>>,
    }

    OngoingTopicReassignment<'a> {
        name: Str<'a>,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    OngoingPartitionReassignment {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
