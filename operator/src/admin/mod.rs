//! The way to the clusters: one link for each, by the brokers' admin service (gRPC).
//!
//! - A link follows one node of its cluster (the active controller, when it knows who that is) and shows the newest [`View`]:
//!   brokers, partition health, all topics. Reconciling reads views and waits for nothing.
//! - What changes is told at once ([`Change`]), so that whoever cares reconciles.
//! - Calls go to the active controller. Each has a time limit: a cluster that does not answer holds up no other.
//!
//! Deliberately absent: anything that decides. A link that is down shows its last view and that it is old.

mod calls;
mod link;
mod replicas;

pub use barnabas::admin::proto;
pub use calls::{CallError, ItemError, Outcomes};
pub use link::{Link, View};
pub use replicas::{is_moving, source, target};

use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Which cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    pub namespace: String,
    pub name: String,
}

impl ClusterKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> ClusterKey {
        ClusterKey { namespace: namespace.into(), name: name.into() }
    }

    pub fn object_ref(&self) -> ObjectRef<crate::crd::KafkaCluster> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

impl std::fmt::Display for ClusterKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// What a link has seen change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Brokers, controllers, partition health, or the link itself.
    Cluster(ClusterKey),
    /// These topics.
    Topics(ClusterKey, Vec<String>),
    /// Any topic: the link has come up or another node is followed.
    AllTopics(ClusterKey),
}

/// The links to all clusters.
pub struct Links {
    links: Mutex<HashMap<ClusterKey, Arc<Link>>>,
    changes: mpsc::UnboundedSender<Change>,
}

impl Links {
    /// No links yet; changes are told to `changes`.
    pub fn new(changes: mpsc::UnboundedSender<Change>) -> Links {
        Links { links: Mutex::default(), changes }
    }

    /// Says where the nodes of a cluster are now (node.id to `host:port` of the admin listener); makes the link if there is
    /// none. Waits for nothing.
    pub fn reach(&self, key: &ClusterKey, addresses: BTreeMap<i32, String>) -> Arc<Link> {
        let mut links = self.links.lock().expect("no panic while held");
        let link = links.entry(key.clone()).or_insert_with(|| Link::start(key.clone(), self.changes.clone()));
        link.reach(addresses);
        link.clone()
    }

    /// The link to a cluster, if there is one.
    pub fn of(&self, key: &ClusterKey) -> Option<Arc<Link>> {
        self.links.lock().expect("no panic while held").get(key).cloned()
    }

    /// Ends the link to a cluster that is gone.
    pub fn forget(&self, key: &ClusterKey) {
        self.links.lock().expect("no panic while held").remove(key);
    }
}
