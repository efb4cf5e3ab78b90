//! Groups outlive their coordinators.

use super::{PLAN, TOPIC, rounds};
use crate::support::cluster::Cluster;
use crate::support::load::Load;

#[test]
fn a_group_keeps_its_offsets_and_goes_on_when_its_coordinator_dies() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.bootstrap(), PLAN);
    load.check_committed_offsets();
    for _ in 0..2 * rounds() {
        let coordinator = cluster.group_coordinator(load.group());
        cluster.kill(coordinator);
        load.check_committed_offsets();
        let next = cluster.group_coordinator(load.group());
        assert_ne!(next, coordinator);
        cluster.spawn(coordinator);
        cluster.wait_until_in_sync(TOPIC);
        cluster.wait_until_in_sync("__consumer_offsets");
    }
    load.finish();
}
