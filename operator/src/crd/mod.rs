//! The resources that people apply: `KafkaCluster` and `KafkaTopic` of `barnabas.dev/v1alpha1`.
//!
//! - What can never work is refused at admission, by the schema and its CEL rules. What only a running cluster can tell
//!   becomes a condition.
//! - Parts that are Kubernetes' own (affinity, tolerations, ...) are kept as they are written and read when they are used:
//!   their schemas are long, and one wrong field must not keep the operator from reading all other clusters.
//! - `crds/*.yaml` is what the binary `crdgen` writes of these types; a test compares the two.

mod cluster;
mod cluster_listeners;
mod cluster_pods;
mod cluster_status;
mod condition;
mod definition;
mod scalar;
#[cfg(test)]
mod tests;
mod topic;

pub use cluster::*;
pub use cluster_listeners::*;
pub use cluster_pods::*;
pub use cluster_status::*;
pub use condition::*;
pub use definition::definitions;
pub use scalar::{ConfigValue, Quantity};
pub use topic::*;

/// The group of the resources, and the prefix of labels and annotations.
pub const GROUP: &str = "barnabas.dev";
