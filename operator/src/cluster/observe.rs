//! From what the caches and the link hold to a [`Situation`].

use super::caches::{Caches, is_silent, of};
use super::situation::{Claim, Pod, Process, Situation, Wanted};
use crate::admin::ClusterKey;
use crate::context::now;
use crate::crd::{ConditionStatus, KafkaClusterStatus, condition};
use crate::resources::{Role, ValidCluster, labels, names};
use crate::write::amount;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{self as core, Node, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What there is of a cluster, but for its own view of itself.
pub fn observe(
    key: &ClusterKey,
    caches: &Caches,
    valid: &ValidCluster,
    status: &KafkaClusterStatus,
    wanted: Wanted,
) -> Situation {
    let nodes = caches.nodes.state();
    let sets = of(&caches.stateful_sets, key);
    let set = |role| sets.iter().find(|set| set.name_any() == names::stateful_set(&key.name, role));
    let rack_label = valid.rack_label.as_deref();
    let pods = of(&caches.pods, key);
    Situation {
        size: set(Role::Broker).and_then(|set| set.spec.as_ref()?.replicas),
        broker_set_storage: set(Role::Broker).and_then(|set| storage(set)),
        controller_set_storage: set(Role::Controller).and_then(|set| storage(set)),
        broker_set_revision: set(Role::Broker).and_then(|set| revision(set)),
        controller_set_revision: set(Role::Controller).and_then(|set| revision(set)),
        pods: pods.iter().filter_map(|it| pod(&key.name, it, &nodes, rack_label)).collect(),
        claims: of(&caches.claims, key).iter().filter_map(|it| claim(&key.name, it, &valid.owner.uid)).collect(),
        disruptions_allowed: disruptions_allowed(key, caches),
        balanced_over: status.balanced_over.clone(),
        was_ready: condition(&status.conditions, "Ready").is_some_and(|it| it.status == ConditionStatus::True),
        is_silent: false,
        incarnations: BTreeMap::new(),
        placements: BTreeMap::new(),
        view: None,
        wanted,
    }
}

/// The size of the volumes that a StatefulSet makes.
fn storage(set: &StatefulSet) -> Option<i128> {
    let template = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?;
    let requests = template.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(amount(&requests.get("storage")?.0)? / 1000)
}

/// The revision of the pods that a StatefulSet makes.
fn revision(set: &StatefulSet) -> Option<String> {
    set.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref()?.get(labels::REVISION).cloned()
}

fn disruptions_allowed(key: &ClusterKey, caches: &Caches) -> Option<i32> {
    let name = names::stateful_set(&key.name, Role::Broker);
    let budgets = of(&caches.disruption_budgets, key);
    let budget = budgets.iter().find(|budget| budget.name_any() == name)?;
    match budget.spec.as_ref()?.max_unavailable.as_ref()? {
        IntOrString::Int(most) => Some(*most),
        IntOrString::String(_) => None,
    }
}

fn pod(cluster: &str, pod: &core::Pod, nodes: &[Arc<Node>], rack_label: Option<&str>) -> Option<Pod> {
    let name = pod.name_any();
    let id = names::node_id(cluster, &name)?;
    let status = pod.status.as_ref();
    let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let node = node_name.as_ref().map(|name| nodes.iter().find(|node| node.name_any() == *name));
    let mut conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.find(|it| it.type_ == "Ready");
    let is_said_ready = ready.is_some_and(|it| it.status == "True");
    let turned = ready.filter(|_| !is_said_ready).and_then(|it| it.last_transition_time.as_ref());
    let rack = node.flatten().and_then(|node| node.labels().get(rack_label?).cloned());
    // Without a place it is on no node that could be lost; one whose node is not known here may have been told of first.
    let node_is_lost = node.flatten().is_some_and(|node| is_silent(node));
    Some(Pod {
        name,
        uid: pod.uid().unwrap_or_default(),
        id,
        is_broker: Role::of(id) == Role::Broker,
        revision: pod.annotations().get(labels::REVISION).cloned(),
        ip: status.and_then(|status| status.pod_ip.clone()),
        node: node_name,
        rack,
        process: process(pod),
        container: container(pod),
        is_ready: is_said_ready && !node_is_lost,
        unready_for: turned
            .map_or(Duration::ZERO, |turned| Duration::try_from(now().0.duration_since(turned.0)).unwrap_or_default()),
        ends: pod.metadata.deletion_timestamp.is_some(),
        node_is_lost,
    })
}

/// Names one run of the container: another one after each restart.
fn container(pod: &core::Pod) -> Option<String> {
    let restarts = node_container(pod.status.as_ref()?)?.restart_count;
    Some(format!("{}/{restarts}", pod.uid()?))
}

/// That of the node, whatever others a pod was given.
fn node_container(status: &core::PodStatus) -> Option<&core::ContainerStatus> {
    status.container_statuses.iter().flatten().find(|container| container.name == names::CONTAINER)
}

/// How the process of a pod is, from its container and, before there is one, from the pod.
pub(super) fn process(pod: &core::Pod) -> Process {
    let Some(status) = &pod.status else { return Process::Waiting };
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return Process::Ended;
    }
    let state = node_container(status).and_then(|container| container.state.as_ref());
    match state {
        Some(core::ContainerState { running: Some(_), .. }) => Process::Running,
        Some(core::ContainerState { terminated: Some(_), .. }) => Process::Ended,
        Some(core::ContainerState { waiting: Some(waiting), .. }) => match waiting.reason.as_deref() {
            None | Some("ContainerCreating" | "PodInitializing") => Process::Waiting,
            Some(reason) => {
                let message = waiting.message.as_deref().unwrap_or_default();
                Process::Failing(format!("{reason} {}", last_words(status).unwrap_or(message)).trim().to_owned())
            }
        },
        _ => unscheduled(status).map_or(Process::Waiting, Process::Failing),
    }
}

/// What the process said before it ended, where it is known.
fn last_words(status: &core::PodStatus) -> Option<&str> {
    node_container(status)?
        .last_state
        .as_ref()?
        .terminated
        .as_ref()?
        .message
        .as_deref()
        .filter(|words| !words.is_empty())
}

fn unscheduled(status: &core::PodStatus) -> Option<String> {
    let conditions = status.conditions.as_ref()?;
    let condition = conditions.iter().find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    Some(format!("no place: {}", condition.message.as_deref().unwrap_or("not scheduled yet")))
}

fn claim(cluster: &str, claim: &PersistentVolumeClaim, owner: &str) -> Option<Claim> {
    let name = claim.name_any();
    let id = names::node_id(cluster, name.strip_prefix(names::DATA)?.strip_prefix('-')?)?;
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    Some(Claim {
        id,
        is_broker: Role::of(id) == Role::Broker,
        uid: claim.uid().unwrap_or_default(),
        is_owned: claim.owner_references().iter().any(|known| known.uid == owner),
        size: amount(&requests.get("storage")?.0)? / 1000,
        is_lost: phase == Some("Lost"),
        ends: claim.metadata.deletion_timestamp.is_some(),
        name,
    })
}
