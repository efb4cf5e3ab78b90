//! Processes that ended, and pods that are to start anew.

use super::bench::Bench;
use crate::admin::proto::{DeclareDeadRequest, DrainLeadersRequest, Reason};
use crate::crd::ControllerMode;
use crate::testing::admin::Call;
use serde_json::json;

fn reason(may_pass: bool) -> Reason {
    Reason { text: "a replica catches up".into(), may_pass, ..Reason::default() }
}

#[tokio::test]
async fn the_controllers_are_told_at_once_of_a_process_that_ended() {
    let mut bench = Bench::settled().await;
    let ran = bench.admins["c"].state().cluster.brokers[1].incarnation.clone();
    bench.container("c-broker-1", 0, json!({ "terminated": { "exitCode": 137 } }));
    bench.reconcile("c").await;
    let dead = Call::DeclareDead(DeclareDeadRequest { broker_id: 1, incarnation: ran.clone() });
    assert_eq!(bench.admins["c"].calls(), [dead]);
    bench.reconcile("c").await;
    assert_eq!(bench.admins["c"].calls(), [], "they are told once");
    bench.container("c-broker-1", 1, json!({ "running": {} }));
    bench.settle("c").await;
    assert_ne!(bench.admins["c"].state().cluster.brokers[1].incarnation, ran);
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
}

#[tokio::test]
async fn a_pod_that_is_gone_is_a_process_that_ended() {
    let mut bench = Bench::settled().await;
    let ran = bench.admins["c"].state().cluster.brokers[2].incarnation.clone();
    bench.remove("pods/c-broker-2");
    bench.reconcile("c").await;
    let dead = Call::DeclareDead(DeclareDeadRequest { broker_id: 2, incarnation: ran });
    assert_eq!(bench.admins["c"].calls(), [dead]);
}

#[tokio::test]
async fn a_process_that_has_joined_before_kubernetes_tells_of_it_is_not_declared_dead() {
    let mut bench = Bench::settled().await;
    bench.container("c-broker-1", 0, json!({ "terminated": { "exitCode": 1 } }));
    bench.admins["c"].change(|state| state.cluster.brokers[1].incarnation = "its successor".into());
    bench.hear("c").await;
    bench.reconcile("c").await;
    assert_eq!(bench.admins["c"].calls(), []);
}

#[tokio::test]
async fn pods_are_restarted_one_after_another_without_their_leaders_and_the_active_controller_last() {
    let mut bench = Bench::settled().await;
    bench.admins["c"].make("t", &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1]]);
    bench.settle("c").await;
    bench.converge("c").await;
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    let (writes, calls) = bench.converge("c").await;
    let deleted: Vec<&String> = writes.iter().filter(|write| write.starts_with("DELETE pods")).collect();
    assert_eq!(deleted, ["DELETE pods/c-broker-1", "DELETE pods/c-broker-2", "DELETE pods/c-broker-0"]);
    let drain = |broker_id| Call::DrainLeaders(DrainLeadersRequest { broker_id, drained: true });
    let steps: Vec<Call> = calls
        .into_iter()
        .filter(|call| {
            matches!(call, Call::MayRestart(_) | Call::DrainLeaders(DrainLeadersRequest { drained: true, .. }))
        })
        .collect();
    let of = |id| [drain(id), Call::MayRestart(id)];
    assert_eq!(steps, [of(1), of(2), of(0)].concat());
    for id in 0..3 {
        let pod = bench.get(&format!("pods/c-broker-{id}")).unwrap();
        assert_eq!(pod["spec"]["containers"][0]["image"], "example.com/barnabas:2");
    }
    assert_eq!(bench.says("Progressing"), "Progressing False Settled");
}

#[tokio::test]
async fn only_the_very_pod_that_was_looked_at_is_deleted() {
    let mut bench = Bench::settled().await;
    let uid = bench.get("pods/c-broker-1").unwrap()["metadata"]["uid"].clone();
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    // First what makes the pods, then, once that is seen, a pod.
    bench.outcome("c").await.unwrap();
    bench.outcome("c").await.unwrap();
    let deleted = bench.kubernetes.writes().into_iter().find(|write| write.what == "DELETE pods/c-broker-1").unwrap();
    assert_eq!(deleted.body["preconditions"]["uid"], uid);
}

#[tokio::test]
async fn a_restart_waits_for_what_passes_and_for_nothing_else() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    bench.admins["c"].change(|state| state.reasons = vec![reason(false), reason(true)]);
    for _ in 0..3 {
        let writes = bench.reconcile("c").await;
        assert!(!writes.iter().any(|write| write.starts_with("DELETE")), "{writes:?}");
    }
    assert_eq!(bench.says("Progressing"), "Progressing True Waiting");
    assert!(bench.condition("c", "Progressing").message.contains("a replica catches up"));
    bench.admins["c"].change(|state| state.reasons = vec![reason(false)]);
    let writes = bench.reconcile("c").await;
    assert!(writes.contains(&"DELETE pods/c-broker-1".to_owned()), "{writes:?}");
}

#[tokio::test]
async fn a_rolling_restart_stops_at_a_pod_that_does_not_come_back() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    bench.reconcile("c").await;
    bench.reconcile("c").await;
    bench.settle("c").await;
    bench.container("c-broker-1", 1, json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
    bench.settle("c").await;
    for _ in 0..3 {
        let writes = bench.reconcile("c").await;
        assert!(!writes.iter().any(|write| write.starts_with("DELETE")), "{writes:?}");
    }
    assert_eq!(bench.says("Degraded"), "Degraded True PodFailing");
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:3".into()));
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
}

#[tokio::test]
async fn controllers_of_their_own_are_restarted_before_the_brokers_but_for_the_active_one() {
    let mut bench = Bench::new(&["c"]).await;
    bench.admins["c"].change(|state| state.cluster.active_controller_id = Some(1000));
    bench.apply("c", |cluster| {
        cluster.spec.controllers.mode = ControllerMode::Dedicated;
        cluster.spec.controllers.storage = Some(Default::default());
    });
    let made: Vec<String> = bench.reconcile("c").await.into_iter().filter(|it| it.contains("statefulsets")).collect();
    assert_eq!(made, ["PATCH statefulsets/c-controller", "PATCH statefulsets/c-broker"]);
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    let (writes, _) = bench.converge("c").await;
    let deleted: Vec<&str> = writes.iter().filter_map(|write| write.strip_prefix("DELETE pods/c-")).collect();
    assert_eq!(deleted, ["controller-1001", "controller-1002", "broker-0", "broker-1", "broker-2", "controller-1000"]);
}
