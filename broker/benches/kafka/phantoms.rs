//! Brokers that only say they are there: they register and send heartbeats, so that partitions can be placed on them which
//! nobody stores. What remains of a million partitions is what the quorum has of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};

use crate::brokers::CLUSTER_ID;
use crate::connection::{Connection, poll_until};
use crate::wire::{self, Writer};

/// Three, for three replicas.
pub const IDS: [i32; 3] = [101, 102, 103];
const LIMIT: Duration = Duration::from_secs(60);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// What the controllers may ask of a broker of these versions.
const FEATURES: [(&str, i16, i16); 7] = [
    ("metadata.version", 7, 27),
    ("kraft.version", 0, 1),
    ("transaction.version", 0, 2),
    ("group.version", 0, 1),
    ("eligible.leader.replicas.version", 0, 1),
    ("share.version", 0, 1),
    ("streams.version", 0, 1),
];

/// Dropped, they fall silent.
pub struct Phantoms {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Phantoms {
    /// Registers them with the active controller, which listens on this port, and waits until they count as alive.
    pub fn start(controller: u16) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for id in IDS {
            let mut connection = Connection::open(controller)?;
            let epoch = register(&mut connection, id)?;
            poll_until(Instant::now() + LIMIT, "an unfenced broker", || {
                Ok((!heartbeat(&mut connection, id, epoch)?).then_some(()))
            })?;
            let stop = stop.clone();
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    heartbeat(&mut connection, id, epoch)?;
                    thread::sleep(HEARTBEAT_INTERVAL);
                }
                Ok(())
            }));
        }
        Ok(Self { stop, threads })
    }

    /// Errors: a controller did not take a heartbeat meanwhile.
    pub fn finish(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let join = |thread: JoinHandle<Result<()>>| thread.join().map_err(|_| anyhow!("a phantom panicked"))?;
        self.threads.drain(..).try_for_each(join)
    }
}

impl Drop for Phantoms {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Returns the broker's epoch.
fn register(connection: &mut Connection, id: i32) -> Result<i64> {
    let mut body = connection.call(wire::BROKER_REGISTRATION, |frame| {
        frame.i32(id).compact_string(CLUSTER_ID).bytes(&uuid(id));
        frame.compact_len(1).compact_string("PLAINTEXT").compact_string("127.0.0.1").i16(9).i16(0).no_tags();
        write_features(frame);
        // No rack, no migration, one log directory, no epoch before this one.
        frame.unsigned_varint(0).i8(0).compact_len(1).bytes(&uuid(id + 1000)).i64(-1).no_tags();
    })?;
    body.i32()?;
    let error = body.i16()?;
    ensure!(error == 0, "BrokerRegistration answered error code {error}");
    body.i64()
}

fn write_features(frame: &mut Writer) {
    frame.compact_len(FEATURES.len());
    for (name, min, max) in FEATURES {
        frame.compact_string(name).i16(min).i16(max).no_tags();
    }
}

/// Returns whether the broker is fenced.
fn heartbeat(connection: &mut Connection, id: i32, epoch: i64) -> Result<bool> {
    let mut body = connection.call(wire::BROKER_HEARTBEAT, |frame| {
        // It has read all metadata that there will ever be, and wants to serve.
        frame.i32(id).i64(epoch).i64(i64::MAX).i8(0).i8(0).no_tags();
    })?;
    body.i32()?;
    match body.i16()? {
        0 => {}
        error => bail!("BrokerHeartbeat answered error code {error}"),
    }
    body.i8()?;
    Ok(body.i8()? != 0)
}

fn uuid(number: i32) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}
