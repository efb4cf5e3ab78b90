//! What Prometheus is told by a running broker. Apache Kafka tells it by other means.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::admin::create_topic;
use crate::support::broker::{Broker, Kind};
use crate::support::port::free_port;
use crate::support::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(30);
const RECORDS: usize = 10;

/// All that `/metrics` says.
fn scrape(address: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("the port of metrics");
    socket.set_read_timeout(Some(LIMIT)).expect("a socket");
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn configuration(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap()).set("group.id", "billing").set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false").set("fetch.wait.max.ms", "50");
    config
}

fn produce(broker: &Broker, topic: &str, partition: i32) {
    let producer: ThreadedProducer<DefaultProducerContext> = configuration(broker).create().expect("a producer");
    for _ in 0..RECORDS {
        let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(partition).payload("value");
        producer.send(record).expect("room in the queue");
    }
    producer.flush(LIMIT).expect("all acknowledged");
}

fn read_and_commit(broker: &Broker, topic: &str, partition: i32, offset: i64) {
    let consumer: BaseConsumer = configuration(broker).create().expect("a consumer");
    let at = |offset| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, offset).expect("a valid offset");
        list
    };
    consumer.assign(&at(Offset::Beginning)).expect("an assignment");
    for _ in 0..RECORDS {
        wait_for("a record", LIMIT, || consumer.poll(Duration::from_millis(50))).expect("a record");
    }
    consumer.commit(&at(Offset::Offset(offset)), CommitMode::Sync).expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_tells_of_topics_groups_replicas_and_disks() {
    let metrics = format!("127.0.0.1:{}", free_port());
    let broker = Broker::start_kind(Kind::Barnabas, &[("metrics.listener", &metrics)]);
    create_topic(&broker.bootstrap(), "orders", 2, 1, &[]).await;
    let text = scrape(&metrics);
    assert_eq!(value(&text, "barnabas_topic_produced_records_total{topic=\"orders\"}"), Some(0.0), "{text}");

    produce(&broker, "orders", 1);
    read_and_commit(&broker, "orders", 1, 7);
    let text = scrape(&metrics);
    for (series, expected) in [
        ("barnabas_topic_produced_records_total{topic=\"orders\"}", 10.0),
        ("barnabas_partition_high_watermark{partition=\"0\",topic=\"orders\"}", 0.0),
        ("barnabas_partition_high_watermark{partition=\"1\",topic=\"orders\"}", 10.0),
        ("barnabas_consumer_group_offset{group=\"billing\",partition=\"1\",topic=\"orders\"}", 7.0),
        ("barnabas_replica_lag_max", 0.0),
        ("barnabas_reassigning_partitions", 0.0),
        ("barnabas_under_min_isr_partitions", 0.0),
        ("barnabas_isr_shrinks_total", 0.0),
        ("barnabas_isr_expands_total", 0.0),
        ("barnabas_leader_elections_total{kind=\"unclean\"}", 0.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in {text}");
    }
    let produced = value(&text, "barnabas_topic_produced_bytes_total{topic=\"orders\"}");
    assert!(produced.is_some_and(|bytes| bytes > 50.0), "{text}");
    assert_eq!(value(&text, "barnabas_produced_bytes_total"), produced);
    let fetched = value(&text, "barnabas_topic_fetched_bytes_total{topic=\"orders\"}");
    assert!(fetched >= produced, "{text}");
    assert_eq!(value(&text, "barnabas_fetched_bytes_total"), fetched);
    let directory = format!("{{directory=\"{}\"}}", broker.log_directory().display());
    let [free, total] =
        ["free", "total"].map(|what| value(&text, &format!("barnabas_log_dir_{what}_bytes{directory}")));
    assert!(free.is_some() && free <= total, "{text}");
}
