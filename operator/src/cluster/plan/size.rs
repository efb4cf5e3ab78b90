//! How many brokers there are: growing, shrinking, stopping.
//!
//! Brokers leave in this order: they are drained and their replicas are moved away (`balance`), then their pods end, then the
//! controllers forget them, then their volumes are deleted. Nothing of that begins where a topic has more replicas than brokers
//! would stay.

use super::{Action, Plan, named, waiting};
use crate::cluster::situation::Situation;
use std::collections::BTreeSet;

pub fn plan(situation: &Situation, plan: &mut Plan) {
    plan.controllers = situation.wanted.dedicated.len() as i32;
    if situation.wanted.stopped {
        plan.brokers = 0;
        plan.controllers = 0;
        if !situation.pods.is_empty() {
            plan.doing("Stopping", format!("stopping: {} pods are left", situation.pods.len()));
        }
        return;
    }
    plan.brokers = brokers(situation, plan);
    forget_the_gone(situation, plan);
}

fn brokers(situation: &Situation, plan: &mut Plan) -> i32 {
    let wanted = situation.wanted.brokers;
    let now = now(situation);
    if wanted >= now {
        if wanted > now && situation.size.is_some_and(|size| size > 0) {
            plan.doing("ScalingOut", format!("scaling from {now} to {wanted} brokers"));
        }
        return wanted;
    }
    let leaving: Vec<i32> = (wanted..now).collect();
    let names = named(&leaving, "broker", "brokers");
    if situation.authority().is_none() {
        plan.doing("ScalingIn", format!("{names} cannot be emptied while the active controller does not answer"));
        return now;
    }
    if let Some(refusal) = refusal(situation) {
        plan.trouble("ScaleInRefused", format!("{names} cannot leave: {refusal}"));
        return now;
    }
    let held: usize = leaving.iter().map(|id| situation.replicas_on(*id)).sum();
    match held {
        0 => {
            let verbs = if leaving.len() == 1 { "is empty and ends" } else { "are empty and end" };
            plan.doing("ScalingIn", format!("{names} {verbs}"));
            wanted
        }
        _ => {
            plan.doing("ScalingIn", format!("emptying {names}: {held} replicas are left{}", waiting(situation)));
            now
        }
    }
}

/// How many there are. A cluster that is made over kept volumes, or starts again, begins with as many as have volumes: more
/// than are wanted hold replicas perhaps, and are emptied first.
fn now(situation: &Situation) -> i32 {
    let with_volumes = || {
        let brokers = situation.claims.iter().filter(|claim| claim.is_broker && !claim.ends);
        brokers.map(|claim| claim.id + 1).max().unwrap_or(0)
    };
    match situation.size {
        None | Some(0) => with_volumes(),
        // What was given replicas after it was found empty comes back, to be emptied again.
        Some(size) => size.max(with_replicas(situation)),
    }
}

/// Brokers that are to go and have volumes and replicas, though they may not run any more.
fn with_replicas(situation: &Situation) -> i32 {
    let brokers = situation.claims.iter().filter(|claim| claim.is_broker && !claim.ends && !claim.is_lost);
    let hold =
        brokers.map(|claim| claim.id).filter(|id| *id >= situation.wanted.brokers && situation.replicas_on(*id) > 0);
    hold.map(|id| id + 1).max().unwrap_or(0)
}

/// Why the brokers that are not wanted cannot leave.
pub fn refusal(situation: &Situation) -> Option<String> {
    let stay = situation.wanted.brokers as usize;
    let leaving = situation.leaving();
    let too_many: BTreeSet<(usize, &str)> = situation
        .partitions()
        .filter(|(_, _, partition)| partition.replicas.iter().any(|id| leaving.contains(id)))
        .map(|(topic, _, partition)| (partition.replicas.len() - partition.removing.len(), topic.name.as_str()))
        .filter(|(replicas, _)| *replicas > stay)
        .collect();
    let (replicas, topic) = too_many.last()?;
    let topics: BTreeSet<&str> = too_many.iter().map(|(_, topic)| *topic).collect();
    let others = match topics.len() {
        1 => String::new(),
        more => format!(" and {} other topics have too many", more - 1),
    };
    Some(format!(
        "topic {topic} has {replicas} replicas of a partition{others}, and {stay} brokers would stay; lower its replication \
         factor first, or set brokers.replicas to at least {replicas}"
    ))
}

/// Brokers whose pods are gone for good are forgotten, then their volumes go.
fn forget_the_gone(situation: &Situation, plan: &mut Plan) {
    if situation.authority().is_none() || situation.size != Some(plan.brokers) {
        return;
    }
    let brokers = plan.brokers;
    let is_gone = |id: i32| id >= brokers && situation.pod(id).is_none() && situation.replicas_on(id) == 0;
    let registered = situation.brokers().iter().filter(|broker| is_gone(broker.id));
    let dedicated = &situation.wanted.dedicated;
    for broker in registered.filter(|broker| broker.fenced && !dedicated.contains(&broker.id)) {
        plan.actions.push(Action::Unregister { broker: broker.id });
        plan.doing("ScalingIn", format!("broker {} is forgotten", broker.id));
    }
    for claim in situation.claims.iter().filter(|claim| claim.is_broker && is_gone(claim.id) && !claim.ends) {
        if situation.broker(claim.id).is_none() {
            plan.actions.push(Action::DeleteClaim {
                name: claim.name.clone(),
                uid: claim.uid.clone(),
                why: "its broker has left the cluster",
            });
        }
    }
}
