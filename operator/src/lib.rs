//! Runs clusters of Barnabas on Kubernetes, from KafkaCluster and KafkaTopic resources: the rooms, each a module that opens
//! with its own page.
//!
//! - [`crd`]: the resources that people apply.
//! - [`cluster`]: reconciling a KafkaCluster: observe, validate, plan, apply, tell.
//! - [`topic`]: the same for a KafkaTopic.
//! - [`resources`]: what a cluster is made of in Kubernetes, one builder for each kind. Pure.
//! - [`rebalance`]: where replicas go. Pure.
//! - [`admin`]: the links to the clusters, by the brokers' admin service.
//! - [`write`](mod@write): how anything is written to the API server.
//! - [`watching`]: what watches tell, and when.
//! - [`run`]: everything wired together.

pub mod admin;
pub mod checksum;
pub mod cluster;
pub mod context;
pub mod crd;
pub mod events;
pub mod metrics;
pub mod rebalance;
pub mod resources;
pub mod retry;
pub mod run;
#[cfg(test)]
mod testing;
pub mod topic;
pub mod watching;
pub mod write;
