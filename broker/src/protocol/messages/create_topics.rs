//! Creates topics (KIP-4).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    CreateTopicsRequest<'a> {
        topics: Vec<CreatableTopic<'a>>,
        timeout_ms: i32 = 60000,
        validate_only: bool,
    }

    CreatableTopic<'a> {
        name: Str<'a>,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig<'a>>,
    }

    CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    CreatableTopicConfig<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
    }

    CreateTopicsResponse<'a> {
        throttle_time_ms: i32,
        topics: Vec<CreatableTopicResult<'a>>,
    }

    CreatableTopicResult<'a> {
        name: Str<'a>,
        topic_id: Uuid [7..],
        error_code: i16,
        error_message: Option<Str<'a>>,
        topic_config_error_code: i16 [tag 0, 5..],
        num_partitions: i32 [5..] = -1,
        replication_factor: i16 [5..] = -1,
        configs: Option<Vec<CreatableTopicConfigs<'a>>> [5..],
    }

    CreatableTopicConfigs<'a> {
        name: Str<'a> [5..],
        value: Option<Str<'a>> [5..],
        read_only: bool [5..],
        config_source: i8 [5..] = -1,
        is_sensitive: bool [5..],
    }
}
