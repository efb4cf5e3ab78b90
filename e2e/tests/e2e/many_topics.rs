//! A thousand topics.

use anyhow::Result;
use barnabas_e2e::cluster::{Cluster, spec};
use barnabas_e2e::operator::Operator;
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::topic::has;
use barnabas_e2e::{report, watch};
use barnabas_operator::crd::KafkaTopic;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use std::time::{Duration, Instant};

const TOPICS: usize = 1000;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[test]
fn a_thousand_topics_become_ready() {
    test("thousand", async |space| {
        let operator = Operator::of(&space.environment);
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let start = Instant::now();
        let applied = apply(&space, &cluster);
        let topics: Api<KafkaTopic> = space.api();
        let limit = Duration::from_secs(240);
        let all_are_ready = watch::until_all(&topics, "", "readiness of all topics", limit, |topics| {
            (topics.len() == TOPICS && topics.iter().all(|topic| has(topic, "Ready", true))).then(Instant::now)
        });
        let (applied, ready) = tokio::try_join!(applied, all_are_ready)?;
        report::figure("1,000 topics applied", format!("{:.1?}", applied - start));
        report::time("1,000 topics ready after they were applied", ready - start, Duration::from_secs(20));
        let (_, scrape) = operator.leader().await?;
        let memory = scrape.sum("process_resident_memory_bytes") / MEBIBYTE;
        report::at_most("operator's memory with 1,000 topics", memory, 64.0, "MiB");
        Ok(())
    });
}

/// Creates them, some at a time. Gives when the last one was there.
async fn apply(space: &Space, cluster: &Cluster) -> Result<Instant> {
    let api: Api<KafkaTopic> = space.api();
    let create = async |number: usize| -> Result<()> {
        let topic = serde_json::from_value(json!({
            "metadata": { "name": format!("topic-{number}") },
            "spec": { "clusterRef": { "name": cluster.name }, "partitions": 1, "replicationFactor": 1 },
        }))?;
        api.create(&PostParams::default(), &topic).await?;
        Ok(())
    };
    stream::iter(0..TOPICS).map(create).buffer_unordered(20).try_collect::<()>().await?;
    Ok(Instant::now())
}
