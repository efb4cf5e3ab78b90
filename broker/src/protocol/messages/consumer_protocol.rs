//! What consumers say to each other inside JoinGroup and SyncGroup: read by the broker to tell which topics a group uses.

use crate::protocol::codec::{Blob, Str};

super::messages! {
    ConsumerProtocolSubscription<'a> {
        topics: Vec<Str<'a>>,
        user_data: Option<Blob<'a>>,
        owned_partitions: Vec<ConsumerProtocolSubscriptionTopicPartition<'a>> [1..],
        generation_id: i32 [2..] = -1,
        rack_id: Option<Str<'a>> [3..],
    }

    ConsumerProtocolSubscriptionTopicPartition<'a> {
        topic: Str<'a> [1..],
        partitions: Vec<i32> [1..],
    }

    ConsumerProtocolAssignment<'a> {
        assigned_partitions: Vec<ConsumerProtocolAssignmentTopicPartition<'a>>,
        user_data: Option<Blob<'a>>,
    }

    ConsumerProtocolAssignmentTopicPartition<'a> {
        topic: Str<'a>,
        partitions: Vec<i32>,
    }
}
