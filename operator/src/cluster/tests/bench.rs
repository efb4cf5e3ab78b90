//! Everything around the reconciler of clusters: an API server, its controllers, watches that deliver when they are told to,
//! and an admin service for each cluster.

use crate::admin::{ClusterKey, Links};
use crate::cluster::caches::Caches;
use crate::cluster::processes::Processes;
use crate::cluster::situation::Process;
use crate::cluster::validate::Defaults;
use crate::cluster::{Error, Room, STEP_TIME_MAX};
use crate::context::Context;
use crate::crd::{Condition, KafkaCluster, KafkaClusterStatus, KafkaTopic};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::resources::{names, ports};
use crate::retry::Retries;
use crate::testing::admin::{Call, FakeAdmin};
use crate::testing::kubernetes::{FakeKubernetes, Write};
use crate::testing::workloads;
use barnabas::metrics::http::Exposition;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::{Writer, store};
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// Reconciling more often than this without coming to rest is going round in circles.
const ROUNDS_MAX: usize = 80;
const CORE: &str = "/api/v1/namespaces/ns";

pub struct Bench {
    pub kubernetes: FakeKubernetes,
    pub admins: BTreeMap<String, FakeAdmin>,
    pub room: Arc<Room>,
    watches: Watches,
    /// Clusters of which a link knows where pods are.
    reached: BTreeSet<String>,
}

/// Where an object is, as `statefulsets/c-broker`.
pub fn path(object: &str) -> String {
    match object.split_once('/').expect("it is a kind and a name").0 {
        "kafkaclusters" => format!("/apis/barnabas.dev/v1alpha1/namespaces/ns/{object}"),
        "statefulsets" => format!("/apis/apps/v1/namespaces/ns/{object}"),
        "networkpolicies" => format!("/apis/networking.k8s.io/v1/namespaces/ns/{object}"),
        "poddisruptionbudgets" => format!("/apis/policy/v1/namespaces/ns/{object}"),
        _ => format!("{CORE}/{object}"),
    }
}

pub fn key(name: &str) -> ClusterKey {
    ClusterKey::new("ns", name)
}

impl Bench {
    /// An empty namespace of a Kubernetes of three nodes, and an admin service for each of these clusters.
    pub async fn new(clusters: &[&str]) -> Bench {
        let kubernetes = FakeKubernetes::default();
        for number in 0..3 {
            let name = format!("node-{number}");
            let node = json!({ "apiVersion": "v1", "kind": "Node",
                "metadata": { "name": name, "labels": { "topology.kubernetes.io/zone": format!("r{number}") } },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }],
                    "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] } });
            kubernetes.put(&format!("/api/v1/nodes/{name}"), node);
        }
        let mut admins = BTreeMap::new();
        for name in clusters {
            admins.insert((*name).to_owned(), FakeAdmin::start_on(ports::ADMIN.number as u16, 0).await);
        }
        let (room, watches) = started(&kubernetes);
        Bench { kubernetes, admins, room, watches, reached: BTreeSet::new() }
    }

    /// A namespace with the cluster `c`, of three brokers, which has come to rest.
    pub async fn settled() -> Bench {
        let mut bench = Bench::new(&["c"]).await;
        bench.apply("c", |_| ());
        bench.converge("c").await;
        bench
    }

    /// Somebody makes or changes a KafkaCluster.
    pub fn apply(&mut self, name: &str, change: impl FnOnce(&mut KafkaCluster)) {
        let known = self.kubernetes.get(&path(&format!("kafkaclusters/{name}")));
        let mut cluster: KafkaCluster = match known {
            Some(known) => serde_json::from_value(known).unwrap(),
            None => made(name),
        };
        *cluster.metadata.generation.get_or_insert_default() += 1;
        change(&mut cluster);
        self.kubernetes.put(&path(&format!("kafkaclusters/{name}")), serde_json::to_value(&cluster).unwrap());
        self.deliver();
    }

    /// The watches deliver what has happened since.
    pub fn deliver(&mut self) {
        self.watches.deliver();
    }

    /// The operator is started again and knows only what Kubernetes and the clusters tell it.
    pub fn restart(&mut self) {
        (self.room, self.watches) = started(&self.kubernetes);
        self.reached.clear();
    }

    /// The operator waits for no answer for longer than this.
    pub fn wait_at_most(&mut self, time: Duration) {
        Arc::get_mut(&mut self.room).expect("nothing is under way").step_time_max = time;
    }

    /// Reconciles what the caches show, as the controller does, and lets the watches deliver what came of it.
    pub async fn outcome(&mut self, name: &str) -> Result<Action, Error> {
        self.deliver();
        // Statuses that say nothing new but numbers are written at most once a second: here that second has passed.
        self.room.told.lock().unwrap().clear();
        let cluster = self.room.context.clusters.get(&key(name).object_ref()).expect("the cache shows it");
        let pods = crate::cluster::caches::of(&self.room.caches.pods, &key(name));
        let runs = pods.iter().any(|pod| crate::cluster::observe::process(pod) == Process::Running);
        let done = crate::cluster::reconcile(cluster, self.room.clone()).await;
        match runs {
            true => self.reached.insert(name.to_owned()),
            false => self.reached.remove(name),
        };
        self.deliver();
        self.hear(name).await;
        done
    }

    /// The same where it has to go well. Gives what was written.
    pub async fn reconcile(&mut self, name: &str) -> Vec<String> {
        self.outcome(name).await.unwrap();
        self.writes()
    }

    /// Kubernetes' controllers do their part, and pods that run join the cluster.
    pub async fn settle(&mut self, name: &str) {
        let admin = &self.admins[name];
        let address: SocketAddr = admin.address.parse().unwrap();
        let mut processes = workloads::settle(&self.kubernetes, name, &address.ip().to_string());
        processes.retain(|id, _| *id < names::FIRST_CONTROLLER_ID);
        admin.change(|state| state.set_processes(&processes));
        self.deliver();
        self.hear(name).await;
    }

    /// Lets everything happen until nothing happens any more: a round in which nothing is written and nothing asked for.
    /// Gives what was written and what the cluster was asked for. An operator that dies is started again.
    pub async fn converge(&mut self, name: &str) -> (Vec<String>, Vec<Call>) {
        let (mut writes, mut calls) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            self.settle(name).await;
            let done = self.outcome(name).await;
            self.admins[name].finish_moves();
            if self.kubernetes.revive() {
                self.restart();
            }
            let (written, asked) = (self.writes(), self.admins[name].calls());
            let rests = done.is_ok_and(|action| action == Action::await_change());
            if rests && written.is_empty() && asked.is_empty() && self.is_at_rest(name) {
                return (writes, calls);
            }
            writes.extend(written);
            calls.extend(asked);
        }
        let status = self.status(name);
        panic!("{name} does not come to rest: {status:#?}, {calls:?}, {writes:?}");
    }

    /// Whether Kubernetes' controllers have nothing left to do.
    fn is_at_rest(&self, name: &str) -> bool {
        let before = self.kubernetes.objects();
        let address: SocketAddr = self.admins[name].address.parse().unwrap();
        workloads::settle(&self.kubernetes, name, &address.ip().to_string());
        before == self.kubernetes.objects()
    }

    /// Returns once the link shows what the cluster says, where anything of it is reached.
    pub async fn hear(&self, name: &str) {
        let Some(link) = self.room.context.links.of(&key(name)) else { return };
        if !self.reached.contains(name) {
            return;
        }
        let state = self.admins[name].state();
        link.shows(|view| {
            let topics = view.topics.values().map(|topic| (**topic).clone());
            view.is_live && *view.state == state.cluster && topics.eq(state.topics.values().cloned())
        })
        .await;
    }

    /// Returns once the API server has it so, delivering what happens meanwhile.
    pub async fn sees(&mut self, suits: impl Fn(&FakeKubernetes) -> bool) {
        while !suits(&self.kubernetes) {
            let (object, is_there) = self.watches.changes.recv().await.expect("the API server goes on");
            self.watches.tell(&object, is_there);
        }
    }

    /// What was written since this was asked last, as `PATCH statefulsets/c-broker` and `Event Ready`.
    pub fn writes(&self) -> Vec<String> {
        self.kubernetes.writes().into_iter().map(word).collect()
    }

    pub fn status(&self, name: &str) -> KafkaClusterStatus {
        let cluster = self.kubernetes.get(&path(&format!("kafkaclusters/{name}"))).expect("it is there");
        serde_json::from_value(cluster["status"].clone()).expect("it has one")
    }

    pub fn condition(&self, name: &str, type_: &str) -> Condition {
        let status = self.status(name);
        status.conditions.into_iter().find(|condition| condition.type_ == type_).expect("there is such a condition")
    }

    /// Whether something is so, and why: `Ready True Ready`.
    pub fn says(&self, type_: &str) -> String {
        let condition = self.condition("c", type_);
        format!("{type_} {:?} {}", condition.status, condition.reason)
    }

    /// The object, as `statefulsets/c-broker`.
    pub fn get(&self, object: &str) -> Option<Value> {
        self.kubernetes.get(&path(object))
    }

    /// Somebody changes an object, and the watches tell of it.
    pub fn change(&mut self, object: &str, change: impl FnOnce(&mut Value)) {
        self.kubernetes.change(&path(object), change);
        self.deliver();
    }

    pub fn remove(&mut self, object: &str) {
        self.kubernetes.remove(&path(object));
        self.deliver();
    }

    /// The value of a metric: `barnabas_operator_drift_total{kind="Service"}`. 0: nothing was counted yet.
    pub fn metric(&self, series: &str) -> u64 {
        let text = String::from_utf8(self.room.context.metrics.render()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// The container of a pod is another process now, which runs or has ended.
    pub fn container(&mut self, pod: &str, restarts: i32, state: Value) {
        let runs = !state["running"].is_null();
        self.change(&format!("pods/{pod}"), |pod| {
            pod["status"]["containerStatuses"][0]["state"] = state;
            pod["status"]["containerStatuses"][0]["restartCount"] = restarts.into();
            pod["status"]["conditions"][0]["status"] = if runs { "True" } else { "False" }.into();
        });
    }
}

fn made(name: &str) -> KafkaCluster {
    let mut cluster = KafkaCluster::new(name, Default::default());
    cluster.metadata.namespace = Some("ns".into());
    cluster.metadata.uid = Some(format!("uid-of-{name}"));
    cluster.spec.brokers.replicas = 3;
    cluster.spec.brokers.rack_topology_key = "topology.kubernetes.io/zone".into();
    cluster
}

fn word(write: Write) -> String {
    let reason = write.body["reason"].as_str().unwrap_or("?");
    match write.what.as_str() {
        "POST events" => format!("Event {reason}"),
        what => what.to_owned(),
    }
}

fn started(kubernetes: &FakeKubernetes) -> (Arc<Room>, Watches) {
    let mut watches = Watches { changes: kubernetes.watch(), takers: Vec::new() };
    let all: Vec<Value> = kubernetes.objects().into_values().collect();
    let clusters: Store<KafkaCluster> = watches.shown(&all);
    let topics: Store<KafkaTopic> = watches.shown(&all);
    let caches = Caches {
        stateful_sets: watches.shown::<StatefulSet>(&all),
        pods: watches.shown::<Pod>(&all),
        claims: watches.shown::<PersistentVolumeClaim>(&all),
        services: watches.shown::<Service>(&all),
        config_maps: watches.shown::<ConfigMap>(&all),
        service_accounts: watches.shown::<ServiceAccount>(&all),
        network_policies: watches.shown::<NetworkPolicy>(&all),
        disruption_budgets: watches.shown::<PodDisruptionBudget>(&all),
        nodes: watches.shown::<Node>(&all),
        read: tokio::sync::watch::channel(true).1,
    };
    let (sender, _) = tokio::sync::mpsc::unbounded_channel();
    let client = kubernetes.client();
    let events = Events::new(client.clone(), None);
    let links = Arc::new(Links::new(sender));
    let (metrics, scope) = (Arc::new(Metrics::default()), String::new());
    let (_, clusters_read) = tokio::sync::watch::channel(true);
    let context = Context { client, links, metrics, events, clusters, clusters_read, topics, scope };
    let defaults =
        Defaults { image: "example.com/barnabas:1".into(), cluster_domain: "cluster.local".into(), operator: None };
    let room = Room {
        began: Instant::now(),
        step_time_max: STEP_TIME_MAX,
        context: Arc::new(context),
        caches,
        defaults,
        retries: Retries::default(),
        told: Mutex::default(),
        processes: Processes::default(),
        seen: Default::default(),
    };
    (Arc::new(room), watches)
}

/// Takes an object, and whether it is there still.
type Taker = Box<dyn FnMut(&Value, bool) + Send>;

/// The watches of one run of the operator. Objects without the label of a cluster are told to nobody, as by the API server.
struct Watches {
    changes: UnboundedReceiver<(Value, bool)>,
    takers: Vec<Taker>,
}

impl Watches {
    fn deliver(&mut self) {
        while let Ok((object, is_there)) = self.changes.try_recv() {
            self.tell(&object, is_there);
        }
    }

    fn tell(&mut self, object: &Value, is_there: bool) {
        self.takers.iter_mut().for_each(|taker| taker(object, is_there));
    }

    /// A store that shows those of `all` that are of its kind, and what the watches deliver.
    fn shown<K>(&mut self, all: &[Value]) -> Store<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let (reader, mut writer): (Store<K>, Writer<K>) = store();
        writer.apply_watcher_event(&Event::Init);
        all.iter().filter_map(read).for_each(|one| writer.apply_watcher_event(&Event::InitApply(one)));
        writer.apply_watcher_event(&Event::InitDone);
        self.takers.push(Box::new(move |object, is_there| {
            if let Some(object) = read(object) {
                let event = if is_there { Event::Apply(object) } else { Event::Delete(object) };
                writer.apply_watcher_event(&event);
            }
        }));
        reader
    }
}

fn read<K: Resource<DynamicType = ()> + DeserializeOwned>(object: &Value) -> Option<K> {
    let is_watched = matches!(object["kind"].as_str(), Some("KafkaCluster" | "KafkaTopic" | "Node"))
        || !object["metadata"]["labels"]["barnabas.dev/cluster"].is_null();
    let is_of_kind = object["kind"] == K::kind(&()).as_ref() && is_watched;
    is_of_kind.then(|| serde_json::from_value(object.clone()).expect("it is one"))
}
