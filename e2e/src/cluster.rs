//! A `KafkaCluster` as people see it: applied, waited for, and read.

use crate::space::Space;
use crate::watch::{self, Kind};
use anyhow::{Context, Result};
use barnabas_operator::crd::{Condition, ConditionStatus, KafkaCluster, KafkaClusterSpec, KafkaClusterStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who applies what the tests apply.
pub const MANAGER: &str = "barnabas-e2e";
/// How long anything may take before a test gives up, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A cluster in the namespace of a test.
#[derive(Clone)]
pub struct Cluster {
    pub space: Space,
    pub name: String,
    pub api: Api<KafkaCluster>,
}

/// A cluster that is small enough for a laptop, and whose brokers are reached from outside.
pub fn spec(brokers: i32) -> Value {
    let controllers = if brokers < 3 { 1 } else { 3 };
    let copies = brokers.min(3);
    json!({
        "brokers": {
            "replicas": brokers,
            "storage": { "size": "1Gi" },
            "resources": { "requests": { "cpu": "50m", "memory": "64Mi" } },
        },
        "controllers": { "replicas": controllers },
        "listeners": { "external": { "type": "NodePort" } },
        "config": {
            "default.replication.factor": copies,
            "min.insync.replicas": copies.min(2),
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": copies.min(2),
        },
    })
}

/// The same with controllers that have pods of their own.
pub fn dedicated(spec: Value) -> Value {
    let controllers = json!({
        "mode": "Dedicated",
        "storage": { "size": "1Gi" },
        "resources": { "requests": { "cpu": "50m", "memory": "64Mi" } },
    });
    with(spec, json!({ "controllers": controllers }))
}

/// Puts `changes` over `base`, field by field.
pub fn with(mut base: Value, changes: Value) -> Value {
    merge(&mut base, changes);
    base
}

fn merge(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            changes.into_iter().for_each(|(key, change)| merge(base.entry(key).or_insert(Value::Null), change));
        }
        (base, change) => *base = change,
    }
}

impl Cluster {
    /// A name for a cluster that need not exist.
    pub fn named(space: &Space, name: &str) -> Cluster {
        Cluster { space: space.clone(), name: name.to_owned(), api: space.api() }
    }

    /// Applies a cluster and waits until it is ready.
    pub async fn start(space: &Space, name: &str, spec: Value) -> Result<Cluster> {
        let cluster = Cluster::named(space, name);
        cluster.apply(spec).await?;
        cluster.is_ready().await?;
        Ok(cluster)
    }

    /// What `kubectl apply --server-side` does.
    pub async fn apply(&self, spec: Value) -> Result<KafkaCluster> {
        // As the operator will read it: a misspelt field is the test's own fault.
        serde_json::from_value::<KafkaClusterSpec>(spec.clone()).context("the specification")?;
        let object = json!({
            "apiVersion": "barnabas.dev/v1alpha1", "kind": "KafkaCluster",
            "metadata": { "name": self.name }, "spec": spec,
        });
        Ok(self.api.patch(&self.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await?)
    }

    /// Changes fields of the specification (JSON merge patch).
    pub async fn change(&self, spec: Value) -> Result<KafkaCluster> {
        Ok(self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(json!({ "spec": spec }))).await?)
    }

    /// Deletes it, and waits until it and its pods are gone.
    pub async fn delete(&self) -> Result<()> {
        self.api.delete(&self.name, &DeleteParams::background()).await?;
        watch::until_gone(&self.api, &self.name, PATIENCE).await?;
        self.pods_become("none", |pods| pods.is_empty()).await
    }

    /// Waits until the operator has said of what was applied last that it is ready and that nothing is left to do.
    pub async fn is_ready(&self) -> Result<KafkaCluster> {
        let is_settled = |cluster: &KafkaCluster| has(cluster, "Ready", true) && has(cluster, "Progressing", false);
        self.becomes("readiness", is_settled).await
    }

    /// Waits until the operator has said something of what was applied last that fits.
    pub async fn becomes(&self, what: &str, mut is_so: impl FnMut(&KafkaCluster) -> bool) -> Result<KafkaCluster> {
        watch::until(&self.api, &self.name, what, PATIENCE, |cluster| is_known(cluster) && is_so(cluster)).await
    }

    /// Waits for a condition, and gives its message.
    pub async fn says(&self, type_: &str, holds: bool, part: &str) -> Result<String> {
        let what = format!("condition {type_}={holds} that says \"{part}\"");
        let fits = |cluster: &KafkaCluster| {
            let condition = condition(cluster, type_)?;
            (is(condition, holds) && says(condition, part)).then(|| condition.message.clone())
        };
        watch::until_some(&self.api, &self.name, &what, PATIENCE, |cluster| {
            cluster.filter(|it| is_known(it)).and_then(fits)
        })
        .await
    }

    pub async fn status(&self) -> Result<KafkaClusterStatus> {
        self.api.get_status(&self.name).await?.status.context("a status")
    }

    /// Where clients outside begin. Waits until the operator knows.
    pub async fn bootstrap(&self) -> Result<String> {
        let known = |cluster: Option<&KafkaCluster>| cluster?.status.as_ref()?.bootstrap.external.clone();
        let told = |cluster: Option<&KafkaCluster>| known(cluster).filter(|address| !address.is_empty());
        watch::until_some(&self.api, &self.name, "address for clients outside", PATIENCE, told).await
    }

    /// The pod of a node. Dedicated controllers are numbered from 1000.
    pub fn pod(&self, id: i32) -> String {
        let role = if id < 1000 { "broker" } else { "controller" };
        format!("{}-{role}-{id}", self.name)
    }

    pub fn claim(&self, id: i32) -> String {
        format!("data-{}", self.pod(id))
    }

    pub fn pods(&self) -> Api<Pod> {
        self.space.api()
    }

    pub fn claims(&self) -> Api<PersistentVolumeClaim> {
        self.space.api()
    }

    /// What selects everything that belongs to the cluster.
    pub fn labels(&self) -> String {
        format!("barnabas.dev/cluster={}", self.name)
    }

    /// The uids of the pods, by name: they change when a pod is made anew.
    pub async fn uids(&self) -> Result<BTreeMap<String, String>> {
        Ok(uids(watch::list(&self.pods(), &self.labels()).await?))
    }

    /// The uids of the claims that are to stay, by name: they change when a volume is another.
    pub async fn claim_uids(&self) -> Result<BTreeMap<String, String>> {
        let mut claims = watch::list(&self.claims(), &self.labels()).await?;
        claims.retain(|claim| claim.metadata.deletion_timestamp.is_none());
        Ok(uids(claims))
    }

    /// Waits until the pods are so.
    pub async fn pods_become(&self, what: &str, mut are_so: impl FnMut(&[std::sync::Arc<Pod>]) -> bool) -> Result<()> {
        watch::until_all(&self.pods(), &self.labels(), &format!("pods: {what}"), PATIENCE, |pods| {
            are_so(pods).then_some(())
        })
        .await
    }

    /// Waits until a pod of another uid is ready in the place of one that was.
    pub async fn is_replaced(&self, pod: &str, uid: &str) -> Result<()> {
        let is_new = |pod: &Pod| pod.metadata.uid.as_deref() != Some(uid) && is_pod_ready(pod);
        watch::until(&self.pods(), pod, "new and ready pod", PATIENCE, is_new).await.map(drop)
    }

    /// Waits until a pod ends, or has ended.
    pub async fn pod_ends(&self, pod: &str, uid: &str) -> Result<()> {
        let stays = |it: &Pod| it.metadata.uid.as_deref() == Some(uid) && it.metadata.deletion_timestamp.is_none();
        let ends = |known: Option<&Pod>| (!known.is_some_and(stays)).then_some(());
        watch::until_some(&self.pods(), pod, "end of the pod", PATIENCE, ends).await
    }

    /// Waits until so many brokers serve, every replica is in sync, and nothing is left to do.
    pub async fn is_whole(&self, brokers: i32) -> Result<()> {
        let has_all = |it: &KafkaCluster| {
            let status = it.status.as_ref();
            status.is_some_and(|it| it.partitions.under_replicated == 0 && it.ready_replicas == brokers)
        };
        self.becomes("all replicas in sync", has_all).await?;
        self.is_ready().await.map(drop)
    }

    /// The node that is the active controller, once it is another than `before`.
    pub async fn active_controller(&self, before: Option<i32>) -> Result<i32> {
        let active = |it: &KafkaCluster| it.status.as_ref()?.active_controller.filter(|active| Some(*active) != before);
        watch::until_some(&self.api, &self.name, "active controller", PATIENCE, |it| it.and_then(active)).await
    }
}

fn uids<K: Kind>(objects: Vec<K>) -> BTreeMap<String, String> {
    let uid = |object: &K| Some((object.meta().name.clone()?, object.meta().uid.clone()?));
    objects.iter().filter_map(uid).collect()
}

/// Whether the status speaks of the specification as it is now.
fn is_known(cluster: &KafkaCluster) -> bool {
    cluster.status.as_ref().is_some_and(|status| status.observed_generation == cluster.metadata.generation)
}

pub fn condition<'a>(cluster: &'a KafkaCluster, type_: &str) -> Option<&'a Condition> {
    cluster.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)
}

pub fn has(cluster: &KafkaCluster, type_: &str, holds: bool) -> bool {
    condition(cluster, type_).is_some_and(|condition| is(condition, holds))
}

pub fn is(condition: &Condition, holds: bool) -> bool {
    condition.status == ConditionStatus::from(holds)
}

/// Whether the reason or the message has this part.
pub fn says(condition: &Condition, part: &str) -> bool {
    condition.reason.contains(part) || condition.message.contains(part)
}

pub fn is_pod_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use barnabas_operator::crd::ControllerMode;

    #[test]
    fn changes_are_put_over_what_there_is() {
        let changed = with(spec(3), json!({ "brokers": { "storage": { "size": "2Gi" } }, "stopped": true }));
        assert_eq!(changed["brokers"]["storage"]["size"], "2Gi");
        assert_eq!(changed["brokers"]["replicas"], 3);
        assert_eq!(changed["stopped"], true);
    }

    #[test]
    fn specifications_are_as_the_operator_reads_them() {
        for brokers in [1, 2, 3, 5] {
            let read: KafkaClusterSpec = serde_json::from_value(spec(brokers)).expect("a specification");
            assert_eq!(read.brokers.replicas, brokers);
        }
        let read: KafkaClusterSpec = serde_json::from_value(dedicated(spec(3))).expect("a specification");
        assert_eq!((read.controllers.mode, read.controllers.replicas), (ControllerMode::Dedicated, 3));
    }
}
