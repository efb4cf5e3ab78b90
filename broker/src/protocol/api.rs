//! The APIs that this broker answers, each with the versions it answers them in: what ApiVersions advertises.

use std::ops::RangeInclusive;

macro_rules! apis {
    ($($api:ident = $key:literal, $versions:expr, flexible $flexible:expr;)*) => {
        /// Kafka's number for each API (`org.apache.kafka.common.protocol.ApiKeys`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey { $($api = $key),* }

        impl ApiKey {
            pub const ALL: &[ApiKey] = &[$(ApiKey::$api),*];

            pub fn from_code(code: i16) -> Option<ApiKey> {
                match code { $($key => Some(ApiKey::$api),)* _ => None }
            }

            /// Kafka's name of the API, as metrics and logs show it.
            pub fn name(self) -> &'static str {
                match self { $(ApiKey::$api => stringify!($api)),* }
            }

            /// The versions advertised by ApiVersions: those of Apache Kafka 4.1.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self { $(ApiKey::$api => $versions),* }
            }

            fn flexible_since(self) -> i16 {
                match self { $(ApiKey::$api => $flexible),* }
            }
        }
    };
}

const NEVER: i16 = i16::MAX;

apis! {
    Produce = 0, 0..=13, flexible 9;
    Fetch = 1, 4..=18, flexible 12;
    ListOffsets = 2, 1..=10, flexible 6;
    Metadata = 3, 0..=13, flexible 9;
    OffsetCommit = 8, 2..=9, flexible 8;
    OffsetFetch = 9, 1..=9, flexible 6;
    FindCoordinator = 10, 0..=6, flexible 3;
    JoinGroup = 11, 0..=9, flexible 6;
    Heartbeat = 12, 0..=4, flexible 4;
    LeaveGroup = 13, 0..=5, flexible 4;
    SyncGroup = 14, 0..=5, flexible 4;
    DescribeGroups = 15, 0..=6, flexible 5;
    ListGroups = 16, 0..=5, flexible 3;
    ApiVersions = 18, 0..=4, flexible 3;
    CreateTopics = 19, 2..=7, flexible 5;
    DeleteTopics = 20, 1..=6, flexible 4;
    DeleteRecords = 21, 0..=2, flexible 2;
    InitProducerId = 22, 0..=5, flexible 2;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4;
    DescribeConfigs = 32, 1..=4, flexible 4;
    AlterConfigs = 33, 0..=2, flexible 2;
    DescribeLogDirs = 35, 1..=4, flexible 2;
    CreatePartitions = 37, 0..=3, flexible 2;
    DeleteGroups = 42, 0..=2, flexible 2;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1;
    OffsetDelete = 47, 0..=0, flexible NEVER;
    DescribeCluster = 60, 0..=2, flexible 0;
    DescribeProducers = 61, 0..=0, flexible 0;
    ListConfigResources = 74, 0..=1, flexible 0;
    DescribeTopicPartitions = 75, 0..=0, flexible 0;
}

impl ApiKey {
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether this version uses compact lengths and tagged fields (KIP-482).
    pub fn flexible(self, version: i16) -> bool {
        version >= self.flexible_since()
    }

    /// Whether a request of this version is answered. Produce 0 to 2 are advertised only because librdkafka takes their
    /// absence for a broker without compression (KAFKA-18659); nobody sends them, and nobody gets an answer.
    pub fn answers(self, version: i16) -> bool {
        self.versions().contains(&version) && !(self == ApiKey::Produce && version < 3)
    }
}
