//! Calls of the admin service, to the active controller.

use super::link::Link;
use super::proto::admin_client::AdminClient;
use super::proto::{
    AddPartitionsRequest, AddedPartitions, AlterConfigsRequest, CreateTopicsRequest, DeclareDeadRequest,
    DeleteTopicsRequest, DeletedTopic, DrainLeadersRequest, ElectPreferredLeadersRequest, MayRestartRequest, NewTopic,
    Partition, PartitionMove, Reason, ReassignPartitionsRequest, ResourceConfigs, UnregisterBrokerRequest,
};
use barnabas::admin::CLUSTER_ID;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

/// A call that is not answered within this time has failed; it may have been carried out.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);
/// The metadata of a refusal that names the active controller.
const ACTIVE_CONTROLLER: &str = "barnabas-active-controller";

/// Why a call failed as a whole.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// No node answers, or none is the active controller: to be tried again.
    #[error("no active controller answers: {0}")]
    Unreachable(String),
    /// The cluster does not do this.
    #[error("{0}")]
    Refused(String),
}

/// Why one part of a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ItemError {
    /// Kafka's name of the error.
    pub code: String,
    pub message: String,
}

/// What became of each part, in the order of the request.
pub type Outcomes = Vec<Result<(), ItemError>>;

macro_rules! results {
    ($($(#[$doc:meta])* $name:ident($field:ident: $item:ty) = $call:ident($request:ident);)*) => {
        impl Link {
            $($(#[$doc])*
            /// Errors: of the whole call; each part has its own outcome.
            pub async fn $name(&self, $field: Vec<$item>) -> Result<Outcomes, CallError> {
                let request = $request { $field };
                let results = self.ask(|mut client| {
                    let request = self.request(request.clone());
                    async move { client.$call(request).await }
                });
                Ok(results.await?.results.into_iter().map(outcome).collect())
            })*
        }
    };
}

results! {
    /// Creates topics.
    create_topics(topics: NewTopic) = create_topics(CreateTopicsRequest);
    /// Adds partitions to topics.
    add_partitions(topics: AddedPartitions) = add_partitions(AddPartitionsRequest);
    /// Deletes topics.
    delete_topics(topics: DeletedTopic) = delete_topics(DeleteTopicsRequest);
    /// Changes configurations of topics and brokers.
    alter_configs(resources: ResourceConfigs) = alter_configs(AlterConfigsRequest);
    /// Moves replicas.
    reassign(moves: PartitionMove) = reassign_partitions(ReassignPartitionsRequest);
    /// Gives partitions to their preferred leaders; none named: all of them.
    elect_preferred(partitions: Partition) = elect_preferred_leaders(ElectPreferredLeadersRequest);
}

impl Link {
    /// Whether a node may be restarted now, and why not.
    pub async fn may_restart(&self, node_id: i32) -> Result<Vec<Reason>, CallError> {
        let asked = self.ask(|mut client| async move {
            client.may_restart(self.request(MayRestartRequest { node_id, list_max: 3 })).await
        });
        Ok(asked.await?.reasons)
    }

    /// Moves leaders away from a broker, or lets it lead again. Gives the number of partitions that it leads still.
    pub async fn drain_leaders(&self, broker_id: i32, drained: bool) -> Result<u64, CallError> {
        let asked = self.ask(|mut client| async move {
            client.drain_leaders(self.request(DrainLeadersRequest { broker_id, drained })).await
        });
        Ok(asked.await?.leads)
    }

    /// Says that the process of a broker has ended. That it has been replaced already is no error.
    pub async fn declare_dead(&self, broker_id: i32, incarnation: &str) -> Result<(), CallError> {
        let asked = self.ask(|mut client| {
            let request = DeclareDeadRequest { broker_id, incarnation: incarnation.to_owned() };
            async move { found(client.declare_dead(self.request(request)).await) }
        });
        asked.await.map(drop)
    }

    /// Forgets a broker that is gone for good. That it is forgotten already is no error.
    pub async fn unregister(&self, broker_id: i32) -> Result<(), CallError> {
        let asked = self.ask(|mut client| async move {
            found(client.unregister_broker(self.request(UnregisterBrokerRequest { broker_id })).await)
        });
        asked.await.map(drop)
    }

    /// A call of this cluster, and of no other that may have got the address meanwhile.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(CALL_TIME_MAX);
        let id = self.last().and_then(|view| view.state.cluster_id.parse().ok());
        id.and_then(|id| request.metadata_mut().insert(CLUSTER_ID, id));
        request
    }

    /// Calls the active controller: the one that is known first, the one that a node names otherwise.
    async fn ask<T, F>(&self, call: impl Fn(AdminClient<Channel>) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let addresses = self.addresses();
        let known = self.last().and_then(|view| view.state.active_controller_id);
        let mut asked = BTreeSet::new();
        let mut said = Vec::new();
        let mut next = known.filter(|id| addresses.contains_key(id));
        while let Some(id) = next.take().or_else(|| unasked(&addresses, &asked)) {
            asked.insert(id);
            let status = match self.client(&addresses[&id]) {
                Ok(client) => match call(client).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) => status,
                },
                Err(status) => status,
            };
            next = named(&status).filter(|id| addresses.contains_key(id) && !asked.contains(id));
            if !may_be_asked_elsewhere(&status) {
                return Err(CallError::Refused(status.message().to_owned()));
            }
            said.push(format!("node {id}: {}", status.message()));
        }
        Err(CallError::Unreachable(match said.is_empty() {
            true => format!("no pod of {} has an address", self.key),
            false => said.join("; "),
        }))
    }
}

fn unasked(addresses: &BTreeMap<i32, String>, asked: &BTreeSet<i32>) -> Option<i32> {
    addresses.keys().copied().find(|id| !asked.contains(id))
}

fn named(status: &Status) -> Option<i32> {
    status.metadata().get(ACTIVE_CONTROLLER)?.to_str().ok()?.parse().ok()
}

/// A refusal of the active controller is final; anything else may be because the node is not that, or is in trouble.
fn may_be_asked_elsewhere(status: &Status) -> bool {
    match status.code() {
        Code::FailedPrecondition => status.metadata().contains_key(ACTIVE_CONTROLLER),
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::OutOfRange => false,
        _ => true,
    }
}

fn found<T: Default>(answer: Result<Response<T>, Status>) -> Result<Response<T>, Status> {
    match answer {
        Err(status) if status.code() == Code::NotFound => Ok(Response::new(T::default())),
        other => other,
    }
}

fn outcome(result: super::proto::Result) -> Result<(), ItemError> {
    match result.error.is_empty() {
        true => Ok(()),
        false => Err(ItemError { code: result.error, message: result.message }),
    }
}
