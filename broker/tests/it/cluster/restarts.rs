//! Restarts in order: SIGTERM, one node after the other.

use super::{PLAN, TOPIC, rounds};
use crate::support::broker::Kind;
use crate::support::cluster::Cluster;
use crate::support::load::{Load, Plan, Retries};

/// With nothing but what a producer does by default.
#[test]
fn a_rolling_restart_fails_no_produce() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), Plan { retries: Retries::Defaults, ..PLAN });
    for _ in 0..rounds() {
        for id in cluster.ids() {
            let status = cluster.terminate(id);
            // A JVM that ends by SIGTERM says so in its status (128 + 15).
            assert!(status.success() || cluster.kind() == Kind::Kafka && status.code() == Some(143), "{status}");
            cluster.spawn(id);
            cluster.wait_until_complete();
            cluster.wait_until_in_sync(TOPIC);
        }
    }
    load.check_committed_offsets();
    load.finish();
}

/// A node that is told to end hands over first: its partitions have other leaders when it has gone.
#[test]
fn a_node_that_ends_in_order_hands_its_partitions_over() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    let leader = cluster.leader(TOPIC, 0);
    cluster.terminate(leader);
    for (partition, found) in cluster.partitions(TOPIC) {
        assert!(found.leader >= 0 && found.leader != leader, "partition {partition}: {found:?}");
    }
    load.wait_until_every_partition_is_written();
    cluster.spawn(leader);
    cluster.wait_until_in_sync(TOPIC);
    load.finish();
}
