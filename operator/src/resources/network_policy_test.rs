//! A port is open to somebody or nobody gets in: none may be forgotten, and none be in two rules.

use super::network_policy::network_policy;
use super::properties_test::cluster;
use super::*;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const EXTERNAL: &str =
    "{ brokers: { storage: { size: 1Gi } }, listeners: { internal: { port: 19092 }, external: { type: NodePort } } }";
const DEDICATED: &str =
    "{ brokers: { storage: { size: 1Gi } }, controllers: { mode: Dedicated, storage: { size: 1Gi } } }";

/// The ports, each with the names of those who may connect: `anywhere`, `own` or `operator`.
fn open(cluster: &ValidCluster) -> Vec<(i32, &'static str)> {
    let spec = network_policy(cluster).unwrap().spec.unwrap();
    let mut open = Vec::new();
    for rule in spec.ingress.unwrap() {
        let who = match rule.from.as_deref() {
            None => "anywhere",
            Some([peer]) if peer.namespace_selector.is_none() && peer.pod_selector == spec.pod_selector => "own",
            Some([peer]) if peer.namespace_selector.is_some() && peer.pod_selector.is_some() => "operator",
            Some(peers) => panic!("{peers:?}"),
        };
        for port in rule.ports.unwrap() {
            let number = match port.port.clone().unwrap() {
                IntOrString::Int(number) => number,
                // As Kubernetes looks it up in each pod.
                IntOrString::String(name) => ports::of_all(cluster).iter().find(|it| it.name == name).unwrap().number,
            };
            open.push((number, who));
        }
    }
    open.sort_unstable();
    open
}

#[test]
fn every_port_of_a_node_is_open_to_those_who_need_it() {
    let cases = [
        (EXTERNAL, vec![(9094, "anywhere"), (9404, "anywhere"), (19092, "anywhere")]),
        (DEDICATED, vec![(9092, "anywhere"), (9404, "anywhere")]),
    ];
    for (spec, for_all) in cases {
        let cluster = cluster(spec);
        let mut wanted = vec![(9090, "own"), (9091, "own"), (9095, "operator")];
        wanted.extend(for_all);
        wanted.sort_unstable();
        assert_eq!(open(&cluster), wanted);
        let mut all: Vec<i32> = ports::of_all(&cluster).iter().map(|port| port.number).collect();
        all.sort_unstable();
        assert_eq!(all, wanted.iter().map(|(port, _)| *port).collect::<Vec<_>>(), "what nodes listen on");
    }
}

#[test]
fn an_operator_that_does_not_know_its_pods_leaves_the_admin_listener_open() {
    let cluster = ValidCluster { operator: None, ..cluster(DEDICATED) };
    assert!(open(&cluster).contains(&(9095, "anywhere")));
}

#[test]
fn there_is_none_where_it_is_not_wanted() {
    let cluster = cluster("{ brokers: { storage: { size: 1Gi } }, networkPolicy: { enabled: false } }");
    assert_eq!(network_policy(&cluster), None);
}
