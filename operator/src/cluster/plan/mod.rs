//! What is to be done about a cluster, as a pure function of what there is.
//!
//! - A plan is made anew each time and remembers nothing: killed at any step, the operator finds out from what there is how
//!   far it had come.
//! - What endangers records is planned only while the cluster answers ([`Situation::view`]). What Kubernetes has to hold
//!   (sizes, services, configurations) is wanted all the same.
//! - One thing at a time: what failed first, then leaving, restarts, moves; each waits until the one before it has ended.

mod balance;
mod failures;
mod restarts;
mod size;
mod upkeep;

use super::situation::Situation;
use crate::crd::RebalanceStatus;
use crate::rebalance::Move;
use crate::resources::Role;
use std::time::Duration;

pub use balance::THROTTLED;
pub use upkeep::RATES;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Brokers that the StatefulSet is to have.
    pub brokers: i32,
    /// Dedicated controllers that their StatefulSet is to have.
    pub controllers: i32,
    /// What the PodDisruptionBudget is to allow.
    pub disruptions_allowed: i32,
    pub actions: Vec<Action>,
    /// What is happening, in the order of its weight.
    pub doing: Vec<Doing>,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    pub rebalance: Option<RebalanceStatus>,
    pub balanced_over: Vec<i32>,
    /// When to look again at something that no watch tells of.
    pub again: Option<Duration>,
}

/// One thing to be done, beside the objects that are applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Tells the controllers that a process has ended.
    DeclareDead {
        broker: i32,
        incarnation: String,
    },
    /// Takes a pod off a node that is lost: nothing there can say that it has ended.
    ReplaceLost {
        pod: String,
        uid: String,
        node: String,
    },
    /// Deletes a claim whose volume is lost, or whose broker has gone.
    DeleteClaim {
        name: String,
        uid: String,
        why: &'static str,
    },
    /// Has a claim go with the KafkaCluster, or stay.
    OwnClaim {
        name: String,
        uid: String,
        owned: bool,
    },
    /// Deletes a pod so that it starts anew. With `check` the active controller must agree first.
    Restart {
        pod: String,
        uid: String,
        id: i32,
        check: bool,
        why: String,
    },
    Drain {
        broker: i32,
        drained: bool,
    },
    Unregister {
        broker: i32,
    },
    GrowClaim {
        name: String,
        size: i128,
    },
    /// Deletes a StatefulSet and leaves its pods, so that it is made anew.
    ReplaceSet {
        role: Role,
    },
    Move(Vec<Move>),
    Throttle {
        rate: i64,
        topics: Vec<String>,
    },
    Unthrottle {
        topics: Vec<String>,
    },
    Configure {
        set: Vec<(String, String)>,
        unset: Vec<String>,
    },
    ElectPreferred,
}

/// Something that is happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doing {
    pub reason: &'static str,
    pub message: String,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: &'static str,
    pub message: String,
}

impl Action {
    /// One word for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Action::DeclareDead { .. } => "declare_dead",
            Action::ReplaceLost { .. } => "replace_lost",
            Action::DeleteClaim { .. } => "delete_claim",
            Action::OwnClaim { .. } => "own_claim",
            Action::Restart { .. } => "restart",
            Action::Drain { .. } => "drain",
            Action::Unregister { .. } => "unregister",
            Action::GrowClaim { .. } => "grow_claim",
            Action::ReplaceSet { .. } => "replace_set",
            Action::Move(_) => "move",
            Action::Throttle { .. } => "throttle",
            Action::Unthrottle { .. } => "unthrottle",
            Action::Configure { .. } => "configure",
            Action::ElectPreferred => "elect_preferred",
        }
    }
}

impl Action {
    /// Whether it is for nothing before all objects are as they are wanted.
    pub fn needs_objects(&self) -> bool {
        matches!(self, Action::Restart { check: true, .. } | Action::ReplaceSet { .. })
    }

    /// What is wrong when it fails, in one word for programs.
    pub fn trouble(&self) -> &'static str {
        match self {
            Action::GrowClaim { .. }
            | Action::ReplaceSet { .. }
            | Action::DeleteClaim { .. }
            | Action::OwnClaim { .. } => "StorageRefused",
            Action::Configure { .. } => "ConfigRefused",
            Action::Move(_) | Action::Throttle { .. } | Action::Unthrottle { .. } => "MoveRefused",
            _ => "ActionFailed",
        }
    }
}

impl Plan {
    fn doing(&mut self, reason: &'static str, message: impl Into<String>) {
        self.doing.push(Doing { reason, message: message.into() });
    }

    fn trouble(&mut self, reason: &'static str, message: impl Into<String>) {
        self.troubles.push(Trouble { reason, message: message.into() });
    }
}

/// What is to be done in this situation.
pub fn plan(situation: &Situation) -> Plan {
    let mut plan = Plan { balanced_over: situation.balanced_over.clone(), ..Plan::default() };
    failures::plan(situation, &mut plan);
    size::plan(situation, &mut plan);
    upkeep::plan(situation, &mut plan);
    let restarts = restarts::plan(situation, &mut plan);
    if !restarts {
        balance::plan(situation, &mut plan);
    }
    let missing = situation.missing();
    if plan.doing.is_empty() && !missing.is_empty() {
        plan.doing("Starting", format!("waiting for {}", named(&missing, "node", "nodes")));
    }
    plan
}

/// What of that waits for nodes that do not serve, for the end of a sentence.
fn waiting(situation: &Situation) -> String {
    let missing = situation.missing();
    if missing.is_empty() {
        return String::new();
    }
    format!("; this waits for {}", named(&missing, "node", "nodes"))
}

/// Ids for people: `broker 3`, `brokers 3 and 4`.
pub fn named(ids: &[i32], one: &str, many: &str) -> String {
    match ids {
        [id] => format!("{one} {id}"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("{many} {} and {last}", first.join(", "))
        }
        [] => format!("no {one}"),
    }
}

#[cfg(test)]
mod tests;
