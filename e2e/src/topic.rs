//! A `KafkaTopic` as people see it.

use crate::cluster::{Cluster, MANAGER, PATIENCE, is, says};
use crate::watch;
use anyhow::{Context, Result};
use barnabas_operator::crd::{KafkaTopic, KafkaTopicSpec, KafkaTopicStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

/// A topic in the namespace of a cluster.
#[derive(Clone)]
pub struct Topic {
    pub name: String,
    pub api: Api<KafkaTopic>,
    cluster: String,
}

impl Topic {
    /// A name for a topic that need not exist.
    pub fn named(cluster: &Cluster, name: &str) -> Topic {
        Topic { name: name.to_owned(), api: cluster.space.api(), cluster: cluster.name.clone() }
    }

    /// Applies a topic and waits until it is ready.
    pub async fn create(cluster: &Cluster, name: &str, spec: Value) -> Result<Topic> {
        let topic = Topic::named(cluster, name);
        topic.apply(spec).await?;
        topic.is_ready().await?;
        Ok(topic)
    }

    /// What `kubectl apply --server-side` does. The reference to the cluster need not be said.
    pub async fn apply(&self, spec: Value) -> Result<KafkaTopic> {
        let spec = crate::cluster::with(json!({ "clusterRef": { "name": self.cluster } }), spec);
        serde_json::from_value::<KafkaTopicSpec>(spec.clone()).context("the specification")?;
        let object = json!({
            "apiVersion": "barnabas.dev/v1alpha1", "kind": "KafkaTopic",
            "metadata": { "name": self.name }, "spec": spec,
        });
        Ok(self.api.patch(&self.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await?)
    }

    pub async fn is_ready(&self) -> Result<KafkaTopic> {
        let is_ready = |topic: &KafkaTopic| has(topic, "Ready", true) && has(topic, "Progressing", false);
        watch::until(&self.api, &self.name, "readiness", PATIENCE, |topic| is_known(topic) && is_ready(topic)).await
    }

    /// Waits for a condition, and gives its message.
    pub async fn says(&self, type_: &str, holds: bool, part: &str) -> Result<String> {
        let what = format!("condition {type_}={holds} that says \"{part}\"");
        let fits = |topic: &KafkaTopic| {
            let condition = topic.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)?;
            (is(condition, holds) && says(condition, part)).then(|| condition.message.clone())
        };
        watch::until_some(&self.api, &self.name, &what, PATIENCE, |topic| {
            topic.filter(|it| is_known(it)).and_then(fits)
        })
        .await
    }

    pub async fn status(&self) -> Result<KafkaTopicStatus> {
        self.api.get_status(&self.name).await?.status.context("a status")
    }

    /// Deletes the resource, and waits until it is gone.
    pub async fn delete(&self) -> Result<()> {
        self.api.delete(&self.name, &DeleteParams::default()).await?;
        watch::until_gone(&self.api, &self.name, PATIENCE).await
    }
}

pub fn has(topic: &KafkaTopic, type_: &str, holds: bool) -> bool {
    let conditions = topic.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == type_ && is(condition, holds))
}

fn is_known(topic: &KafkaTopic) -> bool {
    topic.status.as_ref().is_some_and(|status| status.observed_generation == topic.metadata.generation)
}
