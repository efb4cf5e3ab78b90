//! placeholder
use crate::support::cluster::Cluster;

#[test]
fn starts() {
    let cluster = Cluster::start(3);
    println!("{} {}", cluster.active_controller(), cluster.bootstrap());
}
