//! kill -9, and restart.

use super::{PLAN, TOPIC, rounds};
use crate::support::cluster::{Cluster, Shape};
use crate::support::load::{Load, Plan};

#[test]
fn leaders_are_killed_and_restarted_in_rotation() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    for round in 0..3 * rounds() {
        let leader = cluster.leader(TOPIC, round % PLAN.partitions);
        cluster.kill(leader);
        load.wait_until_every_partition_is_written();
        cluster.spawn(leader);
        cluster.wait_until_in_sync(TOPIC);
    }
    load.finish();
}

#[test]
fn active_controllers_are_killed_one_after_the_other() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    for _ in 0..2 * rounds() {
        let controller = cluster.active_controller();
        cluster.kill(controller);
        cluster.next_controller(controller);
        load.wait_until_every_partition_is_written();
        cluster.spawn(controller);
        cluster.wait_until_in_sync(TOPIC);
    }
    load.finish();
}

#[test]
fn five_nodes_bear_the_loss_of_two() {
    let mut cluster = Cluster::start_as(Shape::of(5).with("offsets.topic.replication.factor", 5));
    let load = Load::start(&cluster.bootstrap(), Plan { replicas: 5, ..PLAN });
    for round in 0..rounds() {
        let controller = cluster.active_controller();
        let leaders =
            (0..PLAN.partitions).map(|partition| cluster.leader(TOPIC, (round + partition) % PLAN.partitions));
        let other = leaders.into_iter().find(|leader| *leader != controller).expect("leaders are spread");
        cluster.kill(controller);
        cluster.kill(other);
        load.wait_until_every_partition_is_written();
        load.check_committed_offsets();
        [controller, other].into_iter().for_each(|id| cluster.spawn(id));
        cluster.wait_until_in_sync(TOPIC);
    }
    load.finish();
}

/// All at once, as when a machine or a zone goes away and comes back.
#[test]
fn a_cluster_whose_nodes_are_all_killed_comes_back_with_everything() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    for _ in 0..rounds() {
        load.wait_until_every_partition_is_written();
        cluster.ids().into_iter().for_each(|id| cluster.kill(id));
        cluster.ids().into_iter().for_each(|id| cluster.spawn(id));
        cluster.wait_until_in_sync(TOPIC);
        load.check_committed_offsets();
    }
    load.finish();
}
