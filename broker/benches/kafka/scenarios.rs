//! What is measured, one function for each scenario. A scenario starts its own broker, on an empty directory.

mod cluster;

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::batch::RECORD_BYTES;
use crate::brokers::{Broker, Kind, Places};
use crate::connection::Connection;
use crate::load::{Consumers, PARTITIONS, Producers};
use crate::paced::{self, Phases};
use crate::process;

const MILLION: f64 = 1e6;

/// How long a scenario may wait for a broker that answers.
const SERVING_LIMIT: Duration = Duration::from_secs(240);

/// How long an idle broker is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// Topics that the many partitions are spread over.
const TOPICS: i32 = 10;

/// How much of everything.
pub struct Sizes {
    /// Before each measured window the same load runs for this many records, or for `warm_up_limit`.
    pub warm_up_records: u64,
    pub warm_up_limit: Duration,
    /// Records in a measured window of large batches, and of single records.
    pub records: u64,
    pub single_records: u64,
    pub paced: Phases,
    pub partitions: i32,
    pub recovery_bytes: u64,
    /// How often each failure of a cluster is repeated.
    pub failovers: usize,
    /// In a cluster of three, three replicas each: what Apache Kafka can be asked for, and Barnabas.
    pub cluster_partitions: i32,
    pub cluster_partitions_alone: i32,
    /// In the metadata, stored by nobody; Barnabas alone.
    pub image_partitions: i32,
}

impl Sizes {
    pub const FULL: Self = Self {
        warm_up_records: 2_000_000,
        warm_up_limit: Duration::from_secs(30),
        records: 1_000_000,
        single_records: 300_000,
        paced: Phases { records_a_second: 20_000, warm_up: Duration::from_secs(20), measured: Duration::from_secs(15) },
        partitions: 10_000,
        recovery_bytes: 5_000_000_000,
        failovers: 10,
        cluster_partitions: 3_000,
        cluster_partitions_alone: 100_000,
        image_partitions: 1_000_000,
    };

    pub const QUICK: Self = Self {
        warm_up_records: 1_000_000,
        warm_up_limit: Duration::from_secs(8),
        records: 500_000,
        single_records: 100_000,
        paced: Phases { records_a_second: 20_000, warm_up: Duration::from_secs(5), measured: Duration::from_secs(5) },
        partitions: 1_000,
        recovery_bytes: 1_000_000_000,
        failovers: 2,
        cluster_partitions: 1_000,
        cluster_partitions_alone: 20_000,
        image_partitions: 100_000,
    };

    fn records_of(&self, batching: &Batching) -> u64 {
        if batching.batch_records == 1 { self.single_records } else { self.records }
    }
}

/// A way to saturate the broker with Produce requests.
struct Batching {
    name: &'static str,
    /// As many records of 1 KiB as a producer with this `batch.size` puts into a batch.
    batch_records: i32,
    batch_bytes_max: usize,
}

const BATCHINGS: [Batching; 3] = [
    Batching { name: "produce-16k", batch_records: 15, batch_bytes_max: 16 * 1024 },
    Batching { name: "produce-512k", batch_records: 507, batch_bytes_max: 512 * 1024 },
    Batching { name: "produce-single", batch_records: 1, batch_bytes_max: 1200 },
];

/// The scenarios in the order they run, each with the parts that `--only` can name.
pub const SCENARIOS: [(&str, &[&str]); 9] = [
    ("start", &[]),
    ("load", &["produce-16k", "produce-512k", "produce-single", "consume", "paced"]),
    ("partitions", &[]),
    ("recovery", &[]),
    ("cluster-load", &[]),
    ("failover", &[]),
    ("many", &[]),
    ("many-alone", &[]),
    ("million", &[]),
];

/// One broker, one round: what is run, and the figures that came out, each under the name of its measure.
pub struct Round<'a> {
    pub kind: Kind,
    pub places: &'a Places,
    pub sizes: &'a Sizes,
    pub only: &'a [String],
    pub figures: Vec<(String, f64)>,
}

impl Round<'_> {
    /// Runs one scenario of [`SCENARIOS`].
    pub fn run(&mut self, scenario: &str) -> Result<()> {
        match scenario {
            "start" => self.start(),
            "load" => self.load(),
            "partitions" => self.partitions(),
            "recovery" => self.recovery(),
            "cluster-load" => self.cluster_load(),
            "failover" => self.failover(),
            "many" => self.many("many", self.sizes.cluster_partitions),
            // Apache Kafka needs hours for these here.
            "many-alone" if self.kind == Kind::Kafka => Ok(()),
            "million" if self.kind == Kind::Kafka => Ok(()),
            "million" => self.million(self.sizes.image_partitions),
            "many-alone" => self.many("many-alone", self.sizes.cluster_partitions_alone),
            _ => unreachable!("main only asks for scenarios of the list"),
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part || name == "load")
    }

    fn record(&mut self, measure: impl Into<String>, value: f64) {
        let measure = measure.into();
        eprintln!("  {:<13} {measure:<24} {value:>12.3}", self.kind);
        self.figures.push((measure, value));
    }

    /// From exec on an empty directory to the first acknowledged record, and the memory of the idle broker after it.
    fn start(&mut self) -> Result<()> {
        let mut broker = Broker::prepare(self.kind, self.places)?;
        let exec = Instant::now();
        broker.exec()?;
        let mut connection = broker.connect()?;
        connection.await_leaders("first", 1, exec + SERVING_LIMIT)?;
        connection.await_writable("first", &[0], exec + SERVING_LIMIT)?;
        self.record("start", exec.elapsed().as_secs_f64());
        std::thread::sleep(IDLE);
        self.record("memory-idle", process::resident_mib(broker.pid())?);
        Ok(())
    }

    /// One broker under all kinds of load, and the most memory it took.
    fn load(&mut self) -> Result<()> {
        let broker = Broker::start(self.kind, self.places)?;
        self.load_on(&broker)
            .map_err(|error| anyhow!("{error:#}\n  the broker's last words:\n    {}", broker.last_output()))
    }

    fn load_on(&mut self, broker: &Broker) -> Result<()> {
        // Every part finds a broker that has seen millions of records, whichever parts are left out.
        self.warm_up_producing(broker, &BATCHINGS[0])?;
        for batching in BATCHINGS {
            if self.wants(batching.name) {
                self.produce(broker, &batching)?;
            }
        }
        if self.wants("consume") {
            self.consume(broker)?;
        }
        if self.wants("paced") {
            self.paced(broker)?;
        }
        if self.only.is_empty() || self.only.iter().any(|name| name == "load") {
            self.record("memory-peak", process::peak_resident_mib(broker.pid())?);
        }
        Ok(())
    }

    fn produce(&mut self, broker: &Broker, batching: &Batching) -> Result<()> {
        if batching.name != BATCHINGS[0].name {
            self.warm_up_producing(broker, batching)?;
        }
        let (name, records) = (batching.name, self.sizes.records_of(batching));
        let mut producers = open(broker, name, batching)?;
        self.window(broker, name, || producers.produce(records))?;
        broker.delete_topic(name)
    }

    fn warm_up_producing(&self, broker: &Broker, batching: &Batching) -> Result<()> {
        let topic = format!("{}-warm-up", batching.name);
        let mut producers = open(broker, &topic, batching)?;
        self.warm_up(self.sizes.records_of(batching) / 4, |chunk| producers.produce(chunk))?;
        broker.delete_topic(&topic)
    }

    fn consume(&mut self, broker: &Broker) -> Result<()> {
        let written = open(broker, "consume", &BATCHINGS[0])?.produce(self.sizes.records)?;
        let each = written / PARTITIONS as u64;
        let mut consumers = Consumers::open(broker.port, "consume")?;
        self.warm_up(written, |_| consumers.consume(each, 1))?;
        self.window(broker, "consume", || consumers.consume(each, 4))?;
        broker.delete_topic("consume")
    }

    /// Repeats `load` in chunks until the broker is warm.
    fn warm_up(&self, chunk: u64, mut load: impl FnMut(u64) -> Result<u64>) -> Result<()> {
        let start = Instant::now();
        let mut done = 0;
        while done < self.sizes.warm_up_records && start.elapsed() < self.sizes.warm_up_limit {
            done += load(chunk)?;
        }
        Ok(())
    }

    /// Measures a load that returns how many records it moved: CPU for a million of them, and throughput.
    fn window(&mut self, broker: &Broker, name: &str, load: impl FnOnce() -> Result<u64>) -> Result<()> {
        let mut moved = 0;
        let usage = process::usage_during(&[broker.pid()], || {
            moved = load()?;
            Ok(())
        })?;
        let megabytes = moved as f64 * RECORD_BYTES as f64 / MILLION;
        self.record(format!("cpu-{name}"), usage.cpu_seconds / (moved as f64 / MILLION));
        self.record(format!("rate-{name}"), megabytes / usage.elapsed.as_secs_f64());
        Ok(())
    }

    fn paced(&mut self, broker: &Broker) -> Result<()> {
        Connection::open(broker.port)?.create_topic("paced", PARTITIONS, 1)?;
        let outcome = paced::run(&[broker.pid()], &broker.bootstrap(), "paced", self.sizes.paced)?;
        self.record("cpu-paced", outcome.usage.cpu_seconds / (outcome.records() as f64 / MILLION));
        for (measure, quantile) in [("latency-p50", 0.5), ("latency-p99", 0.99), ("latency-p999", 0.999)] {
            self.record(measure, outcome.latency_ms(quantile));
        }
        broker.delete_topic("paced")
    }

    /// Many partitions: created (Metadata names their leaders), all written to, held in memory, and there again after
    /// `kill -9`.
    fn partitions(&mut self) -> Result<()> {
        let mut broker = Broker::start(self.kind, self.places)?;
        let mut connection = broker.connect()?;
        let each = self.sizes.partitions / TOPICS;
        let topics: Vec<_> = (0..TOPICS).map(|topic| format!("many-{topic}")).collect();
        let create = Instant::now();
        for topic in &topics {
            connection.create_topic(topic, each, 1)?;
        }
        self.record("partitions-create", create.elapsed().as_secs_f64());
        let all: Vec<_> = (0..each).collect();
        write_to_each(&mut connection, &topics, &all, create)?;
        self.record("partitions-create-all", create.elapsed().as_secs_f64());
        self.record("partitions-memory", process::resident_mib(broker.pid())?);
        broker.kill()?;
        let exec = Instant::now();
        broker.exec()?;
        let mut connection = connect_to(&mut broker, &topics[0], each)?;
        connection.await_writable(&topics[0], &all[..1], exec + SERVING_LIMIT)?;
        self.record("partitions-restart", exec.elapsed().as_secs_f64());
        write_to_each(&mut connection, &topics, &all, exec)?;
        self.record("partitions-restart-all", exec.elapsed().as_secs_f64());
        Ok(())
    }

    /// `kill -9` with gigabytes in a few partitions, and serving all of them again.
    fn recovery(&mut self) -> Result<()> {
        let mut broker = Broker::start(self.kind, self.places)?;
        let records = self.sizes.recovery_bytes / RECORD_BYTES as u64;
        open(&broker, "recovery", &BATCHINGS[1])?.produce(records)?;
        broker.kill()?;
        let exec = Instant::now();
        broker.exec()?;
        let mut connection = connect_to(&mut broker, "recovery", PARTITIONS)?;
        let all: Vec<_> = (0..PARTITIONS).collect();
        connection.await_writable("recovery", &all, exec + SERVING_LIMIT)?;
        self.record("recovery", exec.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Opens producers, and sees that their batches are as large as they are called.
fn open(broker: &Broker, topic: &str, batching: &Batching) -> Result<Producers> {
    let producers = Producers::open(broker.port, topic, 1, batching.batch_records)?;
    let (bytes, max) = (producers.batch_bytes(), batching.batch_bytes_max);
    ensure!(bytes <= max && bytes > max * 9 / 11, "a batch of {bytes} bytes is not one of {max}");
    Ok(producers)
}

/// A connection to a restarted broker that knows the topic again.
fn connect_to(broker: &mut Broker, topic: &str, partitions: i32) -> Result<Connection> {
    let mut connection = broker.connect()?;
    connection.await_leaders(topic, partitions as usize, Instant::now() + SERVING_LIMIT)?;
    Ok(connection)
}

fn write_to_each(connection: &mut Connection, topics: &[String], partitions: &[i32], since: Instant) -> Result<()> {
    for topic in topics {
        connection.await_writable(topic, partitions, since + SERVING_LIMIT)?;
    }
    Ok(())
}
