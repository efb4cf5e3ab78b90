//! Clients: producers that send again what was not acknowledged, consumers that read what is committed.

use super::checker::Violation;
use super::message::{Acks, Call, Packet, Party, Request, Response};
use super::partition_log::{NO_PRODUCER, Produced};
use super::world::{Happening, World};
use crate::protocol::ErrorCode;
use crate::simulation::schedule::{MS, Micros};
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};

pub const PARTITIONS: i32 = 2;
/// Batches from the first that is not acknowledged on, at most; a log remembers five.
const WINDOW: usize = 4;
const PATIENCE: Micros = 500 * MS;

pub struct Client {
    partition: i32,
    /// The leader as it knows it, and the epoch.
    leader: Option<i32>,
    /// The newest epoch that it has heard of; it believes nobody who knows an older one.
    leader_epoch: i32,
    calls: BTreeMap<u64, (Micros, Asked)>,
    work: Work,
}

enum Work {
    Produce(Producer),
    Consume(Consumer),
}

struct Producer {
    id: i64,
    acks: Acks,
    /// From the first that is not acknowledged on, in their order, and whether each is: a log remembers the last five.
    window: VecDeque<(Produced, bool)>,
    next_sequence: i32,
    /// Until then it sends its batches one by one: what a log knows of a producer begins with the first.
    acknowledged: bool,
}

#[derive(Default)]
struct Consumer {
    offset: i64,
    latest: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Leader,
    Produce(Produced),
    Consume(i64),
    /// With the latest offset that was known before.
    Latest(i64),
}

impl Client {
    /// For each partition two idempotent producers with acks=all, one that has no sequence and acks=1, and two consumers.
    pub fn of_all_kinds() -> Vec<Client> {
        let producer = |id, acks| {
            let window = VecDeque::new();
            Work::Produce(Producer { id, acks, window, next_sequence: 0, acknowledged: false })
        };
        let mut clients = Vec::new();
        for partition in 0..PARTITIONS {
            let first = i64::from(partition) * 10;
            let works = [
                producer(first, Acks::All),
                producer(first + 1, Acks::All),
                producer(NO_PRODUCER, Acks::Leader),
                Work::Consume(Consumer::default()),
                Work::Consume(Consumer::default()),
            ];
            let client = |work| Client { partition, leader: None, leader_epoch: 0, calls: BTreeMap::new(), work };
            clients.extend(works.into_iter().map(client));
        }
        clients
    }

    /// Whether it has nothing left to do: all is acknowledged, or all that is committed was read.
    pub fn is_done(&self, committed_end: impl Fn(i32) -> i64) -> bool {
        match &self.work {
            Work::Produce(producer) => producer.window.is_empty(),
            Work::Consume(consumer) => consumer.offset == committed_end(self.partition),
        }
    }
}

impl World {
    pub fn client_turn(&mut self, index: usize) {
        let pause = self.random.random_range(2..20) * MS;
        self.schedule(self.now + pause, Happening::ClientTurn(index));
        let (now, producing) = (self.now, !self.is_over);
        let client = &mut self.clients[index];
        let before = client.calls.len();
        client.calls.retain(|_, (sent, _)| now - *sent < PATIENCE);
        if client.calls.len() < before {
            client.leader = None;
        }
        let (leader_epoch, Some(leader)) = (client.leader_epoch, client.leader) else {
            if !client.calls.values().any(|(_, asked)| *asked == Asked::Leader) {
                let any = self.ids()[self.random.random_range(0..self.machines.len())];
                let partition = self.clients[index].partition;
                self.client_asks(index, any, Request::FindLeader { partition }, Asked::Leader);
            }
            return;
        };
        let partition = client.partition;
        match &mut client.work {
            Work::Produce(producer) => {
                if producing && producer.window.len() < WINDOW && self.random.random_bool(0.4) {
                    let (count, value) = (self.random.random_range(1..=3), self.random.random());
                    let sequence = if producer.id == NO_PRODUCER { -1 } else { producer.next_sequence };
                    producer.next_sequence += count;
                    producer.window.push_back((Produced { producer: producer.id, sequence, count, value }, false));
                }
                let at_once = if producer.acknowledged { WINDOW } else { 1 };
                let acks = producer.acks;
                let to_send = producer.window.iter().filter(|(_, acknowledged)| !acknowledged).take(at_once);
                let to_send: Vec<Produced> = to_send.map(|(produced, _)| *produced).collect();
                for produced in to_send {
                    let asked = Asked::Produce(produced);
                    if !self.clients[index].calls.values().any(|(_, other)| *other == asked) {
                        self.client_asks(index, leader, Request::Produce { partition, produced, acks }, asked);
                    }
                }
            }
            Work::Consume(consumer) => {
                let (offset, latest) = (consumer.offset, consumer.latest);
                if client.calls.is_empty() {
                    let request = Request::Consume { partition, offset, leader_epoch };
                    self.client_asks(index, leader, request, Asked::Consume(offset));
                    let request = Request::LatestOffset { partition, leader_epoch };
                    self.client_asks(index, leader, request, Asked::Latest(latest));
                }
            }
        }
    }

    fn client_asks(&mut self, index: usize, to: i32, request: Request, asked: Asked) {
        let call = self.ask(Party::Client(index), to, request);
        self.clients[index].calls.insert(call, (self.now, asked));
    }

    pub fn client_answered(&mut self, index: usize, call: Call, packet: Packet) {
        let client = &mut self.clients[index];
        let Some((_, asked)) = client.calls.remove(&call.id) else { return };
        let partition = client.partition;
        let checked = match (asked, packet) {
            (Asked::Leader, Packet::Response(Response::FindLeader(Some((leader, epoch))))) => {
                if epoch >= client.leader_epoch {
                    (client.leader_epoch, client.leader) = (epoch, Some(leader).filter(|leader| *leader >= 0));
                }
                Ok(())
            }
            (Asked::Produce(produced), Packet::Response(Response::Produce(Ok(base_offset)))) => {
                let Work::Produce(producer) = &mut client.work else { unreachable!("it produces") };
                for (waiting, acknowledged) in &mut producer.window {
                    *acknowledged |= *waiting == produced;
                }
                while producer.window.pop_front_if(|(_, acknowledged)| *acknowledged).is_some() {}
                producer.acknowledged = true;
                self.counted.acknowledged += 1;
                match producer.acks {
                    Acks::All => {
                        self.checker.acknowledged(partition, base_offset, produced.producer, produced.sequence)
                    }
                    Acks::Leader => Ok(()),
                }
            }
            (Asked::Consume(offset), Packet::Response(Response::Consume(Ok(batches)))) => {
                let Work::Consume(consumer) = &mut client.work else { unreachable!("it consumes") };
                consumer.offset = batches.last().map_or(offset, |batch| batch.end_offset());
                self.counted.consumed += batches.len();
                self.checker.consumed(partition, offset, &batches)
            }
            (Asked::Consume(offset), Packet::Response(Response::Consume(Err(ErrorCode::OffsetOutOfRange)))) => {
                Err(Violation::ConsumerOutOfRange { partition, offset })
            }
            (Asked::Latest(from), Packet::Response(Response::LatestOffset(Ok(to)))) => {
                let Work::Consume(consumer) = &mut client.work else { unreachable!("it consumes") };
                consumer.latest = consumer.latest.max(to);
                if to < from { Err(Violation::LatestOffsetWentBack { partition, from, to }) } else { Ok(()) }
            }
            _ => {
                client.leader = None;
                Ok(())
            }
        };
        self.check(checked);
    }
}
