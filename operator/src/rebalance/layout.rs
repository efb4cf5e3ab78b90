//! A cluster to plan on: brokers and partitions by index, with the counts that every choice looks at.
//!
//! Brokers are *open* if they may hold replicas after the plan. Others appear only because something lies on them: they are
//! racked apart from all, and nothing goes to them.

use super::{Broker, Move, Partition};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A broker, and how much it has.
#[derive(Debug)]
pub(super) struct Seat {
    pub id: i32,
    pub rack: usize,
    pub open: bool,
    pub replicas: usize,
    pub leaders: usize,
}

#[derive(Debug)]
struct Spot<'a> {
    origin: &'a Partition,
    topic: usize,
    /// Indices of seats, the preferred leader first, each once.
    replicas: Vec<usize>,
    /// What they were before the first change.
    before: Option<Vec<usize>>,
}

#[derive(Debug)]
pub(super) struct Layout<'a> {
    seats: Vec<Seat>,
    /// The seats of each rack.
    racks: Vec<Vec<usize>>,
    /// Sorted by topic and number.
    spots: Vec<Spot<'a>>,
    /// Replicas of a topic on a seat, at `topic * seats + seat`.
    of_topic: Vec<u32>,
    /// Whether a seat may take replicas of a topic, at the same place. Empty: every open one takes all.
    allowed: Vec<bool>,
    /// The partitions that were changed, in the order of their first change.
    touched: Vec<usize>,
}

impl<'a> Layout<'a> {
    pub fn new(brokers: &[Broker], load: impl IntoIterator<Item = &'a Partition>) -> Layout<'a> {
        let mut load: Vec<&Partition> = load.into_iter().collect();
        load.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let seats = seats(brokers, &load);
        let mut racks = vec![Vec::new(); seats.iter().map(|seat| seat.rack + 1).max().unwrap_or(0)];
        seats.iter().zip(0..).for_each(|(seat, index)| racks[seat.rack].push(index));
        let indices: HashMap<i32, usize> = seats.iter().enumerate().map(|(index, seat)| (seat.id, index)).collect();
        let spots = Vec::with_capacity(load.len());
        let mut layout = Layout { seats, racks, spots, of_topic: vec![], allowed: vec![], touched: vec![] };
        let mut topics = 0;
        for (number, origin) in load.iter().enumerate() {
            topics += usize::from(number == 0 || load[number - 1].topic != origin.topic);
            let mut replicas: Vec<usize> = Vec::with_capacity(origin.replicas.len());
            for index in origin.replicas.iter().map(|id| indices[id]) {
                if !replicas.contains(&index) {
                    replicas.push(index);
                }
            }
            layout.spots.push(Spot { origin, topic: topics - 1, replicas, before: None });
        }
        layout.of_topic = vec![0; topics * layout.seats.len()];
        for partition in 0..layout.spots.len() {
            let replicas = std::mem::take(&mut layout.spots[partition].replicas);
            layout.add(partition, replicas);
        }
        layout
    }

    /// Only the brokers `allowed` get replicas of a topic.
    pub fn within(mut self, allowed: impl Fn(&str, i32) -> bool) -> Layout<'a> {
        let mut topics: Vec<&str> = self.spots.iter().map(|spot| &*spot.origin.topic).collect();
        topics.dedup();
        let of_topic = |topic| self.seats.iter().map(move |seat| (topic, seat.id));
        self.allowed = topics.into_iter().flat_map(of_topic).map(|(topic, id)| allowed(topic, id)).collect();
        self
    }

    /// Whether the seat may get a replica of the partition.
    pub fn takes(&self, partition: usize, seat: usize) -> bool {
        let place = self.spots[partition].topic * self.seats.len() + seat;
        self.seats[seat].open && self.allowed.get(place).is_none_or(|allowed| *allowed)
    }

    /// Whether all replicas on open seats are where they may be.
    pub fn is_within(&self, partition: usize) -> bool {
        self.allowed.is_empty()
            || self.replicas(partition).iter().all(|seat| !self.seats[*seat].open || self.takes(partition, *seat))
    }

    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    pub fn partitions(&self) -> usize {
        self.spots.len()
    }

    pub fn origin(&self, partition: usize) -> &'a Partition {
        self.spots[partition].origin
    }

    pub fn topic(&self, partition: usize) -> usize {
        self.spots[partition].topic
    }

    pub fn replicas(&self, partition: usize) -> &[usize] {
        &self.spots[partition].replicas
    }

    /// Replicas that a seat has of the partition's topic.
    pub fn of_topic(&self, partition: usize, seat: usize) -> u32 {
        self.of_topic[self.spots[partition].topic * self.seats.len() + seat]
    }

    pub fn in_rack(&self, rack: usize) -> &[usize] {
        &self.racks[rack]
    }

    /// How many of these seats each rack has.
    pub fn in_racks(&self, seats: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.racks.len()];
        seats.iter().for_each(|seat| counts[self.seats[*seat].rack] += 1);
        counts
    }

    /// The best seat for one more replica beside those `taken`: in a rack that has the fewest of them, then the one with
    /// the fewest replicas, of all and of this topic.
    pub fn vacancy(&self, partition: usize, taken: &[usize]) -> Option<usize> {
        let in_racks = self.in_racks(taken);
        let free = (0..self.seats.len()).filter(|seat| self.takes(partition, *seat) && !taken.contains(seat));
        free.min_by_key(|index| {
            let seat = &self.seats[*index];
            (in_racks[seat.rack], seat.replicas, self.of_topic(partition, *index), seat.leaders)
        })
    }

    /// Gives the partition these replicas.
    pub fn set(&mut self, partition: usize, replicas: Vec<usize>) {
        let stride = self.seats.len();
        let spot = &mut self.spots[partition];
        let before = std::mem::take(&mut spot.replicas);
        for (position, seat) in before.iter().enumerate() {
            self.seats[*seat].replicas -= 1;
            self.seats[*seat].leaders -= usize::from(position == 0);
            self.of_topic[spot.topic * stride + seat] -= 1;
        }
        if spot.before.is_none() {
            spot.before = Some(before);
            self.touched.push(partition);
        }
        self.add(partition, replicas);
    }

    /// What was changed, each partition with its replicas before, in the order of their first change.
    pub fn changes(&self) -> impl Iterator<Item = (usize, &[usize])> {
        let before = |partition: &usize| Some((*partition, self.spots[*partition].before.as_deref()?));
        self.touched.iter().filter_map(before).filter(|(partition, before)| self.replicas(*partition) != *before)
    }

    /// The partitions that are not as they were, in the order of their first change.
    pub fn moves(&self) -> Vec<Move> {
        self.changes().map(|(partition, _)| self.to_move(partition)).collect()
    }

    pub fn to_move(&self, partition: usize) -> Move {
        let Spot { origin, replicas, .. } = &self.spots[partition];
        let replicas = replicas.iter().map(|seat| self.seats[*seat].id).collect();
        Move { topic: origin.topic.clone(), partition: origin.partition, replicas }
    }

    fn add(&mut self, partition: usize, replicas: Vec<usize>) {
        let stride = self.seats.len();
        let spot = &mut self.spots[partition];
        for (position, seat) in replicas.iter().enumerate() {
            self.seats[*seat].replicas += 1;
            self.seats[*seat].leaders += usize::from(position == 0);
            self.of_topic[spot.topic * stride + seat] += 1;
        }
        spot.replicas = replicas;
    }
}

/// The open brokers and those on which something lies, by id.
fn seats(brokers: &[Broker], load: &[&Partition]) -> Vec<Seat> {
    let open: BTreeMap<i32, Option<&str>> = brokers.iter().map(|broker| (broker.id, broker.rack.as_deref())).collect();
    let racks: BTreeSet<Option<&str>> = open.values().copied().collect();
    let racks: BTreeMap<Option<&str>, usize> = racks.into_iter().zip(0..).collect();
    let elsewhere = racks.len();
    let mut ids: Vec<i32> =
        open.keys().copied().chain(load.iter().flat_map(|one| one.replicas.iter().copied())).collect();
    ids.sort_unstable();
    ids.dedup();
    let seat = |id: i32| {
        let rack = open.get(&id).map(|rack| racks[rack]);
        Seat { id, rack: rack.unwrap_or(elsewhere), open: rack.is_some(), replicas: 0, leaders: 0 }
    };
    ids.into_iter().map(seat).collect()
}
