//! Restarts one after the other.

use anyhow::{Result, ensure};
use barnabas_e2e::cluster::{Cluster, spec};
use barnabas_e2e::load::Load;
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::{report, watch};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn another_image_rolls_through_without_a_failed_produce() {
    test("image", async |space| {
        let change = json!({ "image": space.environment.next_image });
        let cluster = rolls(&space, "image", change).await?;
        let pods = watch::list(&cluster.pods(), &cluster.labels()).await?;
        let images = pods.iter().filter_map(|pod| pod.spec.as_ref()?.containers.first()?.image.as_deref());
        ensure!(images.into_iter().all(|image| image == space.environment.next_image), "a pod has another image");
        Ok(())
    });
}

#[test]
fn a_static_configuration_rolls_through_without_a_failed_produce() {
    test("static", async |space| {
        rolls(&space, "static configuration", json!({ "config": { "num.replica.fetchers": 2 } })).await?;
        Ok(())
    });
}

/// Applies a change that restarts every broker, under load, and measures how long that takes.
async fn rolls(space: &Space, what: &str, change: Value) -> Result<Cluster> {
    let cluster = Cluster::start(space, "orders", spec(3)).await?;
    let load = Load::start(&cluster).await?;
    let took = restarts_all(&cluster, change).await?;
    report::time(&format!("rolling restart of 3 under load ({what})"), took, Duration::from_secs(60));
    let statistics = load.finish().await?;
    report::figure(&format!("longest produce gap in it ({what})"), format!("{:.2?}", statistics.longest_gap));
    report::figure(&format!("p99 of produce latency around it ({what})"), format!("{:.2?}", statistics.latency_p99));
    Ok(cluster)
}

/// Applies a change that restarts every pod, and waits until all are new and the cluster is ready; how long that takes.
pub async fn restarts_all(cluster: &Cluster, change: Value) -> Result<Duration> {
    let before = cluster.uids().await?;
    let start = Instant::now();
    cluster.change(change).await?;
    let all_are_new = |pods: &[std::sync::Arc<k8s_openapi::api::core::v1::Pod>]| {
        let is_new = |pod: &std::sync::Arc<k8s_openapi::api::core::v1::Pod>| {
            let (name, uid) = (pod.metadata.name.clone().unwrap_or_default(), pod.metadata.uid.clone());
            before.get(&name) != uid.as_ref()
        };
        pods.len() == before.len() && pods.iter().all(is_new)
    };
    cluster.pods_become("new, all of them", all_are_new).await?;
    cluster.is_ready().await?;
    Ok(start.elapsed())
}
