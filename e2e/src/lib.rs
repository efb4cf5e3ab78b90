//! What the tests on a real Kubernetes are written with.
//!
//! - `environment` finds the Kubernetes, the images and the scripts; `space` gives each test a namespace of its own and
//!   prints what is in it when the test fails.
//! - `watch` waits: always for something that is watched, and never longer than it says.
//! - `cluster`, `topic` and `operator` are what is tested, each seen through the API server alone.
//! - `load` writes and reads all the while, and proves that no acknowledged record was lost, doubled or put out of order.
//! - `commands` runs kubectl, helm and the scripts that break nodes; `prometheus` runs a Prometheus; `report` keeps figures.
//!
//! Deliberately absent: any access to the inside of operator or broker, and any wait for time to pass instead of an event.

pub mod client;
pub mod cluster;
pub mod commands;
mod diagnosis;
pub mod environment;
pub mod load;
pub mod operator;
pub mod prometheus;
pub mod report;
pub mod space;
pub mod topic;
pub mod watch;
