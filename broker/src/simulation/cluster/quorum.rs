//! What a node's driver does: carries out the raft node's actions, replays what is committed, and lets the active
//! controller decide (as `controller::driver` does with files and threads).

use super::checker::Violation;
use super::message::{Call, Packet, Party, Request, Response};
use super::world::{Happening, World};
use crate::controller::driver::{Active, Answered, Making};
use crate::controller::image::MetadataImage;
use crate::controller::loader::Loader;
use crate::controller::request::{self, Refusal};
use crate::protocol::ErrorCode;
use crate::protocol::batch::batches;
use crate::raft::simulation::covers;
use crate::raft::simulation::disk::Disk;
use crate::raft::{
    Action, Answer, Correlation, Event, Fetched, LeaderAndEpoch, LeaderEpoch, Node, ReplicaId, ReplicaKey, RequestId,
    Settings, SyncPoint,
};
use crate::simulation::schedule::{MS, Micros};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// A node of the quorum, and the controller while it is the active one.
pub struct Quorum {
    pub node: Node,
    pub active: Option<Active>,
    loader: Loader,
    making: Making,
    random: StdRng,
    /// The epoch that this node leads, and the offset behind the record that began it.
    leading: Option<(LeaderEpoch, i64)>,
    lost_leader: Option<ReplicaId>,
    tick_at: Micros,
    /// Requests of other nodes that are not answered yet.
    waiting: BTreeMap<RequestId, (Call, Correlation)>,
    last_request: u64,
    /// Own requests to other nodes, by the id of the call.
    asked: BTreeMap<u64, Correlation>,
    /// What the controller has decided and not answered yet.
    answers: Vec<(Call, oneshot::Receiver<Result<Answered, Refusal>>)>,
    /// The epoch of each broker that has sent heartbeats.
    heard: BTreeMap<i32, i64>,
}

impl Quorum {
    pub fn new(id: i32, voters: Vec<ReplicaId>, disk: &Disk, making: Making, seed: u64, now: i64) -> Quorum {
        let settings = Settings::new(ReplicaKey::of(ReplicaId(id)), voters);
        Quorum {
            node: Node::new(settings, disk.election, disk.view(), seed, now),
            active: None,
            loader: Loader::default(),
            making,
            random: StdRng::seed_from_u64(seed),
            leading: None,
            lost_leader: None,
            tick_at: Micros::MAX,
            waiting: BTreeMap::new(),
            last_request: 0,
            asked: BTreeMap::new(),
            answers: Vec::new(),
            heard: BTreeMap::new(),
        }
    }

    /// The node that it would ask as the controller.
    pub fn leader(&self) -> Option<i32> {
        self.node.leader().leader.map(|leader| leader.0)
    }
}

impl super::world::Machine {
    pub fn is_quorum_call(&self, id: u64) -> bool {
        self.process.as_ref().is_some_and(|process| process.quorum.asked.contains_key(&id))
    }

    pub fn take_quorum_call(&mut self, id: u64) -> Correlation {
        let process = self.process.as_mut().expect("a process");
        process.quorum.asked.remove(&id).expect("asked")
    }
}

impl World {
    fn quorum(&mut self, id: i32) -> Option<&mut Quorum> {
        Some(&mut self.machine(id).process.as_mut()?.quorum)
    }

    pub fn raft_tick(&mut self, id: i32) {
        self.step(id, Event::Tick);
    }

    pub fn raft_tick_at(&mut self, id: i32, at: Micros) {
        if let Some(quorum) = self.quorum(id).filter(|quorum| quorum.tick_at == at) {
            quorum.tick_at = Micros::MAX;
            self.step(id, Event::Tick);
        }
    }

    pub fn raft_asked(&mut self, id: i32, call: Call, correlation: Correlation, request: crate::raft::Request) {
        let Some(quorum) = self.quorum(id) else { return };
        quorum.last_request += 1;
        let request_id = RequestId(quorum.last_request);
        quorum.waiting.insert(request_id, (call, correlation));
        self.step(id, Event::Request { id: request_id, request });
    }

    pub fn raft_answered(
        &mut self,
        id: i32,
        from: i32,
        correlation: Correlation,
        response: Option<crate::raft::Response>,
    ) {
        let from = ReplicaId(from);
        self.step(
            id,
            match response {
                Some(response) => Event::Response { from, correlation, response },
                None => Event::Failed { from, correlation },
            },
        );
    }

    pub fn metadata_synced(&mut self, id: i32, point: SyncPoint) {
        let machine = self.machine(id);
        // A sync that began before the log was cut says nothing about what was written since.
        if machine.process.as_ref().is_some_and(|process| covers(&process.quorum.node, point)) {
            machine.disk.sync(point.end_offset);
        }
        self.step(id, Event::Synced(point));
    }

    pub fn resign(&mut self, id: i32) {
        self.note(id, "is asked to resign");
        self.step(id, Event::Resign);
    }

    fn step(&mut self, id: i32, event: Event) {
        let clock = self.clock(id);
        let Some(quorum) = self.quorum(id) else { return };
        let actions = quorum.node.step(clock, event);
        self.carry_out(id, actions);
    }

    fn carry_out(&mut self, id: i32, actions: Vec<Action>) {
        let promise = actions.iter().any(|action| matches!(action, Action::PersistElection(_)));
        // Where a promise was just written, a crash hurts most.
        let chance = self.weather.crash_chance * if promise { 100.0 } else { 1.0 };
        let crash = chance > 0.0 && self.may_crash(id) && self.random.random_bool(chance);
        let crash_before = if crash { self.random.random_range(0..=actions.len()) } else { usize::MAX };
        for (index, action) in actions.into_iter().enumerate() {
            if index == crash_before {
                return self.crash_for_a_while(id);
            }
            if let Err(violation) = self.carry_out_one(id, action) {
                return self.check(Err(Violation::Quorum(violation)));
            }
        }
        self.schedule_raft_tick(id);
        self.take_over_if_ready(id);
    }

    fn schedule_raft_tick(&mut self, id: i32) {
        let (clock, shown) = (self.clock(id), self.machines[&id].clock);
        let Some(quorum) = self.quorum(id) else { return };
        let deadline = quorum.node.next_deadline();
        if deadline <= clock {
            return self.check(Err(Violation::BusyLoop { node: id }));
        }
        if deadline < i64::MAX / 2_000_000 {
            let at = shown.when_it_shows(deadline);
            if at < quorum.tick_at {
                quorum.tick_at = at;
                self.schedule(at, Happening::RaftTick { node: id, at });
            }
        }
    }

    fn carry_out_one(&mut self, id: i32, action: Action) -> Result<(), crate::raft::simulation::checker::Violation> {
        let replica = ReplicaId(id);
        let machine = self.machines.get_mut(&id).expect("a machine");
        let incarnation = machine.incarnation;
        match action {
            Action::PersistElection(state) => {
                machine.disk.election = state;
            }
            Action::Truncate { end_offset } => machine.disk.truncate(end_offset),
            Action::Append(records) => return self.quorum_checker.appended(replica, machine.disk.append(&records)),
            Action::Sync(point) => {
                let time = self.random.random_range(MS / 10..=self.weather.sync_time_max);
                self.schedule(self.now + time, Happening::MetadataSynced { node: id, incarnation, point });
            }
            Action::Send { to, correlation, request } => {
                let call = self.ask(Party::Node(id), to.0, Request::Quorum(correlation, request));
                self.quorum(id).expect("it runs").asked.insert(call, correlation);
            }
            Action::Respond { to, response } => self.respond(id, to, response),
            Action::RespondWithRecords { to, mut response, read } => {
                if let Ok(Answer::Fetch(answer)) = &mut response.body {
                    answer.found = Fetched::Records(machine.disk.read(read.offset, 8));
                }
                self.respond(id, to, response);
            }
            Action::Committed { high_watermark } => {
                let process = machine.process.as_ref().expect("it runs");
                let epoch = process.quorum.node.leader().epoch;
                self.quorum_checker.committed(replica, epoch, high_watermark, &machine.disk)?;
                self.replay(id, high_watermark);
            }
            Action::LeaderChanged(leader) => {
                if leader.leader == Some(replica) {
                    self.quorum_checker.leads(replica, leader.epoch, &machine.disk)?;
                }
                self.leader_changed(id, leader);
            }
            Action::Complain(complaint) => {
                let complaint = complaint.to_string();
                return Err(crate::raft::simulation::checker::Violation::Complained { node: replica, complaint });
            }
            Action::WriteSnapshot { .. } | Action::InstallSnapshot(_) | Action::RespondWithSnapshot { .. } => {
                unreachable!("nobody takes a snapshot")
            }
        }
        Ok(())
    }

    fn respond(&mut self, id: i32, to: RequestId, response: crate::raft::Response) {
        let waiting = self.quorum(id).and_then(|quorum| quorum.waiting.remove(&to));
        if let Some((call, correlation)) = waiting {
            self.send(call, Packet::Response(Response::Quorum(correlation, response)));
        }
    }

    /// Replays what is committed, and shows it to the broker.
    fn replay(&mut self, id: i32, high_watermark: i64) {
        let machine = self.machines.get_mut(&id).expect("a machine");
        let quorum = &mut machine.process.as_mut().expect("it runs").quorum;
        match &mut quorum.active {
            Some(active) => {
                let Some(changes) = active.committed(high_watermark) else { return };
                let end_offset = changes.image.applied.end_offset;
                quorum.loader.advance_to(changes.image);
                for (answer, response) in changes.answers {
                    answer.send(Ok(Answered { response, end_offset })).ok();
                }
            }
            None => {
                while quorum.loader.applied().end_offset < high_watermark {
                    let records = machine.disk.read(quorum.loader.applied().end_offset, 8);
                    for batch in batches(&records.bytes) {
                        let batch = batch.expect("the disk keeps batches whole");
                        if batch.next_offset() <= high_watermark {
                            quorum.loader.take(batch).expect("the metadata does not contradict itself");
                        }
                    }
                }
            }
        }
        let (image, incarnation) = (quorum.loader.image().clone(), machine.incarnation);
        if image.applied.end_offset > self.committed_image.applied.end_offset {
            self.note_changes(&image);
            self.committed_image = image.clone();
        }
        let time = self.random.random_range(MS / 100..=self.weather.apply_time_max);
        self.schedule(self.now + time, Happening::Applies { node: id, incarnation, image: Box::new(image) });
    }

    fn note_changes(&mut self, image: &MetadataImage) {
        let before = &self.committed_image;
        let fenced = |broker: &&std::sync::Arc<crate::controller::image::BrokerRegistration>| {
            broker.fenced && before.brokers.get(&broker.id).is_some_and(|before| !before.fenced)
        };
        self.counted.fenced += image.brokers.values().filter(fenced).count();
        if self.trace.is_none() {
            return;
        }
        let mut lines = Vec::new();
        for broker in image.brokers.values().filter(|broker| before.brokers.get(&broker.id) != Some(broker)) {
            lines.push(format!("broker {} epoch {} fenced {}", broker.id, broker.epoch, broker.fenced));
        }
        for topic in image.topics.iter() {
            for (number, partition) in (0..).zip(&topic.partitions) {
                if before.topics.partition(&topic.name, number) != Some(partition) {
                    lines.push(format!(
                        "partition {number}: leader {} epoch {}.{} isr {:?} elr {:?}",
                        partition.leader,
                        partition.leader_epoch,
                        partition.partition_epoch,
                        partition.isr,
                        partition.elr()
                    ));
                }
            }
        }
        lines.iter().for_each(|line| self.note_all(&format!("committed: {line}")));
    }

    fn leader_changed(&mut self, id: i32, leader: LeaderAndEpoch) {
        let quorum = self.quorum(id).expect("it runs");
        let leads = leader.leader == Some(ReplicaId(id));
        quorum.lost_leader = leader.leader.filter(|_| !leads).or(quorum.lost_leader);
        if quorum.active.as_ref().is_some_and(|active| !leads || active.epoch != leader.epoch) {
            quorum.active.take().expect("it was there").step_down();
        }
        quorum.leading = leads.then(|| (leader.epoch, quorum.node.log_end().offset));
        quorum.heard.clear();
        self.note(id, &format!("knows of quorum leader {leader}"));
    }

    fn take_over_if_ready(&mut self, id: i32) {
        let clock = self.clock(id);
        let Some(quorum) = self.quorum(id) else { return };
        let Some((epoch, begins_behind)) = quorum.leading else { return };
        if quorum.active.is_some() || quorum.loader.applied().end_offset < begins_behind {
            return;
        }
        let (image, in_transaction) = (quorum.loader.clone().into_image(), quorum.loader.in_transaction());
        let mut active = Active::take_over(&quorum.making, epoch, image, in_transaction, clock);
        if let Some(lost) = quorum.lost_leader.filter(|lost| *lost != ReplicaId(id)) {
            active.controller.suspect(clock, lost.0);
        }
        quorum.active = Some(active);
        self.note(id, "is the active controller");
        self.propose(id);
    }

    fn propose(&mut self, id: i32) {
        let clock = self.clock(id);
        let Some(quorum) = self.quorum(id) else { return };
        let Some(active) = &mut quorum.active else { return };
        if active.records_to_propose().is_none() {
            return;
        }
        let records = active.proposed();
        let actions = quorum.node.propose(clock, records).expect("the node leads, and the records follow its log");
        self.carry_out(id, actions);
    }

    pub fn controller_asked(&mut self, id: i32, call: Call, request: request::Request) {
        let clock = self.clock(id);
        let Some(quorum) = self.quorum(id) else { return };
        let Some(active) = &mut quorum.active else {
            let refusal = Refusal::from(ErrorCode::NotController);
            return self.send(call, Packet::Response(Response::Controller(Err(refusal))));
        };
        if let request::Request::BrokerHeartbeat(heartbeat) = &request {
            quorum.heard.insert(heartbeat.id, heartbeat.epoch);
        }
        let (answer, answered) = oneshot::channel();
        active.decide(clock, &mut quorum.random, request, answer);
        quorum.answers.push((call, answered));
    }

    /// A node sees a connection close that `broker` has sent heartbeats on.
    pub fn suspect(&mut self, id: i32, broker: i32) {
        let clock = self.clock(id);
        let Some(quorum) = self.quorum(id) else { return };
        let Some(epoch) = quorum.heard.remove(&broker) else { return };
        if let Some(active) = &mut quorum.active {
            let (answer, _) = oneshot::channel();
            active.decide(clock, &mut quorum.random, request::Request::BrokerLost { id: broker, epoch }, answer);
            self.note(id, &format!("takes broker {broker} for lost"));
        }
    }

    /// Has the active controller decide about `request`, if `id` is where it is.
    pub fn decide(&mut self, id: i32, request: request::Request) {
        let clock = self.clock(id);
        let Some(quorum) = self.quorum(id) else { return };
        if let Some(active) = &mut quorum.active {
            let (answer, _) = oneshot::channel();
            active.decide(clock, &mut quorum.random, request, answer);
        }
    }

    /// Does what is due behind whatever has happened at a node.
    pub fn drive_controller(&mut self, id: i32) {
        let clock = self.clock(id);
        if let Some(active) = self.quorum(id).and_then(|quorum| quorum.active.as_mut())
            && active.controller.next_deadline() <= clock
        {
            active.tick(clock);
        }
        self.propose(id);
        let Some(quorum) = self.quorum(id) else { return };
        let mut ready = Vec::new();
        quorum.answers.retain_mut(|(call, answered)| match answered.try_recv() {
            Ok(answer) => {
                ready.push((*call, answer.map(|answered| answered.response)));
                false
            }
            Err(oneshot::error::TryRecvError::Empty) => true,
            Err(oneshot::error::TryRecvError::Closed) => false,
        });
        for (call, answer) in ready {
            self.send(call, Packet::Response(Response::Controller(answer)));
        }
    }
}
