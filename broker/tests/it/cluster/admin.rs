//! The Admin service of a cluster: any node is asked, the active controller decides. Apache Kafka has none.

use std::collections::BTreeMap;

use barnabas::admin::proto::reason::Kind as Against;
use barnabas::admin::proto::*;
use tonic::Code;

use crate::support::admin::{Operator, Watcher, create_topic, operator};
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
