//! Kubernetes' nodes that are lost, and nodes that are emptied.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::cluster::{Cluster, PATIENCE, is_pod_ready, spec};
use barnabas_e2e::commands::{kubectl, nodes_can_be_broken, script};
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::operator::Operator;
use barnabas_e2e::report;
use barnabas_e2e::space::test;
use barnabas_e2e::watch;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[test]
fn replicas_are_spread_over_zones() {
    test("zones", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let nodes = cluster.status().await?.nodes;
        let racks: BTreeSet<_> = nodes.iter().filter_map(|node| node.rack.as_deref()).collect();
        let api: Api<Node> = Api::all(space.client());
        let zones: BTreeSet<String> = watch::list(&api, "").await?.iter().filter_map(zone).collect();
        ensure!(racks.len() == zones.len().min(3), "racks {racks:?} of zones {zones:?}");
        Ok(())
    });
}

fn zone(node: &Node) -> Option<String> {
    node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned()
}

#[test]
fn a_lost_node_costs_no_record_and_comes_back() {
    test("node", async |space| {
        if !nodes_can_be_broken().await {
            return Ok(());
        }
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::with(&cluster, Plan::impatient()).await?;
        let node = node_of(&cluster, 2).await?;
        lost(&node, survives(&cluster, &load, Instant::now())).await?;
        cluster.is_ready().await?;
        Operator::of(&space.environment).leads().await?;
        load.finish().await?;
        Ok(())
    });
}

/// Takes a node's power for as long as something else takes.
pub async fn lost<T>(node: &str, meanwhile: impl Future<Output = Result<T>>) -> Result<T> {
    script("node-down", &[node]).await?;
    let result = meanwhile.await;
    script("node-up", &[node]).await?;
    result
}

async fn survives(cluster: &Cluster, load: &Load, start: Instant) -> Result<()> {
    let gap = load.gap_since(start).await?;
    report::time("produce gap, node lost, a client that waits 1 s for an answer", gap, Duration::from_secs(2));
    cluster.says("Degraded", true, "").await?;
    load.every_partition_is_written().await
}

pub async fn node_of(cluster: &Cluster, broker: i32) -> Result<String> {
    let pod = cluster.pods().get(&cluster.pod(broker)).await?;
    pod.spec.and_then(|spec| spec.node_name).context("the pod's node")
}

#[test]
fn a_node_is_drained_under_load_without_a_failed_produce() {
    test("drain", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let node = node_of(&cluster, 1).await?;
        let uid = cluster.uids().await?.remove(&cluster.pod(1)).unwrap_or_default();
        let start = Instant::now();
        let moved = async {
            drain(&node).await?;
            report::figure("kubectl drain of a node under load", format!("{:.1?}", start.elapsed()));
            // The others may have to bear one less until the node is back: where volumes stay, the pod waits.
            load.gap_since(start).await
        };
        let gap = then_uncordon(&node, moved).await?;
        cluster.is_replaced(&cluster.pod(1), &uid).await?;
        cluster.is_ready().await?;
        report::time("produce gap, node drained", gap, Duration::from_secs(1));
        load.finish().await?;
        Ok(())
    });
}

pub async fn drain(node: &str) -> Result<()> {
    kubectl(&format!("drain {node} --ignore-daemonsets --delete-emptydir-data --timeout=170s")).await.map(drop)
}

/// Gives the node back after what was done to it.
pub async fn then_uncordon<T>(node: &str, done: impl Future<Output = Result<T>>) -> Result<T> {
    let result = done.await;
    kubectl(&format!("uncordon {node}")).await?;
    result
}

#[test]
fn a_second_eviction_waits_until_the_first_broker_is_back() {
    test("evict", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let (first, second) = (cluster.pod(0), cluster.pod(1));
        let uid = cluster.uids().await?.remove(&first).unwrap_or_default();
        cluster.pods().evict(&first, &Default::default()).await?;
        // The client asks again by itself while it is told that there were too many.
        let evict = async || Ok(cluster.pods().evict(&second, &Default::default()).await?);
        watch::eventually("second eviction", PATIENCE, evict).await?;
        let now = cluster.pods().get(&first).await?;
        ensure!(now.metadata.uid != Some(uid) && is_pod_ready(&now), "{second} was evicted before {first} was back");
        cluster.is_ready().await?;
        load.finish().await?;
        Ok(())
    });
}
