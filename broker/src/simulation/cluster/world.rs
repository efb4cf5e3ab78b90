//! A cluster in one thread: real nodes, simulated disks, network and clocks, and one queue of what happens when.

use super::broker::Broker;
use super::checker::{Checker, Violation};
use super::clients::Client;
use super::message::{Call, Packet, Party, Request, Response};
use super::partition_log::PartitionLog;
use super::planted::Bug;
use super::quorum::Quorum;
use super::weather::Weather;
use crate::controller::image::MetadataImage;
use crate::raft::simulation::checker::Checker as QuorumChecker;
use crate::raft::simulation::disk::Disk;
use crate::raft::{ReplicaId, SyncPoint};
use crate::simulation::clock::Clock;
use crate::simulation::network::Network;
use crate::simulation::schedule::{MS, Micros, Schedule};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Between two looks of a broker at what time makes due.
const UPKEEP: Micros = 20 * MS;

pub struct World {
    pub now: Micros,
    pub random: SmallRng,
    pub machines: BTreeMap<i32, Machine>,
    pub clients: Vec<Client>,
    pub network: Network<Party>,
    pub weather: Weather,
    pub quorum_checker: QuorumChecker,
    pub checker: Checker,
    pub violation: Option<Violation>,
    pub bug: Option<Bug>,
    pub counted: Counted,
    /// No more faults, and nothing new to produce.
    pub is_over: bool,
    pub last_crashed: Option<i32>,
    pub trace: Option<Vec<String>>,
    /// The newest image that any node knew to be committed.
    pub committed_image: MetadataImage,
    schedule: Schedule<Happening>,
    last_id: u64,
}

/// What happened, to show that the histories are worth checking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub happenings: usize,
    pub truncations: usize,
    pub crashes: usize,
    pub power_losses: usize,
    pub fenced: usize,
    pub acknowledged: usize,
    pub consumed: usize,
    pub isr_changes: usize,
}

pub struct Machine {
    pub id: i32,
    pub disk: Disk,
    pub logs: BTreeMap<i32, PartitionLog>,
    pub clock: Clock,
    pub frozen_until: Micros,
    pub incarnation: u64,
    pub process: Option<Process>,
}

/// What is lost with the process.
pub struct Process {
    pub quorum: Quorum,
    pub broker: Broker,
}

pub enum Happening {
    Arrives(Call, Packet),
    RaftTick {
        node: i32,
        at: Micros,
    },
    Upkeep {
        node: i32,
        incarnation: u64,
    },
    MetadataSynced {
        node: i32,
        incarnation: u64,
        point: SyncPoint,
    },
    LogSynced {
        node: i32,
        incarnation: u64,
        partition: i32,
        end: i64,
        cuts: u64,
    },
    /// A broker's applier has come to an image.
    Applies {
        node: i32,
        incarnation: u64,
        image: Box<MetadataImage>,
    },
    /// A node sees a connection close that it has heard heartbeats on.
    ConnectionCloses {
        node: i32,
        broker: i32,
    },
    ClientTurn(usize),
    Restart(i32),
    Heal,
}

impl Happening {
    /// The node whose process does it, and is late if that is frozen.
    fn at(&self) -> Option<i32> {
        match self {
            Happening::Arrives(call, packet) => match call.route(packet).1 {
                Party::Node(id) => Some(id),
                Party::Client(_) => None,
            },
            Happening::RaftTick { node, .. }
            | Happening::Upkeep { node, .. }
            | Happening::MetadataSynced { node, .. }
            | Happening::LogSynced { node, .. }
            | Happening::Applies { node, .. }
            | Happening::ConnectionCloses { node, .. } => Some(*node),
            Happening::ClientTurn(_) | Happening::Restart(_) | Happening::Heal => None,
        }
    }
}

impl World {
    /// A cluster of `nodes` nodes that are voters and brokers, and its clients; nothing runs yet.
    pub fn new(seed: u64, nodes: i32, bug: Option<Bug>) -> World {
        let mut random = SmallRng::seed_from_u64(seed);
        let weather = Weather::choose(&mut random);
        let mut machines = BTreeMap::new();
        for id in 1..=nodes {
            let clock = Clock::random(&mut random);
            let (disk, logs) = (Disk::default(), BTreeMap::new());
            machines.insert(id, Machine { id, disk, logs, clock, frozen_until: 0, incarnation: 0, process: None });
        }
        let mut network = Network::default();
        weather.blow(&mut network);
        let mut world = World {
            now: 0,
            random,
            machines,
            clients: Vec::new(),
            network,
            weather,
            quorum_checker: QuorumChecker::default(),
            checker: Checker::default(),
            violation: None,
            bug,
            counted: Counted::default(),
            is_over: false,
            last_crashed: None,
            trace: None,
            committed_image: MetadataImage::default(),
            schedule: Schedule::default(),
            last_id: 0,
        };
        world.clients = Client::of_all_kinds();
        for client in 0..world.clients.len() {
            world.schedule(0, Happening::ClientTurn(client));
        }
        world
    }

    pub fn ids(&self) -> Vec<i32> {
        self.machines.keys().copied().collect()
    }

    pub fn machine(&mut self, id: i32) -> &mut Machine {
        self.machines.get_mut(&id).expect("a machine")
    }

    pub fn start_all(&mut self) {
        for id in self.ids() {
            self.start(id);
        }
    }

    pub fn start(&mut self, id: i32) {
        if self.machines[&id].process.is_some() {
            return;
        }
        let voters = self.ids().into_iter().map(ReplicaId).collect();
        let seed = self.random.random();
        let (making, now, synced) = (self.weather.making(id, self.bug), self.now, self.weather.synced);
        let machine = self.machine(id);
        machine.incarnation += 1;
        let incarnation = machine.incarnation;
        let quorum = Quorum::new(id, voters, &machine.disk, making, seed, machine.clock.shows(now));
        machine.process = Some(Process { quorum, broker: Broker::new(id, incarnation, synced) });
        self.quorum_checker.started(ReplicaId(id));
        self.note(id, "starts");
        self.raft_tick(id);
        self.schedule(self.now, Happening::Upkeep { node: id, incarnation });
    }

    /// Ends a node's process; with `power` also what its disks had not synced.
    pub fn crash(&mut self, id: i32, power: bool) {
        let machine = self.machines.get_mut(&id).expect("a machine");
        if machine.process.take().is_none() {
            return;
        }
        self.counted.crashes += 1;
        if power {
            self.counted.power_losses += 1;
            machine.disk.lose_power(&mut self.random);
            machine.logs.values_mut().for_each(|log| log.lose_power(&mut self.random));
        }
        self.note(id, if power { "loses power" } else { "crashes" });
        if !power {
            // A dead process's connections close; those of a dead machine say nothing.
            self.connections_close(id);
        }
    }

    /// Others see their connections to `broker` close, as far as they are told.
    pub fn connections_close(&mut self, broker: i32) {
        for node in self.ids().into_iter().filter(|node| *node != broker) {
            if self.network.is_open(Party::Node(broker), Party::Node(node)) {
                let delay = self.random.random_range(self.network.delay_min..=self.network.delay_max);
                self.schedule(self.now + delay, Happening::ConnectionCloses { node, broker });
            }
        }
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
        self.counted.happenings += 1;
        let node = happening.at();
        if let Some(node) = node
            && self.machines[&node].frozen_until > self.now
        {
            let thaw = self.machines[&node].frozen_until;
            return self.schedule(thaw, happening);
        }
        match happening {
            Happening::Arrives(call, packet) => self.arrive(call, packet),
            Happening::RaftTick { node, at } => self.raft_tick_at(node, at),
            Happening::Upkeep { node, incarnation } if self.is_process(node, incarnation) => {
                self.schedule(self.now + UPKEEP, Happening::Upkeep { node, incarnation });
            }
            Happening::MetadataSynced { node, incarnation, point } if self.is_process(node, incarnation) => {
                self.metadata_synced(node, point);
            }
            Happening::LogSynced { node, incarnation, partition, end, cuts } if self.is_process(node, incarnation) => {
                let clock = self.clock(node);
                self.machine(node).log_synced(clock, partition, end, cuts);
            }
            Happening::Applies { node, incarnation, image } if self.is_process(node, incarnation) => {
                let (clock, bug) = (self.clock(node), self.bug);
                self.machine(node).apply(clock, *image, bug);
            }
            Happening::ConnectionCloses { node, broker } => self.suspect(node, broker),
            Happening::ClientTurn(client) => self.client_turn(client),
            Happening::Restart(id) => self.start(id),
            Happening::Heal => {
                self.note_all("the network heals");
                self.network.heal();
            }
            _ => {}
        }
        if let Some(node) = node {
            self.drive_controller(node);
            self.drive_broker(node);
        }
    }

    fn is_process(&self, node: i32, incarnation: u64) -> bool {
        let machine = &self.machines[&node];
        machine.process.is_some() && machine.incarnation == incarnation
    }

    pub fn clock(&self, node: i32) -> i64 {
        self.machines[&node].clock.shows(self.now)
    }

    fn arrive(&mut self, call: Call, packet: Packet) {
        let (from, to) = call.route(&packet);
        if !self.network.is_open(from, to) {
            return;
        }
        match (to, packet) {
            (Party::Node(node), packet) if self.machines[&node].process.is_none() => {
                if matches!(packet, Packet::Request(_)) {
                    self.send(call, Packet::Failed);
                }
            }
            (Party::Node(node), Packet::Request(request)) => self.asked(node, call, request),
            (Party::Node(node), _) if self.machines[&node].incarnation != call.incarnation => {}
            (Party::Node(node), Packet::Response(Response::Quorum(correlation, response))) => {
                self.raft_answered(node, call.to, correlation, Some(response));
            }
            (Party::Node(node), packet) => self.node_answered(node, call, packet),
            (Party::Client(client), packet) => self.client_answered(client, call, packet),
        }
    }

    fn asked(&mut self, node: i32, call: Call, request: Request) {
        let (clock, bug) = (self.clock(node), self.bug);
        match request {
            Request::Quorum(correlation, request) => self.raft_asked(node, call, correlation, request),
            Request::Controller(request) => self.controller_asked(node, call, request),
            request => self.machine(node).asked(clock, call, request, bug),
        }
    }

    /// A quorum's request has no id of its own: a lost connection names its correlation.
    fn node_answered(&mut self, node: i32, call: Call, packet: Packet) {
        let clock = self.clock(node);
        match packet {
            Packet::Failed if self.machines[&node].is_quorum_call(call.id) => {
                let correlation = self.machine(node).take_quorum_call(call.id);
                self.raft_answered(node, call.to, correlation, None);
            }
            packet => {
                let response = match packet {
                    Packet::Response(response) => Some(response),
                    _ => None,
                };
                self.machine(node).answered(clock, call.id, response);
            }
        }
    }

    pub fn ask(&mut self, from: Party, to: i32, request: Request) -> u64 {
        self.last_id += 1;
        let incarnation = match from {
            Party::Node(node) => self.machines[&node].incarnation,
            Party::Client(_) => 0,
        };
        let call = Call { from, to, incarnation, id: self.last_id };
        self.send(call, Packet::Request(request));
        self.last_id
    }

    pub fn send(&mut self, call: Call, packet: Packet) {
        let (from, to) = call.route(&packet);
        if !self.network.is_open(from, to) {
            return;
        }
        let delays = if from == to { vec![MS / 20] } else { self.network.delays(&mut self.random) };
        for delay in delays {
            self.schedule(self.now + delay, Happening::Arrives(call, packet.clone()));
        }
    }

    pub fn check(&mut self, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            self.violation.get_or_insert(violation);
        }
    }

    pub fn note(&mut self, id: i32, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>6}.{:03} ms  {id} {what}", self.now / MS, self.now % MS));
        }
    }

    pub fn note_all(&mut self, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>6}.{:03} ms  {what}", self.now / MS, self.now % MS));
        }
    }
}
