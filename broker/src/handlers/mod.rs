//! The answers to requests: one file for each API, and the one match from API key to handler.
//!
//! A handler is a function `handle(the rooms it needs, &Context, request) -> response`, `async` where it waits. It borrows
//! the request from the connection's buffer and gives a response that is encoded here.
//!
//! - What order depends on is done when [`Rooms::answer`] returns; only a wait for commits is left to [`Answer::Later`].
//! - A request that cannot be decoded ends its connection: nothing behind it in the stream can be trusted.

pub(crate) mod alter_configs;
pub(crate) mod alter_partition_reassignments;
pub(crate) mod api_versions;
pub(crate) mod authorized_operations;
mod broker_connections;
pub(crate) mod controller_id;
mod controllers;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_topic_partitions;
pub(crate) mod elect_leaders;
pub(crate) mod envelope;
pub mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_config_resources;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_partition_reassignments;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod quorum;
pub(crate) mod rooms;
pub(crate) mod sync_group;
pub(crate) mod unregister_broker;
pub(crate) mod update_features;

pub use crate::clock::now_ms;
pub use broker_connections::{BrokerConnections, Heard};
pub use metadata::MetadataSettings;
pub use rooms::{Rooms, Settings};

use crate::log::FileSlice;
use crate::protocol::codec::DecodeError;
use crate::protocol::frame::{RequestFrame, RequestPrefix, ResponseFrame};
use crate::protocol::{ApiKey, Wire};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

/// Topics that only the broker writes to.
pub const INTERNAL_TOPICS: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// The client at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The name of the listener it came in by.
    pub listener: Arc<str>,
    pub serves: Serves,
    /// The broker that says on this connection that it lives; `None` where only clients are heard.
    pub heard: Option<Heard>,
}

/// Whom a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Clients, and brokers that replicate.
    Clients,
    /// The quorum, its brokers, and tools that ask controllers (KIP-919).
    Controllers,
}

/// Whether a topic has a partition, by the newest metadata that this broker knows.
pub type TopicPartitions<'a> = dyn Fn(&str, i32) -> bool + Sync + 'a;

/// Who asks, how, and when.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The request's version: what a handler answers may depend on it.
    pub version: i16,
    pub client_id: &'a str,
    pub client_host: IpAddr,
    /// The name of the listener that the request came in by: clients are told the addresses of the same listener.
    pub listener: &'a str,
    /// Milliseconds since 1970.
    pub now: i64,
    /// Whether another broker has handed the request on.
    pub is_forwarded: bool,
}

impl<'a> Context<'a> {
    fn of(peer: &'a Peer, request: &'a RequestFrame<'_>, now: i64) -> Context<'a> {
        Context {
            version: request.version,
            client_id: request.client_id.as_deref().unwrap_or_default(),
            client_host: peer.address.ip(),
            listener: &peer.listener,
            now,
            is_forwarded: false,
        }
    }
}

/// An encoded response, and the places in files that fill its holes in order.
#[derive(Debug)]
pub struct Response {
    pub frame: ResponseFrame,
    pub slices: Vec<FileSlice>,
}

/// An answer on its way, or why the connection must be closed.
pub type Later = Pin<Box<dyn Future<Output = Result<Response, Hangup>> + Send>>;

/// What becomes of a request.
pub enum Answer {
    Now(Response),
    /// What order depends on is done; the answer waits for a commit.
    Later(Later),
    /// Produce with acks=0 is not answered.
    Silence,
}

/// Why a connection is closed instead of answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hangup {
    #[error("a request of the unknown API {0}")]
    UnknownApi(i16),
    #[error("a {api} request of version {version}, where {low} to {high} are known", api = .api.name())]
    UnknownVersion { api: ApiKey, version: i16, low: i16, high: i16 },
    #[error("bytes that are not a request: {0}")]
    Header(DecodeError),
    #[error("a {api} request of version {version} that cannot be read: {error}", api = .api.name())]
    Body { api: ApiKey, version: i16, error: DecodeError },
    #[error("records that were produced with acks=0 could not be appended")]
    SilentFailure,
}

impl Rooms {
    /// Errors: why the connection must be closed.
    pub async fn answer(self: &Arc<Self>, peer: &Peer, frame: &[u8]) -> Result<Answer, Hangup> {
        let prefix = RequestPrefix::read(frame).map_err(Hangup::Header)?;
        let api = ApiKey::from_code(prefix.api_key).filter(|api| peer.serves.answers(*api));
        let api = api.ok_or(Hangup::UnknownApi(prefix.api_key))?;
        let timer = self.metrics.request(api, frame.len());
        let answer = match self.known(api, prefix)? {
            Some(answer) => answer,
            None if peer.serves == Serves::Controllers && Rooms::is_answered_later(api) => {
                self.answer_later(peer, api, prefix, frame)
            }
            None => {
                let forwarded = self.forwarded(peer, api, frame).await;
                match forwarded {
                    Some(response) => Answer::Now(response),
                    None => {
                        let request = RequestFrame::read(api, prefix, frame).map_err(Hangup::Header)?;
                        self.dispatch(peer, &request, &Context::of(peer, &request, now_ms())).await?
                    }
                }
            }
        };
        timer.answered();
        Ok(answer)
    }

    /// The active controller's answer to a client's request that is for it; `None` if this node answers it itself.
    async fn forwarded(&self, peer: &Peer, api: ApiKey, frame: &[u8]) -> Option<Response> {
        if peer.serves == Serves::Controllers || !api.is_forwarded() || self.controller.leads() {
            return None;
        }
        let answer = Box::pin(self.controller.forward(frame, peer.address.ip())).await?;
        Some(Response { frame: ResponseFrame::of_answer(&answer), slices: Vec::new() })
    }

    /// The answer to an ApiVersions request in an unknown version, which is answered all the same (KIP-511).
    fn known(&self, api: ApiKey, prefix: RequestPrefix) -> Result<Option<Answer>, Hangup> {
        let version = prefix.api_version;
        if api.answers(version) {
            return Ok(None);
        }
        if api == ApiKey::ApiVersions {
            let frame = ResponseFrame::encode(api, 0, prefix.correlation_id, &api_versions::unsupported_version());
            return Ok(Some(Answer::Now(Response { frame, slices: Vec::new() })));
        }
        let (low, high) = api.versions().into_inner();
        Err(Hangup::UnknownVersion { api, version, low, high })
    }

    async fn dispatch(&self, peer: &Peer, request: &RequestFrame<'_>, context: &Context<'_>) -> Result<Answer, Hangup> {
        if peer.serves == Serves::Controllers
            && let Some(response) = Box::pin(self.answer_node(peer, request)).await?
        {
            return Ok(Answer::Now(response));
        }
        let (partitions, controller, groups) = (&self.partitions, &self.controller, &self.groups);
        let exists = |topic: &str, partition: i32| controller.image().topics.partition(topic, partition).is_some();
        // Boxed where a handler waits, so that an idle connection's task does not have room for all of them.
        macro_rules! waits {
            ($handler:expr) => {
                self.respond(request, &Box::pin($handler).await)
            };
        }
        Ok(Answer::Now(match request.api {
            ApiKey::Produce => return self.produce(request, context),
            ApiKey::Fetch => return Box::pin(self.fetch(request, context)).await,
            ApiKey::ListOffsets => self.respond(request, &list_offsets::handle(partitions, context, read(request)?)),
            ApiKey::Metadata => waits!(metadata::handle(controller, &self.settings.metadata, context, read(request)?)),
            ApiKey::OffsetCommit => waits!(offset_commit::handle(groups, &exists, context, read(request)?)),
            ApiKey::OffsetFetch => waits!(offset_fetch::handle(groups, context, read(request)?)),
            ApiKey::FindCoordinator => {
                waits!(find_coordinator::handle(controller, groups, context, read(request)?))
            }
            ApiKey::JoinGroup => waits!(join_group::handle(groups, context, read(request)?)),
            ApiKey::Heartbeat => waits!(heartbeat::handle(groups, context, read(request)?)),
            ApiKey::LeaveGroup => waits!(leave_group::handle(groups, context, read(request)?)),
            ApiKey::SyncGroup => waits!(sync_group::handle(groups, context, read(request)?)),
            ApiKey::DescribeGroups => waits!(describe_groups::handle(groups, context, read(request)?)),
            ApiKey::ListGroups => waits!(list_groups::handle(groups, context, read(request)?)),
            ApiKey::ApiVersions => {
                let (image, answered) = (controller.image(), |api| peer.serves.answers(api));
                self.respond(request, &api_versions::handle(&image, answered, context.version, read(request)?))
            }
            ApiKey::CreateTopics => waits!(create_topics::handle(controller, context, read(request)?)),
            ApiKey::DeleteTopics => waits!(delete_topics::handle(controller, context, read(request)?)),
            ApiKey::DeleteRecords => self.respond(request, &delete_records::handle(partitions, read(request)?)),
            ApiKey::InitProducerId => waits!(init_producer_id::handle(controller, context, read(request)?)),
            ApiKey::OffsetForLeaderEpoch => {
                self.respond(request, &offset_for_leader_epoch::handle(partitions, read(request)?))
            }
            ApiKey::DescribeConfigs => {
                let image = controller.image();
                let broker = describe_configs::Broker { id: self.settings.node_id, settings: &self.settings.config };
                self.respond(request, &describe_configs::handle(&image, broker, read(request)?))
            }
            ApiKey::AlterConfigs => waits!(alter_configs::handle(controller, context, read(request)?)),
            ApiKey::DescribeLogDirs => {
                self.respond(request, &describe_log_dirs::handle(&self.log_dirs, partitions, read(request)?))
            }
            ApiKey::CreatePartitions => waits!(create_partitions::handle(controller, context, read(request)?)),
            ApiKey::DeleteGroups => waits!(delete_groups::handle(groups, context, read(request)?)),
            ApiKey::IncrementalAlterConfigs => {
                waits!(incremental_alter_configs::handle(controller, context, read(request)?))
            }
            ApiKey::OffsetDelete => waits!(offset_delete::handle(groups, &exists, context, read(request)?)),
            ApiKey::DescribeCluster => {
                let image = controller.image();
                let response = describe_cluster::of_brokers(&image, controller.cluster_id(), context, &read(request)?);
                self.respond(request, &response)
            }
            ApiKey::DescribeProducers => self.respond(request, &describe_producers::handle(partitions, read(request)?)),
            ApiKey::ListConfigResources => {
                let image = controller.image();
                self.respond(request, &list_config_resources::handle(&image, context, read(request)?))
            }
            ApiKey::DescribeTopicPartitions => {
                waits!(describe_topic_partitions::handle(controller, context, read(request)?))
            }
            ApiKey::DescribeQuorum => waits!(quorum::describe(controller, read(request)?)),
            ApiKey::ElectLeaders => waits!(elect_leaders::handle(controller, context, read(request)?)),
            ApiKey::AlterPartitionReassignments => {
                waits!(alter_partition_reassignments::handle(controller, context, read(request)?))
            }
            ApiKey::ListPartitionReassignments => {
                self.respond(request, &list_partition_reassignments::handle(&controller.image(), read(request)?))
            }
            ApiKey::UpdateFeatures => waits!(update_features::handle(controller, context, read(request)?)),
            ApiKey::UnregisterBroker => waits!(unregister_broker::handle(controller, context, read(request)?)),
            ApiKey::Vote
            | ApiKey::BeginQuorumEpoch
            | ApiKey::EndQuorumEpoch
            | ApiKey::AlterPartition
            | ApiKey::Envelope
            | ApiKey::FetchSnapshot
            | ApiKey::BrokerRegistration
            | ApiKey::BrokerHeartbeat
            | ApiKey::AllocateProducerIds
            | ApiKey::ControllerRegistration
            | ApiKey::AssignReplicasToDirs => return Err(Hangup::UnknownApi(request.api.code())),
        }))
    }

    fn produce(&self, request: &RequestFrame<'_>, context: &Context<'_>) -> Result<Answer, Hangup> {
        let message: crate::protocol::messages::produce::ProduceRequest<'_> = read(request)?;
        let silent = message.acks == 0;
        let mut volume = produce::Volume::default();
        let produced = produce::handle(&self.partitions, context, message, &mut volume);
        self.metrics.produced(volume.records, volume.bytes);
        if let Some((topic, reason)) = produced.storage_failure() {
            self.storage_faults
                .warn(|left_out| tracing::error!(topic, reason, left_out, "records could not be stored"));
        }
        if silent {
            return if produced.has_error() { Err(Hangup::SilentFailure) } else { Ok(Answer::Silence) };
        }
        if produced.is_committed() {
            return Ok(Answer::Now(self.respond(request, &produced.response)));
        }
        let (api, version, correlation_id) = (request.api, request.version, request.correlation_id);
        let (produced, metrics) = (produced.into_owned(), self.metrics.clone());
        Ok(Answer::Later(Box::pin(async move {
            let frame = ResponseFrame::encode(api, version, correlation_id, &produced.committed().await);
            metrics.errors(api, &frame.errors);
            Ok(Response { frame, slices: Vec::new() })
        })))
    }

    async fn fetch(&self, request: &RequestFrame<'_>, context: &Context<'_>) -> Result<Answer, Hangup> {
        let (partitions, sessions) = (&self.partitions, &self.fetch_sessions);
        let bytes_max = self.settings.fetch_bytes_max;
        let fetch = match fetch::Fetch::begin(partitions, sessions, bytes_max, context, &read(request)?) {
            Ok(fetch) => fetch,
            Err(code) => return Ok(Answer::Now(self.respond(request, &fetch::Fetched::refused(code).response))),
        };
        let is_followers = fetch.is_followers();
        let fetched = match fetch.at_once() {
            Some(fetched) => fetched,
            None if is_followers => return Ok(self.fetch_later(request, fetch)),
            None => Box::pin(fetch.wait()).await,
        };
        let mut response = self.respond(request, &fetched.response);
        response.slices = fetched.slices;
        if !is_followers {
            self.metrics.fetched(fetched.records, response.slices.iter().map(|slice| slice.length as u64).sum());
        }
        Ok(Answer::Now(response))
    }

    fn fetch_later(&self, request: &RequestFrame<'_>, fetch: fetch::Fetch) -> Answer {
        let (api, version, correlation_id) = (request.api, request.version, request.correlation_id);
        let metrics = self.metrics.clone();
        Answer::Later(Box::pin(async move {
            let fetched = fetch.wait().await;
            let frame = ResponseFrame::encode(api, version, correlation_id, &fetched.response);
            metrics.errors(api, &frame.errors);
            Ok(Response { frame, slices: fetched.slices })
        }))
    }

    fn respond<'m>(&self, request: &RequestFrame<'_>, message: &impl Wire<'m>) -> Response {
        let frame = ResponseFrame::encode(request.api, request.version, request.correlation_id, message);
        self.metrics.errors(request.api, &frame.errors);
        Response { frame, slices: Vec::new() }
    }
}

fn read<'a, T: Wire<'a>>(request: &RequestFrame<'a>) -> Result<T, Hangup> {
    request.message().map_err(|error| Hangup::Body { api: request.api, version: request.version, error })
}
