//! The StatefulSets: one of the brokers, and one of the controllers where those have pods of their own.

use super::valid::{Nodes, Role, ValidCluster, amount};
use super::{Size, labels, names, pod, revision};
use crate::crd::Quantity;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetOrdinals, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// `None`: there is none for this role.
pub fn stateful_set(cluster: &ValidCluster, role: Role, size: &Size) -> Option<StatefulSet> {
    let nodes = cluster.nodes(role)?;
    let name = names::stateful_set(&cluster.name, role);
    Some(StatefulSet {
        metadata: labels::meta(cluster, name, Some(role)),
        spec: Some(spec(cluster, role, nodes, size)),
        status: None,
    })
}

/// What the pods of a role carry as their revision when they are as they should be. `None`: there are none.
pub fn revision_of(cluster: &ValidCluster, role: Role) -> Option<String> {
    let template = pod::template(cluster, role, cluster.nodes(role)?);
    Some(revision::revision(cluster, role, &template))
}

fn spec(cluster: &ValidCluster, role: Role, nodes: &Nodes, size: &Size) -> StatefulSetSpec {
    StatefulSetSpec {
        replicas: Some(size.replicas),
        // An ordinal is a node's id.
        ordinals: Some(StatefulSetOrdinals { start: Some(role.first_id()) }).filter(|start| start.start != Some(0)),
        selector: labels::match_labels(&cluster.name, role),
        service_name: Some(names::nodes_service(&cluster.name)),
        // A quorum has no leader before a majority runs: no pod waits for the one before it.
        pod_management_policy: Some("Parallel".to_owned()),
        // The operator restarts pods, in an order that leaves every partition with enough replicas.
        update_strategy: Some(StatefulSetUpdateStrategy {
            type_: Some("OnDelete".to_owned()),
            ..StatefulSetUpdateStrategy::default()
        }),
        persistent_volume_claim_retention_policy: Some(retention()),
        template: with_revision(cluster, role, pod::template(cluster, role, nodes)),
        volume_claim_templates: Some(vec![claim(cluster, role, nodes, &size.storage)]),
        ..StatefulSetSpec::default()
    }
}

/// Scaling never deletes: a stopped cluster has no pods and all its data. Of a broker that was removed for good, the operator
/// deletes the claim itself.
fn retention() -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    let retain = || Some("Retain".to_owned());
    StatefulSetPersistentVolumeClaimRetentionPolicy { when_deleted: retain(), when_scaled: retain() }
}

fn with_revision(cluster: &ValidCluster, role: Role, mut template: PodTemplateSpec) -> PodTemplateSpec {
    let revision = revision::revision(cluster, role, &template);
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(labels::REVISION.to_owned(), revision);
    template
}

/// No owner: what becomes of the volume is for the retention policy to say.
fn claim(cluster: &ValidCluster, role: Role, nodes: &Nodes, storage: &Quantity) -> PersistentVolumeClaim {
    let requests = BTreeMap::from([("storage".to_owned(), amount(storage))]);
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::DATA.to_owned()),
            labels: Some(labels::labels(cluster, Some(role))),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: nodes.storage.class_name.clone(),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
