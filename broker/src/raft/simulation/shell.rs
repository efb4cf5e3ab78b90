//! What the shell of a real node does: carries out the actions in their order, and crashes between any two of them.

use super::checker::Violation;
use super::network::{Envelope, Packet};
use super::planted::Bug;
use super::text;
use super::world::{Happening, MS, Waiting, World};
use crate::raft::{Action, Answer, Fetched, LeaderEpoch, Node, Refusal, ReplicaId, RequestId, Response, SyncPoint};
use rand::Rng;

impl World {
    pub fn carry_out(&mut self, id: ReplicaId, actions: Vec<Action>) {
        // Where a promise was just written, a crash hurts most.
        let promise = actions.iter().any(|action| matches!(action, Action::PersistElection(_)));
        let chance = if promise { (30.0 * self.crash_chance).min(0.3) } else { self.crash_chance };
        let crash = chance > 0.0 && self.random.random_bool(chance);
        let crash_before = if crash { self.random.random_range(0..=actions.len()) } else { usize::MAX };
        for (index, action) in actions.into_iter().enumerate() {
            if index == crash_before {
                return self.crash_for_a_while(id);
            }
            if let Err(violation) = self.carry_out_one(id, action) {
                self.violation.get_or_insert(violation);
                return;
            }
        }
        self.check_outline(id);
        self.schedule_tick(id);
    }

    fn check_outline(&mut self, id: ReplicaId) {
        let machine = &self.machines[&id];
        let same = machine
            .node
            .as_ref()
            .is_none_or(|node| node.log_end() == machine.disk.end() && node.log().start() == machine.disk.start());
        if !same && self.bug != Some(Bug::TruncationSkipped) {
            self.violation.get_or_insert(Violation::OutlineDiffers { node: id });
        }
    }

    fn schedule_tick(&mut self, id: ReplicaId) {
        let now = self.now;
        let machine = self.machines.get_mut(&id).expect("a machine");
        let clock = machine.clock.shows(now);
        let Some(deadline) = machine.node.as_ref().map(Node::next_deadline) else { return };
        if deadline <= clock {
            self.violation.get_or_insert(Violation::BusyLoop { node: id });
            return;
        }
        if deadline < i64::MAX / 2_000_000 {
            let at = machine.clock.when_it_shows(deadline);
            if at < machine.tick_at {
                machine.tick_at = at;
                self.schedule(at, Happening::Tick(id, at));
            }
        }
    }

    fn carry_out_one(&mut self, id: ReplicaId, action: Action) -> Result<(), Violation> {
        self.note_action(id, &action);
        let machine = self.machines.get_mut(&id).expect("a machine");
        match action {
            Action::PersistElection(state) => machine.disk.election = Bug::kept_of(self.bug, state),
            Action::Truncate { end_offset } => {
                self.counted.truncations += 1;
                if self.bug != Some(Bug::TruncationSkipped) {
                    machine.disk.truncate(end_offset);
                }
            }
            Action::Append(records) => return self.checker.appended(id, machine.disk.append(&records)),
            Action::Sync(point) => self.begin_sync(id, point),
            Action::WriteSnapshot { position, bytes, .. } => machine.disk.write_snapshot(position, &bytes),
            Action::InstallSnapshot(snapshot) => {
                self.counted.installs += 1;
                let installed = machine.disk.install_snapshot(snapshot);
                return self.checker.installed(id, installed.id.offset, installed.chain);
            }
            Action::Send { to, correlation, request } => {
                let envelope = Envelope { from: id, to, incarnation: machine.incarnation, correlation };
                self.send_packet(id, envelope, Packet::Request(request));
            }
            Action::Respond { to, response } => self.respond(id, to, response),
            Action::RespondWithRecords { to, mut response, read } => {
                let count = self.random.random_range(1..=self.batches_read_max);
                if let Ok(Answer::Fetch(answer)) = &mut response.body {
                    answer.found = Fetched::Records(machine.disk.read(read.offset, count));
                }
                self.respond(id, to, response);
            }
            Action::RespondWithSnapshot { to, response, .. } => self.respond_with_snapshot(id, to, response),
            Action::Committed { high_watermark } => {
                let epoch = machine.node.as_ref().map_or(LeaderEpoch(0), |node| node.leader().epoch);
                return self.checker.committed(id, epoch, high_watermark, &machine.disk);
            }
            Action::LeaderChanged(now) if now.leader == Some(id) => {
                return self.checker.leads(id, now.epoch, &machine.disk);
            }
            Action::LeaderChanged(_) => {}
            Action::Complain(complaint) => {
                return Err(Violation::Complained { node: id, complaint: complaint.to_string() });
            }
        }
        Ok(())
    }

    fn begin_sync(&mut self, id: ReplicaId, point: SyncPoint) {
        let incarnation = self.machines[&id].incarnation;
        // The planted bug says so at once, and leaves the rest to the operating system.
        let durable = self.bug != Some(Bug::AckBeforeSync);
        let time = if durable { self.random.random_range(MS / 10..=self.sync_time_max) } else { 0 };
        self.schedule(self.now + time, Happening::Synced { node: id, incarnation, point, durable });
    }

    fn respond_with_snapshot(&mut self, id: ReplicaId, to: RequestId, mut response: Response) {
        let length = self.random.random_range(1..=24);
        let disk = &self.machines[&id].disk;
        if let Ok(Answer::FetchSnapshot(chunk)) = &mut response.body {
            match disk.snapshot_bytes(chunk.id) {
                None => response.body = Err(Refusal::SnapshotNotFound),
                Some(bytes) => {
                    let from = (chunk.position as usize).min(bytes.len());
                    chunk.size = bytes.len() as i64;
                    chunk.bytes = bytes[from..(from + length).min(bytes.len())].to_vec();
                }
            }
        }
        self.respond(id, to, response);
    }

    fn respond(&mut self, from: ReplicaId, to: RequestId, response: Response) {
        if let Some(Waiting { envelope, .. }) = self.waiting.remove(&to) {
            self.send_packet(from, envelope, Packet::Response(response));
        }
    }

    pub fn send_packet(&mut self, sender: ReplicaId, envelope: Envelope, packet: Packet) {
        let receiver = if sender == envelope.from { envelope.to } else { envelope.from };
        if !self.network.is_open(sender, receiver) {
            return;
        }
        for delay in self.network.delays(&mut self.random) {
            self.schedule(self.now + delay, Happening::Arrives(receiver, envelope, packet.clone()));
        }
    }

    fn note_action(&mut self, id: ReplicaId, action: &Action) {
        if self.trace.is_some()
            && let Some(what) = text::action(action)
        {
            self.note(id, &what);
        }
    }
}
