//! What the controller is asked, and what it answers: Kafka's requests without their versions.

use super::image::{Configs, Endpoint, ResourceType, SupportedFeature};
use crate::protocol::{ErrorCode, Uuid};

/// A change of the metadata that somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    CreateTopics(CreateTopics),
    DeleteTopics(Vec<TopicSelector>),
    CreatePartitions(CreatePartitions),
    AlterConfigs(AlterConfigs),
    AllocateProducerIds {
        broker_id: i32,
        broker_epoch: i64,
    },
    RegisterBroker(RegisterBroker),
    BrokerHeartbeat(BrokerHeartbeat),
    /// A broker is gone, as somebody knows who saw its process end: it is not waited for. Nothing happens unless `epoch` is
    /// the one that the broker is registered with.
    BrokerLost {
        id: i32,
        epoch: i64,
    },
    /// Forgets a broker that does not run any more (KIP-631).
    UnregisterBroker {
        id: i32,
    },
    /// Moves the leaders away from a broker and lets it get none where another replica can lead, until it is asked with
    /// `drained: false`. The active controller alone remembers it: whoever wants it asks again after a change of controllers.
    DrainLeaders {
        broker: i32,
        drained: bool,
    },
    AlterPartition(AlterPartition),
    ElectLeaders(ElectLeaders),
    AlterReassignments(AlterReassignments),
    UpdateFeatures(UpdateFeatures),
    RegisterController(RegisterController),
    AssignReplicasToDirs(AssignReplicasToDirs),
}

/// The answer to the [`Request`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    CreateTopics(Vec<Outcome<CreatedTopic>>),
    DeleteTopics(Vec<Outcome<DeletedTopic>>),
    CreatePartitions(Vec<Outcome<()>>),
    AlterConfigs(Vec<Outcome<()>>),
    AllocateProducerIds(Outcome<ProducerIdBlock>),
    /// The broker's epoch.
    RegisterBroker(Outcome<i64>),
    BrokerHeartbeat(Outcome<HeartbeatAnswer>),
    BrokerLost(Outcome<()>),
    UnregisterBroker(Outcome<()>),
    /// How many partitions the broker leads now.
    DrainLeaders(Outcome<usize>),
    AlterPartition(Outcome<Vec<Outcome<AlteredPartition>>>),
    ElectLeaders(Vec<Election>),
    AlterReassignments(Vec<Outcome<()>>),
    UpdateFeatures(Outcome<()>),
    RegisterController(Outcome<()>),
    AssignReplicasToDirs(Outcome<Vec<Outcome<()>>>),
}

/// One part of a request that was done, or why it was not. Parts stand in the order of the request.
pub type Outcome<T> = Result<T, Refusal>;

/// Why a part of a request is refused: what the response carries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}", message.as_deref().unwrap_or("no reason given"))]
pub struct Refusal {
    pub code: ErrorCode,
    /// `None` where Kafka's own text for the code says it all.
    pub message: Option<String>,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Refusal { code, message: None }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTopics {
    pub topics: Vec<NewTopic>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// A topic to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTopic {
    pub name: String,
    /// -1 for the controller's default (`num.partitions`), or where `assignments` says it.
    pub partitions: i32,
    /// -1 for the controller's default (`default.replication.factor`), or where `assignments` says it.
    pub replication_factor: i16,
    /// The brokers of each partition; empty leaves the choice to the controller.
    pub assignments: Vec<(i32, Vec<i32>)>,
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic of which nothing but its name is said.
    pub fn with_defaults(name: impl Into<String>) -> NewTopic {
        NewTopic {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    pub id: Uuid,
    pub partitions: i32,
    pub replication_factor: i16,
    /// What was set for the topic.
    pub configs: Configs,
}

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicSelector {
    Name(String),
    Id(Uuid),
    /// Both: not a topic that was deleted and made again meanwhile.
    NameAndId(String, Uuid),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: String,
    pub id: Uuid,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePartitions {
    pub topics: Vec<NewPartitions>,
    /// Only say what would happen.
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    pub topic: String,
    /// How many the topic has before, for those who do not want to add to what somebody else has added.
    pub from: Option<i32>,
    /// How many the topic has afterwards.
    pub count: i32,
    /// The brokers of each new partition; `None` leaves the choice to the controller.
    pub assignments: Option<Vec<Vec<i32>>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterConfigs {
    pub resources: Vec<AlteredResource>,
    /// Only say what would happen.
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredResource {
    pub resource: ResourceType,
    pub name: String,
    pub change: ConfigChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// All that is set for the resource becomes this (AlterConfigs, KIP-133).
    Replace(Configs),
    /// Single values change (IncrementalAlterConfigs, KIP-339).
    Alter(Vec<(String, ConfigOperation)>),
}

/// What happens to one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    Set(String),
    Delete,
    /// Adds the elements of a list that it does not have yet.
    Append(String),
    /// Takes elements out of a list.
    Subtract(String),
}

/// Producer ids that belong to one broker alone (KIP-730).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: i64,
    pub count: i64,
}

/// A broker that starts.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterBroker {
    pub id: i32,
    /// Names this process from its start to its end.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    /// The ids of its log directories (`directory.id` in `meta.properties`).
    pub directories: Vec<Uuid>,
    /// The epoch that it had when it was last shut down in order; -1 if it was not (KIP-966).
    pub previous_epoch: i64,
}

/// A broker's sign of life, and what it wants (KIP-631, `BrokerHeartbeatRequest`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerHeartbeat {
    pub id: i32,
    /// The epoch that the broker was registered with.
    pub epoch: i64,
    /// The offset behind the last metadata record that the broker has applied.
    pub metadata_end_offset: i64,
    /// The broker is not ready to lead anything.
    pub wants_fence: bool,
    /// The broker asks for its leaderships to be moved away before it ends.
    pub wants_shutdown: bool,
    /// Log directories that it can no longer use (KIP-858).
    pub offline_directories: Vec<Uuid>,
}

/// How the controller sees a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// Whether the broker has applied the record that registered it.
    pub is_caught_up: bool,
    pub is_fenced: bool,
    /// Whether it leads nothing any more and may end.
    pub should_shut_down: bool,
}

/// A leader's changes of the in-sync replicas of its partitions (KIP-497).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub changes: Vec<IsrChange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    pub topic_id: Uuid,
    pub partition: i32,
    pub leader_epoch: i32,
    /// The epoch of the partition that the change starts from: any other change in between makes it void.
    pub partition_epoch: i32,
    pub isr: Vec<InSyncReplica>,
    /// Whether the leader was elected uncleanly and has not recovered yet (KIP-704).
    pub leader_recovering: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSyncReplica {
    pub id: i32,
    /// The broker epoch that the replica fetched with, so that no earlier incarnation is let in (KIP-903); -1 if unknown.
    pub broker_epoch: i64,
}

/// A partition as it is after [`AlterPartition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredPartition {
    pub leader: i32,
    pub leader_epoch: i32,
    pub isr: Vec<i32>,
    pub leader_recovering: bool,
    pub partition_epoch: i32,
}

/// Which replicas may be elected (KIP-460).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Any live replica where none is in sync: records may be lost.
    Unclean,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectLeaders {
    pub election: ElectionType,
    /// Topics and partition numbers; `None` for all that need it.
    pub partitions: Option<Vec<(String, i32)>>,
}

/// What became of one partition of [`ElectLeaders`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    pub topic: String,
    pub partition: i32,
    pub outcome: Outcome<()>,
}

/// Moves of replicas (KIP-455).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterReassignments {
    /// Whether a move may change how many replicas a partition has (KIP-860).
    pub allow_replication_factor_change: bool,
    pub partitions: Vec<ReassignedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReassignedPartition {
    pub topic: String,
    pub partition: i32,
    /// Where the replicas are to be; `None` cancels the move under way.
    pub replicas: Option<Vec<i32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateFeatures {
    pub updates: Vec<FeatureUpdate>,
    /// Only say what would happen.
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub name: String,
    /// 0 takes the feature out of use.
    pub level: i16,
    pub upgrade: UpgradeType,
}

/// What a change of a feature's level may do (KIP-778).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    Upgrade,
    /// Down, where no metadata is lost by that.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

/// A controller that starts (KIP-919).
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterController {
    pub id: i32,
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
}

/// Which of its log directories a broker keeps replicas in (KIP-858).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignReplicasToDirs {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub assignments: Vec<DirectoryAssignment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryAssignment {
    pub directory: Uuid,
    pub topic_id: Uuid,
    pub partition: i32,
}
