//! The thread that owns the controller and its log: decides, makes durable, shows, answers.
//!
//! - Requests that are waiting share one sync of the disk; each is decided upon the records of those before it.
//! - The order is always: on the disk, shown to the subscribers, published, answered.
//! - What cannot be written is refused and leaves no trace; the next request tries again.

use super::batches::Place;
use super::client::{ControllerClient, Node, Subscriber, Work};
use super::delta::ImageDelta;
use super::image::MetadataImage;
use super::loader::QuorumControl;
use super::metadata_log::{MetadataError, MetadataLog};
use super::records::MetadataRecord;
use super::request::{Refusal, Request, Response};
use super::snapshot_files::{self, SnapshotId};
use super::start::{Started, start};
use super::state::{Controller, RECORDS_PER_REQUEST_MAX};
use crate::protocol::ErrorCode;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

pub use super::start::{DriverConfig, MetadataLogConfig};

/// Bytes of records after which no further request joins those that wait for the disk together.
const GROUP_BYTES: usize = 4 << 20;

/// The controller's thread.
pub struct Driver {
    work: mpsc::UnboundedSender<Work>,
    thread: JoinHandle<io::Result<()>>,
}

impl Driver {
    /// Loads the metadata, becomes the leader of the quorum of one, registers this broker, and starts to work. Waits for
    /// the disk.
    /// Errors: [`MetadataError`]: the node must not start.
    pub fn start(config: DriverConfig) -> Result<(Driver, ControllerClient), MetadataError> {
        let Started { controller, log, quorum, epoch, broker_epoch } = start(&config, now_ms())?;
        let (work, queue) = mpsc::unbounded_channel();
        let (published, image) = watch::channel(Arc::new(controller.image().clone()));
        let node = Node {
            id: config.registration.id,
            broker_epoch,
            cluster_id: config.cluster_id,
            internal_topics: config.internal_topics,
            deletes_topics: config.deletes_topics,
            rules: config.rules,
            producer_ids: Default::default(),
        };
        let client = ControllerClient::new(work.clone(), image, node);
        let worker = Worker {
            controller,
            log,
            quorum,
            epoch,
            published,
            subscribers: Vec::new(),
            random: StdRng::seed_from_u64(config.seed),
            snapshots: Snapshots {
                after_bytes: config.log.snapshot_after_bytes,
                interval_ms: config.log.snapshot_interval_ms,
                bytes: 0,
                last: now_ms(),
                running: false,
            },
            work: work.downgrade(),
        };
        let thread = std::thread::Builder::new().name("controller".into()).spawn(move || worker.run(queue));
        let path = config.directory.path().to_owned();
        let thread = thread.map_err(|source| MetadataError::Io { path, source })?;
        Ok((Driver { work, thread }, client))
    }

    /// Finishes what was asked so far, and closes the log. Waits for the disk.
    /// Errors: the log was not closed whole; the directory must not be marked as cleanly shut down.
    pub fn stop(self) -> io::Result<()> {
        self.work.send(Work::Stop).ok();
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the controller has panicked")))
    }
}

/// When a snapshot is due.
struct Snapshots {
    /// `metadata.log.max.record.bytes.between.snapshots`.
    after_bytes: i64,
    /// `metadata.log.max.snapshot.interval.ms`.
    interval_ms: Option<i64>,
    /// Bytes appended since the last snapshot.
    bytes: usize,
    /// When the last one was begun.
    last: i64,
    running: bool,
}

impl Snapshots {
    fn is_due(&self, now: i64) -> bool {
        let old = self.interval_ms.is_some_and(|interval| now.saturating_sub(self.last) >= interval);
        !self.running && self.bytes > 0 && (old || self.bytes as i64 >= self.after_bytes)
    }
}

type Answer = oneshot::Sender<Result<Response, Refusal>>;

struct Worker {
    controller: Controller,
    log: MetadataLog,
    quorum: QuorumControl,
    epoch: i32,
    published: watch::Sender<Arc<MetadataImage>>,
    subscribers: Vec<Subscriber>,
    random: StdRng,
    snapshots: Snapshots,
    work: mpsc::WeakUnboundedSender<Work>,
}

/// What requests that share one sync come to.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    delta: ImageDelta,
    answers: Vec<(Answer, Response)>,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::UnboundedReceiver<Work>) -> io::Result<()> {
        let mut put_back = None;
        while let Some(work) = put_back.take().or_else(|| queue.blocking_recv()) {
            match work {
                Work::Handle(request, answer) => put_back = self.handle(request, answer, &mut queue),
                Work::Subscribe(subscriber, done) => self.subscribe(subscriber, done),
                Work::SnapshotWritten(written) => self.snapshot_written(written),
                Work::Stop => break,
            }
        }
        self.log.close()
    }

    /// Handles a request and those that wait behind it; gives back what is no request.
    fn handle(&mut self, request: Request, answer: Answer, queue: &mut mpsc::UnboundedReceiver<Work>) -> Option<Work> {
        let now = now_ms();
        let mut group = Group::default();
        let mut put_back = None;
        self.decide(now, request, answer, &mut group);
        while group.bytes.len() < GROUP_BYTES {
            match queue.try_recv() {
                Ok(Work::Handle(request, answer)) => self.decide(now, request, answer, &mut group),
                Ok(other) => {
                    put_back = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(now, group);
        put_back
    }

    fn decide(&mut self, now: i64, request: Request, answer: Answer, group: &mut Group) {
        let (response, records) = self.controller.handle(now, &mut self.random, request);
        let epoch = self.epoch;
        apply(&mut self.controller, epoch, now, &records, &mut group.bytes, &mut group.delta);
        group.answers.push((answer, response));
    }

    fn commit(&mut self, now: i64, group: Group) {
        if group.bytes.is_empty() {
            return answer_all(group.answers);
        }
        if let Err(refusal) = self.make_durable(&group.bytes, now) {
            self.controller.revert(MetadataImage::clone(&self.published.borrow()));
            return refuse_all(group.answers, &refusal);
        }
        self.publish(&group.delta);
        answer_all(group.answers);
        self.snapshots.bytes += group.bytes.len();
        if self.snapshots.is_due(now) {
            self.begin_snapshot(now);
        }
    }

    fn make_durable(&mut self, bytes: &[u8], now: i64) -> Result<(), Refusal> {
        self.log.append(bytes, now).map_err(|error| {
            error!(log = %self.log.directory().display(), %error, "the metadata log cannot be written");
            Refusal::new(ErrorCode::KafkaStorageError, "The metadata log cannot be written.")
        })
    }

    fn publish(&mut self, delta: &ImageDelta) {
        let old = self.published.borrow().clone();
        let new = Arc::new(self.controller.image().clone());
        for subscriber in &self.subscribers {
            subscriber(&old, &new, delta);
        }
        self.published.send_replace(new);
    }

    fn subscribe(&mut self, subscriber: Subscriber, done: oneshot::Sender<()>) {
        let image = self.controller.image();
        subscriber(&MetadataImage::default(), image, &ImageDelta::everything(image));
        self.subscribers.push(subscriber);
        done.send(()).ok();
    }

    /// Writes a snapshot beside the work: an image does not change.
    fn begin_snapshot(&mut self, now: i64) {
        (self.snapshots.bytes, self.snapshots.last, self.snapshots.running) = (0, now, true);
        let (image, quorum, work) = (self.controller.image().clone(), self.quorum.clone(), self.work.clone());
        let directory = self.log.directory().to_owned();
        let write = move || {
            let written = snapshot_files::write(&directory, &image, &quorum, now);
            if let Some(work) = work.upgrade() {
                work.send(Work::SnapshotWritten(written)).ok();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("snapshot".into()).spawn(write) {
            self.snapshot_written(Err(error));
        }
    }

    fn snapshot_written(&mut self, written: io::Result<SnapshotId>) {
        self.snapshots.running = false;
        let forgotten = written.and_then(|snapshot| {
            info!(offset = snapshot.end_offset, "snapshot of the metadata");
            self.log.forget_before(snapshot, now_ms())
        });
        if let Err(error) = forgotten {
            warn!(log = %self.log.directory().display(), %error, "no snapshot of the metadata; it is tried again");
        }
    }
}

/// Appends `records` to `bytes` as they go into the log, and replays them.
pub(super) fn apply(
    controller: &mut Controller,
    epoch: i32,
    now: i64,
    records: &[MetadataRecord<'_>],
    bytes: &mut Vec<u8>,
    delta: &mut ImageDelta,
) {
    let level = controller.metadata_version();
    for records in records.chunks(RECORDS_PER_REQUEST_MAX) {
        let place = Place { base_offset: controller.image().applied.end_offset, epoch, timestamp: now };
        bytes.extend(place.batch(level, records));
        for record in records {
            controller.replay(record, delta).expect("the controller's own records fit its image");
        }
        controller.batch_applied(epoch, now);
    }
}

fn answer_all(answers: Vec<(Answer, Response)>) {
    for (answer, response) in answers {
        answer.send(Ok(response)).ok();
    }
}

fn refuse_all(answers: Vec<(Answer, Response)>, refusal: &Refusal) {
    for (answer, _) in answers {
        answer.send(Err(refusal.clone())).ok();
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
