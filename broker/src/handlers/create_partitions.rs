//! CreatePartitions: adds partitions to topics (KIP-195).
//!
//! Behaviour: answered when the partitions are durable and this broker has made its own. A topic that is named twice is
//! refused. Keys move to other partitions: that is the caller's business.
//! Version notes: all versions mean the same.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::request::{CreatePartitions, NewPartitions};
use crate::protocol::messages::create_partitions::*;
use std::collections::BTreeSet;

pub async fn handle(
    controller: &ControllerClient,
    _: &Context<'_>,
    request: CreatePartitionsRequest<'_>,
) -> CreatePartitionsResponse<'static> {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.to_string()).collect();
    let topics = request.topics.into_iter().map(new_partitions).collect();
    let outcomes =
        controller.create_partitions(CreatePartitions { topics, validate_only: request.validate_only }).await;
    let outcomes = outcomes.unwrap_or_else(|refusal| vec![Err(refusal); names.len()]);
    let mut answered = BTreeSet::new();
    let results = names
        .into_iter()
        .zip(outcomes)
        .filter(|(name, _)| answered.insert(name.clone()))
        .map(|(name, outcome)| {
            let refusal = outcome.err();
            CreatePartitionsTopicResult {
                name: name.into(),
                error_code: refusal.as_ref().map_or(0, |refusal| refusal.code.code()),
                error_message: refusal.and_then(|refusal| refusal.message).map(Into::into),
            }
        })
        .collect();
    CreatePartitionsResponse { results, ..Default::default() }
}

fn new_partitions(topic: CreatePartitionsTopic<'_>) -> NewPartitions {
    NewPartitions {
        topic: topic.name.into_owned(),
        from: None,
        count: topic.count,
        assignments: topic
            .assignments
            .map(|assignments| assignments.into_iter().map(|assignment| assignment.broker_ids).collect()),
    }
}
