//! Rolling restarts: pods that are not as they are wanted start anew, a few at a time, and none whose absence would be felt.
//!
//! - A pod that does not work is restarted at once: it cannot get worse. One whose process runs and is not ready has two minutes.
//! - Of those that work, the next ones are restarted when everything wanted serves and all partitions keep
//!   min.insync.replicas without them. Their leaders are moved away before. The active controller comes last.
//! - The active controller has the last word on each ([`Action::Restart`] with `check`).

use super::{Action, Plan, size};
use crate::admin::proto::TopicPartition;
use crate::cluster::situation::{Pod, Process, Situation};
use crate::crd::RestartBy;
use std::time::Duration;

/// How long a process that runs may take to be ready before it counts as one that will not be, where another is wanted in its
/// place.
const STUCK_AFTER: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Plans restarts. Whether there are any to be done.
pub fn plan(situation: &Situation, plan: &mut Plan) -> bool {
    let outdated: Vec<(&Pod, String)> = situation
        .pods
        .iter()
        .filter(|pod| situation.wanted_nodes().any(|id| id == pod.id))
        .filter_map(|pod| why_outdated(situation, pod).map(|why| (pod, why)))
        .collect();
    lead_again(situation, &outdated, plan);
    if outdated.is_empty() {
        return false;
    }
    let total = situation.wanted_nodes().count();
    let done = format!("restarting pods: {} of {total} are as they are wanted", total.saturating_sub(outdated.len()));
    plan.doing("Restarting", done + &super::waiting(situation));
    let (working, broken): (Vec<_>, Vec<_>) = outdated.iter().partition(|(pod, _)| situation.serves(pod.id));
    for (pod, why) in &broken {
        match is_stuck(situation, pod) {
            true => plan.actions.push(restart(pod, why, false)),
            // No watch tells that it has not become ready.
            false => plan.again = Some(STUCK_AFTER.saturating_sub(pod.unready_for).max(LOOK_AGAIN)),
        }
    }
    if !broken.is_empty() || !situation.missing().is_empty() {
        return true;
    }
    for (pod, why) in next(situation, &working) {
        step(situation, pod, why, plan);
    }
    true
}

/// Why a pod is to start anew; `None` where it is as it is wanted.
fn why_outdated(situation: &Situation, pod: &Pod) -> Option<String> {
    if pod.ends {
        return None;
    }
    let (wanted, made) = match pod.is_broker {
        true => (&situation.wanted.broker_revision, &situation.broker_set_revision),
        false => (&situation.wanted.controller_revision, &situation.controller_set_revision),
    };
    if pod.revision.as_ref() != Some(wanted) {
        // A StatefulSet that is not as it is wanted, since Kubernetes refuses it perhaps, would make the same pod again.
        return (made.as_ref() == Some(wanted)).then(|| "its image, configuration or pod has changed".to_owned());
    }
    // A pod that does not serve yet has told nobody an address: what is registered is of the process before.
    let (host, port) = situation.wanted.external.get(&pod.id).filter(|_| situation.serves(pod.id))?;
    let told = situation.broker(pod.id)?.endpoints.iter().find(|endpoint| endpoint.listener == "EXTERNAL")?;
    let same = told.port == *port && host.as_ref().is_none_or(|host| *host == told.host);
    (!same).then(|| "its address for clients outside has changed".to_owned())
}

/// A pod that does not serve and will not by waiting: its process fails, or waits for something that only a new pod gets.
/// One that has just started is left alone.
fn is_stuck(situation: &Situation, pod: &Pod) -> bool {
    match pod.process {
        Process::Failing(_) | Process::Waiting | Process::Ended => true,
        // Without anybody who answers there is no quorum that a start could wait for.
        Process::Running => !pod.is_ready && (situation.is_silent || pod.unready_for >= STUCK_AFTER),
    }
}

/// Those that may be restarted together now.
fn next<'a>(situation: &Situation, working: &[&'a (&'a Pod, String)]) -> Vec<(&'a Pod, &'a str)> {
    let active = situation.view.as_ref().and_then(|view| view.state.active_controller_id);
    let mut in_order: Vec<&(&Pod, String)> = working.to_vec();
    in_order.sort_by_key(|(pod, _)| {
        // What is drained already is finished first.
        let drained = situation.broker(pod.id).is_some_and(|broker| broker.drained);
        (Some(pod.id) == active, !drained, pod.is_broker, pod.id)
    });
    let Some((first, why)) = in_order.first() else { return Vec::new() };
    let mut group: Vec<(&Pod, &str)> = vec![(*first, why.as_str())];
    if situation.wanted.restart_by == RestartBy::Rack && first.is_broker && first.rack.is_some() {
        for (pod, why) in &in_order[1..] {
            let together: Vec<i32> = group.iter().map(|(pod, _)| pod.id).chain([pod.id]).collect();
            let fits = group.len() < situation.wanted.max_unavailable as usize;
            let is_safe = || situation.is_safe_without(&together) && situation.keeps_quorum_without(&together);
            if fits && pod.rack == first.rack && Some(pod.id) != active && is_safe() {
                group.push((*pod, why.as_str()));
            }
        }
    }
    group
}

/// The next step of one restart: move the leaders away, then delete the pod.
fn step(situation: &Situation, pod: &Pod, why: &str, plan: &mut Plan) {
    let broker = situation.broker(pod.id).filter(|_| pod.is_broker);
    if let Some(broker) = broker.filter(|broker| broker.leads > 0) {
        if !broker.drained {
            plan.actions.push(Action::Drain { broker: pod.id, drained: true });
            return;
        }
        // The controller gives nothing to those that are drained themselves before this one ends.
        let may_lead =
            |id: i32| id != pod.id && situation.broker(id).is_some_and(|other| !other.drained && !other.fenced);
        let can_be_led_elsewhere = |partition: &TopicPartition| {
            partition.leader == Some(pod.id) && partition.isr.iter().any(|id| may_lead(*id))
        };
        if situation.partitions().any(|(_, _, partition)| can_be_led_elsewhere(partition)) {
            plan.doing("Draining", format!("{} partitions are still led by broker {}", broker.leads, pod.id));
            return;
        }
    }
    plan.actions.push(restart(pod, why, true));
}

fn restart(pod: &Pod, why: &str, check: bool) -> Action {
    Action::Restart { pod: pod.name.clone(), uid: pod.uid.clone(), id: pod.id, check, why: why.to_owned() }
}

/// A broker that was to be restarted, or to leave, and is not any more may lead again.
fn lead_again(situation: &Situation, outdated: &[(&Pod, String)], plan: &mut Plan) {
    let leaving = situation.leaving();
    for broker in situation.brokers().iter().filter(|broker| broker.drained && !broker.fenced) {
        let is_next = outdated.iter().any(|(pod, _)| pod.id == broker.id);
        let ends = situation.pod(broker.id).is_none_or(|pod| pod.ends);
        // Those that leave have to lead while others are restarted: nothing is moved off them until that is done.
        let leaves = outdated.is_empty() && leaving.contains(&broker.id) && size::refusal(situation).is_none();
        if !is_next && !ends && !leaves {
            plan.actions.push(Action::Drain { broker: broker.id, drained: false });
        }
    }
}
