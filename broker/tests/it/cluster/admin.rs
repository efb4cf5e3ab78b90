//! The Admin service of a cluster: any node is asked, the active controller decides. Apache Kafka has none.

use std::collections::BTreeMap;

use barnabas::admin::proto::reason::Kind as Against;
use barnabas::admin::proto::*;
use tonic::Code;

use crate::support::admin::{Operator, Topics, Watcher, create_topic, errors, operator, topic_on};
use crate::support::broker::Kind;
use crate::support::cluster::{Cluster, Shape};
use crate::support::port::free_port;

const TOPIC: &str = "watched";
const PARTITIONS: u64 = 6;

/// Three nodes whose brokers are not fenced for being silent, with a topic that needs two replicas in sync.
async fn start() -> (Cluster, BTreeMap<i32, Operator>) {
    let mut cluster = Cluster::prepare(&Shape::of(3).with("broker.session.timeout.ms", 600_000));
    let mut operators = BTreeMap::new();
    for id in cluster.ids() {
        let port = free_port();
        cluster.configure(id, &[("admin.listener", &format!("127.0.0.1:{port}"))]);
        cluster.spawn(id);
        operators.insert(id, operator(port));
    }
    cluster.wait_until_complete();
    create_topic(&cluster.bootstrap(), TOPIC, PARTITIONS as i32, 3, &[("min.insync.replicas", "2")]).await;
    cluster.wait_until_in_sync(TOPIC);
    (cluster, operators)
}

fn broker(state: &ClusterState, id: i32) -> Option<&Broker> {
    state.brokers.iter().find(|broker| broker.id == id)
}

fn leads(state: &ClusterState, id: i32) -> u64 {
    broker(state, id).map_or(0, |broker| broker.leads)
}

fn count(list: &Option<PartitionList>) -> u64 {
    list.as_ref().map_or(0, |list| list.count)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_controller_drains_and_gives_back() {
    if Kind::under_test() == Kind::Kafka {
        return;
    }
    let (cluster, mut operators) = start().await;
    let active = cluster.active_controller();
    let other = cluster.others(active)[0];
    let drain = |drained| DrainLeadersRequest { broker_id: other, drained };

    let mut elsewhere = operators[&other].clone();
    let status = elsewhere.drain_leaders(drain(true)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    let told = |key| status.metadata().get(key).expect("who is asked instead").to_str().expect("text").to_owned();
    assert_eq!(told("barnabas-active-controller"), active.to_string());
    let voters = cluster.voters();
    let expected = format!("{active}@{}", told("barnabas-active-controller-address"));
    assert!(voters.contains(&expected), "{expected} in {voters}");

    let mut watcher = Watcher::of(&mut elsewhere).await;
    watcher.wait_for("every broker to lead", |state| cluster.ids().iter().all(|id| leads(state, *id) == 2)).await;
    let operator = operators.get_mut(&active).expect("an operator for each node");
    let drained = operator.drain_leaders(drain(true)).await.expect("an answer").into_inner();
    assert_eq!(drained.leads, 0);
    watcher.wait_for("nothing to be led", |state| leads(state, other) == 0).await;
    operator.drain_leaders(drain(false)).await.expect("an answer");
    watcher.wait_for("leaders to come back", |state| leads(state, other) == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_declared_dead_and_forgotten() {
    if Kind::under_test() == Kind::Kafka {
        return;
    }
    let (mut cluster, mut operators) = start().await;
    let active = cluster.active_controller();
    let [frozen, other] = cluster.others(active)[..] else { panic!("three nodes") };
    let mut operator = operators.remove(&active).expect("an operator for each node");
    let mut watcher = Watcher::of(&mut operator).await;
    let state = watcher.wait_for("three brokers", |state| state.brokers.len() == 3).await;
    assert_eq!(count(&state.under_replicated), 0);
    let may_restart = MayRestartRequest { node_id: other, list_max: 0 };
    let answer = operator.may_restart(may_restart).await.expect("an answer").into_inner();
    assert!(answer.may_restart, "{answer:?}");

    let incarnation = broker(&state, frozen).expect("it is registered").incarnation.clone();
    cluster.freeze(frozen);
    let dead = DeclareDeadRequest { broker_id: frozen, incarnation };
    operator.declare_dead(dead.clone()).await.expect("it is fenced");
    let fenced = |state: &ClusterState| broker(state, frozen).is_some_and(|broker| broker.fenced);
    let others_lead = |state: &ClusterState| leads(state, frozen) == 0 && count(&state.offline) == 0;
    let state = watcher.wait_for("others to lead", |state| fenced(state) && others_lead(state)).await;
    assert_eq!([&state.under_replicated, &state.at_min_isr].map(count), [PARTITIONS; 2]);
    let answer = operator.may_restart(may_restart).await.expect("an answer").into_inner();
    let below = answer.reasons.iter().find(|reason| reason.kind() == Against::BelowMinIsr).expect("a reason");
    assert_eq!((count(&below.partitions), below.may_pass), (PARTITIONS, true));

    let unregister = UnregisterBrokerRequest { broker_id: frozen };
    operator.unregister_broker(unregister).await.expect("it is forgotten");
    watcher.wait_for("two brokers", |state| broker(state, frozen).is_none()).await;
    let status = operator.declare_dead(dead).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}

fn election(partitions: &[i32]) -> ElectPreferredLeadersRequest {
    let partition = |partition: &i32| Partition { topic: TOPIC.to_owned(), partition: *partition };
    ElectPreferredLeadersRequest { partitions: partitions.iter().map(partition).collect() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_broker_that_is_restarted_leads_again_when_it_is_elected() {
    if Kind::under_test() == Kind::Kafka {
        return;
    }
    let (mut cluster, mut operators) = start().await;
    let active = cluster.active_controller();
    let restarted = cluster.others(active)[0];
    let mut operator = operators.remove(&active).expect("an operator for each node");
    let mut watcher = Watcher::of(&mut operator).await;
    watcher.wait_for("leaders everywhere", |state| leads(state, restarted) == 2 && state.not_preferred == 0).await;
    operator.drain_leaders(DrainLeadersRequest { broker_id: restarted, drained: true }).await.expect("an answer");
    let drained = |state: &ClusterState| broker(state, restarted).is_some_and(|broker| broker.drained);
    let state = watcher.wait_for("a drained broker", |state| drained(state) && leads(state, restarted) == 0).await;
    assert_eq!(state.not_preferred, 0, "it is not to lead");

    cluster.terminate(restarted);
    cluster.spawn(restarted);
    let is_back = |state: &ClusterState| !drained(state) && count(&state.under_replicated) == 0;
    watcher.wait_for("partitions to give back", |state| is_back(state) && state.not_preferred == 2).await;
    let elected = operator.elect_preferred_leaders(ElectPreferredLeadersRequest::default()).await;
    assert_eq!(errors(elected.expect("an answer")), [""]);
    watcher.wait_for("leaders to come back", |state| leads(state, restarted) == 2 && state.not_preferred == 0).await;
    let again = operator.elect_preferred_leaders(election(&[0, 99, 0])).await.expect("an answer");
    assert_eq!(errors(again), ["ELECTION_NOT_NEEDED", "UNKNOWN_TOPIC_OR_PARTITION", "ELECTION_NOT_NEEDED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_move_and_a_move_that_cannot_end_is_cancelled() {
    const MOVED: &str = "moved";
    if Kind::under_test() == Kind::Kafka {
        return;
    }
    let (mut cluster, mut operators) = start().await;
    let active = cluster.active_controller();
    let [frozen, other] = cluster.others(active)[..] else { panic!("three nodes") };
    let create = CreateTopicsRequest { topics: vec![topic_on(MOVED, &[&[active, frozen], &[other, active]], &[])] };
    let mut elsewhere = operators.remove(&other).expect("an operator for each node");
    let status = elsewhere.create_topics(create.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.metadata().get("barnabas-active-controller-address").is_some());

    let mut operator = operators.remove(&active).expect("an operator for each node");
    assert_eq!(errors(operator.create_topics(create).await.expect("an answer")), [""]);
    // Every node tells of the topics.
    let mut topics = Topics::of(&mut elsewhere).await;
    let to = |partition, replicas: &[i32]| {
        let partition = Partition { topic: MOVED.to_owned(), partition };
        let moves = vec![PartitionMove { partition: Some(partition), replicas: replicas.to_vec() }];
        ReassignPartitionsRequest { moves }
    };
    let moved = operator.reassign_partitions(to(0, &[other, active])).await.expect("an answer");
    assert_eq!(errors(moved), [""]);
    let replicas = |topic: Option<&Topic>, partition: usize| {
        topic.and_then(|topic| topic.partitions.get(partition)).map_or(Vec::new(), |one| one.replicas.clone())
    };
    topics.wait_for("the move", MOVED, |topic| replicas(topic, 0) == [other, active]).await;

    cluster.freeze(frozen);
    let moved = operator.reassign_partitions(to(1, &[other, frozen])).await.expect("an answer");
    assert_eq!(errors(moved), [""]);
    let adding = |topic: Option<&Topic>| topic.is_some_and(|topic| topic.partitions[1].adding == [frozen]);
    let topic = topics.wait_for("a move under way", MOVED, adding).await.expect("it is there");
    let moved = &topic.partitions[1];
    assert_eq!((&moved.replicas[..], &moved.removing[..]), (&[other, frozen, active][..], &[active][..]));
    let cancelled = operator.reassign_partitions(to(1, &[])).await.expect("an answer");
    assert_eq!(errors(cancelled), [""]);
    topics.wait_for("no move", MOVED, |topic| replicas(topic, 1) == [other, active]).await;
    let cancelled = operator.reassign_partitions(to(1, &[])).await.expect("an answer");
    assert_eq!(errors(cancelled), ["NO_REASSIGNMENT_IN_PROGRESS"]);
}
