//! Runs clusters of Barnabas on Kubernetes.
pub mod crd;
