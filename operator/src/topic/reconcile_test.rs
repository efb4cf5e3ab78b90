//! Reconciling against an API server and a cluster in memory.

use super::fixture::{Made, cluster, resource, stored};
use super::plan::FINALIZER;
use super::steps::{Error, Topics};
use super::{Change, run};
use crate::admin::proto::Config;
use crate::admin::{ClusterKey, Links};
use crate::context::Context;
use crate::crd::{ConditionStatus, KafkaCluster, KafkaTopic, TopicDeletionPolicy};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::testing::admin::{Call, FakeAdmin, refusal};
use crate::testing::kubernetes::{Failure, FakeKubernetes};
use futures::StreamExt;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// Everything around the reconciler of topics.
struct Bench {
    kubernetes: FakeKubernetes,
    admin: FakeAdmin,
    context: Arc<Context>,
    topics: Topics,
    shown: Writer<KafkaTopic>,
    clusters: Writer<KafkaCluster>,
    changes: UnboundedReceiver<Change>,
}

fn path(name: &str) -> String {
    format!("/apis/barnabas.dev/v1alpha1/namespaces/ns/kafkatopics/{name}")
}

fn reference(name: &str) -> ObjectRef<KafkaTopic> {
    ObjectRef::new(name).within("ns")
}

fn key() -> ClusterKey {
    ClusterKey::new("ns", "c")
}

impl Bench {
    async fn new() -> Bench {
        let (kubernetes, admin) = (FakeKubernetes::default(), FakeAdmin::start(3).await);
        let (sender, changes) = tokio::sync::mpsc::unbounded_channel();
        let links = Arc::new(Links::new(sender));
        links.reach(&key(), BTreeMap::from([(0, admin.address.clone())])).shows(|view| view.is_live).await;
        let ((clusters, clusters_writer), (topics, shown)) = (stored([cluster(3)]), stored([]));
        let client = kubernetes.client();
        let events = Events::new(client.clone(), None);
        let metrics = Arc::new(Metrics::default());
        let (_, clusters_read) = tokio::sync::watch::channel(true);
        let scope = String::new();
        let context = Arc::new(Context { client, links, metrics, events, clusters, clusters_read, topics, scope });
        let topics = Topics::new(context.clone());
        Bench { kubernetes, admin, context, topics, shown, clusters: clusters_writer, changes }
    }

    /// Somebody applies a resource.
    fn apply(&mut self, made: Made) {
        let resource = made.built();
        self.kubernetes.put(&path(&resource.name_any()), serde_json::to_value(&resource).unwrap());
        self.show(&resource.name_any());
    }

    /// The cache shows what the API server has.
    fn show(&mut self, name: &str) {
        match self.stored(name) {
            Some(resource) => {
                self.topics.note(&resource, true);
                self.shown.apply_watcher_event(&Event::Apply(resource));
            }
            None => {
                if let Some(gone) = self.context.topics.get(&reference(name)) {
                    self.topics.note(&gone, false);
                    self.shown.apply_watcher_event(&Event::Delete((*gone).clone()));
                }
            }
        }
    }

    fn stored(&self, name: &str) -> Option<KafkaTopic> {
        self.kubernetes.get(&path(name)).map(|value| serde_json::from_value(value).unwrap())
    }

    /// Reconciles what the cache shows, which is told of the outcome. Gives what was written.
    async fn reconcile(&mut self, name: &str) -> Vec<String> {
        self.outcome(name).await.unwrap();
        self.show(name);
        self.writes()
    }

    async fn outcome(&self, name: &str) -> Result<kube::runtime::controller::Action, Error> {
        let resource = self.context.topics.get(&reference(name)).expect("the cache shows it");
        self.topics.reconcile(&resource).await
    }

    fn writes(&self) -> Vec<String> {
        let event = |body: &serde_json::Value| format!("Event {}", body["reason"].as_str().unwrap_or("?"));
        let write = |write: crate::testing::kubernetes::Write| match write.what.as_str() {
            "POST events" => event(&write.body),
            what => what.to_owned(),
        };
        self.kubernetes.writes().into_iter().map(write).collect()
    }

    /// Changes the KafkaCluster.
    fn cluster(&mut self, change: impl FnOnce(&mut KafkaCluster)) {
        let mut changed = cluster(3);
        change(&mut changed);
        self.clusters.apply_watcher_event(&Event::Apply(changed));
    }

    fn delete(&mut self, name: &str) {
        let mut value = self.kubernetes.get(&path(name)).unwrap();
        value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        self.kubernetes.put(&path(name), value);
        self.show(name);
    }

    async fn seen(&self, suits: impl Fn(&crate::admin::View) -> bool) {
        self.context.links.of(&key()).unwrap().shows(suits).await;
    }

    fn ready(&self, name: &str) -> (ConditionStatus, String) {
        let status = self.stored(name).unwrap().status.unwrap();
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready").unwrap();
        (ready.status, ready.reason.clone())
    }
}

const HELD: &str = "PATCH kafkatopics/t";
const SAID: &str = "PATCH kafkatopics/t/status";

#[tokio::test]
async fn a_topic_is_created_with_three_writes_and_a_converged_one_causes_none() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t").sized(3, 2).set("retention.ms", "1000"));
    // The cache shows nothing of it yet when the topic appears and reconciles the resource again.
    bench.outcome("t").await.unwrap();
    assert_eq!(bench.writes(), [HELD, SAID, "Event Created"]);
    bench.outcome("t").await.unwrap();
    assert!(bench.writes().is_empty());
    bench.show("t");
    assert!(bench.reconcile("t").await.is_empty());
    let status = bench.stored("t").unwrap().status.unwrap();
    assert_eq!(bench.ready("t"), (ConditionStatus::True, "AsWanted".into()));
    assert_eq!((status.partitions, status.replication_factor, status.assignment.len()), (3, 2, 3));
    assert_eq!(status.topic_id.as_deref(), Some("id-1"));
    assert_eq!(bench.admin.calls().len(), 1);
}

#[tokio::test]
async fn a_resource_that_retains_its_topic_is_not_held() {
    let mut bench = Bench::new().await;
    let retains = |resource: &mut KafkaTopic| resource.spec.deletion_policy = TopicDeletionPolicy::Retain;
    bench.apply(resource("t").with(retains));
    assert_eq!(bench.reconcile("t").await, [SAID, "Event Created"]);
    let mut edited = bench.stored("t").unwrap();
    edited.spec.deletion_policy = TopicDeletionPolicy::Delete;
    bench.kubernetes.put(&path("t"), serde_json::to_value(&edited).unwrap());
    bench.show("t");
    assert_eq!(bench.reconcile("t").await, [HELD]);
    assert_eq!(bench.stored("t").unwrap().finalizers(), [FINALIZER]);
    let mut edited = bench.stored("t").unwrap();
    retains(&mut edited);
    bench.kubernetes.put(&path("t"), serde_json::to_value(&edited).unwrap());
    bench.show("t");
    assert_eq!(bench.reconcile("t").await, [HELD]);
    assert!(bench.stored("t").unwrap().finalizers().is_empty());
}

#[tokio::test]
async fn errors_of_the_api_server_are_tried_again_until_all_is_done() {
    let failures = [409, 429, 500, 503, 504].map(Failure::Code).into_iter().chain([Failure::Broken]);
    for failure in failures {
        for before in 0..3 {
            let mut bench = Bench::new().await;
            bench.apply(resource("t"));
            // The write of the finalizer fails, or that of the status, or that of the event, which is no matter.
            let mut attempts = 0;
            bench.kubernetes.fail((0..before).map(|_| Failure::Code(429)).chain([failure]));
            while bench.outcome("t").await.is_err() {
                attempts += 1;
                bench.show("t");
            }
            assert!(attempts <= before + 1, "{failure:?}");
            assert_eq!(bench.ready("t").0, ConditionStatus::True);
            assert_eq!(bench.stored("t").unwrap().finalizers(), [FINALIZER]);
        }
    }
}

#[tokio::test]
async fn a_status_that_could_not_be_written_is_written_later_and_the_topic_is_not_made_twice() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.outcome("t").await.unwrap();
    bench.admin.calls();
    bench.admin.change(|state| state.topics.clear());
    bench.seen(|view| view.topics.is_empty()).await;
    bench.show("t");
    bench.kubernetes.fail([Failure::Code(500)]);
    bench.writes();
    bench.outcome("t").await.unwrap_err();
    bench.show("t");
    bench.reconcile("t").await;
    assert_eq!(bench.admin.calls().len(), 1);
    assert_eq!(bench.stored("t").unwrap().status.unwrap().topic_id.as_deref(), Some("id-2"));
}

#[tokio::test]
async fn a_resource_that_is_gone_is_no_error() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.kubernetes.fail([Failure::Code(404)]);
    assert_eq!(bench.reconcile("t").await, [HELD]);
}

#[tokio::test]
async fn a_topic_that_exists_is_adopted_and_changed() {
    let mut bench = Bench::new().await;
    let id = bench.admin.make("t", &[&[0]]);
    bench.seen(|view| view.topics.contains_key("t")).await;
    bench.apply(resource("t").sized(2, 1).set("retention.ms", "5"));
    let writes = bench.reconcile("t").await;
    assert_eq!(writes, [HELD, SAID, "Event ConfigChanged", "Event PartitionsAdded", "Event Adopted"]);
    assert_eq!(bench.stored("t").unwrap().status.unwrap().topic_id, Some(id));
    let topic = &bench.admin.state().topics["t"];
    assert_eq!((topic.partitions.len(), topic.configs[0].value.as_str()), (2, "5"));
    assert!(bench.reconcile("t").await.is_empty());
}

#[tokio::test]
async fn a_topic_whose_configuration_is_not_named_is_left_alone_until_it_is() {
    let mut bench = Bench::new().await;
    bench.admin.make("t", &[&[0]]);
    let config = |name: &str, value: &str| Config { name: name.into(), value: value.into() };
    let kept = config("retention.ms", "-1");
    bench.admin.change(|state| state.topics.get_mut("t").unwrap().configs = vec![kept.clone()]);
    bench.seen(|view| view.topics.get("t").is_some_and(|topic| !topic.configs.is_empty())).await;
    bench.apply(resource("t").sized(2, 1));
    assert_eq!(bench.reconcile("t").await, [SAID, "Event UnnamedConfig"]);
    assert_eq!(bench.ready("t"), (ConditionStatus::False, "UnnamedConfig".into()));
    assert!(bench.stored("t").unwrap().status.unwrap().message.contains("retention.ms=-1"));
    assert!(bench.reconcile("t").await.is_empty(), "it is told once");
    assert!(bench.admin.calls().is_empty());
    assert_eq!(bench.admin.state().topics["t"].configs, [kept]);
    bench.delete("t");
    assert!(bench.stored("t").is_none(), "nothing holds it");
    bench.apply(resource("t").sized(2, 1).set("retention.ms", "-1"));
    assert_eq!(bench.reconcile("t").await, [HELD, SAID, "Event PartitionsAdded", "Event Adopted"]);
    // Now it is this resource's, and what others set is unset.
    let added = config("flush.ms", "5");
    bench.admin.change(|state| state.topics.get_mut("t").unwrap().configs.push(added));
    bench.seen(|view| view.topics["t"].configs.len() == 2).await;
    assert_eq!(bench.reconcile("t").await, ["Event ConfigChanged"]);
    assert_eq!(bench.admin.state().topics["t"].configs.len(), 1);
}

#[tokio::test]
async fn a_topic_that_was_retained_is_adopted_again_without_a_word_of_its_configuration() {
    let mut bench = Bench::new().await;
    let retains = |resource: &mut KafkaTopic| resource.spec.deletion_policy = TopicDeletionPolicy::Retain;
    let kept = || resource("t").with(retains).set("retention.ms", "5").set("flush.ms", "6");
    bench.apply(kept());
    bench.reconcile("t").await;
    bench.delete("t");
    bench.show("t");
    assert!(bench.stored("t").is_none());
    bench.admin.calls();
    bench.apply(kept());
    assert_eq!(bench.reconcile("t").await, [SAID, "Event Adopted"]);
    assert_eq!(bench.ready("t").0, ConditionStatus::True);
    assert!(bench.admin.calls().is_empty());
}

#[tokio::test]
async fn a_topic_that_exists_is_left_alone_where_nothing_is_adopted() {
    let mut bench = Bench::new().await;
    bench.admin.make("t", &[&[0]]);
    bench.seen(|view| view.topics.contains_key("t")).await;
    bench.apply(resource("t").sized(2, 1).with(|resource| resource.spec.adopt = false));
    assert_eq!(bench.reconcile("t").await, [SAID, "Event TopicExists"]);
    assert!(bench.reconcile("t").await.is_empty(), "it is told once");
    assert!(bench.admin.calls().is_empty());
    bench.delete("t");
    assert!(bench.stored("t").is_none(), "nothing holds it");
    // One that is free is created, and that is said first.
    bench.apply(resource("free").with(|resource| resource.spec.adopt = false));
    let writes = bench.reconcile("free").await;
    assert_eq!(writes[1..], ["PATCH kafkatopics/free/status", "PATCH kafkatopics/free/status", "Event Created"]);
    assert_eq!(bench.ready("free").0, ConditionStatus::True);
}

#[tokio::test]
async fn a_topic_that_somebody_creates_first_is_adopted() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.admin.change(|state| drop(state.refusals.insert("create_topics", refusal("TOPIC_ALREADY_EXISTS"))));
    let (outcome, ()) = tokio::join!(bench.outcome("t"), async {
        while bench.admin.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.admin.make("t", &[&[1]]);
    });
    outcome.unwrap();
    assert_eq!(bench.writes(), [HELD, SAID, "Event Adopted"]);
}

#[tokio::test]
async fn what_others_do_to_a_topic_is_put_back_and_told() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t").set("retention.ms", "5"));
    bench.reconcile("t").await;
    bench.admin.change(|state| state.topics.get_mut("t").unwrap().configs[0].value = "6".into());
    bench.seen(|view| view.topics["t"].configs[0].value == "6").await;
    assert_eq!(bench.reconcile("t").await, ["Event ConfigChanged"]);
    assert_eq!(bench.admin.state().topics["t"].configs[0].value, "5");
    bench.admin.change(|state| state.topics.clear());
    bench.seen(|view| view.topics.is_empty()).await;
    assert_eq!(bench.reconcile("t").await, [SAID, "Event Recreated"]);
    assert_eq!(bench.stored("t").unwrap().status.unwrap().topic_id.as_deref(), Some("id-2"));
}

#[tokio::test]
async fn a_change_of_the_replication_factor_is_ready_when_the_moves_are_done() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t").sized(2, 1));
    bench.reconcile("t").await;
    let mut wider = bench.stored("t").unwrap();
    (wider.spec.replication_factor, wider.metadata.generation) = (Some(2), Some(2));
    bench.kubernetes.put(&path("t"), serde_json::to_value(&wider).unwrap());
    bench.show("t");
    assert_eq!(bench.reconcile("t").await, [SAID, "Event Moving"]);
    assert_eq!(bench.ready("t"), (ConditionStatus::False, "Moving".into()));
    assert_eq!(bench.stored("t").unwrap().status.unwrap().moving, 2);
    assert!(bench.reconcile("t").await.is_empty());
    bench.admin.finish_moves();
    bench.seen(|view| view.topics["t"].partitions.iter().all(|one| one.adding.is_empty())).await;
    assert_eq!(bench.reconcile("t").await, [SAID, "Event Moved"]);
    assert_eq!(bench.ready("t").0, ConditionStatus::True);
}

#[tokio::test]
async fn a_refusal_of_the_cluster_is_said_once_and_tried_again() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.admin.change(|state| drop(state.refusals.insert("create_topics", refusal("POLICY_VIOLATION"))));
    assert!(matches!(bench.outcome("t").await, Err(Error::Refused(_))));
    assert_eq!(bench.writes(), [HELD, SAID, "Event Refused"]);
    bench.show("t");
    assert!(bench.outcome("t").await.is_err());
    assert!(bench.writes().is_empty());
    bench.admin.change(|state| state.refusals.clear());
    bench.reconcile("t").await;
    assert_eq!(bench.ready("t").0, ConditionStatus::True);
}

#[tokio::test]
async fn a_refusal_of_what_has_to_be_announced_is_not_asked_for_again_at_once() {
    let mut bench = Bench::new().await;
    let wanted = || resource("t").with(|resource| resource.spec.adopt = false);
    bench.apply(wanted());
    bench.admin.change(|state| drop(state.refusals.insert("create_topics", refusal("INVALID_TOPIC_EXCEPTION"))));
    assert!(matches!(bench.outcome("t").await, Err(Error::Refused(_))));
    bench.show("t");
    bench.writes();
    bench.admin.calls();
    for _ in 0..3 {
        assert!(bench.outcome("t").await.is_ok_and(|action| action != Action::await_change()));
    }
    assert!(bench.writes().is_empty() && bench.admin.calls().is_empty());
    bench.admin.change(|state| state.refusals.clear());
    bench.apply(wanted().with(|resource| resource.metadata.generation = Some(2)));
    bench.reconcile("t").await;
    assert_eq!(bench.ready("t").0, ConditionStatus::True, "another spec is another question");
}

#[tokio::test]
async fn deleting_the_resource_deletes_its_topic() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.reconcile("t").await;
    bench.admin.calls();
    bench.delete("t");
    assert_eq!(bench.reconcile("t").await, [HELD, "Event Deleted"]);
    assert!(bench.stored("t").is_none());
    assert!(matches!(&bench.admin.calls()[..], [Call::DeleteTopics(_)]));
    assert!(bench.admin.state().topics.is_empty());
}

#[tokio::test]
async fn a_topic_that_was_made_again_by_others_outlives_the_resource() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.reconcile("t").await;
    bench.admin.change(|state| state.topics.clear());
    bench.admin.make("t", &[&[0]]);
    bench.delete("t");
    bench.reconcile("t").await;
    assert!(bench.stored("t").is_none());
    assert!(bench.admin.state().topics.contains_key("t"));
}

#[tokio::test]
async fn nothing_is_asked_of_a_cluster_that_is_gone_or_leaves() {
    for is_there in [false, true] {
        let mut bench = Bench::new().await;
        bench.apply(resource("t"));
        bench.reconcile("t").await;
        bench.admin.calls();
        match is_there {
            true => bench.cluster(|cluster| cluster.metadata.deletion_timestamp = Some(super::fixture::time(9))),
            false => bench.clusters.apply_watcher_event(&Event::Delete(cluster(3))),
        }
        bench.delete("t");
        assert_eq!(bench.reconcile("t").await, [HELD]);
        assert!(bench.stored("t").is_none() && bench.admin.calls().is_empty());
    }
}

#[tokio::test]
async fn a_deletion_waits_for_a_cluster_that_is_stopped_and_says_so() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.reconcile("t").await;
    bench.cluster(|cluster| cluster.spec.stopped = true);
    bench.delete("t");
    assert_eq!(bench.reconcile("t").await, [SAID]);
    let message = bench.stored("t").unwrap().status.unwrap().message;
    assert!(message.contains("is to be deleted") && message.contains("stopped"), "{message}");
    bench.cluster(|_| ());
    bench.reconcile("t").await;
    assert!(bench.stored("t").is_none());
}

#[tokio::test]
async fn a_paused_cluster_keeps_its_topics_as_they_are() {
    let mut bench = Bench::new().await;
    bench.apply(resource("t"));
    bench.reconcile("t").await;
    bench.admin.calls();
    bench.cluster(|cluster| cluster.spec.paused = true);
    bench.admin.change(|state| state.topics.clear());
    assert_eq!(bench.reconcile("t").await, [SAID]);
    assert!(bench.reconcile("t").await.is_empty() && bench.admin.calls().is_empty());
    assert_eq!(bench.ready("t").0, ConditionStatus::True);
    assert_eq!(bench.stored("t").unwrap().status.unwrap().message, "paused");
}

#[tokio::test]
async fn a_cluster_without_a_controller_is_not_called() {
    let mut bench = Bench::new().await;
    bench.admin.change(|state| state.cluster.active_controller_id = None);
    bench.seen(|view| view.state.active_controller_id.is_none()).await;
    bench.apply(resource("t"));
    assert_eq!(bench.reconcile("t").await, [SAID]);
    assert_eq!(bench.ready("t"), (ConditionStatus::Unknown, "ClusterNotReady".into()));
    assert!(bench.admin.calls().is_empty());
}

/// Runs the controller itself on what the API server tells.
async fn controlled(bench: Bench, meanwhile: impl AsyncFnOnce(&FakeKubernetes, &FakeAdmin)) {
    let Bench { kubernetes, admin, context, mut shown, changes, clusters, .. } = bench;
    let watched = futures::stream::unfold(kubernetes.watch(), async |mut events| {
        let told = events.recv().await?;
        Some((told, events))
    });
    let touched = watched.filter_map(move |(value, is_there)| {
        let resource = serde_json::from_value::<KafkaTopic>(value).ok().filter(|one| one.metadata.uid.is_some());
        if let Some(resource) = resource.clone() {
            shown.apply_watcher_event(&if is_there { Event::Apply(resource) } else { Event::Delete(resource) });
        }
        std::future::ready(resource.map(Ok))
    });
    let changes = futures::stream::unfold(changes, async |mut changes| Some((changes.recv().await?, changes)));
    tokio::select! {
        () = run(context, touched, changes) => unreachable!("it goes on for ever"),
        () = meanwhile(&kubernetes, &admin) => {}
    }
    drop(clusters);
}

async fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it takes too long");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn is_ready(kubernetes: &FakeKubernetes, name: &str) -> bool {
    let status = kubernetes.get(&path(name)).map(|value| value["status"].clone()).unwrap_or_default();
    status["conditions"][0]["status"] == "True"
}

fn put(kubernetes: &FakeKubernetes, made: Made) {
    let resource = made.built();
    kubernetes.put(&path(&resource.name_any()), serde_json::to_value(&resource).unwrap());
}

#[tokio::test]
async fn a_thousand_topics_are_ready_within_seconds_and_with_three_writes_each() {
    const COUNT: usize = 1000;
    controlled(Bench::new().await, async |kubernetes, admin| {
        for number in 0..COUNT {
            put(kubernetes, resource(&format!("t{number}")).sized(1, 2));
        }
        until(|| (0..COUNT).all(|number| is_ready(kubernetes, &format!("t{number}")))).await;
        assert_eq!(admin.calls().len(), COUNT);
        until(|| kubernetes.count() >= 3 * COUNT).await;
        // Whatever was written later would be written by a reconciling of these.
        put(kubernetes, resource("last"));
        until(|| kubernetes.count() >= 3 * COUNT + 3).await;
        assert_eq!(kubernetes.writes().len(), 3 * COUNT + 3);
    })
    .await;
}

#[tokio::test]
async fn when_the_owner_goes_the_next_takes_over() {
    controlled(Bench::new().await, async |kubernetes, admin| {
        put(kubernetes, resource("old").about("t").at(1));
        until(|| is_ready(kubernetes, "old")).await;
        put(kubernetes, resource("young").about("t").at(2));
        let conflicts = || kubernetes.get(&path("young")).unwrap()["status"]["conditions"][0]["reason"] == "Conflict";
        until(conflicts).await;
        let mut leaving = kubernetes.get(&path("old")).unwrap();
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        kubernetes.put(&path("old"), leaving);
        until(|| is_ready(kubernetes, "young")).await;
        assert!(kubernetes.get(&path("old")).is_none());
        assert_eq!(admin.state().topics["t"].id, "id-2");
    })
    .await;
}

#[tokio::test]
async fn a_topic_waits_for_brokers_and_is_created_when_they_come() {
    let bench = Bench::new().await;
    bench.admin.change(|state| state.cluster.brokers[2].fenced = true);
    bench.seen(|view| view.state.brokers[2].fenced).await;
    controlled(bench, async |kubernetes, admin| {
        put(kubernetes, resource("t").sized(1, 3));
        let waits = || kubernetes.get(&path("t")).unwrap()["status"]["conditions"][0]["reason"] == "NotEnoughBrokers";
        until(waits).await;
        admin.change(|state| state.cluster.brokers[2].fenced = false);
        until(|| is_ready(kubernetes, "t")).await;
    })
    .await;
}

#[tokio::test]
async fn a_topic_is_put_back_as_soon_as_the_cluster_tells_of_it() {
    controlled(Bench::new().await, async |kubernetes, admin| {
        put(kubernetes, resource("t").set("retention.ms", "5"));
        until(|| is_ready(kubernetes, "t")).await;
        admin.change(|state| state.topics.get_mut("t").unwrap().configs.clear());
        until(|| admin.state().topics["t"].configs.len() == 1).await;
        admin.change(|state| state.topics.clear());
        until(|| admin.state().topics.contains_key("t")).await;
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_holds_up_no_other() {
    let mut bench = Bench::new().await;
    let other = FakeAdmin::start(3).await;
    let mut another = cluster(3);
    another.metadata.name = Some("d".into());
    bench.clusters.apply_watcher_event(&Event::Apply(another));
    let addresses = BTreeMap::from([(0, other.address.clone())]);
    bench.context.links.reach(&ClusterKey::new("ns", "d"), addresses).shows(|view| view.is_live).await;
    bench.admin.change(|state| state.is_mute = true);
    let begun = Instant::now();
    controlled(bench, async |kubernetes, admin| {
        for number in 0..200 {
            put(kubernetes, resource(&format!("mute{number}")));
        }
        until(|| !admin.calls().is_empty()).await;
        put(kubernetes, resource("t").with(|resource| resource.spec.cluster_ref.name = "d".into()));
        until(|| is_ready(kubernetes, "t")).await;
        assert!(begun.elapsed() < Duration::from_secs(8), "no call has come to its end yet");
    })
    .await;
}
