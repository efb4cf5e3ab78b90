//! Deletes topics by name or id (KIP-516).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    DeleteTopicsRequest<'a> {
        topics: Vec<DeleteTopicState<'a>> [6..],
        topic_names: Vec<Str<'a>> [..=5],
        timeout_ms: i32,
    }

    DeleteTopicState<'a> {
        name: Option<Str<'a>> [6..],
        topic_id: Uuid [6..],
    }

    DeleteTopicsResponse<'a> {
        throttle_time_ms: i32,
        responses: Vec<DeletableTopicResult<'a>>,
    }

    DeletableTopicResult<'a> {
        name: Option<Str<'a>> [null 6..],
        topic_id: Uuid [6..],
        error_code: i16,
        error_message: Option<Str<'a>> [5..],
    }
}
