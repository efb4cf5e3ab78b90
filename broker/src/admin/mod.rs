//! The Admin service for operators, as `proto/admin.proto` describes it: gRPC on a listener of its own.
//!
//! - Translation only: what is counted is [`controller::health`](crate::controller::health), what has changed
//!   [`controller::delta`](crate::controller::delta), what speaks against a restart
//!   [`controller::restart`](crate::controller::restart), and who decides the active controller.
//! - A watcher that reads slowly misses states and holds up nobody.
//!
//! Deliberately absent: requests handed on to the active controller. Another node says who that is, and an operator, which
//! knows the address of every node, asks there.

mod answers;
mod service;
mod state;
mod topics;
mod watched;
mod watched_topics;

/// What build.rs makes of `proto/admin.proto`. One of its messages is called `Result`: whoever takes in all of them at once and
/// means Rust's has to say so.
#[allow(clippy::all, missing_docs)]
pub mod proto {
    tonic::include_proto!("barnabas.admin.v1");
}

use crate::controller::ControllerClient;
use crate::controller::health::IsrDefaults;
use proto::admin_server::AdminServer;
use service::Service;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};
use tracing::{debug, warn};
use watched::Watched;

/// A request may create ten thousand topics, or move as many partitions.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Requests at the same time on one connection.
const STREAMS_MAX: u32 = 64;
/// A peer that does not answer a ping within this time, sent after as long a silence, is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long a stop waits for answers that are under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// The metadata of a call that says which cluster it is meant for: an address may have become another cluster's.
pub const CLUSTER_ID: &str = "barnabas-cluster-id";

/// Refuses calls that are meant for another cluster than this one.
#[allow(clippy::result_large_err)] // The type is tonic's.
fn meant_for(cluster_id: String) -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |call| match call.metadata().get(CLUSTER_ID) {
        Some(meant) if meant.as_bytes() != cluster_id.as_bytes() => {
            let text = format!("the call is meant for the cluster {meant:?}, and this is a node of {cluster_id}");
            Err(Status::failed_precondition(text))
        }
        _ => Ok(call),
    }
}

/// What the service is made of.
pub struct Admin {
    pub controller: Arc<ControllerClient>,
    pub isr_defaults: IsrDefaults,
    /// Told when somebody asks this node to stop.
    pub shut_down: Arc<Notify>,
}

impl Admin {
    /// Serves until `stopping` is ready, then lets the answers under way end.
    pub async fn serve(self, listener: TcpListener, stopping: impl Future<Output = ()>) {
        let watched = Watched::follow(&self.controller, self.isr_defaults).await;
        let (stop, stopped) = watch::channel(false);
        let meant = meant_for(self.controller.cluster_id().to_owned());
        let service = AdminServer::new(Service { admin: self, watched, stopped: stopped.clone() });
        let service = InterceptedService::new(service.max_decoding_message_size(REQUEST_BYTES_MAX), meant);
        let served = tonic::transport::Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .serve_with_incoming_shutdown(
                service,
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                ready(stopped),
            );
        let mut served = std::pin::pin!(served);
        let ended = tokio::select! {
            ended = &mut served => Some(ended),
            () = stopping => None,
        };
        stop.send_replace(true);
        let ended = match ended {
            Some(ended) => Ok(ended),
            None => tokio::time::timeout(STOP_TIME_MAX, served).await,
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the admin.listener has failed: this node can no longer be administered"),
            Err(_) => debug!("admin connections were cut off at the stop"),
        }
    }
}

/// Ready once the service stops, also when whoever would say so is gone.
async fn ready(mut stopped: watch::Receiver<bool>) {
    stopped.wait_for(|stopped| *stopped).await.ok();
}
