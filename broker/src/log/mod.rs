//! The log of one partition, in Kafka's format and file names.

pub mod config;

pub use config::{CleanupPolicy, LogConfig};
