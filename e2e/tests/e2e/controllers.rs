//! Controllers that have pods of their own.

use crate::rolling::restarts_all;
use anyhow::{Context, Result, ensure};
use barnabas_e2e::cluster::{Cluster, dedicated, spec};
use barnabas_e2e::load::Load;
use barnabas_e2e::report;
use barnabas_e2e::space::test;
use kube::api::DeleteParams;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
fn dedicated_controllers_fail_and_restart_without_a_failed_produce() {
    test("dedicated", async |space| {
        let cluster = Cluster::start(&space, "orders", dedicated(spec(3))).await?;
        let load = Load::start(&cluster).await?;
        have_roles(&cluster).await?;
        loses_the_active_one(&cluster, &load).await?;
        let took = restarts_all(&cluster, json!({ "config": { "num.replica.fetchers": 2 } })).await?;
        report::figure("rolling restart of 3 brokers and 3 controllers under load", format!("{took:.1?}"));
        have_roles(&cluster).await?;
        cluster.is_whole(3).await?;
        let statistics = load.finish().await?;
        report::figure("longest produce gap with dedicated controllers", format!("{:.2?}", statistics.longest_gap));
        Ok(())
    });
}

/// Each node has one role, and a pod that is named after it.
async fn have_roles(cluster: &Cluster) -> Result<()> {
    let of = |id: i32, role: &str| (id, (cluster.pod(id), role.to_owned()));
    let wanted = (0..3).map(|id| of(id, "broker")).chain((1000..1003).map(|id| of(id, "controller")));
    let nodes = cluster.status().await?.nodes;
    let found: BTreeMap<_, _> = nodes.into_iter().map(|node| (node.id, (node.pod, node.roles))).collect();
    ensure!(found == wanted.collect(), "{found:?}");
    Ok(())
}

/// Deletes the pod of the active controller: another one is active, and the brokers go on.
async fn loses_the_active_one(cluster: &Cluster, load: &Load) -> Result<()> {
    let active = cluster.active_controller(None).await?;
    ensure!(active >= 1000, "broker {active} is the active controller");
    let (pod, mut before) = (cluster.pod(active), cluster.uids().await?);
    let uid = before.remove(&pod).context("the pod of the active controller")?;
    let start = Instant::now();
    cluster.pods().delete(&pod, &DeleteParams::default()).await?;
    cluster.is_replaced(&pod, &uid).await?;
    let gap = load.gap_since(start).await?;
    report::time("produce gap, pod of the active dedicated controller deleted", gap, Duration::from_secs(1));
    cluster.active_controller(Some(active)).await?;
    cluster.is_ready().await?;
    let mut after = cluster.uids().await?;
    after.remove(&pod);
    ensure!(before == after, "other pods were made anew: {before:?}, then {after:?}");
    Ok(())
}
