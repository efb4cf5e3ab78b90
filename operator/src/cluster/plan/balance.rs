//! Where replicas and leaders are: off brokers that leave, onto those that joined, and back to the preferred leaders.
//!
//! Moves are planned anew after each batch: nothing is remembered but the brokers over which partitions were spread last.

use super::upkeep::RATES;
use super::{Action, Plan, size};
use crate::admin::proto::{Topic, TopicPartition};
use crate::admin::{is_moving, target};
use crate::cluster::situation::Situation;
use crate::crd::{RebalanceMode, RebalanceStatus};
use crate::rebalance::{self, Broker, Move, Partition};
use std::collections::BTreeSet;

/// The topic's side of KIP-73: which of its replicas the rates hold for.
pub const THROTTLED: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

pub fn plan(situation: &Situation, plan: &mut Plan) {
    let Some(view) = situation.authority() else { return };
    if situation.wanted.stopped {
        return;
    }
    let moving = view.state.reassignments.as_ref().map_or(0, |list| list.count) as usize;
    let Wish { reason, moves, replaces } = wish(situation, plan);
    let is_under_way = |a_move: &Move| {
        let partition =
            view.topics.get(&a_move.topic).and_then(|topic| topic.partitions.get(a_move.partition as usize));
        partition.is_some_and(is_moving)
    };
    let (mut next, mut left): (Vec<Move>, Vec<Move>) = moves.into_iter().partition(is_under_way);
    if !replaces {
        next.clear();
    }
    // One that takes the place of another counts as that one does.
    let begun = left.len().min(situation.wanted.moves_at_once.saturating_sub(moving));
    next.extend(left.drain(..begun));
    let under_way = moving + begun;
    if under_way > 0 || !left.is_empty() {
        let left = left.len();
        let waiting = super::waiting(situation);
        plan.doing("Moving", format!("moving partitions ({reason}): {under_way} under way, {left} to come{waiting}"));
        plan.rebalance =
            Some(RebalanceStatus { reason: reason.to_owned(), moving: under_way as i64, left: left as i64 });
    }
    throttle(situation, &next, moving, plan);
    if !next.is_empty() {
        plan.actions.push(Action::Move(next));
    } else if moving == 0 && view.state.not_preferred > 0 && situation.missing().is_empty() {
        plan.actions.push(Action::ElectPreferred);
    }
}

/// What is to be moved, and why.
struct Wish {
    reason: &'static str,
    moves: Vec<Move>,
    /// Whether these take the place of moves of the same partitions: one onto a broker that leaves is not waited for, which
    /// may have died.
    replaces: bool,
}

/// Nothing is moved where all is well, or where it cannot be now.
fn wish(situation: &Situation, plan: &mut Plan) -> Wish {
    let nothing = Wish { reason: "the moves under way", moves: Vec::new(), replaces: false };
    let wanted: Vec<i32> = (0..situation.wanted.brokers).collect();
    let stay: Vec<Broker> = wanted
        .iter()
        // Not yet one that has just begun: clients outside reach it only once all of Kubernetes has heard of its pod.
        .filter(|id| situation.serves(**id))
        .filter_map(|id| situation.broker(*id))
        .map(|broker| Broker { id: broker.id, rack: broker.rack.clone() })
        .collect();
    // A broker that is down for a moment is not to be moved away from.
    if stay.len() < wanted.len() {
        return nothing;
    }
    let may_hold = |topic: &str, id: i32| situation.may_hold(topic, id);
    let leaving = situation.leaving();
    let holds = |id: &i32| situation.broker(*id).is_some_and(|broker| broker.holds > 0);
    if leaving.iter().any(holds) {
        if size::refusal(situation).is_some() {
            return nothing;
        }
        return match rebalance::drain_within(&stay, &load(situation), may_hold) {
            Ok(moves) => {
                drain(situation, true, plan);
                Wish { reason: "brokers leave", moves, replaces: true }
            }
            Err(refusal) => {
                drain(situation, false, plan);
                plan.trouble("ScaleInRefused", refusal.to_string());
                nothing
            }
        };
    }
    let are_new = wanted.iter().any(|id| !situation.balanced_over.contains(id));
    let spread = match situation.wanted.rebalance {
        RebalanceMode::Never => Vec::new(),
        RebalanceMode::OnScale if !are_new => Vec::new(),
        RebalanceMode::OnScale | RebalanceMode::Always => rebalance::spread_within(&stay, &load(situation), may_hold),
    };
    let is_moving = situation.partitions().any(|(_, _, partition)| !partition.adding.is_empty());
    if spread.is_empty() && !is_moving {
        plan.balanced_over = wanted;
    }
    let reason = if are_new { "brokers have joined" } else { "the load is uneven" };
    match spread.is_empty() {
        true => nothing,
        false => Wish { reason, moves: spread, replaces: false },
    }
}

/// Brokers that leave lead nothing any more, and the controller gives them no replicas where others will do; those that
/// cannot leave may lead again.
fn drain(situation: &Situation, drained: bool, plan: &mut Plan) {
    let leaving = situation.leaving();
    let others = situation.brokers().iter().filter(|broker| broker.drained != drained && !broker.fenced);
    for broker in others.filter(|broker| leaving.contains(&broker.id)) {
        plan.actions.push(Action::Drain { broker: broker.id, drained });
    }
}

/// All partitions, each with the replicas that it has when the moves under way are done.
fn load(situation: &Situation) -> Vec<Partition> {
    let partition = |(topic, number, it): (&Topic, usize, &TopicPartition)| Partition {
        topic: topic.name.clone(),
        partition: number as i32,
        replicas: target(it),
    };
    situation.partitions().map(partition).collect()
}

/// Moves are throttled while there are any, and nothing is throttled afterwards.
fn throttle(situation: &Situation, next: &[Move], moving: usize, plan: &mut Plan) {
    let Some(view) = &situation.view else { return };
    let is_throttled = |name: &str| {
        let topic = view.topics.get(name);
        topic.is_some_and(|topic| topic.configs.iter().any(|config| THROTTLED.contains(&config.name.as_str())))
    };
    let rate = view.state.broker_configs.iter().find(|config| config.name == RATES[0]);
    match situation.wanted.throttle {
        Some(wanted) if moving > 0 || !next.is_empty() => {
            // Those of KafkaTopics too, which begin moves of their own.
            let moves = situation.partitions().filter(|(_, _, partition)| is_moving(partition));
            let mut topics: BTreeSet<&str> = moves.map(|(topic, _, _)| topic.name.as_str()).collect();
            topics.extend(next.iter().map(|a_move| a_move.topic.as_str()));
            let topics: Vec<String> =
                topics.into_iter().filter(|name| !is_throttled(name)).map(str::to_owned).collect();
            let is_set = rate.is_some_and(|rate| rate.value == wanted.to_string());
            if !is_set || !topics.is_empty() {
                plan.actions.push(Action::Throttle { rate: wanted, topics });
            }
        }
        _ => {
            let topics: Vec<String> = view.topics.keys().filter(|name| is_throttled(name)).cloned().collect();
            // Topics are throttled by others too: what the operator began has a rate for all brokers.
            if rate.is_some() {
                plan.actions.push(Action::Unthrottle { topics });
            }
        }
    }
}
