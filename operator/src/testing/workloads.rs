//! What Kubernetes' own controllers do about StatefulSets, in memory and at once: claims, and pods that run.

use super::kubernetes::FakeKubernetes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Makes the pods and claims of all StatefulSets of a cluster as their sets want them. What is there already is left as it is.
/// Pods are reached at `ip`. Gives the processes that run: the uids of their pods, by ordinal.
pub fn settle(kubernetes: &FakeKubernetes, cluster: &str, ip: &str) -> BTreeMap<i32, String> {
    let objects = kubernetes.objects();
    let is_set = |path: &str| path.contains("/statefulsets/");
    let of_cluster = |object: &Value| object["metadata"]["labels"]["barnabas.dev/cluster"] == cluster;
    for (_, set) in objects.iter().filter(|(path, set)| is_set(path) && of_cluster(set)) {
        fill(kubernetes, set, ip);
    }
    let pods = kubernetes.objects().into_iter().filter(|(path, pod)| path.contains("/pods/") && of_cluster(pod));
    let runs = |pod: &Value| !pod["status"]["containerStatuses"][0]["state"]["running"].is_null();
    pods.filter(|(_, pod)| runs(pod)).filter_map(|(path, pod)| Some((ordinal(&path)?, process(&pod)))).collect()
}

/// The process of a pod: another one after each restart of its container.
fn process(pod: &Value) -> String {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    format!("{uid}/{}", pod["status"]["containerStatuses"][0]["restartCount"])
}

fn fill(kubernetes: &FakeKubernetes, set: &Value, ip: &str) {
    let name = set["metadata"]["name"].as_str().expect("it has one");
    let namespace = set["metadata"]["namespace"].as_str().expect("it has one");
    let (spec, core) = (&set["spec"], format!("/api/v1/namespaces/{namespace}"));
    let first = spec["ordinals"]["start"].as_i64().unwrap_or(0) as i32;
    let wanted = first..first + spec["replicas"].as_i64().unwrap_or(1) as i32;
    for id in wanted.clone() {
        let claim = format!("{core}/persistentvolumeclaims/data-{name}-{id}");
        if kubernetes.get(&claim).is_none() {
            kubernetes
                .put(&claim, named(claim_of(spec), "PersistentVolumeClaim", namespace, &format!("data-{name}-{id}")));
        }
        let pod = format!("{core}/pods/{name}-{id}");
        if kubernetes.get(&pod).is_none() {
            kubernetes.put(&pod, named(pod_of(spec, id, ip), "Pod", namespace, &format!("{name}-{id}")));
        }
    }
    let prefix = format!("{core}/pods/{name}-");
    for path in kubernetes.objects().keys().filter(|path| path.starts_with(&prefix)) {
        if ordinal(path).is_some_and(|id| !wanted.contains(&id)) {
            kubernetes.remove(path);
        }
    }
}

fn claim_of(spec: &Value) -> Value {
    let mut claim = spec["volumeClaimTemplates"][0].clone();
    claim["status"] = json!({ "phase": "Bound" });
    claim
}

fn pod_of(spec: &Value, id: i32, ip: &str) -> Value {
    let mut pod = spec["template"].clone();
    pod["spec"]["nodeName"] = format!("node-{}", id % 3).into();
    pod["status"] = json!({
        "phase": "Running",
        "podIP": ip,
        "conditions": [{ "type": "Ready", "status": "True" }],
        "containerStatuses": [{ "name": "barnabas", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
            "state": { "running": {} } }],
    });
    pod
}

fn named(mut object: Value, kind: &str, namespace: &str, name: &str) -> Value {
    object["apiVersion"] = "v1".into();
    object["kind"] = kind.into();
    object["metadata"]["namespace"] = namespace.into();
    object["metadata"]["name"] = name.into();
    object
}

fn ordinal(path: &str) -> Option<i32> {
    path.rsplit_once('-')?.1.parse().ok()
}
