//! Brokers that end, crash or freeze, under load.

use anyhow::{Result, ensure};
use barnabas_e2e::cluster::{Cluster, spec};
use barnabas_e2e::commands::{nodes_can_be_broken, script};
use barnabas_e2e::environment::is_long;
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::operator::Operator;
use barnabas_e2e::report::{self, quantile};
use barnabas_e2e::space::test;
use kube::api::DeleteParams;
use std::time::{Duration, Instant};

const CONTAINER: &str = "barnabas";

fn times() -> usize {
    if is_long() { 20 } else { 4 }
}

#[test]
fn a_deleted_pod_costs_no_record_and_hardly_a_pause() {
    test("delete", async |space| {
        deleted(&Cluster::start(&space, "orders", spec(3)).await?, "pod deleted", DeleteParams::default()).await
    });
}

#[test]
fn a_pod_that_is_deleted_by_force_costs_no_record_and_hardly_a_pause() {
    test("force", async |space| {
        let force = DeleteParams::default().grace_period(0);
        deleted(&Cluster::start(&space, "orders", spec(3)).await?, "pod deleted by force", force).await
    });
}

async fn deleted(cluster: &Cluster, what: &str, how: DeleteParams) -> Result<()> {
    let load = Load::start(cluster).await?;
    let mut gaps = Vec::new();
    for time in 0..times() {
        let pod = cluster.pod(time as i32 % 3);
        let uid = cluster.uids().await?.remove(&pod).unwrap_or_default();
        let start = Instant::now();
        cluster.pods().delete(&pod, &how).await?;
        cluster.is_replaced(&pod, &uid).await?;
        gaps.push(load.gap_since(start).await?);
        cluster.is_ready().await?;
    }
    finish(load, what, &gaps, Duration::from_secs(1)).await
}

async fn finish(load: Load, what: &str, gaps: &[Duration], goal: Duration) -> Result<()> {
    load.finish().await?;
    println!("{what}: {gaps:?}");
    report::time(&format!("produce gap, {what}, p99 of {}", gaps.len()), quantile(gaps, 0.99), goal);
    Ok(())
}

#[test]
fn a_killed_process_costs_no_record_and_hardly_a_pause() {
    test("kill", async |space| {
        if !nodes_can_be_broken().await {
            return Ok(());
        }
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let (load, uids) = (Load::start(&cluster).await?, cluster.uids().await?);
        let mut gaps = Vec::new();
        for time in 0..times() {
            let pod = cluster.pod(time as i32 % 3);
            let start = Instant::now();
            signal(&cluster, &pod, "KILL").await?;
            // It is started again in the same pod: what is restarted is told by the count.
            restarted(&cluster, &pod, time / 3 + 1).await?;
            gaps.push(load.gap_since(start).await?);
            cluster.is_ready().await?;
        }
        ensure!(cluster.uids().await? == uids, "a pod was made anew");
        finish(load, "process killed -9", &gaps, Duration::from_secs(1)).await
    });
}

pub async fn signal(cluster: &Cluster, pod: &str, signal: &str) -> Result<()> {
    script("container-signal", &[&cluster.space.namespace, pod, CONTAINER, signal]).await.map(drop)
}

/// Waits until the process of a pod has been started again so often, and is ready.
pub async fn restarted(cluster: &Cluster, pod: &str, times: usize) -> Result<()> {
    cluster
        .pods_become("restarted", |pods| {
            let this = pods.iter().find(|it| it.metadata.name.as_deref() == Some(pod));
            let container = this.and_then(|it| it.status.as_ref()?.container_statuses.as_ref()?.first());
            container.is_some_and(|it| it.restart_count >= times as i32 && it.ready)
        })
        .await
}

#[test]
fn a_frozen_process_costs_no_record_and_hardly_a_pause() {
    test("freeze", async |space| {
        if !nodes_can_be_broken().await {
            return Ok(());
        }
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::with(&cluster, Plan::impatient()).await?;
        let mut gaps = Vec::new();
        for time in 0..times() {
            let pod = cluster.pod(time as i32 % 3);
            let start = Instant::now();
            gaps.push(frozen(&cluster, &pod, load.gap_since(start)).await?);
            cluster.is_ready().await?;
        }
        finish(load, "process frozen, a client that waits 1 s for an answer", &gaps, Duration::from_secs(2)).await
    });
}

/// Freezes the process of a pod for as long as something else takes.
pub async fn frozen<T>(cluster: &Cluster, pod: &str, meanwhile: impl Future<Output = Result<T>>) -> Result<T> {
    signal(cluster, pod, "STOP").await?;
    let result = meanwhile.await;
    signal(cluster, pod, "CONT").await?;
    result
}

#[test]
fn a_broker_dies_while_there_is_no_operator_and_nothing_is_lost() {
    test("alone", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let operator = Operator::of(&space.environment);
        let load = Load::start(&cluster).await?;
        operator.scale(0).await?;
        let result = dies_alone(&cluster, &load).await;
        operator.scale(2).await?;
        operator.leads().await?;
        let gap = result?;
        cluster.is_ready().await?;
        finish(load, "pod deleted by force without an operator", &[gap], Duration::from_secs(1)).await
    });
}

async fn dies_alone(cluster: &Cluster, load: &Load) -> Result<Duration> {
    let pod = cluster.pod(1);
    let uid = cluster.uids().await?.remove(&pod).unwrap_or_default();
    let start = Instant::now();
    cluster.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
    cluster.is_replaced(&pod, &uid).await?;
    load.gap_since(start).await
}
