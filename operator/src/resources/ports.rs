//! The ports of a node, and their names.

use super::valid::{Role, ValidCluster};
use k8s_openapi::api::core::v1::{ContainerPort, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A port with the name that services and probes use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: &'static str,
    pub number: i32,
}

pub const CONTROLLER: Port = Port { name: "controller", number: 9090 };
pub const REPLICATION: Port = Port { name: "replication", number: 9091 };
pub const EXTERNAL: Port = Port { name: "external", number: 9094 };
pub const ADMIN: Port = Port { name: "admin", number: 9095 };
pub const METRICS: Port = Port { name: "metrics", number: 9404 };

/// Where clients inside Kubernetes connect.
pub fn internal(cluster: &ValidCluster) -> Port {
    Port { name: "kafka", number: cluster.internal_port }
}

/// What the nodes of a role listen on. Any broker has the port of controllers: only the first may use it.
pub fn of_role(cluster: &ValidCluster, role: Role) -> Vec<Port> {
    let combined = cluster.voters().contains(&Role::Broker.first_id());
    let mut ports = Vec::new();
    if role == Role::Controller || combined {
        ports.push(CONTROLLER);
    }
    if role == Role::Broker {
        ports.extend([REPLICATION, internal(cluster)]);
        ports.extend(cluster.external.as_ref().map(|_| EXTERNAL));
    }
    ports.extend([ADMIN, METRICS]);
    ports
}

/// What any node of a cluster listens on.
pub fn of_all(cluster: &ValidCluster) -> Vec<Port> {
    let mut ports = of_role(cluster, Role::Broker);
    if !ports.contains(&CONTROLLER) {
        ports.insert(0, CONTROLLER);
    }
    ports
}

impl Port {
    pub fn of_container(self) -> ContainerPort {
        ContainerPort {
            name: Some(self.name.to_owned()),
            container_port: self.number,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }
    }

    pub fn of_service(self) -> ServicePort {
        ServicePort {
            name: Some(self.name.to_owned()),
            port: self.number,
            target_port: Some(self.target()),
            protocol: Some("TCP".to_owned()),
            ..ServicePort::default()
        }
    }

    /// By number, since the pods of one service do not all name the same ports.
    pub fn target(self) -> IntOrString {
        IntOrString::Int(self.number)
    }
}
