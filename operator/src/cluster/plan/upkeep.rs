//! What is kept right beside: volumes grow, the disruption budget follows the true state, dynamic configurations are set.

use super::{Action, Plan};
use crate::cluster::situation::Situation;
use crate::resources::Role;

/// The rates of KIP-73, which belong to moves and not to the configuration.
pub const RATES: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

pub fn plan(situation: &Situation, plan: &mut Plan) {
    grow_volumes(situation, plan);
    own_volumes(situation, plan);
    plan.disruptions_allowed = disruptions_allowed(situation);
    configure(situation, plan);
}

fn grow_volumes(situation: &Situation, plan: &mut Plan) {
    for claim in situation.claims.iter().filter(|claim| !claim.ends && !claim.is_lost) {
        let wanted = match claim.is_broker {
            true => situation.wanted.broker_storage,
            false => situation.wanted.controller_storage,
        };
        if claim.size < wanted {
            plan.actions.push(Action::GrowClaim { name: claim.name.clone(), size: wanted });
        }
    }
    replace_sets(situation, plan);
}

/// Volumes that go with the KafkaCluster have it as an owner: not their StatefulSet, which somebody may delete.
fn own_volumes(situation: &Situation, plan: &mut Plan) {
    let owned = situation.wanted.deletes_volumes;
    for claim in situation.claims.iter().filter(|claim| !claim.ends && claim.is_owned != owned) {
        plan.actions.push(Action::OwnClaim { name: claim.name.clone(), uid: claim.uid.clone(), owned });
    }
}

/// The size of the volumes that a StatefulSet makes cannot change: once all claims have grown, another takes its place. Its
/// pods go on as they are.
fn replace_sets(situation: &Situation, plan: &mut Plan) {
    let grows = plan.actions.iter().any(|action| matches!(action, Action::GrowClaim { .. }));
    let sets = [
        (Role::Broker, situation.broker_set_storage, situation.wanted.broker_storage),
        (Role::Controller, situation.controller_set_storage, situation.wanted.controller_storage),
    ];
    for (role, made, wanted) in sets {
        if made.is_some_and(|made| made < wanted) && !grows {
            plan.actions.push(Action::ReplaceSet { role });
        }
    }
}

/// None may be evicted while anything is missing: another one less might be one too many. While nobody answers, what was
/// allowed last stays: a cluster that is down is not to hold up the maintenance of nodes that were drained before.
fn disruptions_allowed(situation: &Situation) -> i32 {
    let most = situation.wanted.max_unavailable;
    let Some(view) = &situation.view else { return situation.disruptions_allowed.unwrap_or(most) };
    // Kubernetes evicts as many at once, and any of them: not a majority of the voters. One may always be.
    let voters = if situation.wanted.dedicated.is_empty() { view.state.voters.len() } else { usize::MAX };
    let most = most.min(i32::try_from(voters.saturating_sub(1) / 2).unwrap_or(i32::MAX).max(1));
    let under_replicated = view.state.under_replicated.as_ref().map_or(0, |list| list.count);
    let brokers = || 0..situation.wanted.brokers;
    let are_heard = brokers().all(|id| situation.broker(id).is_some_and(|broker| !broker.fenced));
    if under_replicated == 0 && are_heard { most } else { 0 }
}

fn configure(situation: &Situation, plan: &mut Plan) {
    let Some(view) = &situation.view else { return };
    let wanted = &situation.wanted.dynamic_config;
    let has =
        |name: &str| view.state.broker_configs.iter().find(|config| config.name == name).map(|config| &config.value);
    let set = wanted.iter().filter(|(name, value)| has(name) != Some(*value));
    let set: Vec<(String, String)> = set.map(|(name, value)| (name.clone(), value.clone())).collect();
    let configs = view.state.broker_configs.iter().map(|config| &config.name);
    let unset = configs.filter(|name| !wanted.contains_key(*name) && !RATES.contains(&name.as_str()));
    let unset: Vec<String> = unset.cloned().collect();
    if !set.is_empty() || !unset.is_empty() {
        let names: Vec<&str> =
            set.iter().map(|(name, _)| name.as_str()).chain(unset.iter().map(String::as_str)).collect();
        plan.doing("Configuring", format!("applying {} while the brokers run", names.join(", ")));
        plan.actions.push(Action::Configure { set, unset });
    }
}
