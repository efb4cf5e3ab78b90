//! What is done about a topic. The decisions are all here, and nothing is half applied: whatever cannot be done keeps all the
//! rest from being done too.

use super::ledger::Ledger;
use super::moves;
use super::observe::{Live, Observed, Sight};
use super::validate;
use super::verdict::{About, Refusal, Verdict, holds, reason, was_creating};
use crate::admin::proto::{Config, Topic};
use crate::admin::target;
use crate::checksum::fnv1a;
use crate::cluster::plan::THROTTLED;
use crate::crd::{ConditionStatus, KafkaTopic, TopicDeletionPolicy};
use crate::rebalance::{Move, assign};
use crate::topic::index::topic_of;
use barnabas::config::{Settings, broker};
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Keeps a resource until its topic is deleted.
pub const FINALIZER: &str = "barnabas.dev/topic";

/// How often a resource that may not have its topic looks whether the owner is gone. It is told so; but a deletion that fell
/// into a gap of the watch is told to nobody.
const OWNER_AGAIN: Duration = Duration::from_secs(60);

/// What is done.
#[derive(Debug)]
pub enum Plan {
    /// Nothing, and nothing is said.
    Leave,
    /// Nothing but to say that it is paused.
    Pause,
    /// Nothing but to say so.
    Say(Verdict),
    Create(Creation),
    Change(Change),
    /// The topic is as it is wanted, or on its way.
    Settle(Settlement),
    /// The topic is deleted, then the resource let go.
    Delete(Deletion),
    /// The resource is let go, and the topic stays.
    Release,
}

/// A topic that is made.
#[derive(Debug, PartialEq)]
pub struct Creation {
    pub name: String,
    pub assignment: Vec<Vec<i32>>,
    pub config: BTreeMap<String, String>,
    /// Whether the status has to say first that it is being created: a resource that adopts nothing could not tell the topic
    /// from somebody else's otherwise, if this operator ended in between.
    pub announce: bool,
}

/// What is changed of a topic that exists. Something is.
#[derive(Debug)]
pub struct Change {
    pub topic: Arc<Topic>,
    pub set: BTreeMap<String, String>,
    pub unset: Vec<String>,
    pub more: Vec<Vec<i32>>,
    pub moves: Vec<Move>,
    /// Whether all this had been as it is wanted before: somebody else has changed the topic.
    pub is_drift: bool,
}

impl Change {
    /// Whether a topic shows that all of this was done or begun.
    pub fn is_shown(&self, topic: &Topic) -> bool {
        let value = |name: &str| topic.configs.iter().find(|config| config.name == name).map(|config| &config.value);
        self.set.iter().all(|(name, wanted)| value(name) == Some(wanted))
            && self.unset.iter().all(|name| value(name).is_none())
            && topic.partitions.len() >= self.topic.partitions.len() + self.more.len()
            && self.moves.iter().all(|one| {
                let partition = usize::try_from(one.partition).ok().and_then(|index| topic.partitions.get(index));
                partition.is_some_and(|partition| same_brokers(&target(partition), &one.replicas))
            })
    }
}

/// A topic that needs nothing now.
#[derive(Debug)]
pub struct Settlement {
    pub verdict: Verdict,
    pub claim: Claim,
}

/// How a topic that exists is this resource's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was so, or this very reconciling has made it.
    Ours,
    /// It existed before this resource did anything.
    Adopted,
    /// Somebody has deleted it and made it again.
    Remade,
}

/// A topic that is deleted.
#[derive(Debug, PartialEq)]
pub struct Deletion {
    pub name: String,
    pub id: String,
}

/// Decides. `created`: this very reconciling has created the topic.
pub fn plan(observed: &Observed, created: bool, ledger: &mut Ledger) -> Plan {
    // Unless the topic is found to move, below.
    ledger.moves(&topic_of(&observed.resource), 0);
    if observed.resource.metadata.deletion_timestamp.is_some() {
        return leaving(observed);
    }
    existing(observed, created, ledger).unwrap_or_else(Plan::Say)
}

fn existing(observed: &Observed, created: bool, ledger: &mut Ledger) -> Result<Plan, Verdict> {
    let resource = &observed.resource;
    if let Some(owner) = &observed.owner {
        let message = format!("KafkaTopic {owner} is older and has topic {} already", topic_of(resource));
        let verdict = Verdict::refused(Refusal { reason: reason::CONFLICT, message }, About::Nothing);
        return Err(Verdict { again: Some(OWNER_AGAIN), ..verdict });
    }
    let live = match &observed.cluster {
        Sight::Live(live) => live,
        Sight::Paused => return Ok(Plan::Pause),
        // What is as it is wanted does not become otherwise while nobody can see it.
        Sight::Unreachable if holds(resource) => return Ok(Plan::Leave),
        away => return Err(waiting(away, resource)),
    };
    let about = || about(live, resource, created);
    let config = validate::config(&resource.spec.config, || settings(live));
    let config = config.map_err(|refusal| Verdict::refused(refusal, about()))?;
    match &live.topic {
        None => create(resource, live, config, ledger).map_err(|refusal| Verdict::refused(refusal, About::Known)),
        Some(topic) => {
            let claim = claim(resource, topic, created).map_err(|refusal| Verdict::refused(refusal, about()))?;
            let changed = change(resource, live, topic, config, claim, ledger);
            changed.map_err(|refusal| Verdict::refused(refusal, about()))
        }
    }
}

fn create(
    resource: &KafkaTopic,
    live: &Live,
    config: BTreeMap<String, String>,
    ledger: &mut Ledger,
) -> Result<Plan, Refusal> {
    let name = topic_of(resource);
    let spec = &resource.spec;
    let brokers = moves::eligible(live, spec.placement.as_ref());
    let replication_factor = spec.replication_factor.unwrap_or_else(|| replication_factor_default(resource, live));
    let replication_factor = moves::enough(&brokers, number(replication_factor), live, spec.placement.as_ref())?;
    let partitions = spec.partitions.unwrap_or_else(|| settings(live).get(broker::NUM_PARTITIONS));
    let load = ledger.load(&live.view.topics);
    let assignment = assign(&brokers, load, number(partitions), replication_factor, seed(&name))
        .map_err(|refusal| Refusal { reason: reason::NOT_ENOUGH_BROKERS, message: refusal.to_string() })?;
    let announce = !spec.adopt && !was_creating(resource);
    Ok(Plan::Create(Creation { name, assignment, config, announce }))
}

/// Whose the topic is. Errors: `TopicExists`, where it is left alone.
fn claim(resource: &KafkaTopic, topic: &Topic, created: bool) -> Result<Claim, Refusal> {
    let known = known_id(resource);
    let claim = match known {
        Some(known) if known == topic.id => Claim::Ours,
        _ if created || was_creating(resource) => Claim::Ours,
        Some(_) => Claim::Remade,
        None => Claim::Adopted,
    };
    if claim == Claim::Ours || resource.spec.adopt {
        return Ok(claim);
    }
    let how = if claim == Claim::Remade { "was deleted and made again by somebody else" } else { "exists already" };
    let message = format!("topic {} {how}, and spec.adopt is false", topic.name);
    Err(Refusal { reason: reason::TOPIC_EXISTS, message })
}

fn change(
    resource: &KafkaTopic,
    live: &Live,
    topic: &Arc<Topic>,
    config: BTreeMap<String, String>,
    claim: Claim,
    ledger: &mut Ledger,
) -> Result<Plan, Refusal> {
    let more = more(resource, live, topic, ledger)?;
    let moves = moves::plan(&resource.spec, live, topic, ledger)?;
    let (set, unset) = differences(config, topic);
    if claim != Claim::Ours && !unset.is_empty() {
        return Err(unnamed(topic, &unset));
    }
    // The places are taken only where nothing has been refused.
    ledger.moves(&topic.name, moves.under_way + moves.begin.len());
    if set.is_empty() && unset.is_empty() && more.is_empty() && moves.begin.is_empty() {
        return Ok(Plan::Settle(Settlement { verdict: moves.verdict(topic), claim }));
    }
    let is_drift = claim == Claim::Ours && holds(resource);
    Ok(Plan::Change(Change { topic: topic.clone(), set, unset, more, moves: moves.begin, is_drift }))
}

/// The replicas of partitions that are wanted and not there.
fn more(resource: &KafkaTopic, live: &Live, topic: &Topic, ledger: &mut Ledger) -> Result<Vec<Vec<i32>>, Refusal> {
    let has = topic.partitions.len();
    let wanted = resource.spec.partitions.map_or(has, number);
    if wanted < has {
        let message = format!(
            "topic {} has {has} partitions and {wanted} are wanted: partitions cannot be taken away, since their records would \
             be lost. Nothing of this resource is applied",
            topic.name
        );
        return Err(Refusal { reason: reason::PARTITIONS_CANNOT_DECREASE, message });
    }
    if wanted == has {
        return Ok(Vec::new());
    }
    let placement = resource.spec.placement.as_ref();
    let brokers = moves::eligible(live, placement);
    // Partitions are added with as many replicas as the others have; a change of that moves all of them afterwards.
    let has_replicas = topic.partitions.first().map_or(1, |one| target(one).len());
    let replication_factor = moves::enough(&brokers, has_replicas, live, placement)?;
    let load = ledger.load(&live.view.topics);
    assign(&brokers, load, wanted - has, replication_factor, seed(&topic.name))
        .map_err(|refusal| Refusal { reason: reason::NOT_ENOUGH_BROKERS, message: refusal.to_string() })
}

/// What is set and unset so that the topic has this configuration.
fn differences(mut wanted: BTreeMap<String, String>, topic: &Topic) -> (BTreeMap<String, String>, Vec<String>) {
    let mut unset = Vec::new();
    for Config { name, value } in &topic.configs {
        match wanted.get(name) {
            Some(normal) if validate::same(name, normal, value) => drop(wanted.remove(name)),
            None if !THROTTLED.contains(&name.as_str()) => unset.push(name.clone()),
            Some(_) | None => {}
        }
    }
    (wanted, unset)
}

/// Why a topic that others have made is not adopted: these configurations would be unset, and with `retention.ms` gone, say,
/// records that were to be kept for ever would be deleted.
fn unnamed(topic: &Topic, names: &[String]) -> Refusal {
    let set = topic.configs.iter().filter(|config| names.contains(&config.name));
    let set: Vec<String> = set.map(|Config { name, value }| format!("{name}={value}")).collect();
    let message = format!(
        "topic {} was made by others and has configurations that spec.config does not name: {}. Name each in spec.config, with \
         the value that is wanted, or remove it from the topic first. Nothing of this resource is applied",
        topic.name,
        set.join(", ")
    );
    Refusal { reason: reason::UNNAMED_CONFIG, message }
}

/// What becomes of the topic of a resource that is being deleted.
fn leaving(observed: &Observed) -> Plan {
    let resource = &observed.resource;
    if !resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Plan::Leave;
    }
    let is_kept = resource.spec.deletion_policy == TopicDeletionPolicy::Retain;
    if is_kept || observed.owner.is_some() {
        return Plan::Release;
    }
    match &observed.cluster {
        Sight::Missing | Sight::Leaving => Plan::Release,
        Sight::Live(live) => match made_id(resource, live) {
            Some(id) => Plan::Delete(Deletion { name: topic_of(resource), id }),
            None => Plan::Release,
        },
        // A topic that this resource never had is not waited for.
        _ if known_id(resource).is_none() && !was_creating(resource) => Plan::Release,
        away => {
            let verdict = waiting(away, resource);
            let message = format!("the topic is to be deleted: {}", verdict.message);
            Plan::Say(Verdict { message, ..verdict })
        }
    }
}

/// What is said while a cluster can be asked nothing.
fn waiting(sight: &Sight, resource: &KafkaTopic) -> Verdict {
    let cluster = &resource.spec.cluster_ref.name;
    let (ready, reason, message) = match sight {
        Sight::Missing => {
            let message = format!("there is no KafkaCluster {cluster} in this namespace");
            (ConditionStatus::False, reason::CLUSTER_NOT_FOUND, message)
        }
        Sight::Leaving => {
            let message = format!("KafkaCluster {cluster} is being deleted");
            (ConditionStatus::False, reason::CLUSTER_NOT_FOUND, message)
        }
        Sight::Stopped => {
            let message = format!("KafkaCluster {cluster} is stopped; this waits until it runs again");
            (ConditionStatus::False, reason::CLUSTER_STOPPED, message)
        }
        Sight::Paused => {
            let message = format!("KafkaCluster {cluster} is paused; this waits until it is paused no longer");
            (ConditionStatus::Unknown, reason::CLUSTER_PAUSED, message)
        }
        Sight::Unreachable | Sight::Live(_) => {
            let message = format!("no active controller of KafkaCluster {cluster} answers; this waits until one does");
            (ConditionStatus::Unknown, reason::CLUSTER_NOT_READY, message)
        }
    };
    Verdict::waits(ready, reason, message)
}

/// The topic that a refusal is about: this resource's own, if that is what there is.
fn about(live: &Live, resource: &KafkaTopic, created: bool) -> About {
    let ours = live.topic.as_ref().filter(|topic| created || known_id(resource) == Some(&topic.id));
    ours.map_or(About::Known, |topic| About::This(topic.clone()))
}

fn known_id(resource: &KafkaTopic) -> Option<&str> {
    resource.status.as_ref()?.topic_id.as_deref()
}

/// The id of the topic that this resource has, or had begun to make.
fn made_id(resource: &KafkaTopic, live: &Live) -> Option<String> {
    let shown = live.topic.as_ref().filter(|_| was_creating(resource)).map(|topic| topic.id.clone());
    known_id(resource).map(str::to_owned).or(shown)
}

fn replication_factor_default(resource: &KafkaTopic, live: &Live) -> i32 {
    let brokers = resource.spec.placement.as_ref().and_then(|placement| placement.brokers.as_ref());
    let named = brokers.map_or(i32::MAX, |brokers| i32::try_from(brokers.len()).unwrap_or(i32::MAX));
    live.cluster.spec.brokers.replicas.min(3).min(named)
}

fn settings(live: &Live) -> Settings {
    let dynamic = live.view.state.broker_configs.iter().map(|config| (config.name.clone(), config.value.clone()));
    validate::settings(&live.cluster.spec.config, dynamic.collect())
}

fn same_brokers(some: &[i32], others: &[i32]) -> bool {
    some.len() == others.len() && some.iter().all(|id| others.contains(id))
}

fn number(positive: i32) -> usize {
    usize::try_from(positive).unwrap_or(0)
}

/// The same for a name for ever, so that trying again plans the same.
fn seed(name: &str) -> u64 {
    fnv1a(name.as_bytes())
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
