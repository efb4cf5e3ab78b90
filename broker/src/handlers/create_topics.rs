//! CreateTopics: makes topics (KIP-4).
//!
//! Behaviour: answered when the topics are durable and this broker has made their partitions. Each topic is made or
//! refused for itself; one that is named twice is refused. `timeout_ms` is not waited for: there is nothing to wait for.
//! Version notes: since 5 the answer holds what the topic became (KIP-525), since 7 its id (KIP-516).

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::request::{CreatedTopic, Outcome, Refusal};
use crate::controller::wire::read_create_topics;
use crate::protocol::messages::create_topics::*;
use std::collections::BTreeSet;

const DETAILS_SINCE: i16 = 5;

pub async fn handle(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: CreateTopicsRequest<'_>,
) -> CreateTopicsResponse<'static> {
    let names: Vec<String> = request.topics.iter().map(|topic| topic.name.to_string()).collect();
    let outcomes = controller.create_topics(read_create_topics(request)).await;
    let outcomes = outcomes.unwrap_or_else(|refusal| vec![Err(refusal); names.len()]);
    let mut answered = BTreeSet::new();
    let topics = names
        .into_iter()
        .zip(outcomes)
        .filter(|(name, _)| answered.insert(name.clone()))
        .map(|(name, outcome)| result(controller, context.version, name, outcome))
        .collect();
    CreateTopicsResponse { topics, ..Default::default() }
}

fn result(
    controller: &ControllerClient,
    version: i16,
    name: String,
    outcome: Outcome<CreatedTopic>,
) -> CreatableTopicResult<'static> {
    let name = name.into();
    match outcome {
        Ok(created) => CreatableTopicResult {
            name,
            topic_id: created.id,
            num_partitions: created.partitions,
            replication_factor: created.replication_factor,
            configs: (version >= DETAILS_SINCE).then(|| configs(controller, &created)),
            ..Default::default()
        },
        Err(Refusal { code, message }) => CreatableTopicResult {
            name,
            error_code: code.code(),
            error_message: message.map(Into::into),
            configs: Some(Vec::new()),
            ..Default::default()
        },
    }
}

fn configs(controller: &ControllerClient, created: &CreatedTopic) -> Vec<CreatableTopicConfigs<'static>> {
    let effective = controller.effective_topic_configs(&created.configs).into_iter();
    effective
        .map(|config| CreatableTopicConfigs {
            name: config.name.into(),
            value: config.value.map(Into::into),
            read_only: false,
            config_source: config.source,
            is_sensitive: config.is_sensitive,
        })
        .collect()
}
