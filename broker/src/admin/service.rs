//! The calls, each as the request that it is to this node or its controller.

use super::Admin;
use super::answers::{list_max, no_broker, not_active, refused};
use super::proto::reason::Kind;
use super::proto::*;
use super::state::partition_list;
use super::watched::Watched;
use super::{topics, watched_topics};
use crate::controller::ControllerClient;
use crate::controller::image::BrokerRegistration;
use crate::controller::request::{Request, Response};
use crate::controller::restart::{self, View};
// The service has a message of this name too.
use std::result::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Call, Response as Answer, Status};
use tracing::info;

/// How long a question about the newest metadata waits until this node has applied it.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);

pub struct Service {
    pub admin: Admin,
    pub watched: Arc<Watched>,
    pub stopped: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl admin_server::Admin for Service {
    type WatchClusterStream = ReceiverStream<Result<ClusterState, Status>>;
    type WatchTopicsStream = ReceiverStream<Result<TopicChanges, Status>>;

    async fn watch_cluster(&self, call: Call<WatchClusterRequest>) -> Result<Answer<Self::WatchClusterStream>, Status> {
        let list_max = list_max(call.into_inner().list_max)?;
        let (watcher, states) = mpsc::channel(1);
        let tell = self.watched.clone().tell(self.admin.controller.clone(), list_max, watcher.clone());
        Ok(self.until_stopped(tell, watcher, states))
    }

    async fn may_restart(&self, call: Call<MayRestartRequest>) -> Result<Answer<MayRestartResponse>, Status> {
        let MayRestartRequest { node_id, list_max: asked } = call.into_inner();
        let list_max = list_max(asked)?;
        let controller = self.controller();
        let quorum = controller.describe_quorum().await.ok_or_else(|| not_active(controller))?;
        // What is committed and not applied here yet may speak against it.
        let applied = controller.applied(|image| image.applied.end_offset >= quorum.high_watermark);
        let image = tokio::time::timeout(APPLIED_WITHIN, applied).await.map_err(|_| behind())?;
        let (defaults, now) = (self.admin.isr_defaults, controller.clock().now());
        let voters: Vec<String> = quorum.voters.iter().map(|voter| voter.key.id.to_string()).collect();
        let found = tokio::task::spawn_blocking(move || {
            let view = View { image: &image, defaults, quorum: &quorum, now };
            view.reasons_against_restart(node_id, list_max).ok_or_else(|| no_broker(node_id, &image))
        });
        let reasons = found
            .await
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|status| Status::not_found(format!("{}; voters: {}", status.message(), voters.join(", "))))?;
        let reasons: Vec<Reason> = reasons.iter().map(reason).collect();
        Ok(Answer::new(MayRestartResponse { may_restart: reasons.is_empty(), reasons }))
    }

    async fn drain_leaders(&self, call: Call<DrainLeadersRequest>) -> Result<Answer<DrainLeadersResponse>, Status> {
        let DrainLeadersRequest { broker_id: broker, drained } = call.into_inner();
        self.broker(broker)?;
        info!(broker, drained, "asked to move leaders");
        match self.decide(Request::DrainLeaders { broker, drained }).await? {
            Response::DrainLeaders(Ok(leads)) => Ok(Answer::new(DrainLeadersResponse { leads: leads as u64 })),
            Response::DrainLeaders(Err(refusal)) => Err(refused(self.controller(), &refusal)),
            other => unreachable!("the controller answered {other:?}"),
        }
    }

    async fn declare_dead(&self, call: Call<DeclareDeadRequest>) -> Result<Answer<DeclareDeadResponse>, Status> {
        let DeclareDeadRequest { broker_id: id, incarnation } = call.into_inner();
        let broker = self.broker(id)?;
        let registered = broker.incarnation.to_string();
        if incarnation != registered {
            let text =
                format!("broker {id} is not registered with the incarnation '{incarnation}' but with {registered}");
            return Err(Status::not_found(text));
        }
        info!(broker = id, incarnation, "declared dead");
        match self.decide(Request::BrokerLost { id, epoch: broker.epoch }).await? {
            Response::BrokerLost(Ok(())) => Ok(Answer::new(DeclareDeadResponse {})),
            Response::BrokerLost(Err(refusal)) => Err(refused(self.controller(), &refusal)),
            other => unreachable!("the controller answered {other:?}"),
        }
    }

    async fn unregister_broker(
        &self,
        call: Call<UnregisterBrokerRequest>,
    ) -> Result<Answer<UnregisterBrokerResponse>, Status> {
        let id = call.into_inner().broker_id;
        let broker = self.broker(id)?;
        if !broker.fenced {
            let text = format!("broker {id} is not fenced: stop it, or declare it dead, before it is unregistered");
            return Err(Status::failed_precondition(text));
        }
        info!(broker = id, "asked to unregister a broker");
        match self.decide(Request::UnregisterBroker { id }).await? {
            Response::UnregisterBroker(Ok(())) => Ok(Answer::new(UnregisterBrokerResponse {})),
            Response::UnregisterBroker(Err(refusal)) => Err(refused(self.controller(), &refusal)),
            other => unreachable!("the controller answered {other:?}"),
        }
    }

    async fn shut_down(&self, call: Call<ShutDownRequest>) -> Result<Answer<ShutDownResponse>, Status> {
        let (asked, own) = (call.into_inner().node_id, self.controller().node_id());
        if asked != own {
            return Err(Status::invalid_argument(format!("this is node {own}, not node {asked}")));
        }
        info!("asked to stop");
        self.admin.shut_down.notify_one();
        Ok(Answer::new(ShutDownResponse {}))
    }

    async fn watch_topics(&self, _: Call<WatchTopicsRequest>) -> Result<Answer<Self::WatchTopicsStream>, Status> {
        let (watcher, changes) = mpsc::channel(1);
        let tell = watched_topics::tell(self.admin.controller.clone(), watcher.clone());
        Ok(self.until_stopped(tell, watcher, changes))
    }

    async fn create_topics(&self, call: Call<CreateTopicsRequest>) -> Result<Answer<Results>, Status> {
        topics::create(self.controller(), call.into_inner()).await.map(Answer::new)
    }

    async fn add_partitions(&self, call: Call<AddPartitionsRequest>) -> Result<Answer<Results>, Status> {
        topics::add_partitions(self.controller(), call.into_inner()).await.map(Answer::new)
    }

    async fn delete_topics(&self, call: Call<DeleteTopicsRequest>) -> Result<Answer<Results>, Status> {
        topics::delete(self.controller(), call.into_inner()).await.map(Answer::new)
    }

    async fn alter_configs(&self, call: Call<AlterConfigsRequest>) -> Result<Answer<Results>, Status> {
        topics::alter_configs(self.controller(), call.into_inner()).await.map(Answer::new)
    }

    async fn reassign_partitions(&self, call: Call<ReassignPartitionsRequest>) -> Result<Answer<Results>, Status> {
        topics::reassign(self.controller(), call.into_inner()).await.map(Answer::new)
    }

    async fn elect_preferred_leaders(
        &self,
        call: Call<ElectPreferredLeadersRequest>,
    ) -> Result<Answer<Results>, Status> {
        topics::elect(self.controller(), call.into_inner()).await.map(Answer::new)
    }
}

impl Service {
    fn controller(&self) -> &ControllerClient {
        &self.admin.controller
    }

    /// The stream of what `tell` tells `watcher`, until it ends or this node stops.
    fn until_stopped<T: Send + 'static>(
        &self,
        tell: impl Future<Output = ()> + Send + 'static,
        watcher: mpsc::Sender<Result<T, Status>>,
        told: mpsc::Receiver<Result<T, Status>>,
    ) -> Answer<ReceiverStream<Result<T, Status>>> {
        let stopped = super::ready(self.stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = tell => {}
                () = stopped => drop(watcher.send(Err(Status::unavailable("this node stops"))).await),
            }
        });
        Answer::new(ReceiverStream::new(told))
    }

    /// A broker as the active controller knows it. Errors: this node is not that; there is no such broker.
    fn broker(&self, id: i32) -> Result<Arc<BrokerRegistration>, Status> {
        if !self.controller().leads() {
            return Err(not_active(self.controller()));
        }
        let image = self.controller().image();
        image.brokers.get(&id).cloned().ok_or_else(|| no_broker(id, &image))
    }

    async fn decide(&self, request: Request) -> Result<Response, Status> {
        self.controller().decide(request).await.map_err(|refusal| refused(self.controller(), &refusal))
    }
}

fn behind() -> Status {
    Status::unavailable("this node has not applied all of the metadata yet; ask again")
}

fn reason(reason: &restart::Reason) -> Reason {
    let kind = match reason {
        restart::Reason::LastInSync(_) => Kind::LastInSyncReplica,
        restart::Reason::BelowMinIsr(_) => Kind::BelowMinIsr,
        restart::Reason::NoMajority { .. } => Kind::QuorumMajority,
    };
    Reason {
        kind: kind.into(),
        text: reason.to_string(),
        may_pass: reason.may_pass(),
        partitions: reason.partitions().map(|at_fault| partition_list(at_fault.count, at_fault.first.iter())),
    }
}
