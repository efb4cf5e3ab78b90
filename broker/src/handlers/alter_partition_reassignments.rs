//! AlterPartitionReassignments: moves replicas to other brokers, or cancels that (KIP-455).
//!
//! Behaviour: answered when the moves are durable, not when they are done: ListPartitionReassignments tells how that goes.
//! Each partition is moved or refused for itself, in the order of the request. `timeout_ms` is not waited for.
//! Version notes: since 1 a request may insist that no partition gets more or fewer replicas (KIP-860).

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::request::{AlterReassignments, Outcome, ReassignedPartition};
use crate::protocol::messages::alter_partition_reassignments::*;
use crate::protocol::{ErrorCode, Str};

pub async fn handle<'a>(
    controller: &ControllerClient,
    _: &Context<'_>,
    request: AlterPartitionReassignmentsRequest<'a>,
) -> AlterPartitionReassignmentsResponse<'a> {
    let outcomes = controller.alter_reassignments(wanted(&request)).await;
    let allow_replication_factor_change = request.allow_replication_factor_change;
    let answer = match outcomes {
        Ok(outcomes) => {
            AlterPartitionReassignmentsResponse { responses: responses(request.topics, outcomes), ..Default::default() }
        }
        Err(refusal) => AlterPartitionReassignmentsResponse {
            error_code: refusal.code.code(),
            error_message: refusal.message.map(Str::Owned),
            ..Default::default()
        },
    };
    AlterPartitionReassignmentsResponse { allow_replication_factor_change, ..answer }
}

fn wanted(request: &AlterPartitionReassignmentsRequest<'_>) -> AlterReassignments {
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| ReassignedPartition {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            replicas: partition.replicas.clone(),
        })
    });
    AlterReassignments {
        allow_replication_factor_change: request.allow_replication_factor_change,
        partitions: partitions.collect(),
    }
}

/// `outcomes` are those of the partitions of all `topics`, one after another.
fn responses<'a>(topics: Vec<ReassignableTopic<'a>>, outcomes: Vec<Outcome<()>>) -> Vec<ReassignableTopicResponse<'a>> {
    let mut outcomes = outcomes.into_iter();
    let mut partition = |asked: ReassignablePartition| {
        let refusal = outcomes.next().expect("one outcome for each partition").err();
        ReassignablePartitionResponse {
            partition_index: asked.partition_index,
            error_code: refusal.as_ref().map_or(ErrorCode::None, |refusal| refusal.code).code(),
            error_message: refusal.and_then(|refusal| refusal.message).map(Str::Owned),
        }
    };
    let topics = topics.into_iter();
    topics
        .map(|topic| ReassignableTopicResponse {
            name: topic.name,
            partitions: topic.partitions.into_iter().map(&mut partition).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::request::Refusal;

    fn topic(name: &'static str, partitions: &[(i32, Option<&[i32]>)]) -> ReassignableTopic<'static> {
        let partitions = partitions.iter().map(|(partition_index, replicas)| ReassignablePartition {
            partition_index: *partition_index,
            replicas: replicas.map(<[i32]>::to_vec),
        });
        ReassignableTopic { name: name.into(), partitions: partitions.collect() }
    }

    #[test]
    fn each_partition_gets_its_own_outcome() {
        let topics = vec![topic("t", &[(1, Some(&[2, 3])), (0, None)]), topic("a", &[]), topic("t", &[(4, Some(&[]))])];
        let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
        let wanted = wanted(&request);
        assert!(wanted.allow_replication_factor_change, "as versions without the choice mean it");
        let shown =
            wanted.partitions.iter().map(|moved| format!("{}{}{:?}", moved.topic, moved.partition, moved.replicas));
        assert_eq!(shown.collect::<Vec<_>>(), ["t1Some([2, 3])", "t0None", "t4Some([])"]);

        let refused = Refusal::new(ErrorCode::InvalidReplicaAssignment, "empty");
        let outcomes = vec![Ok(()), Err(ErrorCode::NoReassignmentInProgress.into()), Err(refused)];
        let answered = responses(request.topics, outcomes);
        let shown = answered.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| {
                let message = partition.error_message.as_deref().unwrap_or("-");
                format!("{}:{}:{message}", partition.partition_index, partition.error_code)
            });
            format!("{} {}", topic.name, partitions.collect::<Vec<_>>().join(" "))
        });
        assert_eq!(shown.collect::<Vec<_>>(), ["t 1:0:- 0:85:-", "a ", "t 4:39:empty"]);
    }
}
