//! Reconciling `KafkaTopic`: `observe -> plan (validates first) -> apply -> status`.
//!
//! - Observing reads caches alone: resources, and the views of the links. Deciding is pure ([`plan`]), and applying does what
//!   was decided, then looks again: a topic is said to be ready when the cluster shows it as it is wanted.
//! - Nothing is half applied: one thing that cannot be done keeps the rest of the resource from being done too.
//! - What is as it is wanted causes no writes and is not looked at again before something changes: the resource, the topic, the
//!   KafkaCluster, the brokers that there are.
//! - The oldest resource of a topic has it. The others say so, and take over when it goes.
//! - A cluster that does not answer holds up no other: each has places of its own, and none is called while its link is down.
//! - The finalizer is there only where deleting the resource deletes the topic, and never outlives the KafkaCluster.
//!
//! Deliberately absent: the health of partitions, which a restart of a broker changes for all topics at once (the KafkaCluster
//! tells it); throttles of moves, which are set for the whole cluster; moves away from brokers that leave.

mod ahead;
mod apply;
#[cfg(test)]
mod fixture;
pub mod index;
mod ledger;
mod moves;
mod observe;
mod plan;
#[cfg(test)]
mod reconcile_test;
mod steps;
mod triggers;
mod validate;
mod verdict;

use crate::admin::Change;
use crate::context::Context;
use crate::crd::KafkaTopic;
use futures::{Stream, StreamExt};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, watcher};
use std::sync::Arc;
use std::time::Duration;
use steps::{Error, Topics};
use tracing::warn;
use triggers::Triggers;

/// How often at most it is counted how many topics are ready.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Reconciles topics until this is dropped.
///
/// - `topics`: every KafkaTopic that was applied or deleted (`touched_objects`), once `context.topics` shows that.
/// - `changes`: what the links see, and `Change::Cluster` of every KafkaCluster that was applied or deleted, once
///   `context.clusters` shows that.
pub async fn run(
    context: Arc<Context>,
    topics: impl Stream<Item = Result<KafkaTopic, watcher::Error>> + Send + 'static,
    changes: impl Stream<Item = Change> + Send + 'static,
) {
    // A cluster that is merely not known yet must not be taken for one that is gone.
    if context.clusters_read.clone().wait_for(|read| *read).await.is_err() {
        return;
    }
    let store = context.topics.clone();
    let reconciled = Arc::new(Topics::new(context));
    let (triggers, rivals) = Triggers::new(reconciled.clone());
    let triggers = Arc::new(triggers);
    let touched = triggers.clone();
    // An error must not hold up what the clusters tell: watching begins again by itself.
    let topics = topics.filter_map(move |topic| {
        match &topic {
            Ok(topic) => touched.touched(topic),
            Err(error) => warn!(%error, "KafkaTopics cannot be watched; this is tried again"),
        }
        std::future::ready(topic.ok().map(Ok))
    });
    let counted = triggers.clone();
    let changes = changes.flat_map(move |change| futures::stream::iter(triggers.concerned(&change)));
    let controller = Controller::for_stream(topics, store)
        .reconcile_on(changes)
        .reconcile_on(rivals)
        .run(reconcile, retry, reconciled)
        .for_each(|_| std::future::ready(()));
    let count = async {
        loop {
            tokio::time::sleep(COUNT_EVERY).await;
            counted.count();
        }
    };
    tokio::select! {
        () = controller => {}
        () = count => {}
    }
}

async fn reconcile(resource: Arc<KafkaTopic>, topics: Arc<Topics>) -> Result<Action, Error> {
    topics.reconcile(&resource).await
}

fn retry(resource: Arc<KafkaTopic>, error: &Error, topics: Arc<Topics>) -> Action {
    let reference = ObjectRef::from_obj(&*resource);
    let wait = topics.retries.failed(reference.clone());
    warn!(topic = %reference, %error, ?wait, "a topic could not be reconciled; this is tried again");
    Action::requeue(wait)
}
