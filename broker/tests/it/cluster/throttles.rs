//! Replication throttles (KIP-73): a moved replica takes its time, those in sync do not notice.

use std::time::{Duration, Instant};

use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, IncrementalAlterConfigsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::support::admin::create_topic;
use crate::support::ask;
use crate::support::cluster::{Cluster, PATIENCE};
use crate::support::wait::wait_for;

const TOPIC: &str = "throttled";
const VALUE_BYTES: usize = 100_000;
/// What a follower takes at once (`replica.fetch.max.bytes`): by so much a rate may be exceeded.
const BITE_BYTES: usize = 1 << 20;
const TOPICS: i8 = 2;
const BROKERS: i8 = 4;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Sets `names` of a resource to `value`, or deletes them.
fn alter(cluster: &Cluster, kind: i8, resource: &str, names: [&str; 2], value: Option<&str>) {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let config = |name: &str| {
        let config = AlterableConfig::default().with_name(text(name)).with_value(value.map(text));
        config.with_config_operation(if value.is_some() { SET } else { DELETE })
    };
    let resource = AlterConfigsResource::default().with_resource_type(kind).with_resource_name(text(resource));
    let resource = resource.with_configs(names.map(config).to_vec());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = ask::call(cluster.address(1), &request, 1).expect("an answer");
    assert!(answer.responses.iter().all(|response| response.error_code == 0), "{answer:?}");
}

fn throttle(cluster: &Cluster, rate: Option<&str>) {
    alter(cluster, BROKERS, "", ["leader.replication.throttled.rate", "follower.replication.throttled.rate"], rate);
}

/// Every replica of the topic falls under the rates.
fn throttle_topic(cluster: &Cluster) {
    let lists = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];
    alter(cluster, TOPICS, TOPIC, lists, Some("*"));
}

/// Returns once all are acknowledged by all in sync.
fn produce(cluster: &Cluster, values: usize) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap()).set("acks", "all");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let value = vec![b'x'; VALUE_BYTES];
    for _ in 0..values {
        producer.send(BaseRecord::<(), _>::to(TOPIC).partition(0).payload(&value)).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("all acknowledged");
}

/// Adds the third broker to the replicas of the only partition, which are two.
fn add_replica(cluster: &Cluster) {
    let mut replicas = cluster.partitions(TOPIC)[&0].replicas.clone();
    replicas.extend(cluster.ids().into_iter().filter(|id| !replicas.contains(id)).collect::<Vec<_>>());
    let replicas = replicas.into_iter().map(BrokerId).collect();
    let partition = ReassignablePartition::default().with_partition_index(0).with_replicas(Some(replicas));
    let topic = ReassignableTopic::default().with_name(TopicName(text(TOPIC))).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(60_000).with_topics(vec![topic]);
    let answer = ask::call(cluster.address(1), &request, 0).expect("an answer");
    assert_eq!((answer.error_code, answer.responses[0].partitions[0].error_code), (0, 0), "{answer:?}");
}

fn wait_until_moved(cluster: &Cluster) {
    wait_for("three replicas in sync", PATIENCE, || {
        cluster.partitions(TOPIC).get(&0).filter(|partition| partition.isr.len() == 3).map(drop)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_move_takes_the_time_of_its_rate() {
    const VALUES: usize = 60;
    const RATE: usize = 1_000_000;
    let cluster = Cluster::start(3);
    create_topic(&cluster.bootstrap(), TOPIC, 1, 2, &[]).await;
    produce(&cluster, VALUES);
    throttle_topic(&cluster);
    throttle(&cluster, Some(&RATE.to_string()));
    let began = Instant::now();
    add_replica(&cluster);
    wait_until_moved(&cluster);
    let least = Duration::from_secs_f64((VALUES * VALUE_BYTES - BITE_BYTES) as f64 / RATE as f64);
    assert!(began.elapsed() >= least, "{:?}, less than {least:?}", began.elapsed());
}

/// At one byte a second none of this would come to an end.
#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_holds_up_no_replica_in_sync_and_ends_when_it_is_lifted() {
    let cluster = Cluster::start(3);
    create_topic(&cluster.bootstrap(), TOPIC, 1, 2, &[("min.insync.replicas", "2")]).await;
    throttle_topic(&cluster);
    throttle(&cluster, Some("1"));
    produce(&cluster, 300);
    add_replica(&cluster);
    produce(&cluster, 100);
    assert_eq!(cluster.partitions(TOPIC)[&0].isr.len(), 2, "the third is held back");
    throttle(&cluster, None);
    wait_until_moved(&cluster);
}
