//! Elects the leaders of partitions (KIP-183, KIP-460).

use crate::protocol::codec::Str;

super::messages! {
    ElectLeadersRequest<'a> {
        election_type: i8 [1..],
        topic_partitions: Option<Vec<TopicPartitions<'a>>>,
        timeout_ms: i32 = 60000,
    }

    TopicPartitions<'a> {
        topic: Str<'a>,
        partitions: Vec<i32>,
    }

    ElectLeadersResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [1..],
        replica_election_results: Vec<ReplicaElectionResult<'a>>,
    }

    ReplicaElectionResult<'a> {
        topic: Str<'a>,
        partition_result: Vec<PartitionResult<'a>>,
    }

    PartitionResult<'a> {
        partition_id: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
