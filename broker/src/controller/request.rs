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
    AllocateProducerIds { broker_id: i32, broker_epoch: i64 },
    RegisterBroker(RegisterBroker),
}

/// The answer to the [`Request`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    CreateTopics(Vec<Outcome<CreatedTopic>>),
    DeleteTopics(Vec<Outcome<DeletedTopic>>),
    CreatePartitions(Vec<Outcome<()>>),
    AlterConfigs(Vec<Outcome<()>>),
    AllocateProducerIds(Outcome<ProducerIdBlock>),
    RegisterBroker { broker_epoch: i64 },
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
}
