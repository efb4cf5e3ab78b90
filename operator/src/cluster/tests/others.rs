//! What is not the operator's: foreign objects, paused, stopped and invalid clusters, and other clusters.

use super::bench::{Bench, key, path};
use crate::testing::admin::Call;
use crate::testing::kubernetes::FakeKubernetes;
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

fn foreign(owner: Option<Value>) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": "c-broker", "namespace": "ns", "ownerReferences": owner.into_iter().collect::<Vec<_>>() },
        "spec": { "replicas": 1, "serviceName": "other", "selector": {}, "template": {} } })
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true })
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_never_touched() {
    for (owner, named) in [(None, "somebody else"), (Some(owner("Thing", "x", "1")), "Thing x")] {
        let mut bench = Bench::new(&["c"]).await;
        bench.kubernetes.put(&path("statefulsets/c-broker"), foreign(owner));
        let before = bench.get("statefulsets/c-broker");
        bench.apply("c", |_| ());
        for _ in 0..3 {
            bench.outcome("c").await.unwrap_err();
        }
        assert_eq!(bench.get("statefulsets/c-broker"), before);
        let writes = bench.writes();
        assert!(!writes.iter().any(|write| write.contains("statefulsets")), "{writes:?}");
        assert_eq!(writes.iter().filter(|write| *write == "Event NameTaken").count(), 1, "{writes:?}");
        assert_eq!(bench.says("Degraded"), "Degraded True NameTaken");
        let message = bench.condition("c", "Degraded").message;
        assert!(message.contains("StatefulSet c-broker") && message.contains(named), "{message}");
        bench.remove("statefulsets/c-broker");
        bench.converge("c").await;
        assert_eq!(bench.says("Ready"), "Ready True Ready");
    }
}

#[tokio::test]
async fn what_is_left_of_a_former_cluster_of_the_same_name_is_waited_for() {
    let mut bench = Bench::new(&["c"]).await;
    let mut former = foreign(Some(owner("KafkaCluster", "c", "uid-of-the-former")));
    former["metadata"]["labels"] = json!({ "barnabas.dev/cluster": "c" });
    bench.kubernetes.put(&path("statefulsets/c-broker"), former);
    let before = bench.get("statefulsets/c-broker");
    bench.apply("c", |_| ());
    bench.outcome("c").await.unwrap_err();
    assert_eq!(bench.get("statefulsets/c-broker"), before);
    assert!(bench.condition("c", "Degraded").message.contains("deleted cluster of the same name"));
    bench.remove("statefulsets/c-broker");
    bench.converge("c").await;
    assert_eq!(bench.says("Degraded"), "Degraded False Healthy");
}

#[tokio::test]
async fn nothing_is_made_of_an_invalid_spec_and_the_fault_is_named_once() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |cluster| drop(cluster.spec.config.insert("min.insink.replicas".into(), "2".into())));
    let writes = bench.reconcile("c").await;
    assert_eq!(writes, ["PATCH kafkaclusters/c/status", "Event InvalidSpec"]);
    assert_eq!(bench.says("Degraded"), "Degraded True InvalidSpec");
    assert!(bench.condition("c", "Degraded").message.contains("min.insink.replicas"));
    for _ in 0..3 {
        assert_eq!(bench.reconcile("c").await, [""; 0]);
    }
    bench.apply("c", |cluster| cluster.spec.config.clear());
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
}

#[tokio::test]
async fn a_cluster_whose_spec_becomes_invalid_goes_on_as_it_is() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| {
        cluster.spec.brokers.replicas = 5;
        drop(cluster.spec.config.insert("min.insink.replicas".into(), "2".into()));
    });
    assert_eq!(bench.reconcile("c").await, ["PATCH kafkaclusters/c/status", "Event InvalidSpec"]);
    assert_eq!(bench.says("Ready"), "Ready True InvalidSpec");
    assert_eq!(bench.get("statefulsets/c-broker").unwrap()["spec"]["replicas"], 3);
}

#[tokio::test]
async fn a_paused_cluster_is_left_alone() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| {
        cluster.spec.paused = true;
        cluster.spec.brokers.replicas = 5;
    });
    bench.remove("configmaps/c-config");
    let writes = bench.reconcile("c").await;
    assert!(
        writes.iter().all(|write| write == "PATCH kafkaclusters/c/status" || write == "Event Paused"),
        "{writes:?}"
    );
    assert_eq!(bench.says("Progressing"), "Progressing False Paused");
    assert_eq!(bench.reconcile("c").await, [""; 0]);
    bench.apply("c", |cluster| cluster.spec.paused = false);
    bench.converge("c").await;
    assert!(bench.get("configmaps/c-config").is_some());
    assert_eq!(bench.get("statefulsets/c-broker").unwrap()["spec"]["replicas"], 5);
}

#[tokio::test]
async fn a_stopped_cluster_has_no_pods_and_keeps_its_volumes() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.stopped = true);
    let (_, calls) = bench.converge("c").await;
    assert_eq!(calls.iter().find(|call| !matches!(call, Call::DeclareDead(_))), None);
    assert_eq!(bench.get("statefulsets/c-broker").unwrap()["spec"]["replicas"], 0);
    for id in 0..3 {
        assert!(bench.get(&format!("pods/c-broker-{id}")).is_none());
        assert!(bench.get(&format!("persistentvolumeclaims/data-c-broker-{id}")).is_some());
    }
    assert_eq!((bench.says("Ready"), bench.status("c").message), ("Ready False Stopped".into(), "stopped".into()));
    bench.apply("c", |cluster| cluster.spec.stopped = false);
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_holds_up_no_other() {
    let mut bench = Bench::new(&["c", "other"]).await;
    for name in ["c", "other"] {
        bench.apply(name, |_| ());
        bench.converge(name).await;
    }
    bench.admins["c"].change(|state| state.is_mute = true);
    bench.container("c-broker-1", 0, json!({ "terminated": { "exitCode": 1 } }));
    let clusters = bench.room.context.clusters.clone();
    let mute = clusters.get(&key("c").object_ref()).unwrap();
    let hangs = tokio::spawn(crate::cluster::reconcile(mute, bench.room.clone()));
    bench.apply("other", |cluster| cluster.spec.brokers.replicas = 4);
    tokio::time::timeout(Duration::from_secs(8), bench.converge("other")).await.expect("nothing holds it up");
    assert_eq!(bench.get("statefulsets/other-broker").unwrap()["spec"]["replicas"], 4);
    assert!(!hangs.is_finished(), "a call waits for an answer still");
    hangs.abort();
}

#[tokio::test]
async fn an_object_of_one_cluster_is_not_taken_for_that_of_another() {
    let mut bench = Bench::new(&["c", "other"]).await;
    for name in ["c", "other"] {
        bench.apply(name, |_| ());
        bench.converge(name).await;
    }
    bench.apply("other", |cluster| cluster.spec.stopped = true);
    bench.converge("other").await;
    assert_eq!(bench.get("statefulsets/c-broker").unwrap()["spec"]["replicas"], 3);
    assert_eq!(bench.converge("c").await.0, [""; 0]);
}

#[tokio::test]
async fn the_controller_looks_after_clusters_side_by_side() {
    let mut bench = Bench::new(&["c", "other"]).await;
    bench.apply("c", |_| ());
    bench.converge("c").await;
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    bench.reconcile("c").await;
    bench.admins["c"].change(|state| state.is_mute = true);
    bench.apply("other", |_| ());
    let cluster = |name| bench.room.context.clusters.get(&key(name).object_ref()).map(|it| Ok((*it).clone()));
    let clusters = futures::stream::iter(["c", "other"].into_iter().filter_map(cluster).collect::<Vec<_>>());
    let room = &bench.room;
    let running = tokio::spawn(crate::cluster::run(
        room.context.clone(),
        room.caches.clone(),
        room.defaults.clone(),
        clusters.chain(futures::stream::pending()),
        futures::stream::pending(),
    ));
    let is_made = |kubernetes: &FakeKubernetes| kubernetes.get(&path("statefulsets/other-broker")).is_some();
    let made = tokio::time::timeout(Duration::from_secs(8), bench.sees(is_made));
    made.await.expect("a restart of c waits for an answer, and other does not");
    assert!(bench.get("pods/c-broker-1").is_some());
    bench.admins["c"].change(|state| state.is_mute = false);
    bench.sees(|kubernetes| kubernetes.get(&path("pods/c-broker-1")).is_none()).await;
    running.abort();
}

#[tokio::test]
async fn a_cluster_that_is_being_deleted_is_left_to_kubernetes() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| {
        let finalizer = "example.com/kept".to_owned();
        cluster.metadata.finalizers = Some(vec![finalizer]);
        cluster.metadata.deletion_timestamp = Some(crate::context::now());
    });
    bench.remove("configmaps/c-config");
    bench.remove("pods/c-broker-1");
    assert_eq!(bench.reconcile("c").await, [""; 0]);
    assert_eq!(bench.admins["c"].calls(), []);
}
