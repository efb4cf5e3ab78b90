//! Disks that are full, and disks that are lost.

use super::{PLAN, TOPIC, rounds};
use crate::support::broker::Kind;
use crate::support::cluster::{Cluster, Shape};
use crate::support::load::{Load, create_topic};
use crate::support::network::cannot;

const MEGABYTES: u32 = 256;

/// Whether the node stops or stays is its own choice; the cluster's writes go on, and with space it has everything again.
#[test]
fn a_node_with_a_full_disk_holds_up_nobody() {
    if cannot("a disk of its own") {
        return;
    }
    let shape = Shape { small_disk: Some((1, MEGABYTES)), ..Shape::of(3) };
    let mut cluster = Cluster::start_as(shape.with("log.segment.bytes", 1 << 20));
    let load = Load::start(&cluster.bootstrap(), PLAN);
    for _ in 0..rounds() {
        cluster.disk().fill();
        // More than the pages that the logs have already: each partition must find a leader whose disk takes it.
        for _ in 0..100 {
            load.wait_until_every_partition_is_written();
        }
        cluster.disk().free();
        cluster.restart_if_ended(1);
        cluster.wait_until_in_sync(TOPIC);
        load.wait_until_every_partition_is_written();
    }
    load.finish();
}

/// The node comes back empty, before or after the others have noticed: it must not be believed to have what it had.
#[test]
fn a_node_that_lost_its_disk_is_rebuilt_from_the_others() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    // More often than there are nodes: who was rebuilt has to lead again.
    for round in 0..4 * rounds() {
        let leader = cluster.leader(TOPIC, round % PLAN.partitions);
        cluster.kill(leader);
        if round % 2 == 0 {
            load.wait_until_every_partition_is_written();
        }
        cluster.wipe(leader);
        cluster.spawn(leader);
        cluster.wait_until_in_sync(TOPIC);
        load.wait_until_every_partition_is_written();
    }
    load.finish();
}

/// What the node lacks is no longer in the log of the others: they send a snapshot of the metadata (KIP-630).
#[test]
fn a_node_that_lost_its_disk_gets_the_metadata_from_a_snapshot() {
    let mut cluster = Cluster::start_as(Shape::of(3).with("metadata.log.max.record.bytes.between.snapshots", 1000));
    for number in 0..40 {
        create_topic(&cluster.bootstrap(), &format!("topic-{number}"), 3, 3);
    }
    let wiped = cluster.others(cluster.active_controller())[0];
    cluster.kill(wiped);
    cluster.wipe(wiped);
    cluster.spawn(wiped);
    cluster.wait_until_in_sync("topic-39");
    cluster.wait_until_in_sync("topic-0");
    if cluster.kind() == Kind::Barnabas {
        assert!(cluster.output(wiped).contains("from a snapshot"), "the log of the others began too early");
    }
    // It has all that the others have: with one of them gone it helps to change the metadata.
    let gone = cluster.active_controller();
    cluster.kill(gone);
    create_topic(&cluster.bootstrap_of(&[wiped]), "later", 1, 2);
}
