//! Reconciling a KafkaCluster: observe, validate, plan, apply, tell.
//!
//! - `observe` reads caches and the link, `validate` and `plan` are pure, `objects` and `act` write, `status` tells. Nothing is
//!   remembered between two runs but when the status was written last, which processes were known to run and, to count what
//!   others delete, which objects were there.
//! - Waiting is done by watches: Kubernetes' and the link's. Nothing is polled.

mod act;
pub mod caches;
mod objects;
mod observe;
pub mod plan;
pub mod situation;
mod status;
pub mod validate;
mod wanted;

use crate::admin::{ClusterKey, Link};
use crate::context::Context;
use crate::crd::{Bootstrap, Condition, ConditionStatus, KafkaCluster, KafkaClusterStatus, KafkaTopic, Placement};
use crate::resources::{self, Quorum, ValidCluster, external, labels, names, ports};
use crate::retry::Retries;
use crate::write;
use act::{ActError, Hands};
use caches::Caches;
use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::EventType;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use objects::{PutError, Seen, Shelf};
use plan::{Plan, Trouble};
use situation::{Process, Situation};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing::{debug, warn};
use validate::Defaults;

const KIND: &str = "KafkaCluster";
/// Between two writes of a status in which nothing but words and numbers have changed.
const STATUS_PAUSE: Duration = Duration::from_secs(1);
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
    /// The incarnation that each broker had when its process was last known to run.
    incarnations: Mutex<HashMap<ClusterKey, BTreeMap<i32, String>>>,
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
        incarnations: Mutex::default(),
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
        let addresses = external_addresses(&key, valid, &self.caches);
        let mut situation =
            observe::observe(&key, &self.caches, valid, &status_before, wanted::wanted(valid, &addresses));
        let link = self.context.links.reach(&key, admin_addresses(&situation));
        situation.view = link.live();
        situation.placements = self.placements(&key);
        situation.incarnations = self.incarnations(&key, &situation);
        let mut plan = plan::plan(&situation);
        let inputs = wanted::inputs(valid, &situation, &plan, &addresses, self.racks(valid));
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
            // A pod that starts before it knows what to tell clients would only fail.
            resources.stateful_sets.clear();
            let text = format!("waiting for addresses outside of {}", plan::named(&missing, "broker", "brokers"));
            plan.doing.insert(0, plan::Doing { reason: "WaitingForAddresses", message: text });
        }
        let put = self.within("putting objects", self.put(&shelf, &resources, &mut plan)).await;
        let mut failure = put.unwrap_or_else(|silence| Some(noted(silence, &mut plan)));
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
        let facts = facts(valid, &key, &self.caches);
        let told = self.tell(cluster, status::status(cluster, &situation, &plan, facts)).await;
        match failure {
            // Nothing can be made in a namespace that ends, and nothing needs to be.
            Some(failure) if failure.is_of_an_ending_namespace() => return Ok(Action::await_change()),
            Some(failure) => return Err(failure),
            None => {}
        }
        let told = told?;
        Ok(if waits { Action::requeue(LOOK_AGAIN) } else { told })
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
        let of_cluster = |topic: &KafkaTopic| {
            topic.namespace().as_ref() == Some(&key.namespace) && topic.spec.cluster_ref.name == key.name
        };
        let topics = self.context.topics.state_filter(|topic| topic.spec.placement.is_some() && of_cluster(topic));
        let placement = |topic: &Arc<KafkaTopic>| {
            let name = topic.spec.topic_name.clone().unwrap_or_else(|| topic.name_any());
            Some((name, topic.spec.placement.clone()?))
        };
        topics.iter().filter_map(placement).collect()
    }

    /// What was known of the processes before, after it has been brought up to date.
    fn incarnations(&self, key: &ClusterKey, situation: &Situation) -> BTreeMap<i32, String> {
        let mut all = self.incarnations.lock().expect("no panic while held");
        let known = all.entry(key.clone()).or_default();
        let runs = |id| situation.pod(id).is_some_and(|pod| pod.process == Process::Running && !pod.node_is_lost);
        for broker in situation.brokers().iter().filter(|broker| !broker.fenced && runs(broker.id)) {
            known.insert(broker.id, broker.incarnation.clone());
        }
        known.clone()
    }

    fn racks(&self, valid: &ValidCluster) -> BTreeMap<String, String> {
        let Some(label) = &valid.rack_label else { return BTreeMap::new() };
        let nodes = self.caches.nodes.state();
        let named: Vec<(String, BTreeMap<String, String>)> =
            nodes.iter().map(|node| (node.name_any(), node.labels().clone())).collect();
        resources::racks(named.iter().map(|(name, labels)| (name.as_str(), labels)), label)
    }

    /// Writes a status that says something new, and tells people of what turned. When to look again.
    async fn tell(&self, cluster: &KafkaCluster, status: KafkaClusterStatus) -> Result<Action, Error> {
        let key = key(cluster);
        let before = cluster.status.as_ref();
        let is_ready = condition(&status.conditions, "Ready").is_some_and(|it| it.status == ConditionStatus::True);
        self.context.metrics.cluster_ready(&key.namespace, &key.name, is_ready);
        let turned = before.is_none_or(|before| reasons(&before.conditions) != reasons(&status.conditions));
        if !turned && before != Some(&status) {
            let last = self.told.lock().expect("no panic while held").get(&key).copied();
            if let Some(left) = last.and_then(|last| STATUS_PAUSE.checked_sub(last.elapsed())) {
                return Ok(Action::requeue(left));
            }
        }
        if before == Some(&status) {
            return Ok(Action::await_change());
        }
        self.told.lock().expect("no panic while held").insert(key, Instant::now());
        let written = self.within("writing the status", write::status(&self.context, cluster, before, &status)).await?;
        written.map_err(Error::Status)?;
        if turned {
            self.within("writing events", self.announce(cluster, before, &status)).await?;
        }
        Ok(Action::await_change())
    }

    /// Events for conditions that turned.
    async fn announce(&self, cluster: &KafkaCluster, before: Option<&KafkaClusterStatus>, now: &KafkaClusterStatus) {
        let was = |type_| before.and_then(|before| condition(&before.conditions, type_));
        let trouble = condition(&now.conditions, "Degraded").filter(|is| is.status == ConditionStatus::True);
        for (type_, event) in [("Ready", EventType::Normal), ("Degraded", EventType::Warning)] {
            let Some(is) = condition(&now.conditions, type_).filter(|is| is.status == ConditionStatus::True) else {
                continue;
            };
            // A cluster that serves although something is wrong gives that as its reason: it is said once.
            let is_said = type_ == "Ready" && trouble.is_some_and(|trouble| trouble.reason == is.reason);
            if is_said {
                continue;
            }
            if was(type_).is_none_or(|was| was.status != is.status || was.reason != is.reason) {
                self.context.tell(cluster, event, &is.reason, is.message.clone()).await;
            }
        }
    }

    fn forget(&self, key: &ClusterKey) {
        self.context.links.forget(key);
        self.context.metrics.forget_cluster(&key.namespace, &key.name);
        self.told.lock().expect("no panic while held").remove(key);
        self.incarnations.lock().expect("no panic while held").remove(key);
        self.seen.forget(key);
        self.retries.succeeded(key);
    }
}

/// The status says of a step that was given up, too.
fn noted(silence: Error, plan: &mut Plan) -> Error {
    plan.troubles.push(Trouble { reason: "NoAnswer", message: silence.to_string() });
    silence
}

fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn reasons(conditions: &[Condition]) -> Vec<(&str, ConditionStatus, &str)> {
    conditions.iter().map(|it| (it.type_.as_str(), it.status, it.reason.as_str())).collect()
}

/// Where the admin listeners of the nodes that run are.
fn admin_addresses(situation: &Situation) -> BTreeMap<i32, String> {
    let running = situation.pods.iter().filter(|pod| pod.process == Process::Running && !pod.node_is_lost);
    let address = |ip: &String| match ip.contains(':') {
        true => format!("[{ip}]:{}", ports::ADMIN.number),
        false => format!("{ip}:{}", ports::ADMIN.number),
    };
    running.filter_map(|pod| Some((pod.id, address(pod.ip.as_ref()?)))).collect()
}

/// The addresses outside that Kubernetes has given the brokers' services.
fn external_addresses(
    key: &ClusterKey,
    valid: &ValidCluster,
    caches: &Caches,
) -> BTreeMap<i32, resources::ExternalAddress> {
    let Some(listener) = &valid.external else { return BTreeMap::new() };
    let address = |service: &Arc<k8s_openapi::api::core::v1::Service>| {
        let id = names::external_service_id(&key.name, &service.name_any())?;
        Some((id, external::address(listener, service)?))
    };
    caches::of(&caches.services, key).iter().filter_map(address).collect()
}

/// What the status says of a cluster beside how it is.
fn facts(valid: &ValidCluster, key: &ClusterKey, caches: &Caches) -> status::Facts {
    let external = valid.external.as_ref().and_then(|listener| {
        let name = names::external_bootstrap_service(&key.name);
        let service = caches.services.get(&ObjectRef::new(&name).within(&key.namespace))?;
        let address = external::address(listener, &service)?;
        let host = address.host.or_else(|| wanted::some_node(caches))?;
        Some(format!("{host}:{}", address.port))
    });
    status::Facts {
        bootstrap: Bootstrap { internal: valid.internal_bootstrap(), external },
        selector: labels::selector_text(&key.name),
        version: valid.version().to_owned(),
        combined_controllers: match valid.controllers {
            Quorum::Combined(count) => count,
            Quorum::Dedicated(_) => 0,
        },
    }
}

#[cfg(test)]
mod tests;
