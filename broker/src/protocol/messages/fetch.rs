//! Reads record batches from partitions, by clients and by followers (KIP-227 sessions, KIP-516 topic ids).

use crate::protocol::codec::{Records, Str, Uuid};

super::messages! {
    FetchRequest<'a> {
        cluster_id: Option<Str<'a>> [tag 0, 12..],
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [tag 1, 15..],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        isolation_level: i8,
        session_id: i32 [7..],
        session_epoch: i32 [7..] = -1,
        topics: Vec<FetchTopic<'a>>,
        forgotten_topics_data: Vec<ForgottenTopic<'a>> [7..],
        rack_id: Str<'a> [11..],
    }

    ReplicaState {
        replica_id: i32 [15..] = -1,
        replica_epoch: i64 [15..] = -1,
    }

    FetchTopic<'a> {
        topic: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchPartition>,
    }

    FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9..] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5..] = -1,
        partition_max_bytes: i32,
        replica_directory_id: Uuid [tag 0, 17..],
        high_watermark: i64 [tag 1, 18..] = i64::MAX,
    }

    ForgottenTopic<'a> {
        topic: Str<'a> [7..=12],
        topic_id: Uuid [13..],
        partitions: Vec<i32> [7..],
    }

    FetchResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [7..],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 16..],
    }

    FetchableTopicResponse<'a> {
        topic: Str<'a> [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<PartitionData<'a>>,
    }

    PartitionData<'a> {
        partition_index: i32,
        error_code: i16,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5..] = -1,
        diverging_epoch: EpochEndOffset [tag 0, 12..],
        current_leader: LeaderIdAndEpoch [tag 1, 12..],
        snapshot_id: SnapshotId [tag 2, 12..],
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        preferred_read_replica: i32 [11..] = -1,
        records: Option<Records<'a>>,
    }

    EpochEndOffset {
        epoch: i32 [12..] = -1,
        end_offset: i64 [12..] = -1,
    }

    LeaderIdAndEpoch {
        leader_id: i32 [12..] = -1,
        leader_epoch: i32 [12..] = -1,
    }

    SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    NodeEndpoint<'a> {
        node_id: i32 [16..],
        host: Str<'a> [16..],
        port: i32 [16..],
        rack: Option<Str<'a>> [16..],
    }
}
