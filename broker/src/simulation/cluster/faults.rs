//! What goes wrong, and when: a history of faults from a seed, an end of all faults, and what must hold then.

use super::broker::{Effect, TOPIC};
use super::checker::Violation;
use super::clients::PARTITIONS;
use super::message::{Packet, Party};
use super::planted::Bug;
use super::world::{Counted, Happening, Machine, World};
use crate::controller::request::{CreateTopics, NewTopic, Request};
use crate::simulation::schedule::{MS, Micros};
use rand::Rng;

const FAULTS_END: Micros = 4_000 * MS;
/// After the last fault everything must be well within this time. A broker that was fenced again and again is on probation
/// for up to fifteen sessions; nothing else takes long.
const PROGRESS: Micros = 20_000 * MS;

/// How a history ended.
#[derive(Debug)]
pub struct Outcome {
    pub violation: Option<Violation>,
    pub counted: Counted,
    pub elections: usize,
    pub committed: i64,
}

/// One history of a cluster of `nodes` nodes, which follows from `seed` alone.
pub fn history(seed: u64, nodes: i32, bug: Option<Bug>) -> Outcome {
    let mut world = World::new(seed, nodes, bug);
    run(&mut world);
    Outcome {
        violation: world.violation.clone(),
        counted: world.counted,
        elections: world.checker.elections(),
        committed: world.checker.committed_records(),
    }
}

pub fn run(world: &mut World) {
    world.start_all();
    while world.now < FAULTS_END && world.violation.is_none() {
        let pause = world.random.random_range(5..80) * MS;
        world.run_until(world.now + pause);
        world.create_topic();
        if world.now > 400 * MS && world.random.random_bool(0.15) {
            fault(world);
        }
    }
    end_all_faults(world);
    converge(world);
}

fn fault(world: &mut World) {
    let victim = pick_victim(world);
    match world.random.random_range(0..8) {
        0 | 1 => world.crash_for_a_while(victim),
        2 | 3 => {
            let pause = world.random.random_range(20..1500) * MS;
            world.note(victim, &format!("freezes for {} ms", pause / MS));
            world.machine(victim).frozen_until = world.now + pause;
        }
        4 => {
            world.note(victim, "is cut off");
            for other in world.parties() {
                world.cut_both_ways(Party::Node(victim), other);
            }
            heal_later(world);
        }
        5 => {
            let (left, right): (Vec<_>, Vec<_>) =
                world.parties().into_iter().partition(|_| world.random.random_bool(0.5));
            left.iter().for_each(|a| right.iter().for_each(|b| world.cut_both_ways(*a, *b)));
            world.note_all(&format!("{left:?} are cut off from {right:?}"));
            heal_later(world);
        }
        6 => {
            for from in world.parties() {
                for to in world.parties() {
                    if from != to && world.random.random_bool(0.3) {
                        world.network.cut(from, to);
                    }
                }
            }
            world.note_all("links are cut one way");
            heal_later(world);
        }
        // A connection may break though nobody has died.
        _ if world.random.random_bool(0.5) => world.connections_close(victim),
        _ => world.resign(victim),
    }
}

/// Often one that leads something, for that is where it hurts.
fn pick_victim(world: &mut World) -> i32 {
    let leads = |id: &i32| {
        let process = world.machines[id].process.as_ref();
        process.is_some_and(|process| {
            process.quorum.active.is_some() || process.broker.replicas.values().any(|replica| replica.is_leader())
        })
    };
    let leaders: Vec<i32> = world.ids().into_iter().filter(leads).collect();
    let from = if leaders.is_empty() || world.random.random_bool(0.4) { world.ids() } else { leaders };
    from[world.random.random_range(0..from.len())]
}

fn heal_later(world: &mut World) {
    let pause = world.random.random_range(50..1500) * MS;
    world.schedule(world.now + pause, Happening::Heal);
}

fn end_all_faults(world: &mut World) {
    world.note_all("all faults end");
    world.network.calm_down();
    world.weather.calm_down();
    world.is_over = true;
    world.start_all();
}

/// Everything is led, in sync, equal and read, in bounded time.
fn converge(world: &mut World) {
    let until = world.now + PROGRESS;
    while world.violation.is_none() {
        world.run_until(world.now + 50 * MS);
        world.create_topic();
        let Some(lacking) = world.lacking() else { return };
        if world.now > until {
            world.violation.get_or_insert(Violation::NoProgress { until_ms: until / MS, lacking });
        }
    }
}

impl World {
    fn parties(&self) -> Vec<Party> {
        let nodes = self.ids().into_iter().map(Party::Node);
        nodes.chain((0..self.clients.len()).map(Party::Client)).collect()
    }

    fn cut_both_ways(&mut self, a: Party, b: Party) {
        if a != b {
            self.network.cut(a, b);
            self.network.cut(b, a);
        }
    }

    /// Whether a process may end now without more being lost than what is promised to survive.
    pub fn may_crash(&self, id: i32) -> bool {
        let again = self.last_crashed == Some(id);
        self.weather.synced || !self.weather.power_losses || again || self.is_whole()
    }

    /// Whether the controller knows of every process that it is new, and all replicas are in sync all the same.
    fn is_whole(&self) -> bool {
        let in_sync = |(number, replicas): (i32, usize)| {
            let partition = self.committed_image.topics.partition(TOPIC, number);
            partition.is_some_and(|partition| partition.has_leader() && partition.isr.len() == replicas)
        };
        let is_known = |machine: &Machine| {
            let registered = self.committed_image.brokers.get(&machine.id).map(|broker| broker.epoch);
            machine
                .process
                .as_ref()
                .is_some_and(|process| process.broker.serves && registered == process.broker.epoch())
        };
        self.machines.values().all(is_known) && (0..PARTITIONS).map(|one| (one, 3)).all(in_sync)
    }

    pub fn crash_for_a_while(&mut self, id: i32) {
        if !self.may_crash(id) {
            return;
        }
        self.last_crashed = Some(id);
        let power = self.weather.power_losses && self.random.random_bool(0.5);
        self.crash(id, power);
        let pause_max = [5, 50, 1200][self.random.random_range(0..3)];
        let pause = self.random.random_range(1..pause_max) * MS;
        self.schedule(self.now + pause, Happening::Restart(id));
    }

    /// Creates the topic as soon as it can be.
    fn create_topic(&mut self) {
        let image = &self.committed_image;
        if image.topics.by_name(TOPIC).is_some() || image.live_brokers().count() < 3 {
            return;
        }
        let topic =
            NewTopic { partitions: PARTITIONS, replication_factor: 3, ..NewTopic::with_defaults(TOPIC.to_owned()) };
        let request = Request::CreateTopics(CreateTopics { topics: vec![topic], validate_only: false });
        self.ids().into_iter().for_each(|id| self.decide(id, request.clone()));
        self.ids().into_iter().for_each(|id| self.drive_controller(id));
    }

    /// What is not as it should be when nothing is broken.
    fn lacking(&self) -> Option<String> {
        let image = &self.committed_image;
        let Some(topic) = image.topics.by_name(TOPIC) else { return Some("the topic".to_owned()) };
        for (number, partition) in (0..).zip(&topic.partitions) {
            let end = self.checker.committed_end(number);
            let logs = || partition.replicas.iter().filter_map(|id| self.machines[id].logs.get(&number));
            if partition.isr.len() < 3 || !partition.has_leader() {
                return Some(format!("partition {number} has leader {} and ISR {:?}", partition.leader, partition.isr));
            }
            if logs().count() < 3 || logs().any(|log| log.end() != end) {
                let ends: Vec<i64> = logs().map(|log| log.end()).collect();
                return Some(format!("partition {number} is committed to {end}, its logs end at {ends:?}"));
            }
        }
        let done = |client: &super::clients::Client| client.is_done(|number| self.checker.committed_end(number));
        let busy = self.clients.iter().position(|client| !done(client));
        busy.map(|client| format!("client {client} is not done"))
    }

    /// Does what is due at a broker, and checks what it claims.
    pub fn drive_broker(&mut self, id: i32) {
        let (clock, bug) = (self.clock(id), self.bug);
        self.machine(id).work(clock, bug);
        let Some(process) = &mut self.machine(id).process else { return };
        for effect in std::mem::take(&mut process.broker.effects) {
            self.carry_out_effect(id, clock, effect);
        }
    }

    fn carry_out_effect(&mut self, id: i32, clock: i64, effect: Effect) {
        let machine = &self.machines[&id];
        let incarnation = machine.incarnation;
        let checked = match effect {
            Effect::Answer(call, response) => return self.send(call, Packet::Response(response)),
            Effect::Ask { to, request, purpose } => {
                let call = self.ask(Party::Node(id), to, request);
                let process = self.machine(id).process.as_mut().expect("it runs");
                return process.broker.asked(call, purpose, clock);
            }
            Effect::SyncLog { partition, end, cuts } => {
                let time = self.random.random_range(MS / 10..=self.weather.sync_time_max);
                let synced = Happening::LogSynced { node: id, incarnation, partition, end, cuts };
                return self.schedule(self.now + time, synced);
            }
            Effect::Leads { partition, epoch } => {
                self.note(id, &format!("leads partition {partition} in epoch {epoch}"));
                self.checker.leads(partition, epoch, id, incarnation, &self.machines[&id].logs[&partition])
            }
            Effect::Appended { partition, from } => {
                self.checker.appended(partition, id, from, &machine.logs[&partition])
            }
            Effect::Committed { partition, epoch, high_watermark } => {
                self.checker.committed(partition, id, epoch, high_watermark, &machine.logs[&partition])
            }
            Effect::Truncated { partition, end } => {
                self.counted.truncations += 1;
                return self.note(id, &format!("cuts partition {partition} to {end}"));
            }
            Effect::IsrChangeAsked => {
                self.counted.isr_changes += 1;
                return;
            }
        };
        self.check(checked);
    }
}
