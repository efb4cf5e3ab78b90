//! Facts about brokers that come and go, and what becomes of their partitions. Partitions are shown as
//! `leader@leader epoch.partition epoch isr`, and then what else there is.

use super::image::{NO_LEADER, PartitionRegistration, ResourceType, UNASSIGNED_DIRECTORY};
use super::request::*;
use super::state::Controller;
use super::testing::{Bench, FewRules, broker, topic};
use crate::protocol::{ErrorCode, Uuid};
use std::sync::Arc;

fn show(partition: &PartitionRegistration) -> String {
    let PartitionRegistration { leader, leader_epoch, partition_epoch, isr, .. } = partition;
    let mut shown = format!("{leader}@{leader_epoch}.{partition_epoch} {isr:?}");
    if let Some(moving) = &partition.reassignment {
        shown += &format!(" of {:?} +{:?} -{:?}", partition.replicas, moving.adding, moving.removing);
    }
    if let Some(eligible) = &partition.eligible {
        shown += &format!(" elr {:?} last {:?}", eligible.elr, eligible.last_known_elr);
    }
    shown + if partition.leader_recovering { " recovering" } else { "" }
}

/// Three live brokers, and a topic `t` of one partition with its replicas on 1, 2 and 3.
fn three() -> Bench {
    with_topic(3, &[1, 2, 3])
}

fn with_topic(brokers: usize, replicas: &[i32]) -> Bench {
    let mut bench = Bench::with_brokers(&vec![None; brokers]);
    let assignments = vec![(0, replicas.to_vec())];
    bench.create(NewTopic { assignments, ..NewTopic::with_defaults("t") }).unwrap();
    bench
}

fn partition(bench: &Bench) -> &PartitionRegistration {
    bench.image().topics.partition("t", 0).unwrap()
}

#[track_caller]
fn assert_is(bench: &Bench, shown: &str) {
    assert_eq!(show(partition(bench)), shown);
}

fn lose(bench: &mut Bench, id: i32) {
    let epoch = bench.image().brokers[&id].epoch;
    assert_eq!(bench.ask(Request::BrokerLost { id, epoch }), Response::BrokerLost(Ok(())));
}

fn register(bench: &mut Bench, request: RegisterBroker) -> Outcome<i64> {
    match bench.ask(Request::RegisterBroker(request)) {
        Response::RegisterBroker(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn another_process(id: i32) -> RegisterBroker {
    RegisterBroker { incarnation: Uuid([77; 16]), ..broker(id, None) }
}

fn code<T>(outcome: Outcome<T>) -> Result<T, ErrorCode> {
    outcome.map_err(|refusal| refusal.code)
}

/// A change of the ISR by the leader, of the partition as it is.
fn isr_change(bench: &Bench, isr: &[i32]) -> AlterPartition {
    let partition = partition(bench);
    let change = IsrChange {
        topic_id: bench.image().topics.id_of("t").unwrap(),
        partition: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: isr.iter().map(|id| InSyncReplica { id: *id, broker_epoch: -1 }).collect(),
        leader_recovering: false,
    };
    let broker_epoch = bench.image().brokers.get(&partition.leader).map_or(-1, |broker| broker.epoch);
    AlterPartition { broker_id: partition.leader, broker_epoch, changes: vec![change] }
}

fn alter(bench: &mut Bench, request: AlterPartition) -> Result<AlteredPartition, ErrorCode> {
    match bench.ask(Request::AlterPartition(request)) {
        Response::AlterPartition(outcomes) => code(code(outcomes)?.remove(0)),
        other => panic!("{other:?}"),
    }
}

fn set_isr(bench: &mut Bench, isr: &[i32]) -> Result<AlteredPartition, ErrorCode> {
    let request = isr_change(bench, isr);
    alter(bench, request)
}

fn reassign(bench: &mut Bench, replicas: Option<&[i32]>) -> Result<(), ErrorCode> {
    let replicas = replicas.map(<[i32]>::to_vec);
    let partitions = vec![ReassignedPartition { topic: "t".into(), partition: 0, replicas }];
    let request = AlterReassignments { allow_replication_factor_change: true, partitions };
    match bench.ask(Request::AlterReassignments(request)) {
        Response::AlterReassignments(mut outcomes) => code(outcomes.remove(0)),
        other => panic!("{other:?}"),
    }
}

fn elect(bench: &mut Bench, election: ElectionType) -> Result<(), ErrorCode> {
    let request = ElectLeaders { election, partitions: Some(vec![("t".into(), 0)]) };
    match bench.ask(Request::ElectLeaders(request)) {
        Response::ElectLeaders(mut elections) => code(elections.remove(0).outcome),
        other => panic!("{other:?}"),
    }
}

fn update(bench: &mut Bench, name: &str, level: i16, upgrade: UpgradeType) -> Outcome<()> {
    let updates = vec![FeatureUpdate { name: name.into(), level, upgrade }];
    match bench.ask(Request::UpdateFeatures(UpdateFeatures { updates, validate_only: false })) {
        Response::UpdateFeatures(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn with_elr(mut bench: Bench, min_insync_replicas: &str) -> Bench {
    update(&mut bench, "eligible.leader.replicas.version", 1, UpgradeType::Upgrade).unwrap();
    let change =
        ConfigChange::Alter(vec![("min.insync.replicas".into(), ConfigOperation::Set(min_insync_replicas.into()))]);
    bench.alter(ResourceType::Topic, "t", change).unwrap();
    bench
}

#[test]
fn a_registered_broker_is_fenced_until_it_has_seen_its_registration() {
    let mut bench = Bench::with_brokers(&[]);
    let epoch = register(&mut bench, broker(1, None)).unwrap();
    let behind = bench.heartbeat(|heartbeat| heartbeat.metadata_end_offset = epoch, 1).unwrap();
    assert_eq!((behind.is_caught_up, behind.is_fenced), (false, true));
    let unready = bench.heartbeat(|heartbeat| heartbeat.wants_fence = true, 1).unwrap();
    assert_eq!((unready.is_caught_up, unready.is_fenced), (true, true));
    let ready = bench.beat(1).unwrap();
    assert_eq!((ready.is_caught_up, ready.is_fenced), (true, false));
    assert!(!bench.image().brokers[&1].fenced);
    assert_eq!(code(bench.heartbeat(|heartbeat| heartbeat.epoch += 1, 1)), Err(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn an_id_belongs_to_one_process_while_that_is_heard() {
    let mut bench = three();
    assert_eq!(code(register(&mut bench, another_process(2))), Err(ErrorCode::DuplicateBrokerRegistration));
    let before = bench.image().brokers[&2].clone();
    assert_eq!(register(&mut bench, broker(2, None)), Ok(before.epoch), "the same process may ask again");
    assert_eq!(bench.image().brokers[&2], before);
    lose(&mut bench, 2);
    assert!(register(&mut bench, another_process(2)).unwrap() > before.epoch);
}

#[test]
fn a_new_active_controller_takes_a_new_process_in_place_of_one_it_never_heard() {
    let mut bench = three();
    bench.controller = Controller::new(bench.image().clone(), Default::default(), Arc::new(FewRules), 0);
    register(&mut bench, another_process(1)).unwrap();
    assert_is(&bench, "2@1.1 [2, 3]");
}

#[test]
fn features_of_the_cluster_are_a_condition() {
    let mut bench = three();
    let mut old = broker(4, None);
    old.features[0].max = 20;
    let refusal = register(&mut bench, old).unwrap_err();
    let text = "Unable to register because the broker does not support finalized version 27 of metadata.version. The \
                broker wants a version between 7 and 20, inclusive.";
    assert_eq!((refusal.code, refusal.message.as_deref()), (ErrorCode::UnsupportedVersion, Some(text)));
    let none = RegisterBroker { features: Vec::new(), ..broker(4, None) };
    assert_eq!(code(register(&mut bench, none)), Err(ErrorCode::UnsupportedVersion));
}

#[test]
fn a_silent_broker_is_fenced_and_leads_nothing() {
    let mut bench = three();
    bench.at(500);
    for id in [2, 3] {
        bench.beat(id).unwrap();
    }
    bench.at(599);
    assert_is(&bench, "1@0.0 [1, 2, 3]");
    assert_eq!(bench.controller.next_deadline(), 600);
    bench.at(600);
    assert_is(&bench, "2@1.1 [2, 3]");
    assert!(bench.image().brokers[&1].fenced && !bench.image().brokers[&2].fenced);
    assert!(!bench.beat(1).unwrap().is_fenced, "it was merely slow");
    assert_is(&bench, "2@1.1 [2, 3]");
    assert_eq!(set_isr(&mut bench, &[2, 3, 1]).unwrap().isr, [2, 3, 1]);
    assert_eq!(elect(&mut bench, ElectionType::Preferred), Ok(()));
    assert_is(&bench, "1@2.3 [2, 3, 1]");
    assert_eq!(elect(&mut bench, ElectionType::Preferred), Err(ErrorCode::ElectionNotNeeded));
}

#[test]
fn a_suspect_is_fenced_sooner_than_the_others() {
    let mut bench = three();
    bench.controller.suspect(0, 1);
    bench.at(199);
    assert_eq!(partition(&bench).leader, 1);
    bench.at(200);
    assert_is(&bench, "2@1.1 [2, 3]");
}

#[test]
fn a_lost_broker_is_fenced_at_once_unless_it_is_another_process() {
    let mut bench = three();
    let epoch = bench.image().brokers[&1].epoch;
    let earlier = bench.ask(Request::BrokerLost { id: 1, epoch: epoch - 1 });
    assert!(matches!(earlier, Response::BrokerLost(Err(_))));
    assert_is(&bench, "1@0.0 [1, 2, 3]");
    lose(&mut bench, 1);
    assert_is(&bench, "2@1.1 [2, 3]");
    lose(&mut bench, 2);
    lose(&mut bench, 3);
    assert_is(&bench, "-1@3.3 [3]");
    assert_eq!(bench.image().topics.led_by(NO_LEADER), 1);
    bench.beat(1).unwrap();
    assert_is(&bench, "-1@3.3 [3]");
    bench.beat(3).unwrap();
    assert_is(&bench, "3@4.4 [3]");
}

#[test]
fn a_broker_ends_in_order_once_the_others_know() {
    let mut bench = three();
    let ask =
        |bench: &mut Bench| bench.heartbeat(|heartbeat| heartbeat.wants_shutdown = true, 1).unwrap().should_shut_down;
    assert!(!ask(&mut bench));
    assert_is(&bench, "2@1.1 [2, 3]");
    assert!(bench.image().brokers[&1].in_controlled_shutdown && !bench.image().brokers[&1].fenced);
    assert_eq!(set_isr(&mut bench, &[2, 3, 1]), Err(ErrorCode::IneligibleReplica));
    assert!(!ask(&mut bench), "the others have not applied it");
    bench.beat(2).unwrap();
    assert!(!ask(&mut bench));
    bench.beat(3).unwrap();
    assert!(ask(&mut bench));
    assert!(bench.image().brokers[&1].fenced);
    register(&mut bench, another_process(1)).unwrap();
    assert!(bench.heartbeat(|heartbeat| heartbeat.wants_shutdown = true, 1).unwrap().should_shut_down);
}

#[test]
fn changes_of_the_isr_are_checked_as_kafka_checks_them() {
    use ErrorCode::*;
    type Special = fn(&mut AlterPartition);
    let mut bench = with_topic(4, &[1, 2, 3]);
    lose(&mut bench, 3);
    let cases: [(Special, ErrorCode); 13] = [
        (|request| request.broker_epoch += 1, StaleBrokerEpoch),
        (|request| request.changes[0].topic_id = Uuid([9; 16]), UnknownTopicId),
        (|request| request.changes[0].partition = 5, UnknownTopicOrPartition),
        (|request| request.changes[0].leader_epoch += 1, NotController),
        (|request| request.changes[0].partition_epoch += 1, NotController),
        (|request| request.changes[0].leader_epoch -= 1, FencedLeaderEpoch),
        (|request| request.changes[0].partition_epoch -= 1, InvalidUpdateVersion),
        (|request| request.changes[0].isr.clear(), InvalidRequest),
        (|request| request.changes[0].isr[0].id = 4, InvalidRequest),
        (|request| request.changes[0].isr[1].id = 1, InvalidRequest),
        (|request| request.changes[0].leader_recovering = true, InvalidRequest),
        (|request| request.changes[0].isr[1].id = 3, IneligibleReplica),
        (|request| request.changes[0].isr[1].broker_epoch = 0, IneligibleReplica),
    ];
    for (number, (special, expected)) in cases.into_iter().enumerate() {
        let mut request = isr_change(&bench, &[1, 2]);
        special(&mut request);
        let before = bench.image().topics.clone();
        assert_eq!(alter(&mut bench, request), Err(expected), "case {number}");
        assert_eq!(bench.image().topics, before);
    }
    let mut request = isr_change(&bench, &[1, 2]);
    (request.broker_id, request.broker_epoch) = (2, bench.image().brokers[&2].epoch);
    assert_eq!(alter(&mut bench, request), Err(InvalidRequest), "only the leader may");
    let altered = set_isr(&mut bench, &[1]).unwrap();
    assert_eq!((altered.leader, altered.leader_epoch, altered.partition_epoch, altered.isr), (1, 0, 2, vec![1]));
}

#[test]
fn a_move_ends_when_what_it_adds_is_in_sync() {
    let mut bench = with_topic(4, &[1, 2]);
    assert_eq!(reassign(&mut bench, Some(&[3, 4])), Ok(()));
    assert_is(&bench, "1@0.1 [1, 2] of [3, 4, 1, 2] +[3, 4] -[1, 2]");
    set_isr(&mut bench, &[1, 2, 3]).unwrap();
    assert_is(&bench, "1@0.2 [1, 2, 3] of [3, 4, 1, 2] +[3, 4] -[1, 2]");
    assert_eq!(set_isr(&mut bench, &[1, 2, 3, 4]), Err(ErrorCode::NewLeaderElected));
    assert_is(&bench, "3@1.3 [3, 4]");
    assert_eq!(*partition(&bench).replicas, [3, 4]);
    assert_eq!(*partition(&bench).directories, [Uuid([103; 16]), Uuid([104; 16])]);
}

#[test]
fn a_move_that_adds_nothing_ends_at_once() {
    let mut bench = three();
    assert_eq!(reassign(&mut bench, Some(&[3, 1])), Ok(()));
    assert_is(&bench, "1@1.1 [1, 3]");
    assert_eq!(*partition(&bench).replicas, [3, 1]);
}

#[test]
fn a_cancelled_move_leaves_what_was_there() {
    let mut bench = with_topic(4, &[1, 2]);
    assert_eq!(reassign(&mut bench, None), Err(ErrorCode::NoReassignmentInProgress));
    reassign(&mut bench, Some(&[3, 4])).unwrap();
    set_isr(&mut bench, &[1, 2, 3]).unwrap();
    assert_eq!(reassign(&mut bench, None), Ok(()));
    assert_is(&bench, "1@1.3 [1, 2]");
    assert_eq!(*partition(&bench).replicas, [1, 2]);
}

#[test]
fn a_move_in_place_of_another_starts_from_where_that_started() {
    let mut bench = with_topic(4, &[1, 2]);
    reassign(&mut bench, Some(&[1, 3])).unwrap();
    reassign(&mut bench, Some(&[1, 4])).unwrap();
    assert_is(&bench, "1@1.2 [1, 2] of [1, 4, 2] +[4] -[2]");
    reassign(&mut bench, Some(&[1, 2])).unwrap();
    assert_is(&bench, "1@2.3 [1, 2]");
}

#[test]
fn impossible_moves_are_refused() {
    let mut bench = three();
    assert_eq!(reassign(&mut bench, Some(&[1, 9])), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(reassign(&mut bench, Some(&[])), Err(ErrorCode::InvalidReplicaAssignment));
    let partitions = vec![ReassignedPartition { topic: "t".into(), partition: 0, replicas: Some(vec![1, 2]) }];
    let request = AlterReassignments { allow_replication_factor_change: false, partitions };
    let Response::AlterReassignments(outcomes) = bench.ask(Request::AlterReassignments(request)) else { panic!() };
    assert_eq!(outcomes[0].as_ref().unwrap_err().code, ErrorCode::InvalidReplicationFactor);
}

#[test]
fn an_unclean_leader_is_a_last_resort_and_recovers() {
    let mut bench = three();
    for id in [2, 3, 1] {
        lose(&mut bench, id);
    }
    bench.beat(2).unwrap();
    assert_is(&bench, "-1@1.3 [1]");
    assert_eq!(elect(&mut bench, ElectionType::Preferred), Err(ErrorCode::PreferredLeaderNotAvailable));
    assert_eq!(elect(&mut bench, ElectionType::Unclean), Ok(()));
    assert_is(&bench, "2@2.4 [2] recovering");
    assert_eq!(elect(&mut bench, ElectionType::Unclean), Err(ErrorCode::ElectionNotNeeded));
    set_isr(&mut bench, &[2]).unwrap();
    assert_is(&bench, "2@2.5 [2]");
}

#[test]
fn a_topic_that_allows_unclean_leaders_gets_one_as_soon_as_it_says_so() {
    let mut bench = three();
    for id in [2, 3, 1] {
        lose(&mut bench, id);
    }
    bench.beat(3).unwrap();
    bench.at(0);
    assert_is(&bench, "-1@1.3 [1]");
    let change =
        ConfigChange::Alter(vec![("unclean.leader.election.enable".into(), ConfigOperation::Set("true".into()))]);
    bench.alter(ResourceType::Topic, "t", change).unwrap();
    bench.at(0);
    assert_is(&bench, "3@2.4 [3] recovering");
}

#[test]
fn replicas_that_were_in_sync_when_too_few_were_left_stay_eligible() {
    let mut bench = with_elr(three(), "2");
    lose(&mut bench, 3);
    assert_is(&bench, "1@0.1 [1, 2]");
    lose(&mut bench, 2);
    assert_is(&bench, "1@0.2 [1] elr [2] last []");
    lose(&mut bench, 1);
    assert_is(&bench, "-1@1.3 [] elr [1, 2] last [1]");
    bench.beat(3).unwrap();
    assert_is(&bench, "-1@1.3 [] elr [1, 2] last [1]");
    bench.beat(2).unwrap();
    assert_is(&bench, "2@2.4 [2] elr [1] last []");
    set_isr(&mut bench, &[2, 3]).unwrap();
    assert_is(&bench, "2@2.5 [2, 3]");
}

#[test]
fn a_broker_that_did_not_end_in_order_is_not_eligible() {
    let mut bench = with_elr(three(), "2");
    for id in [3, 2, 1] {
        lose(&mut bench, id);
    }
    register(&mut bench, another_process(1)).unwrap();
    bench.beat(1).unwrap();
    assert_is(&bench, "-1@1.4 [] elr [2] last [1]");
    let previous_epoch = bench.image().brokers[&2].epoch;
    register(&mut bench, RegisterBroker { previous_epoch, incarnation: Uuid([78; 16]), ..broker(2, None) }).unwrap();
    bench.beat(2).unwrap();
    assert_is(&bench, "2@2.5 [2]");
}

#[test]
fn the_last_leader_leads_again_where_nobody_is_eligible() {
    let mut bench = with_elr(with_topic(1, &[1]), "1");
    lose(&mut bench, 1);
    register(&mut bench, another_process(1)).unwrap();
    assert_is(&bench, "-1@1.2 [] elr [] last [1]");
    bench.beat(1).unwrap();
    assert_is(&bench, "1@2.3 [1] recovering");
}

#[test]
fn leaders_go_back_by_themselves() {
    let mut bench = three();
    lose(&mut bench, 1);
    bench.beat(1).unwrap();
    set_isr(&mut bench, &[1, 2, 3]).unwrap();
    bench.at_with_heartbeats(299_999);
    assert_eq!(partition(&bench).leader, 2);
    bench.at_with_heartbeats(300_000);
    assert_is(&bench, "1@2.3 [1, 2, 3]");
}

#[test]
fn a_drained_broker_leads_only_what_nobody_else_can() {
    let mut bench = three();
    bench.create(NewTopic { assignments: vec![(0, vec![1])], ..NewTopic::with_defaults("alone") }).unwrap();
    let drained = bench.ask(Request::DrainLeaders { broker: 1, drained: true });
    assert_eq!(drained, Response::DrainLeaders(Ok(1)));
    assert_is(&bench, "2@1.1 [1, 2, 3]");
    assert_eq!(elect(&mut bench, ElectionType::Preferred), Err(ErrorCode::PreferredLeaderNotAvailable));
    lose(&mut bench, 2);
    assert_eq!(partition(&bench).leader, 3);
    lose(&mut bench, 3);
    assert_eq!(partition(&bench).leader, 1);
    bench.beat(3).unwrap();
    assert_eq!(set_isr(&mut bench, &[1, 3]), Err(ErrorCode::NewLeaderElected), "it goes on being drained");
    assert_eq!(bench.ask(Request::DrainLeaders { broker: 1, drained: false }), Response::DrainLeaders(Ok(1)));
    bench.at_with_heartbeats(1);
    assert_eq!(partition(&bench).leader, 1);
    let unknown = bench.ask(Request::DrainLeaders { broker: 9, drained: true });
    assert_eq!(unknown, Response::DrainLeaders(Err(ErrorCode::BrokerIdNotRegistered.into())));
}

#[test]
fn a_drained_broker_is_given_replicas_only_where_the_others_are_not_enough() {
    let mut bench = three();
    let replicas = |bench: &mut Bench, name: &str, factor: i16| {
        bench.create(NewTopic { partitions: 6, replication_factor: factor, ..NewTopic::with_defaults(name) }).unwrap();
        let topic = bench.image().topics.by_name(name).unwrap();
        topic.partitions.iter().map(|partition| partition.replicas.to_vec()).collect::<Vec<_>>()
    };
    bench.ask(Request::DrainLeaders { broker: 1, drained: true });
    assert!(replicas(&mut bench, "two", 2).iter().all(|replicas| !replicas.contains(&1)));
    let all = replicas(&mut bench, "three", 3);
    assert!(all.iter().all(|replicas| replicas.len() == 3 && replicas[0] != 1), "{all:?}");
    for broker in [2, 3] {
        bench.ask(Request::DrainLeaders { broker, drained: true });
    }
    let leaders = replicas(&mut bench, "none-stays", 1);
    assert!((1..=3).all(|id| leaders.contains(&vec![id])), "{leaders:?}");
}

#[test]
fn a_drained_broker_may_lead_again_when_its_process_is_replaced() {
    let mut bench = three();
    bench.ask(Request::DrainLeaders { broker: 1, drained: true });
    let same = super::testing::broker(1, None);
    bench.ask(Request::RegisterBroker(same.clone()));
    assert!(bench.controller.drained().contains(&1), "the process is the same");
    lose(&mut bench, 1);
    bench.beat(1).unwrap();
    assert!(bench.controller.drained().contains(&1), "it was only not heard for a while");
    lose(&mut bench, 1);
    bench.ask(Request::RegisterBroker(RegisterBroker { incarnation: Uuid([9; 16]), ..same }));
    assert!(bench.controller.drained().is_empty());
    bench.beat(1).unwrap();
    set_isr(&mut bench, &[1, 2, 3]).unwrap();
    assert_eq!(elect(&mut bench, ElectionType::Preferred), Ok(()));
    assert_eq!(partition(&bench).leader, 1);
}

#[test]
fn an_unregistered_broker_is_forgotten() {
    let mut bench = three();
    assert_eq!(bench.ask(Request::UnregisterBroker { id: 1 }), Response::UnregisterBroker(Ok(())));
    assert!(!bench.image().brokers.contains_key(&1));
    assert_is(&bench, "2@1.1 [2, 3]");
    let Response::UnregisterBroker(again) = bench.ask(Request::UnregisterBroker { id: 1 }) else { panic!() };
    assert_eq!(code(again), Err(ErrorCode::BrokerIdNotRegistered));
    assert_eq!(code(bench.beat(1)), Err(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn a_failed_directory_takes_its_replicas_along() {
    let mut bench = Bench::with_brokers(&[None, None]);
    let directories = vec![Uuid([7; 16]), Uuid([8; 16])];
    lose(&mut bench, 1);
    let epoch =
        register(&mut bench, RegisterBroker { directories: directories.clone(), ..another_process(1) }).unwrap();
    bench.beat(1).unwrap();
    bench.create(NewTopic { assignments: vec![(0, vec![1, 2])], ..NewTopic::with_defaults("t") }).unwrap();
    let topic_id = bench.image().topics.id_of("t").unwrap();
    let assignment = |directory| DirectoryAssignment { directory, topic_id, partition: 0 };
    let request =
        AssignReplicasToDirs { broker_id: 1, broker_epoch: epoch, assignments: vec![assignment(directories[0])] };
    let assigned = bench.ask(Request::AssignReplicasToDirs(request));
    assert_eq!(assigned, Response::AssignReplicasToDirs(Ok(vec![Ok(())])));
    assert_eq!(partition(&bench).directory(1), Some(directories[0]));
    bench.heartbeat(|heartbeat| heartbeat.offline_directories = vec![directories[1]], 1).unwrap();
    assert_is(&bench, "1@0.1 [1, 2]");
    assert_eq!(bench.image().brokers[&1].directories, directories[..1]);
    let all = bench.heartbeat(|heartbeat| heartbeat.offline_directories = directories.clone(), 1).unwrap();
    assert!(all.is_fenced, "it has no directory left");
    assert_is(&bench, "2@1.2 [2]");
}

#[test]
fn a_replica_whose_disk_was_lost_leads_again_once_it_is_in_sync_and_not_before() {
    let mut bench = Bench::with_brokers(&[None, None]);
    let on = |bench: &mut Bench, disks: &[u8]| {
        lose(bench, 1);
        let directories = disks.iter().map(|disk| Uuid([*disk; 16])).collect();
        let incarnation = Uuid([disks[0] + 100; 16]);
        register(bench, RegisterBroker { directories, incarnation, ..broker(1, None) }).unwrap();
        bench.beat(1).unwrap();
    };
    on(&mut bench, &[7]);
    bench.create(NewTopic { assignments: vec![(0, vec![1, 2])], ..NewTopic::with_defaults("t") }).unwrap();
    for (disks, directory) in [(&[8][..], Uuid([8; 16])), (&[5, 6], UNASSIGNED_DIRECTORY), (&[4], Uuid([4; 16]))] {
        on(&mut bench, disks);
        assert_eq!(partition(&bench).leader, 2);
        set_isr(&mut bench, &[1, 2]).unwrap();
        assert_eq!(partition(&bench).directory(1), Some(directory));
        assert_eq!(elect(&mut bench, ElectionType::Preferred), Ok(()));
        assert_eq!(partition(&bench).leader, 1);
    }
    // The last one in sync has lost everything: rather nobody leads.
    lose(&mut bench, 2);
    on(&mut bench, &[9]);
    assert_eq!((partition(&bench).leader, &*partition(&bench).isr), (NO_LEADER, &[1][..]));
    assert_eq!(partition(&bench).directory(1), Some(Uuid([4; 16])));
}

#[test]
fn levels_of_features_change_by_kafkas_rules() {
    let mut bench = three();
    let text = |outcome: Outcome<()>| {
        let refusal = outcome.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidUpdateVersion);
        refusal.message.unwrap()
    };
    let mut update = |name, level, upgrade| update(&mut bench, name, level, upgrade);
    use UpgradeType::*;
    let metadata = "metadata.version";
    assert_eq!(
        text(update(metadata, 28, Upgrade)),
        "Invalid update version 28 for feature metadata.version. Local controller 1 only supports versions 7-27"
    );
    assert_eq!(
        text(update(metadata, 26, Upgrade)),
        "Invalid update version 26 for feature metadata.version. Can't downgrade the version of this feature without \
         setting the upgrade type to either safe or unsafe downgrade."
    );
    assert_eq!(
        text(update("foo", 1, Upgrade)),
        "Invalid update version 1 for feature foo. Local controller 1 does not support this feature."
    );
    assert_eq!(
        text(update(metadata, 22, SafeDowngrade)),
        "Invalid metadata.version 22. Refusing to perform the requested downgrade because it might delete metadata \
         information."
    );
    assert_eq!(update(metadata, 23, SafeDowngrade), Ok(()));
    assert_eq!(
        text(update(metadata, 24, SafeDowngrade)),
        "Invalid update version 24 for feature metadata.version. Can't downgrade to a newer version."
    );
    assert_eq!(update("eligible.leader.replicas.version", 1, Upgrade), Ok(()));
    assert_eq!(bench.image().configs.default_broker()["min.insync.replicas"], "1");
}

#[test]
fn without_the_feature_who_was_eligible_is_in_sync() {
    let mut bench = with_elr(three(), "2");
    for id in [3, 2, 1] {
        lose(&mut bench, id);
    }
    update(&mut bench, "eligible.leader.replicas.version", 0, UpgradeType::SafeDowngrade).unwrap();
    assert_is(&bench, "-1@1.4 [1, 2]");
}

#[test]
fn a_topic_is_in_sync_where_its_brokers_live() {
    let mut bench = Bench::with_brokers(&[None, None, None]);
    lose(&mut bench, 2);
    bench.create(topic("t", 1, 3)).unwrap();
    let partition = partition(&bench);
    assert_eq!((partition.isr.len(), partition.isr.contains(&2), partition.replicas[2]), (2, false, 2));
}
