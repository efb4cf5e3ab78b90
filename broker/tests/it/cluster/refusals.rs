//! Nodes that do not belong to the cluster are refused, and both sides say so in one line.
//!
//! Apache Kafka says it in other words, and in some cases not at all: these are about Barnabas alone.

use super::PLAN;
use crate::support::broker::Kind;
use crate::support::cluster::{Cluster, PATIENCE, Shape};
use crate::support::load::{Load, Plan};
use crate::support::wait::wait_for;

/// Starts two nodes of three, and the third with `changes`: the two go on without it, and both sides name `words`.
fn refused(changes: impl Fn(&Cluster) -> Vec<(&'static str, String)>, words: &[&str]) {
    if Kind::under_test() == Kind::Kafka {
        return;
    }
    let mut cluster = Cluster::prepare(&Shape::of(3));
    let changes = changes(&cluster);
    let changes: Vec<_> = changes.iter().map(|(key, value)| (*key, value.as_str())).collect();
    [1, 2].into_iter().for_each(|id| cluster.spawn(id));
    cluster.active_controller();
    cluster.configure(3, &changes);
    cluster.spawn(3);
    let said = |cluster: &Cluster, id| {
        let complains = |line: &str| line.contains("ERROR") || line.contains("WARN");
        cluster.output(id).lines().any(|line| complains(line) && words.iter().all(|word| line.contains(word)))
    };
    wait_for(&format!("a refusal with {words:?} on both sides"), PATIENCE, || {
        (said(&cluster, 3) && (said(&cluster, 1) || said(&cluster, 2))).then_some(())
    });
    let load = Load::start(&cluster.bootstrap_of(&[1, 2]), Plan { replicas: 2, java: false, ..PLAN });
    load.wait_until_every_partition_is_written();
    load.finish();
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    refused(|_| vec![("cluster.id", "T1tbVsZrQ2a2hjtQ0MHcYw".to_owned())], &["cluster.id"]);
}

#[test]
fn a_second_node_with_the_same_id_is_refused() {
    // It is met at the address of the third voter. A listener with the second's port, too: without one it would not start.
    let as_the_second = |cluster: &Cluster| {
        let voters = cluster.voters();
        let addresses: Vec<_> = voters.split(',').map(|voter| voter.split_once('@').expect("id@address").1).collect();
        let port = addresses[1].rsplit_once(':').expect("host:port").1;
        let (client, third) = (cluster.address(3), addresses[2]);
        vec![
            ("node.id", "2".to_owned()),
            ("listeners", format!("PLAINTEXT://{client},CONTROLLER://{third},BESIDES://127.0.0.2:{port}")),
            ("controller.listener.names", "CONTROLLER,BESIDES".to_owned()),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,BESIDES:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ]
    };
    refused(as_the_second, &["node.id", "2"]);
}

#[test]
fn a_node_with_other_voters_is_refused() {
    let without_the_first = |cluster: &Cluster| {
        let voters = cluster.voters();
        vec![("controller.quorum.voters", voters.split_once(',').expect("three voters").1.to_owned())]
    };
    refused(without_the_first, &["controller.quorum.voters"]);
}
