//! Clusters begin, stop, start again, end, and come back over their volumes.

use crate::install::one_replica;
use anyhow::{Result, ensure};
use barnabas_e2e::client::{consume_one, produce_one};
use barnabas_e2e::cluster::{Cluster, PATIENCE, has, spec, with};
use barnabas_e2e::commands::run;
use barnabas_e2e::load::Load;
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::topic::Topic;
use barnabas_e2e::{report, watch};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn an_applied_cluster_of_one_takes_records() {
    test("one", async |space| takes_records(&space, 1).await);
}

#[test]
fn an_applied_cluster_of_three_takes_records() {
    test("three", async |space| takes_records(&space, 3).await);
}

/// From `kubectl apply` of a cluster and a topic to the first record that is acknowledged, and read.
async fn takes_records(space: &Space, brokers: i32) -> Result<()> {
    let topic = json!({ "clusterRef": { "name": "orders" }, "partitions": 1, "replicationFactor": brokers });
    let manifest = [object("KafkaCluster", "orders", spec(brokers)), object("KafkaTopic", "payments", topic)];
    let file = std::env::temp_dir().join(format!("{}.json", space.namespace));
    std::fs::write(&file, json!({ "apiVersion": "v1", "kind": "List", "items": manifest }).to_string())?;
    let start = Instant::now();
    run("kubectl", &["-n", &space.namespace, "apply", "-f", &file.to_string_lossy()]).await?;
    std::fs::remove_file(&file)?;
    let cluster = Cluster::named(space, "orders");
    let bootstrap = cluster.bootstrap().await?;
    let limit = Duration::from_secs(5);
    let produce = async || produce_one(&bootstrap, "payments", 0, "hello", limit).await;
    let offset = watch::eventually("acknowledged record", PATIENCE, produce).await?;
    report::time(
        &format!("apply of a cluster of {brokers} to its first acknowledged record"),
        start.elapsed(),
        Duration::from_secs(10),
    );
    let read = consume_one(&bootstrap, "payments", 0, offset, PATIENCE).await?;
    ensure!(read == "hello", "read {read:?}");
    cluster.is_ready().await?;
    Ok(())
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "barnabas.dev/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

#[test]
fn clusters_of_one_name_in_two_namespaces_know_nothing_of_each_other() {
    test("two", async |space| {
        let other = space.another().await?;
        let result = two(&space, &other).await;
        other.delete().await?;
        result
    });
}

async fn two(space: &Space, other: &Space) -> Result<()> {
    let here = Cluster::start(space, "orders", spec(1)).await?;
    let there = Cluster::start(other, "orders", spec(1)).await?;
    let load = Load::with(&here, one_replica()).await?;
    let (one, two) = (here.status().await?, there.status().await?);
    ensure!(one.cluster_id != two.cluster_id, "both are {:?}", one.cluster_id);
    there.delete().await?;
    load.every_partition_is_written().await?;
    load.finish().await?;
    Ok(())
}

#[test]
fn a_stopped_cluster_has_no_pods_and_starts_with_all_its_records() {
    test("stop", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        load.every_partition_is_written().await?;
        cluster.change(json!({ "stopped": true })).await?;
        is_stopped(&cluster).await?;
        cluster.change(json!({ "stopped": false })).await?;
        cluster.is_ready().await?;
        // The producer has tried all the while: nothing of it may be lost either.
        load.every_partition_is_written().await?;
        load.finish().await?;
        Ok(())
    });
}

pub async fn is_stopped(cluster: &Cluster) -> Result<()> {
    cluster.pods_become("none", |pods| pods.is_empty()).await?;
    cluster.says("Ready", false, "stopped").await.map(drop)
}

#[test]
fn a_paused_cluster_is_left_as_it_is() {
    test("pause", async |space| {
        let cluster = Cluster::start(&space, "orders", with(spec(1), json!({ "paused": false }))).await?;
        let uids = cluster.uids().await?;
        cluster.change(json!({ "paused": true, "brokers": { "replicas": 2 } })).await?;
        cluster.says("Ready", true, "paused").await?;
        ensure!(cluster.uids().await? == uids, "the pods have changed");
        cluster.change(json!({ "paused": false })).await?;
        let of_two =
            |it: &_| has(it, "Ready", true) && it.status.as_ref().is_some_and(|status| status.ready_replicas == 2);
        cluster.becomes("two brokers", of_two).await?;
        Ok(())
    });
}

#[test]
fn a_cluster_that_is_deleted_and_applied_again_has_its_records() {
    test("again", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let before = cluster.status().await?.cluster_id;
        let kept = json!({ "partitions": 1, "replicationFactor": 3, "deletionPolicy": "Retain" });
        Topic::create(&cluster, "kept", kept).await?;
        let bootstrap = cluster.bootstrap().await?;
        let offset = produce_one(&bootstrap, "kept", 0, "hello", PATIENCE).await?;
        cluster.delete().await?;
        cluster.apply(spec(3)).await?;
        let known = cluster.is_ready().await?;
        let after = known.status.and_then(|status| status.cluster_id);
        ensure!(before == after, "the cluster was {before:?} and is {after:?}");
        let bootstrap = cluster.bootstrap().await?;
        let value = consume_one(&bootstrap, "kept", 0, offset, PATIENCE).await?;
        ensure!(value == "hello", "read {value:?}");
        Ok(())
    });
}
