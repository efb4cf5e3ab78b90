//! Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch of the metadata log, FetchSnapshot, DescribeQuorum: what nodes of the
//! quorum say to one another (KIP-595, KIP-630, KIP-836), handed to the raft node and back.
//!
//! Behaviour: what is wrong in a request for itself is refused here; the rest is the node's to say. Fetch waits there
//! until there is something new.
//! Version notes: see `raft::wire`.

use crate::controller::ControllerClient;
use crate::controller::driver::QuorumAnswer;
use crate::protocol::codec::Records;
use crate::protocol::messages::begin_quorum_epoch::*;
use crate::protocol::messages::describe_quorum::{DescribeQuorumRequest, DescribeQuorumResponse};
use crate::protocol::messages::end_quorum_epoch::*;
use crate::protocol::messages::fetch::{FetchRequest, FetchResponse};
use crate::protocol::messages::fetch_snapshot::{FetchSnapshotRequest, FetchSnapshotResponse};
use crate::protocol::messages::vote::{VoteRequest, VoteResponse};
use crate::raft::{Refusal, Request, Response, wire};
use crate::telemetry::RateLimitedByPeer;
use std::net::SocketAddr;
use tracing::warn;

/// Where to say what is wrong with the node that asks.
#[derive(Clone, Copy)]
pub struct Faults<'a> {
    pub lines: &'a RateLimitedByPeer,
    pub address: SocketAddr,
}

/// A request that is read, asked of the node, and answered: the same for all that carry nothing but their epoch.
macro_rules! asked_of_the_node {
    ($($handler:ident: $request:ident, $read:path => $variant:ident, $write:path => $response:ident;)*) => {$(
        pub async fn $handler<'a>(
            controller: &'a ControllerClient,
            faults: Faults<'_>,
            request: $request<'_>,
        ) -> $response<'a> {
            let asked = $read(controller.border(), &request).map(Request::$variant);
            let answer = ask(controller, faults, request.cluster_id.as_deref(), asked).await;
            $write(controller.border(), &answer.response)
        }
    )*};
}

asked_of_the_node! {
    vote: VoteRequest, wire::read_vote => Vote, wire::vote_response => VoteResponse;
    begin_epoch: BeginQuorumEpochRequest, wire::read_begin_quorum_epoch => BeginQuorumEpoch,
        wire::begin_quorum_epoch_response => BeginQuorumEpochResponse;
    end_epoch: EndQuorumEpochRequest, wire::read_end_quorum_epoch => EndQuorumEpoch,
        wire::end_quorum_epoch_response => EndQuorumEpochResponse;
}

pub async fn fetch<'a>(
    controller: &'a ControllerClient,
    faults: Faults<'_>,
    request: FetchRequest<'_>,
) -> FetchResponse<'a> {
    let asked = wire::read_fetch(controller.border(), &request).map(Request::Fetch);
    let QuorumAnswer { response, records } = ask(controller, faults, request.cluster_id.as_deref(), asked).await;
    wire::fetch_response(controller.border(), &response, Records::Inline(records.into()))
}

pub async fn fetch_snapshot<'a>(
    controller: &'a ControllerClient,
    faults: Faults<'_>,
    request: FetchSnapshotRequest<'_>,
) -> FetchSnapshotResponse<'a> {
    let asked = wire::read_fetch_snapshot(controller.border(), &request).map(Request::FetchSnapshot);
    let answer = ask(controller, faults, request.cluster_id.as_deref(), asked).await;
    wire::fetch_snapshot_response(controller.border(), answer.response)
}

pub async fn describe<'a>(
    controller: &'a ControllerClient,
    request: DescribeQuorumRequest<'_>,
) -> DescribeQuorumResponse<'a> {
    wire::describe_quorum_response(controller.border(), &request, controller.describe_quorum().await.as_ref())
}

async fn ask(
    controller: &ControllerClient,
    faults: Faults<'_>,
    cluster_id: Option<&str>,
    asked: Result<Request, Refusal>,
) -> QuorumAnswer {
    let refused = |refusal| {
        let response = Response { leader: controller.leader(), body: Err(refusal) };
        QuorumAnswer { response, records: Vec::new() }
    };
    match asked {
        // A node that stops leads nothing.
        Ok(request) => controller.quorum(request).await.unwrap_or_else(|| refused(Refusal::NotLeader)),
        Err(refusal) => {
            faults.say(controller, cluster_id.unwrap_or_default(), refusal);
            refused(refusal)
        }
    }
}

impl Faults<'_> {
    /// A mistake in somebody's configuration: one line here, as there is one on the other side.
    fn say(self, controller: &ControllerClient, theirs: &str, refusal: Refusal) {
        let Faults { lines, address } = self;
        let (id, ours) = (controller.node_id(), controller.cluster_id());
        match refusal {
            Refusal::InconsistentClusterId => lines.warn(address.ip(), "cluster.id", |left_out| {
                warn!(
                    %address,
                    left_out,
                    "a node of cluster.id {theirs} is refused by this one, node.id {id} of cluster.id {ours}: without cluster.id \
                     a new node's follows from its controller.quorum.voters, so set it, or name the same voters on all nodes"
                );
            }),
            Refusal::InvalidVoterKey => lines.warn(address.ip(), "node.id", |left_out| {
                warn!(%address, %refusal, left_out, "a request of another node is refused by this one, node.id {id} of cluster.id {ours}");
            }),
            _ => {}
        }
    }
}
