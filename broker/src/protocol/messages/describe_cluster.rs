//! Describes the cluster's nodes (KIP-700).

use crate::protocol::codec::Str;

super::messages! {
    DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        endpoint_type: i8 [1..] = 1,
        include_fenced_brokers: bool [2..],
    }

    DescribeClusterResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        endpoint_type: i8 [1..] = 1,
        cluster_id: Str<'a>,
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterBroker<'a>>,
        cluster_authorized_operations: i32 = -2147483648,
    }

    DescribeClusterBroker<'a> {
        broker_id: i32,
        host: Str<'a>,
        port: i32,
        rack: Option<Str<'a>>,
        is_fenced: bool [2..],
    }
}
