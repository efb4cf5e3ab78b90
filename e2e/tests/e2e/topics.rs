//! Topics by `KafkaTopic`.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::client::Asker;
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::report::{self, quantile};
use barnabas_e2e::space::test;
use barnabas_e2e::topic::Topic;
use barnabas_e2e::watch::eventually;
use rdkafka::admin::ResourceSpecifier;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_topic_is_made_changed_and_deleted_as_its_resource_says() {
    test("topic", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        let load = Load::start(&cluster).await?;
        let topic = Topic::create(&cluster, "payments", of(2, 2, json!({ "retention.ms": 86_400_000 }))).await?;
        is(&client, &[2, 2], "86400000").await?;

        topic.apply(of(2, 2, json!({ "retention.ms": 3_600_000 }))).await?;
        topic.is_ready().await?;
        is(&client, &[2, 2], "3600000").await?;

        topic.apply(of(5, 2, json!({ "retention.ms": 3_600_000 }))).await?;
        topic.is_ready().await?;
        is(&client, &[2; 5], "3600000").await?;
        let refusal = topic.apply(of(4, 2, json!({}))).await.err().context("fewer partitions are taken")?;
        ensure!(format!("{refusal:#}").contains("partitions cannot decrease"), "{refusal:#}");

        topic.apply(of(5, 3, json!({}))).await?;
        topic.is_ready().await?;
        is(&client, &[3; 5], "604800000").await?;
        topic.apply(of(5, 1, json!({}))).await?;
        topic.is_ready().await?;
        is(&client, &[1; 5], "604800000").await?;

        topic.delete().await?;
        let is_gone = async || {
            ensure!(client.replicas("payments")?.is_none(), "the topic is there");
            Ok(())
        };
        eventually("end of the topic", PATIENCE, is_gone).await?;
        load.finish().await?;
        Ok(())
    });
}

fn of(partitions: i32, replicas: i32, config: Value) -> Value {
    json!({ "partitions": partitions, "replicationFactor": replicas, "config": config })
}

/// Waits until the brokers say that `payments` is so: replicas of each partition, and retention.ms.
async fn is(client: &Asker, replicas: &[usize], retention: &str) -> Result<()> {
    eventually("topic as it is wanted", PATIENCE, async || {
        let found: Vec<usize> = client.replicas("payments")?.context("the topic")?.iter().map(Vec::len).collect();
        ensure!(found == replicas, "replicas: {found:?}");
        let configs = client.configs(ResourceSpecifier::Topic("payments")).await?;
        let found = configs.get("retention.ms").map(String::as_str);
        ensure!(found == Some(retention), "retention.ms: {found:?}");
        Ok(())
    })
    .await
}

#[test]
fn a_topic_is_ready_half_a_second_after_it_is_applied() {
    test("topics", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let mut took = Vec::new();
        for number in 0..50 {
            let start = Instant::now();
            Topic::create(&cluster, &format!("topic-{number}"), of(3, 3, json!({}))).await?;
            took.push(start.elapsed());
        }
        report::figure("apply of a topic to ready, p50 of 50", format!("{:.2?}", quantile(&took, 0.5)));
        report::time("apply of a topic to ready, p99 of 50", quantile(&took, 0.99), Duration::from_millis(500));
        Ok(())
    });
}

#[test]
fn a_topic_whose_resource_says_retain_outlives_it_and_is_adopted_again() {
    test("retain", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        let kept = json!({ "partitions": 2, "replicationFactor": 1, "deletionPolicy": "Retain" });
        let topic = Topic::create(&cluster, "payments", kept.clone()).await?;
        let id = topic.status().await?.topic_id;
        topic.delete().await?;
        ensure!(client.replicas("payments")?.is_some_and(|partitions| partitions.len() == 2), "the topic is gone");
        topic.apply(kept).await?;
        topic.is_ready().await?;
        ensure!(topic.status().await?.topic_id == id, "the topic is another");
        Ok(())
    });
}

#[test]
fn a_topic_that_is_not_to_be_adopted_is_left_alone() {
    test("adopt", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        client.create_topic("payments", 1, 1).await?;
        let topic = Topic::named(&cluster, "payments");
        topic.apply(json!({ "partitions": 4, "replicationFactor": 1, "adopt": false })).await?;
        topic.says("Ready", false, "").await?;
        ensure!(client.replicas("payments")?.is_some_and(|partitions| partitions.len() == 1), "the topic was changed");
        Ok(())
    });
}

#[test]
fn a_topic_that_is_applied_before_its_cluster_becomes_ready_with_it() {
    test("early", async |space| {
        let cluster = Cluster::named(&space, "orders");
        let topic = Topic::named(&cluster, "payments");
        topic.apply(of(1, 1, json!({}))).await?;
        topic.says("Ready", false, "orders").await?;
        cluster.apply(spec(1)).await?;
        topic.is_ready().await?;
        Ok(())
    });
}

#[test]
fn a_topic_outside_the_operator_is_left_alone() {
    test("foreign", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        client.create_topic("others", 3, 1).await?;
        let plan = Plan { topic: "load".to_owned(), replicas: 1, ..Plan::default() };
        let load = Load::with(&cluster, plan).await?;
        ensure!(client.replicas("others")?.is_some_and(|partitions| partitions.len() == 3), "the topic was changed");
        load.finish().await?;
        Ok(())
    });
}
