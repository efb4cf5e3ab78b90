//! The API server refuses, breaks, or is gone for a while.

use super::bench::Bench;
use crate::cluster::{Error, failed};
use crate::testing::kubernetes::Failure;
use std::time::Duration;

const FAILURES: [Failure; 5] =
    [Failure::Code(409), Failure::Code(429), Failure::Code(500), Failure::Broken, Failure::Unheard];

/// Seconds until the controller would try again.
fn pause(bench: &Bench, error: &Error) -> f64 {
    let cluster = bench.room.context.clusters.get(&super::bench::key("c").object_ref()).unwrap();
    let action = format!("{:?}", failed(cluster, error, bench.room.clone()));
    let number: String = action.chars().filter(|it| it.is_ascii_digit() || *it == '.').collect();
    let factor = if action.contains("ms") { 0.001 } else { 1.0 };
    number.parse::<f64>().unwrap_or_else(|_| panic!("{action}")) * factor
}

#[tokio::test]
async fn whatever_the_api_server_answers_a_new_cluster_is_made_in_the_end() {
    for failure in FAILURES {
        for after in 0..8 {
            let mut bench = Bench::new(&["c"]).await;
            bench.apply("c", |_| ());
            bench.kubernetes.fail_after(after, failure);
            bench.outcome("c").await.expect_err("a write failed");
            bench.converge("c").await;
            assert_eq!(bench.says("Ready"), "Ready True Ready", "{failure:?} after {after}");
            assert_eq!(bench.says("Degraded"), "Degraded False Healthy");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_refused_is_named_and_tried_again_later_each_time() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |_| ());
    let mut pauses = Vec::new();
    for _ in 0..5 {
        bench.kubernetes.fail([Failure::Code(500)]);
        let error = bench.outcome("c").await.unwrap_err();
        pauses.push(pause(&bench, &error));
        assert_eq!(bench.says("Degraded"), "Degraded True ObjectRefused");
    }
    assert!(pauses.windows(2).all(|two| two[1] > two[0]), "{pauses:?}");
    let writes = bench.writes();
    assert_eq!(writes.iter().filter(|write| *write == "Event ObjectRefused").count(), 1, "{writes:?}");
    assert!(!writes.iter().any(|write| write.contains("statefulsets")), "pods need what is missing: {writes:?}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_told_of_is_tried_again() {
    let mut bench = Bench::settled().await;
    bench.apply("c", |cluster| cluster.spec.paused = true);
    bench.kubernetes.fail([Failure::Code(500)]);
    let error = bench.outcome("c").await.unwrap_err();
    assert!(matches!(error, Error::Status(_)), "{error}");
    bench.converge("c").await;
    assert_eq!(bench.says("Progressing"), "Progressing False Paused");
}

#[tokio::test]
async fn a_lost_api_server_is_an_error_until_it_answers_again() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |_| ());
    bench.kubernetes.die_after(0);
    for _ in 0..3 {
        bench.outcome("c").await.unwrap_err();
    }
    assert!(bench.kubernetes.revive());
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
}

#[tokio::test]
async fn nothing_is_said_about_a_namespace_that_ends() {
    let mut bench = Bench::new(&["c"]).await;
    bench.apply("c", |_| ());
    bench.kubernetes.fail([Failure::NamespaceEnds; 6]);
    let action = bench.outcome("c").await.expect("it is no error");
    assert_eq!(action, kube::runtime::controller::Action::await_change());
    let writes = bench.writes();
    assert!(!writes.iter().any(|write| write.starts_with("Event")), "{writes:?}");
    assert_eq!(bench.metric("barnabas_operator_reconciles_total{kind=\"KafkaCluster\",result=\"error\"}"), 0);
}

#[tokio::test]
async fn an_object_that_cannot_be_put_right_degrades_a_cluster_that_serves() {
    let mut bench = Bench::settled().await;
    bench.remove("configmaps/c-config");
    bench.kubernetes.fail([Failure::Code(403)]);
    bench.outcome("c").await.unwrap_err();
    assert_eq!(bench.says("Degraded"), "Degraded True ObjectRefused");
    assert_eq!(bench.says("Ready"), "Ready True Ready");
    assert!(
        bench.condition("c", "Degraded").message.contains("c-config"),
        "which object: {:?}",
        bench.says("Degraded")
    );
}

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let mut bench = Bench::new(&["c"]).await;
    bench.wait_at_most(Duration::from_millis(200));
    bench.apply("c", |_| ());
    bench.kubernetes.fail([Failure::Silence]);
    let error = bench.outcome("c").await.unwrap_err();
    assert!(matches!(error, Error::Silence { .. }), "{error}");
    assert_eq!(bench.says("Degraded"), "Degraded True NoAnswer");
    bench.kubernetes.fail([Failure::Silence; 2]);
    bench.outcome("c").await.unwrap_err();
    bench.converge("c").await;
    assert_eq!(bench.says("Ready"), "Ready True Ready");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_calls_is_told_of() {
    let mut bench = Bench::settled().await;
    bench.wait_at_most(Duration::from_millis(200));
    bench.admins["c"].change(|state| state.is_mute = true);
    bench.container("c-broker-1", 0, serde_json::json!({ "terminated": { "exitCode": 1 } }));
    bench.remove("configmaps/c-config");
    bench.outcome("c").await.unwrap_err();
    assert!(bench.get("configmaps/c-config").is_some(), "what Kubernetes holds is put right all the same");
    assert_eq!(bench.says("Degraded"), "Degraded True NoAnswer");
    bench.admins["c"].change(|state| state.is_mute = false);
    bench.container("c-broker-1", 1, serde_json::json!({ "running": {} }));
    bench.converge("c").await;
    assert_eq!(bench.says("Degraded"), "Degraded False Healthy");
}
