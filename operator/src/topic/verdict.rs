//! What is said of a topic: verdicts, and the status that they make.

use crate::admin::proto::Topic;
use crate::admin::{is_moving, target};
use crate::crd::{self, Condition, ConditionStatus, Finding, KafkaTopic, KafkaTopicStatus, conditions};
use crate::topic::index::topic_of;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;
use std::time::Duration;

/// The reasons of conditions.
pub mod reason {
    pub const AS_WANTED: &str = "AsWanted";
    pub const ADOPTED: &str = "Adopted";
    pub const CALL_FAILED: &str = "CallFailed";
    pub const CLUSTER_NOT_FOUND: &str = "ClusterNotFound";
    pub const CLUSTER_NOT_READY: &str = "ClusterNotReady";
    pub const CLUSTER_PAUSED: &str = "ClusterPaused";
    pub const CLUSTER_STOPPED: &str = "ClusterStopped";
    pub const CONFLICT: &str = "Conflict";
    pub const CREATING: &str = "Creating";
    pub const INVALID_CONFIG: &str = "InvalidConfig";
    pub const MOVING: &str = "Moving";
    pub const NOT_ENOUGH_BROKERS: &str = "NotEnoughBrokers";
    pub const PARTITIONS_CANNOT_DECREASE: &str = "PartitionsCannotDecrease";
    pub const REFUSED: &str = "Refused";
    pub const TOPIC_EXISTS: &str = "TopicExists";
    pub const UNNAMED_CONFIG: &str = "UnnamedConfig";
    pub const UPDATING: &str = "Updating";
}

/// How the message begins of what the cluster itself has refused.
pub const REFUSAL_OF_CLUSTER: &str = "the cluster refuses: ";
/// When a resource that has to say so first asks for a refused topic again.
const REFUSAL_STANDS: Duration = Duration::from_secs(60);

/// Partitions of which a status shows the brokers.
const ASSIGNMENT_MAX: usize = 100;

/// Why a topic cannot be as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    pub message: String,
}

/// What is said of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub ready: ConditionStatus,
    pub reason: &'static str,
    pub message: String,
    pub progressing: bool,
    pub degraded: bool,
    pub about: About,
    /// When to look again, if nothing changes before. Not set: never.
    pub again: Option<Duration>,
}

/// The topic that a verdict is about.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// What was known of it last.
    Known,
    /// There is none that is this resource's.
    Nothing,
    This(Arc<Topic>),
}

impl Verdict {
    /// The topic is as it is wanted.
    pub fn as_wanted(topic: Arc<Topic>) -> Verdict {
        Verdict {
            ready: ConditionStatus::True,
            reason: reason::AS_WANTED,
            message: String::new(),
            progressing: false,
            degraded: false,
            about: About::This(topic),
            again: None,
        }
    }

    /// Nothing can be done before something else changes.
    pub fn waits(ready: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Verdict {
        let about = About::Known;
        Verdict { ready, reason, message: message.into(), progressing: false, degraded: false, about, again: None }
    }

    /// The topic is being changed.
    pub fn progresses(reason: &'static str, message: String, about: About, again: Option<Duration>) -> Verdict {
        Verdict { ready: ConditionStatus::False, reason, message, progressing: true, degraded: false, about, again }
    }

    /// The topic cannot be as it is wanted.
    pub fn refused(refusal: Refusal, about: About) -> Verdict {
        let Refusal { reason, message } = refusal;
        let ready = ConditionStatus::False;
        Verdict { ready, reason, message, progressing: false, degraded: true, about, again: None }
    }
}

/// The status that says a verdict.
pub fn status(resource: &KafkaTopic, verdict: &Verdict, now: &Time) -> KafkaTopicStatus {
    let known = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let finding = |type_, status| Finding { type_, status, reason: verdict.reason, message: verdict.message.clone() };
    let findings = vec![
        finding("Ready", verdict.ready),
        finding("Progressing", verdict.progressing.into()),
        finding("Degraded", verdict.degraded.into()),
    ];
    let said = KafkaTopicStatus {
        observed_generation: generation,
        conditions: conditions(findings, &known.conditions, generation, now),
        message: verdict.message.clone(),
        topic_name: topic_of(resource),
        ..KafkaTopicStatus::default()
    };
    match &verdict.about {
        About::Nothing => said,
        About::Known => KafkaTopicStatus {
            topic_id: known.topic_id,
            partitions: known.partitions,
            replication_factor: known.replication_factor,
            assignment: known.assignment,
            moving: known.moving,
            ..said
        },
        About::This(topic) => KafkaTopicStatus {
            topic_id: Some(topic.id.clone()),
            partitions: count(topic.partitions.len()),
            replication_factor: count(topic.partitions.iter().map(|one| target(one).len()).min().unwrap_or(0)),
            assignment: topic.partitions.iter().take(ASSIGNMENT_MAX).map(|one| listed(&target(one))).collect(),
            moving: count(topic.partitions.iter().filter(|one| is_moving(one)).count()),
            ..said
        },
    }
}

/// The status of a resource that is left alone while its cluster is paused: all as before, but for the word.
pub fn paused(resource: &KafkaTopic, now: &Time) -> KafkaTopicStatus {
    let message = "paused";
    match &resource.status {
        Some(known) => KafkaTopicStatus { message: message.to_owned(), ..known.clone() },
        None => status(resource, &Verdict::waits(ConditionStatus::Unknown, reason::CLUSTER_PAUSED, message), now),
    }
}

/// Whether all that is wanted of the topic has been done, as far as is known.
pub fn holds(resource: &KafkaTopic) -> bool {
    let ready = condition(resource, "Ready").is_some_and(|ready| ready.status == ConditionStatus::True);
    let seen = resource.status.as_ref().and_then(|status| status.observed_generation);
    ready && seen.is_some() && seen == resource.metadata.generation
}

/// Whether this operator had begun to create the topic when the status was written.
pub fn was_creating(resource: &KafkaTopic) -> bool {
    condition(resource, "Progressing")
        .is_some_and(|known| known.status == ConditionStatus::True && known.reason == reason::CREATING)
}

/// How much longer a refusal of the cluster to do what this very spec wants is taken for its answer.
pub fn refusal_stands(resource: &KafkaTopic, now: &Time) -> Option<Duration> {
    let degraded = condition(resource, "Degraded")?;
    let is_of_this = resource.status.as_ref()?.observed_generation == resource.metadata.generation;
    let is_refusal = degraded.status == ConditionStatus::True && degraded.message.starts_with(REFUSAL_OF_CLUSTER);
    let elapsed = now.0.duration_since(degraded.last_transition_time.0);
    let left = REFUSAL_STANDS.checked_sub(Duration::try_from(elapsed).unwrap_or_default())?;
    (is_of_this && is_refusal && !left.is_zero()).then_some(left)
}

pub fn condition<'a>(resource: &'a KafkaTopic, type_: &str) -> Option<&'a Condition> {
    crd::condition(&resource.status.as_ref()?.conditions, type_)
}

fn listed(brokers: &[i32]) -> String {
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::fixture::{resource, time, topic};

    #[test]
    fn a_topic_as_wanted_is_ready_and_says_where_it_is() {
        let mut topic = topic("t", &[&[0, 1], &[1, 2, 0]]);
        topic.partitions[1].adding = vec![0];
        topic.partitions[1].removing = vec![1];
        let said = status(&resource("t").built(), &Verdict::as_wanted(topic.into()), &time(5));
        assert_eq!(said.assignment, ["0,1", "2,0"]);
        assert_eq!((said.partitions, said.replication_factor, said.moving), (2, 2, 1));
        assert_eq!(said.topic_id.as_deref(), Some("id-of-t"));
        let conditions: Vec<_> = said.conditions.iter().map(|one| (one.type_.as_str(), one.status)).collect();
        let (yes, no) = (ConditionStatus::True, ConditionStatus::False);
        assert_eq!(conditions, [("Ready", yes), ("Progressing", no), ("Degraded", no)]);
    }

    #[test]
    fn the_assignment_of_many_partitions_is_cut() {
        let partitions: Vec<&[i32]> = vec![&[0]; 1000];
        let said = status(&resource("t").built(), &Verdict::as_wanted(topic("t", &partitions).into()), &time(5));
        assert_eq!((said.partitions, said.assignment.len()), (1000, 100));
    }

    #[test]
    fn the_same_said_again_is_the_same_status() {
        let mut resource = resource("t").built();
        let verdict = Verdict::as_wanted(topic("t", &[&[0]]).into());
        let first = status(&resource, &verdict, &time(5));
        resource.status = Some(first.clone());
        assert_eq!(status(&resource, &verdict, &time(6)), first);
        assert!(holds(&resource));
        resource.metadata.generation = Some(2);
        assert!(!holds(&resource));
    }

    #[test]
    fn a_conflict_claims_no_topic_and_a_missing_cluster_forgets_none() {
        let mut resource = resource("t").built();
        resource.status = Some(status(&resource, &Verdict::as_wanted(topic("t", &[&[0]]).into()), &time(5)));
        let missing = Verdict::waits(ConditionStatus::False, reason::CLUSTER_NOT_FOUND, "gone");
        let said = status(&resource, &missing, &time(6));
        assert_eq!((said.topic_id.as_deref(), said.partitions), (Some("id-of-t"), 1));
        let refusal = Refusal { reason: reason::CONFLICT, message: "other".into() };
        let said = status(&resource, &Verdict::refused(refusal, About::Nothing), &time(6));
        assert_eq!((said.topic_id, said.partitions, said.assignment.len()), (None, 0, 0));
    }

    #[test]
    fn paused_changes_nothing_but_the_word() {
        let mut resource = resource("t").built();
        assert_eq!(paused(&resource, &time(5)).conditions[0].reason, reason::CLUSTER_PAUSED);
        let ready = status(&resource, &Verdict::as_wanted(topic("t", &[&[0]]).into()), &time(5));
        resource.status = Some(ready.clone());
        assert_eq!(paused(&resource, &time(6)), KafkaTopicStatus { message: "paused".into(), ..ready });
    }
}
