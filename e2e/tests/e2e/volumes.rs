//! Volumes that are lost, and volumes that grow.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::client::Asker;
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::watch::{self, eventually};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

#[test]
fn a_broker_whose_volume_is_lost_is_filled_again_from_the_others() {
    test("volume", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let lost = lose_volume(&cluster, 2).await?;
        has_another(&cluster, lost).await?;
        cluster.is_whole(3).await?;
        let client = Asker::new(&cluster.bootstrap().await?)?;
        let leads_again = async || {
            let leaders = client.leaders(&Plan::default().topic)?;
            ensure!(leaders.contains(&2), "the leaders are {leaders:?}");
            Ok(())
        };
        eventually("leader on the volume that was filled again", PATIENCE, leads_again).await?;
        load.finish().await?;
        Ok(())
    });
}

/// A broker without its pod and its volume.
pub struct Lost {
    broker: i32,
    pod_uid: String,
    claim_uid: Option<String>,
}

/// Takes a broker's volume away, and its pod, which would hold the claim.
pub async fn lose_volume(cluster: &Cluster, broker: i32) -> Result<Lost> {
    let (pod, claim) = (cluster.pod(broker), cluster.claim(broker));
    let pod_uid = cluster.uids().await?.remove(&pod).context("the pod")?;
    let claim_uid = cluster.claims().get(&claim).await?.metadata.uid;
    cluster.claims().delete(&claim, &DeleteParams::background()).await?;
    cluster.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await?;
    Ok(Lost { broker, pod_uid, claim_uid })
}

/// Waits until the broker runs on another volume.
pub async fn has_another(cluster: &Cluster, lost: Lost) -> Result<()> {
    cluster.is_replaced(&cluster.pod(lost.broker), &lost.pod_uid).await?;
    let is_new = |claim: &PersistentVolumeClaim| claim.metadata.uid != lost.claim_uid;
    watch::until(&cluster.claims(), &cluster.claim(lost.broker), "other claim", PATIENCE, is_new).await.map(drop)
}

#[test]
fn volumes_grow_without_a_failed_produce() {
    test("grow", async |space| {
        if !volumes_can_grow(&space).await? {
            return Ok(());
        }
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        cluster.change(larger()).await?;
        have_grown(&cluster, 3).await?;
        cluster.is_ready().await?;
        load.finish().await?;
        Ok(())
    });
}

/// Whether a storage class lets volumes grow. If not, says so: the test is then over.
pub async fn volumes_can_grow(space: &Space) -> Result<bool> {
    let classes: Api<StorageClass> = Api::all(space.client());
    let may_grow = |class: &StorageClass| class.allow_volume_expansion == Some(true);
    let can = watch::list(&classes, "").await?.iter().any(may_grow);
    if !can {
        println!("SKIPPED: no storage class of this Kubernetes lets volumes grow");
    }
    Ok(can)
}

/// What makes the volumes larger than those of `spec`.
pub fn larger() -> Value {
    json!({ "brokers": { "storage": { "size": "2Gi" } } })
}

fn is_larger(size: &Quantity) -> bool {
    ["2Gi", "2147483648"].contains(&size.0.as_str())
}

/// Whether a claim asks for more, whether it has it or not.
pub fn asks_for_more(claim: &PersistentVolumeClaim) -> bool {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    resources.and_then(|resources| resources.requests.as_ref()?.get("storage")).is_some_and(is_larger)
}

/// Waits until the volumes of so many brokers have grown, and those of further brokers would be as large.
pub async fn have_grown(cluster: &Cluster, brokers: i32) -> Result<()> {
    for broker in 0..brokers {
        let has_more = |claim: &PersistentVolumeClaim| {
            let capacity = claim.status.as_ref().and_then(|status| status.capacity.as_ref()?.get("storage"));
            capacity.is_some_and(is_larger)
        };
        watch::until(&cluster.claims(), &cluster.claim(broker), "2Gi", PATIENCE, has_more).await?;
    }
    let sets: Api<StatefulSet> = cluster.space.api();
    let makes_larger = |set: &StatefulSet| {
        let claims = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_ref());
        claims.is_some_and(|claims| claims.iter().all(asks_for_more))
    };
    let set = format!("{}-broker", cluster.name);
    watch::until(&sets, &set, "volumes of 2Gi", PATIENCE, makes_larger).await.map(drop)
}
