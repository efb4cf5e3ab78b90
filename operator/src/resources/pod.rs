//! The pods of a role: one container, which is the image's own program with a properties file.

use super::labels::{self, owned};
use super::properties::{CONFIG_PATH, DATA_PATH, RACKS_PATH};
use super::valid::{Nodes, Role, ValidCluster};
use super::{names, placement, ports, probes};
use crate::crd::ImagePullPolicy;
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector,
    PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The variables of the container that the operator sets, with the fields of the pod they come from.
pub const ENV: [(&str, &str); 4] = [
    ("NODE_ID", "metadata.labels['apps.kubernetes.io/pod-index']"),
    ("POD_NAME", "metadata.name"),
    ("NODE_NAME", "spec.nodeName"),
    ("HOST_IP", "status.hostIP"),
];
/// The volumes that the operator makes, and where they are in the container.
pub const MOUNTS: [(&str, &str); 3] =
    [(names::DATA, DATA_PATH), (names::CONFIG, CONFIG_PATH), (names::RACKS, RACKS_PATH)];

/// The user and group of the image.
const USER: i64 = 65532;
/// A stop in order takes less: leaders move within 10 seconds, requests under way end within 10 more.
const GRACE_SECONDS: i64 = 60;

/// The template of the pods of a role, without its revision.
pub fn template(cluster: &ValidCluster, role: Role, nodes: &Nodes) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(with(&nodes.pod.labels, labels::labels(cluster, Some(role)))),
            annotations: Some(with(&nodes.pod.annotations, scraping(cluster))),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(cluster, role, nodes)),
    }
}

fn spec(cluster: &ValidCluster, role: Role, nodes: &Nodes) -> PodSpec {
    let pod = &nodes.pod;
    let secret = |name: &String| LocalObjectReference { name: name.clone() };
    let service_account = pod.service_account_name.clone();
    PodSpec {
        containers: vec![container(cluster, role, nodes)],
        volumes: Some(volumes(cluster, role).chain(pod.volumes.iter().cloned()).collect()),
        affinity: Some(placement::affinity(cluster, role, pod)),
        topology_spread_constraints: placement::spread(cluster, role, pod),
        tolerations: list(&pod.tolerations),
        node_selector: Some(pod.node_selector.clone()).filter(|labels| !labels.is_empty()),
        image_pull_secrets: list(&cluster.image_pull_secrets.iter().map(secret).collect::<Vec<_>>()),
        security_context: Some(pod.security_context.clone().unwrap_or_else(not_root)),
        service_account_name: Some(service_account.unwrap_or_else(|| names::service_account(&cluster.name))),
        // The broker asks nothing of Kubernetes.
        automount_service_account_token: Some(false),
        // A variable for each service of the namespace is no way to find anything, and there may be thousands.
        enable_service_links: Some(false),
        priority_class_name: pod.priority_class_name.clone(),
        scheduler_name: pod.scheduler_name.clone(),
        termination_grace_period_seconds: Some(pod.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS)),
        ..PodSpec::default()
    }
}

/// No preStop hook: on SIGTERM the broker has its partitions led by others and stops being ready, and serves until that is
/// done. Clients follow the metadata, not the endpoints of a service, so there is nothing to wait for before.
fn container(cluster: &ValidCluster, role: Role, nodes: &Nodes) -> Container {
    let mounts = mounts(cluster, role).map(|(name, path)| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: (name != names::DATA).then_some(true),
        ..VolumeMount::default()
    });
    Container {
        name: names::CONTAINER.to_owned(),
        image: Some(cluster.image.clone()),
        image_pull_policy: Some(pull_policy(cluster.image_pull_policy).to_owned()),
        args: Some(arguments(cluster, role)),
        env: Some(env().chain(nodes.pod.env.iter().cloned()).collect()),
        ports: Some(ports::of_role(cluster, role).into_iter().map(ports::Port::of_container).collect()),
        volume_mounts: Some(mounts.chain(nodes.pod.volume_mounts.iter().cloned()).collect()),
        resources: Some(nodes.resources.clone()).filter(|resources| *resources != Default::default()),
        security_context: Some(unprivileged()),
        startup_probe: Some(probes::startup()),
        readiness_probe: Some(probes::readiness()),
        liveness_probe: Some(probes::liveness()),
        // A start that is refused says why in one line on standard error: that line is then in the pod's status.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// Kubernetes puts variables of the form `$(NAME)` into arguments, and leaves `${...}` to the broker.
fn arguments(cluster: &ValidCluster, role: Role) -> Vec<String> {
    let mut arguments = vec![format!("{CONFIG_PATH}/$(NODE_ID).properties")];
    if has_racks(cluster, role) {
        let rack = format!("broker.rack=${{directory:{RACKS_PATH}:$(NODE_NAME)}}");
        arguments.extend(["--override".to_owned(), rack]);
    }
    arguments
}

fn has_racks(cluster: &ValidCluster, role: Role) -> bool {
    role == Role::Broker && cluster.rack_label.is_some()
}

fn env() -> impl Iterator<Item = EnvVar> {
    ENV.into_iter().map(|(name, path)| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() }),
            ..EnvVarSource::default()
        }),
    })
}

fn mounts(cluster: &ValidCluster, role: Role) -> impl Iterator<Item = (&'static str, &'static str)> {
    let has_racks = has_racks(cluster, role);
    MOUNTS.into_iter().filter(move |(name, _)| *name != names::RACKS || has_racks)
}

/// Those of ConfigMaps: the volume of the data is made from the claim of the StatefulSet.
fn volumes(cluster: &ValidCluster, role: Role) -> impl Iterator<Item = Volume> {
    let of_map = |name: &str, map: String| Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: map, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
    let config = of_map(names::CONFIG, names::config(&cluster.name));
    let racks = has_racks(cluster, role).then(|| of_map(names::RACKS, names::racks(&cluster.name)));
    std::iter::once(config).chain(racks)
}

fn not_root() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // A volume of millions of files is not walked at each start.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
        ..PodSecurityContext::default()
    }
}

fn unprivileged() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn scraping(cluster: &ValidCluster) -> BTreeMap<String, String> {
    let [scrape, port, path] = labels::SCRAPE;
    let number = ports::METRICS.number.to_string();
    match cluster.scrape_annotations {
        true => owned([(scrape, "true"), (port, &number), (path, "/metrics")]),
        false => BTreeMap::new(),
    }
}

fn pull_policy(policy: ImagePullPolicy) -> &'static str {
    match policy {
        ImagePullPolicy::Always => "Always",
        ImagePullPolicy::IfNotPresent => "IfNotPresent",
        ImagePullPolicy::Never => "Never",
    }
}

fn with(given: &BTreeMap<String, String>, ours: BTreeMap<String, String>) -> BTreeMap<String, String> {
    given.clone().into_iter().chain(ours).collect()
}

pub(super) fn list<T: Clone>(elements: &[T]) -> Option<Vec<T>> {
    Some(elements.to_vec()).filter(|elements| !elements.is_empty())
}
