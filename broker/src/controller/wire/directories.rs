//! Where brokers keep their replicas.

use super::{error_code, outcome, unanswered};
use crate::controller::request::{AssignReplicasToDirs, DirectoryAssignment, Outcome};
use crate::protocol::Uuid;
use crate::protocol::messages::assign_replicas_to_dirs::*;
use std::collections::BTreeMap;

pub fn assign_replicas_to_dirs_request(request: &AssignReplicasToDirs) -> AssignReplicasToDirsRequest {
    let mut directories: BTreeMap<Uuid, BTreeMap<Uuid, Vec<AssignReplicasToDirsRequestPartition>>> = BTreeMap::new();
    for assigned in &request.assignments {
        let topic = directories.entry(assigned.directory).or_default().entry(assigned.topic_id).or_default();
        topic.push(AssignReplicasToDirsRequestPartition { partition_index: assigned.partition });
    }
    let topic = |(topic_id, partitions)| AssignReplicasToDirsRequestTopic { topic_id, partitions };
    let directories = directories.into_iter().map(|(id, topics)| AssignReplicasToDirsRequestDirectory {
        id,
        topics: topics.into_iter().map(topic).collect(),
    });
    AssignReplicasToDirsRequest {
        broker_id: request.broker_id,
        broker_epoch: request.broker_epoch,
        directories: directories.collect(),
    }
}

pub fn read_assign_replicas_to_dirs(message: &AssignReplicasToDirsRequest) -> AssignReplicasToDirs {
    let mut assignments = Vec::new();
    for directory in &message.directories {
        for topic in &directory.topics {
            assignments.extend(topic.partitions.iter().map(|partition| DirectoryAssignment {
                directory: directory.id,
                topic_id: topic.topic_id,
                partition: partition.partition_index,
            }));
        }
    }
    AssignReplicasToDirs { broker_id: message.broker_id, broker_epoch: message.broker_epoch, assignments }
}

/// `outcomes` are those of the partitions of `request`, in its order.
pub fn assign_replicas_to_dirs_response(
    request: &AssignReplicasToDirsRequest,
    outcomes: &Outcome<Vec<Outcome<()>>>,
) -> AssignReplicasToDirsResponse {
    let code = error_code(outcomes);
    let Ok(outcomes) = outcomes else {
        return AssignReplicasToDirsResponse { error_code: code, ..Default::default() };
    };
    let mut outcomes = outcomes.iter();
    let mut partition = |asked: &AssignReplicasToDirsRequestPartition| AssignReplicasToDirsResponsePartition {
        partition_index: asked.partition_index,
        error_code: error_code(outcomes.next().expect("one outcome for each partition")),
    };
    let mut topic = |asked: &AssignReplicasToDirsRequestTopic| AssignReplicasToDirsResponseTopic {
        topic_id: asked.topic_id,
        partitions: asked.partitions.iter().map(&mut partition).collect(),
    };
    let directories = request.directories.iter().map(|asked| AssignReplicasToDirsResponseDirectory {
        id: asked.id,
        topics: asked.topics.iter().map(&mut topic).collect(),
    });
    AssignReplicasToDirsResponse { throttle_time_ms: 0, error_code: code, directories: directories.collect() }
}

/// The outcomes in the order of the `request` that was sent.
pub fn read_assign_replicas_to_dirs_response(
    request: &AssignReplicasToDirs,
    message: &AssignReplicasToDirsResponse,
) -> Outcome<Vec<Outcome<()>>> {
    outcome(message.error_code, None)?;
    let mut answered = BTreeMap::new();
    for directory in &message.directories {
        for topic in &directory.topics {
            let of_topic = topic.partitions.iter();
            answered.extend(of_topic.map(|partition| {
                ((directory.id, topic.topic_id, partition.partition_index), outcome(partition.error_code, None))
            }));
        }
    }
    let of = |assigned: &DirectoryAssignment| {
        let place = (assigned.directory, assigned.topic_id, assigned.partition);
        answered.get(&place).cloned().unwrap_or_else(|| Err(unanswered()))
    };
    Ok(request.assignments.iter().map(of).collect())
}
