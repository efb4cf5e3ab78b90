//! SIGSTOP and SIGCONT: a node that keeps its connections, says nothing, and comes back believing what it last knew.

use super::{PLAN, TOPIC, rounds};
use crate::support::cluster::Cluster;
use crate::support::load::Load;

/// Freezes the node that `choose` gives, thaws it when the others have taken over, and again.
fn freeze(choose: impl Fn(&Cluster) -> i32) {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    for _ in 0..rounds() {
        let frozen = choose(&cluster);
        cluster.freeze(frozen);
        load.wait_until_every_partition_is_written();
        cluster.thaw(frozen);
        cluster.wait_until_in_sync(TOPIC);
        load.wait_until_every_partition_is_written();
    }
    load.finish();
}

#[test]
fn a_frozen_leader_is_replaced_and_comes_back_as_a_follower() {
    freeze(|cluster| {
        let controller = cluster.active_controller();
        *cluster.leaders(TOPIC).iter().find(|leader| **leader != controller).expect("leaders are spread")
    });
}

#[test]
fn a_frozen_active_controller_is_replaced() {
    freeze(Cluster::active_controller);
}

/// Elections are what moves the leaders here: the controller's broker led some when it froze, or leads all now.
#[test]
fn a_frozen_node_that_is_leader_and_active_controller_is_replaced() {
    freeze(|cluster| {
        let controller = cluster.active_controller();
        assert!(cluster.leaders(TOPIC).contains(&controller), "the active controller's broker leads");
        controller
    });
}
