//! Carries out the actions of a plan, each on its own: one that fails holds up no other.

use super::plan::Action;
use crate::admin::proto::resource_configs::Resource as Configured;
use crate::admin::proto::{Config, Partition, PartitionMove, ResourceConfigs};
use crate::admin::{CallError, Link, Outcomes};
use crate::context::Context;
use crate::crd::KafkaCluster;
use crate::resources::names;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tracing::{debug, info};

use super::plan::{RATES, THROTTLED};

/// Brokers of all ids at once, in AlterConfigs.
const ALL_BROKERS: i32 = -1;

/// Why an action was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    /// The cluster took some parts and refused others.
    #[error("{0}")]
    Parts(String),
}

/// Where actions are carried out.
pub struct Hands<'a> {
    pub context: &'a Context,
    pub cluster: &'a KafkaCluster,
    pub link: &'a Link,
}

impl Hands<'_> {
    /// Carries out one action. `Ok(Some(words))`: it has to wait, and why.
    pub async fn act(&self, action: &Action) -> Result<Option<String>, ActError> {
        debug!(cluster = self.cluster.name_any(), ?action, "acting");
        match action {
            Action::DeclareDead { broker, incarnation } => {
                self.link.declare_dead(*broker, incarnation).await?;
                self.tell(EventType::Warning, "BrokerDied", format!("broker {broker} has ended, and others lead now"))
                    .await;
            }
            Action::ReplaceLost { pod, uid, node } => {
                let now = DeleteParams { grace_period_seconds: Some(0), ..exactly(uid) };
                if gone(self.pods().delete(pod, &now).await)? {
                    let text = format!("{pod} is taken off {node}, which does not answer, and is started elsewhere");
                    self.tell(EventType::Warning, "PodReplaced", text).await;
                }
            }
            Action::DeleteClaim { name, uid, why } => {
                if gone(self.claims().delete(name, &exactly(uid)).await)? {
                    self.tell(EventType::Normal, "VolumeDeleted", format!("the claim {name} is deleted: {why}")).await;
                }
            }
            Action::OwnClaim { name, uid, owned } => {
                let owner = self.cluster.owner_ref(&()).filter(|_| *owned);
                let owners: Vec<_> = owner.into_iter().collect();
                // Of this very claim.
                let patch = json!({ "metadata": { "uid": uid, "ownerReferences": owners } });
                self.claims().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            }
            Action::Restart { pod, uid, id, check, why } => return self.restart(pod, uid, *id, *check, why).await,
            Action::Drain { broker, drained } => {
                let leads = self.link.drain_leaders(*broker, *drained).await?;
                info!(cluster = self.cluster.name_any(), broker, drained, leads, "leaders moved");
            }
            Action::Unregister { broker } => {
                self.link.unregister(*broker).await?;
                self.tell(EventType::Normal, "BrokerLeft", format!("broker {broker} has left the cluster")).await;
            }
            Action::GrowClaim { name, size } => {
                let grown = json!({ "spec": { "resources": { "requests": { "storage": size.to_string() } } } });
                self.claims().patch(name, &PatchParams::default(), &Patch::Merge(grown)).await?;
                self.tell(EventType::Normal, "VolumeGrows", format!("the claim {name} asks for {size} bytes now"))
                    .await;
            }
            Action::ReplaceSet { role } => {
                let name = names::stateful_set(&self.cluster.name_any(), *role);
                let sets: Api<StatefulSet> = Api::namespaced(self.context.client.clone(), &self.namespace());
                gone(sets.delete(&name, &DeleteParams::orphan()).await)?;
            }
            Action::Move(moves) => {
                let asked = moves.iter().map(|it| PartitionMove {
                    partition: Some(Partition { topic: it.topic.clone(), partition: it.partition }),
                    replicas: it.replicas.clone(),
                });
                parts(self.link.reassign(asked.collect()).await?)?;
                info!(cluster = self.cluster.name_any(), partitions = moves.len(), "partitions are being moved");
            }
            Action::Throttle { rate, topics } => self.throttle(*rate, topics).await?,
            Action::Unthrottle { topics } => self.unthrottle(topics).await?,
            Action::Configure { set, unset } => {
                let set = set.iter().map(|(name, value)| config(name, value)).collect();
                let change =
                    ResourceConfigs { resource: Some(Configured::Broker(ALL_BROKERS)), set, unset: unset.clone() };
                parts(self.link.alter_configs(vec![change]).await?)?;
                self.tell(EventType::Normal, "Configured", "configurations were changed without a restart".to_owned())
                    .await;
            }
            Action::ElectPreferred => {
                self.link.elect_preferred(Vec::new()).await?;
            }
        }
        self.context.metrics.acted(action.name());
        Ok(None)
    }

    async fn restart(&self, pod: &str, uid: &str, id: i32, check: bool, why: &str) -> Result<Option<String>, ActError> {
        if check {
            let reasons = self.link.may_restart(id).await?;
            // What will not pass by waiting is no reason to wait: partitions of one replica, a quorum of one.
            let passing: Vec<&str> = reasons.iter().filter(|it| it.may_pass).map(|it| it.text.as_str()).collect();
            if !passing.is_empty() {
                return Ok(Some(format!("{pod} cannot be restarted yet: {}", passing.join("; "))));
            }
        }
        if gone(self.pods().delete(pod, &exactly(uid)).await)? {
            self.tell(EventType::Normal, "Restarting", format!("{pod} is restarted: {why}")).await;
        }
        Ok(None)
    }

    async fn throttle(&self, rate: i64, topics: &[String]) -> Result<(), ActError> {
        let rates = RATES.map(|name| config(name, &rate.to_string())).to_vec();
        let brokers =
            ResourceConfigs { resource: Some(Configured::Broker(ALL_BROKERS)), set: rates, unset: Vec::new() };
        let of_topic = |topic: &String| ResourceConfigs {
            resource: Some(Configured::Topic(topic.clone())),
            set: THROTTLED.map(|name| config(name, "*")).to_vec(),
            unset: Vec::new(),
        };
        let changes = topics.iter().map(of_topic).chain([brokers]).collect();
        parts(self.link.alter_configs(changes).await?)
    }

    async fn unthrottle(&self, topics: &[String]) -> Result<(), ActError> {
        let unset = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let of_topic = |topic: &String| ResourceConfigs {
            resource: Some(Configured::Topic(topic.clone())),
            set: Vec::new(),
            unset: unset(THROTTLED),
        };
        let brokers =
            ResourceConfigs { resource: Some(Configured::Broker(ALL_BROKERS)), set: Vec::new(), unset: unset(RATES) };
        // The rates last: they say that there is something to be undone.
        parts(self.link.alter_configs(topics.iter().map(of_topic).chain([brokers]).collect()).await?)
    }

    async fn tell(&self, type_: EventType, reason: &str, note: String) {
        info!(cluster = self.cluster.name_any(), reason, note, "told");
        self.context.tell(self.cluster, type_, reason, note).await;
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.context.client.clone(), &self.namespace())
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.context.client.clone(), &self.namespace())
    }

    fn namespace(&self) -> String {
        self.cluster.namespace().expect("a KafkaCluster is in a namespace")
    }
}

/// This very object, not one that has come in its place.
fn exactly(uid: &str) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// Whether it was deleted by this; that it is gone already, or another, is no error.
fn gone<T>(deleted: Result<T, kube::Error>) -> Result<bool, kube::Error> {
    match deleted {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => Err(error),
    }
}

fn parts(outcomes: Outcomes) -> Result<(), ActError> {
    let refused: Vec<String> = outcomes.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    match refused.as_slice() {
        [] => Ok(()),
        [one] => Err(ActError::Parts(one.clone())),
        [first, ..] => Err(ActError::Parts(format!("{first}, and {} more", refused.len() - 1))),
    }
}

fn config(name: &str, value: &str) -> Config {
    Config { name: name.to_owned(), value: value.to_owned() }
}
