//! Kafka's clients, as their library sets them: what a user sees.

use anyhow::{Context, Result};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

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

/// Writes one record, and waits until all replicas in sync have it. Gives its offset in the partition.
pub async fn produce_one(bootstrap: &str, topic: &str, partition: i32, value: &str, limit: Duration) -> Result<i64> {
    let mut config = configuration(bootstrap);
    config.set("acks", "all").set("linger.ms", "0").set("message.timeout.ms", limit.as_millis().to_string());
    let producer: FutureProducer = config.create()?;
    let record: FutureRecord<'_, (), str> = FutureRecord::to(topic).partition(partition).payload(value);
    let delivered = producer.send(record, limit).await.map_err(|(error, _)| error)?;
    Ok(delivered.offset)
}

/// Reads the record at an offset of a partition.
pub async fn consume_one(bootstrap: &str, topic: &str, partition: i32, offset: i64, limit: Duration) -> Result<String> {
    let mut config = configuration(bootstrap);
    config.set("group.id", "barnabas-e2e").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&assignment)?;
    // A broker that ended a moment ago is an error of one connection: the client finds another.
    let next = async {
        loop {
            if let Ok(record) = consumer.recv().await {
                return record;
            }
        }
    };
    let record = timeout(limit, next).await;
    let record =
        record.with_context(|| format!("{topic}-{partition}: no record at offset {offset} within {limit:?}"))?;
    Ok(String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned())
}
