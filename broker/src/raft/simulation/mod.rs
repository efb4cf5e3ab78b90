//! Whole quorums in one thread, with everything that can go wrong, from a seed: thousands of histories, each checked
//! against what KRaft promises at every step ([`checker`]).
//!
//! A failing seed is printed; `RAFT_SEED=<seed> RAFT_VOTERS=<3 or 5> cargo test -p barnabas replay -- --nocapture`
//! runs it again, step by step the same, and prints what happened. `RAFT_SEEDS=<count>` runs that many histories.

pub(crate) mod checker;
pub(crate) mod disk;
mod faults;
mod network;
mod planted;
mod script;
mod shell;
mod text;
mod world;

use checker::Violation;
use faults::{Outcome, history};
use planted::Bug;

use super::{Node, SyncPoint};

/// Whether a sync up to `point` was of the log as it is now.
pub(crate) fn covers(node: &Node, point: SyncPoint) -> bool {
    node.synced.covers(point)
}

/// Histories in an ordinary test run.
const SEEDS: u64 = 500;

fn seeds() -> u64 {
    std::env::var("RAFT_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS)
}

fn check(voters: i32, seeds: u64) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = (0..seeds).map(|seed| checked_history(seed, voters)).collect();
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    eprintln!(
        "{voters} voters, {seeds} histories: {} steps, {} elections, {} records committed, {} proposals, {} truncations, \
         {} snapshots installed, {} crashes, {} of them power losses",
        sum(|outcome| outcome.counted.steps),
        sum(|outcome| outcome.elections),
        sum(|outcome| outcome.committed as usize),
        sum(|outcome| outcome.counted.proposals),
        sum(|outcome| outcome.counted.truncations),
        sum(|outcome| outcome.counted.installs),
        sum(|outcome| outcome.counted.crashes),
        sum(|outcome| outcome.counted.power_losses),
    );
    outcomes
}

fn checked_history(seed: u64, voters: i32) -> Outcome {
    let outcome = history(seed, voters, None);
    if let Some(violation) = &outcome.violation {
        panic!("RAFT_SEED={seed} RAFT_VOTERS={voters}: {violation:?}");
    }
    outcome
}

/// The histories are worth checking only if the rare things happen in them.
fn assert_eventful(outcomes: &[Outcome]) {
    let each = |enough: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| enough(outcome)).count();
    let some = outcomes.len() / 10;
    assert!(each(|outcome| outcome.elections > 3) > some);
    assert!(each(|outcome| outcome.committed > 50) > some);
    assert!(each(|outcome| outcome.counted.truncations > 0) > some);
    assert!(each(|outcome| outcome.counted.installs > 0) > some);
    assert!(each(|outcome| outcome.counted.power_losses > 0) > some);
    assert!(each(|outcome| outcome.counted.resignations > 0) > some);
}

#[test]
fn three_voters_keep_their_promises() {
    assert_eventful(&check(3, seeds()));
}

#[test]
fn five_voters_keep_their_promises() {
    assert_eventful(&check(5, seeds() / 2));
}

#[test]
fn quorums_of_one_and_two_keep_their_promises() {
    check(1, seeds() / 10);
    check(2, seeds() / 10);
}

#[test]
fn a_seed_replays_exactly() {
    let trace = |seed| {
        let mut world = world::World::new(seed, 3, 1, None);
        world.trace = Some(Vec::new());
        faults::run(&mut world);
        world.trace
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn replay() {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (Some(seed), voters) = (number("RAFT_SEED"), number("RAFT_VOTERS").unwrap_or(3)) else { return };
    let mut world = world::World::new(seed, voters as i32, 1, None);
    world.trace = Some(Vec::new());
    faults::run(&mut world);
    println!("{}", world.trace.expect("a trace").join("\n"));
    assert_eq!(world.violation, None);
}

/// The violation by which a planted bug is found first.
fn finding(bug: Bug, voters: i32, seeds: u64) -> Violation {
    let found = (0..seeds).find_map(|seed| Some((seed, history(seed, voters, Some(bug)).violation?)));
    let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found in {seeds} histories"));
    eprintln!("{bug:?} was found by seed {seed}: {violation:?}");
    violation
}

#[test]
fn a_vote_that_is_not_on_disk_is_found() {
    let found = finding(Bug::VoteNotPersisted, 3, 2000);
    assert!(matches!(found, Violation::TwoLeaders { .. } | Violation::LogsDoNotMatch { .. }), "{found:?}");
}

#[test]
fn counting_records_of_older_epochs_is_found() {
    let found = finding(Bug::OlderEpochCounted, 5, 2000);
    assert!(matches!(found, Violation::LeaderLacksCommittedRecords { .. }), "{found:?}");
}

#[test]
fn a_skipped_truncation_is_found() {
    let found = finding(Bug::TruncationSkipped, 3, 100);
    assert!(matches!(found, Violation::LogsDoNotMatch { .. } | Violation::CommittedRecordsDiffer { .. }), "{found:?}");
}

#[test]
fn ignoring_pre_votes_is_found() {
    let found = finding(Bug::PreVoteIgnored, 3, 20);
    assert!(matches!(found, Violation::LeaderDisturbed { .. }), "{found:?}");
}

#[test]
fn an_ack_before_the_sync_is_found() {
    let found = finding(Bug::AckBeforeSync, 3, 100);
    let lost =
        matches!(found, Violation::LeaderLacksCommittedRecords { .. } | Violation::CommittedRecordsDiffer { .. });
    assert!(lost, "{found:?}");
}
