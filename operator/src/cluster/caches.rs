//! What the API server knows of all clusters, kept up to date by watches: reconciling reads these and asks nobody.
//!
//! Watched are the objects that carry the label of a cluster, and Kubernetes' nodes. Objects are kept without what nobody
//! reads: a node's list of images alone is longer than everything else about it.

use crate::admin::ClusterKey;
use crate::crd::KafkaCluster;
use crate::resources::labels::CLUSTER as CLUSTER_LABEL;
use crate::watching::touched;
use futures::stream::SelectAll;
use futures::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::warn;

/// What the API server knows.
#[derive(Clone)]
pub struct Caches {
    pub stateful_sets: Store<StatefulSet>,
    pub pods: Store<Pod>,
    pub claims: Store<PersistentVolumeClaim>,
    pub services: Store<Service>,
    pub config_maps: Store<ConfigMap>,
    pub service_accounts: Store<ServiceAccount>,
    pub network_policies: Store<NetworkPolicy>,
    pub disruption_budgets: Store<PodDisruptionBudget>,
    pub nodes: Store<Node>,
    /// Whether all of them have read everything.
    pub(super) read: watch::Receiver<bool>,
}

/// Clusters of which something has changed.
pub type Triggers = SelectAll<Pin<Box<dyn Stream<Item = ObjectRef<KafkaCluster>> + Send>>>;

impl Caches {
    /// The caches of a namespace (all, without one), and what to poll to keep them up to date: it tells which clusters are
    /// concerned. A change of a node concerns all of `clusters`.
    pub fn new(client: &Client, namespace: Option<&str>, clusters: Store<KafkaCluster>) -> (Caches, Triggers) {
        let mut triggers = Triggers::new();
        let stateful_sets = watched(client, namespace, &mut triggers);
        let pods = watched(client, namespace, &mut triggers);
        let claims = watched(client, namespace, &mut triggers);
        let services = watched(client, namespace, &mut triggers);
        let config_maps = watched(client, namespace, &mut triggers);
        let service_accounts = watched(client, namespace, &mut triggers);
        let network_policies = watched(client, namespace, &mut triggers);
        let disruption_budgets = watched(client, namespace, &mut triggers);
        let nodes = nodes(client, clusters, &mut triggers);
        let read = read(vec![
            Box::pin(ready(Store::clone(&stateful_sets))),
            Box::pin(ready(Store::clone(&pods))),
            Box::pin(ready(Store::clone(&claims))),
            Box::pin(ready(Store::clone(&services))),
            Box::pin(ready(Store::clone(&config_maps))),
            Box::pin(ready(Store::clone(&service_accounts))),
            Box::pin(ready(Store::clone(&network_policies))),
            Box::pin(ready(Store::clone(&disruption_budgets))),
            Box::pin(ready(Store::clone(&nodes))),
        ]);
        let caches = Caches {
            stateful_sets,
            pods,
            claims,
            services,
            config_maps,
            service_accounts,
            network_policies,
            disruption_budgets,
            nodes,
            read,
        };
        (caches, triggers)
    }

    /// Returns once everything that there is has been read.
    pub async fn ready(&self) {
        // An error means that the watches have ended: the operator does.
        self.read.clone().wait_for(|read| *read).await.ok();
    }
}

/// Tells once these stores have read everything. A store wakes only one of those who wait for it, so nobody else may.
fn read(stores: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>) -> watch::Receiver<bool> {
    let (tell, read) = watch::channel(false);
    tokio::spawn(async move {
        future::join_all(stores).await;
        tell.send_replace(true);
    });
    read
}

async fn ready<K>(store: Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.wait_until_ready().await.ok();
}

/// Those of a cluster's objects that a store has.
pub fn of<K>(store: &Store<K>, cluster: &ClusterKey) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.state_filter(|object| key(object).as_ref() == Some(cluster))
}

/// Which cluster an object belongs to, by its label.
fn key<K: Resource>(object: &K) -> Option<ClusterKey> {
    let name = object.meta().labels.as_ref()?.get(CLUSTER_LABEL)?;
    Some(ClusterKey::new(object.namespace()?, name))
}

fn watched<K>(client: &Client, namespace: Option<&str>, triggers: &mut Triggers) -> Store<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let (reader, writer) = store();
    let changed = watcher(api, watcher::Config::default().labels(CLUSTER_LABEL))
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer);
    let changed = touched(changed, reader.clone());
    let concerned = goes_on(changed).filter_map(|object| future::ready(key(&object).map(|key| key.object_ref())));
    triggers.push(Box::pin(concerned));
    reader
}

fn nodes(client: &Client, clusters: Store<KafkaCluster>, triggers: &mut Triggers) -> Store<Node> {
    let (reader, writer) = store();
    let mut told: BTreeMap<String, (bool, bool, BTreeMap<String, String>)> = BTreeMap::new();
    let changed = watcher(Api::<Node>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .modify(|node| {
            node.managed_fields_mut().clear();
            node.annotations_mut().clear();
            if let Some(status) = &mut node.status {
                status.images = None;
            }
        })
        .reflect(writer);
    let changed = touched(changed, reader.clone());
    // Nodes report every few seconds that they live: that is no change.
    let mut matters = move |node: &Node| {
        let now = (is_ready(node), is_silent(node), node.labels().clone());
        told.insert(node.name_any(), now.clone()) != Some(now)
    };
    let concerned = goes_on(changed).filter(move |node| future::ready(matters(node))).flat_map(move |_| {
        let all: Vec<_> = clusters.state().iter().map(|cluster| ObjectRef::from_obj(&**cluster)).collect();
        futures::stream::iter(all)
    });
    triggers.push(Box::pin(concerned));
    reader
}

/// Whether a node is there and says so.
pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether Kubernetes has not heard a node for so long that it gives it up. A node that says of itself that it is not ready
/// lives, and its pods may.
pub fn is_silent(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "Unknown")
}

/// A watch that fails begins again by itself, a little later each time.
fn goes_on<K>(changed: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static) -> impl Stream<Item = K> + Send
where
    K: Resource<DynamicType = ()> + Send + 'static,
{
    changed
        .inspect_err(|error| warn!(%error, kind = %K::kind(&()), "a watch has failed and begins again"))
        .filter_map(|object| future::ready(object.ok()))
}
