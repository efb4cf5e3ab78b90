//! Topics that a broker creates: those that a client needs before they are there, and its own.

use super::{outcome, unanswered};
use crate::controller::image::Configs;
use crate::controller::request::{CreateTopics, CreatedTopic, NewTopic, Outcome};
use crate::protocol::messages::create_topics::*;
use std::collections::BTreeMap;

/// Where a value of an answer comes from, if it was set for the topic (`ConfigEntry.ConfigSource`).
const OF_TOPIC: i8 = 1;

pub fn create_topics_request(request: &CreateTopics, timeout_ms: i32) -> CreateTopicsRequest<'_> {
    CreateTopicsRequest {
        topics: request.topics.iter().map(asked).collect(),
        timeout_ms,
        validate_only: request.validate_only,
    }
}

fn asked<'a>(topic: &'a NewTopic) -> CreatableTopic<'a> {
    let assignment = |(partition_index, broker_ids): &(i32, Vec<i32>)| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: broker_ids.clone(),
    };
    let config = |(name, value): &'a (String, Option<String>)| CreatableTopicConfig {
        name: (&**name).into(),
        value: value.as_deref().map(Into::into),
    };
    CreatableTopic {
        name: (&*topic.name).into(),
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        assignments: topic.assignments.iter().map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
    }
}

pub fn read_create_topics(message: CreateTopicsRequest<'_>) -> CreateTopics {
    let topics = message.topics.into_iter().map(|topic| NewTopic {
        name: topic.name.into_owned(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic.assignments.into_iter().map(|of| (of.partition_index, of.broker_ids)).collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|config| (config.name.into_owned(), config.value.map(|value| value.into_owned())))
            .collect(),
    });
    CreateTopics { topics: topics.collect(), validate_only: message.validate_only }
}

/// The outcomes in the order of the `request` that was sent.
pub fn read_create_topics_response(
    request: &CreateTopics,
    message: &CreateTopicsResponse<'_>,
) -> Vec<Outcome<CreatedTopic>> {
    let answered: BTreeMap<&str, &CreatableTopicResult<'_>> =
        message.topics.iter().map(|topic| (&*topic.name, topic)).collect();
    let of = |topic: &NewTopic| {
        let created = answered.get(&*topic.name).ok_or_else(unanswered)?;
        outcome(created.error_code, created.error_message.as_deref())?;
        Ok(CreatedTopic {
            id: created.topic_id,
            partitions: created.num_partitions,
            replication_factor: created.replication_factor,
            configs: created.configs.as_deref().map(own).unwrap_or_default(),
        })
    };
    request.topics.iter().map(of).collect()
}

/// What was set for the topic itself.
fn own(configs: &[CreatableTopicConfigs<'_>]) -> Configs {
    let own = configs.iter().filter(|config| config.config_source == OF_TOPIC);
    own.filter_map(|config| Some((config.name.to_string(), config.value.as_deref()?.to_owned()))).collect()
}
