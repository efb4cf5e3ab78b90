//! The APIs that nodes answer, each with the versions it is answered in and where: what ApiVersions advertises.

use std::ops::RangeInclusive;

macro_rules! apis {
    ($($api:ident = $key:literal, $versions:expr, flexible $flexible:expr, on $listeners:ident;)*) => {
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

            fn listeners(self) -> Listeners {
                match self { $(ApiKey::$api => Listeners::$listeners),* }
            }
        }
    };
}

const NEVER: i16 = i16::MAX;

/// The listeners that an API is answered on: those for clients, those for the quorum and its brokers, or all.
#[derive(Clone, Copy, PartialEq)]
enum Listeners {
    Brokers,
    Controllers,
    Both,
}

apis! {
    Produce = 0, 0..=13, flexible 9, on Brokers;
    Fetch = 1, 4..=18, flexible 12, on Both;
    ListOffsets = 2, 1..=10, flexible 6, on Brokers;
    Metadata = 3, 0..=13, flexible 9, on Brokers;
    OffsetCommit = 8, 2..=9, flexible 8, on Brokers;
    OffsetFetch = 9, 1..=9, flexible 6, on Brokers;
    FindCoordinator = 10, 0..=6, flexible 3, on Brokers;
    JoinGroup = 11, 0..=9, flexible 6, on Brokers;
    Heartbeat = 12, 0..=4, flexible 4, on Brokers;
    LeaveGroup = 13, 0..=5, flexible 4, on Brokers;
    SyncGroup = 14, 0..=5, flexible 4, on Brokers;
    DescribeGroups = 15, 0..=6, flexible 5, on Brokers;
    ListGroups = 16, 0..=5, flexible 3, on Brokers;
    ApiVersions = 18, 0..=4, flexible 3, on Both;
    CreateTopics = 19, 2..=7, flexible 5, on Both;
    DeleteTopics = 20, 1..=6, flexible 4, on Both;
    DeleteRecords = 21, 0..=2, flexible 2, on Brokers;
    InitProducerId = 22, 0..=5, flexible 2, on Brokers;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4, on Brokers;
    DescribeConfigs = 32, 1..=4, flexible 4, on Both;
    AlterConfigs = 33, 0..=2, flexible 2, on Both;
    DescribeLogDirs = 35, 1..=4, flexible 2, on Brokers;
    CreatePartitions = 37, 0..=3, flexible 2, on Both;
    DeleteGroups = 42, 0..=2, flexible 2, on Brokers;
    ElectLeaders = 43, 0..=2, flexible 2, on Both;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1, on Both;
    AlterPartitionReassignments = 45, 0..=1, flexible 0, on Both;
    ListPartitionReassignments = 46, 0..=0, flexible 0, on Both;
    OffsetDelete = 47, 0..=0, flexible NEVER, on Brokers;
    Vote = 52, 0..=2, flexible 0, on Controllers;
    BeginQuorumEpoch = 53, 0..=1, flexible 1, on Controllers;
    EndQuorumEpoch = 54, 0..=1, flexible 1, on Controllers;
    DescribeQuorum = 55, 0..=2, flexible 0, on Both;
    AlterPartition = 56, 2..=3, flexible 0, on Controllers;
    UpdateFeatures = 57, 0..=2, flexible 0, on Both;
    Envelope = 58, 0..=0, flexible 0, on Controllers;
    FetchSnapshot = 59, 0..=1, flexible 0, on Controllers;
    DescribeCluster = 60, 0..=2, flexible 0, on Both;
    DescribeProducers = 61, 0..=0, flexible 0, on Brokers;
    BrokerRegistration = 62, 0..=4, flexible 0, on Controllers;
    BrokerHeartbeat = 63, 0..=1, flexible 0, on Controllers;
    UnregisterBroker = 64, 0..=0, flexible 0, on Both;
    AllocateProducerIds = 67, 0..=0, flexible 0, on Controllers;
    ControllerRegistration = 70, 0..=0, flexible 0, on Controllers;
    AssignReplicasToDirs = 73, 0..=0, flexible 0, on Controllers;
    ListConfigResources = 74, 0..=1, flexible 0, on Brokers;
    DescribeTopicPartitions = 75, 0..=0, flexible 0, on Brokers;
}

impl ApiKey {
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether this version uses compact lengths and tagged fields (KIP-482).
    pub fn flexible(self, version: i16) -> bool {
        version >= self.flexible_since()
    }

    /// Whether brokers answer it to their clients.
    pub fn on_brokers(self) -> bool {
        self.listeners() != Listeners::Controllers
    }

    /// Whether controllers answer it: to brokers, to one another, and to tools that ask them (KIP-919).
    pub fn on_controllers(self) -> bool {
        self.listeners() != Listeners::Brokers
    }

    /// Whether brokers hand it to the active controller as it came (KIP-590): no other node can say what it asks for.
    pub fn is_forwarded(self) -> bool {
        use ApiKey::*;
        matches!(
            self,
            CreateTopics
                | DeleteTopics
                | CreatePartitions
                | AlterConfigs
                | IncrementalAlterConfigs
                | ElectLeaders
                | AlterPartitionReassignments
                | ListPartitionReassignments
                | UpdateFeatures
                | UnregisterBroker
                | DescribeQuorum
        )
    }

    /// Whether a request of this version is answered. Produce 0 to 2 are advertised only because librdkafka takes their
    /// absence for a broker without compression (KAFKA-18659); nobody sends them, and nobody gets an answer.
    pub fn answers(self, version: i16) -> bool {
        self.versions().contains(&version) && !(self == ApiKey::Produce && version < 3)
    }
}
