//! An operator that has nothing to do does nothing.

use anyhow::{Result, ensure};
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::environment::is_long;
use barnabas_e2e::operator::{Operator, Scrape};
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::topic::Topic;
use barnabas_e2e::{report, watch};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const WRITES: &str = "barnabas_operator_writes_total";
const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// What the operator may have written, as kubectl calls it. Its Lease is renewed all the time, and is not among these.
const KINDS: &str = "kafkaclusters,kafkatopics,statefulsets,services,configmaps,networkpolicies,poddisruptionbudgets,serviceaccounts,persistentvolumeclaims,pods";

#[test]
fn the_operator_writes_nothing_while_nothing_changes() {
    test("idle", async |space| {
        let operator = Operator::of(&space.environment);
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        Topic::create(&cluster, "payments", json!({ "partitions": 3, "replicationFactor": 3 })).await?;
        cluster.is_ready().await?;
        is_alone(&space).await?;
        let (leader, before) = settled(&operator).await?;
        let objects = versions(&space).await?;
        let status = cluster.status().await?;
        let idle = Duration::from_secs(if is_long() { 600 } else { 60 });
        // The one thing that no event tells: that none came.
        tokio::time::sleep(idle).await;
        let (same, after) = operator.leader().await?;
        ensure!(leader == same, "another operator acts");
        let writes = after.sum(WRITES) - before.sum(WRITES);
        report::at_most(&format!("writes to the API server in {} idle seconds", idle.as_secs()), writes, 0.0, "");
        report::at_most("operator's memory, idle", after.sum("process_resident_memory_bytes") / MEBIBYTE, 32.0, "MiB");
        let now = versions(&space).await?;
        let changed: Vec<_> = now.iter().filter(|(object, version)| objects.get(*object) != Some(version)).collect();
        let statuses = (status, cluster.status().await?);
        ensure!(
            changed.is_empty(),
            "changed meanwhile: {changed:?}; the cluster's status before and after: {statuses:#?}"
        );
        ensure!(writes == 0.0, "{writes} writes");
        Ok(())
    });
}

/// Waits until the namespaces of other tests are gone: as they end, there is something to do.
async fn is_alone(space: &Space) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(space.client());
    watch::until_all(&namespaces, "barnabas.dev/e2e=true", "end of other namespaces", PATIENCE, |all| {
        (all.len() == 1).then_some(())
    })
    .await
}

/// Waits until the operator has written nothing for a while: what it does after a cluster is ready comes to its end.
async fn settled(operator: &Operator) -> Result<(String, Scrape)> {
    const WHILE: Duration = Duration::from_secs(10);
    watch::eventually("end of the operator's writes", PATIENCE, async || {
        let (_, before) = operator.leader().await?;
        tokio::time::sleep(WHILE).await;
        let (leader, after) = operator.leader().await?;
        ensure!(before.sum(WRITES) == after.sum(WRITES), "it writes");
        Ok((leader, after))
    })
    .await
}

/// Every object of the namespace, with its version.
async fn versions(space: &Space) -> Result<BTreeMap<String, String>> {
    let columns = "custom-columns=:.kind,:.metadata.name,:.metadata.resourceVersion";
    let arguments = ["-n", &space.namespace, "get", KINDS, "--no-headers", "-o", columns];
    let text = barnabas_e2e::commands::run("kubectl", &arguments).await?;
    let line =
        |line: &str| line.rsplit_once(' ').map(|(object, version)| (object.trim().to_owned(), version.to_owned()));
    Ok(text.lines().filter_map(line).collect())
}
