//! The operator is killed in the middle of what it does: the next one goes on where it stopped.

use crate::failures::{frozen, restarted, signal};
use crate::life::is_stopped;
use crate::nodes::{drain, lost, node_of, then_uncordon};
use crate::scaling::has_brokers;
use crate::volumes::{asks_for_more, has_another, have_grown, larger, lose_volume, volumes_can_grow};
use anyhow::{Context, Result, ensure};
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::commands::nodes_can_be_broken;
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::operator::Operator;
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::topic::Topic;
use barnabas_e2e::watch;
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
fn killed_while_a_process_is_restarted_the_operator_goes_on() {
    test("killprocess", async |space| {
        if !nodes_can_be_broken().await {
            return Ok(());
        }
        under_load(&space, Plan::default(), async |cluster, _, operator| {
            let pod = cluster.pod(cluster.active_controller(None).await?);
            signal(cluster, &pod, "KILL").await?;
            operator.kill_leader().await?;
            restarted(cluster, &pod, 1).await
        })
        .await
    });
}

/// Does something to a cluster of 3 that is written to, and waits until the operator that acts then finds it whole.
async fn under_load(
    space: &Space,
    plan: Plan,
    body: impl AsyncFnOnce(&Cluster, &Load, &Operator) -> Result<()>,
) -> Result<()> {
    let operator = Operator::of(&space.environment);
    let cluster = Cluster::start(space, "orders", spec(3)).await?;
    let load = Load::with(&cluster, plan).await?;
    body(&cluster, &load, &operator).await?;
    operator.finds_ready(&cluster).await?;
    cluster.is_whole(3).await?;
    load.finish().await?;
    Ok(())
}

#[test]
fn killed_while_a_process_is_frozen_the_operator_goes_on() {
    test("killfreeze", async |space| {
        if !nodes_can_be_broken().await {
            return Ok(());
        }
        under_load(&space, Plan::impatient(), async |cluster, load, operator| {
            let active = cluster.active_controller(None).await?;
            // The operator hears of it from the active controller.
            let pod = cluster.pod(if active == 0 { 1 } else { 0 });
            let killed = async {
                is_at_work(cluster).await?;
                operator.kill_leader().await?;
                load.every_partition_is_written().await
            };
            frozen(cluster, &pod, killed).await
        })
        .await
    });
}

#[test]
fn killed_while_a_node_is_lost_the_operator_takes_the_pod_off_it() {
    test("killnode", async |space| {
        if !nodes_can_be_broken().await {
            return Ok(());
        }
        under_load(&space, Plan::impatient(), async |cluster, load, operator| {
            let (node, pod) = (node_of(cluster, 2).await?, cluster.pod(2));
            let uid = cluster.uids().await?.remove(&pod).context("the pod")?;
            let killed = async {
                // The controllers do not hear the broker. Kubernetes gives the node up later, and the pod is there until then.
                cluster.says("Degraded", true, "").await?;
                operator.kill_leader().await?;
                cluster.pod_ends(&pod, &uid).await?;
                load.every_partition_is_written().await
            };
            lost(&node, killed).await
        })
        .await
    });
}

#[test]
fn killed_while_a_node_is_drained_the_operator_goes_on() {
    test("killdrain", async |space| {
        under_load(&space, Plan::default(), async |cluster, _, operator| {
            let (node, pod) = (node_of(cluster, 1).await?, cluster.pod(1));
            let uid = cluster.uids().await?.remove(&pod).context("the pod")?;
            let killed = async {
                cluster.pod_ends(&pod, &uid).await?;
                operator.kill_leader().await
            };
            let both = async {
                let (drained, killed) = tokio::join!(drain(&node), killed);
                drained.and(killed)
            };
            then_uncordon(&node, both).await?;
            cluster.is_replaced(&pod, &uid).await
        })
        .await
    });
}

#[test]
fn killed_while_a_volume_is_lost_the_operator_goes_on() {
    test("killvolume", async |space| {
        under_load(&space, Plan::default(), async |cluster, _, operator| {
            let lost = lose_volume(cluster, 2).await?;
            operator.kill_leader().await?;
            has_another(cluster, lost).await
        })
        .await
    });
}

#[test]
fn killed_while_volumes_grow_the_operator_goes_on_and_the_pods_stay() {
    test("killgrow", async |space| {
        if !volumes_can_grow(&space).await? {
            return Ok(());
        }
        under_load(&space, Plan::default(), async |cluster, _, operator| {
            let uids = cluster.uids().await?;
            cluster.change(larger()).await?;
            watch::until(&cluster.claims(), &cluster.claim(0), "wish for more", PATIENCE, asks_for_more).await?;
            operator.kill_leader().await?;
            have_grown(cluster, 3).await?;
            ensure!(cluster.uids().await? == uids, "a pod was made anew");
            Ok(())
        })
        .await
    });
}

#[test]
fn killed_while_a_cluster_stops_and_while_it_starts_the_operator_goes_on() {
    test("killstop", async |space| {
        under_load(&space, Plan::default(), async |cluster, _, operator| {
            let (pod, uids) = (cluster.pod(0), cluster.uids().await?);
            cluster.change(json!({ "stopped": true })).await?;
            cluster.pod_ends(&pod, &uids[&pod]).await?;
            operator.kill_leader().await?;
            is_stopped(cluster).await?;
            // Another one acts, to be killed in its turn.
            operator.leads().await?;
            cluster.change(json!({ "stopped": false })).await?;
            cluster.pods_become("there again", |pods| !pods.is_empty()).await?;
            operator.kill_leader().await
        })
        .await
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
