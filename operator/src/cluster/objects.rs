//! Puts the objects of a cluster into Kubernetes: those that are missing or not as they should be, and takes away those that
//! are wanted no longer. Objects that belong to somebody else are never touched.

use super::caches::{Caches, of};
use crate::admin::ClusterKey;
use crate::context::Context;
use crate::resources::{Resources, labels};
use crate::write::{self, Written};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::info;

/// Why an object is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error("{kind} {name}: {error}")]
    Kubernetes { kind: String, name: String, error: kube::Error },
    #[error("{kind} {name} exists and belongs to {owner}: delete or rename it, or give the cluster another name")]
    Taken { kind: String, name: String, owner: String },
    /// Of a cluster of the same name that was deleted.
    #[error("{kind} {name} of a deleted cluster of the same name is still there")]
    Former { kind: String, name: String },
}

/// Objects that were there once and have not been taken away since, by cluster: one that is missing was deleted by somebody
/// else.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<ClusterKey, HashSet<(String, String)>>>);

impl Seen {
    /// Whether it was seen for the first time.
    fn note(&self, cluster: &ClusterKey, kind: &str, name: &str) -> bool {
        let mut all = self.0.lock().expect("no panic while held");
        all.entry(cluster.clone()).or_default().insert((kind.to_owned(), name.to_owned()))
    }

    /// It is taken away for good, or to be made anew.
    pub fn forget_one(&self, cluster: &ClusterKey, kind: &str, name: &str) {
        if let Some(of_cluster) = self.0.lock().expect("no panic while held").get_mut(cluster) {
            of_cluster.remove(&(kind.to_owned(), name.to_owned()));
        }
    }

    pub fn forget(&self, cluster: &ClusterKey) {
        self.0.lock().expect("no panic while held").remove(cluster);
    }
}

/// Where objects are put.
pub struct Shelf<'a> {
    pub context: &'a Context,
    pub caches: &'a Caches,
    pub seen: &'a Seen,
    pub key: &'a ClusterKey,
    /// The uid of the KafkaCluster.
    pub owner: &'a str,
}

impl Shelf<'_> {
    /// Puts everything, in the order in which it is needed. An error of one object holds up those that need it, and no
    /// others. Errors: the first.
    pub async fn put(&self, resources: &Resources) -> Result<(), PutError> {
        // It may be what keeps the rest from being done.
        self.take_away(resources.network_policy.as_slice(), &self.caches.network_policies).await?;
        let mut first = None;
        let mut note = |put: Result<Written, PutError>| {
            if let Err(error) = put {
                first.get_or_insert(error);
            }
        };
        note(self.put_one(&resources.service_account, &self.caches.service_accounts).await);
        if let Some(policy) = &resources.network_policy {
            note(self.put_one(policy, &self.caches.network_policies).await);
        }
        for service in &resources.services {
            note(self.put_one(service, &self.caches.services).await);
        }
        for config_map in &resources.config_maps {
            note(self.put_one(config_map, &self.caches.config_maps).await);
        }
        for budget in &resources.disruption_budgets {
            note(self.put_one(budget, &self.caches.disruption_budgets).await);
        }
        if let Some(error) = first {
            return Err(error);
        }
        for set in &resources.stateful_sets {
            self.put_one(set, &self.caches.stateful_sets).await?;
        }
        self.take_away(&resources.services, &self.caches.services).await?;
        self.take_away(&resources.config_maps, &self.caches.config_maps).await?;
        self.take_away(&resources.disruption_budgets, &self.caches.disruption_budgets).await
    }

    async fn put_one<K>(&self, wanted: &K, known: &Store<K>) -> Result<Written, PutError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned
            + 'static,
    {
        let name = wanted.name_any();
        let known = known.get(&ObjectRef::new(&name).within(&self.key.namespace));
        let live = match known {
            Some(known) => Some(known),
            // Somebody else's object does not carry the label by which the caches know theirs.
            None => self.api::<K>().get_opt(&name).await.map_err(refused::<K>(&name))?.map(Arc::new),
        };
        if let Some(live) = &live {
            self.check_owner(&**live)?;
        }
        let written = write::apply(self.context, wanted, live.as_deref()).await.map_err(refused::<K>(&name))?;
        let is_new = self.seen.note(self.key, &K::kind(&()), &name);
        if written == Written::Created && !is_new {
            info!(kind = %K::kind(&()), name, "somebody else deleted this, and it is made again");
            self.context.metrics.drifted(&K::kind(&()));
        }
        Ok(written)
    }

    fn check_owner<K: Resource<DynamicType = ()>>(&self, live: &K) -> Result<(), PutError> {
        let (kind, name) = (K::kind(&()).into_owned(), live.name_any());
        let owners = live.meta().owner_references.iter().flatten();
        match owners.into_iter().find(|owner| owner.controller == Some(true)) {
            Some(owner) if owner.uid == self.owner => Ok(()),
            Some(owner) if owner.kind == "KafkaCluster" && owner.name == self.key.name => {
                Err(PutError::Former { kind, name })
            }
            Some(owner) => Err(PutError::Taken { kind, name, owner: format!("{} {}", owner.kind, owner.name) }),
            None if live.labels().get(labels::CLUSTER) == Some(&self.key.name) => Ok(()),
            None => Err(PutError::Taken { kind, name, owner: "somebody else".to_owned() }),
        }
    }

    async fn take_away<K>(&self, wanted: &[K], known: &Store<K>) -> Result<(), PutError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + 'static,
    {
        for object in of(known, self.key) {
            let name = object.name_any();
            let is_ours = object.owner_references().iter().any(|owner| owner.uid == self.owner);
            let is_wanted = wanted.iter().any(|wanted| wanted.name_any() == name);
            if !is_ours || is_wanted || object.meta().deletion_timestamp.is_some() {
                continue;
            }
            info!(kind = %K::kind(&()), name, "deleted: it is wanted no longer");
            self.context.metrics.wrote(&K::kind(&()));
            self.seen.forget_one(self.key, &K::kind(&()), &name);
            let preconditions = Preconditions { uid: object.uid(), resource_version: None };
            let this_one = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match self.api::<K>().delete(&name, &this_one).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(refused::<K>(&name)(error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.context.client.clone(), &self.key.namespace)
    }
}

/// What the API server says of an object does not always name it.
fn refused<K: Resource<DynamicType = ()>>(name: &str) -> impl FnOnce(kube::Error) -> PutError {
    let (kind, name) = (K::kind(&()).into_owned(), name.to_owned());
    move |error| PutError::Kubernetes { kind, name, error }
}
