//! A load from outside of Kubernetes: an idempotent producer (acks=all) and a reader, both as librdkafka sets them.
//!
//! - The producer numbers its records for each partition, at a rate that leaves the machine to what is tested.
//! - No produce may fail, and every record must be read where it was acknowledged, once and in order (`verdict`).
//! - How long a partition took no record is measured between its acknowledgements, since other partitions' hide it.

mod clients;
mod notes;
mod verdict;

use crate::client::configuration;
use crate::cluster::Cluster;
use crate::report;
use crate::topic::Topic;
use anyhow::{Result, bail, ensure};
use notes::{Notes, Partition, lock};
use rdkafka::ClientConfig;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long clients may need to come back after a fault, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is written where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub topic: String,
    pub partitions: i32,
    pub replicas: i32,
    pub records_per_second: u32,
    /// How long a client waits for an answer. `None`: as its library does, 60 seconds. Against a process that is frozen, or a
    /// machine that is gone, the client itself is what waits: no other broker can answer for what was sent to that one.
    pub answer_within: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { topic: "load".to_owned(), partitions: 6, replicas: 3, records_per_second: 300, answer_within: None }
    }
}

impl Plan {
    /// For brokers that may be gone without a word.
    pub fn impatient() -> Plan {
        Plan { answer_within: Some(Duration::from_secs(1)), ..Plan::default() }
    }

    fn configuration(&self, bootstrap: &str) -> ClientConfig {
        let mut config = configuration(bootstrap);
        if let Some(within) = self.answer_within {
            config.set("socket.timeout.ms", within.as_millis().to_string());
        }
        config
    }
}

/// A running load.
pub struct Load {
    plan: Plan,
    notes: Arc<Notes>,
    /// The producer and the reader.
    clients: Vec<JoinHandle<()>>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Statistics {
    pub records: usize,
    /// The longest time in which some partition acknowledged nothing.
    pub longest_gap: Duration,
    /// From the call of the producer to its answer, of 99 in 100 records.
    pub latency_p99: Duration,
}

impl Load {
    /// Starts with what is usual.
    pub async fn start(cluster: &Cluster) -> Result<Load> {
        Load::with(cluster, Plan::default()).await
    }

    /// Creates the topic, starts the clients, and waits until every partition has acknowledged a record.
    pub async fn with(cluster: &Cluster, plan: Plan) -> Result<Load> {
        let topic = json!({
            "partitions": plan.partitions, "replicationFactor": plan.replicas,
            "config": { "min.insync.replicas": (plan.replicas / 2 + 1).to_string() },
        });
        Topic::create(cluster, &plan.topic, topic).await?;
        let bootstrap = cluster.bootstrap().await?;
        let load = Load::on(&bootstrap, plan)?;
        load.every_partition_is_written().await?;
        Ok(load)
    }

    /// Starts the clients on a topic that is there.
    pub fn on(bootstrap: &str, plan: Plan) -> Result<Load> {
        let notes = Arc::new(Notes::new(plan.partitions));
        let producer = clients::start_producer(bootstrap, &plan, &notes)?;
        let reader = clients::start_reader(bootstrap, &plan, &notes)?;
        Ok(Load { plan, notes, clients: vec![producer, reader] })
    }

    /// Waits until each partition has acknowledged a record that was sent after this call.
    pub async fn every_partition_is_written(&self) -> Result<()> {
        let sent: Vec<u64> = self.notes.partitions.iter().map(|one| lock(one).sent.len() as u64).collect();
        self.until("an acknowledgement in every partition", |notes| {
            let is_written = |(partition, sent): (&Mutex<Partition>, &u64)| {
                lock(partition).acknowledged.last().is_some_and(|last| last.sequence >= *sent)
            };
            notes.partitions.iter().zip(&sent).all(is_written)
        })
        .await
    }

    /// The longest time since then in which some partition acknowledged nothing. All partitions have to be written again.
    pub async fn gap_since(&self, since: Instant) -> Result<Duration> {
        self.every_partition_is_written().await?;
        Ok(self.longest_gap(since))
    }

    fn longest_gap(&self, since: Instant) -> Duration {
        let gap = |partition: &Mutex<Partition>| verdict::longest_gap(&lock(partition).acknowledged, since);
        self.notes.partitions.iter().map(gap).max().unwrap_or_default()
    }

    /// Stops sending, waits until all is acknowledged and read, and compares.
    /// Errors: a produce that failed; a record that is lost, doubled or out of order.
    pub async fn finish(mut self) -> Result<Statistics> {
        self.notes.stop_sending.store(true, SeqCst);
        let has_all = |notes: &Notes| {
            let has_all = |it: &Partition| it.acknowledged.len() >= it.sent.len() && it.read.len() >= it.sent.len();
            notes.partitions.iter().all(|partition| has_all(&lock(partition)))
        };
        let all = self.until("end of what was sent", has_all).await;
        self.notes.stop_reading.store(true, SeqCst);
        let statistics = self.statistics();
        let clients = std::mem::take(&mut self.clients);
        let join = || clients.into_iter().for_each(|client| client.join().expect("a client saw nothing wrong"));
        tokio::task::spawn_blocking(join).await?;
        let partitions = self.notes.partitions.iter().enumerate();
        let violations: Vec<String> =
            partitions.flat_map(|(number, partition)| verdict::violations(number, &lock(partition))).collect();
        let refusals = lock(&self.notes.refusals).clone();
        ensure!(refusals.is_empty(), "{} refusals: {}", refusals.len(), first(&refusals));
        // Where not all came in time, that is what is wrong, and the records that are missing follow from it.
        all?;
        ensure!(violations.is_empty(), "{} violations: {}", violations.len(), first(&violations));
        println!("load: {statistics:?}");
        Ok(statistics)
    }

    fn statistics(&self) -> Statistics {
        let mut latencies = Vec::new();
        let mut gap = Duration::ZERO;
        for partition in &self.notes.partitions {
            let partition = lock(partition);
            let latency = |one: &notes::Acknowledged| one.at - partition.sent[one.sequence as usize];
            latencies.extend(partition.acknowledged.iter().map(latency));
            let first = partition.acknowledged.first().map_or_else(Instant::now, |first| first.at);
            gap = gap.max(verdict::longest_gap(&partition.acknowledged, first));
        }
        let latency_p99 = report::quantile(&latencies, 0.99);
        Statistics { records: latencies.len(), longest_gap: gap, latency_p99 }
    }

    /// Waits for what the clients note.
    async fn until(&self, what: &str, mut is_so: impl FnMut(&Notes) -> bool) -> Result<()> {
        let mut news = self.notes.news.subscribe();
        let wait = async {
            loop {
                news.borrow_and_update();
                let refusals = lock(&self.notes.refusals).clone();
                ensure!(refusals.is_empty(), "{} refusals: {}", refusals.len(), first(&refusals));
                if is_so(&self.notes) {
                    return Ok(());
                }
                news.changed().await?;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(result) => result,
            Err(_) => bail!("{}: no {what} within {PATIENCE:?}: {}", self.plan.topic, self.progress()),
        }
    }

    fn progress(&self) -> String {
        let one = |partition: &Mutex<Partition>| {
            let it = lock(partition);
            format!("{} sent, {} acknowledged, {} read", it.sent.len(), it.acknowledged.len(), it.read.len())
        };
        let partitions = self.notes.partitions.iter().map(one).collect::<Vec<_>>().join("; ");
        format!("{partitions}; the reader's last error: {:?}", lock(&self.notes.last_error))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.notes.stop_sending.store(true, SeqCst);
        self.notes.stop_reading.store(true, SeqCst);
    }
}

fn first(of: &[String]) -> String {
    of.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("; ")
}
