//! The connections of this node to the others of the quorum.
//!
//! Fetch has one of its own: a leader may hold its answer, and a vote must not wait behind it. Whatever goes wrong is
//! told to the raft node at once: a connection that breaks is a suspicion.

use super::Work;
use crate::network::client::{CallError, Client};
use crate::protocol::ApiKey;
use crate::raft::wire::{self, Address, Border};
use crate::raft::{Correlation, ReplicaId, ReplicaKey, Request, Response};
use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::mpsc as tasks;

pub struct Links {
    border: Arc<Border>,
    work: mpsc::Sender<Work>,
    timeout: Duration,
    runtime: tokio::runtime::Handle,
    links: HashMap<(ReplicaId, bool), tasks::UnboundedSender<(Correlation, Request)>>,
}

impl Links {
    pub fn new(border: Arc<Border>, work: mpsc::Sender<Work>, timeout_ms: i64) -> Links {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        let runtime = tokio::runtime::Handle::current();
        Links { border, work, timeout, runtime, links: HashMap::new() }
    }

    /// Sends a request; its fate comes as [`Work::Replied`].
    pub fn send(&mut self, to: ReplicaId, correlation: Correlation, request: Request) {
        let fetches = matches!(request, Request::Fetch(_) | Request::FetchSnapshot(_));
        let link = self.links.entry((to, fetches)).or_insert_with(|| {
            let (requests, queue) = tasks::unbounded_channel();
            let link = Link { to, border: self.border.clone(), work: self.work.clone(), timeout: self.timeout };
            self.runtime.spawn(Arc::new(link).run(queue));
            requests
        });
        link.send((correlation, request)).ok();
    }
}

struct Link {
    to: ReplicaId,
    border: Arc<Border>,
    work: mpsc::Sender<Work>,
    timeout: Duration,
}

impl Link {
    async fn run(self: Arc<Self>, mut queue: tasks::UnboundedReceiver<(Correlation, Request)>) {
        let mut client: Option<Arc<Client>> = None;
        while let Some((correlation, request)) = queue.recv().await {
            if client.as_ref().is_none_or(|client| client.is_closed()) {
                client = self.connect().await.map(Arc::new);
            }
            let (link, client) = (self.clone(), client.clone());
            tokio::spawn(async move {
                let reply = match &client {
                    Some(client) => link.ask(client, &request).await,
                    None => None,
                };
                link.work.send(Work::Replied { from: link.to, correlation, reply }).ok();
            });
        }
    }

    async fn connect(&self) -> Option<Client> {
        let Address { host, port } = self.border.voters.get(&self.to)?;
        let client_id = format!("raft-client-{}", self.border.local.id);
        let connected = Client::connect(host, *port, &client_id, self.timeout).await;
        connected.inspect_err(|error| tracing::debug!(node = self.to.0, %error, "no connection to a controller")).ok()
    }

    async fn ask(&self, client: &Client, request: &Request) -> Option<Response> {
        let asked = self.exchange(client, request);
        let reply = tokio::time::timeout(self.timeout, asked).await;
        match reply.unwrap_or(Err(CallError::TimedOut(self.timeout))) {
            Ok(response) => Some(response),
            Err(error) => {
                tracing::debug!(node = self.to.0, %error, "no answer from a controller");
                client.close();
                None
            }
        }
    }

    async fn exchange(&self, client: &Client, request: &Request) -> Result<Response, CallError> {
        let (border, to) = (&*self.border, ReplicaKey::of(self.to));
        macro_rules! exchange {
            ($api:ident, $message:expr, $read:path) => {{
                let reply = client.call(ApiKey::$api, &$message).await?;
                $read(&reply.message()?).map_err(|malformed| CallError::Io(std::io::Error::other(malformed)))
            }};
        }
        match request {
            Request::Vote(vote) => exchange!(Vote, wire::vote_request(border, to, vote), wire::read_vote_response),
            Request::BeginQuorumEpoch(begin) => exchange!(
                BeginQuorumEpoch,
                wire::begin_quorum_epoch_request(border, to, begin),
                wire::read_begin_quorum_epoch_response
            ),
            Request::EndQuorumEpoch(end) => exchange!(
                EndQuorumEpoch,
                wire::end_quorum_epoch_request(border, end),
                wire::read_end_quorum_epoch_response
            ),
            Request::Fetch(fetch) => exchange!(Fetch, wire::fetch_request(border, fetch), wire::read_fetch_response),
            Request::FetchSnapshot(fetch) => exchange!(
                FetchSnapshot,
                wire::fetch_snapshot_request(border, fetch),
                wire::read_fetch_snapshot_response
            ),
        }
    }
}
