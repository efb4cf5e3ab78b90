//! Single questions to single brokers, in Kafka's protocol: what clients libraries hide, such as which broker says it.
//!
//! Encoded by the crate `kafka-protocol`, not by the codec under test.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{DescribeQuorumRequest, MetadataRequest, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer};

/// A broker that says nothing for so long is no answer: it may be frozen or cut off.
const LIMIT: Duration = Duration::from_secs(5);
const CORRELATION_ID: i32 = 7;

/// What one broker says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// -1: none.
    pub leader: i32,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
}

/// What one broker says of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The brokers that are not fenced.
    pub brokers: Vec<i32>,
    pub partitions: BTreeMap<i32, Partition>,
}

/// The active controller as one node knows it, and the epoch it was elected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActiveController {
    pub epoch: i32,
    pub id: i32,
}

/// What the broker at `address` says of the cluster and of one topic, which may be unknown to it.
pub fn metadata(address: SocketAddr, topic: &str) -> Result<Metadata> {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    let response = call(address, &request, 12)?;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| {
        let ids = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect();
        let described = Partition {
            leader: partition.leader_id.0,
            leader_epoch: partition.leader_epoch,
            replicas: ids(&partition.replica_nodes),
            isr: ids(&partition.isr_nodes),
        };
        (partition.partition_index, described)
    });
    Ok(Metadata {
        brokers: response.brokers.iter().map(|broker| broker.node_id.0).collect(),
        partitions: partitions.collect(),
    })
}

/// The active controller. Errors: the node knows none.
pub fn active_controller(address: SocketAddr) -> Result<ActiveController> {
    let topic = TopicData::default().with_topic_name(name("__cluster_metadata"));
    let request =
        DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![PartitionData::default()])]);
    let response = call(address, &request, 0)?;
    ensure!(response.error_code == 0, "DescribeQuorum answered error code {}", response.error_code);
    let partition = response.topics.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
    ensure!(partition.error_code == 0, "DescribeQuorum answered error code {} for it", partition.error_code);
    ensure!(partition.leader_id.0 >= 0, "there is no leader");
    Ok(ActiveController { epoch: partition.leader_epoch, id: partition.leader_id.0 })
}

/// The broker that coordinates a group. Errors: none does yet.
pub fn group_coordinator(address: SocketAddr, group: &str) -> Result<i32> {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
    let response = call(address, &request, 3)?;
    ensure!(response.error_code == 0, "FindCoordinator answered error code {}", response.error_code);
    Ok(response.node_id.0)
}

/// A topic's name as requests have it.
pub fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// Sends one request on a connection of its own. Errors: no connection, or no proper answer within [`LIMIT`].
pub fn call<R: Request>(address: SocketAddr, request: &R, version: i16) -> Result<R::Response> {
    let mut connection = Connection::open(address, LIMIT)?;
    connection.send(request, version)?;
    connection.receive::<R>(version)
}

/// A connection on which requests may follow one another without waiting for answers.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(address: SocketAddr, limit: Duration) -> Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        ensure!(stream.local_addr()? != address, "connected to itself");
        stream.set_read_timeout(Some(limit))?;
        Ok(Connection(stream))
    }

    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<()> {
        Ok(self.0.write_all(&frame(request, version)?)?)
    }

    /// The next answer, which has to be to a request of this kind. Errors: none in time, or no proper one.
    pub fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let mut size = [0; 4];
        self.0.read_exact(&mut size)?;
        let mut response = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.0.read_exact(&mut response)?;
        let mut response = Bytes::from(response);
        let header = ResponseHeader::decode(&mut response, R::Response::header_version(version))?;
        ensure!(header.correlation_id == CORRELATION_ID, "an answer to request {}", header.correlation_id);
        R::Response::decode(&mut response, version)
    }
}

fn frame<R: Request>(request: &R, version: i16) -> Result<Vec<u8>> {
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let header = header.with_correlation_id(CORRELATION_ID).with_client_id(Some(StrBytes::from_static_str("test")));
    let mut bytes = BytesMut::new();
    encode_request_header_into_buffer(&mut bytes, &header)?;
    request.encode(&mut bytes, version)?;
    Ok([&(bytes.len() as i32).to_be_bytes()[..], &bytes[..]].concat())
}
