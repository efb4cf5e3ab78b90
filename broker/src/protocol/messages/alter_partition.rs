//! A leader's change of the in-sync replicas of its partitions (KIP-497, KIP-841, KIP-903).

use crate::protocol::codec::Uuid;

super::messages! {
    AlterPartitionRequest {
        broker_id: i32,
        broker_epoch: i64 = -1,
        topics: Vec<AlterPartitionRequestTopic>,
    }

    AlterPartitionRequestTopic {
        topic_id: Uuid [2..],
        partitions: Vec<AlterPartitionRequestPartition>,
    }

    AlterPartitionRequestPartition {
        partition_index: i32,
        leader_epoch: i32,
        new_isr: Vec<i32> [..=2],
        new_isr_with_epochs: Vec<BrokerState> [3..],
        leader_recovery_state: i8 [1..],
        partition_epoch: i32,
    }

    BrokerState {
        broker_id: i32 [3..],
        broker_epoch: i64 [3..] = -1,
    }

    AlterPartitionResponse {
        throttle_time_ms: i32,
        error_code: i16,
        topics: Vec<AlterPartitionResponseTopic>,
    }

    AlterPartitionResponseTopic {
        topic_id: Uuid [2..],
        partitions: Vec<AlterPartitionResponsePartition>,
    }

    AlterPartitionResponsePartition {
        partition_index: i32,
        error_code: i16,
        leader_id: i32,
        leader_epoch: i32,
        isr: Vec<i32>,
        leader_recovery_state: i8 [1..],
        partition_epoch: i32,
    }
}
