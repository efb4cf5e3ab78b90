//! Where the nodes of a cluster are, for the operator and for clients.

use super::caches::{self, Caches};
use super::situation::{Process, Situation};
use super::{status, wanted};
use crate::admin::ClusterKey;
use crate::crd::{Bootstrap, ExternalListener, ExternalType};
use crate::resources::{ExternalAddress, Quorum, Resources, ValidCluster, external, labels, names, ports};
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

/// Where clients outside find a cluster.
#[derive(Default)]
pub struct Outside {
    /// By broker, as far as it is known.
    pub brokers: BTreeMap<i32, ExternalAddress>,
    /// Where they begin.
    pub bootstrap: Option<String>,
    /// Services that have no address now and had one, which is kept until they have another.
    pub awaited: Vec<String>,
}

/// The addresses outside that Kubernetes has given the services, now or, where it has taken one away, before: those stand in
/// the brokers' files, and in the status. `begins`: where clients began before.
pub fn outside(key: &ClusterKey, valid: &ValidCluster, caches: &Caches, begins: Option<&String>) -> Outside {
    let Some(listener) = &valid.external else { return Outside::default() };
    let given = |service: &Arc<Service>| {
        let id = names::external_service_id(&key.name, &service.name_any())?;
        Some((id, external::address(listener, service)?))
    };
    let given: BTreeMap<i32, ExternalAddress> = caches::of(&caches.services, key).iter().filter_map(given).collect();
    let mut brokers = kept(key, valid, listener, caches);
    let without = brokers.keys().filter(|id| **id < valid.brokers.replicas && !given.contains_key(id));
    let mut awaited: Vec<String> = without.map(|id| names::external_service(&key.name, *id)).collect();
    brokers.extend(given);
    let mut bootstrap = bootstrap(key, listener, caches);
    if bootstrap.is_none() && listener.type_ == ExternalType::LoadBalancer {
        bootstrap = begins.filter(|text| text.ends_with(&format!(":{}", ports::EXTERNAL.number))).cloned();
        awaited.extend(bootstrap.iter().map(|_| names::external_bootstrap_service(&key.name)));
    }
    Outside { brokers, bootstrap, awaited }
}

/// The addresses in the files of this cluster's brokers, not in those of a former one of its name.
fn kept(
    key: &ClusterKey,
    valid: &ValidCluster,
    listener: &ExternalListener,
    caches: &Caches,
) -> BTreeMap<i32, ExternalAddress> {
    let files = caches.config_maps.get(&ObjectRef::new(&names::config(&key.name)).within(&key.namespace));
    let files = files.filter(|files| files.owner_references().iter().any(|owner| owner.uid == valid.owner.uid));
    let Some(files) = files.as_ref().and_then(|files| files.data.as_ref()) else { return BTreeMap::new() };
    let kept = |(name, file): (&String, &String)| Some((names::config_file_id(name)?, external::kept(listener, file)?));
    files.iter().filter_map(kept).collect()
}

/// Leaves the files of these brokers, whose addresses are not known, as they are: their processes may start anew.
pub fn keep_files(resources: &mut Resources, brokers: &[i32], key: &ClusterKey, caches: &Caches) {
    let name = names::config(&key.name);
    let Some(known) = caches.config_maps.get(&ObjectRef::new(&name).within(&key.namespace)) else { return };
    let known = known.data.iter().flatten();
    let is_one = |file: &str| names::config_file_id(file).is_some_and(|id| brokers.contains(&id));
    let kept = known.filter(|(file, _)| is_one(file)).map(|(file, text)| (file.clone(), text.clone()));
    let wanted = resources.config_maps.iter_mut().find(|map| map.name_any() == name);
    if let Some(map) = wanted {
        map.data.get_or_insert_default().extend(kept);
    }
}

fn bootstrap(key: &ClusterKey, listener: &ExternalListener, caches: &Caches) -> Option<String> {
    let name = names::external_bootstrap_service(&key.name);
    let service = caches.services.get(&ObjectRef::new(&name).within(&key.namespace))?;
    let address = external::address(listener, &service)?;
    let host = address.host.or_else(|| wanted::some_node(caches))?;
    Some(format!("{host}:{}", address.port))
}

/// What the status says of a cluster beside how it is.
pub fn facts(valid: &ValidCluster, key: &ClusterKey, outside: Outside) -> status::Facts {
    status::Facts {
        bootstrap: Bootstrap { internal: valid.internal_bootstrap(), external: outside.bootstrap },
        selector: labels::selector_text(&key.name),
        version: valid.version().to_owned(),
        combined_controllers: match valid.controllers {
            Quorum::Combined(count) => count,
            Quorum::Dedicated(_) => 0,
        },
    }
}
