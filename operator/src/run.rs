//! Everything wired together: watches, links, and the two controllers, one pair for each namespace that is looked after.

use crate::admin::{Change, ClusterKey, Links};
use crate::cluster;
use crate::cluster::caches::Caches;
use crate::cluster::validate::Defaults;
use crate::context::Context;
use crate::crd::{KafkaCluster, KafkaTopic};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::resources::OperatorPods;
use crate::topic;
use crate::watching::{received, touched};
use futures::{Stream, StreamExt, future};
use kube::api::Api;
use kube::runtime::reflector::{ObjectRef, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What the operator is told when it starts.
pub struct Settings {
    pub image: String,
    pub cluster_domain: String,
    /// The operator's own pods, if it is known which they are.
    pub operator: Option<OperatorPods>,
    /// Empty: all.
    pub namespaces: Vec<String>,
    /// The name of this replica, for events.
    pub name: String,
}

/// Looks after clusters and topics until `stop`.
pub async fn run(client: Client, settings: Settings, metrics: Arc<Metrics>, stop: impl Future<Output = ()>) {
    let namespaces: Vec<Option<&str>> = match settings.namespaces.is_empty() {
        true => vec![None],
        false => settings.namespaces.iter().map(|name| Some(name.as_str())).collect(),
    };
    let all = namespaces.into_iter().map(|namespace| look_after(&client, &settings, namespace, metrics.clone()));
    tokio::select! {
        _ = future::join_all(all) => {}
        () = stop => {}
    }
}

async fn look_after(client: &Client, settings: &Settings, namespace: Option<&str>, metrics: Arc<Metrics>) {
    let (changes, changed) = mpsc::unbounded_channel();
    let (clusters, clusters_written) = store();
    let (topics, topics_written) = store();
    let (read, clusters_read) = watch::channel(false);
    let context = Arc::new(Context {
        client: client.clone(),
        links: Arc::new(Links::new(changes)),
        metrics,
        events: Events::new(client.clone(), Some(settings.name.clone())),
        clusters,
        clusters_read,
        topics,
        scope: namespace.unwrap_or_default().to_owned(),
    });
    let defaults = Defaults {
        image: settings.image.clone(),
        cluster_domain: settings.cluster_domain.clone(),
        operator: settings.operator.clone(),
    };
    let (to_topics, topic_changes) = mpsc::unbounded_channel();
    let touched_clusters = to_topics.clone();
    let (caches, triggers) = Caches::new(client, namespace, context.clusters.clone());
    let watched_clusters = watcher(api::<KafkaCluster>(client, namespace), watcher::Config::default())
        .default_backoff()
        .modify(|cluster| cluster.managed_fields_mut().clear())
        .reflect(clusters_written)
        .inspect(move |event| {
            if matches!(event, Ok(watcher::Event::InitDone)) {
                read.send_replace(true);
            }
        });
    // Topics wait for their clusters.
    let watched_clusters = touched(watched_clusters, context.clusters.clone()).inspect(move |cluster| {
        if let Ok(cluster) = cluster {
            let key = ClusterKey::new(cluster.namespace().unwrap_or_default(), cluster.name_any());
            touched_clusters.send(Change::Cluster(key)).ok();
        }
    });
    let watched_topics = watcher(api::<KafkaTopic>(client, namespace), watcher::Config::default())
        .default_backoff()
        .modify(|topic| topic.managed_fields_mut().clear())
        .reflect(topics_written);
    let watched_topics = touched(watched_topics, context.topics.clone());
    let cluster_changes = split(changed, to_topics);
    let clusters = cluster::run(
        context.clone(),
        caches,
        defaults,
        watched_clusters,
        futures::stream::select(triggers, cluster_changes),
    );
    let topics = topic::run(context, watched_topics, received(topic_changes));
    future::join(clusters, topics).await;
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Sends each change to topics, and those of clusters to these too.
fn split(
    mut changed: mpsc::UnboundedReceiver<Change>,
    to_topics: mpsc::UnboundedSender<Change>,
) -> impl Stream<Item = ObjectRef<KafkaCluster>> + Send {
    let (to_clusters, clusters) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(change) = changed.recv().await {
            if let Change::Cluster(key) = &change {
                to_clusters.send(key.object_ref()).ok();
            }
            to_topics.send(change).ok();
        }
    });
    received(clusters)
}
