//! Tells a voter who was elected (KIP-595, KIP-853).

use crate::protocol::codec::{Str, Uuid};
use crate::protocol::messages::vote::NodeEndpoint;

super::messages! {
    BeginQuorumEpochRequest<'a> {
        cluster_id: Option<Str<'a>>,
        voter_id: i32 [1..] = -1,
        topics: Vec<BeginQuorumEpochRequestTopic<'a>>,
        leader_endpoints: Vec<LeaderEndpoint<'a>> [1..],
    }

    BeginQuorumEpochRequestTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<BeginQuorumEpochRequestPartition>,
    }

    BeginQuorumEpochRequestPartition {
        partition_index: i32,
        voter_directory_id: Uuid [1..],
        leader_id: i32,
        leader_epoch: i32,
    }

    LeaderEndpoint<'a> {
        name: Str<'a> [1..],
        host: Str<'a> [1..],
        port: u16 [1..],
    }

    BeginQuorumEpochResponse<'a> {
        error_code: i16,
        topics: Vec<BeginQuorumEpochResponseTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 1..],
    }

    BeginQuorumEpochResponseTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<BeginQuorumEpochResponsePartition>,
    }

    BeginQuorumEpochResponsePartition {
        partition_index: i32,
        error_code: i16,
        leader_id: i32,
        leader_epoch: i32,
    }
}
