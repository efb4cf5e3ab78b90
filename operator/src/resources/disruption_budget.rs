//! How many pods an eviction (`kubectl drain`) may take at the same time.

use super::valid::{Role, ValidCluster};
use super::{labels, names};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// `None`: there is no such StatefulSet.
pub fn disruption_budget(cluster: &ValidCluster, role: Role, unavailable_max: i32) -> Option<PodDisruptionBudget> {
    cluster.nodes(role)?;
    Some(PodDisruptionBudget {
        metadata: labels::meta(cluster, names::stateful_set(&cluster.name, role), Some(role)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(unavailable_max)),
            selector: Some(labels::match_labels(&cluster.name, role)),
            // A pod that is not ready serves nobody: it must not keep a machine from being emptied.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}
