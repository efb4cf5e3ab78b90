//! What a node does about things that do not happen in an honest quorum, and what it tells of an honest one.

use super::*;
use std::collections::BTreeSet;

fn id(number: i32) -> ReplicaId {
    ReplicaId(number)
}

fn at(offset: i64, epoch: i32) -> OffsetAndEpoch {
    OffsetAndEpoch::new(offset, LeaderEpoch(epoch))
}

fn node(local: i32, voters: &[i32], election: ElectionState, log: LogView) -> Node {
    let voters = voters.iter().map(|voter| id(*voter));
    Node::new(Settings::new(ReplicaKey::of(id(local)), voters), election, log, 1, 1000)
}

fn following(leader: i32, epoch: i32) -> ElectionState {
    ElectionState { epoch: LeaderEpoch(epoch), leader: Some(id(leader)), voted: None }
}

fn batch(base_offset: i64, end_offset: i64, epoch: i32) -> Records {
    let span = BatchSpan { base_offset, end_offset, epoch: LeaderEpoch(epoch), size: 1 };
    Records { batches: vec![span], bytes: vec![0] }
}

fn log(records: Records) -> LogView {
    let mut log = LogView::default();
    log.append(&records.batches);
    log
}

fn vote(candidate: i32, epoch: i32) -> Event {
    let candidate = ReplicaKey::of(id(candidate));
    let vote = VoteRequest { candidate, epoch: LeaderEpoch(epoch), log_end: at(0, 0), pre_vote: false };
    Event::Request { id: RequestId(1), request: Request::Vote(vote) }
}

fn body(actions: &[Action]) -> Option<&Result<Answer, Refusal>> {
    actions.iter().find_map(|action| match action {
        Action::Respond { response, .. } => Some(&response.body),
        _ => None,
    })
}

/// Lets a sync end at once, and gives what follows from it.
fn sync(node: &mut Node, actions: &[Action]) -> Vec<Action> {
    let point = actions.iter().find_map(|action| match action {
        Action::Sync(point) => Some(*point),
        _ => None,
    });
    node.step(1001, Event::Synced(point.expect("a sync")))
}

/// The answer of leader 1 in epoch 1 to the fetch that is among `actions`.
fn answer_fetch(node: &mut Node, actions: &[Action], found: Fetched, high_watermark: i64) -> Vec<Action> {
    let correlation = actions.iter().find_map(|action| match action {
        Action::Send { to, correlation, request: Request::Fetch(_) } if *to == id(1) => Some(*correlation),
        _ => None,
    });
    let leader = LeaderAndEpoch { leader: Some(id(1)), epoch: LeaderEpoch(1) };
    let answer = FetchAnswer { high_watermark, log_start_offset: 0, found };
    let response = Response { leader, body: Ok(Answer::Fetch(answer)) };
    node.step(1002, Event::Response { from: id(1), correlation: correlation.expect("a fetch"), response })
}

#[test]
fn a_candidate_outside_the_voter_set_gets_no_vote_and_moves_no_epoch() {
    let mut node = node(1, &[1, 2, 3], ElectionState::default(), LogView::default());
    let actions = node.step(1000, vote(4, 9));
    assert_eq!(body(&actions), Some(&Err(Refusal::InconsistentVoterSet)));
    assert!(actions.contains(&Action::Complain(Complaint::UnknownVoter(id(4)))));
    assert_eq!(node.leader().epoch, LeaderEpoch(0));
}

#[test]
fn a_voter_that_may_have_lost_its_disk_votes_for_no_candidate_with_records() {
    let asks = |log_end, pre_vote| {
        let vote = VoteRequest { candidate: ReplicaKey::of(id(2)), epoch: LeaderEpoch(9), log_end, pre_vote };
        Event::Request { id: RequestId(1), request: Request::Vote(vote) }
    };
    let votes = |node: &mut Node, log_end, pre_vote| match body(&node.step(1000, asks(log_end, pre_vote))) {
        Some(Ok(Answer::Vote { granted })) => *granted,
        other => panic!("{other:?}"),
    };
    let mut wiped = node(1, &[1, 2, 3], ElectionState::default(), LogView::default());
    assert!(!votes(&mut wiped, at(7, 4), true) && !votes(&mut wiped, at(7, 4), false));
    assert!(votes(&mut wiped, at(0, 0), false), "in a new quorum nobody has any");
    let mut old = node(1, &[1, 2, 3], following(3, 4), log(batch(0, 5, 4)));
    assert!(votes(&mut old, at(7, 4), false));

    // Leader 1 of epoch 1 has committed all that this node has, and then something of its own epoch.
    let mut node = node(2, &[1, 2, 3], ElectionState::default(), LogView::default());
    let begin = BeginQuorumEpochRequest { leader: id(1), epoch: LeaderEpoch(1) };
    let actions = node.step(1000, Event::Request { id: RequestId(1), request: Request::BeginQuorumEpoch(begin) });
    let actions = answer_fetch(&mut node, &actions, Fetched::Records(batch(0, 5, 1)), 5);
    assert!(node.may_have_lost_its_disk, "it is not on its disk yet");
    let actions = sync(&mut node, &actions);
    answer_fetch(&mut node, &actions, Fetched::Records(Records::default()), 5);
    assert!(!node.may_have_lost_its_disk);
}

#[test]
fn a_second_process_with_the_same_node_id_is_refused() {
    let mut node = node(1, &[1, 2, 3], ElectionState::default(), LogView::default());
    let actions = node.step(1000, vote(1, 9));
    assert_eq!(body(&actions), Some(&Err(Refusal::InvalidRequest)));
    assert!(actions.contains(&Action::Complain(Complaint::DuplicateNodeId(id(1)))));
}

#[test]
fn the_same_complaint_is_made_once() {
    let mut node = node(1, &[1, 2, 3], ElectionState::default(), LogView::default());
    let complaints =
        |actions: Vec<Action>| actions.iter().filter(|action| matches!(action, Action::Complain(_))).count();
    assert_eq!(complaints(node.step(1000, vote(4, 9))), 1);
    assert_eq!(complaints(node.step(1000, vote(4, 9))), 0);
    assert_eq!(complaints(node.step(1000, vote(5, 9))), 1);
}

#[test]
fn a_vote_is_on_disk_before_it_is_told() {
    let mut node = node(1, &[1, 2, 3], ElectionState::default(), LogView::default());
    let actions = node.step(1000, vote(2, 1));
    let voted = Some(ReplicaKey::of(id(2)));
    let kept = Action::PersistElection(ElectionState { epoch: LeaderEpoch(1), leader: None, voted });
    let kept_at = actions.iter().position(|action| *action == kept).expect("the vote is kept");
    let told_at = actions.iter().position(|action| matches!(action, Action::Respond { .. })).expect("an answer");
    assert!(kept_at < told_at);
    assert_eq!(body(&node.step(1000, vote(3, 1))), Some(&Ok(Answer::Vote { granted: false })), "one vote in an epoch");
}

#[test]
fn committed_records_are_not_cut_for_any_leader() {
    let mut node = node(2, &[1, 2, 3], following(1, 1), log(batch(0, 5, 1)));
    let started = node.step(1000, Event::Tick);
    let fetching = sync(&mut node, &started);
    let fetching = answer_fetch(&mut node, &fetching, Fetched::Records(Records::default()), 4);
    assert!(fetching.contains(&Action::Committed { high_watermark: 4 }));
    let actions = answer_fetch(&mut node, &fetching, Fetched::Diverging(at(3, 1)), 4);
    assert!(matches!(actions[..], [Action::Complain(Complaint::CommittedRecordsDiverge { .. }), ..]), "{actions:?}");
    assert_eq!(node.log_end(), at(5, 1));
}

#[test]
fn records_that_leave_a_gap_are_not_taken() {
    for records in [batch(6, 7, 1), batch(4, 6, 1), batch(5, 5, 1), batch(5, 6, 0), batch(5, 6, 2)] {
        let mut node = node(2, &[1, 2, 3], following(1, 1), log(batch(0, 5, 1)));
        let started = node.step(1000, Event::Tick);
        let fetching = sync(&mut node, &started);
        let actions = answer_fetch(&mut node, &fetching, Fetched::Records(records), 9);
        assert!(matches!(actions[..], [Action::Complain(Complaint::RecordsDoNotFollow { .. }), ..]), "{actions:?}");
        assert_eq!((node.log_end(), node.high_watermark()), (at(5, 1), 0));
    }
}

#[test]
fn a_log_that_was_found_is_synced_before_it_counts() {
    let mut node = node(2, &[1, 2, 3], following(1, 1), log(batch(0, 5, 1)));
    let started = node.step(1000, Event::Tick);
    assert!(!started.iter().any(|action| matches!(action, Action::Send { .. })), "{started:?}");
    let fetching = sync(&mut node, &started);
    assert!(matches!(fetching[..], [Action::Send { request: Request::Fetch(_), .. }]), "{fetching:?}");
}

#[test]
fn a_log_without_its_snapshots_records_begins_at_the_snapshot() {
    let mut view = log(batch(0, 5, 1));
    view.take_snapshot(at(8, 2));
    let mut node = node(2, &[1, 2, 3], following(1, 2), view);
    let actions = node.step(1000, Event::Tick);
    assert_eq!(actions[..2], [Action::InstallSnapshot(at(8, 2)), Action::Committed { high_watermark: 8 }]);
    assert_eq!((node.log().start(), node.log_end()), (at(8, 2), at(8, 2)));
}

#[test]
fn who_does_not_lead_cannot_propose() {
    let mut follower = node(2, &[1, 2, 3], following(1, 1), LogView::default());
    assert_eq!(follower.propose(1000, batch(0, 1, 1)), Err(ProposalRefused));
    let mut leader = node(1, &[1], ElectionState::default(), LogView::default());
    leader.step(1000, Event::Tick);
    assert_eq!(leader.propose(1000, batch(0, 1, 1)), Err(ProposalRefused), "behind the epoch's first record");
    assert_eq!(leader.propose(1000, batch(1, 2, 2)), Err(ProposalRefused), "another epoch");
    assert!(leader.propose(1000, batch(1, 2, 1)).is_ok());
}

#[test]
fn a_leader_describes_its_quorum() {
    let mut leader = node(1, &[1], ElectionState::default(), LogView::default());
    let started = leader.step(1000, Event::Tick);
    sync(&mut leader, &started);
    let observer = ReplicaKey::of(id(7));
    let fetch = FetchRequest {
        replica: Some(observer),
        epoch: LeaderEpoch(1),
        position: at(1, 1),
        high_watermark: 1,
        wait_max_ms: 100,
        bytes_max: 1000,
    };
    let actions = leader.step(1005, Event::Request { id: RequestId(1), request: Request::Fetch(fetch) });
    assert_eq!(actions, [], "nothing new: the answer waits");
    let of = |key, now| ReplicaDescription {
        key,
        log_end_offset: Some(1),
        last_fetch_ms: Some(now),
        last_caught_up_ms: Some(now),
    };
    let description = QuorumDescription {
        leader: id(1),
        epoch: LeaderEpoch(1),
        high_watermark: 1,
        voters: vec![of(ReplicaKey::of(id(1)), 1005)],
        observers: vec![of(observer, 1005)],
    };
    assert_eq!(leader.describe(), Some(description));
    assert_eq!(node(2, &[1, 2, 3], following(1, 1), LogView::default()).describe(), None);
}

#[test]
fn a_fetch_that_waits_is_answered_when_records_come_or_time_is_up() {
    let mut leader = node(1, &[1], ElectionState::default(), LogView::default());
    let started = leader.step(1000, Event::Tick);
    sync(&mut leader, &started);
    let fetch = |number| {
        let replica = Some(ReplicaKey::of(id(7)));
        let (epoch, position) = (LeaderEpoch(1), at(1, 1));
        let fetch = FetchRequest { replica, epoch, position, high_watermark: 1, wait_max_ms: 100, bytes_max: 1000 };
        Event::Request { id: RequestId(number), request: Request::Fetch(fetch) }
    };
    assert_eq!(leader.step(1002, fetch(1)), []);
    assert_eq!(leader.next_deadline(), 1102);
    assert!(matches!(leader.step(1102, Event::Tick)[..], [Action::Respond { to: RequestId(1), .. }]));
    assert_eq!(leader.step(1103, fetch(2)), []);
    let actions = leader.propose(1104, batch(1, 2, 1)).unwrap();
    let read = LogRead { offset: 1, bytes_max: 1000 };
    assert!(
        matches!(&actions[..2], [Action::Append(_), Action::RespondWithRecords { to: RequestId(2), read: found, .. }] if *found == read)
    );
}

#[test]
fn a_quorum_of_one_needs_no_message_and_no_time() {
    let mut node = node(1, &[1], ElectionState::default(), LogView::default());
    let actions = node.step(1000, Event::Tick);
    let leader = LeaderAndEpoch { leader: Some(id(1)), epoch: LeaderEpoch(1) };
    let kept = ElectionState { epoch: LeaderEpoch(1), leader: Some(id(1)), voted: Some(ReplicaKey::of(id(1))) };
    let expected = control::leader_change(0, leader, &BTreeSet::from([id(1)]), &[id(1)], 1000);
    assert_eq!(actions[..2], [Action::PersistElection(kept), Action::Append(expected)]);
    assert_eq!(sync(&mut node, &actions), [Action::Committed { high_watermark: 1 }]);
    assert_eq!(node.next_deadline(), i64::MAX, "an idle node of one wakes never");
}
