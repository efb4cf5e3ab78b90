//! DeleteTopics: deletes topics by name or id.
//!
//! Behaviour: answered when the topics are gone from the metadata; their files follow. A topic that is named twice is not
//! deleted. With `delete.topic.enable=false` nothing is.
//! Version notes: up to 5 topics are named, since 6 by name or id (KIP-516). Up to 2 there was no code of its own for
//! deletion being disabled.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::request::{Refusal, TopicSelector};
use crate::protocol::messages::delete_topics::*;
use crate::protocol::{ErrorCode, Str};

const BY_ID_SINCE: i16 = 6;
const DISABLED_CODE_SINCE: i16 = 3;

pub async fn handle<'a>(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: DeleteTopicsRequest<'a>,
) -> DeleteTopicsResponse<'a> {
    let topics = requested(context.version, request);
    if !controller.deletes_topics() {
        let code = if context.version < DISABLED_CODE_SINCE {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::TopicDeletionDisabled
        };
        let responses = topics.into_iter().map(|topic| refused(topic, code.into())).collect();
        return DeleteTopicsResponse { responses, ..Default::default() };
    }
    let selectors = topics.iter().filter_map(|topic| selector(topic).ok()).collect();
    let outcomes = controller.delete_topics(selectors).await;
    let mut outcomes = outcomes.map(Vec::into_iter);
    let mut outcome = |topic: &DeleteTopicState<'_>| {
        selector(topic)?;
        outcomes.as_mut().map_err(|refusal| refusal.clone())?.next().expect("one outcome for each topic")
    };
    let responses = topics
        .into_iter()
        .map(|topic| match outcome(&topic) {
            Ok(deleted) => {
                DeletableTopicResult { name: Some(deleted.name.into()), topic_id: deleted.id, ..Default::default() }
            }
            Err(refusal) => refused(topic, refusal),
        })
        .collect();
    DeleteTopicsResponse { responses, ..Default::default() }
}

fn requested(version: i16, request: DeleteTopicsRequest<'_>) -> Vec<DeleteTopicState<'_>> {
    if version >= BY_ID_SINCE {
        return request.topics;
    }
    let names = request.topic_names.into_iter();
    names.map(|name| DeleteTopicState { name: Some(name), ..Default::default() }).collect()
}

fn selector(topic: &DeleteTopicState<'_>) -> Result<TopicSelector, Refusal> {
    let invalid = |text| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    match (&topic.name, topic.topic_id.is_zero()) {
        (Some(name), true) => Ok(TopicSelector::Name(name.to_string())),
        (None, false) => Ok(TopicSelector::Id(topic.topic_id)),
        (Some(_), false) => invalid("You may not specify both topic name and topic id."),
        (None, true) => invalid("Neither topic name nor id were specified."),
    }
}

fn refused(topic: DeleteTopicState<'_>, refusal: Refusal) -> DeletableTopicResult<'_> {
    DeletableTopicResult {
        name: topic.name,
        topic_id: topic.topic_id,
        error_code: refusal.code.code(),
        error_message: refusal.message.map(Str::Owned),
    }
}
