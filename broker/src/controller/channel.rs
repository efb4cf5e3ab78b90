//! The connection of this broker to the active controller, on another node.
//!
//! Whoever asks names the leader it believes in: one connection is kept, to the last of them. A connection that fails is
//! given up; the next question makes a new one.

use super::request::{CreatedTopic, Outcome, Refusal, Request, Response};
use super::wire;
use crate::network::client::{CallError, Client};
use crate::protocol::messages::envelope::{EnvelopeRequest, EnvelopeResponse};
use crate::protocol::{ApiKey, ErrorCode};
use crate::raft::ReplicaId;
use crate::raft::wire::{Address, Border};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take: a big change may wait for disks. A heartbeat is not worth waiting for so long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the controller may take to create topics, in milliseconds.
const CREATE_TIMEOUT_MS: i32 = 10_000;

pub(super) struct Channel {
    border: Arc<Border>,
    client_id: String,
    /// For what may wait for a commit.
    requests: Slot,
    /// For heartbeats, which wait for nothing. That it closes tells the controller that this process has ended.
    heartbeats: Slot,
    /// Connections that heartbeats were given up on: open until one is heard on another, or the controller, when it gets
    /// around to it, would see the end of this process in theirs.
    retired: Mutex<Vec<Arc<Client>>>,
}

type Slot = tokio::sync::Mutex<Option<(ReplicaId, Arc<Client>)>>;

impl Channel {
    pub fn new(border: Arc<Border>, client_id: String) -> Channel {
        Channel { border, client_id, requests: Slot::default(), heartbeats: Slot::default(), retired: Mutex::default() }
    }

    /// Whether a request goes to another node as a message of its own; all others arrive there as clients sent them.
    pub fn carries(request: &Request) -> bool {
        matches!(
            request,
            Request::RegisterBroker(_)
                | Request::BrokerHeartbeat(_)
                | Request::RegisterController(_)
                | Request::AlterPartition(_)
                | Request::AllocateProducerIds { .. }
                | Request::AssignReplicasToDirs(_)
                | Request::CreateTopics(_)
        )
    }

    /// Errors: the controller's; `NotController` where it cannot be reached.
    pub async fn ask(&self, leader: ReplicaId, request: &Request) -> Result<Response, Refusal> {
        let (slot, timeout) = match request {
            Request::BrokerHeartbeat(_) => (&self.heartbeats, HEARTBEAT_TIMEOUT),
            _ => (&self.requests, ANSWER_TIMEOUT),
        };
        let asked = self.with_client(slot, leader, timeout, async |client| {
            exchange(client, &self.border.cluster_id, request).await
        });
        asked.await.unwrap_or_else(|error| Err(unreachable(leader, &error)))
    }

    /// Errors: the controller cannot be reached, or takes no envelope from here.
    pub async fn forward(&self, leader: ReplicaId, frame: &[u8], client: IpAddr) -> Result<Vec<u8>, CallError> {
        let address = match client {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let envelope = EnvelopeRequest {
            request_data: frame.into(),
            request_principal: None,
            client_host_address: address.into(),
        };
        self.with_client(&self.requests, leader, ANSWER_TIMEOUT, async |client| {
            let reply = client.call(ApiKey::Envelope, &envelope).await?;
            let response: EnvelopeResponse<'_> = reply.message()?;
            match (response.error_code, response.response_data) {
                (0, Some(answer)) => Ok(answer.to_vec()),
                (code, _) => Err(CallError::Io(std::io::Error::other(format!("error code {code}")))),
            }
        })
        .await
    }

    async fn with_client<T>(
        &self,
        slot: &Slot,
        leader: ReplicaId,
        timeout: Duration,
        call: impl AsyncFnOnce(&Client) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let client = self.client(slot, leader).await?;
        let called = tokio::time::timeout(timeout, call(&client)).await.unwrap_or(Err(CallError::TimedOut(timeout)));
        let is_heartbeat = std::ptr::eq(slot, &self.heartbeats);
        match &called {
            Err(CallError::TimedOut(_)) if is_heartbeat => {
                let given_up = slot.lock().await.take_if(|(_, kept)| Arc::ptr_eq(kept, &client));
                self.retire(given_up.map(|(_, client)| client));
            }
            Err(CallError::TimedOut(_)) => client.close(),
            Ok(_) if is_heartbeat => self.retired.lock().expect("no panic while held").clear(),
            _ => {}
        }
        called
    }

    fn retire(&self, client: Option<Arc<Client>>) {
        self.retired.lock().expect("no panic while held").extend(client);
    }

    async fn client(&self, slot: &Slot, leader: ReplicaId) -> Result<Arc<Client>, CallError> {
        let mut kept = slot.lock().await;
        if let Some((to, client)) = &*kept
            && *to == leader
            && !client.is_closed()
        {
            return Ok(client.clone());
        }
        *kept = None;
        let unknown =
            || CallError::Io(std::io::Error::other(format!("node {leader} is not in controller.quorum.voters")));
        let Address { host, port } = self.border.voters.get(&leader).ok_or_else(unknown)?;
        let client = Arc::new(Client::connect(host, *port, &self.client_id, CONNECT_TIMEOUT).await?);
        *kept = Some((leader, client.clone()));
        Ok(client)
    }
}

/// Asks the controller at the other end of `client`.
/// Errors: the connection's; inside, `NotController` where the node is not the active controller, or carries no such request.
async fn exchange(client: &Client, cluster_id: &str, request: &Request) -> Result<Outcome<Response>, CallError> {
    macro_rules! exchange {
        ($api:ident, $message:expr, |$answer:ident| $read:expr) => {{
            let reply = client.call(ApiKey::$api, &$message).await?;
            let $answer = reply.message()?;
            if_active($read).map(Response::$api)
        }};
        ($api:ident as $variant:ident, $message:expr, |$answer:ident| $read:expr) => {{
            let reply = client.call(ApiKey::$api, &$message).await?;
            let $answer = reply.message()?;
            if_active($read).map(Response::$variant)
        }};
    }
    Ok(match request {
        Request::RegisterBroker(broker) => exchange!(
            BrokerRegistration as RegisterBroker,
            wire::broker_registration_request(cluster_id, broker),
            |answer| wire::read_broker_registration_response(&answer)
        ),
        Request::RegisterController(controller) => exchange!(
            ControllerRegistration as RegisterController,
            wire::controller_registration_request(controller),
            |answer| wire::read_controller_registration_response(&answer)
        ),
        Request::BrokerHeartbeat(heartbeat) => {
            exchange!(BrokerHeartbeat, wire::broker_heartbeat_request(heartbeat), |answer| {
                wire::read_broker_heartbeat_response(&answer)
            })
        }
        Request::AlterPartition(changes) => {
            exchange!(AlterPartition, wire::alter_partition_request(changes), |answer| {
                wire::read_alter_partition_response(changes, &answer)
            })
        }
        Request::AllocateProducerIds { broker_id, broker_epoch } => {
            exchange!(AllocateProducerIds, wire::allocate_producer_ids_request(*broker_id, *broker_epoch), |answer| {
                wire::read_allocate_producer_ids_response(&answer)
            })
        }
        Request::AssignReplicasToDirs(assignments) => {
            exchange!(AssignReplicasToDirs, wire::assign_replicas_to_dirs_request(assignments), |answer| {
                wire::read_assign_replicas_to_dirs_response(assignments, &answer)
            })
        }
        Request::CreateTopics(topics) => {
            let message = wire::create_topics_request(topics, CREATE_TIMEOUT_MS);
            let reply = client.call(ApiKey::CreateTopics, &message).await?;
            let outcomes = wire::read_create_topics_response(topics, &reply.message()?);
            let inactive = |outcome: &Outcome<CreatedTopic>| {
                outcome.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::NotController)
            };
            match outcomes.iter().any(inactive) {
                true => Err(ErrorCode::NotController.into()),
                false => Ok(Response::CreateTopics(outcomes)),
            }
        }
        _ => Err(ErrorCode::NotController.into()),
    })
}

/// Whoever is not the active controller refuses a request as a whole; any other refusal is the controller's answer.
fn if_active<T>(outcome: Outcome<T>) -> Outcome<Outcome<T>> {
    match outcome {
        Err(refusal) if refusal.code == ErrorCode::NotController => Err(refusal),
        outcome => Ok(outcome),
    }
}

fn unreachable(leader: ReplicaId, error: &CallError) -> Refusal {
    Refusal::new(ErrorCode::NotController, format!("The controller {leader} cannot be reached: {error}."))
}
