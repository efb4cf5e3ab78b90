//! Balance over the brokers that there are: after some came, or always.

use super::evening::{Units, even_out, interleaved};
use super::layout::Layout;
use super::order::downhill;
use super::{Broker, Move, Partition};

/// Spreads replicas and leaders evenly over the brokers.
///
/// Once its moves are carried out:
/// - Each partition is over as many racks as it can be, and as evenly: no rack has two replicas more than another one that has
///   a broker left for one.
/// - Replicas are as equal as that allows: no other distribution that keeps racks apart is more equal. With racks of equal
///   size, or none, brokers differ by at most one.
/// - Leaders are as equal as any order of these replicas allows. Where brokers differ by at most one replica and all partitions
///   have the same replication factor, they differ by at most one leader. Data does not move for leaders alone: with
///   replication factors that differ a broker may keep more of the partitions with one replica, which it has to lead.
/// - Nothing is left to spread, whether all moves or only the first ones were carried out before asking again: each plan either
///   is empty, or its moves bring racks, then replicas, then leaders nearer to that, and none of them back.
///
/// Only brokers with too many replicas give some away, and of each topic about the same share; the takers prefer topics of
/// which they have few. So a topic lies on the brokers that came by about their share of all, not more. A topic that lies
/// unevenly on brokers that have equally many replicas stays as it is.
///
/// Replicas on brokers that are not listed stay there and do not count: see [`super::drain`].
/// The moves that carry data come first, the ones that only reorder replicas after them.
pub fn spread(brokers: &[Broker], load: &[Partition]) -> Vec<Move> {
    spread_layout(Layout::new(brokers, load))
}

/// [`spread`] where topics are bound to brokers: replicas of a topic go only to the brokers `allowed` for it.
/// A partition of which some lie elsewhere waits for [`super::resize`]: its data does not move.
pub fn spread_within(brokers: &[Broker], load: &[Partition], allowed: impl Fn(&str, i32) -> bool) -> Vec<Move> {
    spread_layout(Layout::new(brokers, load).within(allowed))
}

/// The part of [`spread`] that moves no data: makes leaders as equal as any order of the replicas allows.
pub fn leaders(brokers: &[Broker], load: &[Partition]) -> Vec<Move> {
    let mut layout = Layout::new(brokers, load);
    even_out(&mut Leaders(&mut layout));
    layout.moves()
}

fn spread_layout(mut layout: Layout) -> Vec<Move> {
    for partition in 0..layout.partitions() {
        while let Some((from, to)) = rack_move(&layout, partition) {
            hand_over(&mut layout, partition, from, to);
        }
    }
    even_out(&mut Replicas(&mut layout));
    even_out(&mut Leaders(&mut layout));
    downhill(&layout).into_iter().map(|partition| layout.to_move(partition)).collect()
}

/// A replica of a rack that has two more of the partition's than a rack with a free broker, and that broker. Each such move
/// makes pairs of replicas in one rack fewer, and where there is none they are the fewest possible.
fn rack_move(layout: &Layout, partition: usize) -> Option<(usize, usize)> {
    let replicas = layout.replicas(partition);
    let in_racks = layout.in_racks(replicas);
    let crowd = |seat: usize| in_racks[layout.seats()[seat].rack];
    let open = || replicas.iter().copied().filter(|seat| layout.seats()[*seat].open);
    if open().all(|seat| crowd(seat) < 2) || !layout.is_within(partition) {
        return None;
    }
    let from = open().max_by_key(|seat| (crowd(*seat), layout.seats()[*seat].replicas))?;
    let to = layout.vacancy(partition, replicas)?;
    (crowd(to) + 2 <= crowd(from)).then_some((from, to))
}

/// Puts a replica elsewhere, in the same place of the list.
fn hand_over(layout: &mut Layout, partition: usize, from: usize, to: usize) {
    let replaced = |seat: &usize| if *seat == from { to } else { *seat };
    let replicas = layout.replicas(partition).iter().map(replaced).collect();
    layout.set(partition, replicas);
}

/// The partitions of which each broker has a unit, in the order to give them in.
fn held<'a>(layout: &Layout, seats_of: impl Fn(usize) -> &'a [usize]) -> Vec<Vec<usize>> {
    let mut held = vec![Vec::new(); layout.seats().len()];
    for partition in 0..layout.partitions() {
        seats_of(partition).iter().for_each(|seat| held[*seat].push(partition));
    }
    let topic = |partition| layout.topic(partition);
    let brokers = held.len();
    held.iter().enumerate().map(|(broker, held)| interleaved(held, topic, broker, brokers)).collect()
}

/// Replicas as units: a broker takes one if it has none of the partition, and its rack then has no more than the giver's had.
struct Replicas<'l, 'a>(&'l mut Layout<'a>);

impl Units for Replicas<'_, '_> {
    fn brokers(&self) -> usize {
        self.0.seats().len()
    }

    fn count(&self, broker: usize) -> Option<usize> {
        let seat = &self.0.seats()[broker];
        seat.open.then_some(seat.replicas)
    }

    fn held(&self) -> Vec<Vec<usize>> {
        held(self.0, |partition| self.0.replicas(partition))
    }

    fn add_takers(&self, partition: usize, from: usize, wanted: impl Fn(usize) -> bool, takers: &mut Vec<usize>) {
        if !self.0.is_within(partition) {
            return;
        }
        let replicas = self.0.replicas(partition);
        let in_racks = self.0.in_racks(replicas);
        let home = self.0.seats()[from].rack;
        let racks = (0..in_racks.len()).filter(|rack| *rack == home || in_racks[*rack] < in_racks[home]);
        let seats = racks.flat_map(|rack| self.0.in_rack(rack)).copied();
        takers.extend(seats.filter(|seat| wanted(*seat) && self.0.takes(partition, *seat) && !replicas.contains(seat)));
    }

    fn preference(&self, partition: usize, taker: usize) -> (u32, usize) {
        (self.0.of_topic(partition, taker), self.0.seats()[taker].leaders)
    }

    fn give(&mut self, partition: usize, from: usize, to: usize) {
        hand_over(self.0, partition, from, to);
    }
}

/// Preferred leaderships as units: a broker takes one if it has a replica of the partition.
struct Leaders<'l, 'a>(&'l mut Layout<'a>);

impl Units for Leaders<'_, '_> {
    fn brokers(&self) -> usize {
        self.0.seats().len()
    }

    fn count(&self, broker: usize) -> Option<usize> {
        let seat = &self.0.seats()[broker];
        seat.open.then_some(seat.leaders)
    }

    fn held(&self) -> Vec<Vec<usize>> {
        held(self.0, |partition| self.0.replicas(partition).get(..1).unwrap_or_default())
    }

    fn add_takers(&self, partition: usize, _: usize, wanted: impl Fn(usize) -> bool, takers: &mut Vec<usize>) {
        let followers = self.0.replicas(partition).iter().skip(1).copied();
        takers.extend(followers.filter(|seat| wanted(*seat) && self.0.seats()[*seat].open));
    }

    /// Between followers their order decides: they are all the same to the topic.
    fn preference(&self, partition: usize, taker: usize) -> (u32, usize) {
        (0, self.0.replicas(partition).iter().position(|seat| *seat == taker).unwrap_or(usize::MAX))
    }

    fn give(&mut self, partition: usize, _: usize, to: usize) {
        let mut replicas = self.0.replicas(partition).to_vec();
        let place = replicas.iter().position(|seat| *seat == to).expect("a follower takes");
        replicas.swap(0, place);
        self.0.set(partition, replicas);
    }
}
