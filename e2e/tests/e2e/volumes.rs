//! Volumes that are lost, and volumes that grow.

use anyhow::Context;
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::load::Load;
use barnabas_e2e::space::test;
use barnabas_e2e::watch;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

#[test]
fn a_broker_whose_volume_is_lost_is_filled_again_from_the_others() {
    test("volume", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let (pod, claim) = (cluster.pod(2), cluster.claim(2));
        let uid = cluster.uids().await?.remove(&pod).context("the pod")?;
        let lost = cluster.claims().get(&claim).await?.metadata.uid;
        cluster.claims().delete(&claim, &DeleteParams::background()).await?;
        cluster.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
        cluster.is_replaced(&pod, &uid).await?;
        let is_new = |claim: &PersistentVolumeClaim| claim.metadata.uid != lost;
        watch::until(&cluster.claims(), &claim, "other claim", PATIENCE, is_new).await?;
        let has_all = |it: &barnabas_operator::crd::KafkaCluster| {
            it.status
                .as_ref()
                .is_some_and(|status| status.partitions.under_replicated == 0 && status.ready_replicas == 3)
        };
        cluster.becomes("all replicas in sync", has_all).await?;
        cluster.is_ready().await?;
        load.finish().await?;
        Ok(())
    });
}

#[test]
fn volumes_grow_without_a_failed_produce() {
    test("grow", async |space| {
        let classes: Api<StorageClass> = Api::all(space.client());
        let may_grow = |class: &StorageClass| class.allow_volume_expansion == Some(true);
        if !watch::list(&classes, "").await?.iter().any(may_grow) {
            println!("SKIPPED: no storage class of this Kubernetes lets volumes grow");
            return Ok(());
        }
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        cluster.change(json!({ "brokers": { "storage": { "size": "2Gi" } } })).await?;
        for broker in 0..3 {
            let is_larger = |claim: &PersistentVolumeClaim| {
                let capacity = claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get("storage"));
                capacity.is_some_and(|size| ["2Gi", "2147483648"].contains(&size.0.as_str()))
            };
            watch::until(&cluster.claims(), &cluster.claim(broker), "2Gi", PATIENCE, is_larger).await?;
        }
        cluster.is_ready().await?;
        load.finish().await?;
        Ok(())
    });
}
