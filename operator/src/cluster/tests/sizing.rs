//! Clusters that grow and shrink, and volumes that grow.

use super::bench::Bench;
use crate::testing::admin::Call;

/// A cluster of four brokers that hold partitions of two replicas.
async fn four(replicas: &[&[i32]]) -> Bench {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |cluster| cluster.spec.brokers.replicas = 4);
    bench.converge("c").await;
    bench.admins["c"].make("t", replicas);
    bench.settle("c").await;
    bench.converge("c").await;
    bench
}

fn replicas(bench: &Bench) -> serde_json::Value {
    bench.get("statefulsets/c-broker").unwrap()["spec"]["replicas"].clone()
}

#[tokio::test]
async fn brokers_do_not_leave_while_a_topic_has_more_replicas_than_would_stay() {
    let mut bench = four(&[&[0, 1, 2, 3]]).await;
    bench.apply("c", |cluster| cluster.spec.brokers.replicas = 3);
    let (writes, calls) = bench.converge("c").await;
    assert_eq!(replicas(&bench), 4);
    assert_eq!(calls, []);
    assert!(!writes.iter().any(|write| write.contains("statefulsets")), "{writes:?}");
    assert_eq!(bench.says("Degraded"), "Degraded True ScaleInRefused");
    assert!(bench.condition("c", "Degraded").message.contains("topic t has 4 replicas"));
    assert_eq!(writes.iter().filter(|write| *write == "Event ScaleInRefused").count(), 1, "{writes:?}");
}

#[tokio::test]
async fn a_broker_leaves_once_it_is_empty_and_its_volume_goes_when_it_is_forgotten() {
    let mut bench = four(&[&[0, 3], &[3, 1], &[1, 2], &[2, 0]]).await;
    bench.apply("c", |cluster| cluster.spec.brokers.replicas = 3);
    bench.reconcile("c").await;
    let calls = bench.admins["c"].calls();
    let [Call::DrainLeaders(drain), Call::Reassign(moves)] = calls.as_slice() else { panic!("{calls:?}") };
    assert!(drain.broker_id == 3 && drain.drained, "{drain:?}");
    assert!(moves.moves.iter().all(|it| !it.replicas.contains(&3)), "{moves:?}");
    assert_eq!(moves.moves.len(), 2);
    for _ in 0..3 {
        bench.settle("c").await;
        bench.reconcile("c").await;
        assert_eq!(replicas(&bench), 4, "it holds replicas still");
    }
    bench.admins["c"].finish_moves();
    bench.settle("c").await;
    bench.reconcile("c").await;
    assert_eq!(replicas(&bench), 3);
    let (writes, calls) = bench.converge("c").await;
    assert!(calls.contains(&Call::Unregister(3)), "{calls:?}");
    let deleted: Vec<&String> = writes.iter().filter(|write| write.starts_with("DELETE")).collect();
    assert_eq!(deleted, ["DELETE persistentvolumeclaims/data-c-broker-3"]);
    assert_eq!(bench.admins["c"].state().cluster.brokers.len(), 3);
    let files = bench.get("configmaps/c-config").unwrap()["data"].clone();
    assert!(files["2.properties"].is_string() && bench.status("c").ready_replicas == 3);
}

#[tokio::test]
async fn brokers_that_joined_get_partitions() {
    let mut bench = Bench::settled().await;
    bench.admins["c"].make("t", &[&[0, 1], &[1, 2], &[2, 0], &[0, 2], &[1, 0], &[2, 1]]);
    bench.settle("c").await;
    bench.converge("c").await;
    bench.apply("c", |cluster| cluster.spec.brokers.replicas = 4);
    let (_, calls) = bench.converge("c").await;
    assert!(calls.iter().any(|call| matches!(call, Call::Reassign(_))), "{calls:?}");
    let state = bench.admins["c"].state();
    assert!(state.topics["t"].partitions.iter().any(|it| it.replicas.contains(&3)), "{:?}", state.topics["t"]);
    assert_eq!(bench.status("c").balanced_over, [0, 1, 2, 3]);
}

#[tokio::test]
async fn volumes_grow_and_then_the_set_is_made_anew_while_its_pods_go_on() {
    let mut bench = Bench::settled().await;
    let pods = |bench: &Bench| [0, 1, 2].map(|id| bench.get(&format!("pods/c-broker-{id}")).unwrap());
    let before = pods(&bench);
    bench.apply("c", |cluster| cluster.spec.brokers.storage.size = "20Gi".into());
    bench.outcome("c").await.unwrap();
    let claim = |id| format!("PATCH persistentvolumeclaims/data-c-broker-{id}");
    let first = bench.writes();
    assert!((0..3).all(|id| first.contains(&claim(id))), "{first:?}");
    assert!(!first.contains(&"DELETE statefulsets/c-broker".to_owned()), "not before all have grown: {first:?}");
    bench.outcome("c").await.unwrap();
    let writes = bench.kubernetes.writes();
    let deleted = writes.iter().find(|write| write.what == "DELETE statefulsets/c-broker").expect("it is replaced");
    assert_eq!(deleted.body["propagationPolicy"], "Orphan");
    bench.converge("c").await;
    let set = bench.get("statefulsets/c-broker").unwrap();
    let requests = &set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"];
    let of_claim = &bench.get("persistentvolumeclaims/data-c-broker-0").unwrap()["spec"]["resources"]["requests"];
    assert_eq!((&requests["storage"], &of_claim["storage"]), (&"20Gi".into(), &(20i64 << 30).to_string().into()));
    assert_eq!(pods(&bench), before);
}

#[tokio::test]
async fn volumes_that_would_shrink_stay_as_they_are() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.brokers.storage.size = "1Gi".into());
    let (writes, _) = bench.converge("c").await;
    assert!(!writes.iter().any(|it| it.starts_with("DELETE") || it.contains("persistent")), "{writes:?}");
    let set = bench.get("statefulsets/c-broker").unwrap();
    let requests = &set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"];
    assert_eq!(requests["storage"], (10i64 << 30).to_string(), "Kubernetes refuses another size");
}
