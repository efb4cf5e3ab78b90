//! The Admin service of a single node, which is a quorum of one. Apache Kafka has none.

mod topics;

use std::time::{Duration, Instant};

use barnabas::admin::proto::reason::Kind as Against;
use barnabas::admin::proto::*;
use tonic::Code;

use crate::support::admin::{Operator, Watcher, create_topic, operator};
use crate::support::broker::{Broker, Kind};
use crate::support::port::free_port;

/// A message comes at most once in this time.
const PAUSE: Duration = Duration::from_millis(100);

fn start() -> (Broker, Operator) {
    let port = free_port();
    let broker = Broker::start_kind(Kind::Barnabas, &[("admin.listener", &format!("127.0.0.1:{port}"))]);
    (broker, operator(port))
}

async fn serving(watcher: &mut Watcher) -> ClusterState {
    let serves = |state: &ClusterState| state.brokers.iter().any(|broker| !broker.fenced);
    watcher.wait_for("a broker that serves", serves).await
}

fn names(list: Option<PartitionList>) -> Vec<String> {
    let list = list.expect("a list");
    assert_eq!(list.count, list.first.len() as u64);
    list.first.iter().map(|partition| format!("{}-{}", partition.topic, partition.partition)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_the_state_and_what_changes() {
    let (broker, mut operator) = start();
    let mut watcher = Watcher::of(&mut operator).await;
    let state = serving(&mut watcher).await;
    assert_eq!((state.node_id, state.active_controller_id), (1, Some(1)));
    assert_eq!(state.voters.iter().map(|voter| voter.id).collect::<Vec<_>>(), [1]);
    let only = &state.brokers[0];
    assert_eq!((only.id, only.incarnation.len(), only.leads, only.holds), (1, 22, 0, 0));
    let endpoint = &only.endpoints[0];
    assert_eq!(format!("{}:{}", endpoint.host, endpoint.port), broker.bootstrap());

    create_topic(&broker.bootstrap(), "seen", 2, 1, &[]).await;
    let state = watcher.wait_for("the topic", |state| state.topics == 1 && state.partitions == 2).await;
    assert_eq!((state.brokers[0].leads, state.brokers[0].holds), (2, 2));
    assert_eq!(names(state.at_min_isr), ["seen-0", "seen-1"], "one replica is all they have");
    for list in [state.offline, state.under_replicated, state.under_min_isr] {
        assert_eq!(list, Some(PartitionList::default()));
    }
    assert_eq!(state.reassignments, Some(ReassignmentList::default()));
    assert!(watcher.is_silent_for(5 * PAUSE).await, "nothing changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_meant_for_another_cluster_does_nothing() {
    let (_broker, mut operator) = start();
    let state = serving(&mut Watcher::of(&mut operator).await).await;
    let meant = |cluster: &str| {
        let mut call = tonic::Request::new(DrainLeadersRequest { broker_id: 1, drained: true });
        call.metadata_mut().insert(barnabas::admin::CLUSTER_ID, cluster.parse().expect("ASCII"));
        call
    };
    let refused = operator.drain_leaders(meant("AAAAAAAAAAAAAAAAAAAAAA")).await.expect_err("it is refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(&state.cluster_id), "{refused}");
    operator.drain_leaders(meant(&state.cluster_id)).await.expect("it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_are_few_messages() {
    const TOPICS: u64 = 30;
    let (broker, mut operator) = start();
    let mut watcher = Watcher::of(&mut operator).await;
    serving(&mut watcher).await;
    let began = Instant::now();
    let (bootstrap, mut told) = (broker.bootstrap(), 0);
    let creating = tokio::spawn(async move {
        for topic in 0..TOPICS {
            create_topic(&bootstrap, &format!("topic-{topic}"), 1, 1, &[]).await;
        }
    });
    while watcher.next().await.expect("a state").topics < TOPICS {
        told += 1;
    }
    let most = began.elapsed().as_millis() / PAUSE.as_millis() + 1;
    assert!(told <= most, "{told} messages, and no more than {most} in this time");
    creating.await.expect("all were created");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_node_may_not_be_restarted_and_hears_why() {
    let (broker, mut operator) = start();
    serving(&mut Watcher::of(&mut operator).await).await;
    create_topic(&broker.bootstrap(), "alone", 3, 1, &[]).await;
    let asked = MayRestartRequest { node_id: 1, list_max: 2 };
    let answer = operator.may_restart(asked).await.expect("an answer").into_inner();
    assert!(!answer.may_restart);
    let [partitions, quorum] = &answer.reasons[..] else { panic!("{answer:?}") };
    assert_eq!((partitions.kind(), partitions.may_pass), (Against::LastInSyncReplica, false));
    let at_fault = partitions.partitions.as_ref().expect("the partitions at fault");
    let first: Vec<_> = at_fault.first.iter().map(|one| (one.topic.as_str(), one.partition)).collect();
    assert_eq!((at_fault.count, &first[..]), (3, &[("alone", 0), ("alone", 1)][..]));
    assert_eq!((quorum.kind(), quorum.may_pass, &quorum.partitions), (Against::QuorumMajority, false, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_call_is_said() {
    let (_broker, mut operator) = start();
    let state = serving(&mut Watcher::of(&mut operator).await).await;
    let unknown = 9;
    let may_restart = operator.may_restart(MayRestartRequest { node_id: unknown, list_max: 0 }).await.unwrap_err();
    let drain = operator.drain_leaders(DrainLeadersRequest { broker_id: unknown, drained: true }).await.unwrap_err();
    let unregister = operator.unregister_broker(UnregisterBrokerRequest { broker_id: unknown }).await.unwrap_err();
    for status in [may_restart, drain, unregister] {
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains("9") && status.message().contains("registered: 1"), "{status}");
    }
    let earlier = DeclareDeadRequest { broker_id: 1, incarnation: "AAAAAAAAAAAAAAAAAAAAAA".to_owned() };
    let status = operator.declare_dead(earlier).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains(&state.brokers[0].incarnation), "{status}");
    let status = operator.unregister_broker(UnregisterBrokerRequest { broker_id: 1 }).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    let status = operator.shut_down(ShutDownRequest { node_id: unknown }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let status = operator.watch_cluster(WatchClusterRequest { list_max: 10_001 }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_to_stop_ends_in_order() {
    let (mut broker, mut operator) = start();
    let mut watcher = Watcher::of(&mut operator).await;
    serving(&mut watcher).await;
    operator.shut_down(ShutDownRequest { node_id: 1 }).await.expect("it stops");
    assert!(broker.wait_for_end().success());
    assert!(broker.output().contains("stopped cleanly"));
    let status = loop {
        if let Err(status) = watcher.next().await {
            break status;
        }
    };
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "this node stops"));
}
