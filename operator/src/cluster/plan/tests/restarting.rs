//! Restarts, one after the other.

use super::*;
use crate::crd::RestartBy;
use std::time::Duration;

#[test]
fn leaders_move_away_before_a_restart() {
    let mut situation = settled(3).with_topic("t", &[&[1, 0, 2], &[2, 1, 0]]);
    for id in [1, 2] {
        situation.edit_pod(id).revision = Some("old".to_owned());
    }
    assert_eq!(plan(&situation).actions, [Action::Drain { broker: 1, drained: true }]);
    situation.edit(1).drained = true;
    let waiting = plan(&situation);
    assert!(waiting.actions.is_empty() && reasons(&waiting).contains(&"Draining"));
    let mut led_elsewhere = situation.clone();
    led_elsewhere.edit(1).leads = 0;
    assert_eq!(restarts(&plan(&led_elsewhere)), [1]);
}

#[test]
fn partitions_of_one_replica_do_not_hold_up_a_restart() {
    let mut situation = settled(3).with_topic("single", &[&[1]]);
    situation.edit_pod(1).revision = Some("old".to_owned());
    situation.edit(1).drained = true;
    assert_eq!(restarts(&plan(&situation)), [1]);
}

#[test]
fn the_active_controller_is_restarted_last() {
    let mut situation = settled(3);
    (0..3).for_each(|id| situation.edit_pod(id).revision = Some("old".to_owned()));
    assert_eq!(restarts(&plan(&situation)), [1]);
    situation.edit_pod(1).revision = Some("new".to_owned());
    situation.edit_pod(2).revision = Some("new".to_owned());
    assert_eq!(restarts(&plan(&situation)), [0]);
}

#[test]
fn nothing_is_restarted_before_the_stateful_set_would_make_another_pod() {
    let mut situation = settled(3);
    (0..3).for_each(|id| situation.edit_pod(id).revision = Some("old".to_owned()));
    situation.edit_pod(1).process = Process::Failing("CrashLoopBackOff".to_owned());
    for refused in [Some("old".to_owned()), None] {
        situation.broker_set_revision = refused;
        let plan = plan(&situation);
        assert!(restarts(&plan).is_empty() && !reasons(&plan).contains(&"Restarting"), "{plan:?}");
    }
}

#[test]
fn a_pod_that_runs_and_never_becomes_ready_is_restarted_once_another_is_wanted() {
    let mut situation = settled(3);
    let unready = |situation: &mut Situation, seconds| {
        let pod = situation.edit_pod(1);
        (pod.is_ready, pod.unready_for) = (false, Duration::from_secs(seconds));
    };
    unready(&mut situation, 1000);
    assert!(restarts(&plan(&situation)).is_empty(), "another pod would be no better");
    situation.edit_pod(1).revision = Some("old".to_owned());
    assert_eq!(restarts(&plan(&situation)), [1]);
    unready(&mut situation, 30);
    let waiting = plan(&situation);
    assert!(restarts(&waiting).is_empty(), "it may just be starting");
    assert_eq!(waiting.again, Some(Duration::from_secs(90)));
}

#[test]
fn brokers_that_leave_may_lead_while_others_are_restarted() {
    let mut situation = settled(5).with_topic("t", &[&[1, 3, 4]]);
    situation.wanted.brokers = 3;
    [3, 4].into_iter().for_each(|id| situation.edit(id).drained = true);
    situation.edit(1).leads = 1;
    situation.edit_pod(1).revision = Some("old".to_owned());
    let first = plan(&situation);
    let lead = |broker| Action::Drain { broker, drained: false };
    assert!(first.actions.contains(&lead(3)) && first.actions.contains(&lead(4)), "{:?}", first.actions);
    // Where nobody else may lead, its own end makes another one lead.
    situation.edit(1).drained = true;
    assert_eq!(restarts(&plan(&situation)), [1]);
}

#[test]
fn not_so_many_are_evicted_or_restarted_at_once_that_the_quorum_ends() {
    let mut situation = settled(3);
    situation.wanted.max_unavailable = 2;
    situation.state().voters = (0..3).map(|id| proto::Voter { id, ..proto::Voter::default() }).collect();
    assert_eq!(plan(&situation).disruptions_allowed, 1);
    situation.wanted.restart_by = RestartBy::Rack;
    (0..3).for_each(|id| {
        situation.edit_pod(id).revision = Some("old".to_owned());
        situation.edit_pod(id).rack = Some("one".to_owned());
        situation.edit(id).leads = 0;
    });
    assert_eq!(restarts(&plan(&situation)), [1]);
    situation.state().voters.truncate(1);
    assert_eq!(plan(&situation).disruptions_allowed, 1, "or its node could never be emptied");
}

#[test]
fn nothing_is_restarted_while_another_is_missing() {
    let mut situation = settled(3);
    situation.edit_pod(2).revision = Some("old".to_owned());
    situation.edit(1).fenced = true;
    let plan = plan(&situation);
    assert!(restarts(&plan).is_empty());
    assert_eq!(plan.doing[0].message, "restarting pods: 2 of 3 are as they are wanted; this waits for node 1");
}

#[test]
fn a_pod_that_cannot_start_is_replaced_when_what_it_starts_from_has_changed() {
    let mut situation = settled(3);
    let broken = situation.edit_pod(1);
    (broken.process, broken.is_ready) = (Process::Failing("ImagePullBackOff".to_owned()), false);
    assert!(restarts(&plan(&situation)).is_empty(), "another pod would be no better");
    situation.edit_pod(1).revision = Some("old".to_owned());
    assert_eq!(restarts(&plan(&situation)), [1]);
}

#[test]
fn a_rack_is_restarted_together_as_far_as_it_may_be_missing() {
    let mut situation = settled(9).with_topic("t", &[&[1, 2, 3], &[4, 5, 6], &[7, 8, 0]]);
    (0..9).for_each(|id| {
        situation.edit_pod(id).revision = Some("old".to_owned());
        situation.edit(id).leads = 0;
    });
    situation.wanted.restart_by = RestartBy::Rack;
    situation.wanted.max_unavailable = 2;
    assert_eq!(restarts(&plan(&situation)), [1, 4]);
    let mut shared = situation.with_topic("same-rack", &[&[1, 4]]);
    shared.edit(1).leads = 0;
    shared.wanted.min_isr = 1;
    assert_eq!(restarts(&plan(&shared)), [1, 7], "1 and 4 together would leave a partition without a replica");
}

#[test]
fn a_broker_that_need_not_be_restarted_any_more_may_lead_again() {
    let mut situation = settled(3);
    situation.edit(1).drained = true;
    assert_eq!(plan(&situation).actions, [Action::Drain { broker: 1, drained: false }]);
}

#[test]
fn a_changed_address_outside_restarts_the_broker() {
    let mut situation = settled(3);
    let endpoint = proto::Endpoint { listener: "EXTERNAL".to_owned(), host: "10.0.0.1".to_owned(), port: 30001 };
    situation.edit(2).endpoints = vec![endpoint];
    situation.wanted.external.insert(2, (None, 30001));
    assert!(restarts(&plan(&situation)).is_empty());
    situation.wanted.external.insert(2, (None, 30002));
    assert_eq!(restarts(&plan(&situation)), [2]);
    (situation.edit_pod(2).process, situation.edit_pod(2).is_ready) = (Process::Waiting, false);
    assert!(restarts(&plan(&situation)).is_empty(), "what is registered is the process before");
}

#[test]
fn dynamic_configuration_is_applied_without_a_restart() {
    let mut situation = settled(3);
    situation.wanted.dynamic_config.insert("log.retention.ms".to_owned(), "1000".to_owned());
    let old = proto::Config { name: "message.max.bytes".to_owned(), value: "5".to_owned() };
    situation.state().broker_configs = vec![old];
    let set = vec![("log.retention.ms".to_owned(), "1000".to_owned())];
    assert_eq!(plan(&situation).actions, [Action::Configure { set, unset: vec!["message.max.bytes".to_owned()] }]);
}
