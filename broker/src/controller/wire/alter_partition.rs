//! Changes of the in-sync replicas.

use super::{error_code, outcome, unanswered};
use crate::controller::request::{AlterPartition, AlteredPartition, InSyncReplica, IsrChange, Outcome};
use crate::protocol::Uuid;
use crate::protocol::messages::alter_partition::*;
use std::collections::BTreeMap;

const UNKNOWN_EPOCH: i64 = -1;

pub fn alter_partition_request(request: &AlterPartition) -> AlterPartitionRequest {
    let mut topics: BTreeMap<Uuid, Vec<AlterPartitionRequestPartition>> = BTreeMap::new();
    for change in &request.changes {
        topics.entry(change.topic_id).or_default().push(asked(change));
    }
    let topics = topics.into_iter().map(|(topic_id, partitions)| AlterPartitionRequestTopic { topic_id, partitions });
    AlterPartitionRequest { broker_id: request.broker_id, broker_epoch: request.broker_epoch, topics: topics.collect() }
}

fn asked(change: &IsrChange) -> AlterPartitionRequestPartition {
    let with_epoch =
        |replica: &InSyncReplica| BrokerState { broker_id: replica.id, broker_epoch: replica.broker_epoch };
    AlterPartitionRequestPartition {
        partition_index: change.partition,
        leader_epoch: change.leader_epoch,
        new_isr: change.isr.iter().map(|replica| replica.id).collect(),
        new_isr_with_epochs: change.isr.iter().map(with_epoch).collect(),
        leader_recovery_state: change.leader_recovering.into(),
        partition_epoch: change.partition_epoch,
    }
}

pub fn read_alter_partition(message: &AlterPartitionRequest) -> AlterPartition {
    let changes = message.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| IsrChange {
            topic_id: topic.topic_id,
            partition: partition.partition_index,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr: isr(partition),
            leader_recovering: partition.leader_recovery_state != 0,
        })
    });
    AlterPartition { broker_id: message.broker_id, broker_epoch: message.broker_epoch, changes: changes.collect() }
}

/// Version 2 does not know the replicas' epochs.
fn isr(partition: &AlterPartitionRequestPartition) -> Vec<InSyncReplica> {
    let without = partition.new_isr.iter().map(|id| InSyncReplica { id: *id, broker_epoch: UNKNOWN_EPOCH });
    let with = partition.new_isr_with_epochs.iter();
    let with = with.map(|replica| InSyncReplica { id: replica.broker_id, broker_epoch: replica.broker_epoch });
    if partition.new_isr_with_epochs.is_empty() { without.collect() } else { with.collect() }
}

/// `outcomes` are those of the partitions of `request`, in its order.
pub fn alter_partition_response(
    request: &AlterPartitionRequest,
    outcomes: &Outcome<Vec<Outcome<AlteredPartition>>>,
) -> AlterPartitionResponse {
    let error_code = error_code(outcomes);
    let Ok(outcomes) = outcomes else {
        return AlterPartitionResponse { error_code, ..Default::default() };
    };
    let mut outcomes = outcomes.iter();
    let mut next = || outcomes.next().expect("one outcome for each partition");
    let topics = request.topics.iter().map(|topic| AlterPartitionResponseTopic {
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|partition| altered(partition.partition_index, next())).collect(),
    });
    AlterPartitionResponse { throttle_time_ms: 0, error_code, topics: topics.collect() }
}

fn altered(partition_index: i32, altered: &Outcome<AlteredPartition>) -> AlterPartitionResponsePartition {
    let error_code = error_code(altered);
    let Ok(altered) = altered else {
        return AlterPartitionResponsePartition { partition_index, error_code, ..Default::default() };
    };
    AlterPartitionResponsePartition {
        partition_index,
        error_code,
        leader_id: altered.leader,
        leader_epoch: altered.leader_epoch,
        isr: altered.isr.clone(),
        leader_recovery_state: altered.leader_recovering.into(),
        partition_epoch: altered.partition_epoch,
    }
}

/// The outcomes in the order of the `request` that was sent.
pub fn read_alter_partition_response(
    request: &AlterPartition,
    message: &AlterPartitionResponse,
) -> Outcome<Vec<Outcome<AlteredPartition>>> {
    outcome(message.error_code, None)?;
    let answered = message.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| ((topic.topic_id, partition.partition_index), partition))
    });
    let answered: BTreeMap<(Uuid, i32), &AlterPartitionResponsePartition> = answered.collect();
    let of = |change: &IsrChange| {
        let partition = answered.get(&(change.topic_id, change.partition)).ok_or_else(unanswered)?;
        outcome(partition.error_code, None)?;
        Ok(AlteredPartition {
            leader: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            isr: partition.isr.clone(),
            leader_recovering: partition.leader_recovery_state != 0,
            partition_epoch: partition.partition_epoch,
        })
    };
    Ok(request.changes.iter().map(of).collect())
}
