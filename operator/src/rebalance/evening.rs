//! Makes counts as equal as they can be: units of partitions are handed from brokers with many to brokers with few.
//!
//! Most units go directly, from the broker that has the most to the one that has the least of those that may take it. Where
//! none may take it from the other directly, units go along a path: `a` gives one to `b`, `b` another one to `c`. That is a
//! flow of minimal cost, and it ends at the optimum: when no path is left, no other distribution of the units is more equal
//! (neither has a lower maximum, nor a higher minimum, nor a smaller sum of squares). What a unit is and who may take it is the
//! caller's: see [`Units`].
//!
//! A broker gives at least two less a time: to one that has at least two less. So the sum of squares falls with every direct step.
//! Along a path all brokers between have exactly one more than its end, and steps are made from its end on: none raises the sum.

use std::cmp::Reverse;
use std::collections::VecDeque;

pub(super) trait Units {
    /// Brokers, open or not.
    fn brokers(&self) -> usize;
    /// Units of a broker; nothing if it takes no part.
    fn count(&self, broker: usize) -> Option<usize>;
    /// For each broker the partitions of which it has a unit, in the order in which it had better give them.
    fn held(&self) -> Vec<Vec<usize>>;
    /// Adds the brokers that may take the unit of the partition from this one, of those that are `wanted`.
    fn add_takers(&self, partition: usize, from: usize, wanted: impl Fn(usize) -> bool, takers: &mut Vec<usize>);
    /// Decides between takers that have equally many: the lowest is best.
    fn preference(&self, partition: usize, taker: usize) -> (u32, usize);
    fn give(&mut self, partition: usize, from: usize, to: usize);
}

pub(super) fn even_out(units: &mut impl Units) {
    if !is_even(units) {
        give_directly(units);
    }
    if !is_even(units) {
        give_along_paths(units);
    }
}

fn is_even(units: &impl Units) -> bool {
    let counts = || (0..units.brokers()).filter_map(|broker| units.count(broker));
    counts().max() <= counts().min().map(|fewest| fewest + 1)
}

/// Looks at each unit at most once.
fn give_directly(units: &mut impl Units) {
    let mut held: Vec<_> = units.held().into_iter().map(Vec::into_iter).collect();
    let mut takers = Vec::new();
    let mut fewest_units = fewest(units);
    while let Some((from, count)) = fullest(units, |broker| held[broker].len() > 0) {
        if fewest_units.is_none_or(|fewest| count < fewest + 2) {
            return;
        }
        let partition = held[from].next().expect("chosen for having one");
        let has_fewer = |taker| units.count(taker).is_some_and(|load| load + 2 <= count);
        units.add_takers(partition, from, has_fewer, &mut takers);
        let least = takers.iter().map(|taker| units.count(*taker)).min().flatten();
        let best = takers.drain(..).filter(|taker| units.count(*taker) == least);
        if let Some(to) = best.min_by_key(|taker| (units.preference(partition, *taker), *taker)) {
            units.give(partition, from, to);
            fewest_units = fewest(units);
        }
    }
}

fn give_along_paths(units: &mut impl Units) {
    let mut held = units.held();
    // From these no path leads to a broker with two less, and none will: what changes elsewhere opens no way out of them.
    let mut closed = vec![false; units.brokers()];
    while let Some((from, count)) = fullest(units, |broker| !closed[broker]) {
        if fewest(units).is_none_or(|fewest| count < fewest + 2) {
            return;
        }
        for Step { partition, from, to } in path(units, &held, from, &mut closed) {
            units.give(partition, from, to);
            held[from].retain(|held| *held != partition);
            held[to].push(partition);
        }
    }
}

/// The broker with the most units, of those that are `eligible`.
fn fullest(units: &impl Units, eligible: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
    let counts = (0..units.brokers()).filter(|broker| eligible(*broker));
    let counts = counts.filter_map(|broker| Some((broker, units.count(broker)?)));
    counts.max_by_key(|(broker, count)| (*count, Reverse(*broker)))
}

fn fewest(units: &impl Units) -> Option<usize> {
    (0..units.brokers()).filter_map(|broker| units.count(broker)).min()
}

#[derive(Clone, Copy)]
struct Step {
    partition: usize,
    from: usize,
    to: usize,
}

/// The steps of a shortest path from this broker, or from one on the way, to a broker with at least two less, the last step
/// first. None if there is none: then all that can be reached is closed.
///
/// That it is a shortest one makes its steps independent. If a partition gave two units on it, and one hindered the other, the
/// first giver could have given to the last taker at once.
fn path(units: &impl Units, held: &[Vec<usize>], start: usize, closed: &mut [bool]) -> Vec<Step> {
    let enough =
        |to: usize, from: usize| units.count(to).zip(units.count(from)).is_some_and(|(to, from)| to + 2 <= from);
    let mut steps: Vec<Option<Step>> = vec![None; units.brokers()];
    let mut seen = closed.to_vec();
    seen[start] = true;
    let mut unseen = seen.iter().filter(|seen| !**seen).count();
    let mut queue = VecDeque::from([start]);
    let mut takers = Vec::new();
    while let Some(from) = queue.pop_front() {
        for partition in held[from].iter().copied() {
            if unseen == 0 {
                break;
            }
            units.add_takers(partition, from, |taker| !seen[taker], &mut takers);
            for to in takers.drain(..) {
                seen[to] = true;
                unseen -= 1;
                steps[to] = Some(Step { partition, from, to });
                if enough(to, start) {
                    let back =
                        std::iter::successors(steps[to], |step| steps[step.from].filter(|_| !enough(to, step.from)));
                    return back.collect();
                }
                queue.push_back(to);
            }
        }
    }
    closed.copy_from_slice(&seen);
    Vec::new()
}

/// Puts partitions into an order of which every first part takes from each topic its share: the halves of all topics come before
/// the other halves. `held` are the partitions of this broker, those of a topic side by side.
///
/// Where shares are less than one, brokers begin with different topics: all replicas of a topic with one partition would
/// otherwise move at once.
pub(super) fn interleaved(held: &[usize], topic: impl Fn(usize) -> usize, broker: usize, brokers: usize) -> Vec<usize> {
    let mut order: Vec<(u64, usize)> = Vec::with_capacity(held.len());
    for run in held.chunk_by(|a, b| topic(*a) == topic(*b)) {
        let phase = (topic(run[0]) + broker) % brokers;
        let position = |index: usize| ((2 * (index * brokers + phase) + 1) as u64) << 24;
        let width = (2 * brokers * run.len()) as u64;
        order.extend(run.iter().zip(0..).map(|(partition, index)| (position(index) / width, *partition)));
    }
    order.sort_unstable();
    order.into_iter().map(|(_, partition)| partition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_part_of_the_order_takes_from_each_topic_its_share() {
        // Topic 0 has partitions 0 to 99, topic 1 has 100 to 109.
        let held: Vec<usize> = (0..110).collect();
        let order = interleaved(&held, |partition| partition / 100, 3, 7);
        for taken in 0..=110 {
            let small = order[..taken].iter().filter(|partition| **partition >= 100).count();
            assert!(small.abs_diff((taken + 5) / 11) <= 1, "{small} of {taken}");
        }
    }

    #[test]
    fn brokers_begin_with_different_topics() {
        let first = |broker| interleaved(&[0, 1, 2, 3], |partition| partition, broker, 4)[0];
        assert_eq!((0..4).map(first).collect::<Vec<_>>(), [0, 3, 2, 1]);
    }
}
