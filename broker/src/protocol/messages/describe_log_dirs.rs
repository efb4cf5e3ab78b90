//! Describes the log directories (KIP-113, KIP-827).

use crate::protocol::codec::Str;

super::messages! {
    DescribeLogDirsRequest<'a> {
        topics: Option<Vec<DescribableLogDirTopic<'a>>>,
    }

    DescribableLogDirTopic<'a> {
        topic: Str<'a>,
        partitions: Vec<i32>,
    }

    DescribeLogDirsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16 [3..],
        results: Vec<DescribeLogDirsResult<'a>>,
    }

    DescribeLogDirsResult<'a> {
        error_code: i16,
        log_dir: Str<'a>,
        topics: Vec<DescribeLogDirsTopic<'a>>,
        total_bytes: i64 [4..] = -1,
        usable_bytes: i64 [4..] = -1,
    }

    DescribeLogDirsTopic<'a> {
        name: Str<'a>,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}
