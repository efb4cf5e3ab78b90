//! The load: idempotent producers (acks=all), a reader and a group with one member, which note what they were told.
//!
//! - Every acknowledged record must be found where it was acknowledged, once and in order; what the reader was given must
//!   still be there at the end; no acknowledged commit may go back ([`checker`](super::checker)).
//! - A producer numbers its records for each partition, and every byte of a record follows from its number.
//! - Deliberately absent: any opinion on how long things take.

mod java;
mod librdkafka;
mod notes;
mod record;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::checker::{Record, check_reader, check_records};
use super::wait::wait_for;
use java::JavaProducer;
pub use librdkafka::{create_topic, try_to_create};
use notes::{Notes, lock};

/// How long clients may need to come back after a fault, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);

/// The numbers of the producers.
const LIBRDKAFKA: u8 = 0;
const JAVA: u8 = 1;

/// When a producer gives up a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retries {
    /// Never, and it tries again quickly: whatever the cluster goes through, the record must come to be acknowledged.
    Endless,
    /// As its library does with no setting changed: what a user sees.
    Defaults,
}

/// What is written where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub topic: &'static str,
    pub partitions: i32,
    pub replicas: i32,
    /// Whether a Java producer writes too.
    pub java: bool,
    pub retries: Retries,
    /// After each, a record is sent to each partition.
    pub tick: Duration,
}

/// A running load.
pub struct Load {
    bootstrap: String,
    plan: Plan,
    notes: Arc<Notes>,
    librdkafka: JoinHandle<Vec<u64>>,
    java: Option<JavaProducer>,
    reader: JoinHandle<()>,
    group: JoinHandle<()>,
}

impl Load {
    /// Creates the topic, starts the clients, and waits until every producer has a record acknowledged in every
    /// partition. That makes the producer known: a broker accepts any sequence as the first of an unknown producer
    /// (KIP-98), Apache Kafka also that of a second batch whose first was refused while the leader was starting.
    pub fn start(bootstrap: &str, plan: Plan) -> Load {
        create_topic(bootstrap, plan.topic, plan.partitions, plan.replicas);
        let notes = Arc::new(Notes::new(plan.partitions));
        let java = plan.java.then(|| JavaProducer::start(bootstrap, &plan, &notes));
        let load = Load {
            bootstrap: bootstrap.to_owned(),
            librdkafka: librdkafka::start_producer(bootstrap, &plan, &notes),
            java,
            reader: librdkafka::start_reader(bootstrap, &plan, &notes),
            group: librdkafka::start_group(bootstrap, &plan, &notes),
            notes,
            plan,
        };
        load.wait_for("an acknowledged record of each producer in each partition", || {
            let seen: BTreeSet<_> =
                lock(&load.notes.acknowledged).iter().map(|one| (one.producer, one.partition)).collect();
            seen.len() == load.producers().len() * load.plan.partitions as usize
        });
        load
    }

    fn producers(&self) -> Vec<u8> {
        if self.java.is_some() { vec![LIBRDKAFKA, JAVA] } else { vec![LIBRDKAFKA] }
    }

    /// Waits until one more record is acknowledged.
    pub fn wait_for_acknowledgements(&self) {
        let before = lock(&self.notes.acknowledged).len();
        self.wait_for("an acknowledged record", || lock(&self.notes.acknowledged).len() > before);
    }

    /// Waits until each partition has acknowledged a record that was sent after this call, and one more of each producer.
    pub fn wait_until_every_partition_is_written(&self) {
        let sent: Vec<u64> = self.notes.sent.iter().map(|sent| sent.load(SeqCst)).collect();
        let before = lock(&self.notes.acknowledged).len();
        self.wait_for("a new acknowledged record of each producer in each partition", || {
            let acknowledged = lock(&self.notes.acknowledged);
            let is_new = |one: &Record| one.producer != LIBRDKAFKA || one.sequence >= sent[one.partition as usize];
            let new = acknowledged[before..].iter().filter(|one| is_new(one));
            let seen: BTreeSet<_> = new.map(|one| (one.producer, one.partition)).collect();
            seen.len() == self.producers().len() * sent.len()
        });
    }

    /// Asks for the group's offsets, then waits until the group has committed once more.
    pub fn check_committed_offsets(&self) {
        let commits = lock(&self.notes.commits).clone();
        let group = librdkafka::member(&self.bootstrap);
        let ask = || librdkafka::committed_offsets(&group, &self.plan).ok();
        let found = wait_for("the committed offsets", PATIENCE, ask);
        assert_eq!(commits.check(&found), []);
        let before = self.notes.commits_acknowledged.load(SeqCst);
        self.wait_for("an acknowledged commit", || self.notes.commits_acknowledged.load(SeqCst) > before);
    }

    /// The group that reads and commits.
    pub fn group(&self) -> &'static str {
        librdkafka::GROUP
    }

    /// Stops the clients, and compares the log with what was acknowledged and with what was read.
    pub fn finish(self) {
        self.notes.stop.store(true, SeqCst);
        let mut sent: u64 = self.librdkafka.join().expect("the producer saw nothing wrong").iter().sum();
        if let Some(java) = self.java {
            sent += java.finish(&self.notes);
        }
        self.group.join().expect("the group saw nothing wrong");
        self.reader.join().expect("the reader saw nothing wrong");
        assert_eq!(lock(&self.notes.refusals).first(), None);
        let acknowledged = lock(&self.notes.acknowledged);
        assert_eq!(acknowledged.len() as u64, sent, "all is acknowledged in the end");
        let found = librdkafka::read_all(&self.bootstrap, &self.plan);
        let read = lock(&self.notes.read);
        let against = [check_records(&acknowledged, &found), check_records(&read, &found), check_reader(&read)];
        let violations = against.concat();
        assert_eq!(violations[..violations.len().min(20)], [], "{} violations", violations.len());
        println!("{} records acknowledged, {} read meanwhile", acknowledged.len(), read.len());
        println!("{} commits acknowledged", self.notes.commits_acknowledged.load(SeqCst));
    }

    /// Waits for a condition as long as the clients run: a client thread ends early only when it was refused, or by a
    /// panic, whose message is printed already.
    fn wait_for(&self, what: &str, mut holds: impl FnMut() -> bool) {
        wait_for(what, PATIENCE, || {
            assert_eq!(lock(&self.notes.refusals).first(), None);
            let threads = [self.librdkafka.is_finished(), self.group.is_finished(), self.reader.is_finished()];
            assert_eq!(threads, [false; 3], "a client saw something wrong");
            let holds = holds();
            if !holds {
                // Looking costs the clients their lock.
                thread::sleep(Duration::from_millis(15));
            }
            holds.then_some(())
        });
    }
}
