//! Whole clusters in one thread, with everything that can go wrong, from a seed: each node has the real raft node, the real
//! controller, images replayed from what is committed, and the real replicas over logs in memory.
//!
//! What is promised, and checked at every step ([`checker`]):
//!
//! - A leader epoch of the quorum, and of each partition, has at most one leader, which is one process.
//! - Committed metadata is never lost; neither is a record that lies below a high watermark, and every new leader has it.
//!   With `acks=all` and `min.insync.replicas=2` an acknowledged record is such a record. It holds in three weathers:
//!   records are synced before they count, and any machines lose power; they are not synced, and any processes crash;
//!   they are not synced, eligible leader replicas are kept (KIP-966), and one machine at a time loses power: the next
//!   one not before all replicas are in sync again. Beyond that (several machines lose power at once and nothing was
//!   synced, or the last replica in sync does where no eligible ones are kept) Kafka promises nothing, and neither do we.
//! - The committed records of an idempotent producer have neither gaps nor repetitions, and stand in their order.
//! - Two logs with a batch of the same offset and epoch are equal up to it, and all are below the high watermark.
//! - A consumer never sees two different records at an offset, never falls out of the log, and is never told a latest
//!   offset below one that it was told before.
//! - When the faults have ended, in bounded time: each partition has a leader and all its replicas in sync, their logs are
//!   equal, all that producers have sent is acknowledged, all that is committed was read.
//!
//! A failing seed is printed; `SIMULATE_SEED=<seed> SIMULATE_NODES=<3 or 5> cargo test -p barnabas --lib cluster::replay --
//! --nocapture` runs it again, step by step the same, and prints what happened. `make simulate SEEDS=<count>` runs many.
//!
//! Deliberately absent: snapshots of the metadata, which the simulation of quorums has, and the bytes of logs, which the
//! model test of the log has.

mod broker;
mod checker;
mod clients;
mod faults;
mod message;
mod partition_log;
mod planted;
mod quorum;
mod weather;
mod world;

use checker::Violation;
use faults::{Outcome, history};
use planted::Bug;

/// Histories in an ordinary test run.
const SEEDS: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

fn seeds() -> u64 {
    number("SIMULATE_SEEDS").unwrap_or(SEEDS)
}

/// Histories of five nodes that have found bugs: a cluster whose `min.insync.replicas` was 1 for the controller, and kept no
/// eligible leader replicas, though its nodes were configured with 2.
const CASES: [u64; 1] = [34];

fn checked_history(seed: u64, nodes: i32) -> Outcome {
    let outcome = history(seed, nodes, None);
    if let Some(violation) = &outcome.violation {
        panic!("SIMULATE_SEED={seed} SIMULATE_NODES={nodes}: {violation:?}");
    }
    outcome
}

fn check(nodes: i32, seeds: u64) -> Vec<Outcome> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let share = |first: u64| {
            move || {
                (first..seeds).step_by(threads as usize).map(|seed| checked_history(seed, nodes)).collect::<Vec<_>>()
            }
        };
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(share(first))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("the seed was printed")).collect()
    });
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    eprintln!(
        "{nodes} nodes, {seeds} histories: {} happenings, {} crashes, {} of them power losses, {} times fenced, {} leaders, \
         {} ISR changes, {} truncations, {} records committed, {} batches acknowledged, {} consumed",
        sum(|outcome| outcome.counted.happenings),
        sum(|outcome| outcome.counted.crashes),
        sum(|outcome| outcome.counted.power_losses),
        sum(|outcome| outcome.counted.fenced),
        sum(|outcome| outcome.elections),
        sum(|outcome| outcome.counted.isr_changes),
        sum(|outcome| outcome.counted.truncations),
        sum(|outcome| outcome.committed as usize),
        sum(|outcome| outcome.counted.acknowledged),
        sum(|outcome| outcome.counted.consumed),
    );
    outcomes
}

/// The histories are worth checking only if the rare things happen in them.
fn assert_eventful(outcomes: &[Outcome]) {
    let each = |enough: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| enough(outcome)).count();
    let some = outcomes.len() / 10;
    assert!(each(|outcome| outcome.elections > 4) > some);
    assert!(each(|outcome| outcome.committed > 100) > some);
    assert!(each(|outcome| outcome.counted.truncations > 0) > some);
    assert!(each(|outcome| outcome.counted.power_losses > 0) > some);
    assert!(each(|outcome| outcome.counted.fenced > 1) > some);
    assert!(each(|outcome| outcome.counted.isr_changes > 4) > some);
}

#[test]
fn clusters_of_three_keep_their_promises() {
    assert_eventful(&check(3, seeds()));
}

#[test]
fn clusters_of_five_keep_their_promises() {
    assert_eventful(&check(5, seeds() / 4));
}

#[test]
fn what_has_found_bugs_finds_none() {
    CASES.iter().for_each(|seed| drop(checked_history(*seed, 5)));
}

#[test]
fn a_seed_replays_exactly() {
    let trace = |seed| {
        let mut world = world::World::new(seed, 3, None);
        world.trace = Some(Vec::new());
        faults::run(&mut world);
        world.trace
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn replay() {
    let Some(seed) = number("SIMULATE_SEED") else { return };
    let mut world = world::World::new(seed, number("SIMULATE_NODES").unwrap_or(3) as i32, None);
    println!("{:?}", world.weather);
    world.trace = Some(Vec::new());
    faults::run(&mut world);
    println!("{}", world.trace.expect("a trace").join("\n"));
    assert_eq!(world.violation, None);
}

/// Looks for a history in which a planted bug breaks a promise of the kind that it has to break.
#[track_caller]
fn assert_found(bug: Bug, seeds: u64, is_wanted: fn(&Violation) -> bool) {
    let breaks = |seed| history(seed, 3, Some(bug)).violation.filter(is_wanted);
    let found = (0..seeds).find_map(|seed| Some((seed, breaks(seed)?)));
    let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found in {seeds} histories"));
    eprintln!("{bug:?} was found by seed {seed}: {violation:?}");
}

fn loses_records(violation: &Violation) -> bool {
    use Violation::*;
    matches!(violation, LeaderLacksCommittedRecords { .. } | CommittedRecordsDiffer { .. } | ConsumerOutOfRange { .. })
}

#[test]
fn an_ack_before_replication_is_found() {
    assert_found(Bug::AckBeforeReplication, 100, loses_records);
}

#[test]
fn a_skipped_truncation_is_found() {
    let differ = |found: &Violation| {
        matches!(found, Violation::LogsDoNotMatch { .. } | Violation::CommittedRecordsDiffer { .. })
    };
    assert_found(Bug::TruncationSkipped, 100, differ);
}

#[test]
fn a_leader_that_newer_epochs_do_not_depose_is_found() {
    assert_found(Bug::LeaderNotDeposed, 100, |found| matches!(found, Violation::NoProgress { .. }));
}

#[test]
fn an_isr_that_the_controller_has_not_taken_is_found() {
    assert_found(Bug::IsrAppliedEarly, 1000, loses_records);
}

#[test]
fn an_unclean_election_is_found() {
    assert_found(Bug::UncleanElection, 1000, loses_records);
}

#[test]
fn a_broker_that_serves_before_it_is_registered_is_found() {
    assert_found(Bug::ServesBeforeRegistered, 100, |found| matches!(found, Violation::TwoLeaders { .. }));
}
