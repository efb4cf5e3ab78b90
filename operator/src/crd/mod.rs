//! The resources that people apply: `KafkaCluster` and `KafkaTopic` of `barnabas.dev/v1alpha1`.
//!
//! - What can never work is refused at admission, by the schema and its CEL rules. What only a running cluster can tell
//!   becomes a condition.
//! - Parts that are Kubernetes' own (affinity, tolerations, ...) are kept as they are written and read when they are used:
//!   their schemas are long, and one wrong field must not keep the operator from reading all other clusters.
//! - `crds/*.yaml` is what the binary `crdgen` writes of these types; a test compares the two.

mod cluster;
mod cluster_status;
mod condition;
mod scalar;
mod topic;

pub use cluster::*;
pub use cluster_status::*;
pub use condition::*;
pub use scalar::{ConfigValue, Quantity};
pub use topic::*;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The group of the resources, and the prefix of labels and annotations.
pub const GROUP: &str = "barnabas.dev";

/// All definitions, each with the name of its file in `crds/`.
pub fn definitions() -> [(&'static str, CustomResourceDefinition); 2] {
    [("kafkaclusters.yaml", KafkaCluster::crd()), ("kafkatopics.yaml", KafkaTopic::crd())]
}
