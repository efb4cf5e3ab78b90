//! Who takes part in the cluster: brokers and controllers, with their addresses.

use super::{LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY};
use crate::protocol::Uuid;

/// A broker as it registered itself (KIP-631).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub id: i32,
    /// The offset of the record that registered it: greater with each registration.
    pub epoch: i64,
    /// Names one process from its start to its end.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    /// A fenced broker leads nothing and is shown to no client.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    /// The ids of its log directories that work (KIP-858).
    pub directories: Vec<Uuid>,
}

impl BrokerRegistration {
    /// Whether the broker may lead: it is neither fenced nor about to end.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether the broker can use `directory`, as far as is known.
    pub fn has_directory(&self, directory: Uuid) -> bool {
        match directory {
            UNASSIGNED_DIRECTORY | MIGRATING_DIRECTORY => true,
            LOST_DIRECTORY => false,
            directory => self.directories.is_empty() || self.directories.contains(&directory),
        }
    }

    /// Where clients of the listener `name` reach this broker.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }
}

/// The address of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    pub host: String,
    pub port: u16,
    /// Kafka's number: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of a feature that a node can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: String,
    pub min: i16,
    pub max: i16,
}

/// A controller as it registered itself (KIP-919).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRegistration {
    pub id: i32,
    pub incarnation: Uuid,
    pub zk_migration_ready: bool,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
}
