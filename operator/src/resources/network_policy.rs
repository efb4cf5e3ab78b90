//! Who may connect to the nodes. The admin listener asks nobody for a password, and whoever reaches it can fence brokers and
//! forget them.

use super::ports::{self, Port};
use super::valid::{OperatorPods, ValidCluster};
use super::{labels, names};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

/// Written by Kubernetes into every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// `None`: the cluster wants none. Clients and monitoring come from anywhere, and so may the probes, which are asked at the port of
/// the metrics. The port of clients inside goes by its name: where it is changed, each pod has its own until it is restarted. Nodes follow one another and vote by ports of their own, for the cluster's pods alone. The admin listener is
/// for the operator's pods; an operator that does not know which those are, as one outside of Kubernetes, leaves it open.
/// Policies add up: one of somebody else may allow more.
pub fn network_policy(cluster: &ValidCluster) -> Option<NetworkPolicy> {
    let for_all = [IntOrString::String(ports::internal(cluster).name.to_owned()), ports::METRICS.target()].into_iter();
    let for_all = for_all.chain(cluster.external.as_ref().map(|_| ports::EXTERNAL.target()));
    let rules = [
        rule(for_all, None),
        rule([ports::CONTROLLER, ports::REPLICATION].map(Port::target), Some(own(cluster))),
        rule([ports::ADMIN.target()], cluster.operator.as_ref().map(operator)),
    ];
    cluster.network_policy.then(|| NetworkPolicy {
        metadata: labels::meta(cluster, names::network_policy(&cluster.name), None),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(labels::selector(&cluster.name, None))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(rules.into()),
            egress: None,
        }),
    })
}

/// `from`: `None` is anywhere.
fn rule(ports: impl IntoIterator<Item = IntOrString>, from: Option<NetworkPolicyPeer>) -> NetworkPolicyIngressRule {
    let port = |port: IntOrString| NetworkPolicyPort {
        port: Some(port),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    NetworkPolicyIngressRule { ports: Some(ports.into_iter().map(port).collect()), from: from.map(|from| vec![from]) }
}

fn own(cluster: &ValidCluster) -> NetworkPolicyPeer {
    let pods = selector(labels::selector(&cluster.name, None));
    NetworkPolicyPeer { pod_selector: Some(pods), ..NetworkPolicyPeer::default() }
}

fn operator(pods: &OperatorPods) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(selector(labels::owned([(NAMESPACE_NAME, &pods.namespace)]))),
        pod_selector: Some(selector(pods.labels.clone())),
        ip_block: None,
    }
}

fn selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}
