//! The order of a plan in which every first part of it is a step ahead.
//!
//! A plan is thought out replica by replica, but a move changes all of a partition at once: what was planned for it late comes
//! with what was planned early. So the order is found here, by looking at whole moves: each leaves pairs of replicas in one rack
//! fewer, or as many and replicas more or as equal; and one without data, leaders. Asking again after any first part then never
//! goes in a circle.

use super::layout::Layout;
use std::cmp::Ordering;

/// The partitions that were changed, those whose data moves first. A change that fits nowhere without leading away from the
/// goal is left out: another plan will find a better one.
pub(super) fn downhill(layout: &Layout) -> Vec<usize> {
    let changes = layout.changes().map(|(partition, before)| Change::new(layout, partition, before));
    let (mut moving, mut reordering): (Vec<Change>, Vec<Change>) =
        changes.partition(|change| !change.gained.is_empty());
    let mut slope = Slope::before(layout);
    let mut order = Vec::with_capacity(moving.len() + reordering.len());
    for waiting in [&mut moving, &mut reordering] {
        let mut before = usize::MAX;
        while waiting.len() < before {
            before = waiting.len();
            waiting.retain(|change| {
                let leads_away = slope.leads_away(change);
                if !leads_away {
                    slope.take(change);
                    order.push(change.partition);
                }
                leads_away
            });
        }
    }
    order
}

/// What a move does to the counts.
struct Change {
    partition: usize,
    racks: Ordering,
    lost: Vec<usize>,
    gained: Vec<usize>,
    leader: Option<(usize, usize)>,
}

impl Change {
    fn new(layout: &Layout, partition: usize, before: &[usize]) -> Change {
        let after = layout.replicas(partition);
        let without =
            |some: &[usize], others: &[usize]| some.iter().copied().filter(|one| !others.contains(one)).collect();
        let squares = |seats: &[usize]| layout.in_racks(seats).into_iter().map(|count| count * count).sum::<usize>();
        Change {
            partition,
            racks: squares(after).cmp(&squares(before)),
            lost: without(before, after),
            gained: without(after, before),
            leader: before.first().copied().zip(after.first().copied()).filter(|(before, after)| before != after),
        }
    }
}

/// Replicas and leaders of each seat, from the state before the plan on.
struct Slope {
    replicas: Vec<i64>,
    leaders: Vec<i64>,
}

impl Slope {
    fn before(layout: &Layout) -> Slope {
        let replicas = layout.seats().iter().map(|seat| seat.replicas as i64).collect();
        let leaders = layout.seats().iter().map(|seat| seat.leaders as i64).collect();
        let mut slope = Slope { replicas, leaders };
        for (partition, before) in layout.changes() {
            let change = Change::new(layout, partition, before);
            slope.add(&change, -1);
        }
        slope
    }

    fn leads_away(&self, change: &Change) -> bool {
        // (x + 1)^2 and (x - 1)^2, each less x^2.
        let gained = change.gained.iter().map(|seat| 2 * self.replicas[*seat] + 1);
        let lost = change.lost.iter().map(|seat| 1 - 2 * self.replicas[*seat]);
        let leaders = change.leader.map_or(0, |(before, after)| 2 + 2 * (self.leaders[after] - self.leaders[before]));
        let replicas = gained.chain(lost).sum::<i64>().cmp(&0);
        let reordered = if change.gained.is_empty() { leaders.cmp(&0) } else { Ordering::Equal };
        change.racks.then(replicas).then(reordered) == Ordering::Greater
    }

    fn take(&mut self, change: &Change) {
        self.add(change, 1);
    }

    fn add(&mut self, change: &Change, times: i64) {
        change.gained.iter().for_each(|seat| self.replicas[*seat] += times);
        change.lost.iter().for_each(|seat| self.replicas[*seat] -= times);
        if let Some((before, after)) = change.leader {
            self.leaders[before] -= times;
            self.leaders[after] += times;
        }
    }
}
