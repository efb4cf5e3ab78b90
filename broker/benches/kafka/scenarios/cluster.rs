//! What is measured of a cluster of three.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{BATCHINGS, MILLION, Round};
use crate::batch::RECORD_BYTES;
use crate::brokers::Broker;
use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::load::{PARTITIONS, Producers};
use crate::phantoms::{self, Phantoms};
use crate::{paced, process};

const REPLICAS: i16 = 3;
/// Partitions that a broken broker takes with it, or follows.
const FAILOVER_PARTITIONS: i32 = 100;
/// How long a cluster is left alone before it counts as idle, and how long it is watched then.
const SETTLING: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(20);
/// Topics that many partitions are spread over, in requests of a size that an operator would send.
const TOPIC_PARTITIONS: i32 = 1_000;

/// Which broker breaks.
#[derive(Clone, Copy)]
enum Victim {
    /// One that leads partitions, and is not the active controller.
    Leader,
    /// The active controller, which leads partitions too.
    LeaderAndController,
}

/// How it breaks.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Killed,
    Frozen,
}

impl Round<'_> {
    /// Throughput and CPU, latency under a pace, and CPU of the idle cluster.
    pub(super) fn cluster_load(&mut self) -> Result<()> {
        let cluster = Cluster::start(self.kind, self.places)?;
        let pids = cluster.pids();
        let port = cluster[0].port;
        let batching = &BATCHINGS[0];
        let mut warm = Producers::open(port, "cluster-warm-up", REPLICAS, batching.batch_records)?;
        self.warm_up(self.sizes.records / 4, |chunk| warm.produce(chunk))?;
        cluster.delete_topic("cluster-warm-up")?;
        let mut producers = Producers::open(port, "cluster-16k", REPLICAS, batching.batch_records)?;
        let mut moved = 0;
        let usage = process::usage_during(&pids, || {
            moved = producers.produce(self.sizes.records)?;
            Ok(())
        })?;
        self.record("cluster-cpu", usage.cpu_seconds / (moved as f64 / MILLION));
        self.record("cluster-rate", moved as f64 * RECORD_BYTES as f64 / MILLION / usage.elapsed.as_secs_f64());
        cluster.delete_topic("cluster-16k")?;
        Connection::open(port)?.create_topic("cluster-paced", PARTITIONS, REPLICAS)?;
        let phases = paced::Phases { records_a_second: 5_000, ..self.sizes.paced };
        let outcome = paced::run(&pids, &cluster.bootstrap(), "cluster-paced", phases)?;
        self.record("cluster-p50", outcome.latency_ms(0.5));
        self.record("cluster-p99", outcome.latency_ms(0.99));
        self.record_idle("cluster-idle", &cluster)
    }

    /// The CPU of all brokers together while nobody asks for anything, and that of the busiest: in percent of one core.
    fn record_idle(&mut self, measure: &str, cluster: &Cluster) -> Result<()> {
        std::thread::sleep(SETTLING);
        let each = process::percent_of_each(&cluster.pids(), WATCHED)?;
        self.record(measure, each.iter().sum());
        self.record(format!("{measure}-each"), each.into_iter().fold(0.0, f64::max));
        Ok(())
    }

    /// From the moment a broker breaks until every one of 100 partitions has acknowledged a record again, acks=all.
    pub(super) fn failover(&mut self) -> Result<()> {
        let mut cluster = Cluster::start(self.kind, self.places)?;
        let topic = "failover".to_owned();
        Connection::open(cluster[0].port)?.create_topic(&topic, FAILOVER_PARTITIONS, REPLICAS)?;
        let cases = [
            ("failover-kill", Fault::Killed, Victim::Leader),
            ("failover-kill-both", Fault::Killed, Victim::LeaderAndController),
            ("failover-freeze", Fault::Frozen, Victim::Leader),
            ("failover-freeze-both", Fault::Frozen, Victim::LeaderAndController),
        ];
        for (measure, fault, victim) in cases {
            let mut worst = 0.0f64;
            for _ in 0..self.sizes.failovers {
                let seconds = break_and_mend(&mut cluster, &topic, fault, victim)?;
                self.record(measure, seconds);
                worst = worst.max(seconds);
            }
            self.record(format!("{measure}-worst"), worst);
        }
        let mut worst = 0.0f64;
        for attempt in 0..self.sizes.failovers {
            let seconds = freeze_controller(&mut cluster, &topic, attempt)?;
            self.record("failover-freeze-controller", seconds);
            worst = worst.max(seconds);
        }
        self.record("failover-freeze-controller-worst", worst);
        Ok(())
    }

    /// Many partitions with three replicas each: created, held, idle, and after the loss of the active controller and of
    /// a whole broker.
    pub(super) fn many(&mut self, prefix: &str, partitions: i32) -> Result<()> {
        let mut cluster = Cluster::start(self.kind, self.places)?;
        let topics: Vec<_> = (0..partitions / TOPIC_PARTITIONS).map(|topic| format!("many-{topic}")).collect();
        ensure!(!topics.is_empty(), "fewer than {TOPIC_PARTITIONS} partitions");
        let create = Instant::now();
        let mut connection = Connection::open(cluster[0].port)?;
        for topic in &topics {
            connection.create_topic(topic, TOPIC_PARTITIONS, REPLICAS)?;
        }
        self.record(format!("{prefix}-create"), create.elapsed().as_secs_f64());
        cluster.await_in_sync(&topics)?;
        self.record(format!("{prefix}-create-all"), create.elapsed().as_secs_f64());
        let memory = cluster.pids().into_iter().map(process::resident_mib).collect::<Result<Vec<_>>>()?;
        self.record(format!("{prefix}-memory"), memory.iter().copied().fold(0.0, f64::max));
        self.record_idle(&format!("{prefix}-idle"), &cluster)?;
        self.takeover(prefix, &mut cluster, &topics)
    }

    /// The active controller is killed: until the next committed change; then it comes back, until all is in sync.
    fn takeover(&mut self, prefix: &str, cluster: &mut Cluster, topics: &[String]) -> Result<()> {
        let controller = cluster.active_controller()?;
        let killed = Instant::now();
        cluster.broker(controller)?.kill()?;
        cluster.await_change_without(controller, "after-takeover")?;
        self.record(format!("{prefix}-takeover"), killed.elapsed().as_secs_f64());
        let exec = Instant::now();
        cluster.broker(controller)?.exec()?;
        cluster.broker(controller)?.connect()?;
        cluster.await_in_sync(topics)?;
        self.record(format!("{prefix}-restart"), exec.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Without heartbeats for so long a broker counts as alive: one that starts with a million partitions may keep all waiting.
const PATIENT: &str = "broker.session.timeout.ms=60000\n";
/// Partitions of a topic that nobody stores, and how many changes are timed one after the other.
const IMAGE_TOPIC_PARTITIONS: i32 = 5_000;
const CHANGES: u32 = 50;
const LOAD_LIMIT: Duration = Duration::from_secs(240);

impl Round<'_> {
    /// Partitions that only the quorum knows, as their replicas are on phantoms: what they cost it.
    pub(super) fn million(&mut self, partitions: i32) -> Result<()> {
        let mut cluster = Cluster::start_with(self.kind, self.places, PATIENT)?;
        let controller = cluster.active_controller()?;
        let phantoms = Phantoms::start(cluster.broker(controller)?.controller_port)?;
        let port = cluster.broker(controller)?.port;
        let mut connection = Connection::open(port)?;
        let create = Instant::now();
        let topics = partitions / IMAGE_TOPIC_PARTITIONS;
        for topic in 0..topics {
            connection.create_topic_on(&format!("image-{topic}"), IMAGE_TOPIC_PARTITIONS, &phantoms::IDS)?;
        }
        self.record("million-create", create.elapsed().as_secs_f64());
        self.record("million-memory", process::resident_mib(cluster.broker(controller)?.pid())?);
        self.record("million-change", time_changes(&mut connection)?);
        // Once the phantoms fall silent, nothing has a leader any more.
        self.restart_with_image(&mut cluster, controller, &format!("image-{}", topics - 1))?;
        phantoms.finish()
    }

    /// A node that is not the active controller is killed, and started until it knows the last of the topics.
    fn restart_with_image(&mut self, cluster: &mut Cluster, controller: i32, last: &str) -> Result<()> {
        let id = cluster.iter().map(|broker| broker.id).find(|id| *id != controller).context("another broker")?;
        let broker = cluster.broker(id)?;
        broker.kill()?;
        let exec = Instant::now();
        broker.exec()?;
        broker.connect()?.await_leaders(last, IMAGE_TOPIC_PARTITIONS as usize, exec + LOAD_LIMIT)?;
        self.record("million-load", exec.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Milliseconds for one committed change: a topic of one partition, again and again.
fn time_changes(connection: &mut Connection) -> Result<f64> {
    let start = Instant::now();
    for change in 0..CHANGES {
        connection.create_topic_on(&format!("change-{change}"), 1, &phantoms::IDS)?;
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0 / f64::from(CHANGES))
}

/// Breaks a broker, measures, mends it, and waits until the cluster is as before.
fn break_and_mend(cluster: &mut Cluster, topic: &str, fault: Fault, victim: Victim) -> Result<f64> {
    settle(cluster, topic)?;
    let lost = choose(cluster, topic, victim)?;
    let broken = Instant::now();
    match fault {
        Fault::Killed => cluster.broker(lost)?.kill()?,
        Fault::Frozen => cluster.broker(lost)?.freeze()?,
    }
    let written = cluster.await_writable_without(lost, topic, FAILOVER_PARTITIONS);
    let seconds = broken.elapsed().as_secs_f64();
    mend(cluster.broker(lost)?, fault)?;
    written.map(|()| seconds)
}

/// The active controller is frozen: until the next committed change.
fn freeze_controller(cluster: &mut Cluster, topic: &str, attempt: usize) -> Result<f64> {
    settle(cluster, topic)?;
    let controller = cluster.active_controller()?;
    let frozen = Instant::now();
    cluster.broker(controller)?.freeze()?;
    let changed = cluster.await_change_without(controller, &format!("after-freeze-{attempt}"));
    let seconds = frozen.elapsed().as_secs_f64();
    cluster.broker(controller)?.thaw()?;
    changed.map(|()| seconds)
}

fn mend(broker: &mut Broker, fault: Fault) -> Result<()> {
    match fault {
        Fault::Killed => {
            broker.exec()?;
            broker.connect().map(drop)
        }
        Fault::Frozen => broker.thaw(),
    }
}

/// Waits until all replicas are in sync, and gives every broker its share of the leaders.
fn settle(cluster: &Cluster, topic: &str) -> Result<()> {
    cluster.await_in_sync(&[topic.to_owned()])?;
    cluster.elect_preferred()?;
    cluster.await_in_sync(&[topic.to_owned()])
}

fn choose(cluster: &Cluster, topic: &str, victim: Victim) -> Result<i32> {
    let controller = cluster.active_controller()?;
    let metadata = Connection::open(cluster[0].port)?.metadata(topic)?;
    let mut leaders = metadata.partitions.iter().filter_map(|partition| partition.leader);
    match victim {
        Victim::Leader => leaders.find(|leader| *leader != controller).context("the active controller leads all"),
        Victim::LeaderAndController => {
            leaders.find(|leader| *leader == controller).context("the controller leads none")
        }
    }
}
