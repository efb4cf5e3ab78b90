//! Reconciling a KafkaCluster: observe, validate, plan, apply, tell.
//!
//! - `observe` reads caches and the link, `validate` and `plan` are pure, `objects` and `act` write, `status` tells. Nothing is
//!   remembered between two runs but when the status was written last, which processes were known to run and, to count what
//!   others delete, which objects were there.
//! - Waiting is done by watches: Kubernetes' and the link's. Nothing is polled.

mod act;
mod addresses;
pub mod caches;
mod objects;
mod observe;
pub mod plan;
mod processes;
pub mod situation;
mod status;
mod tell;
pub mod validate;
mod wanted;

use crate::admin::{ClusterKey, Link};
use crate::context::Context;
use crate::crd::{KafkaCluster, KafkaTopic, Placement};
use crate::resources::{self, ValidCluster, external, names};
use crate::retry::Retries;
use crate::topic::index::{age, cluster_of, topic_of};
use crate::write;
use act::{ActError, Hands};
use addresses::{admin_addresses, facts, outside};
use caches::Caches;
use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::EventType;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use objects::{PutError, Seen, Shelf};
use plan::{Plan, Trouble};
use processes::Processes;
use situation::Situation;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing::{debug, warn};
use validate::Defaults;

const KIND: &str = "KafkaCluster";
/// When something that has to wait is looked at again, should no watch tell before.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What is not done within this time has failed: a connection that leads nowhere is not waited for until it is found to be dead.
const STEP_TIME_MAX: Duration = Duration::from_secs(30);
/// A cluster that was ready is not said to be silent before it has had as long to answer an operator that starts.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Why reconciling failed. All are tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("an object could not be put: {0}")]
    Put(#[from] PutError),
    #[error("the cluster could not be changed: {0}")]
    Act(#[from] ActError),
    #[error("the status could not be written: {0}")]
    Status(kube::Error),
    /// Nobody has answered, and nobody has said that nobody will.
    #[error("no answer within {} seconds while {doing}", .after.as_secs())]
    Silence { doing: &'static str, after: Duration },
}

impl Error {
    fn is_of_an_ending_namespace(&self) -> bool {
        let (Error::Put(PutError::Kubernetes { error, .. })
        | Error::Act(ActError::Kubernetes(error))
        | Error::Status(error)) = self
        else {
            return false;
        };
        write::is_of_an_ending_namespace(error)
    }

    /// One word, for metrics.
    fn reason(&self) -> &'static str {
        match self {
            Error::Put(PutError::Taken { .. } | PutError::Former { .. }) => "name_taken",
            Error::Put(_) => "object",
            Error::Act(_) => "action",
            Error::Status(_) => "status",
            Error::Silence { .. } => "silence",
        }
    }
}

/// What all runs share.
struct Room {
    began: Instant,
    /// For each step: putting objects, acting, telling.
    step_time_max: Duration,
    context: Arc<Context>,
    caches: Caches,
    defaults: Defaults,
    retries: Retries<ClusterKey>,
    /// When each status was written last.
    told: Mutex<HashMap<ClusterKey, Instant>>,
    processes: Processes,
    seen: Seen,
}

/// Looks after all clusters of `clusters`, which are in the context's store already, whenever something concerns them.
pub async fn run(
    context: Arc<Context>,
    caches: Caches,
    defaults: Defaults,
    clusters: impl Stream<Item = Result<KafkaCluster, watcher::Error>> + Send + 'static,
    concerned: impl Stream<Item = ObjectRef<KafkaCluster>> + Send + 'static,
) {
    let store = context.clusters.clone();
    let room = Arc::new(Room {
        began: Instant::now(),
        step_time_max: STEP_TIME_MAX,
        context: context.clone(),
        caches,
        defaults,
        retries: Retries::default(),
        told: Mutex::default(),
        processes: Processes::default(),
        seen: Seen::default(),
    });
    let (forgetting, known) = (room.clone(), store.clone());
    let clusters = clusters.inspect(move |cluster| match cluster {
        Ok(cluster) if known.get(&ObjectRef::from_obj(cluster)).is_none() => forgetting.forget(&key(cluster)),
        Ok(_) => {}
        Err(error) => warn!(%error, "KafkaClusters cannot be watched"),
    });
    Controller::for_stream(clusters, store)
        .reconcile_on(concerned)
        .run(reconcile, failed, room)
        .for_each(|_| std::future::ready(()))
        .await;
}

async fn reconcile(cluster: Arc<KafkaCluster>, room: Arc<Room>) -> Result<Action, Error> {
    // What is not known yet looks as if it were not there.
    room.caches.ready().await;
    let _under_way = room.context.metrics.begin(KIND);
    let began = Instant::now();
    let done = room.reconcile(&cluster).await;
    room.context.metrics.reconciled(KIND, began.elapsed(), done.as_ref().err().map(Error::reason));
    room.context.metrics.clusters(&room.context.scope, room.context.clusters.len());
    if done.is_ok() {
        room.retries.succeeded(&key(&cluster));
    }
    done
}

fn failed(cluster: Arc<KafkaCluster>, error: &Error, room: Arc<Room>) -> Action {
    let pause = room.retries.failed(key(&cluster));
    warn!(cluster = %key(&cluster), %error, ?pause, "reconciling failed and is tried again");
    Action::requeue(pause)
}

fn key(cluster: &KafkaCluster) -> ClusterKey {
    ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any())
}

impl Room {
    async fn reconcile(&self, cluster: &KafkaCluster) -> Result<Action, Error> {
        if cluster.metadata.deletion_timestamp.is_some() {
            // Everything has an owner and goes by itself.
            return Ok(Action::await_change());
        }
        if cluster.spec.paused {
            return self.tell(cluster, status::paused(cluster)).await;
        }
        let valid = match validate::validate(cluster, &self.defaults) {
            Ok(valid) => valid,
            Err(invalid) => {
                let all: Vec<String> = invalid.iter().map(ToString::to_string).collect();
                return self.tell(cluster, status::refused(cluster, "InvalidSpec", &all.join("; "))).await;
            }
        };
        self.look_after(cluster, &valid).await
    }

    async fn look_after(&self, cluster: &KafkaCluster, valid: &ValidCluster) -> Result<Action, Error> {
        let key = key(cluster);
        let status_before = cluster.status.clone().unwrap_or_default();
        if !valid.warnings.is_empty() && status_before.observed_generation != cluster.metadata.generation {
            self.context.tell(cluster, EventType::Warning, "WithoutEffect", valid.warnings.join("; ")).await;
        }
        let outside = outside(&key, valid, &self.caches, status_before.bootstrap.external.as_ref());
        let wanted = wanted::wanted(valid, &outside.brokers);
        let mut situation = observe::observe(&key, &self.caches, valid, &status_before, wanted);
        let link = self.context.links.reach(&key, admin_addresses(&situation));
        situation.view = link.live();
        situation.is_silent = situation.view.is_none() && self.began.elapsed() > FIRST_ANSWER_WITHIN;
        situation.placements = self.placements(&key);
        situation.incarnations = self.processes.learn(&key, &situation);
        let mut plan = plan::plan(&situation);
        let inputs = wanted::inputs(valid, &situation, &plan, &outside.brokers, self.racks(valid));
        let shelf = Shelf {
            context: &self.context,
            caches: &self.caches,
            seen: &self.seen,
            key: &key,
            owner: &valid.owner.uid,
        };
        let missing = external::missing(valid, inputs.brokers.nodes, &inputs.external);
        let mut resources = resources::all(valid, &inputs);
        if !missing.is_empty() {
            // A pod that starts before it knows what to tell clients would only fail; one that has a file keeps it.
            resources.stateful_sets.clear();
            plan.actions.retain(|action| !action.needs_objects());
            addresses::keep_files(&mut resources, &missing, &key, &self.caches);
            let text = format!("waiting for addresses outside of {}", plan::named(&missing, "broker", "brokers"));
            plan.doing.insert(0, plan::Doing { reason: "WaitingForAddresses", message: text });
        }
        if !outside.awaited.is_empty() {
            let services = outside.awaited.join(", ");
            let text = format!("waiting for addresses outside of {services}; the ones before are kept until then");
            plan.doing.push(plan::Doing { reason: "WaitingForAddresses", message: text });
        }
        let put = self.within("putting objects", self.put(&shelf, &resources, &mut plan)).await;
        let mut failure = put.unwrap_or_else(|silence| Some(noted(silence, &mut plan)));
        match failure {
            // What is there is not this cluster's, and nothing may be done to it.
            Some(Error::Put(PutError::Taken { .. } | PutError::Former { .. })) => plan.actions.clear(),
            // What would be started anew, or made anew, would not be what is wanted.
            Some(_) => plan.actions.retain(|action| !action.needs_objects()),
            None => {}
        }
        let acted = self.within("acting", self.act(cluster, &link, &mut plan, &mut failure)).await;
        let waits = acted.unwrap_or_else(|silence| {
            failure = Some(noted(silence, &mut plan));
            false
        });
        if failure.is_none()
            && let Some(left) = self.hears_soon(&situation, &link)
        {
            return Ok(Action::requeue(left));
        }
        let facts = facts(valid, &key, outside);
        let told = self.tell(cluster, status::status(cluster, &situation, &plan, facts)).await;
        match failure {
            // Nothing can be made in a namespace that ends, and nothing needs to be.
            Some(failure) if failure.is_of_an_ending_namespace() => return Ok(Action::await_change()),
            Some(failure) => return Err(failure),
            None => {}
        }
        let told = told?;
        let again = if waits { Some(LOOK_AGAIN) } else { plan.again };
        Ok(again.map_or(told, Action::requeue))
    }

    /// How long is left for the first answer of a cluster that was ready before this operator started: until then its status
    /// stays as it is, instead of turning twice whenever the operator starts.
    fn hears_soon(&self, situation: &Situation, link: &Link) -> Option<Duration> {
        let may_answer = situation.was_ready && link.last().is_none() && !admin_addresses(situation).is_empty();
        FIRST_ANSWER_WITHIN.checked_sub(self.began.elapsed()).filter(|_| may_answer)
    }

    /// Errors: nobody has answered.
    async fn within<T>(&self, doing: &'static str, step: impl Future<Output = T>) -> Result<T, Error> {
        let after = self.step_time_max;
        tokio::time::timeout(after, step).await.map_err(|_| Error::Silence { doing, after })
    }

    async fn put(&self, shelf: &Shelf<'_>, resources: &resources::Resources, plan: &mut Plan) -> Option<Error> {
        let error = shelf.put(resources).await.err()?;
        if let PutError::Kubernetes { error: cause, .. } = &error
            && write::is_of_an_ending_namespace(cause)
        {
            return Some(Error::Put(error));
        }
        let reason = match error {
            PutError::Taken { .. } | PutError::Former { .. } => "NameTaken",
            PutError::Kubernetes { .. } => "ObjectRefused",
        };
        plan.troubles.push(Trouble { reason, message: error.to_string() });
        Some(Error::Put(error))
    }

    /// Carries out the plan's actions. Whether something has to wait that no watch tells of.
    async fn act(&self, cluster: &KafkaCluster, link: &Link, plan: &mut Plan, failure: &mut Option<Error>) -> bool {
        let hands = Hands { context: &self.context, cluster, link };
        let mut waits = false;
        for action in std::mem::take(&mut plan.actions) {
            if let plan::Action::ReplaceSet { role } = &action {
                let name = names::stateful_set(&cluster.name_any(), *role);
                self.seen.forget_one(&key(cluster), "StatefulSet", &name);
            }
            match hands.act(&action).await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    waits = true;
                    plan.doing.insert(0, plan::Doing { reason: "Waiting", message: why });
                }
                Err(error) => {
                    debug!(cluster = %key(cluster), ?action, %error, "an action failed");
                    let message = format!("{} failed: {error}", action.name());
                    plan.troubles.push(Trouble { reason: action.trouble(), message });
                    failure.get_or_insert(Error::Act(error));
                }
            }
        }
        waits
    }

    /// Where replicas may be, of the topics whose KafkaTopics say so.
    fn placements(&self, key: &ClusterKey) -> BTreeMap<String, Placement> {
        let of_cluster = |topic: &KafkaTopic| cluster_of(topic) == *key && topic.metadata.deletion_timestamp.is_none();
        let topics = self.context.topics.state_filter(of_cluster);
        let mut owners: BTreeMap<String, &Arc<KafkaTopic>> = BTreeMap::new();
        for topic in &topics {
            let owner = owners.entry(topic_of(topic)).or_insert(topic);
            if age(topic) < age(owner) {
                *owner = topic;
            }
        }
        owners.into_iter().filter_map(|(name, owner)| Some((name, owner.spec.placement.clone()?))).collect()
    }

    fn racks(&self, valid: &ValidCluster) -> BTreeMap<String, String> {
        let Some(label) = &valid.rack_label else { return BTreeMap::new() };
        let nodes = self.caches.nodes.state();
        let named: Vec<(String, BTreeMap<String, String>)> =
            nodes.iter().map(|node| (node.name_any(), node.labels().clone())).collect();
        resources::racks(named.iter().map(|(name, labels)| (name.as_str(), labels)), label)
    }

    fn forget(&self, key: &ClusterKey) {
        self.context.links.forget(key);
        self.context.metrics.forget_cluster(&key.namespace, &key.name);
        self.told.lock().expect("no panic while held").remove(key);
        self.processes.forget(key);
        self.seen.forget(key);
        self.retries.succeeded(key);
    }
}

/// The status says of a step that was given up, too.
fn noted(silence: Error, plan: &mut Plan) -> Error {
    plan.troubles.push(Trouble { reason: "NoAnswer", message: silence.to_string() });
    silence
}

#[cfg(test)]
mod tests;
