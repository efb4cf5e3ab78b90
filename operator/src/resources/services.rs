//! Services inside Kubernetes.

use super::valid::{Role, ValidCluster};
use super::{labels, names, ports};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};

/// The headless service: it gives each pod a name. Nodes find one another before they are ready, and become ready by that.
pub fn nodes(cluster: &ValidCluster) -> Service {
    let ports = ports::of_all(cluster).into_iter().map(ports::Port::of_service).collect();
    Service {
        metadata: labels::meta(cluster, names::nodes_service(&cluster.name), None),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip: Some("None".to_owned()),
            selector: Some(labels::selector(&cluster.name, None)),
            ports: Some(ports),
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Where clients begin: any broker that is ready.
pub fn bootstrap(cluster: &ValidCluster) -> Service {
    Service {
        metadata: labels::meta(cluster, names::bootstrap_service(&cluster.name), Some(Role::Broker)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(&cluster.name, Some(Role::Broker))),
            ports: Some(vec![ports::internal(cluster).of_service()]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
