use super::*;
use crate::admin::proto::ReassignmentList;
use crate::crd::{KafkaTopicStatus, Placement};
use crate::topic::fixture::{Made, configured, resource, seen, time, topic};
use crate::topic::verdict::status;

/// With the status of a resource whose topic is as it is wanted.
fn ready(made: Made, topic: &Topic) -> Made {
    made.with(|resource| {
        resource.status = Some(status(resource, &Verdict::as_wanted(topic.clone().into()), &time(5)));
    })
}

fn live(observed: &mut Observed) -> &mut Live {
    match &mut observed.cluster {
        Sight::Live(live) => live,
        away => panic!("not {away:?}"),
    }
}

fn decided(observed: &Observed) -> Plan {
    plan(observed, false, &mut Ledger::default())
}

fn creation(observed: &Observed) -> Creation {
    match decided(observed) {
        Plan::Create(creation) => creation,
        other => panic!("not {other:?}"),
    }
}

fn changes(observed: &Observed) -> Change {
    match decided(observed) {
        Plan::Change(change) => change,
        other => panic!("not {other:?}"),
    }
}

fn settled(observed: &Observed) -> Settlement {
    match decided(observed) {
        Plan::Settle(settled) => settled,
        other => panic!("not {other:?}"),
    }
}

fn said(observed: &Observed) -> Verdict {
    match decided(observed) {
        Plan::Say(verdict) => verdict,
        other => panic!("not {other:?}"),
    }
}

fn moving(mut topic: Topic, partition: usize, adding: &[i32], removing: &[i32]) -> Topic {
    topic.partitions[partition].adding = adding.to_vec();
    topic.partitions[partition].removing = removing.to_vec();
    topic
}

#[test]
fn a_topic_that_is_missing_is_created_as_it_is_wanted() {
    let observed = seen(resource("t").sized(4, 2).set("retention.ms", " 01000").built(), 3, []);
    let creation = creation(&observed);
    assert_eq!((creation.name.as_str(), creation.assignment.len(), creation.announce), ("t", 4, false));
    assert!(creation.assignment.iter().all(|replicas| replicas.len() == 2));
    assert_eq!(creation.config, BTreeMap::from([("retention.ms".to_owned(), "1000".to_owned())]));
    assert_eq!(super::tests::creation(&observed), creation, "trying again plans the same");
}

#[test]
fn what_is_not_said_has_defaults() {
    let size = |observed: &Observed| {
        let assignment = creation(observed).assignment;
        (assignment.len(), assignment[0].len())
    };
    assert_eq!(size(&seen(resource("t").built(), 5, [])), (1, 3));
    assert_eq!(size(&seen(resource("t").built(), 2, [])), (1, 2));
    let placement = Placement { brokers: Some(vec![1]), racks: None };
    let placed = resource("t").with(|resource| resource.spec.placement = Some(placement));
    assert_eq!(size(&seen(placed.built(), 5, [])), (1, 1));
    let mut observed = seen(resource("t").built(), 3, []);
    let mut cluster = (*live(&mut observed).cluster).clone();
    cluster.spec.config.insert("num.partitions".into(), "6".into());
    live(&mut observed).cluster = cluster.into();
    assert_eq!(size(&observed), (6, 3));
}

#[test]
fn replicas_go_only_where_they_may_live() {
    for (fence, replicas, placement, expected) in [
        (vec![0], 4, None, vec![1, 2, 3]),
        (vec![], 2, None, vec![0, 1]),
        (vec![], 4, Some(Placement { brokers: Some(vec![1, 3]), racks: None }), vec![1, 3]),
        (vec![3], 4, Some(Placement { brokers: None, racks: Some(vec!["r2".into(), "r3".into()]) }), vec![2]),
    ] {
        let made = resource("t").with(|resource| resource.spec.placement = placement);
        let mut observed = seen(made.sized(12, 1).built(), 4, []);
        let live = live(&mut observed);
        let mut cluster = (*live.cluster).clone();
        cluster.spec.brokers.replicas = replicas;
        live.cluster = cluster.into();
        for broker in &mut Arc::make_mut(&mut live.view.state).brokers {
            broker.fenced = fence.contains(&broker.id);
        }
        let mut used: Vec<i32> = creation(&observed).assignment.concat();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, expected);
    }
}

#[test]
fn too_few_brokers_are_waited_for_with_the_numbers() {
    let verdict = said(&seen(resource("t").sized(1, 3).built(), 2, []));
    assert_eq!((verdict.reason, verdict.ready), (reason::NOT_ENOUGH_BROKERS, ConditionStatus::False));
    assert!(verdict.message.contains("3 replicas are wanted, and 2 brokers"), "{}", verdict.message);
    let grown = said(&seen(resource("t").sized(2, 3).built(), 2, [topic("t", &[&[0, 1]])]));
    assert_eq!(grown.reason, reason::NOT_ENOUGH_BROKERS);
}

#[test]
fn a_topic_as_wanted_needs_nothing() {
    let topic = configured(topic("t", &[&[0, 1], &[1, 2]]), &[("retention.ms", "1000")]);
    let made = ready(resource("t").sized(2, 2).set("retention.ms", "1000"), &topic);
    let mut observed = seen(made.built(), 3, [topic]);
    let settlement = settled(&observed);
    assert_eq!((settlement.claim, settlement.verdict.ready), (Claim::Ours, ConditionStatus::True));
    // Nor does it while brokers are down.
    for broker in &mut Arc::make_mut(&mut live(&mut observed).view.state).brokers {
        broker.fenced = true;
    }
    assert_eq!(settled(&observed).verdict.ready, ConditionStatus::True);
}

#[test]
fn what_is_not_said_is_as_the_topic_has_it() {
    let topic = topic("t", &[&[0, 1], &[1, 2], &[2]]);
    assert_eq!(settled(&seen(resource("t").built(), 3, [topic])).verdict.reason, reason::AS_WANTED);
}

#[test]
fn a_topic_that_existed_is_adopted_or_left_alone() {
    let there = topic("t", &[&[0]]);
    let keeps = |resource: &mut KafkaTopic| resource.spec.adopt = false;
    let known = |id: &str| KafkaTopicStatus { topic_id: Some(id.into()), ..Default::default() };
    assert_eq!(settled(&seen(resource("t").built(), 3, [there.clone()])).claim, Claim::Adopted);
    let other = resource("t").with(|resource| resource.status = Some(known("another")));
    assert_eq!(settled(&seen(other.built(), 3, [there.clone()])).claim, Claim::Remade);
    let ours = resource("t").with(keeps).with(|resource| resource.status = Some(known("id-of-t")));
    assert_eq!(settled(&seen(ours.built(), 3, [there.clone()])).claim, Claim::Ours);
    for made in [resource("t"), resource("t").with(|resource| resource.status = Some(known("another")))] {
        let verdict = said(&seen(made.with(keeps).built(), 3, [there.clone()]));
        assert_eq!((verdict.reason, verdict.about), (reason::TOPIC_EXISTS, About::Known));
    }
}

#[test]
fn a_topic_of_others_is_adopted_once_all_its_configuration_is_named() {
    let throttle = ("leader.replication.throttled.replicas", "*");
    let there = configured(
        topic("t", &[&[0]]),
        &[("retention.ms", "-1"), ("segment.bytes", "1048576"), ("flush.ms", "5"), throttle],
    );
    let remade = KafkaTopicStatus { topic_id: Some("another".into()), ..Default::default() };
    for status in [None, Some(remade)] {
        let made = || resource("t").with(|resource| resource.status = status.clone()).set("flush.ms", "6");
        let mut ledger = Ledger::default();
        // Nothing else of it is done either.
        let Plan::Say(verdict) = plan(&seen(made().sized(3, 2).built(), 3, [there.clone()]), false, &mut ledger) else {
            panic!("it is refused");
        };
        assert_eq!((verdict.reason, verdict.ready), (reason::UNNAMED_CONFIG, ConditionStatus::False));
        assert_eq!((verdict.degraded, verdict.about), (true, About::Known));
        let (message, named) = (verdict.message, "does not name: retention.ms=-1, segment.bytes=1048576. ");
        assert!(message.contains(named), "{message}");
        assert_eq!(ledger.free("another", 0, 0, 20), 20, "no moves are begun");
        let change =
            changes(&seen(made().set("retention.ms", "7").set("segment.bytes", "1048576").built(), 3, [there.clone()]));
        let set = [("flush.ms", "6"), ("retention.ms", "7")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((change.set, change.unset), (set.into(), vec![]));
    }
}

#[test]
fn what_adopts_nothing_says_first_that_it_creates_and_knows_its_topic_by_that() {
    let made = || resource("t").with(|resource| resource.spec.adopt = false);
    assert!(creation(&seen(made().built(), 3, [])).announce);
    let creating = Verdict::progresses(reason::CREATING, String::new(), About::Known, None);
    let announced = made().with(|resource| resource.status = Some(status(resource, &creating, &time(5)))).built();
    assert!(!creation(&seen(announced.clone(), 3, [])).announce);
    assert_eq!(settled(&seen(announced, 3, [topic("t", &[&[0]])])).claim, Claim::Ours);
    let observed = seen(made().built(), 3, [topic("t", &[&[0]])]);
    assert!(matches!(plan(&observed, true, &mut Ledger::default()), Plan::Settle(_)));
}

#[test]
fn configuration_is_set_and_unset_but_for_throttles() {
    let there = configured(
        topic("t", &[&[0]]),
        &[
            ("retention.ms", " 1000"),
            ("segment.bytes", "1"),
            ("leader.replication.throttled.replicas", "*"),
            ("flush.ms", "1"),
        ],
    );
    let ours = KafkaTopicStatus { topic_id: Some("id-of-t".into()), ..Default::default() };
    let made = resource("t").with(|resource| resource.status = Some(ours));
    let change = changes(&seen(made.set("retention.ms", "1000").set("flush.ms", "2").built(), 3, [there]));
    assert_eq!(change.set, BTreeMap::from([("flush.ms".to_owned(), "2".to_owned())]));
    assert_eq!(change.unset, ["segment.bytes"]);
    assert!(!change.is_drift);
}

#[test]
fn what_somebody_else_changed_is_drift() {
    let wanted = topic("t", &[&[0]]);
    let made = ready(resource("t"), &wanted).built();
    let changed = configured(wanted, &[("retention.ms", "1")]);
    assert!(changes(&seen(made.clone(), 3, [changed.clone()])).is_drift);
    let edited =
        KafkaTopic { metadata: kube::api::ObjectMeta { generation: Some(2), ..made.metadata.clone() }, ..made };
    assert!(!changes(&seen(edited, 3, [changed])).is_drift);
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    let there = topic("t", &[&[0, 1], &[1, 2]]);
    let change = changes(&seen(resource("t").with(|one| one.spec.partitions = Some(5)).built(), 3, [there.clone()]));
    assert_eq!(change.more.len(), 3);
    assert!(change.more.iter().all(|replicas| replicas.len() == 2), "as many replicas as the others have");
    let on_its_way = moving(topic("t", &[&[3, 0, 1], &[1, 2]]), 0, &[3], &[0]);
    let change = changes(&seen(resource("t").with(|one| one.spec.partitions = Some(3)).built(), 4, [on_its_way]));
    assert_eq!(change.more[0].len(), 2, "as many as there will be");
    // Nothing of the rest is done either.
    let fewer = resource("t").sized(1, 3).set("retention.ms", "1");
    let verdict = said(&seen(fewer.built(), 3, [there]));
    assert_eq!(verdict.reason, reason::PARTITIONS_CANNOT_DECREASE);
    assert!(verdict.message.contains("has 2 partitions and 1 are wanted"), "{}", verdict.message);
}

#[test]
fn wrong_configuration_keeps_all_else_from_being_done() {
    for there in [vec![], vec![topic("t", &[&[0]])]] {
        let verdict = said(&seen(resource("t").sized(5, 1).set("retention.msx", "1").built(), 3, there));
        assert_eq!((verdict.reason, verdict.degraded), (reason::INVALID_CONFIG, true));
    }
}

#[test]
fn another_replication_factor_moves_replicas_and_is_not_ready_until_that_is_done() {
    let there = topic("t", &[&[0], &[1, 2]]);
    let made = resource("t").sized(2, 2).built();
    let change = changes(&seen(made.clone(), 3, [there.clone()]));
    assert_eq!(change.moves.iter().map(|one| (one.partition, one.replicas.len())).collect::<Vec<_>>(), [(0, 2)]);
    let mut begun = there;
    begun.partitions[0].replicas = change.moves[0].replicas.clone();
    begun = moving(begun, 0, &change.moves[0].replicas[1..], &[]);
    assert!(change.is_shown(&begun));
    let verdict = settled(&seen(made.clone(), 3, [begun.clone()])).verdict;
    assert_eq!((verdict.reason, verdict.ready, verdict.progressing), (reason::MOVING, ConditionStatus::False, true));
    assert_eq!(verdict.again, None);
    let done = moving(begun, 0, &[], &[]);
    assert_eq!(settled(&seen(made, 3, [done])).verdict.ready, ConditionStatus::True);
}

#[test]
fn moves_of_the_whole_cluster_do_not_make_a_topic_unready() {
    let there = moving(topic("t", &[&[3, 1, 0], &[1, 2]]), 0, &[3], &[0]);
    assert_eq!(settled(&seen(resource("t").sized(2, 2).built(), 4, [there])).verdict.ready, ConditionStatus::True);
}

#[test]
fn a_partition_that_moves_elsewhere_is_not_moved_at_the_same_time() {
    let there = moving(topic("t", &[&[3, 0]]), 0, &[3], &[0]);
    let verdict = settled(&seen(resource("t").sized(1, 2).built(), 4, [there])).verdict;
    assert_eq!(verdict.reason, reason::MOVING);
    assert!(verdict.again.is_some());
    // Unless it never arrives.
    let lost = moving(topic("t", &[&[9, 0]]), 0, &[9], &[0]);
    let change = changes(&seen(resource("t").sized(1, 2).built(), 4, [lost]));
    assert!(change.moves.len() == 1 && !change.moves[0].replicas.contains(&9), "{:?}", change.moves);
}

#[test]
fn another_placement_moves_what_is_elsewhere() {
    let placement = Placement { brokers: Some(vec![1, 2]), racks: None };
    let made = resource("t").with(|resource| resource.spec.placement = Some(placement));
    let change = changes(&seen(made.built(), 4, [topic("t", &[&[0, 1], &[1, 2], &[3]])]));
    let partitions: Vec<_> = change.moves.iter().map(|one| (one.partition, one.replicas.len())).collect();
    assert_eq!(partitions, [(0, 2), (2, 1)], "each keeps its number of replicas");
    assert!(change.moves.iter().flat_map(|one| &one.replicas).all(|id| [1, 2].contains(id)));
}

#[test]
fn no_more_partitions_move_at_once_than_may() {
    let partitions: Vec<&[i32]> = vec![&[0]; 50];
    let made = resource("t").sized(50, 2).built();
    let mut observed = seen(made, 3, [topic("t", &partitions)]);
    assert_eq!(changes(&observed).moves.len(), 20);
    let state = Arc::make_mut(&mut live(&mut observed).view.state);
    state.reassignments = Some(ReassignmentList { count: 15, first: Vec::new() });
    assert_eq!(changes(&observed).moves.len(), 5);
    let mut ledger = Ledger::default();
    ledger.moves("another", 20);
    let Plan::Settle(settled) = plan(&observed, false, &mut ledger) else { panic!("nothing can begin") };
    assert_eq!((settled.verdict.reason, settled.verdict.again.is_some()), (reason::MOVING, true));
    ledger.moves("another", 0);
    assert!(matches!(plan(&observed, false, &mut ledger), Plan::Change(_)));
    assert_eq!(ledger.free("third", 0, 0, 20), 15, "what was begun takes its places");
}

#[test]
fn a_younger_resource_of_the_same_topic_says_who_has_it() {
    let observed = Observed { owner: Some("old".into()), ..seen(resource("t").built(), 3, [topic("t", &[&[0]])]) };
    let verdict = said(&observed);
    assert_eq!((verdict.reason, &verdict.about), (reason::CONFLICT, &About::Nothing));
    assert!(verdict.message.contains("KafkaTopic old"), "{}", verdict.message);
}

#[test]
fn without_a_cluster_it_says_so_and_what_was_ready_stays_so_while_nobody_can_see() {
    let away = |sight: Sight, made: KafkaTopic| decided(&Observed { cluster: sight, ..seen(made, 3, []) });
    let verdict = |sight| match away(sight, resource("t").built()) {
        Plan::Say(verdict) => (verdict.reason, verdict.ready, verdict.degraded),
        other => panic!("not {other:?}"),
    };
    assert_eq!(verdict(Sight::Missing), (reason::CLUSTER_NOT_FOUND, ConditionStatus::False, false));
    assert_eq!(verdict(Sight::Leaving), (reason::CLUSTER_NOT_FOUND, ConditionStatus::False, false));
    assert_eq!(verdict(Sight::Stopped), (reason::CLUSTER_STOPPED, ConditionStatus::False, false));
    assert_eq!(verdict(Sight::Unreachable), (reason::CLUSTER_NOT_READY, ConditionStatus::Unknown, false));
    assert!(matches!(away(Sight::Paused, resource("t").built()), Plan::Pause));
    let was_ready = || ready(resource("t"), &topic("t", &[&[0]]));
    assert!(matches!(away(Sight::Unreachable, was_ready().built()), Plan::Leave));
    assert!(matches!(away(Sight::Stopped, was_ready().built()), Plan::Say(_)));
    let edited = was_ready().with(|resource| resource.metadata.generation = Some(2));
    assert!(matches!(away(Sight::Unreachable, edited.built()), Plan::Say(_)));
}

#[test]
fn a_resource_that_goes_takes_its_own_topic_with_it_and_no_other() {
    let there = topic("t", &[&[0]]);
    let gone = |resource: &mut KafkaTopic| {
        resource.metadata.deletion_timestamp = Some(time(9));
        resource.metadata.finalizers = Some(vec![FINALIZER.into()]);
    };
    let ours = || ready(resource("t"), &there).with(gone).built();
    let deletion = Deletion { name: "t".into(), id: "id-of-t".into() };
    // Whether the view shows the topic or not: it may be old.
    for topics in [vec![there.clone()], vec![]] {
        assert!(matches!(decided(&seen(ours(), 3, topics)), Plan::Delete(planned) if planned == deletion));
    }
    let released = |observed: &Observed| matches!(decided(observed), Plan::Release);
    let retained = ready(resource("t"), &there).with(gone);
    let retained = retained.with(|resource| resource.spec.deletion_policy = TopicDeletionPolicy::Retain);
    assert!(released(&seen(retained.built(), 3, [there.clone()])));
    assert!(released(&seen(resource("t").with(gone).built(), 3, [there.clone()])), "it never had the topic");
    assert!(released(&Observed { owner: Some("old".into()), ..seen(ours(), 3, [there.clone()]) }));
    for sight in [Sight::Missing, Sight::Leaving] {
        assert!(released(&Observed { cluster: sight, ..seen(ours(), 3, []) }));
    }
    for sight in [Sight::Unreachable, Sight::Stopped, Sight::Paused] {
        let waits = Observed { cluster: sight.clone(), ..seen(ours(), 3, []) };
        assert!(said(&waits).message.starts_with("the topic is to be deleted: "), "{sight:?}");
        let never_had = Observed { cluster: sight, ..seen(resource("t").with(gone).built(), 3, []) };
        assert!(released(&never_had));
    }
    let let_go = KafkaTopic { metadata: kube::api::ObjectMeta { finalizers: None, ..ours().metadata }, ..ours() };
    assert!(matches!(decided(&seen(let_go, 3, [there])), Plan::Leave));
}
