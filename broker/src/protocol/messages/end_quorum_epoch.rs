//! Tells a voter that the leader resigns, and who should follow it (KIP-595, KIP-853).

use crate::protocol::codec::{Str, Uuid};
use crate::protocol::messages::begin_quorum_epoch::LeaderEndpoint;
use crate::protocol::messages::vote::NodeEndpoint;

super::messages! {
    EndQuorumEpochRequest<'a> {
        cluster_id: Option<Str<'a>>,
        topics: Vec<EndQuorumEpochRequestTopic<'a>>,
        leader_endpoints: Vec<LeaderEndpoint<'a>> [1..],
    }

    EndQuorumEpochRequestTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<EndQuorumEpochRequestPartition>,
    }

    EndQuorumEpochRequestPartition {
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32,
        preferred_successors: Vec<i32> [..=0],
        preferred_candidates: Vec<PreferredCandidate> [1..],
    }

    PreferredCandidate {
        candidate_id: i32 [1..],
        candidate_directory_id: Uuid [1..],
    }

    EndQuorumEpochResponse<'a> {
        error_code: i16,
        topics: Vec<EndQuorumEpochResponseTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 1..],
    }

    EndQuorumEpochResponseTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<EndQuorumEpochResponsePartition>,
    }

    EndQuorumEpochResponsePartition {
        partition_index: i32,
        error_code: i16,
        leader_id: i32,
        leader_epoch: i32,
    }
}
