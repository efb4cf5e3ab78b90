//! Asks a voter for its vote, or whether it would give it (KIP-595, KIP-853, KIP-996).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    VoteRequest<'a> {
        cluster_id: Option<Str<'a>>,
        voter_id: i32 [1..] = -1,
        topics: Vec<VoteRequestTopic<'a>>,
    }

    VoteRequestTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<VoteRequestPartition>,
    }

    VoteRequestPartition {
        partition_index: i32,
        replica_epoch: i32,
        replica_id: i32,
        replica_directory_id: Uuid [1..],
        voter_directory_id: Uuid [1..],
        last_offset_epoch: i32,
        last_offset: i64,
        pre_vote: bool [2..],
    }

    VoteResponse<'a> {
        error_code: i16,
        topics: Vec<VoteResponseTopic<'a>>,
        node_endpoints: Vec<NodeEndpoint<'a>> [tag 0, 1..],
    }

    VoteResponseTopic<'a> {
        topic_name: Str<'a>,
        partitions: Vec<VoteResponsePartition>,
    }

    VoteResponsePartition {
        partition_index: i32,
        error_code: i16,
        leader_id: i32,
        leader_epoch: i32,
        vote_granted: bool,
    }

    NodeEndpoint<'a> {
        node_id: i32 [1..],
        host: Str<'a> [1..],
        port: u16 [1..],
    }
}
