//! What only controllers answer: the quorum's own messages, and those of the brokers to the active controller.
//!
//! Behaviour: a node that is not the active controller says NOT_CONTROLLER, and the broker asks another. What a broker asks
//! is not waited for by what it asks next on the same connection: answers leave in their order, commits are shared.

use super::{Answer, Context, Hangup, Peer, Response, Rooms, Serves, describe_cluster, envelope, now_ms, quorum, read};
use crate::controller::request::{Outcome, Refusal, Request, Response as Decision};
use crate::controller::wire;
use crate::protocol::ApiKey;
use crate::protocol::frame::{RequestFrame, RequestPrefix};
use crate::protocol::messages::broker_registration::BrokerRegistrationRequest;
use std::sync::Arc;
use tracing::warn;

impl Rooms {
    /// The answer to a request of a node; `None` if it is one that clients send too.
    pub(super) async fn answer_node(
        &self,
        peer: &Peer,
        request: &RequestFrame<'_>,
    ) -> Result<Option<Response>, Hangup> {
        let controller = &self.controller;
        let faults = quorum::Faults { lines: &self.node_faults, address: peer.address };
        macro_rules! decided {
            ($asked:expr, $variant:ident) => {
                match $asked {
                    Err(refusal) => Err(refusal),
                    Ok(asked) => match controller.decide(asked).await {
                        Ok(Decision::$variant(outcome)) => outcome,
                        Ok(other) => unreachable!("the controller answered {other:?}"),
                        Err(refusal) => Err(refusal),
                    },
                }
            };
        }
        Ok(Some(match request.api {
            ApiKey::Vote => self.respond(request, &quorum::vote(controller, faults, read(request)?).await),
            ApiKey::BeginQuorumEpoch => {
                self.respond(request, &quorum::begin_epoch(controller, faults, read(request)?).await)
            }
            ApiKey::EndQuorumEpoch => {
                self.respond(request, &quorum::end_epoch(controller, faults, read(request)?).await)
            }
            ApiKey::Fetch => self.respond(request, &quorum::fetch(controller, faults, read(request)?).await),
            ApiKey::FetchSnapshot => {
                self.respond(request, &quorum::fetch_snapshot(controller, faults, read(request)?).await)
            }
            ApiKey::Envelope => self.respond(request, &envelope::handle(self, peer, read(request)?).await),
            ApiKey::BrokerRegistration => {
                let message: BrokerRegistrationRequest<'_> = read(request)?;
                let id = message.broker_id;
                let registration = wire::read_broker_registration(controller.cluster_id(), message);
                let outcome = decided!(registration.map(Request::RegisterBroker), RegisterBroker);
                self.respond(request, &wire::broker_registration_response(&self.say(peer, "broker", id, outcome)))
            }
            ApiKey::ControllerRegistration => {
                let registration = wire::read_controller_registration(read(request)?);
                let id = registration.id;
                let outcome = decided!(Ok(Request::RegisterController(registration)), RegisterController);
                self.respond(
                    request,
                    &wire::controller_registration_response(&self.say(peer, "controller", id, outcome)),
                )
            }
            ApiKey::BrokerHeartbeat => {
                let heartbeat = wire::read_broker_heartbeat(read(request)?);
                let (id, epoch) = (heartbeat.id, heartbeat.epoch);
                let outcome = decided!(Ok(Request::BrokerHeartbeat(heartbeat)), BrokerHeartbeat);
                if let (Ok(_), Some(heard)) = (&outcome, &peer.heard) {
                    self.broker_connections.heard(heard, id, epoch);
                }
                self.respond(request, &wire::broker_heartbeat_response(&outcome))
            }
            ApiKey::AlterPartition => {
                let message = read(request)?;
                let changes = Request::AlterPartition(wire::read_alter_partition(&message));
                let outcome = decided!(Ok(changes), AlterPartition);
                self.respond(request, &wire::alter_partition_response(&message, &outcome))
            }
            ApiKey::AllocateProducerIds => {
                let message: crate::protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest =
                    read(request)?;
                let (broker_id, broker_epoch) = (message.broker_id, message.broker_epoch);
                let asked = Request::AllocateProducerIds { broker_id, broker_epoch };
                let outcome = decided!(Ok(asked), AllocateProducerIds);
                self.respond(request, &wire::allocate_producer_ids_response(&outcome))
            }
            ApiKey::AssignReplicasToDirs => {
                let message = read(request)?;
                let assignments = Request::AssignReplicasToDirs(wire::read_assign_replicas_to_dirs(&message));
                let outcome = decided!(Ok(assignments), AssignReplicasToDirs);
                self.respond(request, &wire::assign_replicas_to_dirs_response(&message, &outcome))
            }
            ApiKey::DescribeCluster => {
                let response = describe_cluster::of_controllers(controller, request.version, &read(request)?);
                self.respond(request, &response)
            }
            _ => return Ok(None),
        }))
    }

    /// A node that is refused is a mistake in somebody's configuration: one line here, as there is one on its side.
    fn say<T>(&self, peer: &Peer, what: &'static str, id: i32, outcome: Outcome<T>) -> Outcome<T> {
        use crate::protocol::ErrorCode::{NotController, StaleBrokerEpoch};
        let expected = |refusal: &Refusal| matches!(refusal.code, NotController | StaleBrokerEpoch);
        if let Some(refusal) = outcome.as_ref().err().filter(|refusal| !expected(refusal)) {
            self.node_faults.warn(peer.address.ip(), what, |left_out| {
                warn!(address = %peer.address, %refusal, left_out, "a {what} of node.id {id} that wants to join is refused");
            });
        }
        outcome
    }

    /// Whether a request may wait for a commit while those behind it on its connection go on.
    pub(super) fn is_answered_later(api: ApiKey) -> bool {
        let of_brokers = [
            ApiKey::Envelope,
            ApiKey::BrokerRegistration,
            ApiKey::AlterPartition,
            ApiKey::AllocateProducerIds,
            ApiKey::AssignReplicasToDirs,
            ApiKey::CreateTopics,
        ];
        of_brokers.contains(&api)
    }

    /// The answer to a request of a broker, while its connection goes on.
    pub(super) fn answer_later(
        self: &Arc<Self>,
        peer: &Peer,
        api: ApiKey,
        prefix: RequestPrefix,
        frame: &[u8],
    ) -> Answer {
        let (rooms, peer, frame) = (self.clone(), peer.clone(), frame.to_vec());
        Answer::Later(Box::pin(async move {
            let answered = async {
                let request = RequestFrame::read(api, prefix, &frame).map_err(Hangup::Header)?;
                let context = Context::of(&peer, &request, now_ms());
                rooms.dispatch(&peer, &request, &context).await
            };
            match answered.await? {
                Answer::Now(response) => Ok(response),
                Answer::Later(response) => response.await,
                Answer::Silence => unreachable!("only Produce is not answered"),
            }
        }))
    }
}

impl Serves {
    /// Whether an API is answered on such a listener.
    pub(super) fn answers(self, api: ApiKey) -> bool {
        match self {
            Serves::Clients => api.on_brokers(),
            Serves::Controllers => api.on_controllers(),
        }
    }

    /// Whether the request in `frame` may be begun while earlier ones of its connection wait for their answers.
    pub fn overlaps(self, frame: &[u8]) -> bool {
        let api = RequestPrefix::read(frame).ok().and_then(|prefix| ApiKey::from_code(prefix.api_key));
        self == Serves::Controllers || matches!(api, Some(ApiKey::Produce | ApiKey::Fetch))
    }
}
