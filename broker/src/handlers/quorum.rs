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
use crate::telemetry::RateLimited;
use tracing::warn;

pub async fn vote<'a>(
    controller: &'a ControllerClient,
    faults: &RateLimited,
    request: VoteRequest<'_>,
) -> VoteResponse<'a> {
    let asked = wire::read_vote(controller.border(), &request).map(Request::Vote);
    wire::vote_response(controller.border(), &ask(controller, faults, asked).await.response)
}

pub async fn begin_epoch<'a>(
    controller: &'a ControllerClient,
    faults: &RateLimited,
    request: BeginQuorumEpochRequest<'_>,
) -> BeginQuorumEpochResponse<'a> {
    let asked = wire::read_begin_quorum_epoch(controller.border(), &request).map(Request::BeginQuorumEpoch);
    wire::begin_quorum_epoch_response(controller.border(), &ask(controller, faults, asked).await.response)
}

pub async fn end_epoch<'a>(
    controller: &'a ControllerClient,
    faults: &RateLimited,
    request: EndQuorumEpochRequest<'_>,
) -> EndQuorumEpochResponse<'a> {
    let asked = wire::read_end_quorum_epoch(controller.border(), &request).map(Request::EndQuorumEpoch);
    wire::end_quorum_epoch_response(controller.border(), &ask(controller, faults, asked).await.response)
}

pub async fn fetch<'a>(
    controller: &'a ControllerClient,
    faults: &RateLimited,
    request: FetchRequest<'_>,
) -> FetchResponse<'a> {
    let asked = wire::read_fetch(controller.border(), &request).map(Request::Fetch);
    let QuorumAnswer { response, records } = ask(controller, faults, asked).await;
    wire::fetch_response(controller.border(), &response, Records::Inline(records.into()))
}

pub async fn fetch_snapshot<'a>(
    controller: &'a ControllerClient,
    faults: &RateLimited,
    request: FetchSnapshotRequest<'_>,
) -> FetchSnapshotResponse<'a> {
    let asked = wire::read_fetch_snapshot(controller.border(), &request).map(Request::FetchSnapshot);
    wire::fetch_snapshot_response(controller.border(), ask(controller, faults, asked).await.response)
}

pub async fn describe<'a>(
    controller: &'a ControllerClient,
    request: DescribeQuorumRequest<'_>,
) -> DescribeQuorumResponse<'a> {
    wire::describe_quorum_response(controller.border(), &request, controller.describe_quorum().await.as_ref())
}

async fn ask(controller: &ControllerClient, faults: &RateLimited, asked: Result<Request, Refusal>) -> QuorumAnswer {
    let refused = |refusal| {
        let response = Response { leader: controller.leader(), body: Err(refusal) };
        QuorumAnswer { response, records: Vec::new() }
    };
    match asked {
        // A node that stops leads nothing.
        Ok(request) => controller.quorum(request).await.unwrap_or_else(|| refused(Refusal::NotLeader)),
        Err(refusal) => {
            // A mistake in somebody's configuration: one line here, as there is one on the other side.
            if matches!(refusal, Refusal::InconsistentClusterId | Refusal::InvalidVoterKey) {
                let (id, cluster) = (controller.node_id(), controller.cluster_id());
                faults.warn(|left_out| {
                    warn!(%refusal, left_out, "a request of another node is refused by this one, node.id {id} of cluster.id {cluster}");
                });
            }
            refused(refusal)
        }
    }
}
