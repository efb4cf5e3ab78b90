//! ConfigMaps: the files that nodes read.

use super::external::ExternalAddress;
use super::valid::{Role, ValidCluster};
use super::{labels, names, properties};
use k8s_openapi::api::core::v1::ConfigMap;
use std::collections::BTreeMap;

/// The properties file of each of these nodes; of those alone whose addresses are known.
pub fn config(
    cluster: &ValidCluster,
    nodes: impl Iterator<Item = i32>,
    external: &BTreeMap<i32, ExternalAddress>,
) -> ConfigMap {
    let file = |id: i32| {
        let properties = properties::of_node(cluster, id, external.get(&id))?;
        Some((names::config_file(id), properties::file(&properties)))
    };
    ConfigMap {
        metadata: labels::meta(cluster, names::config(&cluster.name), None),
        data: Some(nodes.filter_map(file).collect()),
        ..ConfigMap::default()
    }
}

/// In which rack each of Kubernetes' nodes is. `None`: the cluster has no racks.
pub fn racks_map(cluster: &ValidCluster, racks: &BTreeMap<String, String>) -> Option<ConfigMap> {
    cluster.rack_label.as_ref()?;
    Some(ConfigMap {
        metadata: labels::meta(cluster, names::racks(&cluster.name), Some(Role::Broker)),
        data: Some(racks.clone()),
        ..ConfigMap::default()
    })
}

/// The rack of each of Kubernetes' nodes: the value of the label `key`. One without it has an empty rack, which is none for
/// a broker; a node that were not named here at all would keep its broker from starting.
pub fn racks<'a>(
    nodes: impl Iterator<Item = (&'a str, &'a BTreeMap<String, String>)>,
    key: &str,
) -> BTreeMap<String, String> {
    let rack = |labels: &BTreeMap<String, String>| labels.get(key).cloned().unwrap_or_default();
    nodes.map(|(name, labels)| (name.to_owned(), rack(labels))).collect()
}
