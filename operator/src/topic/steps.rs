//! Reconciling one resource: observe, decide, apply, and again until there is nothing to do; then say how it is.

use super::ahead::Ahead;
use super::index::{Index, cluster_of, topic_of};
use super::ledger::Ledger;
use super::observe::{Observed, observe};
use super::plan::{Claim, FINALIZER, Plan, plan};
use super::verdict::{self, About, Verdict, condition, reason};
use crate::admin::{CallError, ClusterKey, ItemError, Link};
use crate::context::{Context, now};
use crate::crd::{KafkaTopic, KafkaTopicStatus, TopicDeletionPolicy};
use crate::retry::Retries;
use crate::write::{self, Written};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::Semaphore;

/// How often one reconciling acts before it lets others go first.
const ROUNDS_MAX: usize = 4;
/// Resources of one cluster that are reconciled at the same time. Each cluster has places of its own: one that does not answer
/// holds up no other.
const PLACES: usize = 32;
const KIND: &str = "KafkaTopic";

/// Why reconciling has failed. All of it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Refused(#[from] ItemError),
    /// What was decided on had been changed in the meantime, again and again.
    #[error("the topic changes faster than it can be reconciled")]
    Unsettled,
}

impl Error {
    /// In one word, for metrics.
    fn word(&self) -> &'static str {
        match self {
            Error::Api(_) => "kubernetes",
            Error::Call(_) => "unreachable",
            Error::Refused(_) => "refused",
            Error::Unsettled => "unsettled",
        }
    }

    /// Whether the resource is there no more.
    fn is_gone(&self) -> bool {
        matches!(self, Error::Api(kube::Error::Api(status)) if status.code == 404)
    }
}

/// What reconciling topics remembers.
pub struct Topics {
    pub context: Arc<Context>,
    pub index: Index,
    pub retries: Retries<ObjectRef<KafkaTopic>>,
    pub(super) ahead: Ahead,
    clusters: Mutex<HashMap<ClusterKey, Arc<Shared>>>,
}

/// What the topics of one cluster share.
struct Shared {
    places: Semaphore,
    ledger: Mutex<Ledger>,
}

/// What this reconciling has done.
#[derive(Default)]
pub(super) struct Done {
    pub created: bool,
    /// To be told once the status says it too.
    pub events: Vec<(EventType, &'static str, String)>,
}

/// How reconciling goes on after something was applied.
pub(super) enum Next {
    /// It looks again.
    Look,
    /// It ends.
    End(Action),
}

impl Topics {
    pub fn new(context: Arc<Context>) -> Topics {
        let (index, retries, ahead) = Default::default();
        Topics { context, index, retries, ahead, clusters: Mutex::default() }
    }

    /// Brings one topic nearer to what is wanted of it. Errors: whatever is to be tried again.
    pub async fn reconcile(&self, resource: &KafkaTopic) -> Result<Action, Error> {
        let reference = ObjectRef::from_obj(resource);
        let shared = self.shared(&cluster_of(resource));
        let _place = shared.places.acquire().await.expect("it is never closed");
        let _counted = self.context.metrics.begin(KIND);
        let began = Instant::now();
        // In a box, so that the many that wait for a place are small.
        let outcome = match Box::pin(self.rounds(&reference, &shared)).await {
            Err(error) if error.is_gone() => Ok(Action::await_change()),
            outcome => outcome,
        };
        let failure = outcome.as_ref().err().map(Error::word);
        self.context.metrics.reconciled(KIND, began.elapsed(), failure);
        if outcome.is_ok() {
            self.retries.succeeded(&reference);
        }
        outcome
    }

    /// A resource was seen, or is gone.
    pub(super) fn note(&self, resource: &KafkaTopic, is_there: bool) {
        self.index.note(resource, is_there);
        let current = self.context.topics.get(&ObjectRef::from_obj(resource));
        if current.is_none_or(|current| current.metadata.uid != resource.metadata.uid) {
            self.ahead.forget(resource);
        }
        if !is_there {
            self.retries.succeeded(&ObjectRef::from_obj(resource));
            let shared = self.shared(&cluster_of(resource));
            shared.ledger.lock().expect("no panic while held").moves(&topic_of(resource), 0);
        }
    }

    /// A cluster is gone: nothing is remembered of it.
    pub fn forget_cluster(&self, key: &ClusterKey) {
        self.clusters.lock().expect("no panic while held").remove(key);
    }

    async fn rounds(&self, reference: &ObjectRef<KafkaTopic>, shared: &Shared) -> Result<Action, Error> {
        let mut done = Done::default();
        for _ in 0..ROUNDS_MAX {
            let Some(observed) = observe(&self.context, &self.index, &self.ahead, reference) else {
                return Ok(Action::await_change());
            };
            let plan = plan(&observed, done.created, &mut shared.ledger.lock().expect("no panic while held"));
            match self.carry_out(plan, &observed, &mut done).await? {
                Next::Look => {}
                Next::End(action) => return Ok(action),
            }
        }
        Err(Error::Unsettled)
    }

    async fn carry_out(&self, plan: Plan, observed: &Observed, done: &mut Done) -> Result<Next, Error> {
        let resource = &observed.resource;
        let end = || Ok(Next::End(Action::await_change()));
        match plan {
            Plan::Leave => end(),
            Plan::Pause => {
                self.write(resource, verdict::paused(resource, &now())).await?;
                end()
            }
            Plan::Say(verdict) => self.say(resource, verdict, done).await.map(Next::End),
            Plan::Settle(settled) => {
                let name = topic_of(resource);
                let note = match settled.claim {
                    Claim::Ours => None,
                    Claim::Adopted => Some(format!("topic {name} existed already, and is this one now")),
                    Claim::Remade => {
                        Some(format!("somebody has deleted and made topic {name} again; it is this one now"))
                    }
                };
                done.events.extend(note.map(|note| (EventType::Normal, reason::ADOPTED, note)));
                let resource = self.hold(resource, true).await?;
                self.say(&resource, settled.verdict, done).await.map(Next::End)
            }
            Plan::Release => {
                self.release(resource).await?;
                end()
            }
            Plan::Create(creation) => match verdict::refusal_stands(resource, &now()).filter(|_| creation.announce) {
                // It would be said that the topic is being created, and then that it is not: each calls for another look.
                Some(left) => Ok(Next::End(Action::requeue(left))),
                None => self.create(&*self.link(resource)?, resource, creation, done).await,
            },
            Plan::Change(change) => self.change(&*self.link(resource)?, resource, change, done).await,
            Plan::Delete(deletion) => self.delete(&*self.link(resource)?, resource, deletion, done).await,
        }
    }

    fn link(&self, resource: &KafkaTopic) -> Result<Arc<Link>, CallError> {
        let key = cluster_of(resource);
        self.context.links.of(&key).ok_or_else(|| CallError::Unreachable(format!("{key} has just gone")))
    }

    /// Writes what is to be said, then tells what has happened.
    pub(super) async fn say(
        &self,
        resource: &Arc<KafkaTopic>,
        verdict: Verdict,
        done: &mut Done,
    ) -> Result<Action, Error> {
        let known_id = resource.status.as_ref().and_then(|status| status.topic_id.as_ref());
        let held = self.hold(resource, known_id.is_some() && verdict.about != About::Nothing).await?;
        let status = verdict::status(&held, &verdict, &now());
        if self.write(&held, status).await? == Written::Changed {
            done.events.extend(transition(resource, &verdict));
        }
        for (type_, reason, note) in done.events.drain(..) {
            self.context.tell(&**resource, type_, reason, note).await;
        }
        Ok(verdict.again.map_or_else(Action::await_change, Action::requeue))
    }

    /// Writes a status before what it says is begun.
    pub(super) async fn announce(
        &self,
        resource: &Arc<KafkaTopic>,
        status: KafkaTopicStatus,
    ) -> Result<Arc<KafkaTopic>, Error> {
        self.write(resource, status.clone()).await?;
        Ok(Arc::new(KafkaTopic { status: Some(status), ..KafkaTopic::clone(resource) }))
    }

    async fn write(&self, resource: &KafkaTopic, status: KafkaTopicStatus) -> Result<Written, Error> {
        let written = write::status(&self.context, resource, resource.status.as_ref(), &status).await?;
        if written != Written::Not {
            self.ahead.wrote_status(resource, status);
        }
        Ok(written)
    }

    /// Sees to it that a resource whose topic is deleted with it waits for that, and no other. `claims`: the topic is, or is
    /// about to be, this resource's.
    pub(super) async fn hold(&self, resource: &Arc<KafkaTopic>, claims: bool) -> Result<Arc<KafkaTopic>, Error> {
        let is_held = resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        let leaves = resource.metadata.deletion_timestamp.is_some();
        match (resource.spec.deletion_policy, is_held) {
            (TopicDeletionPolicy::Delete, false) if claims && !leaves => {
                let with = resource.finalizers().iter().map(String::as_str).chain([FINALIZER]).collect();
                self.patch_finalizers(resource, with).await
            }
            (TopicDeletionPolicy::Retain, true) => self.release(resource).await,
            _ => Ok(resource.clone()),
        }
    }

    /// Lets a resource go.
    pub(super) async fn release(&self, resource: &KafkaTopic) -> Result<Arc<KafkaTopic>, Error> {
        let others = resource.finalizers().iter().map(String::as_str).filter(|finalizer| *finalizer != FINALIZER);
        self.patch_finalizers(resource, others.collect()).await
    }

    async fn patch_finalizers(&self, resource: &KafkaTopic, finalizers: Vec<&str>) -> Result<Arc<KafkaTopic>, Error> {
        let namespace = resource.namespace().expect("it is in a namespace");
        let api: Api<KafkaTopic> = Api::namespaced(self.context.client.clone(), &namespace);
        // The list is written as a whole, so it must not have been changed in between.
        let version = &resource.metadata.resource_version;
        let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } });
        self.context.metrics.wrote(KIND);
        let after = api.patch(&resource.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        let after = self.ahead.wrote(resource, after);
        if self.context.topics.get(&ObjectRef::from_obj(resource)).is_none() {
            // It went at once, and whoever was told of that has come and gone.
            self.ahead.forget(resource);
        }
        Ok(after)
    }

    fn shared(&self, key: &ClusterKey) -> Arc<Shared> {
        let mut clusters = self.clusters.lock().expect("no panic while held");
        let new = || Arc::new(Shared { places: Semaphore::new(PLACES), ledger: Mutex::default() });
        clusters.entry(key.clone()).or_insert_with(new).clone()
    }
}

/// What is told of a change of verdict: a refusal when it becomes one, and the end of moves.
fn transition(before: &KafkaTopic, verdict: &Verdict) -> Option<(EventType, &'static str, String)> {
    let known = condition(before, "Ready").map(|ready| ready.reason.as_str());
    if verdict.degraded && known != Some(verdict.reason) {
        return Some((EventType::Warning, verdict.reason, verdict.message.clone()));
    }
    let has_moved = known == Some(reason::MOVING) && verdict.reason == reason::AS_WANTED;
    has_moved.then(|| (EventType::Normal, "Moved", "all replicas are where they are wanted".to_owned()))
}
