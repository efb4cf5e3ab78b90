//! How the operator writes to the API server: server-side apply, and only what is not so already.
//!
//! - An object is written when it is missing, when what is wanted of it has changed since it was written (its annotation
//!   [`WANTED`]), or when a field that the operator sets has another value. A converged cluster causes no writes at all.
//! - What others have added is left to them: fields, and elements of lists that are merged by key ([`MERGED`]). Applying could
//!   not take them away, and would be tried for ever. An element that the operator itself added and wants no longer is found
//!   by the annotation, and applying takes it away.
//! - A status is written when it differs from the one that is known.

use crate::checksum::fnv1a;
use crate::context::{Context, FIELD_MANAGER};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use tracing::info;

/// The annotation that holds a checksum of what was wanted when the object was written: a field that is wanted no longer is
/// found by it.
pub const WANTED: &str = "barnabas.dev/wanted";

/// What became of an object that should be as it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was so.
    Not,
    Created,
    Changed,
}

/// Makes an object as it is wanted; `live` is what is known of it. Foreign objects must have been found before.
/// Errors: the API server's.
pub async fn apply<K>(context: &Context, wanted: &K, live: Option<&K>) -> Result<Written, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let kind = K::kind(&());
    let name = wanted.name_any();
    let wanted_value = sealed(with_type(wanted));
    let written = match live {
        None => Written::Created,
        Some(live) => {
            let drift = drift(&wanted_value, &serde_json::to_value(live).expect("an object is JSON"), "");
            let Some(field) = drift else { return Ok(Written::Not) };
            let seal = &wanted_value["metadata"]["annotations"][WANTED];
            if live.annotations().get(WANTED).is_some_and(|known| seal == known) {
                info!(%kind, name, field, "somebody else changed this, and it is put right");
                context.metrics.drifted(&kind);
            }
            Written::Changed
        }
    };
    let namespace = wanted.namespace().expect("what the operator makes is in a namespace");
    let api: Api<K> = Api::namespaced(context.client.clone(), &namespace);
    context.metrics.wrote(&kind);
    api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&wanted_value)).await?;
    info!(%kind, name, namespace, ?written, "written");
    Ok(written)
}

/// Writes the status of a resource, if it is not so already. Errors: the API server's.
pub async fn status<K, S>(
    context: &Context,
    resource: &K,
    known: Option<&S>,
    status: &S,
) -> Result<Written, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    S: Serialize + PartialEq,
{
    if known == Some(status) {
        return Ok(Written::Not);
    }
    let namespace = resource.namespace().expect("it is in a namespace");
    let api: Api<K> = Api::namespaced(context.client.clone(), &namespace);
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // Of this very resource, not of one that was made again under its name.
        "metadata": { "name": resource.name_any(), "uid": resource.meta().uid },
        "status": status,
    });
    context.metrics.wrote(&K::kind(&()));
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&resource.name_any(), &parameters, &Patch::Apply(&patch)).await?;
    Ok(Written::Changed)
}

/// Whether the API server refuses because the namespace is being deleted.
pub fn is_of_an_ending_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

fn with_type<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Value {
    let mut value = serde_json::to_value(object).expect("an object is JSON");
    value["apiVersion"] = K::api_version(&()).into();
    value["kind"] = K::kind(&()).into();
    value
}

/// With the annotation that tells it from what was wanted before.
fn sealed(mut object: Value) -> Value {
    object["metadata"]["annotations"][WANTED] = checksum(&object).into();
    object
}

/// Lists of which others may have elements of their own, and the fields that tell elements apart: those that server-side
/// apply merges by key, which the operator always says in full. Tolerations it replaces as a whole, and yet webhooks add to
/// them: each time they are applied.
const MERGED: [(&str, &[&str]); 10] = [
    ("containers", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    // Of containers and of services.
    ("ports", &["containerPort", "port", "protocol"]),
    ("tolerations", &["key", "operator", "value", "effect"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// What nobody else has a say in, nor fills in: the rules of a NetworkPolicy. One more port in them is a door.
const EXACT: &str = ".spec.ingress";

/// The first field of `wanted` that `live` has otherwise. Fields that are not wanted are not looked at: the API server fills
/// in defaults.
fn drift(wanted: &Value, live: &Value, path: &str) -> Option<String> {
    match (wanted, live) {
        _ if path == EXACT => (wanted != live).then(|| path.to_owned()),
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match live.get(name) {
                Some(found) => drift(value, found, &path),
                // What is empty is left out by whoever reads it.
                None => (!is_empty(value)).then_some(path),
            }
        }),
        (Value::Array(wanted), Value::Array(live)) => drift_of_list(wanted, live, path),
        (Value::String(wanted), Value::String(live)) if same_quantity(wanted, live) => None,
        _ => (wanted != live).then(|| path.to_owned()),
    }
}

fn drift_of_list(wanted: &[Value], live: &[Value], path: &str) -> Option<String> {
    let field = path.rsplit('.').next().unwrap_or_default();
    let keys = MERGED.iter().find(|(list, _)| *list == field).map(|(_, keys)| *keys);
    if keys.is_none() && wanted.len() != live.len() {
        return Some(path.to_owned());
    }
    wanted.iter().enumerate().find_map(|(index, wanted)| {
        let path = format!("{path}[{index}]");
        let found = match keys {
            Some(keys) => live.iter().find(|live| keys.iter().all(|key| wanted.get(key) == live.get(key))),
            None => live.get(index),
        };
        found.map_or(Some(path.clone()), |found| drift(wanted, found, &path))
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether both are the same amount: the API server writes quantities its own way (`1000m` becomes `1`).
fn same_quantity(one: &str, other: &str) -> bool {
    one == other || amount(one).is_some_and(|amount_of_one| Some(amount_of_one) == amount(other))
}

/// An amount in thousandths of its unit (`resource.Quantity`). `None` for what is none.
pub fn amount(text: &str) -> Option<i128> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || whole.len() > 18 {
        return None;
    }
    // In billionths, so that "n" is whole.
    let billionths: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    let (factor, divisor): (i128, i128) = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "" => (1, 1),
        "k" => (1000, 1),
        "M" => (1000i128.pow(2), 1),
        "G" => (1000i128.pow(3), 1),
        "T" => (1000i128.pow(4), 1),
        "P" => (1000i128.pow(5), 1),
        "Ki" => (1024, 1),
        "Mi" => (1024i128.pow(2), 1),
        "Gi" => (1024i128.pow(3), 1),
        "Ti" => (1024i128.pow(4), 1),
        "Pi" => (1024i128.pow(5), 1),
        _ => return None,
    };
    Some(billionths.checked_mul(factor)? / divisor / 1_000_000)
}

/// Of the object's JSON, whose fields are sorted.
pub fn checksum(value: &Value) -> String {
    format!("{:016x}", fnv1a(value.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_the_api_server_are_no_drift() {
        let wanted = json!({"spec": {"ports": [{"port": 1, "protocol": "TCP"}], "empty": {}}});
        let live = json!({"spec": {"ports": [{"port": 1, "protocol": "TCP", "targetPort": 1}], "more": 1}});
        assert_eq!(drift(&wanted, &live, ""), None);
    }

    #[test]
    fn another_value_and_a_missing_field_are_drift() {
        let wanted = json!({"spec": {"ports": [{"port": 1, "name": "p"}], "name": "a"}});
        let cases = [
            (json!({"spec": {"ports": [{"port": 2, "name": "p"}], "name": "a"}}), ".spec.ports[0]"),
            (json!({"spec": {"ports": [{"port": 1, "name": "q"}], "name": "a"}}), ".spec.ports[0].name"),
            (json!({"spec": {"ports": [{"port": 1, "name": "p"}]}}), ".spec.name"),
            (json!({"spec": {"name": "a"}}), ".spec.ports"),
        ];
        for (live, field) in cases {
            assert_eq!(drift(&wanted, &live, "").as_deref(), Some(field));
        }
    }

    /// A pod's spec with a container of ours, which has these variables.
    fn pod(env: &[&str]) -> Value {
        let env: Vec<Value> = env.iter().map(|name| json!({"name": name, "value": "1"})).collect();
        json!({"spec": {
            "containers": [{"name": "ours", "image": "i", "args": ["a", "b"], "env": env,
                "ports": [{"containerPort": 9092, "protocol": "TCP"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "data", "mountPath": "/more"}]}],
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "volumes": [{"name": "config"}],
        }})
    }

    #[test]
    fn a_rule_of_a_network_policy_that_allows_more_is_drift() {
        let wanted = json!({ "spec": { "ingress": [{ "ports": [{ "port": 9404 }] }] } });
        for more in [
            json!({ "ports": [{ "port": 9404 }, { "port": 9095 }] }),
            json!({ "ports": [{ "port": 9404 }], "from": [] }),
        ] {
            let live = json!({ "spec": { "ingress": [more] } });
            assert_eq!(drift(&wanted, &live, "").as_deref(), Some(".spec.ingress"));
        }
        assert_eq!(drift(&wanted, &wanted, ""), None);
    }

    #[test]
    fn what_webhooks_add_to_lists_that_are_merged_is_no_drift() {
        let wanted = pod(&["A", "B"]);
        let mut live = wanted.clone();
        let add = |list: &mut Value, element: Value| list.as_array_mut().unwrap().insert(0, element);
        let spec = &mut live["spec"];
        add(&mut spec["tolerations"], json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}));
        add(&mut spec["volumes"], json!({"name": "sidecar"}));
        let ours = &mut spec["containers"][0];
        add(&mut ours["env"], json!({"name": "ADDED", "value": "1"}));
        add(&mut ours["ports"], json!({"containerPort": 9092, "protocol": "UDP"}));
        add(&mut ours["volumeMounts"], json!({"name": "data", "mountPath": "/added"}));
        add(&mut spec["containers"], json!({"name": "sidecar", "image": "s"}));
        spec["initContainers"] = json!([{"name": "sidecar-init"}]);
        assert_eq!(drift(&wanted, &live, ""), None);
        // What is ours is looked at all the same.
        live["spec"]["containers"][1]["image"] = "other".into();
        assert_eq!(drift(&wanted, &live, "").as_deref(), Some(".spec.containers[0].image"));
        live["spec"]["containers"].as_array_mut().unwrap().pop();
        assert_eq!(drift(&wanted, &live, "").as_deref(), Some(".spec.containers[0]"));
        live = wanted.clone();
        live["spec"]["tolerations"][0]["key"] = "narrower".into();
        assert_eq!(drift(&wanted, &live, "").as_deref(), Some(".spec.tolerations[0]"));
    }

    #[test]
    fn an_element_that_was_ours_and_is_wanted_no_longer_is_found() {
        let (before, wanted) = (sealed(pod(&["A", "B"])), sealed(pod(&["A"])));
        assert_eq!(drift(&before, &before, ""), None);
        let found = drift(&wanted, &before, "").expect("it is found");
        assert!(found.ends_with(WANTED), "{found}");
    }

    #[test]
    fn the_order_of_what_is_merged_by_key_is_no_drift() {
        assert_eq!(drift(&pod(&["A", "B"]), &pod(&["B", "A"]), ""), None);
    }

    #[test]
    fn a_list_that_is_applied_as_a_whole_is_the_same_or_drift() {
        let wanted = pod(&["A"]);
        for (args, field) in [
            (json!(["a", "b"]), None),
            (json!(["b", "a"]), Some("[0]")),
            (json!(["a", "b", "c"]), Some("")),
            (json!(["a"]), Some("")),
        ] {
            let mut live = wanted.clone();
            live["spec"]["containers"][0]["args"] = args;
            let expected = field.map(|field| format!(".spec.containers[0].args{field}"));
            assert_eq!(drift(&wanted, &live, ""), expected);
        }
        let templates = |names: &[&str]| json!({"volumeClaimTemplates": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        assert!(drift(&templates(&["a"]), &templates(&["a", "b"]), "").is_some());
    }

    #[test]
    fn quantities_are_compared_by_what_they_mean() {
        for (one, other) in [("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), ("1.5Gi", "1536Mi"), ("2k", "2000")] {
            assert!(same_quantity(one, other), "{one} {other}");
        }
        for (one, other) in [("1", "1Gi"), ("500m", "501m"), ("a", "b"), ("1x", "1")] {
            assert!(!same_quantity(one, other), "{one} {other}");
        }
    }
}
