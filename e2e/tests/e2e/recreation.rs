//! Clusters that are deleted, what becomes of their volumes, and clusters that are applied again over kept ones.

use crate::scaling::{has_brokers, holders};
use crate::volumes::{have_grown, larger, volumes_can_grow};
use anyhow::{Result, ensure};
use barnabas_e2e::client::{Asker, consume_one, produce_one};
use barnabas_e2e::cluster::{Cluster, PATIENCE, dedicated, spec, with};
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::topic::Topic;
use barnabas_e2e::watch::{self, eventually};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TOPIC: &str = "kept";

#[test]
fn the_volumes_of_a_deleted_cluster_go_with_it_where_its_policy_is_delete() {
    test("policy", async |space| {
        let cluster = Cluster::start(&space, "orders", deletes_volumes(dedicated(spec(1)))).await?;
        let claims = cluster.claim_uids().await?;
        ensure!(claims.len() == 2, "a broker and a controller have {claims:?}");
        cluster.delete().await?;
        watch::until_all(&cluster.claims(), &cluster.labels(), "end of the claims", PATIENCE, |claims| {
            claims.is_empty().then_some(())
        })
        .await
    });
}

fn deletes_volumes(spec: Value) -> Value {
    with(spec, json!({ "deletionPolicy": "Delete" }))
}

#[test]
fn the_volumes_of_a_deleted_cluster_stay_where_its_policy_became_retain() {
    test("retain", async |space| {
        let cluster = Cluster::start(&space, "orders", deletes_volumes(spec(1))).await?;
        let claims = cluster.claim_uids().await?;
        cluster.change(json!({ "deletionPolicy": "Retain" })).await?;
        let has_no_owner = |it: &PersistentVolumeClaim| it.metadata.owner_references.iter().flatten().count() == 0;
        watch::until(&cluster.claims(), &cluster.claim(0), "claim without an owner", PATIENCE, has_no_owner).await?;
        cluster.delete().await?;
        cluster.apply(spec(1)).await?;
        cluster.is_ready().await?;
        ensure!(cluster.claim_uids().await? == claims, "there were {claims:?}");
        Ok(())
    });
}

#[test]
fn a_cluster_applied_again_with_more_brokers_has_its_records_and_spreads_them() {
    test("againmore", async |space| {
        let kept = Kept::applied_again(&space, 2, brokers(4)).await?;
        has_brokers(&kept.cluster, 4).await?;
        let client = Asker::new(&kept.cluster.bootstrap().await?)?;
        let are_spread = async || {
            let holders = holders(&client, TOPIC)?;
            ensure!(holders == BTreeSet::from([0, 1, 2, 3]), "on {holders:?}");
            Ok(())
        };
        eventually("replicas on every broker", PATIENCE, are_spread).await?;
        kept.cluster.is_whole(4).await?;
        kept.has_its_volumes().await?;
        kept.has_its_records().await
    });
}

#[test]
fn a_cluster_applied_again_with_fewer_brokers_empties_the_others_first() {
    test("againfewer", async |space| {
        let kept = Kept::applied_again(&space, 2, brokers(2)).await?;
        let cluster = &kept.cluster;
        has_brokers(cluster, 2).await?;
        watch::until_gone(&cluster.claims(), &cluster.claim(2), PATIENCE).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        let holders = holders(&client, TOPIC)?;
        ensure!(holders == BTreeSet::from([0, 1]), "on {holders:?}");
        cluster.is_whole(2).await?;
        kept.has_its_records().await
    });
}

#[test]
fn a_cluster_applied_again_with_fewer_brokers_than_replicas_keeps_them_all() {
    test("againrefused", async |space| {
        let kept = Kept::applied_again(&space, 3, brokers(2)).await?;
        let cluster = &kept.cluster;
        let message = cluster.says("Degraded", true, "ScaleInRefused").await?;
        println!("refused: {message}");
        cluster.says("Ready", true, "").await?;
        kept.has_its_records().await?;
        kept.has_its_volumes().await?;
        cluster.change(brokers_only(3)).await?;
        has_brokers(cluster, 3).await?;
        cluster.says("Degraded", false, "").await?;
        kept.has_its_volumes().await?;
        kept.has_its_records().await
    });
}

#[test]
fn a_cluster_applied_again_with_larger_volumes_grows_those_it_had() {
    test("againlarger", async |space| {
        if !volumes_can_grow(&space).await? {
            return Ok(());
        }
        let kept = Kept::applied_again(&space, 2, with(brokers(3), larger())).await?;
        has_brokers(&kept.cluster, 3).await?;
        have_grown(&kept.cluster, 3).await?;
        kept.cluster.is_whole(3).await?;
        kept.has_its_volumes().await?;
        kept.has_its_records().await
    });
}

/// As many brokers, of which the first is the controller: two are the fewest that may be left.
fn brokers(count: i32) -> Value {
    with(spec(2), brokers_only(count))
}

fn brokers_only(count: i32) -> Value {
    json!({ "brokers": { "replicas": count } })
}

/// A cluster that came back over its volumes, and what it had.
struct Kept {
    cluster: Cluster,
    volumes: BTreeMap<String, String>,
    /// Of the record in each partition of the topic.
    offsets: Vec<i64>,
}

impl Kept {
    /// Writes to a cluster of 3 and a topic of so many replicas, deletes the cluster, and applies it again as `spec` says.
    async fn applied_again(space: &Space, replicas: i32, spec: Value) -> Result<Kept> {
        let cluster = Cluster::start(space, "orders", brokers(3)).await?;
        let topic = json!({ "partitions": 6, "replicationFactor": replicas, "deletionPolicy": "Retain" });
        Topic::create(&cluster, TOPIC, topic).await?;
        let bootstrap = cluster.bootstrap().await?;
        let mut offsets = Vec::new();
        for partition in 0..6 {
            offsets.push(produce_one(&bootstrap, TOPIC, partition, &value(partition), PATIENCE).await?);
        }
        let volumes = cluster.claim_uids().await?;
        ensure!(volumes.len() == 3, "the volumes are {volumes:?}");
        cluster.delete().await?;
        cluster.apply(spec).await?;
        Ok(Kept { cluster, volumes, offsets })
    }

    async fn has_its_records(&self) -> Result<()> {
        let bootstrap = self.cluster.bootstrap().await?;
        for (partition, offset) in (0..).zip(&self.offsets) {
            let read = consume_one(&bootstrap, TOPIC, partition, *offset, PATIENCE).await?;
            ensure!(read == value(partition), "partition {partition}: read {read:?}");
        }
        Ok(())
    }

    /// Whether all that it had are still there; there may be more.
    async fn has_its_volumes(&self) -> Result<()> {
        let (before, now) = (&self.volumes, self.cluster.claim_uids().await?);
        ensure!(before.iter().all(|(claim, uid)| now.get(claim) == Some(uid)), "{before:?}, then {now:?}");
        Ok(())
    }
}

fn value(partition: i32) -> String {
    format!("hello of partition {partition}")
}
