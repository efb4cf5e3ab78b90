//! What reconciling holds in its hands: the way to Kubernetes, the links to the clusters, what is known already.

use crate::admin::Links;
use crate::crd::{KafkaCluster, KafkaTopic};
use crate::events::Events;
use crate::metrics::Metrics;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::EventType;
use kube::runtime::reflector::Store;
use kube::{Client, Resource, ResourceExt};
use std::sync::Arc;
use tokio::sync::watch;
use tracing::warn;

/// The name under which the operator owns fields (server-side apply) and reports events.
pub const FIELD_MANAGER: &str = "barnabas-operator";

/// What both controllers use.
pub struct Context {
    pub client: Client,
    pub links: Arc<Links>,
    pub metrics: Arc<Metrics>,
    pub events: Events,
    pub clusters: Store<KafkaCluster>,
    /// Whether `clusters` has read everything. The store itself is waited for by its controller, and wakes nobody else.
    pub clusters_read: watch::Receiver<bool>,
    pub topics: Store<KafkaTopic>,
    /// The namespace that is looked after; empty: all.
    pub scope: String,
}

impl Context {
    /// Tells people that something happened to a resource (`kubectl describe`). Failing to is no reason to stop.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, about: &K, type_: EventType, reason: &str, note: String) {
        self.metrics.wrote("Event");
        if let Err(error) = self.events.write(about, type_, reason, note).await {
            warn!(%error, resource = about.name_any(), reason, "an event could not be written");
        }
    }
}

/// The time of day, as Kubernetes writes it: to the second.
pub fn now() -> Time {
    let seconds = Timestamp::now().as_second();
    Time(Timestamp::from_second(seconds).expect("this time is one"))
}
