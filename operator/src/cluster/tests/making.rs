//! A cluster is made, and stays as it was made.

use super::bench::{Bench, path};
use crate::crd::{ExternalListener, ExternalType, PodOverrides};
use serde_json::{Value, json};

const MADE: [&str; 8] = [
    "PATCH serviceaccounts/c",
    "PATCH networkpolicies/c-nodes",
    "PATCH services/c-nodes",
    "PATCH services/c-bootstrap",
    "PATCH configmaps/c-config",
    "PATCH configmaps/c-racks",
    "PATCH poddisruptionbudgets/c-broker",
    "PATCH statefulsets/c-broker",
];
const SAID: &str = "PATCH kafkaclusters/c/status";

#[tokio::test]
async fn a_new_cluster_gets_what_pods_need_and_then_its_pods() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |_| ());
    let writes = bench.reconcile("c").await;
    assert_eq!(writes, [MADE.as_slice(), &[SAID]].concat());
    assert_eq!(bench.says("Ready"), "Ready False NotAnswering");
    assert_eq!(bench.says("Degraded"), "Degraded False Healthy");
    assert_eq!(bench.status("c").observed_generation, Some(1));
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
    assert_eq!(bench.says("Progressing"), "Progressing False Settled");
    assert_eq!((bench.status("c").replicas, bench.status("c").ready_replicas), (3, 3));
    assert_eq!(bench.status("c").message, "running");
}

#[tokio::test]
async fn pods_wait_for_the_addresses_that_they_tell_clients_outside() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |cluster| cluster.spec.listeners.external = Some(outside(ExternalType::NodePort)));
    let writes = bench.reconcile("c").await;
    assert!(writes.contains(&"PATCH services/c-external-2".to_owned()), "{writes:?}");
    assert!(!writes.iter().any(|write| write.contains("statefulsets")), "{writes:?}");
    assert_eq!(bench.says("Progressing"), "Progressing True WaitingForAddresses");
    for (service, port) in [("c-external-0", 30000), ("c-external-1", 30001), ("c-external", 30009)] {
        bench.change(&format!("services/{service}"), |it| it["spec"]["ports"][0]["nodePort"] = port.into());
    }
    bench.reconcile("c").await;
    assert!(bench.get("statefulsets/c-broker").is_none(), "broker 2 has no address yet");
    assert!(bench.condition("c", "Progressing").message.contains("broker 2"));
    bench.change("services/c-external-2", |it| it["spec"]["ports"][0]["nodePort"] = 30002.into());
    bench.reconcile("c").await;
    assert!(bench.get("statefulsets/c-broker").is_some());
    let files = bench.get("configmaps/c-config").unwrap()["data"].clone();
    assert!(files["2.properties"].as_str().unwrap().contains("30002"), "{files}");
}

fn outside(type_: ExternalType) -> ExternalListener {
    ExternalListener {
        type_,
        bootstrap_node_port: None,
        advertised_host: None,
        annotations: Default::default(),
        load_balancer_class: None,
        load_balancer_source_ranges: None,
    }
}

/// A cluster whose brokers are reached by load balancers.
async fn balanced() -> Bench {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |cluster| cluster.spec.listeners.external = Some(outside(ExternalType::LoadBalancer)));
    bench.reconcile("c").await;
    for (service, host) in
        [("c-external", "lb"), ("c-external-0", "lb-0"), ("c-external-1", "lb-1"), ("c-external-2", "lb-2")]
    {
        balance(&mut bench, service, Some(host));
    }
    bench.converge("c").await;
    assert_eq!(bench.status("c").bootstrap.external.as_deref(), Some("lb:9094"));
    bench
}

/// The load balancer of a service has this address now.
fn balance(bench: &mut Bench, service: &str, host: Option<&str>) {
    let ingress: Vec<Value> = host.into_iter().map(|host| json!({ "hostname": host })).collect();
    bench.change(&format!("services/{service}"), |it| it["status"] = json!({ "loadBalancer": { "ingress": ingress } }));
}

#[tokio::test]
async fn an_address_that_a_load_balancer_loses_is_kept_until_it_has_another() {
    let mut bench = balanced().await;
    let told = |bench: &Bench| {
        let file = bench.get("configmaps/c-config").unwrap()["data"]["1.properties"].as_str().unwrap().to_owned();
        file.split_once("EXTERNAL://").unwrap().1.lines().next().unwrap().to_owned()
    };
    balance(&mut bench, "c-external", None);
    balance(&mut bench, "c-external-1", None);
    let (written, calls) = bench.converge("c").await;
    assert_eq!(written, [SAID], "no file and no pod is touched");
    assert!(calls.is_empty(), "{calls:?}");
    assert_eq!((told(&bench).as_str(), bench.says("Ready").as_str()), ("lb-1:9094", "Ready True Ready"));
    assert_eq!(bench.says("Progressing"), "Progressing True WaitingForAddresses");
    let message = bench.condition("c", "Progressing").message;
    assert!(message.contains("c-external-1, c-external;"), "{message}");
    assert_eq!(bench.status("c").bootstrap.external.as_deref(), Some("lb:9094"));
    // Nor by an operator that starts only now; and what else is wanted goes on.
    bench.restart();
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    let (written, _) = bench.converge("c").await;
    assert!(written.contains(&"PATCH statefulsets/c-broker".to_owned()), "{written:?}");
    assert!(!written.iter().any(|write| write.contains("configmaps")), "{written:?}");
    balance(&mut bench, "c-external", Some("lb"));
    balance(&mut bench, "c-external-1", Some("lb-9"));
    bench.converge("c").await;
    assert_eq!(told(&bench), "lb-9:9094");
    assert_eq!(bench.says("Progressing"), "Progressing False Settled");
}

#[tokio::test]
async fn a_running_cluster_goes_on_while_a_new_listener_outside_has_no_address() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.listeners.external = Some(outside(ExternalType::LoadBalancer)));
    let (written, _) = bench.converge("c").await;
    assert!(!written.iter().any(|write| write.starts_with("DELETE pods")), "{written:?}");
    let files = bench.get("configmaps/c-config").unwrap()["data"].as_object().unwrap().clone();
    assert!((0..3).all(|id| files.contains_key(&format!("{id}.properties"))), "{files:?}");
    assert_eq!(bench.says("Progressing"), "Progressing True WaitingForAddresses");
    for service in ["c-external", "c-external-0", "c-external-1", "c-external-2"] {
        balance(&mut bench, service, Some("lb"));
    }
    let (written, _) = bench.converge("c").await;
    assert!(written.iter().any(|write| write.starts_with("DELETE pods")), "{written:?}");
    assert_eq!(bench.says("Progressing"), "Progressing False Settled");
}

#[tokio::test]
async fn a_settled_cluster_causes_no_writes() {
    let mut bench = Bench::settled().await;
    for _ in 0..5 {
        assert_eq!(bench.reconcile("c").await, [""; 0]);
    }
    bench.restart();
    bench.reconcile("c").await;
    assert_eq!(bench.converge("c").await.0, [""; 0], "nor when the operator starts again");
}

#[tokio::test]
async fn what_the_api_server_adds_and_writes_its_own_way_causes_no_writes() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |cluster| {
        let resources = json!({ "requests": { "cpu": "1000m", "memory": "2048Mi" }, "limits": { "memory": "4096Mi" } });
        cluster.spec.brokers.resources = Some(serde_json::from_value(resources).unwrap());
        cluster.spec.brokers.storage.size = "1024Mi".into();
    });
    bench.converge("c").await;
    let paths: Vec<String> = bench.kubernetes.objects().into_keys().collect();
    for path in paths.iter().filter(|path| !path.contains("/kafkaclusters/") && !path.contains("/events/")) {
        bench.kubernetes.change(path, defaulted);
    }
    let set = bench.get("statefulsets/c-broker").unwrap();
    let requests = &set["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"];
    assert_eq!(requests, &json!({ "cpu": "1", "memory": "2Gi" }), "the API server has its own way");
    bench.deliver();
    for _ in 0..3 {
        assert_eq!(bench.reconcile("c").await, [""; 0]);
    }
}

/// What an API server and its controllers add to an object and how they write it.
fn defaulted(object: &mut Value) {
    normalise(object);
    object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    object["metadata"]["managedFields"] = json!([{ "manager": "barnabas-operator" }]);
    match object["kind"].as_str().unwrap_or_default() {
        "Service" => {
            add(
                &mut object["spec"],
                json!({ "clusterIP": "None", "sessionAffinity": "None", "type": "ClusterIP",
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster" }),
            );
            object["status"] = json!({ "loadBalancer": {} });
        }
        "StatefulSet" => {
            add(&mut object["spec"], json!({ "revisionHistoryLimit": 10, "podManagementPolicy": "Parallel" }));
            let template = &mut object["spec"]["template"]["spec"];
            add(
                template,
                json!({ "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default",
                "serviceAccount": "c" }),
            );
            add(&mut template["containers"][0], json!({ "terminationMessagePath": "/dev/termination-log" }));
            let probe =
                json!({ "successThreshold": 1, "failureThreshold": 3, "timeoutSeconds": 1, "periodSeconds": 10 });
            add(&mut template["containers"][0]["readinessProbe"], probe);
            for volume in template["volumes"].as_array_mut().unwrap() {
                if volume["configMap"].is_object() {
                    add(&mut volume["configMap"], json!({ "defaultMode": 420 }));
                }
            }
            let claim = &mut object["spec"]["volumeClaimTemplates"][0];
            add(&mut claim["spec"], json!({ "volumeMode": "Filesystem" }));
            add(
                claim,
                json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": { "phase": "Pending" } }),
            );
            object["status"] = json!({ "replicas": 3, "readyReplicas": 3 });
        }
        _ => {}
    }
}

/// Adds the fields that are not there.
fn add(object: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        if object[name].is_null() {
            object[name] = value.clone();
        }
    }
}

/// Quantities in their shortest form, and nothing that is empty.
fn normalise(value: &mut Value) {
    match value {
        Value::String(text) => {
            let shortest = [("1000m", "1"), ("1024Mi", "1Gi"), ("2048Mi", "2Gi"), ("4096Mi", "4Gi")];
            if let Some((_, short)) = shortest.iter().find(|(long, _)| long == text) {
                *text = (*short).to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
            fields.values_mut().for_each(normalise);
        }
        _ => {}
    }
}

#[tokio::test]
async fn what_was_deleted_or_changed_comes_back_and_is_counted() {
    let mut bench = Bench::settled().await;
    type Change = fn(&mut Value);
    let changes: [(&str, &str, Change); 5] = [
        ("networkpolicies/c-nodes", "NetworkPolicy", |it| drop(it["spec"]["ingress"].as_array_mut().unwrap().pop())),
        ("configmaps/c-config", "ConfigMap", |it| it["data"]["0.properties"] = "".into()),
        ("services/c-bootstrap", "Service", |it| it["spec"]["ports"][0]["port"] = 1.into()),
        ("statefulsets/c-broker", "StatefulSet", |it| {
            it["spec"]["template"]["spec"]["containers"][0]["image"] = "x".into()
        }),
        ("poddisruptionbudgets/c-broker", "PodDisruptionBudget", |it| it["spec"]["maxUnavailable"] = 3.into()),
    ];
    for (object, kind, change) in changes {
        let (before, series) =
            (bench.get(object).unwrap(), format!("barnabas_operator_drift_total{{kind=\"{kind}\"}}"));
        bench.change(object, change);
        assert_eq!(bench.reconcile("c").await, [format!("PATCH {object}")]);
        assert_eq!(bench.get(object).unwrap()["spec"], before["spec"]);
        assert_eq!(bench.get(object).unwrap()["data"], before["data"]);
        assert_eq!(bench.metric(&series), 1, "{object} was changed");
        bench.remove(object);
        assert_eq!(bench.reconcile("c").await[0], format!("PATCH {object}"));
        assert_eq!(bench.get(object).unwrap()["spec"], before["spec"]);
        assert_eq!(bench.metric(&series), 2, "{object} was deleted");
        assert_eq!(bench.converge("c").await.0, [""; 0]);
    }
    assert!(bench.kubernetes.get(&path("serviceaccounts/c")).is_some());
}

#[tokio::test]
async fn what_a_webhook_adds_to_a_pods_template_stays_and_causes_no_writes() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| {
        let env = vec![json!({ "name": "MINE", "value": "1" })];
        cluster.spec.brokers.pod = Some(PodOverrides { env, ..PodOverrides::default() });
    });
    bench.converge("c").await;
    bench.change("statefulsets/c-broker", |set| {
        let spec = &mut set["spec"]["template"]["spec"];
        spec["tolerations"] = json!([{ "key": "spot", "operator": "Exists" }]);
        spec["volumes"].as_array_mut().unwrap().push(json!({ "name": "sidecar", "emptyDir": {} }));
        let containers = spec["containers"].as_array_mut().unwrap();
        containers[0]["env"].as_array_mut().unwrap().insert(0, json!({ "name": "ADDED", "value": "1" }));
        containers.insert(0, json!({ "name": "sidecar", "image": "s" }));
    });
    for _ in 0..3 {
        assert_eq!(bench.reconcile("c").await, [""; 0]);
    }
    bench.apply("c", |cluster| cluster.spec.brokers.pod = None);
    let (written, _) = bench.converge("c").await;
    assert!(written.contains(&"PATCH statefulsets/c-broker".to_owned()), "{written:?}");
    assert_eq!(bench.metric("barnabas_operator_drift_total{kind=\"StatefulSet\"}"), 0);
}

#[tokio::test]
async fn a_network_policy_that_is_wanted_no_longer_is_deleted_and_comes_back_when_it_is() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.network_policy.enabled = false);
    assert_eq!(bench.converge("c").await.0[0], "DELETE networkpolicies/c-nodes");
    assert_eq!(bench.get("networkpolicies/c-nodes"), None);
    bench.apply("c", |cluster| cluster.spec.network_policy.enabled = true);
    assert_eq!(bench.converge("c").await.0[0], "PATCH networkpolicies/c-nodes");
    assert_eq!(bench.metric("barnabas_operator_drift_total{kind=\"NetworkPolicy\"}"), 0);
}

#[tokio::test]
async fn a_network_policy_of_somebody_else_is_not_taken_away() {
    let mut bench = Bench::settled().await;
    let mut foreign = bench.get("networkpolicies/c-nodes").unwrap();
    foreign["metadata"] = json!({ "name": "c-more", "namespace": "ns", "labels": { "barnabas.dev/cluster": "c" } });
    bench.kubernetes.put(&path("networkpolicies/c-more"), foreign);
    bench.apply("c", |cluster| cluster.spec.network_policy.enabled = false);
    bench.converge("c").await;
    assert!(bench.get("networkpolicies/c-nodes").is_none() && bench.get("networkpolicies/c-more").is_some());
}

#[tokio::test]
async fn making_and_changing_a_cluster_is_no_drift() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| {
        cluster.spec.brokers.replicas = 4;
        cluster.spec.brokers.storage.size = "20Gi".into();
        drop(cluster.spec.config.insert("num.io.threads".into(), "4".into()));
    });
    bench.converge("c").await;
    for kind in ["ConfigMap", "Service", "ServiceAccount", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget"] {
        assert_eq!(bench.metric(&format!("barnabas_operator_drift_total{{kind=\"{kind}\"}}")), 0, "{kind}");
    }
}
