//! The broker itself reads what is written for it.

use super::properties::{file, of_node, roles, told_outside};
use super::*;
use crate::cluster::validate::{Defaults, validate};
use crate::crd::KafkaCluster;
use barnabas::config::{Advertised, Config, Listener};
use std::path::PathBuf;

pub(super) fn cluster(spec: &str) -> ValidCluster {
    let spec: serde_json::Value = serde_yaml::from_str(spec).unwrap();
    let cluster: KafkaCluster = serde_json::from_value(serde_json::json!({
        "apiVersion": "barnabas.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": { "name": "orders", "namespace": "shop", "uid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427" },
        "spec": spec,
    }))
    .unwrap();
    let operator = OperatorPods {
        namespace: "barnabas-system".into(),
        labels: BTreeMap::from([("app.kubernetes.io/name".into(), "barnabas-operator".into())]),
    };
    let defaults =
        Defaults { image: "barnabas:0.1.0".into(), cluster_domain: "cluster.local".into(), operator: Some(operator) };
    validate(&cluster, &defaults).unwrap()
}

/// A file in the directory of temporary files, as long as the test runs.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// The node's configuration as the broker reads its file on a machine with the address 10.0.0.9. References are put in as
/// the broker would, since the operator's machine has other variables.
fn node(name: &str, cluster: &ValidCluster, id: i32, external: Option<&ExternalAddress>) -> Config {
    let text = file(&of_node(cluster, id, external).unwrap());
    let text: String =
        text.lines().filter(|line| !line.starts_with("config.providers")).map(|l| l.to_owned() + "\n").collect();
    let path = File(std::env::temp_dir().join(format!("{name}-{}-{id}.properties", std::process::id())));
    std::fs::write(&path.0, text.replace("${env:HOST_IP}", "10.0.0.9")).unwrap();
    let rack = ("broker.rack".to_owned(), String::new());
    Config::load(Some(&path.0), &[rack]).unwrap()
}

fn advertised(config: &Config) -> Vec<String> {
    let shown = |one: &Advertised| format!("{}={}:{}", one.name, one.host, one.port);
    config.network.listeners.advertised.iter().map(shown).collect()
}

fn names(listeners: &[Listener]) -> Vec<&str> {
    listeners.iter().map(|listener| listener.name.as_str()).collect()
}

const ONE: &str = "{ brokers: { replicas: 1, storage: { size: 1Gi } }, controllers: { replicas: 1 } }";
const FIVE: &str = "{ brokers: { replicas: 5, storage: { size: 1Gi } } }";
const DEDICATED: &str =
    "{ brokers: { replicas: 4, storage: { size: 1Gi } }, controllers: { mode: Dedicated, storage: { size: 1Gi } } }";

#[test]
fn a_single_node_is_a_broker_and_the_only_controller() {
    let cluster = cluster(ONE);
    let config = node("one", &cluster, 0, None);
    assert!(config.node.is_broker && config.node.is_controller);
    assert_eq!(config.quorum.voters.len(), 1);
    assert_eq!((config.topics.replication_factor, config.offsets.topic_replication_factor), (1, 1));
    assert_eq!(config.log_dirs.dirs, [PathBuf::from("/var/lib/barnabas/data/log")]);
    assert_eq!(config.node.rack, None);
    assert_eq!(config.notices, []);
}

#[test]
fn the_first_brokers_are_the_controllers_of_a_combined_cluster() {
    let cluster = cluster(FIVE);
    let configs: Vec<Config> = (0..5).map(|id| node("five", &cluster, id, None)).collect();
    for (id, config) in (0..).zip(&configs) {
        assert_eq!(config.node.id, id);
        assert_eq!((config.node.is_broker, config.node.is_controller), (true, id < 3));
        assert_eq!(config.quorum.voters, configs[0].quorum.voters);
        let host = format!("orders-broker-{id}.orders-nodes.shop.svc.cluster.local");
        assert_eq!(advertised(config), [format!("REPLICATION={host}:9091"), format!("INTERNAL={host}:9092")]);
        assert_eq!(names(&config.network.listeners.broker), ["REPLICATION", "INTERNAL"]);
        assert_eq!(config.network.listeners.inter_broker, "REPLICATION");
        assert_eq!(config.admin.as_ref().map(|admin| admin.port), Some(9095));
        assert_eq!(config.metrics.as_ref().map(|metrics| metrics.port), Some(9404));
        assert_eq!((config.topics.replication_factor, config.offsets.topic_replication_factor), (3, 3));
    }
    let voter = ("orders-broker-2.orders-nodes.shop.svc.cluster.local".to_owned(), 9090);
    assert_eq!(configs[0].quorum.voters.get(&2), Some(&voter));
    assert_eq!(roles(&cluster, 2), ["broker", "controller"]);
    assert_eq!(roles(&cluster, 3), ["broker"]);
}

#[test]
fn dedicated_controllers_are_numbered_from_1000_and_serve_no_clients() {
    let cluster = cluster(DEDICATED);
    for id in 1000..1003 {
        let config = node("dedicated", &cluster, id, None);
        assert_eq!((config.node.is_broker, config.node.is_controller), (false, true));
        assert_eq!(names(&config.network.listeners.controller), ["CONTROLLER"]);
        assert_eq!(config.network.listeners.broker, []);
        assert_eq!(config.quorum.voters.keys().copied().collect::<Vec<_>>(), [1000, 1001, 1002]);
    }
    let broker = node("dedicated", &cluster, 3, None);
    assert_eq!((broker.node.is_broker, broker.node.is_controller), (true, false));
    assert_eq!(broker.network.listeners.controller, []);
}

#[test]
fn a_broker_behind_a_port_of_the_machines_tells_clients_the_machine_it_runs_on() {
    let cluster = cluster(
        "{ brokers: { replicas: 3, storage: { size: 1Gi } }, listeners: { internal: { port: 9999 }, external: { type: NodePort } } }",
    );
    let address = ExternalAddress { host: None, port: 31000 };
    let config = node("node-port", &cluster, 1, Some(&address));
    assert_eq!(
        advertised(&config)[1..],
        ["INTERNAL=orders-broker-1.orders-nodes.shop.svc.cluster.local:9999", "EXTERNAL=10.0.0.9:31000"]
    );
    assert_eq!(names(&config.network.listeners.broker), ["REPLICATION", "INTERNAL", "EXTERNAL"]);
}

#[test]
fn a_broker_without_a_known_address_outside_has_no_file() {
    let balanced =
        "{ brokers: { replicas: 3, storage: { size: 1Gi } }, listeners: { external: { type: LoadBalancer } } }";
    let balanced = cluster(balanced);
    assert_eq!(of_node(&balanced, 0, None), None);
    let half_known = ExternalAddress { host: None, port: 9094 };
    let known = ExternalAddress { host: Some("lb-2.example.com".into()), port: 9094 };
    let addresses = BTreeMap::from([(1, half_known), (2, known)]);
    assert_eq!(external::missing(&balanced, 3, &addresses), [0, 1]);
    assert_eq!(external::missing(&cluster(FIVE), 5, &addresses), [0; 0]);
    let config = node("balanced", &balanced, 2, addresses.get(&2));
    assert_eq!(advertised(&config).last().unwrap(), "EXTERNAL=lb-2.example.com:9094");
}

#[test]
fn an_address_of_either_family_is_told_and_read_back() {
    let balanced = cluster("{ brokers: { storage: { size: 1Gi } }, listeners: { external: { type: LoadBalancer } } }");
    for (host, told) in [("10.0.0.1", "EXTERNAL=10.0.0.1:9094"), ("fd00::1", "EXTERNAL=fd00::1:9094")] {
        let address = ExternalAddress { host: Some(host.into()), port: 9094 };
        let config = node("balanced", &balanced, 0, Some(&address));
        assert_eq!(advertised(&config).last().unwrap(), told);
        let file = file(&of_node(&balanced, 0, Some(&address)).unwrap());
        assert_eq!(told_outside(&file), Some((host, 9094)));
    }
}

#[test]
fn a_chosen_name_with_the_brokers_number_needs_no_load_balancers_address() {
    let cluster = cluster(
        "{ brokers: { storage: { size: 1Gi } }, listeners: { external: { type: LoadBalancer, advertisedHost: 'b{id}.example.com' } } }",
    );
    assert_eq!(external::missing(&cluster, 3, &BTreeMap::new()), [0; 0]);
    let config = node("named", &cluster, 2, None);
    assert_eq!(advertised(&config).last().unwrap(), "EXTERNAL=b2.example.com:9094");
}

#[test]
fn records_are_synced_from_the_first_on_where_that_is_asked_for() {
    let cluster = cluster("{ brokers: { storage: { size: 1Gi } }, durability: { fsyncBeforeAck: true } }");
    let config = node("fsync", &cluster, 0, None);
    assert_eq!(config.settings.get(barnabas::config::broker::LOG_FLUSH_INTERVAL_MESSAGES), 1);
}

#[test]
fn every_value_is_read_as_it_was_written() {
    let odd = " \\ a\tb\nc=d:e#f!g ü \\u0041 ";
    let properties = BTreeMap::from([("max.connections.per.ip.overrides".to_owned(), odd.to_owned())]);
    let text = file(&properties);
    let path = File(std::env::temp_dir().join(format!("odd-{}.properties", std::process::id())));
    std::fs::write(&path.0, &text).unwrap();
    // The broker refuses this value, and says which it is.
    let refused = Config::load(Some(&path.0), &[]).unwrap_err().to_string();
    assert!(refused.contains(odd.trim()), "{refused}");
    assert!(text.ends_with("=\\ \\\\ a\\tb\\nc=d:e#f!g ü \\\\u0041 \n"), "{text}");
}

#[test]
fn files_are_sorted_and_say_who_wrote_them() {
    let text = file(&of_node(&cluster(ONE), 0, None).unwrap());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("# Written by barnabas-operator"));
    assert!(lines[1..].is_sorted_by_key(|line| line.split('=').next()));
}

#[test]
fn each_of_kubernetes_nodes_has_a_rack_though_it_be_none() {
    let zone = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    let none = BTreeMap::new();
    let racks = racks([("one", &zone), ("two", &none)].into_iter(), "zone");
    assert_eq!(racks, BTreeMap::from([("one".to_owned(), "a".to_owned()), ("two".to_owned(), String::new())]));
}

#[test]
fn a_revision_changes_with_what_a_process_depends_on_and_with_nothing_else() {
    let revision = |spec: &str| revision_of(&cluster(spec), Role::Broker).unwrap();
    let three = |more: &str| format!("{{ brokers: {{ replicas: 3, storage: {{ size: 1Gi }} }}, {more} }}");
    let plain = revision(&three(""));
    assert_eq!(plain, revision(FIVE));
    for same in [
        "config: { log.retention.ms: 5, min.insync.replicas: 1 }",
        "availability: { maxUnavailable: 2 }",
        "stopped: true",
        "deletionPolicy: Delete",
        "rebalance: { mode: Never }",
    ] {
        assert_eq!(revision(&three(same)), plain, "{same}");
    }
    let mut others = vec![plain];
    for other in [
        "config: { num.partitions: 5 }",
        "version: other",
        "durability: { fsyncBeforeAck: true }",
        "listeners: { internal: { port: 9093 } }",
        "listeners: { external: { type: NodePort } }",
        "listeners: { external: { type: LoadBalancer } }",
        "listeners: { external: { type: NodePort, advertisedHost: a.example.com } }",
        "metrics: { scrapeAnnotations: false }",
    ] {
        let revision = revision(&three(other));
        assert!(!others.contains(&revision), "{other}");
        others.push(revision);
    }
}

#[test]
fn the_address_of_a_service_is_what_kubernetes_has_given_it() {
    use k8s_openapi::api::core::v1::Service;
    let service = |json: serde_json::Value| serde_json::from_value::<Service>(json).unwrap();
    let listener = |spec: &str| cluster(spec).external.unwrap();
    let ports = listener("{ brokers: { storage: { size: 1Gi } }, listeners: { external: { type: NodePort } } }");
    let with_port = service(serde_json::json!({ "spec": { "ports": [{ "port": 9094, "nodePort": 31000 }] } }));
    assert_eq!(external::address(&ports, &with_port), Some(ExternalAddress { host: None, port: 31000 }));
    assert_eq!(external::address(&ports, &service(serde_json::json!({}))), None);
    let balancers =
        listener("{ brokers: { storage: { size: 1Gi } }, listeners: { external: { type: LoadBalancer } } }");
    assert_eq!(external::address(&balancers, &with_port), None);
    for ingress in [serde_json::json!({ "ip": "10.1.1.1" }), serde_json::json!({ "ip": "x", "hostname": "10.1.1.1" })] {
        let balanced = service(serde_json::json!({ "status": { "loadBalancer": { "ingress": [ingress] } } }));
        let address = external::address(&balancers, &balanced);
        assert_eq!(address, Some(ExternalAddress { host: Some("10.1.1.1".into()), port: 9094 }));
    }
}

#[test]
fn what_is_for_clients_alone_leaves_dedicated_controllers_as_they_are() {
    let dedicated = |more: &str| {
        let controllers = "controllers: { mode: Dedicated, storage: { size: 1Gi } }";
        let cluster =
            cluster(&format!("{{ brokers: {{ replicas: 3, storage: {{ size: 1Gi }} }}, {controllers}, {more} }}"));
        revision_of(&cluster, Role::Controller)
    };
    assert!(dedicated("").is_some());
    assert_eq!(dedicated("listeners: { internal: { port: 9093 }, external: { type: NodePort } }"), dedicated(""));
    assert_ne!(dedicated("config: { num.partitions: 5 }"), dedicated(""));
    assert_eq!(revision_of(&cluster(FIVE), Role::Controller), None);
}

#[test]
fn the_address_that_a_load_balancer_had_is_found_in_the_file_of_its_broker() {
    let of_type = |external: &str| {
        cluster(&format!("{{ brokers: {{ storage: {{ size: 1Gi }} }}, listeners: {{ external: {{ {external} }} }} }}"))
    };
    let written =
        |cluster: &ValidCluster, address: &ExternalAddress| file(&of_node(cluster, 2, Some(address)).unwrap());
    let address = ExternalAddress { host: Some("lb-2.example.com".into()), port: 9094 };
    let balanced = of_type("type: LoadBalancer");
    let listener = balanced.external.as_ref().unwrap();
    assert_eq!(external::kept(listener, &written(&balanced, &address)), Some(address.clone()));
    // What was told of another kind of listener, or of none, is no address of a load balancer.
    let ports = of_type("type: NodePort");
    let port = ExternalAddress { host: None, port: 31000 };
    assert_eq!(external::kept(listener, &written(&ports, &port)), None);
    assert_eq!(external::kept(listener, &file(&of_node(&cluster(FIVE), 2, None).unwrap())), None);
    // Where it is not the load balancer that says what brokers tell, nothing is missing.
    assert_eq!(external::kept(ports.external.as_ref().unwrap(), &written(&balanced, &address)), None);
    let named = of_type("type: LoadBalancer, advertisedHost: 'b{id}.example.com'");
    assert_eq!(external::kept(named.external.as_ref().unwrap(), &written(&balanced, &address)), None);
}
