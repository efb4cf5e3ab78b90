//! The operator is killed in the middle of what it does: the next one goes on where it stopped.

use crate::scaling::has_brokers;
use anyhow::{Result, ensure};
use barnabas_e2e::cluster::{Cluster, spec};
use barnabas_e2e::load::Load;
use barnabas_e2e::operator::Operator;
use barnabas_e2e::space::test;
use barnabas_e2e::topic::Topic;
use serde_json::json;

#[test]
fn killed_while_scaling_out_and_in_the_operator_goes_on() {
    test("killscale", async |space| {
        let operator = Operator::of(&space.environment);
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        for brokers in [4, 3] {
            cluster.change(json!({ "brokers": { "replicas": brokers } })).await?;
            is_at_work(&cluster).await?;
            operator.kill().await?;
            has_brokers(&cluster, brokers).await?;
        }
        load.finish().await?;
        Ok(())
    });
}

/// Waits until the operator has begun: only then is killing it of interest.
async fn is_at_work(cluster: &Cluster) -> Result<()> {
    cluster.says("Progressing", true, "").await.map(drop)
}

#[test]
fn killed_while_rolling_the_operator_goes_on_and_restarts_each_pod_once() {
    test("killroll", async |space| {
        let operator = Operator::of(&space.environment);
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let before = cluster.uids().await?;
        cluster.change(json!({ "config": { "num.replica.fetchers": 2 } })).await?;
        let first_is_gone = |pods: &[std::sync::Arc<k8s_openapi::api::core::v1::Pod>]| {
            let is_old = |pod: &&std::sync::Arc<k8s_openapi::api::core::v1::Pod>| {
                before.values().any(|uid| Some(uid) == pod.metadata.uid.as_ref())
            };
            pods.iter().filter(is_old).count() < 3
        };
        cluster.pods_become("one of them new", first_is_gone).await?;
        operator.kill().await?;
        cluster.is_ready().await?;
        let after = cluster.uids().await?;
        ensure!(after.iter().all(|(pod, uid)| before.get(pod) != Some(uid)), "{before:?}, then {after:?}");
        load.finish().await?;
        Ok(())
    });
}

#[test]
fn killed_while_it_makes_topics_the_operator_makes_them_all() {
    test("killtopics", async |space| {
        let operator = Operator::of(&space.environment);
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let topics: Vec<Topic> = (0..20).map(|number| Topic::named(&cluster, &format!("topic-{number}"))).collect();
        for (number, topic) in topics.iter().enumerate() {
            topic.apply(json!({ "partitions": 2, "replicationFactor": 3 })).await?;
            if number == topics.len() / 2 {
                operator.kill().await?;
            }
        }
        for topic in &topics {
            topic.is_ready().await?;
            topic.apply(json!({ "partitions": 4, "replicationFactor": 2 })).await?;
        }
        operator.kill().await?;
        for topic in &topics {
            topic.is_ready().await?;
            let status = topic.status().await?;
            ensure!((status.partitions, status.replication_factor) == (4, 2), "{status:?}");
        }
        load.finish().await?;
        Ok(())
    });
}

#[test]
fn another_replica_takes_over_when_the_one_that_acts_ends() {
    test("takeover", async |space| {
        let operator = Operator::of(&space.environment);
        let before = operator.leads().await?;
        let start = std::time::Instant::now();
        operator.pods.delete(&before, &Default::default()).await?;
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        barnabas_e2e::report::figure(
            "a cluster of 1, the operator that acts just ended",
            format!("{:.1?}", start.elapsed()),
        );
        ensure!(operator.leads().await? != before, "{before} acts on");
        cluster.is_ready().await?;
        Ok(())
    });
}
