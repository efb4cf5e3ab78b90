//! What a broker says in the moments of a change.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ListOffsetsRequest, ProduceRequest};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use super::PLAN;
use crate::support::ask::{self, Connection, name};
use crate::support::broker::Kind;
use crate::support::cluster::{Cluster, PATIENCE};
use crate::support::load::create_topic;
use crate::support::wait::wait_for;

const TOPIC: &str = "answers";
const LATEST: i64 = -1;

/// A client that is told of the leader that it has just lost asks again after its pause only: a second, with librdkafka.
#[test]
fn a_client_that_has_lost_its_leader_is_told_of_the_next_one() {
    /// A decision is not waited for any longer.
    const WAIT: Duration = Duration::from_millis(800);
    let mut cluster = Cluster::start(3);
    if cluster.kind() == Kind::Kafka {
        // Kafka's answer holds the lost leader until its session ends.
        return;
    }
    create_topic(&cluster.bootstrap(), TOPIC, PLAN.partitions, 3);
    // The decision on the active controller takes longest: another one has to be elected first.
    let lost = cluster.active_controller();
    let asked = cluster.others(lost)[0];
    let before = cluster.output(asked).len();
    let kill = Instant::now();
    cluster.kill(lost);
    let line = format!("lost the connection to a leader leader={lost}");
    wait_for("the follower to notice", PATIENCE, || cluster.output(asked)[before..].contains(&line).then_some(()));
    let answer = ask::metadata(cluster.address(asked), TOPIC).expect("an answer");
    let leaders: Vec<i32> = answer.partitions.values().map(|partition| partition.leader).collect();
    assert_eq!(leaders.len(), PLAN.partitions as usize);
    let others = cluster.others(lost);
    let has_moved = leaders.iter().all(|leader| others.contains(leader));
    assert!(has_moved || kill.elapsed() >= WAIT, "{leaders:?} after {:?}", kill.elapsed());
}

/// As with Kafka, which begins with a request when the one before it is answered.
#[test]
fn a_request_behind_a_produce_sees_what_it_has_done() {
    let mut cluster = Cluster::start(3);
    create_topic(&cluster.bootstrap(), TOPIC, 1, 3);
    let leader = cluster.leader(TOPIC, 0);
    let controller = cluster.active_controller();
    let follower = *cluster.others(leader).iter().find(|id| **id != controller).expect("two followers");
    let mut connection = Connection::open(cluster.address(leader), PATIENCE).expect("a connection");
    // The records are committed when the follower is out of the in-sync replicas.
    cluster.freeze(follower);
    connection.send(&produce(), 9).expect("sent");
    connection.send(&list_offsets(), 7).expect("sent");
    let produced = connection.receive::<ProduceRequest>(9).expect("an answer");
    let offsets = connection.receive::<ListOffsetsRequest>(7).expect("an answer");
    cluster.thaw(follower);
    let produced = &produced.responses[0].partition_responses[0];
    assert_eq!((produced.error_code, produced.base_offset), (0, 0));
    assert_eq!(offsets.topics[0].partitions[0].offset, 1);
}

/// One record that all in-sync replicas must have.
fn produce() -> ProduceRequest {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 0,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: IndexMap::new(),
    };
    let mut records = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut records, [&record], &options).expect("a batch");
    let partition = PartitionProduceData::default().with_index(0).with_records(Some(records.freeze()));
    let topic = TopicProduceData::default().with_name(name(TOPIC)).with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

fn list_offsets() -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(LATEST);
    let partition = partition.with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default().with_name(name(TOPIC)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}
