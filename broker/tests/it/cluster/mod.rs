//! Clusters of real processes, under load from real clients, while everything that can happen to a node happens.
//!
//! - Every fault ends in the same accounting: no acknowledged record lost, moved or doubled, no reader and no group taken
//!   back ([`load`](crate::support::load)).
//! - A test waits for what must come (another leader, an acknowledgement); no test asks how long it took.
//! - `BARNABAS_FAULTS_LONG=1` repeats every fault at more moments (`make faults`). `BARNABAS_TEST_BROKER=kafka` runs all
//!   of them against Apache Kafka.

mod admin;
mod answers;
mod cuts;
mod disks;
mod freezes;
mod groups;
mod kills;
mod quorum;
mod refusals;
mod restarts;
mod throttles;
mod tools;

use std::time::Duration;

use crate::support::load::{Plan, Retries};

/// Three replicas of each partition, two of which must have a record, as most clusters are run.
const PLAN: Plan = Plan {
    topic: "accounted",
    partitions: 6,
    replicas: 3,
    java: true,
    retries: Retries::Endless,
    tick: Duration::from_millis(5),
};
const TOPIC: &str = PLAN.topic;

/// How often a fault is repeated.
fn rounds() -> i32 {
    if std::env::var_os("BARNABAS_FAULTS_LONG").is_some() { 20 } else { 1 }
}
