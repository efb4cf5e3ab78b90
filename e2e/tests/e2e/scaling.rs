//! More brokers, and fewer.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::client::Asker;
use barnabas_e2e::cluster::{Cluster, PATIENCE, has, spec};
use barnabas_e2e::commands::kubectl;
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::space::test;
use barnabas_e2e::topic::Topic;
use barnabas_e2e::{report, watch};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Instant;

/// Waits until as many brokers serve as are wanted, and nothing is left to do.
pub async fn has_brokers(cluster: &Cluster, brokers: i32) -> Result<()> {
    let is_so = |it: &_| {
        let status: &barnabas_operator::crd::KafkaClusterStatus = match it {
            barnabas_operator::crd::KafkaCluster { status: Some(status), .. } => status,
            _ => return false,
        };
        let all_there = status.replicas == brokers && status.ready_replicas == brokers;
        all_there && has(it, "Ready", true) && has(it, "Progressing", false)
    };
    cluster.becomes(&format!("{brokers} brokers"), is_so).await.map(drop)
}

#[test]
fn three_brokers_become_five_and_three_again_under_load() {
    test("scale", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::with(&cluster, Plan { partitions: 12, ..Plan::default() }).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        let start = Instant::now();
        cluster.change(json!({ "brokers": { "replicas": 5 } })).await?;
        has_brokers(&cluster, 5).await?;
        report::figure("3 brokers to 5 under load, moves included", format!("{:.1?}", start.elapsed()));
        ensure!(
            holders(&client, "load")? == BTreeSet::from([0, 1, 2, 3, 4]),
            "replicas: {:?}",
            client.replicas("load")?
        );

        let start = Instant::now();
        cluster.change(json!({ "brokers": { "replicas": 3 } })).await?;
        has_brokers(&cluster, 3).await?;
        report::figure("5 brokers to 3 under load", format!("{:.1?}", start.elapsed()));
        ensure!(holders(&client, "load")? == BTreeSet::from([0, 1, 2]), "replicas: {:?}", client.replicas("load")?);
        for broker in [3, 4] {
            watch::until_gone(&cluster.claims(), &cluster.claim(broker), PATIENCE).await?;
        }
        let statistics = load.finish().await?;
        report::figure("longest produce gap while scaling 3, 5, 3", format!("{:.2?}", statistics.longest_gap));
        Ok(())
    });
}

/// The brokers that have replicas of a topic.
pub fn holders(client: &Asker, topic: &str) -> Result<BTreeSet<i32>> {
    Ok(client.replicas(topic)?.context("the topic")?.into_iter().flatten().collect())
}

#[test]
fn fewer_brokers_than_replicas_are_refused_and_nothing_is_touched() {
    test("refuse", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(4)).await?;
        Topic::create(&cluster, "payments", json!({ "partitions": 3, "replicationFactor": 4 })).await?;
        let load = Load::start(&cluster).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        let (uids, replicas) = (cluster.uids().await?, client.replicas("payments")?);
        cluster.change(json!({ "brokers": { "replicas": 3 } })).await?;
        let message = cluster.says("Degraded", true, "ScaleInRefused").await?;
        ensure!(cluster.says("Ready", true, "").await.is_ok(), "the cluster serves all the same");
        println!("refused: {message}");
        ensure!(cluster.uids().await? == uids, "the pods have changed");
        ensure!(client.replicas("payments")? == replicas, "replicas have moved");
        cluster.change(json!({ "brokers": { "replicas": 4 } })).await?;
        cluster.says("Degraded", false, "").await?;
        load.finish().await?;
        Ok(())
    });
}

#[test]
fn kubectl_scale_adds_a_broker() {
    test("kubectl", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        kubectl(&format!("-n {} scale kafkacluster orders --replicas=2", space.namespace)).await?;
        has_brokers(&cluster, 2).await
    });
}
