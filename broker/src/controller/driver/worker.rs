//! The thread itself: takes in what happens, steps the raft node, carries its actions out.

use super::Work;
use super::active::{Active, Making};
use super::answers::{Answer, QuorumAnswer, answer_all, not_active};
use super::links::Links;
use super::publisher::Publication;
use super::snapshots::Snapshots;
use super::sync::Sync;
use crate::clock::Clock;
use crate::controller::delta::ImageDelta;
use crate::controller::image::{MetadataImage, NO_LEADER};
use crate::controller::loader::{Loader, leaders_voters};
use crate::controller::metadata_log::{MetadataError, MetadataLog};
use crate::controller::request::{Refusal, Request};
use crate::controller::snapshot_files;
use crate::log::Flushed;
use crate::protocol::ErrorCode;
use crate::protocol::batch::batches;
use crate::raft::{
    Action, Answer as RaftAnswer, Event, LeaderAndEpoch, LeaderEpoch, Node, Refusal as RaftRefusal, ReplicaId,
    RequestId, Response, SnapshotId, SyncPoint,
};
use rand::rngs::StdRng;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, mpsc::Receiver};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

/// Bytes of records after which no further request joins those that are proposed together.
const GROUP_BYTES: usize = 4 << 20;
/// Bytes of the log that are replayed at a time.
const REPLAY_BYTES: usize = 1 << 20;
/// What is taken in before anything is proposed and time is looked at, however much more has arrived.
const TURN_MAX: usize = 1000;
/// Between two tries of what the disk refuses.
const DISK_PAUSE: Duration = Duration::from_millis(200);

type Result<T> = std::result::Result<T, MetadataError>;

pub struct Worker {
    pub clock: Clock,
    pub node: Node,
    pub log: MetadataLog,
    pub links: Links,
    pub syncs: mpsc::Sender<Sync>,
    /// The committed image, as far as it was replayed.
    pub loader: Loader,
    /// What the log said when it was opened: saves replaying it again, if all of it turns out to be committed.
    pub preloaded: Option<Loader>,
    /// The image that was shown last.
    pub published: Option<Arc<MetadataImage>>,
    /// The epoch that this node leads, and the offset behind the record that began it.
    pub leading: Option<(LeaderEpoch, i64)>,
    /// The leader that was known before none was.
    pub lost_leader: Option<ReplicaId>,
    pub active: Option<Active>,
    pub making: Making,
    /// Actions that are not carried out yet.
    pub actions: VecDeque<Action>,
    /// Requests of other nodes that are not answered yet.
    pub waiting: HashMap<RequestId, oneshot::Sender<QuorumAnswer>>,
    pub next_request: u64,
    pub publications: mpsc::Sender<Publication>,
    pub leader: watch::Sender<LeaderAndEpoch>,
    /// The brokers that are to lead nothing, as far as this node decides about that.
    pub drained: watch::Sender<BTreeSet<i32>>,
    pub snapshots: Snapshots,
    pub stopping: Arc<AtomicBool>,
    pub random: StdRng,
    /// The voters as this node's configuration has them.
    pub voters: BTreeSet<i32>,
    /// Whether the directory says that this node may have lost its disk.
    pub lacks_records: bool,
    /// When the controller may decide by time again, behind a write that the disk refused.
    pub decides_again_at: i64,
    pub belonging: Belonging,
    /// What was complained of, and when: each once in a while.
    pub complained: HashMap<String, i64>,
}

/// Whether this node and its quorum agree on who votes (`controller.quorum.voters`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// No leader that names the voters was followed yet.
    Unknown,
    /// One that names the same was. If a later one does not, it is that one's configuration that is wrong.
    Agreed,
    /// The first that was followed names others: this node's configuration is wrong, and it takes no part.
    Differs,
}

impl Worker {
    /// Works until it is asked to stop. Errors: the node can no longer take part in the quorum.
    pub fn run(mut self, queue: &Receiver<Work>) -> Result<()> {
        let ended = self.work(queue);
        self.publications.send(Publication::Stop).ok();
        if let Some(active) = self.active.take() {
            active.step_down();
        }
        ended?;
        let path = self.log.directory().to_owned();
        self.log.close().map_err(|source| MetadataError::Io { path, source })
    }

    fn work(&mut self, queue: &Receiver<Work>) -> Result<()> {
        self.step(Event::Tick)?;
        loop {
            let patience = self.next_deadline().saturating_sub(self.clock.now()).clamp(0, 3_600_000);
            let mut taken = 0;
            let mut next = match queue.recv_timeout(Duration::from_millis(patience as u64)) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            // All that has arrived is taken in before time is looked at: a heartbeat that waited here is not late.
            while let Some(work) = next {
                if self.take(work)?.is_break() {
                    return Ok(());
                }
                taken += 1;
                next = if taken < TURN_MAX { queue.try_recv().ok() } else { None };
            }
            self.propose()?;
            self.do_what_is_due()?;
        }
    }

    fn next_deadline(&self) -> i64 {
        let controller = self.active.as_ref().map_or(i64::MAX, |active| active.controller.next_deadline());
        let controller = controller.max(self.decides_again_at);
        let node = if self.belonging == Belonging::Differs { i64::MAX } else { self.node.next_deadline() };
        node.min(controller).min(self.snapshots.next_at())
    }

    fn take(&mut self, work: Work) -> Result<ControlFlow<()>> {
        match work {
            Work::Quorum(_, answer) if self.belonging == Belonging::Differs => self.refuse(answer),
            Work::Replied { .. } if self.belonging == Belonging::Differs => {}
            Work::Ask(request, answer) => self.ask(request, answer)?,
            Work::Quorum(request, answer) => {
                let id = RequestId(self.next_request);
                self.next_request += 1;
                self.waiting.insert(id, answer);
                self.step(Event::Request { id, request })?;
            }
            Work::Replied { from, correlation, reply: Some(response) } => {
                self.step(Event::Response { from, correlation, response })?;
            }
            Work::Replied { from, correlation, reply: None } => self.step(Event::Failed { from, correlation })?,
            Work::Synced(point, synced) => self.synced(point, synced)?,
            Work::SnapshotWritten(written) => self.snapshot_written(written)?,
            Work::Describe(answer) => drop(answer.send(self.node.describe())),
            Work::Resign => self.step(Event::Resign)?,
            Work::Stop => return Ok(ControlFlow::Break(())),
            #[cfg(test)]
            Work::Run(work) => work(),
            #[cfg(test)]
            Work::RunWhereItSyncs(work) => self.syncs.send(Sync::Run(work)).expect("the thread lives"),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn ask(&mut self, request: Request, answer: Answer) -> Result<()> {
        let now = self.clock.now();
        let Some(active) = &mut self.active else {
            answer.send(Err(not_active())).ok();
            return Ok(());
        };
        active.decide(now, &mut self.random, request, answer);
        let drained = active.controller.drained();
        self.drained.send_if_modified(|shown| {
            let differs = shown != drained;
            if differs {
                shown.clone_from(drained);
            }
            differs
        });
        if active.group_bytes() >= GROUP_BYTES { self.propose() } else { Ok(()) }
    }

    fn do_what_is_due(&mut self) -> Result<()> {
        let now = self.clock.now();
        if self.node.next_deadline() <= now && self.belonging != Belonging::Differs {
            self.step(Event::Tick)?;
        }
        let may_decide = now >= self.decides_again_at;
        let is_due = |active: &&mut Active| may_decide && active.controller.next_deadline() <= now;
        if let Some(active) = self.active.as_mut().filter(is_due) {
            active.tick(now);
            self.propose()?;
        }
        if self.snapshots.is_due(now) && !self.loader.in_transaction() {
            let (directory, image) = (self.log.directory().to_owned(), self.loader.image().clone());
            self.snapshots.begin(directory, image, self.loader.quorum.clone(), now);
        }
        Ok(())
    }

    /// Steps the node and carries out what it says.
    fn step(&mut self, event: Event) -> Result<()> {
        self.actions.extend(self.node.step(self.clock.now(), event));
        self.carry_out()
    }

    /// Writes what the controller has decided behind the log, and proposes it.
    fn propose(&mut self) -> Result<()> {
        let now = self.clock.now();
        let Some(active) = &mut self.active else { return Ok(()) };
        let Some(records) = active.records_to_propose() else { return Ok(()) };
        if let Err(error) = self.log.append(&records.bytes, now) {
            error!(log = %self.log.directory().display(), %error, "the metadata log cannot be written");
            let refusal = Refusal::new(ErrorCode::KafkaStorageError, "The metadata log cannot be written.");
            active.refuse(self.loader.image(), &refusal);
            self.decides_again_at = now + DISK_PAUSE.as_millis() as i64;
            // Another voter's disk may have room. A quorum of one has no other.
            return if self.voters.len() > 1 { self.step(Event::Resign) } else { Ok(()) };
        }
        let actions =
            self.node.propose(now, active.proposed()).expect("the node leads, and the records follow its log");
        let is_append = |action: &Action| matches!(action, Action::Append(_));
        let written = actions.iter().position(is_append).expect("what is proposed is appended");
        self.actions.extend(actions.into_iter().enumerate().filter(|(place, _)| *place != written).map(|(_, one)| one));
        self.carry_out()
    }

    fn carry_out(&mut self) -> Result<()> {
        while let Some(action) = self.actions.pop_front() {
            self.carry_out_one(action)?;
        }
        if self.lacks_records && !self.node.may_have_lost_its_disk() {
            self.insist("what this node has", |log| log.has_all())?;
            self.lacks_records = false;
        }
        self.take_over_if_ready()
    }

    fn carry_out_one(&mut self, action: Action) -> Result<()> {
        let now = self.clock.now();
        match action {
            Action::PersistElection(state) => self.insist("quorum-state", |log| log.write_election(&state))?,
            Action::Truncate { end_offset } => {
                info!(end_offset, "the end of the metadata log was not committed, and is cut");
                if self.preloaded.as_ref().is_some_and(|whole| whole.applied().end_offset > end_offset) {
                    self.preloaded = None;
                }
                self.insist("the metadata log", |log| log.truncate(end_offset, now))?;
            }
            Action::Append(records) => {
                self.compare_voters(&records.bytes);
                if self.belonging == Belonging::Differs {
                    self.actions.clear();
                    return Ok(());
                }
                self.insist("the metadata log", |log| log.append(&records.bytes, now))?;
            }
            Action::Sync(point) => self.sync(point)?,
            Action::WriteSnapshot { id, position, bytes } => {
                let write = |log: &mut MetadataLog| snapshot_files::write_part(log.directory(), id, position, &bytes);
                self.insist("a snapshot of the metadata", write)?;
            }
            Action::InstallSnapshot(id) => self.install_snapshot(id, now)?,
            Action::Send { to, correlation, request } => self.links.send(to, correlation, request),
            Action::Respond { to, response } => self.respond(to, response, Vec::new()),
            Action::RespondWithRecords { to, response, read } => {
                match self.log.read(read.offset, read.bytes_max.max(0) as usize, i64::MAX) {
                    Ok(records) => self.respond(to, response, records),
                    Err(error) => {
                        error!(log = %self.log.directory().display(), %error, "the metadata log cannot be read");
                        self.waiting.remove(&to);
                    }
                }
            }
            Action::RespondWithSnapshot { to, response, bytes_max } => {
                self.respond_with_snapshot(to, response, bytes_max)
            }
            Action::Committed { high_watermark } => self.committed(high_watermark)?,
            Action::LeaderChanged(leader) => self.leader_changed(leader),
            Action::Complain(complaint) => self.complain(complaint.to_string()),
        }
        Ok(())
    }

    /// A line for whoever can put it right: two mistakes at once must not fill the disk with their lines in turn.
    fn complain(&mut self, complaint: String) {
        const INTERVAL_MS: i64 = 10_000;
        let now = self.clock.now();
        if self.complained.get(&complaint).is_none_or(|last| now - last >= INTERVAL_MS) {
            error!("{complaint}");
            self.complained.retain(|_, last| now - *last < INTERVAL_MS);
            self.complained.insert(complaint, now);
        }
    }

    /// Whether a leader whose epoch begins in `batches` names the voters that this node knows.
    fn compare_voters(&mut self, batches: &[u8]) {
        let Some(named) = leaders_voters(batches) else { return };
        if named == self.voters {
            self.belonging = Belonging::Agreed;
            return;
        }
        let own = &self.voters;
        let text =
            format!("controller.quorum.voters differs: the leader of the quorum names {named:?}, this node {own:?}");
        if self.belonging == Belonging::Unknown {
            self.belonging = Belonging::Differs;
            self.complain(format!("{text}; this node takes no part until it is started with the same"));
        } else {
            self.complain(text);
        }
    }

    /// What a node that does not belong to the quorum says to the others.
    fn refuse(&self, answer: oneshot::Sender<QuorumAnswer>) {
        let response = Response { leader: self.node.leader(), body: Err(RaftRefusal::InconsistentVoterSet) };
        answer.send(QuorumAnswer { response, records: Vec::new() }).ok();
    }

    /// Does what the disk must do before anything else may happen, as often as it takes: it may be full, and not for ever.
    /// Until then this node is as good as frozen, and the quorum goes on without it.
    /// Errors: the node is asked to stop before.
    fn insist(&mut self, what: &str, mut write: impl FnMut(&mut MetadataLog) -> io::Result<()>) -> Result<()> {
        loop {
            let Err(error) = write(&mut self.log) else { return Ok(()) };
            let path = self.log.directory().to_owned();
            error!(log = %path.display(), %error, "{what} cannot be written; this node waits until it can");
            if self.stopping.load(Ordering::Relaxed) {
                return Err(MetadataError::Io { path, source: error });
            }
            std::thread::sleep(DISK_PAUSE);
        }
    }

    fn sync(&mut self, point: SyncPoint) -> Result<()> {
        let mut task = None;
        self.insist("the metadata log", |log| {
            task = log.flush_task()?.map(Box::new);
            Ok(())
        })?;
        self.syncs.send(Sync::Log { point, task }).expect("the thread lives as long as this one");
        Ok(())
    }

    fn synced(&mut self, point: SyncPoint, synced: io::Result<Option<Flushed>>) -> Result<()> {
        self.log.flushed(&synced);
        match synced {
            Ok(_) => self.step(Event::Synced(point)),
            Err(error) => {
                error!(log = %self.log.directory().display(), %error, "the metadata log cannot be synced; it is tried again");
                std::thread::sleep(DISK_PAUSE);
                self.sync(point)
            }
        }
    }

    fn respond(&mut self, to: RequestId, response: Response, records: Vec<u8>) {
        if let Some(waiting) = self.waiting.remove(&to) {
            waiting.send(QuorumAnswer { response, records }).ok();
        }
    }

    fn respond_with_snapshot(&mut self, to: RequestId, mut response: Response, bytes_max: i32) {
        if let Ok(RaftAnswer::FetchSnapshot(chunk)) = &mut response.body {
            let position = chunk.position.max(0) as u64;
            let part = snapshot_files::read_part(self.log.directory(), chunk.id, position, bytes_max.max(0) as usize);
            match part {
                Ok((size, _)) if size < position => response.body = Err(RaftRefusal::PositionOutOfRange),
                Ok((size, bytes)) => (chunk.size, chunk.bytes) = (size as i64, bytes),
                Err(_) => response.body = Err(RaftRefusal::SnapshotNotFound),
            }
        }
        self.respond(to, response, Vec::new());
    }

    fn install_snapshot(&mut self, id: SnapshotId, now: i64) -> Result<()> {
        info!(snapshot = %id, "the metadata comes from a snapshot of the leader's");
        self.loader = loop {
            match self.log.install_snapshot(id, now) {
                Err(MetadataError::Io { path, source }) if !self.stopping.load(Ordering::Relaxed) => {
                    error!(log = %path.display(), error = %source, "a snapshot cannot be taken over; this node waits until it can");
                    std::thread::sleep(DISK_PAUSE);
                }
                installed => break installed?,
            }
        };
        self.preloaded = None;
        self.snapshots.installed(id);
        let published = self.published.clone().unwrap_or_default();
        self.publish(ImageDelta::between(&published, self.loader.image()));
        Ok(())
    }

    fn committed(&mut self, high_watermark: i64) -> Result<()> {
        let Some(active) = &mut self.active else {
            self.replay_to(high_watermark)?;
            if !self.loader.in_transaction() {
                let delta = self.loader.take_delta();
                self.publish(delta);
            }
            return Ok(());
        };
        if let Some(changes) = active.committed(high_watermark) {
            let end_offset = changes.image.applied.end_offset;
            self.loader.advance_to(changes.image);
            self.snapshots.committed(changes.bytes);
            self.publish(changes.delta);
            answer_all(changes.answers, end_offset);
        }
        Ok(())
    }

    fn replay_to(&mut self, high_watermark: i64) -> Result<()> {
        if let Some(whole) = self.preloaded.take()
            && whole.applied().end_offset <= high_watermark
            && whole.applied().end_offset > self.loader.applied().end_offset
        {
            self.snapshots.committed((whole.applied().end_offset - self.loader.applied().end_offset) as usize);
            self.loader = whole;
        }
        while self.loader.applied().end_offset < high_watermark {
            let offset = self.loader.applied().end_offset;
            let path = || self.log.directory().to_owned();
            let io = |source| MetadataError::Io { path: path(), source };
            let bytes = self.log.read(offset, REPLAY_BYTES, high_watermark).map_err(io)?;
            assert!(!bytes.is_empty(), "what is committed is in the log");
            self.snapshots.committed(bytes.len());
            for batch in batches(&bytes) {
                let batch = batch.map_err(|error| io(io::Error::other(error)))?;
                self.loader.take(batch).map_err(|source| MetadataError::Contradiction { path: path(), source })?;
            }
        }
        Ok(())
    }

    /// Shows the committed image.
    fn publish(&mut self, delta: ImageDelta) {
        let image = Arc::new(self.loader.image().clone());
        if let Some(before) = self.published.as_ref().filter(|_| self.active.is_some()) {
            say_who_is_fenced(before, &image, &delta);
        }
        let delta = if self.published.is_none() { ImageDelta::everything(&image) } else { delta };
        self.published = Some(image.clone());
        self.publications.send(Publication::Image(image, delta)).ok();
    }

    fn leader_changed(&mut self, leader: LeaderAndEpoch) {
        let before = self.leader.send_replace(leader);
        self.lost_leader = before.leader.or(self.lost_leader);
        let leads = leader.leader == Some(self.node_id());
        if self.active.as_ref().is_some_and(|active| !leads || active.epoch != leader.epoch) {
            self.active.take().expect("it was there").step_down();
            self.drained.send_replace(BTreeSet::new());
            info!(epoch = leader.epoch.0, "this node is no longer the active controller");
        }
        self.leading = leads.then(|| (leader.epoch, self.node.log_end().offset));
    }

    fn node_id(&self) -> ReplicaId {
        self.node.local().id
    }

    /// Becomes the active controller once all that the log held when this node was elected is committed and replayed.
    fn take_over_if_ready(&mut self) -> Result<()> {
        let Some((epoch, begins_behind)) = self.leading else { return Ok(()) };
        if self.active.is_some() || self.loader.applied().end_offset < begins_behind {
            return Ok(());
        }
        let now = self.clock.now();
        let (image, in_transaction) = (self.loader.clone().into_image(), self.loader.in_transaction());
        let mut active = Active::take_over(&self.making, epoch, image, in_transaction, now);
        if let Some(lost) = self.lost_leader.filter(|lost| *lost != self.node_id()) {
            active.controller.suspect(now, lost.0);
        }
        info!(epoch = epoch.0, "this node is the active controller");
        self.active = Some(active);
        self.propose()
    }

    fn snapshot_written(&mut self, written: io::Result<SnapshotId>) -> Result<()> {
        let id = match written {
            Ok(id) => id,
            Err(error) => {
                self.snapshots.failed();
                warn!(log = %self.log.directory().display(), %error, "no snapshot of the metadata; it is tried again");
                return Ok(());
            }
        };
        info!(snapshot = %id, "snapshot of the metadata");
        self.step(Event::SnapshotTaken(id))?;
        let Some(before) = self.snapshots.written(id) else { return Ok(()) };
        if let Err(error) = self.log.forget_before(before, self.clock.now()) {
            warn!(log = %self.log.directory().display(), %error, "old metadata stays on the disk");
            return Ok(());
        }
        self.step(Event::LogStartMoved(before))
    }
}

/// A line for each broker that has come or gone.
fn say_who_is_fenced(before: &MetadataImage, after: &MetadataImage, delta: &ImageDelta) {
    for id in &delta.brokers {
        let is_fenced = |image: &MetadataImage| image.brokers.get(id).is_none_or(|broker| broker.fenced);
        let leaderless = after.topics.led_by(NO_LEADER);
        match (is_fenced(before), is_fenced(after)) {
            (false, true) => warn!(broker = id, partitions_without_a_leader = leaderless, "a broker is fenced"),
            (true, false) => info!(broker = id, partitions_without_a_leader = leaderless, "a broker is unfenced"),
            _ => {}
        }
    }
}
