//! What has failed and is seen here first: processes that ended, nodes that are lost, volumes that are gone.

use super::{Action, Plan, named};
use crate::cluster::situation::{Pod, Process, Situation};

pub fn plan(situation: &Situation, plan: &mut Plan) {
    dead_processes(situation, plan);
    lost_nodes(situation, plan);
    lost_volumes(situation, plan);
    words(situation, plan);
}

/// Kubernetes often sees a process end before its connections tell: the controllers need not wait. What is said to be dead is
/// the process that was known to run: Kubernetes tells of a new one only after that has joined the cluster.
fn dead_processes(situation: &Situation, plan: &mut Plan) {
    if situation.wanted.stopped {
        return;
    }
    for broker in situation.brokers().iter().filter(|broker| !broker.fenced) {
        let runs = |pod: &Pod| pod.process == Process::Running;
        let is_the_same = situation.incarnations.get(&broker.id) == Some(&broker.incarnation);
        if is_the_same && !situation.pod(broker.id).is_some_and(runs) {
            let incarnation = broker.incarnation.clone();
            plan.actions.push(Action::DeclareDead { broker: broker.id, incarnation });
        }
    }
}

/// A pod on a lost node stays until somebody says that it is gone. It is taken off once the controllers do not hear it
/// either: until then it may serve.
fn lost_nodes(situation: &Situation, plan: &mut Plan) {
    let Some(view) = situation.authority() else { return };
    for pod in situation.pods.iter().filter(|pod| pod.node_is_lost) {
        let is_silent = match pod.is_broker {
            true => situation.broker(pod.id).is_none_or(|broker| broker.fenced),
            false => view.state.active_controller_id.is_some_and(|active| active != pod.id),
        };
        if is_silent {
            let node = pod.node.clone().unwrap_or_default();
            plan.actions.push(Action::ReplaceLost { pod: pod.name.clone(), uid: pod.uid.clone(), node });
        }
    }
}

/// A claim whose volume does not exist any more never gets another: it is made anew, and filled from the other replicas. One
/// at a time, and only where all others serve and have everything: a volume that is merely not registered, as after a
/// backup of Kubernetes was restored, may still hold the only copy.
fn lost_volumes(situation: &Situation, plan: &mut Plan) {
    let Some(claim) = situation.claims.iter().find(|claim| claim.is_lost) else { return };
    let others_serve = situation.missing().iter().all(|id| *id == claim.id);
    let can_be_filled = situation.authority().is_some() && others_serve && situation.is_safe_without(&[claim.id]);
    let only = claim.is_broker && situation.partitions().any(|(_, _, partition)| partition.replicas == [claim.id]);
    if !can_be_filled || only || situation.wanted_nodes().count() < 2 {
        plan.trouble(
            "VolumeLost",
            format!("the volume of {} is lost, and the others cannot make up for it now", claim.name),
        );
        return;
    }
    if !claim.ends {
        let (name, uid) = (claim.name.clone(), claim.uid.clone());
        plan.actions.push(Action::DeleteClaim { name, uid, why: "its volume is lost" });
    }
    if let Some(pod) = situation.pod(claim.id).filter(|pod| !pod.ends) {
        plan.actions.push(Action::Restart {
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
            id: pod.id,
            check: false,
            why: "its volume is lost".to_owned(),
        });
    }
}

fn words(situation: &Situation, plan: &mut Plan) {
    for pod in &situation.pods {
        if let Process::Failing(why) = &pod.process {
            plan.trouble("PodFailing", format!("{}: {why}", pod.name));
        }
        if pod.node_is_lost {
            let node = pod.node.as_deref().unwrap_or("its node");
            plan.trouble("NodeLost", format!("{} is on {node}, which does not answer", pod.name));
        }
    }
    if let Some(view) = &situation.view {
        let count = |list: &Option<crate::admin::proto::PartitionList>| list.as_ref().map_or(0, |list| list.count);
        let first = |list: &Option<crate::admin::proto::PartitionList>| {
            let first = list.iter().flat_map(|list| &list.first).take(3);
            first.map(|it| format!("{}-{}", it.topic, it.partition)).collect::<Vec<_>>().join(", ")
        };
        let offline = count(&view.state.offline);
        if offline > 0 {
            let text = format!("{offline} partitions have no leader: {}", first(&view.state.offline));
            plan.trouble("OfflinePartitions", text);
        }
        let under = count(&view.state.under_min_isr);
        if under > 0 {
            let text = format!(
                "{under} partitions have too few replicas in sync for acks=all: {}",
                first(&view.state.under_min_isr)
            );
            plan.trouble("UnderMinIsr", text);
        }
        let fenced: Vec<i32> =
            situation.wanted_nodes().filter(|id| situation.broker(*id).is_some_and(|it| it.fenced)).collect();
        let unexplained: Vec<i32> =
            fenced.into_iter().filter(|id| situation.pod(*id).is_some_and(|pod| pod.is_ready)).collect();
        if !unexplained.is_empty() {
            let brokers = named(&unexplained, "broker", "brokers");
            plan.trouble("BrokerFenced", format!("the controllers do not hear {brokers}"));
        }
    }
}
