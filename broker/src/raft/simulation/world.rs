//! A quorum in one thread: real nodes, simulated disks, network and clocks, and one queue of what happens when.

use super::checker::{Checker, Violation};
use super::disk::Disk;
use super::network::{Envelope, Packet};
use super::planted::Bug;
use super::text;
use crate::raft::{
    BatchSpan, Event, LeaderEpoch, Node, Records, ReplicaId, ReplicaKey, RequestId, Settings, SyncPoint,
};
use crate::simulation::clock::Clock;
use crate::simulation::network::Network;
use crate::simulation::schedule::Schedule;
pub use crate::simulation::schedule::{MS, Micros};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

pub struct World {
    pub now: Micros,
    pub random: SmallRng,
    pub machines: BTreeMap<ReplicaId, Machine>,
    pub voters: Vec<ReplicaId>,
    pub network: Network<ReplicaId>,
    pub checker: Checker,
    pub violation: Option<Violation>,
    pub bug: Option<Bug>,
    /// The chance that a node crashes between two actions of a step.
    pub crash_chance: f64,
    pub sync_time_max: Micros,
    pub batches_read_max: usize,
    pub counted: Counted,
    pub trace: Option<Vec<String>>,
    schedule: Schedule<Happening>,
    pub waiting: BTreeMap<RequestId, Waiting>,
    last_id: u64,
}

/// What happened, to show that the histories are worth checking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub steps: usize,
    pub proposals: usize,
    pub truncations: usize,
    pub installs: usize,
    pub crashes: usize,
    pub power_losses: usize,
    pub resignations: usize,
}

pub struct Machine {
    pub disk: Disk,
    pub node: Option<Node>,
    pub frozen_until: Micros,
    pub incarnation: u64,
    pub tick_at: Micros,
    pub clock: Clock,
}

/// A request that a node has and has not answered.
pub struct Waiting {
    at: ReplicaId,
    pub envelope: Envelope,
}

pub enum Happening {
    Arrives(ReplicaId, Envelope, Packet),
    Tick(ReplicaId, Micros),
    Synced { node: ReplicaId, incarnation: u64, point: SyncPoint, durable: bool },
    Restart(ReplicaId),
    Thaw(ReplicaId, Box<Happening>),
    Heal,
}

impl World {
    /// `voters` that vote and `observers` that do not, all just started.
    pub fn new(seed: u64, voters: i32, observers: i32, bug: Option<Bug>) -> World {
        let mut world = World {
            now: 0,
            random: SmallRng::seed_from_u64(seed),
            machines: BTreeMap::new(),
            voters: (1..=voters).map(ReplicaId).collect(),
            network: Network::default(),
            checker: Checker::default(),
            violation: None,
            bug,
            crash_chance: 0.0,
            sync_time_max: 2 * MS,
            batches_read_max: 8,
            counted: Counted::default(),
            trace: None,
            schedule: Schedule::default(),
            waiting: BTreeMap::new(),
            last_id: 0,
        };
        for id in (1..=voters + observers).map(ReplicaId) {
            let clock = Clock::random(&mut world.random);
            let machine =
                Machine { disk: Disk::default(), node: None, frozen_until: 0, incarnation: 0, tick_at: 0, clock };
            world.machines.insert(id, machine);
        }
        world
    }

    pub fn start_all(&mut self) {
        for id in self.ids() {
            self.start(id);
        }
    }

    pub fn ids(&self) -> Vec<ReplicaId> {
        self.machines.keys().copied().collect()
    }

    /// The running nodes that take themselves for leaders.
    pub fn leaders(&self) -> Vec<ReplicaId> {
        let leads = |(id, machine): (&ReplicaId, &Machine)| {
            machine.node.as_ref().filter(|node| node.describe().is_some()).map(|_| *id)
        };
        self.machines.iter().filter_map(leads).collect()
    }

    pub fn start(&mut self, id: ReplicaId) {
        let settings = Settings::new(ReplicaKey::of(id), self.voters.iter().copied());
        let seed = self.random.random();
        let machine = self.machines.get_mut(&id).expect("a machine");
        if machine.node.is_some() {
            return;
        }
        machine.incarnation += 1;
        machine.tick_at = i64::MAX;
        let (election, view, clock) = (machine.disk.election, machine.disk.view(), machine.clock.shows(self.now));
        machine.node = Some(Node::new(settings, election, view, seed, clock));
        self.checker.started(id);
        self.note(id, "starts");
        self.step(id, Event::Tick);
    }

    /// Ends a node's process; with `power` also what its disk had not synced.
    pub fn crash(&mut self, id: ReplicaId, power: bool) {
        let machine = self.machines.get_mut(&id).expect("a machine");
        if machine.node.take().is_none() {
            return;
        }
        self.counted.crashes += 1;
        if power {
            machine.disk.lose_power(&mut self.random);
            self.counted.power_losses += 1;
        }
        self.note(id, if power { "loses power" } else { "crashes" });
        let lost: Vec<RequestId> =
            self.waiting.iter().filter(|(_, request)| request.at == id).map(|(id, _)| *id).collect();
        for request in lost {
            let Waiting { envelope, .. } = self.waiting.remove(&request).expect("just found");
            // A dead process's connections close; those of a dead machine say nothing.
            if !power {
                self.send_packet(id, envelope, Packet::Failed);
            }
        }
    }

    pub fn crash_for_a_while(&mut self, id: ReplicaId) {
        let power = self.random.random_bool(0.5);
        self.crash(id, power);
        let pause_max = [5, 50, 800][self.random.random_range(0..3)];
        let pause = self.random.random_range(1..pause_max) * MS;
        self.schedule(self.now + pause, Happening::Restart(id));
    }

    /// Cuts all links of a node, in both directions.
    pub fn isolate(&mut self, id: ReplicaId) {
        self.note(id, "is cut off");
        for other in self.ids() {
            self.network.cut(id, other);
            self.network.cut(other, id);
        }
    }

    /// Stops a node's process; what happens to it meanwhile happens afterwards.
    pub fn freeze(&mut self, id: ReplicaId, time: Micros) {
        self.note(id, "freezes");
        self.machines.get_mut(&id).expect("a machine").frozen_until = self.now + time;
    }

    pub fn resign(&mut self, id: ReplicaId) {
        self.counted.resignations += 1;
        self.note(id, "is asked to resign");
        self.step(id, Event::Resign);
    }

    pub fn snapshot(&mut self, id: ReplicaId, drop_log: bool) {
        let machine = self.machines.get_mut(&id).expect("a machine");
        let Some(node) = &machine.node else { return };
        if let Some(snapshot) = machine.disk.take_snapshot(node.high_watermark()) {
            self.note(id, &format!("takes snapshot {snapshot}"));
            self.step(id, Event::SnapshotTaken(snapshot));
        }
        let machine = self.machines.get_mut(&id).expect("a machine");
        if machine.node.is_some()
            && drop_log
            && let Some(start) = machine.disk.drop_before_snapshot()
        {
            self.note(id, &format!("drops its log before {start}"));
            self.step(id, Event::LogStartMoved(start));
        }
    }

    /// Proposes a batch of one to three records to a node that leads.
    pub fn propose(&mut self, id: ReplicaId) -> bool {
        let (value, count): (u64, i64) = (self.random.random(), self.random.random_range(1..=3));
        let machine = self.machines.get_mut(&id).expect("a machine");
        let clock = machine.clock.shows(self.now);
        let Some(node) = machine.node.as_mut() else { return false };
        let (end, epoch) = (node.log_end().offset, node.leader().epoch);
        let span = BatchSpan { base_offset: end, end_offset: end + count, epoch, size: 8 };
        let records = Records { batches: vec![span], bytes: value.to_be_bytes().to_vec() };
        let Ok(actions) = node.propose(clock, records) else { return false };
        self.counted.proposals += 1;
        self.carry_out(id, actions);
        true
    }

    /// Lets everything happen that happens until `until`, or until a promise is broken.
    pub fn run_until(&mut self, until: Micros) {
        while self.violation.is_none()
            && let Some((at, happening)) = self.schedule.next(until)
        {
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = self.now.max(until);
    }

    pub fn schedule(&mut self, at: Micros, happening: Happening) {
        self.schedule.add(at, happening);
    }

    fn happen(&mut self, happening: Happening) {
        let to = match &happening {
            Happening::Arrives(id, ..) | Happening::Tick(id, _) | Happening::Synced { node: id, .. } => *id,
            Happening::Thaw(id, _) => *id,
            Happening::Restart(id) => return self.start(*id),
            Happening::Heal => {
                self.note_all("the network heals");
                return self.network.heal();
            }
        };
        let frozen_until = self.machines[&to].frozen_until;
        if frozen_until > self.now {
            return self.schedule(frozen_until, Happening::Thaw(to, Box::new(happening)));
        }
        match happening {
            Happening::Thaw(_, delayed) => self.happen(*delayed),
            Happening::Tick(id, at) if self.machines[&id].tick_at == at => {
                self.machines.get_mut(&id).expect("a machine").tick_at = i64::MAX;
                self.step(id, Event::Tick);
            }
            Happening::Synced { node, incarnation, point, durable } => {
                let machine = self.machines.get_mut(&node).expect("a machine");
                if machine.node.is_some() && machine.incarnation == incarnation {
                    self.synced(node, point, durable);
                }
            }
            Happening::Arrives(id, envelope, packet) => self.arrive(id, envelope, packet),
            _ => {}
        }
    }

    fn synced(&mut self, id: ReplicaId, point: SyncPoint, durable: bool) {
        let machine = self.machines.get_mut(&id).expect("a machine");
        // A sync that began before the log was cut says nothing about what was written since.
        if durable && machine.node.as_ref().is_some_and(|node| super::covers(node, point)) {
            machine.disk.sync(point.end_offset);
        }
        self.step(id, Event::Synced(point));
    }

    fn arrive(&mut self, to: ReplicaId, envelope: Envelope, packet: Packet) {
        if !self.network.is_open(envelope.sender_of(&packet), to) {
            return;
        }
        let machine = &self.machines[&to];
        match packet {
            Packet::Request(request) if machine.node.is_some() => {
                self.last_id += 1;
                let id = RequestId(self.last_id);
                self.note_with(|| format!("{} -> {to}: {}", envelope.from, text::request(&request)));
                self.waiting.insert(id, Waiting { at: to, envelope });
                self.step(to, Event::Request { id, request });
            }
            Packet::Request(_) => self.send_packet(to, envelope, Packet::Failed),
            _ if machine.node.is_none() || machine.incarnation != envelope.incarnation => {}
            Packet::Response(response) => {
                self.note_with(|| format!("{} => {to}: {}", envelope.to, text::response(&response)));
                let (from, correlation) = (envelope.to, envelope.correlation);
                self.step(to, Event::Response { from, correlation, response });
            }
            Packet::Failed => {
                self.note_with(|| format!("{to} has no connection to {}", envelope.to));
                self.step(to, Event::Failed { from: envelope.to, correlation: envelope.correlation });
            }
        }
    }

    fn step(&mut self, id: ReplicaId, event: Event) {
        let machine = self.machines.get_mut(&id).expect("a machine");
        let clock = machine.clock.shows(self.now);
        let Some(node) = machine.node.as_mut() else { return };
        self.counted.steps += 1;
        let before = node.state_name();
        let mut actions = node.step(clock, event);
        if let Some(bug) = self.bug {
            bug.tamper_with(node, clock, &mut actions);
        }
        let (after, epoch) = (node.state_name(), node.leader().epoch);
        if before != after {
            self.note(id, &format!("becomes {after} in epoch {epoch}"));
        }
        self.carry_out(id, actions);
    }

    pub fn note(&mut self, id: ReplicaId, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>5} ms  {id} {what}", self.now / MS));
        }
    }

    pub fn note_all(&mut self, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>5} ms  {what}", self.now / MS));
        }
    }

    fn note_with(&mut self, what: impl Fn() -> String) {
        if self.trace.is_some() {
            self.note_all(&what());
        }
    }

    /// The highest epoch that any running node is in.
    pub fn epoch(&self) -> LeaderEpoch {
        let epochs = self.machines.values().filter_map(|machine| machine.node.as_ref()).map(|node| node.leader().epoch);
        epochs.max().unwrap_or_default()
    }
}
