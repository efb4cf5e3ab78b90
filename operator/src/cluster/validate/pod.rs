//! `pod` of brokers and controllers: what is written as in a Pod is read as Kubernetes' own types.

use super::Invalid;
use crate::crd::PodOverrides;
use crate::resources::{Pod, labels, pod};
use k8s_openapi::api::core::v1::{EnvVar, Volume, VolumeMount};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `field`: the path of the overrides. `scrape`: whether the operator writes the annotations for Prometheus.
pub fn read(field: &str, overrides: &PodOverrides, scrape: bool, invalid: &mut Vec<Invalid>) -> Pod {
    let at = |name: &str| format!("{field}.{name}");
    let is_ours = |key: &str| labels::is_reserved(key) || scrape && labels::is_scraping(key);
    keys_of_others(&at("labels"), &overrides.labels, labels::is_reserved, invalid);
    keys_of_others(&at("annotations"), &overrides.annotations, is_ours, invalid);
    let pod = Pod {
        labels: overrides.labels.clone(),
        annotations: overrides.annotations.clone(),
        node_selector: overrides.node_selector.clone(),
        affinity: object(&at("affinity"), overrides.affinity.as_ref(), invalid),
        tolerations: list(&at("tolerations"), &overrides.tolerations, invalid),
        topology_spread_constraints: list(
            &at("topologySpreadConstraints"),
            &overrides.topology_spread_constraints,
            invalid,
        ),
        security_context: object(&at("securityContext"), overrides.security_context.as_ref(), invalid),
        env: list(&at("env"), &overrides.env, invalid),
        volumes: list(&at("volumes"), &overrides.volumes, invalid),
        volume_mounts: list(&at("volumeMounts"), &overrides.volume_mounts, invalid),
        priority_class_name: overrides.priority_class_name.clone(),
        service_account_name: overrides.service_account_name.clone(),
        scheduler_name: overrides.scheduler_name.clone(),
        termination_grace_period_seconds: overrides.termination_grace_period_seconds,
    };
    env_names(&at("env"), &pod.env, invalid);
    volume_names(&at("volumes"), &pod.volumes, invalid);
    mounts(&at("volumeMounts"), &pod.volume_mounts, &pod.volumes, invalid);
    pod
}

fn keys_of_others(
    field: &str,
    given: &BTreeMap<String, String>,
    is_ours: impl Fn(&str) -> bool,
    invalid: &mut Vec<Invalid>,
) {
    for key in given.keys().filter(|key| is_ours(key)) {
        invalid.push(Invalid::new(format!("{field}[{key}]"), "the operator writes this one itself: leave it out"));
    }
}

fn object<T: Serialize + DeserializeOwned>(
    field: &str,
    given: Option<&Value>,
    invalid: &mut Vec<Invalid>,
) -> Option<T> {
    given.and_then(|value| {
        parsed(value).map_err(|fault| invalid.push(Invalid::new(format!("{field}{}", fault.place), fault.text))).ok()
    })
}

fn list<T: Serialize + DeserializeOwned>(field: &str, given: &[Value], invalid: &mut Vec<Invalid>) -> Vec<T> {
    let elements = given.iter().enumerate();
    elements.filter_map(|(index, value)| object(&format!("{field}[{index}]"), Some(value), invalid)).collect()
}

/// What is wrong within an object, and where in it.
struct Fault {
    place: String,
    text: String,
}

/// Kubernetes' types pass over fields that they do not know: what is misspelt would have no effect, and nobody would be told.
fn parsed<T: Serialize + DeserializeOwned>(given: &Value) -> Result<T, Fault> {
    let refused = |error: serde_json::Error| Fault { place: String::new(), text: error.to_string() };
    let parsed: T = serde_json::from_value(given.clone()).map_err(refused)?;
    let read = serde_json::to_value(&parsed).map_err(refused)?;
    match lost(given, &read) {
        Some(place) => Err(Fault { place, text: "Kubernetes has no field of this name here".to_owned() }),
        None => Ok(parsed),
    }
}

/// The first place in `given` that is not in `read`.
fn lost(given: &Value, read: &Value) -> Option<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            let written = given.iter().filter(|(_, value)| !value.is_null());
            written.into_iter().find_map(|(key, value)| {
                let within = read.get(key).map_or_else(|| Some(String::new()), |read| lost(value, read));
                within.map(|within| format!(".{key}{within}"))
            })
        }
        (Value::Array(given), Value::Array(read)) => {
            let pairs = given.iter().zip(read).enumerate();
            pairs.into_iter().find_map(|(index, (given, read))| Some(format!("[{index}]{}", lost(given, read)?)))
        }
        _ => None,
    }
}

fn env_names(field: &str, env: &[EnvVar], invalid: &mut Vec<Invalid>) {
    let ours = pod::ENV.map(|(name, _)| name);
    different(field, "name", env.iter().map(|one| one.name.as_str()), &ours, invalid);
}

fn volume_names(field: &str, volumes: &[Volume], invalid: &mut Vec<Invalid>) {
    let ours = pod::MOUNTS.map(|(name, _)| name);
    different(field, "name", volumes.iter().map(|one| one.name.as_str()), &ours, invalid);
}

fn mounts(field: &str, mounts: &[VolumeMount], volumes: &[Volume], invalid: &mut Vec<Invalid>) {
    let ours = pod::MOUNTS.map(|(_, path)| path);
    let paths = mounts.iter().map(|mount| mount.mount_path.trim_end_matches('/'));
    different(field, "mountPath", paths, &ours, invalid);
    for (index, mount) in mounts.iter().enumerate() {
        if !volumes.iter().any(|volume| volume.name == mount.name) {
            let text = format!("'{}' is none of the volumes that are listed in volumes", mount.name);
            invalid.push(Invalid::new(format!("{field}[{index}].name"), text));
        }
    }
}

/// Each is there, once, and none of the operator's.
fn different<'a>(
    field: &str,
    part: &str,
    given: impl Iterator<Item = &'a str>,
    ours: &[&str],
    invalid: &mut Vec<Invalid>,
) {
    let mut seen = BTreeSet::new();
    for (index, one) in given.enumerate() {
        let fault = match one {
            "" => "it is missing".to_owned(),
            _ if ours.contains(&one) => format!("{one} is the operator's own ({}): use another", ours.join(", ")),
            _ if !seen.insert(one) => format!("{one} is there twice"),
            _ => continue,
        };
        invalid.push(Invalid::new(format!("{field}[{index}].{part}"), fault));
    }
}
