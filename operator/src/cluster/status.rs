//! What is said of a cluster in its status.

use super::plan::Plan;
use super::situation::{Pod, Process, Situation};
use crate::context::now;
use crate::crd::{
    Bootstrap, ConditionStatus, Finding, KafkaCluster, KafkaClusterStatus, NodeState, NodeStatus, PartitionHealth,
    condition, conditions,
};

/// What is known beside the situation.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub bootstrap: Bootstrap,
    pub selector: String,
    pub version: String,
    pub combined_controllers: i32,
}

/// The status of a cluster that is looked after.
pub fn status(cluster: &KafkaCluster, situation: &Situation, plan: &Plan, facts: Facts) -> KafkaClusterStatus {
    let before = cluster.status.clone().unwrap_or_default();
    let view = situation.view.as_ref();
    let findings = findings(situation, plan);
    let brokers = situation.pods.iter().filter(|pod| pod.is_broker);
    KafkaClusterStatus {
        observed_generation: cluster.metadata.generation,
        message: words(situation, plan),
        conditions: conditions(findings, &before.conditions, cluster.metadata.generation, &now()),
        replicas: brokers.clone().count() as i32,
        ready_replicas: brokers.filter(|pod| situation.serves(pod.id)).count() as i32,
        selector: facts.selector,
        bootstrap: facts.bootstrap,
        cluster_id: view.map(|view| view.state.cluster_id.clone()).or(before.cluster_id),
        version: facts.version,
        active_controller: view.and_then(|view| view.state.active_controller_id),
        nodes: nodes(situation, facts.combined_controllers),
        partitions: health(situation).unwrap_or(before.partitions),
        rebalance: plan.rebalance.clone(),
        balanced_over: plan.balanced_over.clone(),
    }
}

/// The status of a cluster that cannot be looked after, with what was said of the rest before.
pub fn refused(cluster: &KafkaCluster, reason: &'static str, message: &str) -> KafkaClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    let was_ready = condition(&status.conditions, "Ready");
    let ready = Finding {
        type_: "Ready",
        status: was_ready.map_or(ConditionStatus::False, |condition| condition.status),
        reason,
        message: message.to_owned(),
    };
    let degraded = Finding { type_: "Degraded", status: ConditionStatus::True, ..ready.clone() };
    let progressing = Finding { type_: "Progressing", status: ConditionStatus::False, ..ready.clone() };
    let findings = vec![ready, progressing, degraded];
    status.conditions = conditions(findings, &status.conditions, cluster.metadata.generation, &now());
    status.observed_generation = cluster.metadata.generation;
    status.message = message.to_owned();
    status
}

/// The status of a paused cluster.
pub fn paused(cluster: &KafkaCluster) -> KafkaClusterStatus {
    let mut status = cluster.status.clone().unwrap_or_default();
    let message = "paused: nothing is changed until spec.paused is false".to_owned();
    let kept = condition(&status.conditions, "Ready");
    let ready = kept.map_or(ConditionStatus::Unknown, |condition| condition.status);
    let finding = |type_, status| Finding { type_, status, reason: "Paused", message: message.clone() };
    let findings = vec![
        finding("Ready", ready),
        finding("Progressing", ConditionStatus::False),
        finding("Degraded", ConditionStatus::False),
    ];
    status.conditions = conditions(findings, &status.conditions, cluster.metadata.generation, &now());
    status.observed_generation = cluster.metadata.generation;
    status.message = message;
    status
}

fn findings(situation: &Situation, plan: &Plan) -> Vec<Finding> {
    let (ready, why_not) = is_ready(situation, plan);
    let progressing = plan.doing.first();
    let degraded = plan.troubles.first();
    let all_troubles = || plan.troubles.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("; ");
    vec![
        Finding {
            type_: "Ready",
            status: ready.into(),
            reason: why_not.as_ref().map_or("Ready", |(reason, _)| reason),
            message: why_not.map_or_else(|| serving(situation), |(_, text)| text),
        },
        Finding {
            type_: "Progressing",
            status: progressing.is_some().into(),
            reason: progressing.map_or("Settled", |doing| doing.reason),
            message: progressing.map_or("everything is as it is wanted".to_owned(), |doing| doing.message.clone()),
        },
        Finding {
            type_: "Degraded",
            status: degraded.is_some().into(),
            reason: degraded.map_or("Healthy", |trouble| trouble.reason),
            message: degraded.map_or("nothing is wrong".to_owned(), |_| all_troubles()),
        },
    ]
}

fn serving(situation: &Situation) -> String {
    match &situation.missing()[..] {
        [] => "all brokers serve, and every partition has a leader".to_owned(),
        missing => {
            let nodes = super::plan::named(missing, "node", "nodes");
            format!("every partition has a leader, and all brokers serve but {nodes}")
        }
    }
}

/// Whether clients are served as they should be.
fn is_ready(situation: &Situation, plan: &Plan) -> (bool, Option<(&'static str, String)>) {
    let no = |reason, text: String| (false, Some((reason, text)));
    if situation.wanted.stopped {
        return no("Stopped", "stopped: spec.stopped is true".to_owned());
    }
    let Some(view) = &situation.view else {
        return no("NotAnswering", "no broker answers".to_owned());
    };
    if let Some(trouble) = plan.troubles.iter().find(|it| matches!(it.reason, "OfflinePartitions" | "UnderMinIsr")) {
        return no(trouble.reason, trouble.message.clone());
    }
    if view.state.active_controller_id.is_none() {
        return no("NoActiveController", "the controllers have no leader".to_owned());
    }
    let missing = situation.missing();
    // A cluster that served goes on serving while a few of its brokers start anew.
    let are_known = missing.iter().all(|id| situation.broker(*id).is_some() || situation.wanted.dedicated.contains(id));
    let allowed = if situation.was_ready && are_known { situation.wanted.max_unavailable as usize } else { 0 };
    if missing.len() > allowed {
        let nodes = super::plan::named(&missing, "node", "nodes");
        let verb = if missing.len() == 1 { "does" } else { "do" };
        return no("NodesMissing", format!("{nodes} {verb} not serve yet"));
    }
    (true, None)
}

fn words(situation: &Situation, plan: &Plan) -> String {
    if situation.wanted.stopped && situation.pods.is_empty() {
        return "stopped".to_owned();
    }
    let troubles = plan.troubles.iter().map(|trouble| trouble.message.as_str());
    let doing = plan.doing.iter().map(|doing| doing.message.as_str());
    let all: Vec<&str> = troubles.chain(doing).take(3).collect();
    if all.is_empty() { "running".to_owned() } else { all.join("; ") }
}

fn health(situation: &Situation) -> Option<PartitionHealth> {
    let state = &situation.view.as_ref()?.state;
    let count = |list: &Option<crate::admin::proto::PartitionList>| list.as_ref().map_or(0, |list| list.count as i64);
    Some(PartitionHealth {
        topics: state.topics as i64,
        total: state.partitions as i64,
        offline: count(&state.offline),
        under_replicated: count(&state.under_replicated),
        under_min_isr: count(&state.under_min_isr),
    })
}

fn nodes(situation: &Situation, combined_controllers: i32) -> Vec<NodeStatus> {
    let mut ids: Vec<i32> = situation.wanted_nodes().chain(situation.pods.iter().map(|pod| pod.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    let node = |id: i32| {
        let pod = situation.pod(id);
        let is_broker = !situation.wanted.dedicated.contains(&id);
        NodeStatus {
            id,
            pod: pod.map(|pod| pod.name.clone()).unwrap_or_default(),
            roles: match (is_broker, id < combined_controllers) {
                (true, true) => "broker,controller",
                (true, false) => "broker",
                (false, _) => "controller",
            }
            .to_owned(),
            state: state(situation, id, pod),
            rack: situation.broker(id).and_then(|broker| broker.rack.clone()).or(pod.and_then(|pod| pod.rack.clone())),
            node: pod.and_then(|pod| pod.node.clone()),
        }
    };
    ids.into_iter().map(node).collect()
}

fn state(situation: &Situation, id: i32, pod: Option<&Pod>) -> NodeState {
    let Some(pod) = pod else { return NodeState::Pending };
    let broker = situation.broker(id);
    match &pod.process {
        _ if pod.ends => NodeState::Stopping,
        Process::Failing(_) | Process::Ended => NodeState::Failing,
        Process::Waiting => NodeState::Pending,
        Process::Running if !pod.is_ready => NodeState::Starting,
        Process::Running => match broker {
            Some(broker) if broker.in_controlled_shutdown => NodeState::Stopping,
            Some(broker) if broker.fenced => NodeState::Fenced,
            Some(broker) if broker.drained => NodeState::Draining,
            _ => NodeState::Running,
        },
    }
}
