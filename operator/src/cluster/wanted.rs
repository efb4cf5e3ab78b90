//! What a valid cluster asks for, in the numbers that plans and builders need.

use super::caches::{Caches, is_ready};
use super::plan::Plan;
use super::situation::{Situation, Wanted};
use crate::crd::{DeletionPolicy, ExternalType, Quantity};
use crate::resources::{self, ExternalAddress, Inputs, Role, Size, ValidCluster, external};
use crate::write::amount;
use kube::ResourceExt;
use std::collections::BTreeMap;

pub fn wanted(valid: &ValidCluster, addresses: &BTreeMap<i32, ExternalAddress>) -> Wanted {
    let revision = |role| resources::revision_of(valid, role).unwrap_or_default();
    let controllers = valid.nodes(Role::Controller);
    let min_isr = "min.insync.replicas";
    let min_isr = valid.dynamic_config.get(min_isr).or(valid.static_config.get(min_isr));
    Wanted {
        brokers: valid.brokers.replicas,
        dedicated: controllers.map(|_| valid.voters().collect()).unwrap_or_default(),
        stopped: valid.stopped,
        deletes_volumes: valid.deletion_policy == DeletionPolicy::Delete,
        broker_revision: revision(Role::Broker),
        controller_revision: revision(Role::Controller),
        broker_storage: bytes(&valid.brokers.storage.size),
        controller_storage: controllers.map_or(0, |nodes| bytes(&nodes.storage.size)),
        max_unavailable: valid.availability.max_unavailable,
        restart_by: valid.availability.restart_by,
        rebalance: valid.rebalance.mode,
        moves_at_once: valid.rebalance.max_moves_at_once as usize,
        throttle: valid.rebalance.throttle_bytes_per_second,
        dynamic_config: valid.dynamic_config.clone(),
        min_isr: min_isr.and_then(|value| value.parse().ok()).unwrap_or(1),
        external: told_outside(valid, addresses),
    }
}

/// What brokers should tell clients outside. A host that each broker finds out itself is not said.
fn told_outside(
    valid: &ValidCluster,
    addresses: &BTreeMap<i32, ExternalAddress>,
) -> BTreeMap<i32, (Option<String>, u32)> {
    let Some(listener) = &valid.external else { return BTreeMap::new() };
    let is_found_out = listener.type_ == ExternalType::NodePort && listener.advertised_host.is_none();
    let told = |(id, address): (&i32, &ExternalAddress)| {
        let (host, port) = external::advertised(listener, *id, Some(address))?;
        Some((*id, (Some(host).filter(|_| !is_found_out), port as u32)))
    };
    addresses.iter().filter_map(told).collect()
}

/// What the builders are given.
pub fn inputs(
    valid: &ValidCluster,
    situation: &Situation,
    plan: &Plan,
    addresses: &BTreeMap<i32, ExternalAddress>,
    racks: BTreeMap<String, String>,
) -> Inputs {
    let with_volumes = situation.claims.iter().filter(|claim| claim.is_broker).map(|claim| claim.id + 1).max();
    let brokers = match valid.stopped {
        true => with_volumes.unwrap_or(0).max(valid.brokers.replicas),
        false => plan.brokers,
    };
    let controllers = valid.nodes(Role::Controller);
    let storage = |made: Option<i128>, wanted: &Quantity| match made {
        // A StatefulSet keeps the size that it was made with; another one takes its place when all volumes have grown.
        Some(made) if made != bytes(wanted) => Quantity(made.to_string()),
        _ => wanted.clone(),
    };
    let controllers_wanted = controllers.map_or(0, |nodes| nodes.replicas);
    Inputs {
        brokers: Size {
            nodes: brokers,
            replicas: plan.brokers,
            storage: storage(situation.broker_set_storage, &valid.brokers.storage.size),
        },
        controllers: Size {
            nodes: controllers_wanted,
            replicas: plan.controllers,
            storage: controllers
                .map_or(Quantity("0".to_owned()), |it| storage(situation.controller_set_storage, &it.storage.size)),
        },
        external: addresses.clone(),
        racks,
        brokers_unavailable_max: plan.disruptions_allowed,
        // A minority of the voters.
        controllers_unavailable_max: (controllers_wanted - 1) / 2,
    }
}

/// An address at which Kubernetes' nodes are reached, if one of them is there.
pub fn some_node(caches: &Caches) -> Option<String> {
    let mut nodes = caches.nodes.state();
    nodes.sort_by_key(|node| (!is_ready(node), node.name_any()));
    let addresses = nodes.first()?.status.as_ref()?.addresses.clone()?;
    let of_type = |type_: &str| addresses.iter().find(|address| address.type_ == type_);
    of_type("ExternalIP").or(of_type("InternalIP")).map(|address| address.address.clone())
}

pub fn bytes(quantity: &Quantity) -> i128 {
    amount(&quantity.0).unwrap_or(0) / 1000
}
