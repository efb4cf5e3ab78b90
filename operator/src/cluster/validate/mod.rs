//! From what somebody wrote to what can be built, or to everything that is wrong with it.
//!
//! - Pure. Nothing is built from a cluster that was not checked here: the builders take a `ValidCluster` alone.
//! - All faults are found at once, each with the field that it is in, what is there, and what is allowed.
//! - Settings are checked by the broker's own table, so what passes here starts there.
//! - Deliberately absent: what the schema and its rules refuse at admission, but where a type needs it here too.

mod config;
pub mod nearest;
mod pod;
mod reserved;

use crate::crd::{self, ControllerMode, ExternalType, ImagePullPolicy, KafkaCluster, KafkaClusterSpec};
use crate::resources::{Nodes, OperatorPods, Pod, Quorum, ValidCluster};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use std::collections::BTreeMap;
use std::fmt;

/// What holds for all clusters, where they do not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The image of the brokers, with its tag (`BARNABAS_IMAGE` of the operator).
    pub image: String,
    /// The domain of Kubernetes' services.
    pub cluster_domain: String,
    /// The operator's own pods, if it knows which they are (`POD_NAMESPACE` and `POD_LABELS`).
    pub operator: Option<OperatorPods>,
}

/// Something that cannot be as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its path in the resource.
    pub field: String,
    /// What is there, and what is allowed.
    pub message: String,
}

impl Invalid {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Invalid {
        Invalid { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

/// Errors: everything that is wrong; never nothing.
pub fn validate(cluster: &KafkaCluster, defaults: &Defaults) -> Result<ValidCluster, Vec<Invalid>> {
    let spec = &cluster.spec;
    let mut invalid = Vec::new();
    let owner = owner(cluster, &mut invalid);
    let config = config::read(spec, &mut invalid);
    let mut valid = ValidCluster {
        name: cluster.metadata.name.clone().unwrap_or_default(),
        namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        owner,
        cluster_domain: defaults.cluster_domain.clone(),
        image: image(spec, defaults, &mut invalid),
        image_pull_policy: spec.image_pull_policy.unwrap_or(ImagePullPolicy::IfNotPresent),
        image_pull_secrets: spec.image_pull_secrets.clone(),
        brokers: brokers(spec, &mut invalid),
        controllers: controllers(spec, &mut invalid),
        rack_label: Some(spec.brokers.rack_topology_key.clone()).filter(|key| !key.is_empty()),
        internal_port: spec.listeners.internal.port,
        external: external(spec, &mut invalid),
        network_policy: spec.network_policy.enabled,
        operator: defaults.operator.clone(),
        static_config: config.at_start,
        dynamic_config: config.while_running,
        fsync_before_ack: spec.durability.fsync_before_ack,
        scrape_annotations: spec.metrics.scrape_annotations,
        availability: spec.availability.clone(),
        rebalance: spec.rebalance.clone(),
        deletion_policy: spec.deletion_policy,
        stopped: spec.stopped,
        warnings: config.warnings,
    };
    if invalid.is_empty() {
        // A node is put together only from parts that are right: the broker's words are then about what somebody wrote.
        config::check_nodes(&mut valid, &mut invalid);
    }
    if invalid.is_empty() { Ok(valid) } else { Err(invalid) }
}

fn owner(cluster: &KafkaCluster, invalid: &mut Vec<Invalid>) -> OwnerReference {
    if cluster.metadata.uid.is_none() {
        invalid.push(Invalid::new("metadata.uid", "there is none: this was not read from Kubernetes"));
    }
    let owner = cluster.controller_owner_ref(&()).unwrap_or_default();
    OwnerReference { block_owner_deletion: Some(true), ..owner }
}

fn image(spec: &KafkaClusterSpec, defaults: &Defaults, invalid: &mut Vec<Invalid>) -> String {
    match (&spec.image, &spec.version) {
        (Some(image), Some(version)) => {
            let text = format!("{version} is for the operator's own image, and spec.image is {image}: set only one");
            invalid.push(Invalid::new("spec.version", text));
            image.clone()
        }
        (Some(image), None) => image.clone(),
        (None, Some(version)) => format!("{}:{version}", repository(&defaults.image)),
        (None, None) => defaults.image.clone(),
    }
}

/// An image without its tag and digest. A colon before the last slash is that of the registry's port.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

fn brokers(spec: &KafkaClusterSpec, invalid: &mut Vec<Invalid>) -> Nodes {
    let brokers = &spec.brokers;
    Nodes {
        replicas: brokers.replicas,
        storage: brokers.storage.clone(),
        resources: resources(brokers.resources.as_ref()),
        pod: overrides("spec.brokers.pod", brokers.pod.as_ref(), spec, invalid),
    }
}

fn controllers(spec: &KafkaClusterSpec, invalid: &mut Vec<Invalid>) -> Quorum {
    let (controllers, brokers) = (&spec.controllers, spec.brokers.replicas);
    let count = controllers.replicas;
    if controllers.mode == ControllerMode::Combined {
        if count > brokers {
            let text =
                format!("{count} brokers are the controllers, and brokers.replicas is {brokers}: at least {count}");
            invalid.push(Invalid::new("spec.controllers.replicas", text));
        }
        return Quorum::Combined(count);
    }
    if controllers.storage.is_none() {
        invalid.push(Invalid::new("spec.controllers.storage", "controllers with pods of their own need a volume each"));
    }
    Quorum::Dedicated(Box::new(Nodes {
        replicas: count,
        storage: controllers.storage.clone().unwrap_or_default(),
        resources: resources(controllers.resources.as_ref()),
        pod: overrides("spec.controllers.pod", controllers.pod.as_ref(), spec, invalid),
    }))
}

fn overrides(
    field: &str,
    overrides: Option<&crd::PodOverrides>,
    spec: &KafkaClusterSpec,
    invalid: &mut Vec<Invalid>,
) -> Pod {
    let Some(overrides) = overrides else { return Pod::default() };
    pod::read(field, overrides, spec.metrics.scrape_annotations, invalid)
}

fn resources(given: Option<&crd::Resources>) -> ResourceRequirements {
    let amounts = |amounts: &BTreeMap<String, crd::Quantity>| {
        let amounts: BTreeMap<_, _> =
            amounts.iter().map(|(name, amount)| (name.clone(), Quantity(amount.0.clone()))).collect();
        Some(amounts).filter(|amounts| !amounts.is_empty())
    };
    ResourceRequirements {
        requests: given.and_then(|given| amounts(&given.requests)),
        limits: given.and_then(|given| amounts(&given.limits)),
        ..ResourceRequirements::default()
    }
}

fn external(spec: &KafkaClusterSpec, invalid: &mut Vec<Invalid>) -> Option<crd::ExternalListener> {
    let listener = spec.listeners.external.clone()?;
    let same_for_all = listener.advertised_host.as_ref().filter(|host| !host.contains("{id}"));
    if let Some(host) = same_for_all
        && listener.type_ == ExternalType::LoadBalancer
        && spec.brokers.replicas > 1
    {
        let text = format!("{host} would be the same address for all brokers: put {{id}} into it, for their numbers");
        invalid.push(Invalid::new("spec.listeners.external.advertisedHost", text));
    }
    Some(listener)
}

#[cfg(test)]
mod tests;
