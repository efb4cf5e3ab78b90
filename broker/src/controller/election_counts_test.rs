use super::*;
use crate::controller::image::ResourceType;
use crate::controller::request::*;
use crate::controller::testing::Bench;

/// Four brokers, and a topic `t` of one partition with its replicas on 1, 2 and 3.
fn bench() -> Bench {
    let mut bench = Bench::with_brokers(&[None; 4]);
    bench.create(NewTopic { assignments: vec![(0, vec![1, 2, 3])], ..NewTopic::with_defaults("t") }).unwrap();
    bench
}

/// The elections that `work` leads to, by kind.
fn counted(bench: &mut Bench, work: impl FnOnce(&mut Bench)) -> Vec<(ElectionKind, u64)> {
    let before = bench.image().clone();
    work(bench);
    let mut counts = ElectionCounts::default();
    counts.add(&before, bench.image(), &ImageDelta::between(&before, bench.image()));
    ElectionKind::ALL.into_iter().map(|kind| (kind, counts.of(kind))).filter(|(_, count)| *count > 0).collect()
}

fn lose(bench: &mut Bench, id: i32) {
    let epoch = bench.image().brokers[&id].epoch;
    bench.ask(Request::BrokerLost { id, epoch });
}

fn set_isr(bench: &mut Bench, isr: &[i32]) {
    let partition = bench.image().topics.partition("t", 0).unwrap().clone();
    let epoch = |id: i32| bench.image().brokers[&id].epoch;
    let change = IsrChange {
        topic_id: bench.image().topics.id_of("t").unwrap(),
        partition: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: isr.iter().map(|id| InSyncReplica { id: *id, broker_epoch: epoch(*id) }).collect(),
        leader_recovering: false,
    };
    let request =
        AlterPartition { broker_id: partition.leader, broker_epoch: epoch(partition.leader), changes: vec![change] };
    bench.ask(Request::AlterPartition(request));
    assert_eq!(*bench.image().topics.partition("t", 0).unwrap().isr, *isr);
}

#[test]
fn a_new_topic_is_no_election() {
    let mut bench = Bench::with_brokers(&[None]);
    assert_eq!(counted(&mut bench, |bench| drop(bench.create(NewTopic::with_defaults("t")))), []);
}

#[test]
fn a_leader_that_is_gone_is_replaced_and_comes_back_as_the_preferred_one() {
    let mut bench = bench();
    assert_eq!(counted(&mut bench, |bench| lose(bench, 1)), [(ElectionKind::Offline, 1)]);
    assert_eq!(counted(&mut bench, |bench| drop(bench.beat(1))), [], "it follows");
    set_isr(&mut bench, &[2, 3, 1]);
    let elect = Request::ElectLeaders(ElectLeaders { election: ElectionType::Preferred, partitions: None });
    assert_eq!(counted(&mut bench, |bench| drop(bench.ask(elect))), [(ElectionKind::Preferred, 1)]);
}

#[test]
fn leaders_that_stop_or_are_drained_are_told_apart() {
    let mut bench = bench();
    let stop = |bench: &mut Bench| drop(bench.heartbeat(|heartbeat| heartbeat.wants_shutdown = true, 1));
    assert_eq!(counted(&mut bench, stop), [(ElectionKind::Shutdown, 1)]);
    let drain = |bench: &mut Bench| drop(bench.ask(Request::DrainLeaders { broker: 2, drained: true }));
    assert_eq!(counted(&mut bench, drain), [(ElectionKind::Other, 1)]);
}

#[test]
fn a_leader_whose_replica_is_moved_away_is_told_apart() {
    let mut bench = bench();
    let partitions = vec![ReassignedPartition { topic: "t".into(), partition: 0, replicas: Some(vec![2, 3, 4]) }];
    bench.ask(Request::AlterReassignments(AlterReassignments { allow_replication_factor_change: true, partitions }));
    let ends = counted(&mut bench, |bench| {
        let partition = bench.image().topics.partition("t", 0).unwrap().clone();
        let epoch = |id: i32| bench.image().brokers[&id].epoch;
        let change = IsrChange {
            topic_id: bench.image().topics.id_of("t").unwrap(),
            partition: 0,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr: [1, 2, 3, 4].map(|id| InSyncReplica { id, broker_epoch: epoch(id) }).to_vec(),
            leader_recovering: false,
        };
        let request = AlterPartition { broker_id: 1, broker_epoch: epoch(1), changes: vec![change] };
        drop(bench.ask(Request::AlterPartition(request)));
    });
    assert_eq!(ends, [(ElectionKind::Reassignment, 1)]);
}

#[test]
fn a_leader_that_may_lack_records_is_unclean() {
    let mut bench = bench();
    set_isr(&mut bench, &[1]);
    assert_eq!(counted(&mut bench, |bench| lose(bench, 1)), [], "nobody can lead");
    let set = |bench: &mut Bench| {
        let value = ConfigOperation::Set("true".into());
        let change = ConfigChange::Alter(vec![("unclean.leader.election.enable".into(), value)]);
        bench.alter(ResourceType::Topic, "t", change).unwrap();
        let now = bench.now;
        bench.at_with_heartbeats(now + 100);
        let elect = Request::ElectLeaders(ElectLeaders { election: ElectionType::Unclean, partitions: None });
        bench.ask(elect);
    };
    assert_eq!(counted(&mut bench, set), [(ElectionKind::Unclean, 1)]);
}
