//! Links that are cut: both ways, or so that one side hears and is not heard.

use super::{PLAN, TOPIC, rounds};
use crate::support::cluster::{Cluster, Shape};
use crate::support::load::Load;
use crate::support::network::Direction::{Both, There};
use crate::support::network::cannot;

/// Cuts links of a node that `choose` gives, as `cut` does, heals them when writes go on, and again.
fn cut(choose: impl Fn(&Cluster) -> i32, cut: impl Fn(&Cluster, i32)) {
    if cannot("cutting links") {
        return;
    }
    let cluster = Cluster::start_as(Shape::of(3).with_network());
    let load = Load::start(&cluster.bootstrap(), PLAN);
    for _ in 0..rounds() {
        let id = choose(&cluster);
        cut(&cluster, id);
        load.wait_until_every_partition_is_written();
        cluster.network().heal();
        cluster.wait_until_in_sync(TOPIC);
        load.wait_until_every_partition_is_written();
    }
    load.finish();
}

fn a_leader(cluster: &Cluster) -> i32 {
    let controller = cluster.active_controller();
    *cluster.leaders(TOPIC).iter().find(|leader| **leader != controller).expect("leaders are spread")
}

#[test]
fn a_leader_cut_off_from_all_others_is_replaced() {
    cut(a_leader, |cluster, leader| cluster.network().cut(leader, &cluster.others(leader), Both));
}

#[test]
fn a_leader_that_nobody_hears_is_replaced() {
    cut(a_leader, |cluster, leader| cluster.network().cut(leader, &cluster.others(leader), There));
}

#[test]
fn a_leader_that_hears_nobody_is_replaced() {
    cut(a_leader, |cluster, leader| {
        cluster.others(leader).into_iter().for_each(|other| cluster.network().cut(other, &[leader], There));
    });
}

#[test]
fn an_active_controller_cut_off_from_all_others_is_replaced() {
    cut(Cluster::active_controller, |cluster, id| cluster.network().cut(id, &cluster.others(id), Both));
}

#[test]
fn an_active_controller_that_nobody_hears_is_replaced() {
    cut(Cluster::active_controller, |cluster, id| cluster.network().cut(id, &cluster.others(id), There));
}

/// Both ends still reach the controller: neither is dead, and yet the follower cannot follow. It leaves the ISR.
#[test]
fn a_cut_between_a_leader_and_one_follower_holds_up_nobody() {
    cut(a_leader, |cluster, leader| {
        let controller = cluster.active_controller();
        let follower = cluster.others(leader).into_iter().find(|id| *id != controller).expect("a third node");
        cluster.network().cut(leader, &[follower], Both);
    });
}
