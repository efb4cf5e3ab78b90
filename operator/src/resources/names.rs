//! Names of what a cluster is made of. All begin with the cluster's own, which has at most 40 characters.

use super::valid::Role;

/// Dedicated controllers are numbered from here, brokers from 0: no two nodes have the same id.
pub const FIRST_CONTROLLER_ID: i32 = 1000;

/// The headless service that gives each pod its name.
pub fn nodes_service(cluster: &str) -> String {
    format!("{cluster}-nodes")
}

/// Where clients inside Kubernetes begin.
pub fn bootstrap_service(cluster: &str) -> String {
    format!("{cluster}-bootstrap")
}

/// Where clients outside begin.
pub fn external_bootstrap_service(cluster: &str) -> String {
    format!("{cluster}-external")
}

/// Where clients outside find one broker.
pub fn external_service(cluster: &str, id: i32) -> String {
    format!("{cluster}-external-{id}")
}

/// The broker whose external service has this name.
pub fn external_service_id(cluster: &str, service: &str) -> Option<i32> {
    number(service.strip_prefix(cluster)?.strip_prefix("-external-")?)
}

/// The StatefulSet of a role, and its PodDisruptionBudget.
pub fn stateful_set(cluster: &str, role: Role) -> String {
    format!("{cluster}-{}", role.component())
}

/// The pod of a node: its ordinal is the node's id.
pub fn pod(cluster: &str, id: i32) -> String {
    format!("{}-{id}", stateful_set(cluster, Role::of(id)))
}

/// The claim of a node's volume, as its StatefulSet names it.
pub fn claim(cluster: &str, id: i32) -> String {
    format!("{DATA}-{}", pod(cluster, id))
}

/// The id of the node that runs in the pod of this name. `None`: it is none of this cluster.
pub fn node_id(cluster: &str, pod_name: &str) -> Option<i32> {
    let id = number(pod_name.rsplit_once('-')?.1)?;
    (pod(cluster, id) == pod_name).then_some(id)
}

/// The NetworkPolicy of all nodes.
pub fn network_policy(cluster: &str) -> String {
    format!("{cluster}-nodes")
}

/// The ConfigMap that has a properties file for each node.
pub fn config(cluster: &str) -> String {
    format!("{cluster}-config")
}

/// The file of a node in that ConfigMap.
pub fn config_file(id: i32) -> String {
    format!("{id}.properties")
}

/// The node whose file has this name.
pub fn config_file_id(file: &str) -> Option<i32> {
    number(file.strip_suffix(".properties")?)
}

/// The ConfigMap that says in which rack each of Kubernetes' nodes is.
pub fn racks(cluster: &str) -> String {
    format!("{cluster}-racks")
}

/// The ServiceAccount of all pods that have no other.
pub fn service_account(cluster: &str) -> String {
    cluster.to_owned()
}

/// The one container of a pod.
pub const CONTAINER: &str = "barnabas";
/// The volume of a node's logs.
pub const DATA: &str = "data";
/// The volume of the properties files.
pub const CONFIG: &str = "config";
/// The volume of the racks.
pub const RACKS: &str = "racks";

fn number(text: &str) -> Option<i32> {
    // As it would be written: no sign, no leading zero.
    text.parse::<i32>().ok().filter(|number| *number >= 0 && number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_name_says_the_nodes_id() {
        assert_eq!(pod("orders", 2), "orders-broker-2");
        assert_eq!(pod("orders", 1001), "orders-controller-1001");
        for id in [0, 7, 249, 1000, 1004] {
            assert_eq!(node_id("orders", &pod("orders", id)), Some(id));
        }
    }

    #[test]
    fn names_of_other_pods_say_nothing() {
        let others = [
            "orders",
            "orders-broker-",
            "orders-broker-x",
            "orders-broker-01",
            "orders-broker-+1",
            "orders-broker--1",
            "orders-broker-1000",
            "orders-controller-0",
            "orders-broker-broker-0",
            "new-orders-broker-0",
            "orders-broker-99999999999",
        ];
        others.iter().for_each(|name| assert_eq!(node_id("orders", name), None, "{name}"));
        assert_eq!(node_id("orders-broker", "orders-broker-broker-0"), Some(0));
    }

    #[test]
    fn an_external_services_name_says_the_broker() {
        assert_eq!(external_service_id("orders", &external_service("orders", 12)), Some(12));
        assert_eq!(external_service_id("orders", "orders-external"), None);
        assert_eq!(external_service_id("orders", "orders-external-new"), None);
    }
}
