//! Carrying out what was decided: one call after the other, then a look at what the cluster makes of it.

use super::plan::{Change, Creation, Deletion};
use super::steps::{Done, Error, Next, Topics};
use super::verdict::{About, REFUSAL_OF_CLUSTER, Refusal, Verdict, reason, status};
use crate::admin::proto::resource_configs::Resource;
use crate::admin::proto::{
    AddedPartitions, Config, DeletedTopic, NewTopic, Partition, PartitionMove, Replicas, ResourceConfigs, Topic,
};
use crate::admin::{CallError, ItemError, Link, Outcomes};
use crate::context::now;
use crate::crd::KafkaTopic;
use kube::runtime::events::EventType;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long what was done may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// When to look again where it was not.
const AGAIN: Duration = Duration::from_secs(1);

impl Topics {
    pub(super) async fn create(
        &self,
        link: &Link,
        resource: &Arc<KafkaTopic>,
        creation: Creation,
        done: &mut Done,
    ) -> Result<Next, Error> {
        let mut resource = self.hold(resource, true).await?;
        let creating = |message: &str| Verdict::progresses(reason::CREATING, message.into(), About::Known, Some(AGAIN));
        if creation.announce {
            let announced = status(&resource, &creating("the topic is being created"), &now());
            resource = self.announce(&resource, announced).await?;
        }
        let name = creation.name.clone();
        let partitions = creation.assignment.len();
        let topic = NewTopic {
            name: creation.name,
            assignment: creation.assignment.into_iter().map(replicas).collect(),
            configs: configs(creation.config),
        };
        match link.create_topics(vec![topic]).await.map(only) {
            Ok(Ok(())) => {
                done.created = true;
                done.events.push(created(&resource, &name, partitions));
            }
            // Made by somebody else in between, or by a call that was not heard to succeed: the next look shows it.
            Ok(Err(error)) if error.code == "TOPIC_ALREADY_EXISTS" => {}
            Ok(Err(error)) => return self.refused(&resource, error, done).await,
            Err(error) => return self.failed(&resource, error, creating(UNHEARD), done).await,
        }
        if shows(link, &name, |topic| topic.is_some()).await {
            return Ok(Next::Look);
        }
        let unseen = creating("the topic was created, and does not show yet");
        self.say(&resource, unseen, done).await.map(Next::End)
    }

    pub(super) async fn change(
        &self,
        link: &Link,
        resource: &Arc<KafkaTopic>,
        change: Change,
        done: &mut Done,
    ) -> Result<Next, Error> {
        let resource = self.hold(resource, true).await?;
        let updating = |message: &str| Verdict::progresses(reason::UPDATING, message.into(), About::Known, Some(AGAIN));
        match self.carry(link, &change).await {
            Ok(None) => {}
            // It has been changed, or deleted, since it was looked at.
            Ok(Some(error)) if matches!(&*error.code, "INVALID_PARTITIONS" | "UNKNOWN_TOPIC_OR_PARTITION") => {
                return Err(error.into());
            }
            Ok(Some(error)) => return self.refused(&resource, error, done).await,
            Err(error) => return self.failed(&resource, error, updating(UNHEARD), done).await,
        }
        done.events.extend(changed(&change));
        if change.is_drift {
            self.context.metrics.drifted("KafkaTopic");
        }
        if shows(link, &change.topic.name, |topic| topic.is_some_and(|topic| change.is_shown(topic))).await {
            return Ok(Next::Look);
        }
        self.say(&resource, updating("the topic was changed, and that does not show yet"), done).await.map(Next::End)
    }

    /// Deletes the topic, then lets the resource go.
    pub(super) async fn delete(
        &self,
        link: &Link,
        resource: &Arc<KafkaTopic>,
        deletion: Deletion,
        done: &mut Done,
    ) -> Result<Next, Error> {
        let Deletion { name, id } = deletion;
        let was_there =
            match link.delete_topics(vec![DeletedTopic { name: name.clone(), id: id.clone() }]).await.map(only) {
                Ok(Ok(())) => true,
                Ok(Err(error)) if matches!(&*error.code, "UNKNOWN_TOPIC_OR_PARTITION" | "UNKNOWN_TOPIC_ID") => false,
                Ok(Err(error)) => return self.refused(resource, error, done).await,
                Err(error) => {
                    let verdict = Verdict::progresses(reason::CALL_FAILED, UNHEARD.into(), About::Known, None);
                    return self.failed(resource, error, verdict, done).await;
                }
            };
        // Another resource of this topic takes over when this one is gone, and must not take over what was deleted.
        shows(link, &name, |topic| topic.is_none_or(|topic| topic.id != id)).await;
        self.release(resource).await?;
        if was_there {
            let note = format!("topic {name} has been deleted");
            self.context.tell(&**resource, EventType::Normal, "Deleted", note).await;
        }
        Ok(Next::End(kube::runtime::controller::Action::await_change()))
    }

    /// One kind of change after the other. Gives the first refusal.
    async fn carry(&self, link: &Link, change: &Change) -> Result<Option<ItemError>, CallError> {
        let mut outcomes = self.configure(link, change).await?;
        if outcomes.iter().all(Result::is_ok) {
            outcomes = self.extend(link, change).await?;
        }
        if outcomes.iter().all(Result::is_ok) {
            outcomes = self.move_replicas(link, change).await?;
        }
        Ok(outcomes.into_iter().find_map(Result::err))
    }

    async fn configure(&self, link: &Link, change: &Change) -> Result<Outcomes, CallError> {
        if change.set.is_empty() && change.unset.is_empty() {
            return Ok(Outcomes::new());
        }
        let resource = Some(Resource::Topic(change.topic.name.clone()));
        let altered = ResourceConfigs { resource, set: configs(change.set.clone()), unset: change.unset.clone() };
        link.alter_configs(vec![altered]).await
    }

    async fn extend(&self, link: &Link, change: &Change) -> Result<Outcomes, CallError> {
        if change.more.is_empty() {
            return Ok(Outcomes::new());
        }
        let from = u32::try_from(change.topic.partitions.len()).expect("there are not that many");
        let assignment = change.more.iter().cloned().map(replicas).collect();
        link.add_partitions(vec![AddedPartitions { topic: change.topic.name.clone(), from, assignment }]).await
    }

    async fn move_replicas(&self, link: &Link, change: &Change) -> Result<Outcomes, CallError> {
        if change.moves.is_empty() {
            return Ok(Outcomes::new());
        }
        let moved = change.moves.iter().map(|one| PartitionMove {
            partition: Some(Partition { topic: one.topic.clone(), partition: one.partition }),
            replicas: one.replicas.clone(),
        });
        link.reassign(moved.collect()).await
    }

    /// The cluster has said no, and is asked again later: it may change its mind.
    async fn refused(&self, resource: &Arc<KafkaTopic>, error: ItemError, done: &mut Done) -> Result<Next, Error> {
        let reason = match &*error.code {
            "INVALID_CONFIG" => reason::INVALID_CONFIG,
            "INVALID_REPLICATION_FACTOR" | "INVALID_REPLICA_ASSIGNMENT" => reason::NOT_ENOUGH_BROKERS,
            _ => reason::REFUSED,
        };
        let refusal = Refusal { reason, message: format!("{REFUSAL_OF_CLUSTER}{error}") };
        self.say(resource, Verdict::refused(refusal, About::Known), done).await?;
        Err(error.into())
    }

    /// A call has failed: it may have been carried out all the same.
    async fn failed(
        &self,
        resource: &Arc<KafkaTopic>,
        error: CallError,
        verdict: Verdict,
        done: &mut Done,
    ) -> Result<Next, Error> {
        self.say(resource, verdict, done).await?;
        Err(error.into())
    }
}

/// Said of a call that failed. It names no node, so that trying again says the same.
const UNHEARD: &str = "no active controller has answered; this is tried again";

/// Waits until the cluster shows a topic as it `suits`. `false`: it has not, in time.
async fn shows(link: &Link, name: &str, suits: impl Fn(Option<&Topic>) -> bool) -> bool {
    let shown = link.shows(|view| suits(view.topics.get(name).map(|topic| &**topic)));
    tokio::time::timeout(SEEN_WITHIN, shown).await.is_ok()
}

fn created(resource: &KafkaTopic, name: &str, partitions: usize) -> (EventType, &'static str, String) {
    let was_known = resource.status.as_ref().is_some_and(|status| status.topic_id.is_some());
    match was_known {
        false => (EventType::Normal, "Created", format!("topic {name} has been created with {partitions} partitions")),
        true => {
            let note = format!("somebody has deleted topic {name}; it has been created again, and is empty");
            (EventType::Warning, "Recreated", note)
        }
    }
}

fn changed(change: &Change) -> Vec<(EventType, &'static str, String)> {
    let mut events = Vec::new();
    let mut tell = |reason, note| events.push((EventType::Normal, reason, note));
    let who = if change.is_drift { "somebody else had changed the topic; put back: " } else { "" };
    if !change.set.is_empty() || !change.unset.is_empty() {
        let set = change.set.iter().map(|(name, value)| format!("{name}={value}"));
        let unset = change.unset.iter().map(|name| format!("{name} unset"));
        tell("ConfigChanged", format!("{who}{}", set.chain(unset).collect::<Vec<_>>().join(", ")));
    }
    if !change.more.is_empty() {
        let (from, more) = (change.topic.partitions.len(), change.more.len());
        tell("PartitionsAdded", format!("{more} partitions have been added to {from}"));
    }
    if !change.moves.is_empty() {
        tell("Moving", format!("{who}replicas of {} partitions are being moved", change.moves.len()));
    }
    events
}

/// The outcome of a request of one part.
fn only(outcomes: Outcomes) -> Result<(), ItemError> {
    let none = || ItemError { code: "UNKNOWN_SERVER_ERROR".into(), message: "it says nothing of what it did".into() };
    outcomes.into_iter().next().unwrap_or_else(|| Err(none()))
}

fn configs(values: BTreeMap<String, String>) -> Vec<Config> {
    values.into_iter().map(|(name, value)| Config { name, value }).collect()
}

fn replicas(brokers: Vec<i32>) -> Replicas {
    Replicas { brokers }
}
