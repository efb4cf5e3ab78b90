//! Tells the controller in which of a broker's log directories replicas are (KIP-858).

use crate::protocol::codec::Uuid;

super::messages! {
    AssignReplicasToDirsRequest {
        broker_id: i32,
        broker_epoch: i64 = -1,
        directories: Vec<AssignReplicasToDirsRequestDirectory>,
    }

    AssignReplicasToDirsRequestDirectory {
        id: Uuid,
        topics: Vec<AssignReplicasToDirsRequestTopic>,
    }

    AssignReplicasToDirsRequestTopic {
        topic_id: Uuid,
        partitions: Vec<AssignReplicasToDirsRequestPartition>,
    }

    AssignReplicasToDirsRequestPartition {
        partition_index: i32,
    }

    AssignReplicasToDirsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        directories: Vec<AssignReplicasToDirsResponseDirectory>,
    }

    AssignReplicasToDirsResponseDirectory {
        id: Uuid,
        topics: Vec<AssignReplicasToDirsResponseTopic>,
    }

    AssignReplicasToDirsResponseTopic {
        topic_id: Uuid,
        partitions: Vec<AssignReplicasToDirsResponsePartition>,
    }

    AssignReplicasToDirsResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
