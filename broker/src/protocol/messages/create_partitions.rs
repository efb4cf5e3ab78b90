//! Adds partitions to topics (KIP-195).

use crate::protocol::codec::Str;

super::messages! {
    CreatePartitionsRequest<'a> {
        topics: Vec<CreatePartitionsTopic<'a>>,
        timeout_ms: i32,
        validate_only: bool,
    }

    CreatePartitionsTopic<'a> {
        name: Str<'a>,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    CreatePartitionsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult<'a>>,
    }

    CreatePartitionsTopicResult<'a> {
        name: Str<'a>,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }
}
