//! Runs clusters of Barnabas on Kubernetes.
pub mod admin;
pub mod context;
pub mod crd;
pub mod metrics;
pub mod write;
