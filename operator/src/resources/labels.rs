//! Labels and annotations of what a cluster is made of.

use super::valid::{Role, ValidCluster};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use std::collections::BTreeMap;

/// The KafkaCluster that something belongs to.
pub const CLUSTER: &str = "barnabas.dev/cluster";
/// The role of the nodes that something is for.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The annotation of a pod that says what its process was started with: two of the same need no restart to become alike.
pub const REVISION: &str = "barnabas.dev/revision";

const NAME: &str = "app.kubernetes.io/name";
const INSTANCE: &str = "app.kubernetes.io/instance";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Written by Kubernetes into the pods of a StatefulSet.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
pub(super) const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
const POD_REVISION: &str = "controller-revision-hash";
pub(super) const SCRAPE: [&str; 3] = ["prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"];

type Labels = BTreeMap<String, String>;

/// Whether a label or an annotation of a pod is written by the operator or by Kubernetes.
pub fn is_reserved(key: &str) -> bool {
    let exact = [NAME, INSTANCE, MANAGED_BY, COMPONENT, POD_NAME, POD_INDEX, POD_REVISION];
    exact.contains(&key) || key.starts_with("barnabas.dev/")
}

/// Whether an annotation is one of those that Prometheus reads.
pub fn is_scraping(key: &str) -> bool {
    SCRAPE.contains(&key)
}

/// The labels of everything that belongs to a cluster; `role`: where it is for the nodes of one alone.
pub fn labels(cluster: &ValidCluster, role: Option<Role>) -> Labels {
    let mut labels = owned([
        (NAME, "barnabas"),
        (INSTANCE, &cluster.name),
        (MANAGED_BY, "barnabas-operator"),
        (CLUSTER, &cluster.name),
    ]);
    labels.extend(role.map(|role| (COMPONENT.to_owned(), role.component().to_owned())));
    labels
}

/// What selects the pods of a cluster, or of one role of it.
pub fn selector(cluster: &str, role: Option<Role>) -> Labels {
    let mut labels = owned([(CLUSTER, cluster)]);
    labels.extend(role.map(|role| (COMPONENT.to_owned(), role.component().to_owned())));
    labels
}

/// What selects the pod of this name.
pub(super) fn pod_selector(cluster: &str, pod: &str) -> Labels {
    let mut labels = selector(cluster, Some(Role::Broker));
    labels.insert(POD_NAME.to_owned(), pod.to_owned());
    labels
}

/// The same for fields that take a LabelSelector.
pub(super) fn match_labels(cluster: &str, role: Role) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(cluster, Some(role))), ..LabelSelector::default() }
}

/// The brokers' pods as `status.selector` names them, for `kubectl scale` and autoscalers.
pub fn selector_text(cluster: &str) -> String {
    let labels = selector(cluster, Some(Role::Broker));
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The metadata of something that belongs to a cluster and goes with it.
pub(super) fn meta(cluster: &ValidCluster, name: String, role: Option<Role>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(cluster.namespace.clone()),
        labels: Some(labels(cluster, role)),
        owner_references: Some(vec![cluster.owner.clone()]),
        ..ObjectMeta::default()
    }
}

pub(super) fn owned<const N: usize>(of: [(&str, &str); N]) -> Labels {
    of.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autoscalers_find_the_brokers_by_a_text() {
        assert_eq!(selector_text("orders"), "app.kubernetes.io/component=broker,barnabas.dev/cluster=orders");
    }

    #[test]
    fn what_selectors_need_is_reserved() {
        for key in [CLUSTER, COMPONENT, REVISION, NAME, POD_NAME, POD_INDEX] {
            assert!(is_reserved(key), "{key}");
        }
        assert!(!is_reserved("app.kubernetes.io/part-of"));
        assert!(!is_reserved("team"));
    }
}
