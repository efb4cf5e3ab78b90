//! Clusters.

pub mod validate;
