//! The thread that drives a node of the quorum: it owns the raft node, the metadata log and, while this node leads, the
//! active controller.
//!
//! - Actions of the raft node are carried out strictly in their order ([`worker`]). Nothing here waits for another node, and
//!   for the disk only where a promise depends on it: logs are synced by a thread of their own.
//! - Committed records become an image, which is handed to a thread of its own ([`publisher`]): whoever opens ten thousand
//!   logs because of it does not hold up a vote.
//! - The controller decides upon records that are not committed yet ([`active`]); nobody is answered, and nothing is
//!   shown, before they are. If the node ceases to lead, they are forgotten here, and may be committed all the same.

mod active;
mod answers;
mod links;
mod publisher;
mod snapshots;
mod sync;
mod worker;

#[cfg(test)]
pub(crate) use active::{Active, Making};
pub(super) use answers::Answer;
pub(crate) use answers::Answered;
pub use answers::QuorumAnswer;
pub(super) use publisher::Publication;

use super::client::{ControllerClient, Node};
use super::metadata_log::{Found, MetadataError, MetadataLog, read_bootstrap};
use super::request::{NewTopic, Request};
use super::rules::ConfigRules;
use super::state::ControllerSettings;
use crate::clock::Clock;
use crate::log::{Flushed, LogConfig, LogDirectory};
use crate::raft::wire::Border;
use crate::raft::{self, Correlation, LeaderAndEpoch, LeaderEpoch, ReplicaId, SnapshotId, SyncPoint};
use snapshots::Snapshots;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use worker::{Belonging, Worker};

/// Bytes of a segment at most, so that old ones can go soon after a snapshot.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;

/// What a node of the quorum is made of.
#[derive(Clone)]
pub struct DriverConfig {
    /// The directory that the metadata log lies in (`metadata.log.dir`, else the first of `log.dirs`).
    pub directory: Arc<LogDirectory>,
    pub log: MetadataLogConfig,
    pub quorum: raft::Settings,
    /// The cluster's id, and where the voters listen.
    pub border: Border,
    pub controller: ControllerSettings,
    /// How the broker's own topics are made when they are first needed.
    pub internal_topics: Vec<NewTopic>,
    /// Whether topics may be deleted (`delete.topic.enable`). Default true.
    pub deletes_topics: bool,
    pub rules: Arc<dyn ConfigRules>,
    /// Gives new topics their ids, places their replicas and spreads elections: random for every start.
    pub seed: u64,
}

/// The metadata log's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// Bytes of a segment (`metadata.log.segment.bytes`). Default 1 GiB; no more than 64 MiB are used.
    pub segment_bytes: u32,
    /// Milliseconds after which a segment is rolled (`metadata.log.segment.ms`). Default 7 days.
    pub segment_ms: i64,
    /// Bytes of records after which a snapshot is made (`metadata.log.max.record.bytes.between.snapshots`). Default 20 MiB.
    pub snapshot_after_bytes: i64,
    /// Milliseconds after which a snapshot is made if anything has changed (`metadata.log.max.snapshot.interval.ms`);
    /// `None`: never. Default 1 hour.
    pub snapshot_interval_ms: Option<i64>,
}

impl Default for MetadataLogConfig {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        MetadataLogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * HOUR_MS,
            snapshot_after_bytes: 20 << 20,
            snapshot_interval_ms: Some(HOUR_MS),
        }
    }
}

impl MetadataLogConfig {
    fn of_log(&self) -> LogConfig {
        LogConfig {
            segment_bytes: self.segment_bytes.min(SEGMENT_BYTES_MAX),
            segment_ms: self.segment_ms,
            retention_ms: -1,
            retention_bytes: -1,
            ..LogConfig::default()
        }
    }
}

/// What the thread is given to do.
pub(super) enum Work {
    /// Something for the active controller.
    Ask(Request, Answer),
    /// A request of another node of the quorum.
    Quorum(raft::Request, oneshot::Sender<QuorumAnswer>),
    /// What became of a request of this node; `None` if there is no answer.
    Replied {
        from: ReplicaId,
        correlation: Correlation,
        reply: Option<raft::Response>,
    },
    Synced(SyncPoint, io::Result<Option<Flushed>>),
    SnapshotWritten(io::Result<SnapshotId>),
    Describe(oneshot::Sender<Option<raft::QuorumDescription>>),
    Resign,
    Stop,
    #[cfg(test)]
    Run(Box<dyn FnOnce() + Send>),
    #[cfg(test)]
    RunWhereItSyncs(Box<dyn FnOnce() + Send>),
}

/// The threads of a node of the quorum.
pub struct Driver {
    work: mpsc::Sender<Work>,
    stopping: Arc<AtomicBool>,
    leader: watch::Receiver<LeaderAndEpoch>,
    local: ReplicaId,
    thread: JoinHandle<Result<(), MetadataError>>,
    publisher: JoinHandle<()>,
    /// Set when the thread has ended by itself, with the reason.
    failed: watch::Receiver<Option<String>>,
}

impl Driver {
    /// Loads the metadata, and takes part in the quorum from now on. Waits for the disk. Must be called within a tokio
    /// runtime, whose tasks talk to the other nodes.
    /// Errors: [`MetadataError`]: the node must not start.
    pub fn start(config: DriverConfig) -> Result<(Driver, ControllerClient), MetadataError> {
        let clock = Clock::start();
        let voters = config.quorum.voters.clone();
        let found = MetadataLog::open(&config.directory, config.log.of_log(), voters, clock.now())?;
        let bootstrap = read_bootstrap(&config.directory)?;
        let path = found.log.directory().to_owned();
        let spawn_failed = |source| MetadataError::Io { path: path.clone(), source };
        let Found { log, election, started_with_nothing, outline, snapshot, whole } = found;

        let (work, queue) = mpsc::channel();
        let unknown = LeaderAndEpoch { leader: None, epoch: LeaderEpoch(0) };
        let (leader_known, leader) = watch::channel(unknown);
        let (drains, drained) = watch::channel(BTreeSet::new());
        let (publications, publisher, image) = publisher::start().map_err(spawn_failed)?;
        let (say_failed, failed) = watch::channel(None);
        let stopping = Arc::<AtomicBool>::default();
        let border = Arc::new(config.border);
        let timeout_ms = config.quorum.request_timeout_ms;
        let local = config.quorum.local.id;
        let latest_snapshot = outline.latest_snapshot();
        let voters: BTreeSet<i32> = config.quorum.voters.iter().map(|voter| voter.0).collect();
        let agreed = whole.leaders_voters == voters;
        let mut node = raft::Node::new(config.quorum, election, outline, config.seed, clock.now());
        if started_with_nothing {
            node.started_with_nothing();
        }
        let worker = Worker {
            clock,
            links: links::Links::new(border.clone(), work.clone(), timeout_ms),
            syncs: sync::start(work.clone()).map_err(spawn_failed)?,
            node,
            lacks_records: started_with_nothing,
            decides_again_at: i64::MIN,
            log,
            loader: snapshot,
            preloaded: Some(whole),
            published: None,
            leading: None,
            lost_leader: None,
            active: None,
            making: active::Making { settings: config.controller, rules: config.rules.clone(), bootstrap },
            actions: Default::default(),
            waiting: Default::default(),
            next_request: 0,
            publications: publications.clone(),
            leader: leader_known,
            drained: drains,
            snapshots: Snapshots::new(config.log, latest_snapshot, work.clone(), clock.now()),
            stopping: stopping.clone(),
            random: rand::SeedableRng::seed_from_u64(config.seed),
            voters,
            belonging: if agreed { Belonging::Agreed } else { Belonging::Unknown },
            complained: HashMap::new(),
        };
        let node = Node {
            id: local.0,
            border,
            clock,
            internal_topics: config.internal_topics,
            deletes_topics: config.deletes_topics,
            rules: config.rules,
            producer_ids: Default::default(),
            broker_epoch: Default::default(),
        };
        let client = ControllerClient::new(work.clone(), publications, image, leader.clone(), drained, node);
        let run = move || {
            let ended = worker.run(&queue);
            if let Err(error) = &ended {
                say_failed.send_replace(Some(error.to_string()));
            }
            ended
        };
        let thread = std::thread::Builder::new().name("controller".into()).spawn(run).map_err(spawn_failed)?;
        Ok((Driver { work, stopping, leader, local, thread, publisher, failed }, client))
    }

    /// Returns if the node can no longer take part in the quorum, with the reason: what it has on disk contradicts
    /// itself, or what it would promise cannot be written.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().expect("it was waited for"),
            // The thread ended because it was asked to.
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives up leadership, if this node leads, and waits until another node does or `patience` is over.
    pub async fn hand_over(&self, patience: std::time::Duration) {
        self.work.send(Work::Resign).ok();
        let (mut leader, local) = (self.leader.clone(), self.local);
        let other = leader.wait_for(|known| known.leader.is_some_and(|leader| leader != local));
        tokio::time::timeout(patience, other).await.ok();
    }

    /// Finishes what was asked so far, and closes the log. Waits for the disk.
    /// Errors: the log was not closed whole; the directory must not be marked as cleanly shut down.
    pub fn stop(self) -> Result<(), MetadataError> {
        self.stopping.store(true, Ordering::Relaxed);
        self.work.send(Work::Stop).ok();
        let ended = self.thread.join().expect("the controller's thread does not panic");
        self.publisher.join().expect("the subscribers do not panic");
        ended
    }
}
