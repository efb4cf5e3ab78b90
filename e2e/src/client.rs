//! Kafka's clients, as their library sets them: what a user sees.

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ANSWER: Duration = Duration::from_secs(10);

/// Only what every client needs.
pub fn configuration(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("log_level", "2");
    config
}

/// A client that asks, and holds its connections between the questions.
pub struct Asker {
    consumer: BaseConsumer,
    admin: AdminClient<DefaultClientContext>,
}

impl Asker {
    pub fn new(bootstrap: &str) -> Result<Asker> {
        let config = configuration(bootstrap);
        Ok(Asker { consumer: config.create()?, admin: config.create()? })
    }

    pub fn metadata(&self) -> Result<Metadata> {
        Ok(self.consumer.fetch_metadata(None, ANSWER)?)
    }

    /// The partitions of a topic, each with its replicas; `None` where there is no such topic.
    pub fn replicas(&self, topic: &str) -> Result<Option<Vec<Vec<i32>>>> {
        let metadata = self.metadata()?;
        let topic = metadata.topics().iter().find(|known| known.name() == topic);
        Ok(topic.map(|topic| {
            let mut partitions: Vec<_> = topic.partitions().iter().collect();
            partitions.sort_by_key(|partition| partition.id());
            partitions.into_iter().map(|partition| partition.replicas().to_vec()).collect()
        }))
    }

    /// The leader of each partition of a topic.
    pub fn leaders(&self, topic: &str) -> Result<Vec<i32>> {
        let metadata = self.metadata()?;
        let topic = metadata.topics().iter().find(|known| known.name() == topic).context("the topic")?;
        let mut partitions: Vec<_> = topic.partitions().iter().collect();
        partitions.sort_by_key(|partition| partition.id());
        Ok(partitions.into_iter().map(|partition| partition.leader()).collect())
    }

    /// What is set of a topic, or of a broker.
    pub async fn configs(&self, of: ResourceSpecifier<'_>) -> Result<BTreeMap<String, String>> {
        let answers = self.admin.describe_configs([&of], &AdminOptions::new().request_timeout(Some(ANSWER))).await?;
        let answer: ConfigResourceResult = answers.into_iter().next().context("an answer")?;
        let resource = answer.map_err(|code| anyhow::anyhow!("describing {of:?}: {code}"))?;
        let entries = resource.entries.into_iter();
        Ok(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    /// Makes a topic without the operator.
    pub async fn create_topic(&self, name: &str, partitions: i32, replicas: i32) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        let created = self.admin.create_topics([&topic], &options).await?;
        created
            .into_iter()
            .try_for_each(|result| result.map(drop))
            .map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))
    }
}

/// Writes one record, and waits until all replicas in sync have it. Gives its offset in partition 0.
pub fn produce_one(bootstrap: &str, topic: &str, value: &str, limit: Duration) -> Result<i64> {
    let mut config = configuration(bootstrap);
    config.set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "0");
    config.set("message.timeout.ms", limit.as_millis().to_string());
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let before = end(bootstrap, topic, limit)?;
    let record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(0).payload(value);
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(limit)?;
    // What the log holds, not what the producer believes.
    let after = end(bootstrap, topic, limit)?;
    if after <= before {
        bail!("{topic}: the record was not acknowledged within {limit:?}");
    }
    Ok(after - 1)
}

/// Reads the record at an offset of partition 0.
pub fn consume_one(bootstrap: &str, topic: &str, offset: i64, limit: Duration) -> Result<String> {
    let mut config = configuration(bootstrap);
    config.set("group.id", "barnabas-e2e").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Offset(offset))?;
    consumer.assign(&assignment)?;
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            return Ok(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
    }
    bail!("{topic}: no record at offset {offset} within {limit:?}")
}

fn end(bootstrap: &str, topic: &str, limit: Duration) -> Result<i64> {
    let consumer: BaseConsumer = configuration(bootstrap).create()?;
    Ok(consumer.fetch_watermarks(topic, 0, limit)?.1)
}
