//! Three brokers, each a controller too, and how long it takes until a broken cluster serves again.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::brokers::{Broker, Kind, Places};
use crate::connection::{Connection, poll_until};
use crate::wire::Metadata;

const BROKERS: usize = 3;
/// How long a cluster may take for anything.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a broker may take for an answer before it is asked on a new connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one who asks for a change waits for the answer, and how often another one asks.
const CHANGE_PATIENCE: Duration = Duration::from_secs(10);
const CHANGE_INTERVAL: Duration = Duration::from_millis(50);
/// How often a cluster that becomes whole is looked at: oftener, the looking would slow it down.
const IN_SYNC_INTERVAL: Duration = Duration::from_millis(20);

/// Dropped, its brokers are killed.
pub struct Cluster(pub Vec<Broker>);

impl Cluster {
    /// Starts three brokers and waits until all know one another.
    pub fn start(kind: Kind, places: &Places) -> Result<Self> {
        Self::start_with(kind, places, "")
    }

    /// [`Cluster::start`] with lines of further settings.
    pub fn start_with(kind: Kind, places: &Places, settings: &str) -> Result<Self> {
        let mut cluster = Self(Broker::prepare_all(kind, places, BROKERS, settings)?);
        cluster.exec()?;
        Ok(cluster)
    }

    /// Starts all processes, and waits until all brokers know one another.
    pub fn exec(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Broker::exec)?;
        for broker in &mut self.0 {
            let mut connection = broker.connect()?;
            poll_until(Instant::now() + LIMIT, "brokers that know one another", || {
                let known = connection.metadata("").map(|metadata| metadata.brokers.len());
                Ok((known? == BROKERS).then_some(()))
            })?;
        }
        Ok(())
    }

    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.0.iter().map(Broker::bootstrap).collect();
        addresses.join(",")
    }

    pub fn pids(&self) -> Vec<u32> {
        self.0.iter().map(Broker::pid).collect()
    }

    pub fn broker(&mut self, id: i32) -> Result<&mut Broker> {
        self.0.iter_mut().find(|broker| broker.id == id).context("no such broker")
    }

    /// Deletes the topic and waits until its files are gone everywhere.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        Connection::open(self.0[0].port)?.delete_topic(topic)?;
        self.0.iter().try_for_each(|broker| broker.await_deletion(topic))
    }

    /// The active controller, once every broker names the same: one that was away may still name the one before.
    pub fn active_controller(&self) -> Result<i32> {
        let mut connections = self.connections()?;
        poll_until(Instant::now() + LIMIT, "an active controller that all know", || {
            let named = connections.iter_mut().map(Connection::active_controller).collect::<Result<BTreeSet<_>>>()?;
            Ok(named.first().copied().flatten().filter(|_| named.len() == 1))
        })
    }

    fn connections(&self) -> Result<Vec<Connection>> {
        self.0.iter().map(|broker| Connection::open(broker.port)).collect()
    }

    /// Waits until every broker says that every replica of the topics is in sync: one that was away may still believe it.
    pub fn await_in_sync(&self, topics: &[String]) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let mut connections = self.connections()?;
        for topic in topics {
            poll_until(deadline, "every replica in sync", || {
                for connection in &mut connections {
                    if !connection.metadata(topic)?.in_sync() {
                        thread::sleep(IN_SYNC_INTERVAL);
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            })?;
        }
        Ok(())
    }

    /// Moves the leaders back to where they were placed: a round must not find all of them on one broker.
    pub fn elect_preferred(&self) -> Result<()> {
        let mut connection = Connection::open(self.0[0].port)?;
        connection.elect_preferred()
    }

    /// Writes to all partitions of the topic, acks=all, asking every broker but `lost`, until each acknowledged a record.
    pub fn await_writable_without(&self, lost: i32, topic: &str, partitions: i32) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let waiting = Mutex::new((0..partitions).collect::<BTreeSet<_>>());
        thread::scope(|scope| {
            let others = self.0.iter().filter(|broker| broker.id != lost);
            let writers: Vec<_> = others
                .map(|broker| scope.spawn(|| write_where_it_leads(broker.id, broker.port, topic, &waiting, deadline)))
                .collect();
            writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?)
        })
    }

    /// Asks every broker but `lost` for new topics, one after the other, until one was committed. Nobody waits for an answer
    /// before the next one asks: the broker may be waiting for a controller that is frozen.
    pub fn await_change_without(&self, lost: i32, name: &str) -> Result<()> {
        let ports: Vec<_> = self.0.iter().filter(|broker| broker.id != lost).map(|broker| broker.port).collect();
        let (changed, any_changed) = mpsc::channel();
        let deadline = Instant::now() + LIMIT;
        for (attempt, port) in ports.into_iter().cycle().enumerate() {
            // Each attempt has its own name: one whose answer was lost may have been committed.
            let (changed, name) = (changed.clone(), format!("{name}-{attempt}"));
            thread::spawn(move || {
                if try_to_create(port, &name).is_ok_and(|error| error == 0) {
                    changed.send(()).ok();
                }
            });
            if any_changed.recv_timeout(CHANGE_INTERVAL).is_ok() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "a committed change: not within the time allowed");
        }
        unreachable!("the ports go round")
    }
}

impl Deref for Cluster {
    type Target = [Broker];

    fn deref(&self) -> &[Broker] {
        &self.0
    }
}

fn try_to_create(port: u16, name: &str) -> Result<i16> {
    Connection::open_for(port, CHANGE_PATIENCE)?.try_to_create_topic(name, 1, 1, CHANGE_PATIENCE)
}

/// Writes to those of the waiting partitions that this broker believes to lead, until none waits.
fn write_where_it_leads(
    id: i32,
    port: u16,
    topic: &str,
    waiting: &Mutex<BTreeSet<i32>>,
    deadline: Instant,
) -> Result<()> {
    let mut connection = Connection::open_for(port, PATIENCE)?;
    poll_until(deadline, "every partition writable", || {
        if lock(waiting).is_empty() {
            return Ok(Some(()));
        }
        let own = led_by(id, &connection.metadata(topic)?, &lock(waiting));
        if !own.is_empty() {
            let answers = connection.produce_to_each(topic, &own)?;
            let written = answers.iter().filter(|answer| answer.error_code == 0).map(|answer| answer.partition);
            let mut waiting = lock(waiting);
            for partition in written {
                waiting.remove(&partition);
            }
        }
        Ok(None)
    })
}

fn led_by(id: i32, metadata: &Metadata, waiting: &BTreeSet<i32>) -> Vec<i32> {
    let own = metadata.partitions.iter().filter(|partition| partition.leader == Some(id));
    own.map(|partition| partition.index).filter(|index| waiting.contains(index)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no writer panicked")
}
