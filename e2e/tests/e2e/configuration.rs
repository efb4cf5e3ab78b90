//! Configuration that brokers take while they run.

use anyhow::{Result, ensure};
use barnabas_e2e::client::Asker;
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::load::Load;
use barnabas_e2e::space::test;
use barnabas_e2e::watch::eventually;
use rdkafka::admin::ResourceSpecifier;
use serde_json::json;

#[test]
fn dynamic_configuration_takes_effect_without_a_restart() {
    test("dynamic", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let (uids, client) = (cluster.uids().await?, Asker::new(&cluster.bootstrap().await?)?);
        cluster.change(json!({ "config": { "log.retention.ms": 7_200_000 } })).await?;
        is_set(&client, "log.retention.ms", Some("7200000")).await?;
        cluster.is_ready().await?;
        cluster.change(json!({ "config": { "log.retention.ms": null } })).await?;
        is_set(&client, "log.retention.ms", None).await?;
        cluster.is_ready().await?;
        ensure!(cluster.uids().await? == uids, "a pod was made anew");
        load.finish().await?;
        Ok(())
    });
}

/// Waits until every broker has the value; `None`: not that one.
async fn is_set(client: &Asker, name: &str, value: Option<&str>) -> Result<()> {
    eventually(&format!("{name}={value:?}"), PATIENCE, async || {
        for broker in 0..3 {
            let configs = client.configs(ResourceSpecifier::Broker(broker)).await?;
            let found = configs.get(name).map(String::as_str);
            let is_so = if value.is_some() { found == value } else { found != Some("7200000") };
            ensure!(is_so, "broker {broker}: {found:?}");
        }
        Ok(())
    })
    .await
}
