//! Where the nodes of a cluster are, for the operator and for clients.

use super::caches::{self, Caches};
use super::situation::{Process, Situation};
use super::{status, wanted};
use crate::admin::ClusterKey;
use crate::crd::Bootstrap;
use crate::resources::{ExternalAddress, Quorum, ValidCluster, external, labels, names, ports};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the admin listeners of the nodes that run are.
pub fn admin_addresses(situation: &Situation) -> BTreeMap<i32, String> {
    let running = situation.pods.iter().filter(|pod| pod.process == Process::Running && !pod.node_is_lost);
    let address = |ip: &String| match ip.contains(':') {
        true => format!("[{ip}]:{}", ports::ADMIN.number),
        false => format!("{ip}:{}", ports::ADMIN.number),
    };
    running.filter_map(|pod| Some((pod.id, address(pod.ip.as_ref()?)))).collect()
}

/// The addresses outside that Kubernetes has given the brokers' services.
pub fn external_addresses(key: &ClusterKey, valid: &ValidCluster, caches: &Caches) -> BTreeMap<i32, ExternalAddress> {
    let Some(listener) = &valid.external else { return BTreeMap::new() };
    let address = |service: &Arc<Service>| {
        let id = names::external_service_id(&key.name, &service.name_any())?;
        Some((id, external::address(listener, service)?))
    };
    caches::of(&caches.services, key).iter().filter_map(address).collect()
}

/// What the status says of a cluster beside how it is.
pub fn facts(valid: &ValidCluster, key: &ClusterKey, caches: &Caches) -> status::Facts {
    let external = valid.external.as_ref().and_then(|listener| {
        let name = names::external_bootstrap_service(&key.name);
        let service = caches.services.get(&ObjectRef::new(&name).within(&key.namespace))?;
        let address = external::address(listener, &service)?;
        let host = address.host.or_else(|| wanted::some_node(caches))?;
        Some(format!("{host}:{}", address.port))
    });
    status::Facts {
        bootstrap: Bootstrap { internal: valid.internal_bootstrap(), external },
        selector: labels::selector_text(&key.name),
        version: valid.version().to_owned(),
        combined_controllers: match valid.controllers {
            Quorum::Combined(count) => count,
            Quorum::Dedicated(_) => 0,
        },
    }
}
