//! Plans for whole situations, as a table of facts.

mod restarting;

use super::*;
use crate::admin::View;
use crate::admin::proto::{self, ClusterState, PartitionList, ReassignmentList, TopicPartition};
use crate::cluster::situation::{Claim, Pod, Process, Wanted};
use crate::crd::RebalanceMode;
use std::sync::Arc;

const GI: i128 = 1 << 30;

/// A cluster of so many brokers that is as it is wanted.
fn settled(brokers: i32) -> Situation {
    let wanted = Wanted {
        brokers,
        broker_revision: "new".to_owned(),
        broker_storage: GI,
        max_unavailable: 1,
        moves_at_once: 10,
        min_isr: 2.min(brokers as usize),
        rebalance: RebalanceMode::OnScale,
        ..Wanted::default()
    };
    let mut situation = Situation {
        size: Some(brokers),
        broker_set_storage: Some(GI),
        broker_set_revision: Some("new".to_owned()),
        disruptions_allowed: Some(1),
        balanced_over: (0..brokers).collect(),
        incarnations: (0..brokers).map(|id| (id, format!("process-{id}"))).collect(),
        was_ready: true,
        pods: (0..brokers).map(pod).collect(),
        claims: (0..brokers).map(claim).collect(),
        wanted,
        ..Situation::default()
    };
    situation.view = Some(View { state: state(brokers), topics: imbl::OrdMap::new(), is_live: true });
    situation
}

fn state(brokers: i32) -> Arc<ClusterState> {
    let broker = |id: i32| proto::Broker {
        id,
        incarnation: format!("process-{id}"),
        rack: Some(format!("rack-{}", id % 3)),
        ..proto::Broker::default()
    };
    let empty = Some(PartitionList::default());
    Arc::new(ClusterState {
        active_controller_id: Some(0),
        brokers: (0..brokers).map(broker).collect(),
        under_replicated: empty.clone(),
        offline: empty.clone(),
        under_min_isr: empty,
        reassignments: Some(ReassignmentList::default()),
        ..ClusterState::default()
    })
}

fn pod(id: i32) -> Pod {
    Pod {
        name: format!("c-broker-{id}"),
        uid: format!("uid-{id}"),
        id,
        is_broker: true,
        revision: Some("new".to_owned()),
        rack: Some(format!("rack-{}", id % 3)),
        node: Some(format!("node-{id}")),
        process: Process::Running,
        is_ready: true,
        ..Pod::default()
    }
}

fn claim(id: i32) -> Claim {
    Claim {
        name: format!("data-c-broker-{id}"),
        uid: format!("claim-{id}"),
        id,
        is_broker: true,
        is_owned: false,
        size: GI,
        is_lost: false,
        ends: false,
    }
}

impl Situation {
    fn state(&mut self) -> &mut ClusterState {
        Arc::make_mut(&mut self.view.as_mut().expect("there is a view").state)
    }

    fn edit(&mut self, id: i32) -> &mut proto::Broker {
        self.state().brokers.iter_mut().find(|broker| broker.id == id).expect("there is this broker")
    }

    fn edit_pod(&mut self, id: i32) -> &mut Pod {
        self.pods.iter_mut().find(|pod| pod.id == id).expect("there is this pod")
    }

    /// A topic with these replicas, all in sync and led by the first; the brokers' counts go with it.
    fn with_topic(mut self, name: &str, partitions: &[&[i32]]) -> Situation {
        let partition = |replicas: &&[i32]| TopicPartition {
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: replicas.first().copied(),
            ..TopicPartition::default()
        };
        for replicas in partitions {
            replicas.iter().for_each(|id| self.edit(*id).holds += 1);
            self.edit(replicas[0]).leads += 1;
        }
        let partitions = partitions.iter().map(partition).collect();
        self.state().topics += 1;
        let topic = proto::Topic { name: name.to_owned(), partitions, ..proto::Topic::default() };
        self.view.as_mut().expect("there is a view").topics.insert(name.to_owned(), Arc::new(topic));
        self
    }

    fn edit_topic(&mut self, name: &str, edit: impl FnOnce(&mut proto::Topic)) {
        edit(Arc::make_mut(self.view.as_mut().expect("there is a view").topics.get_mut(name).expect("it is there")));
    }
}

fn reasons(plan: &Plan) -> Vec<&str> {
    plan.doing.iter().map(|doing| doing.reason).chain(plan.troubles.iter().map(|trouble| trouble.reason)).collect()
}

fn restarts(plan: &Plan) -> Vec<i32> {
    let restarted = |action: &Action| match action {
        Action::Restart { id, .. } => Some(*id),
        _ => None,
    };
    plan.actions.iter().filter_map(restarted).collect()
}

#[test]
fn nothing_is_done_about_a_settled_cluster() {
    let plan = plan(&settled(3).with_topic("t", &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1]]));
    assert_eq!((plan.actions.as_slice(), reasons(&plan)), (&[] as &[Action], Vec::new()));
    assert_eq!((plan.brokers, plan.disruptions_allowed), (3, 1));
}

#[test]
fn the_controllers_are_told_of_a_process_that_ended() {
    for process in [Process::Ended, Process::Waiting, Process::Failing("CrashLoopBackOff".to_owned())] {
        let mut situation = settled(3);
        situation.edit_pod(1).process = process;
        situation.edit_pod(1).is_ready = false;
        let told = Action::DeclareDead { broker: 1, incarnation: "process-1".to_owned() };
        assert!(plan(&situation).actions.contains(&told));
        situation.edit(1).fenced = true;
        assert!(!plan(&situation).actions.contains(&told), "they know already");
    }
    let mut anew = settled(3);
    anew.edit_pod(1).process = Process::Waiting;
    anew.edit(1).incarnation = "its successor".to_owned();
    assert!(plan(&anew).actions.is_empty(), "a process that Kubernetes has not told of yet");
    let mut without_pod = settled(3);
    without_pod.pods.remove(1);
    let told = Action::DeclareDead { broker: 1, incarnation: "process-1".to_owned() };
    assert!(plan(&without_pod).actions.contains(&told));
}

#[test]
fn a_pod_is_taken_off_a_lost_node_once_its_broker_is_fenced() {
    let mut situation = settled(3);
    situation.edit_pod(2).node_is_lost = true;
    let is_replaced = |plan: &Plan| plan.actions.iter().any(|action| matches!(action, Action::ReplaceLost { .. }));
    assert!(!is_replaced(&plan(&situation)), "it may serve still");
    situation.edit(2).fenced = true;
    assert!(is_replaced(&plan(&situation)));
    situation.view = None;
    assert!(!is_replaced(&plan(&situation)), "nobody says that it is fenced");
}

#[test]
fn a_lost_volume_is_made_anew() {
    let mut situation = settled(3);
    situation.claims[1].is_lost = true;
    let planned = plan(&situation);
    assert!(
        planned
            .actions
            .iter()
            .any(|action| matches!(action, Action::DeleteClaim { name, .. } if name == "data-c-broker-1"))
    );
    assert_eq!(restarts(&planned), [1]);
}

#[test]
fn scaling_out_grows_at_once() {
    let mut situation = settled(3);
    situation.wanted.brokers = 5;
    let plan = plan(&situation);
    assert_eq!(plan.brokers, 5);
    assert!(reasons(&plan).contains(&"ScalingOut"));
    assert_eq!(plan.disruptions_allowed, 0, "while brokers are missing");
}

#[test]
fn new_brokers_are_given_replicas_and_then_it_is_noted() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1], &[0, 2, 1]]);
    situation.balanced_over = vec![0, 1, 2];
    let moving = plan(&situation);
    let moved = moving.actions.iter().any(|action| matches!(action, Action::Move(moves) if !moves.is_empty()));
    assert!(moved && reasons(&moving).contains(&"Moving"));
    assert_eq!(moving.balanced_over, [0, 1, 2]);
    let mut even = settled(4).with_topic("t", &[&[0, 1, 2], &[1, 2, 3], &[2, 1, 0], &[3, 2, 1]]);
    even.balanced_over = vec![0, 1, 2];
    assert_eq!(plan(&even).balanced_over, [0, 1, 2, 3]);
}

#[test]
fn a_new_broker_is_given_nothing_before_its_pod_is_ready() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1], &[0, 2, 1]]);
    situation.balanced_over = vec![0, 1, 2];
    situation.edit_pod(3).is_ready = false;
    let waiting = plan(&situation);
    assert!(!waiting.actions.iter().any(|action| matches!(action, Action::Move(_))), "{:?}", waiting.actions);
    assert_eq!(waiting.balanced_over, [0, 1, 2], "it is yet to be done");
}

#[test]
fn nothing_is_moved_where_rebalancing_is_off() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1], &[0, 2, 1]]);
    situation.balanced_over = vec![0, 1, 2];
    situation.wanted.rebalance = RebalanceMode::Never;
    let plan = plan(&situation);
    assert!(plan.actions.is_empty() && plan.balanced_over == [0, 1, 2, 3]);
}

#[test]
fn no_more_is_moved_at_once_than_allowed() {
    let replicas: Vec<&[i32]> = vec![&[0, 1, 2]; 40];
    let mut situation = settled(4).with_topic("t", &replicas);
    situation.balanced_over = vec![0, 1, 2];
    situation.wanted.moves_at_once = 5;
    situation.state().reassignments = Some(ReassignmentList { count: 3, first: Vec::new() });
    let moved = plan(&situation).actions.iter().find_map(|action| match action {
        Action::Move(moves) => Some(moves.len()),
        _ => None,
    });
    assert_eq!(moved, Some(2));
}

#[test]
fn moves_are_throttled_while_there_are_any() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1], &[0, 2, 1]]);
    situation.balanced_over = vec![0, 1, 2];
    situation.wanted.throttle = Some(1000);
    let throttled = Action::Throttle { rate: 1000, topics: vec!["t".to_owned()] };
    assert_eq!(plan(&situation).actions.first(), Some(&throttled), "before anything is moved");
    let mut of_topics = settled(4).with_topic("t", &[&[0, 1, 2]]).with_topic("still", &[&[1, 2, 3]]);
    of_topics.wanted.throttle = Some(1000);
    of_topics.state().reassignments = Some(ReassignmentList { count: 1, first: Vec::new() });
    of_topics.edit_topic("t", |topic| topic.partitions[0].adding = vec![3]);
    assert_eq!(plan(&of_topics).actions, [throttled], "what a KafkaTopic has begun, too");
    let mut done = settled(3);
    let rate = proto::Config { name: RATES[0].to_owned(), value: "1000".to_owned() };
    done.state().broker_configs = vec![rate];
    assert_eq!(plan(&done).actions, [Action::Unthrottle { topics: Vec::new() }]);
}

#[test]
fn scaling_in_empties_brokers_first_then_ends_them_then_forgets_them() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1], &[3, 2]]);
    situation.wanted.brokers = 3;
    let emptying = plan(&situation);
    assert_eq!(emptying.brokers, 4);
    let moves = emptying.actions.iter().find_map(|action| match action {
        Action::Move(moves) => Some(moves.clone()),
        _ => None,
    });
    assert!(moves.is_some_and(|moves| moves.len() == 1 && !moves[0].replicas.contains(&3)));
    let spared = Action::Drain { broker: 3, drained: true };
    assert!(emptying.actions.contains(&spared));
    situation.edit(3).drained = true;
    assert!(!plan(&situation).actions.iter().any(|action| matches!(action, Action::Drain { .. })), "once");

    let mut empty = settled(4).with_topic("t", &[&[0, 1], &[1, 2]]);
    empty.wanted.brokers = 3;
    assert_eq!(plan(&empty).brokers, 3);

    let mut gone = settled(4).with_topic("t", &[&[0, 1], &[1, 2]]);
    gone.wanted.brokers = 3;
    gone.size = Some(3);
    gone.pods.pop();
    gone.edit(3).fenced = true;
    assert!(plan(&gone).actions.contains(&Action::Unregister { broker: 3 }));
    gone.state().brokers.pop();
    assert!(
        plan(&gone)
            .actions
            .iter()
            .any(|it| matches!(it, Action::DeleteClaim { name, .. } if name == "data-c-broker-3"))
    );
}

#[test]
fn scaling_in_below_a_replication_factor_is_refused_and_nothing_is_touched() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1, 2, 3]]);
    situation.wanted.brokers = 3;
    situation.edit(3).drained = true;
    let may_lead_again = Action::Drain { broker: 3, drained: false };
    assert_eq!(plan(&situation).actions, [may_lead_again], "the topic came after it was drained");
    situation.edit(3).drained = false;
    let plan = plan(&situation);
    assert_eq!((plan.brokers, plan.actions.as_slice()), (4, &[] as &[Action]));
    let trouble = plan.troubles.iter().find(|trouble| trouble.reason == "ScaleInRefused").expect("it is refused");
    assert!(
        trouble.message.contains("topic t has 4 replicas") && trouble.message.contains("3 brokers would stay"),
        "{trouble:?}"
    );
}

#[test]
fn a_cluster_that_does_not_answer_is_not_made_smaller() {
    let mut situation = settled(4);
    situation.wanted.brokers = 3;
    situation.view = None;
    assert_eq!(plan(&situation).brokers, 4);
}

#[test]
fn nothing_is_ended_or_forgotten_on_the_word_of_another_than_the_active_controller() {
    let mut situation = settled(4);
    situation.wanted.brokers = 3;
    assert_eq!(plan(&situation).brokers, 3, "it is empty");
    let mut from_another = situation.clone();
    from_another.state().node_id = 1;
    assert_eq!(plan(&from_another).brokers, 4);
    let mut knows_a_part = situation.clone();
    knows_a_part.state().topics = 1;
    assert_eq!(plan(&knows_a_part).brokers, 4);
    situation.size = Some(3);
    situation.pods.pop();
    situation.state().brokers.pop();
    situation.state().node_id = 1;
    assert!(plan(&situation).actions.is_empty(), "its volume may be needed");
}

#[test]
fn a_broker_that_was_given_replicas_after_it_was_found_empty_comes_back() {
    let mut situation = settled(4).with_topic("late", &[&[3]]);
    situation.wanted.brokers = 3;
    situation.size = Some(3);
    situation.pods.pop();
    situation.edit(3).fenced = true;
    let plan = plan(&situation);
    assert_eq!(plan.brokers, 4);
    assert!(
        !plan.actions.iter().any(|action| matches!(action, Action::DeleteClaim { .. } | Action::Unregister { .. }))
    );
}

#[test]
fn volumes_that_go_with_the_cluster_have_it_as_their_owner() {
    let mut situation = settled(1);
    situation.wanted.deletes_volumes = true;
    let own = |owned| Action::OwnClaim { name: "data-c-broker-0".to_owned(), uid: "claim-0".to_owned(), owned };
    assert_eq!(plan(&situation).actions, [own(true)]);
    situation.claims[0].is_owned = true;
    assert!(plan(&situation).actions.is_empty());
    situation.wanted.deletes_volumes = false;
    assert_eq!(plan(&situation).actions, [own(false)]);
}

#[test]
fn a_lost_volume_is_kept_while_the_others_cannot_make_up_for_it() {
    let deletes = |situation: &Situation| {
        let plan = plan(situation);
        let is_said = plan.troubles.iter().any(|trouble| trouble.reason == "VolumeLost");
        let deleted = plan.actions.iter().any(|action| matches!(action, Action::DeleteClaim { .. }));
        assert_ne!(is_said, deleted);
        deleted
    };
    let mut situation = settled(3).with_topic("t", &[&[0, 1, 2]]);
    situation.claims[1].is_lost = true;
    assert!(deletes(&situation));
    assert!(!deletes(&situation.clone().with_topic("only-there", &[&[1]])));
    situation.edit(2).fenced = true;
    assert!(!deletes(&situation), "another is missing");
    situation.view = None;
    assert!(!deletes(&situation));
}

#[test]
fn a_cluster_over_kept_volumes_begins_with_as_many_brokers_as_there_are_volumes() {
    let situation = Situation { size: None, pods: Vec::new(), view: None, ..settled(5) };
    let mut smaller = situation.clone();
    smaller.wanted.brokers = 3;
    assert_eq!((plan(&situation).brokers, plan(&smaller).brokers), (5, 5));
    let fresh = Situation { claims: Vec::new(), ..smaller };
    assert_eq!(plan(&fresh).brokers, 3);
}

#[test]
fn a_stopped_cluster_has_no_pods_and_keeps_its_volumes() {
    let mut situation = settled(3);
    situation.wanted.stopped = true;
    let plan = plan(&situation);
    assert_eq!((plan.brokers, plan.controllers), (0, 0));
    assert!(!plan.actions.iter().any(|action| matches!(action, Action::DeleteClaim { .. } | Action::Move(_))));
}

#[test]
fn a_move_onto_a_broker_that_leaves_is_replaced() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1, 2], &[1, 2, 0]]);
    situation.wanted.brokers = 3;
    situation.wanted.moves_at_once = 1;
    situation.state().reassignments = Some(ReassignmentList { count: 1, first: Vec::new() });
    situation.edit_topic("t", |topic| {
        let partition = &mut topic.partitions[0];
        (partition.replicas, partition.adding, partition.removing) = (vec![0, 1, 2, 3], vec![3], vec![2]);
    });
    situation.edit(3).fenced = true;
    situation.edit(3).holds = 1;
    let plan = plan(&situation);
    let moves = plan.actions.iter().find_map(|action| match action {
        Action::Move(moves) => Some(moves.clone()),
        _ => None,
    });
    let moves = moves.unwrap_or_else(|| panic!("{plan:?}"));
    assert!(moves.len() == 1 && moves[0].partition == 0 && !moves[0].replicas.contains(&3), "{moves:?}");
}

#[test]
fn what_is_emptied_says_which_node_it_waits_for() {
    let mut situation = settled(4).with_topic("t", &[&[0, 1], &[3, 2]]);
    situation.wanted.brokers = 3;
    situation.edit(3).holds = 1;
    situation.edit_pod(1).is_ready = false;
    let plan = plan(&situation);
    assert!(!plan.actions.iter().any(|action| matches!(action, Action::Move(_))));
    assert_eq!(plan.doing[0].message, "emptying broker 3: 1 replicas are left; this waits for node 1");
}

#[test]
fn no_eviction_is_allowed_while_a_replica_is_behind() {
    let mut situation = settled(3);
    situation.state().under_replicated = Some(PartitionList { count: 1, first: Vec::new() });
    assert_eq!(plan(&situation).disruptions_allowed, 0);
    situation.view = None;
    assert_eq!(plan(&situation).disruptions_allowed, 1, "what was allowed last");
}

#[test]
fn volumes_grow_and_then_their_set_is_made_anew() {
    let mut situation = settled(2);
    situation.wanted.broker_storage = 2 * GI;
    let grown = |id: i32| Action::GrowClaim { name: format!("data-c-broker-{id}"), size: 2 * GI };
    assert_eq!(plan(&situation).actions, [grown(0), grown(1)]);
    situation.claims.iter_mut().for_each(|claim| claim.size = 2 * GI);
    assert_eq!(plan(&situation).actions, [Action::ReplaceSet { role: Role::Broker }]);
}

#[test]
fn leaders_go_back_when_all_is_well_again() {
    let mut situation = settled(3);
    situation.state().not_preferred = 4;
    assert_eq!(plan(&situation).actions, [Action::ElectPreferred]);
    situation.edit(2).fenced = true;
    assert!(!plan(&situation).actions.contains(&Action::ElectPreferred));
}
