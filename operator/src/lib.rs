//! Runs clusters of Barnabas on Kubernetes.
pub mod admin;
pub mod cluster;
pub mod context;
pub mod crd;
pub mod metrics;
pub mod resources;
pub mod write;
pub mod rebalance;
