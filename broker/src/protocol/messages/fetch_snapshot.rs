//! Reads a part of a snapshot of the metadata log (KIP-630, KIP-853).

use crate::protocol::codec::{Records, Str, Uuid};
use crate::protocol::messages::vote::NodeEndpoint;

super::messages! {
    FetchSnapshotRequest<'a> {
        cluster_id: Option<Str<'a>> [tag 0, 0..],
        replica_id: i32 = -1,
        max_bytes: i32 = i32::MAX,
        topics: Vec<FetchSnapshotRequestTopic<'a>>,
    }

    FetchSnapshotRequestTopic<'a> {
        name: Str<'a>,
        partitions: Vec<FetchSnapshotRequestPartition>,
    }

    FetchSnapshotRequestPartition {
        partition: i32,
        current_leader_epoch: i32,
        snapshot_id: SnapshotId,
        position: i64,
        replica_directory_id: Uuid [tag 0, 1..],
    }

    SnapshotId {
        end_offset: i64,
        epoch: i32,
    }

    FetchSnapshotResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        topics: Vec<FetchSnapshotResponseTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 1..],
    }

    FetchSnapshotResponseTopic<'a> {
        name: Str<'a>,
        partitions: Vec<FetchSnapshotResponsePartition<'a>>,
    }

    FetchSnapshotResponsePartition<'a> {
        index: i32,
        error_code: i16,
        snapshot_id: SnapshotId,
        current_leader: LeaderIdAndEpoch [tag 0, 0..],
        size: i64,
        position: i64,
        unaligned_records: Records<'a>,
    }

    LeaderIdAndEpoch {
        leader_id: i32,
        leader_epoch: i32,
    }
}
