//! What goes wrong, and when: a history of faults from a seed, an end of all faults, and what must hold then.

use super::checker::Violation;
use super::planted::Bug;
use super::world::{Counted, Happening, MS, Micros, World};
use crate::raft::{LeaderEpoch, ReplicaId};
use rand::Rng;

const FAULTS_END: Micros = 5_000 * MS;
/// After the last fault, a leader and one committed change must be there within this time: a frozen vote, a lost
/// election and a snapshot's download have room, nothing else has.
const PROGRESS: Micros = 4_000 * MS;

/// How a history ended.
#[derive(Debug)]
pub struct Outcome {
    pub violation: Option<Violation>,
    pub counted: Counted,
    pub elections: usize,
    pub committed: i64,
}

/// One history of `voters` voters and an observer, which follows from `seed` alone.
pub fn history(seed: u64, voters: i32, bug: Option<Bug>) -> Outcome {
    let mut world = World::new(seed, voters, 1, bug);
    run(&mut world);
    Outcome {
        violation: world.violation.clone(),
        counted: world.counted,
        elections: world.checker.elections(),
        committed: world.checker.committed_end(),
    }
}

pub fn run(world: &mut World) {
    choose_weather(world);
    world.start_all();
    while world.now < FAULTS_END && world.violation.is_none() {
        let pause = world.random.random_range(1..60) * MS;
        world.run_until(world.now + pause);
        propose_to_leaders(world);
        if world.random.random_bool(0.15) {
            fault(world);
        }
    }
    end_all_faults(world);
    converge(world);
    cut_off_a_follower(world);
}

/// Some histories have a bad network, some slow disks, some none of it.
fn choose_weather(world: &mut World) {
    let random = &mut world.random;
    world.network.delay_max = [MS, 5 * MS, 40 * MS][random.random_range(0..3)];
    world.network.loss = [0.0, 0.01, 0.1][random.random_range(0..3)];
    world.network.duplication = [0.0, 0.05][random.random_range(0..2)];
    world.sync_time_max = [MS, 10 * MS, 100 * MS][random.random_range(0..3)];
    world.crash_chance = [0.0, 0.001, 0.005][random.random_range(0..3)];
    world.batches_read_max = [1, 2, 8][random.random_range(0..3)];
}

fn propose_to_leaders(world: &mut World) {
    for leader in world.leaders() {
        for _ in 0..world.random.random_range(0..3) {
            world.propose(leader);
        }
    }
}

fn fault(world: &mut World) {
    let victim = pick_victim(world);
    match world.random.random_range(0..8) {
        0 | 1 => world.crash_for_a_while(victim),
        2 => {
            let pause = world.random.random_range(20..1200) * MS;
            world.freeze(victim, pause);
        }
        3 => {
            world.isolate(victim);
            heal_later(world);
        }
        4 => split(world),
        5 => cut_one_way(world),
        6 => {
            let drop_log = world.random.random_bool(0.7);
            world.snapshot(victim, drop_log);
        }
        _ => world.resign(victim),
    }
}

/// Half of the time a leader, for that is where it hurts.
fn pick_victim(world: &mut World) -> ReplicaId {
    let leaders = world.leaders();
    let from = if leaders.is_empty() || world.random.random_bool(0.5) { world.ids() } else { leaders };
    from[world.random.random_range(0..from.len())]
}

fn split(world: &mut World) {
    let (left, right): (Vec<_>, Vec<_>) = world.ids().into_iter().partition(|_| world.random.random_bool(0.5));
    for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
        world.network.cut(a, b);
        world.network.cut(b, a);
    }
    heal_later(world);
}

fn cut_one_way(world: &mut World) {
    for from in world.ids() {
        for to in world.ids() {
            if world.random.random_bool(0.3) {
                world.network.cut(from, to);
            }
        }
    }
    heal_later(world);
}

fn heal_later(world: &mut World) {
    let pause = world.random.random_range(50..1500) * MS;
    world.schedule(world.now + pause, Happening::Heal);
}

pub fn end_all_faults(world: &mut World) {
    world.note_all("all faults end");
    world.network.calm_down();
    world.crash_chance = 0.0;
    world.sync_time_max = 2 * MS;
    world.start_all();
    // What a frozen process or a pulled cable held back still comes.
    let last = world.machines.values().map(|machine| machine.frozen_until).max().unwrap_or(0);
    world.run_until(world.now.max(last) + 200 * MS);
}

/// A leader is there, and what is proposed now is committed and known to everybody, in bounded time.
fn converge(world: &mut World) {
    let until = world.now + PROGRESS;
    let mut proposed = false;
    while world.violation.is_none() {
        world.run_until(world.now + 20 * MS);
        if proposed && all_know_everything(world) {
            return;
        }
        if let [leader] = world.leaders()[..] {
            proposed = proposed || world.propose(leader);
        } else {
            proposed = false;
        }
        if world.now > until {
            world.violation.get_or_insert(Violation::NoProgress { until: until / MS });
        }
    }
}

fn all_know_everything(world: &World) -> bool {
    let [leader] = world.leaders()[..] else { return false };
    let end = world.machines[&leader].disk.end();
    world.machines.values().all(|machine| {
        machine.disk.end() == end && machine.node.as_ref().is_some_and(|node| node.high_watermark() == end.offset)
    })
}

/// A follower that was cut off comes back and is told what it missed; nobody is disturbed (KIP-996).
fn cut_off_a_follower(world: &mut World) {
    let before: LeaderEpoch = world.epoch();
    let leaders = world.leaders();
    let Some(follower) = world.ids().into_iter().find(|id| !leaders.contains(id)) else { return };
    if world.voters.len() == 2 && world.voters.contains(&follower) {
        return; // Its vote is needed: without it there is no quorum that it could disturb.
    }
    world.isolate(follower);
    world.run_until(world.now + 1_500 * MS);
    world.network.heal();
    converge(world);
    let after = world.epoch();
    if world.violation.is_none() && before != after {
        world.violation = Some(Violation::LeaderDisturbed { before, after });
    }
}
