//! On which of Kubernetes' nodes pods are: spread over racks and over machines, as far as that is possible.

use super::labels;
use super::pod::list;
use super::valid::{Pod, Role, ValidCluster};
use k8s_openapi::api::core::v1::{
    Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint, WeightedPodAffinityTerm,
};

/// What the pod asks for; otherwise rather not on a machine that has another of its role. Not more than rather: where there
/// are fewer machines than pods, a broker beside another is better than none.
pub fn affinity(cluster: &ValidCluster, role: Role, pod: &Pod) -> Affinity {
    let apart = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(labels::match_labels(&cluster.name, role)),
            topology_key: "kubernetes.io/hostname".to_owned(),
            ..PodAffinityTerm::default()
        },
    };
    let anti_affinity = PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![apart]),
        ..PodAntiAffinity::default()
    };
    let ours = Affinity { pod_anti_affinity: Some(anti_affinity), ..Affinity::default() };
    pod.affinity.clone().unwrap_or(ours)
}

/// What the pod asks for; otherwise evenly over the racks, if there are racks.
pub fn spread(cluster: &ValidCluster, role: Role, pod: &Pod) -> Option<Vec<TopologySpreadConstraint>> {
    let over_racks = |label: &String| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: label.clone(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(labels::match_labels(&cluster.name, role)),
        ..TopologySpreadConstraint::default()
    };
    let ours = || cluster.rack_label.as_ref().map(|label| vec![over_racks(label)]);
    list(&pod.topology_spread_constraints).or_else(ours)
}
