//! A broker that speaks Apache Kafka's protocol: the rooms, each a module that opens with its own page.
//!
//! - [`protocol`]: bytes to messages and back; record batches. Pure.
//! - [`log`]: one partition's log, in Kafka's format and file names.
//! - [`partition`]: the partitions of this broker, and those who wait for them.
//! - [`controller`]: the metadata of the cluster: its image, the records that change it, the log they live in.
//! - [`coordinator`]: consumer groups.
//! - [`raft`]: the quorum that keeps the metadata log, as a state machine. Pure.
//! - [`admin`]: the gRPC service for operators.
//! - [`config`]: every setting, with its type, default and meaning.
//! - [`clock`]: the time of this process.
//! - [`handlers`]: one file for each API.
//! - [`network`]: listeners and connections.
//! - [`metrics`] and [`telemetry`]: what Prometheus and the log say.
//! - [`server`]: the wiring, and the order of start and stop.

pub mod admin;
pub mod clock;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod handlers;
pub mod log;
pub mod metrics;
pub mod network;
pub mod partition;
pub mod protocol;
pub mod raft;
pub mod server;
#[cfg(test)]
mod simulation;
pub mod telemetry;
