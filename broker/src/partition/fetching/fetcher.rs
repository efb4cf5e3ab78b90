//! One fetcher: the task that fetches from one leader.

use super::connection::{Connection, ConnectionError};
use super::followers::{FetcherSettings, Key, Order, Orders};
use crate::clock::now_ms;
use crate::controller::Vanished;
use crate::partition::{FetchedRecords, FollowError, Partition, Position};
use crate::protocol::messages::fetch::*;
use crate::protocol::{ErrorCode, Records};
use crate::telemetry::RateLimited;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause behind an error; each further one is twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const UNDER_WAY_MAX: i32 = 2;

/// A partition that is fetched.
struct Target {
    partition: Arc<Partition>,
    /// What the leader's session knows of it; `None` where it knows nothing.
    asked: Option<Position>,
    /// The number of the first request whose answer is to `asked`.
    asked_by: u64,
    /// Whether the next request names it.
    is_due: bool,
    /// Errors since the last success.
    failures: u32,
    /// Not to be named before.
    resting_until: Option<Instant>,
    /// Whether it lacks committed records, as far as its leader has told.
    lags: bool,
}

pub struct Fetcher {
    leader: i32,
    settings: FetcherSettings,
    broker_id: i32,
    broker_epoch: Arc<dyn Fn() -> i64 + Send + Sync>,
    orders: Arc<Orders>,
    vanished: Arc<Vanished>,
    targets: HashMap<Key, Target>,
    due: Vec<Key>,
    forgotten: Vec<Key>,
    resting: Vec<Key>,
    /// Of a session that has ended, until the next one takes its place.
    session_id: i32,
    session_epoch: i32,
    has_session: bool,
    /// The numbers of the next request, over all connections, and of the one whose answer comes next.
    next_request: u64,
    next_answer: u64,
    faults: RateLimited,
}

/// What ends the wait for an answer.
enum Step {
    Answer,
    Orders,
    Rested,
}

impl Fetcher {
    pub fn new(
        leader: i32,
        settings: FetcherSettings,
        broker_id: i32,
        broker_epoch: Arc<dyn Fn() -> i64 + Send + Sync>,
        orders: Arc<Orders>,
        vanished: Arc<Vanished>,
    ) -> Fetcher {
        Fetcher {
            leader,
            settings,
            broker_id,
            broker_epoch,
            orders,
            vanished,
            targets: HashMap::new(),
            due: Vec::new(),
            forgotten: Vec::new(),
            resting: Vec::new(),
            session_id: 0,
            session_epoch: 0,
            has_session: false,
            next_request: 0,
            next_answer: 0,
            faults: RateLimited::new(),
        }
    }

    /// Fetches until it is dropped.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            self.take_orders();
            let address = self.orders.address().filter(|_| !self.targets.is_empty());
            let Some((host, port)) = address else {
                self.vanished.found(self.leader);
                self.orders.changed().await;
                continue;
            };
            match self.fetch_from(&host, port, &mut failures).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    if matches!(error, ConnectionError::Io(_)) {
                        self.vanished.lost(self.leader);
                    }
                    let (leader, partitions) = (self.leader, self.targets.len());
                    tracing::info!(leader, host, port, partitions, %error, "lost the connection to a leader");
                    // Another address or other orders end the pause.
                    let pause = self.backoff(failures);
                    tokio::time::timeout(pause, self.orders.changed()).await.ok();
                    failures += 1;
                }
            }
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        let max = Duration::from_millis(self.settings.backoff_max_ms);
        BACKOFF_MIN.saturating_mul(1 << failures.min(16)).min(max)
    }

    /// Fetches over one connection, until there is nothing to fetch. Errors: the connection is of no use any more.
    async fn fetch_from(&mut self, host: &str, port: u16, failures: &mut u32) -> Result<(), ConnectionError> {
        let client_id = format!("broker-{}-fetcher", self.broker_id);
        let mut connection = Connection::open(host, port, client_id).await?;
        self.begin_session();
        let mut is_heard = false;
        loop {
            if connection.under_way() == 0 {
                self.take_orders();
                if self.targets.is_empty() {
                    return Ok(());
                }
                self.send(&mut connection).await?;
            } else if self.may_send(&connection) && self.has_something_to_say() {
                self.send(&mut connection).await?;
            }
            match self.wait(&mut connection).await? {
                Step::Answer => {
                    self.answered(&mut connection).await?;
                    *failures = 0;
                    if !std::mem::replace(&mut is_heard, true) {
                        self.vanished.found(self.leader);
                    }
                }
                Step::Orders => {
                    self.take_orders();
                    if self.orders.address().is_none_or(|now| now != (host.to_owned(), port)) {
                        return Ok(());
                    }
                }
                Step::Rested => self.wake_rested(),
            }
        }
    }

    /// While the session is begun, the leader could not take a second request.
    fn may_send(&self, connection: &Connection) -> bool {
        connection.under_way() == 0 || connection.under_way() < UNDER_WAY_MAX && self.has_session
    }

    fn has_something_to_say(&self) -> bool {
        !self.due.is_empty() || !self.forgotten.is_empty()
    }

    async fn wait(&self, connection: &mut Connection) -> Result<Step, ConnectionError> {
        let socket_timeout = Duration::from_millis(self.settings.socket_timeout_ms);
        let asks = connection.under_way() > 0;
        let wait = Duration::from_millis(self.settings.wait_max_ms.max(0) as u64);
        let patience = if asks { socket_timeout + wait } else { Duration::MAX };
        let may_send = self.may_send(connection);
        let rested = self.resting.iter().filter_map(|key| self.targets.get(key)?.resting_until).min();
        tokio::select! {
            biased;
            arrived = connection.answered(patience) => arrived.map(|()| Step::Answer),
            () = self.orders.changed() => Ok(Step::Orders),
            () = tokio::time::sleep_until(rested.unwrap_or_else(Instant::now)), if may_send && rested.is_some() => {
                Ok(Step::Rested)
            }
        }
    }

    fn take_orders(&mut self) {
        for order in self.orders.take() {
            match order {
                Order::Follow(partition) => {
                    let key = (partition.topic_id, partition.index);
                    let before = self.targets.get(&key);
                    let target = Target {
                        partition,
                        asked: before.and_then(|before| before.asked),
                        asked_by: self.next_request,
                        // It may stand among those to be named already.
                        is_due: before.is_some_and(|before| before.is_due),
                        failures: 0,
                        resting_until: None,
                        lags: true,
                    };
                    self.targets.insert(key, target);
                    self.make_due(key);
                }
                Order::Leave(key) => {
                    if self.targets.remove(&key).is_some_and(|target| target.asked.is_some()) {
                        self.forgotten.push(key);
                    }
                }
            }
        }
    }

    fn make_due(&mut self, key: Key) {
        let Some(target) = self.targets.get_mut(&key) else { return };
        if !std::mem::replace(&mut target.is_due, true) {
            self.due.push(key);
        }
    }

    /// The next request says where the log is now: an answer to one that is under way does not know it.
    fn ask_anew(&mut self, key: Key) {
        if let Some(target) = self.targets.get_mut(&key) {
            target.asked_by = self.next_request;
        }
        self.make_due(key);
    }

    /// The next request ends the session there was, begins another, and names all.
    fn begin_session(&mut self) {
        (self.session_epoch, self.has_session) = (0, false);
        self.next_answer = self.next_request;
        self.forgotten.clear();
        self.resting.clear();
        self.due = self.targets.keys().copied().collect();
        for target in self.targets.values_mut() {
            (target.asked, target.is_due, target.resting_until) = (None, true, None);
        }
    }

    fn wake_rested(&mut self) {
        let now = Instant::now();
        let resting = std::mem::take(&mut self.resting);
        for key in resting {
            let Some(target) = self.targets.get_mut(&key) else { continue };
            match target.resting_until {
                Some(until) if until > now => self.resting.push(key),
                _ => {
                    target.resting_until = None;
                    self.make_due(key);
                }
            }
        }
    }

    async fn send(&mut self, connection: &mut Connection) -> Result<(), ConnectionError> {
        self.sync_unnamed().await;
        let topics = self.name_due();
        // One that is named is known anew, whatever was the matter with it.
        let Fetcher { targets, forgotten: left, .. } = self;
        left.retain(|key| targets.get(key).is_none_or(|target| target.asked.is_none()));
        let waits_already = connection.under_way() > 0 && left.is_empty();
        if topics.is_empty() && (waits_already || targets.values().all(|target| target.asked.is_none())) {
            // A request for nothing is answered at once. What was left out is said with the next one.
            return Ok(());
        }
        let begins = self.session_epoch == 0;
        let forgotten_topics_data = if begins { Vec::new() } else { forgotten(&self.forgotten) };
        self.forgotten.clear();
        let request = FetchRequest {
            replica_state: ReplicaState { replica_id: self.broker_id, replica_epoch: (self.broker_epoch)() },
            // The first answer only begins the session: until then no second request may be sent.
            max_wait_ms: if begins { 0 } else { self.settings.wait_max_ms },
            min_bytes: self.settings.bytes_min,
            max_bytes: self.settings.response_bytes_max,
            session_id: self.session_id,
            session_epoch: self.session_epoch,
            topics,
            forgotten_topics_data,
            ..Default::default()
        };
        self.session_epoch = if self.session_epoch == i32::MAX { 1 } else { self.session_epoch + 1 };
        connection.send(&request).await?;
        self.next_request += 1;
        Ok(())
    }

    /// What an earlier process has left unsynced counts as little as what is appended now.
    async fn sync_unnamed(&mut self) {
        let unsynced = |key: &&Key| {
            let unnamed = self.targets.get(*key).filter(|target| target.asked.is_none());
            unnamed.and_then(|target| target.partition.position()).is_some_and(|position| position.awaits_sync)
        };
        let unsynced: Vec<Key> = self.due.iter().filter(unsynced).copied().collect();
        if !unsynced.is_empty() {
            self.sync(unsynced).await;
        }
    }

    fn name_due(&mut self) -> Vec<FetchTopic<'static>> {
        let mut due = std::mem::take(&mut self.due);
        due.sort_unstable();
        due.dedup();
        let mut topics: Vec<FetchTopic<'static>> = Vec::new();
        for key in due {
            let Some(target) = self.targets.get_mut(&key) else { continue };
            target.is_due = false;
            if target.resting_until.is_some() {
                continue;
            }
            let Some(position) = target.partition.position() else {
                // It leads now, or is gone: an order will say so.
                if target.asked.take().is_some() {
                    self.forgotten.push(key);
                }
                continue;
            };
            if let Some(pause) = target.partition.held_back(target.lags) {
                target.resting_until = Some(Instant::now() + pause);
                let is_known = target.asked.take().is_some();
                self.forgotten.extend(is_known.then_some(key));
                self.resting.push(key);
                continue;
            }
            (target.asked, target.asked_by) = (Some(position), self.next_request);
            if topics.last().is_none_or(|last| last.topic_id != key.0) {
                topics.push(FetchTopic { topic_id: key.0, ..Default::default() });
            }
            let last = topics.last_mut().expect("just pushed");
            last.partitions.push(FetchPartition {
                partition: key.1,
                current_leader_epoch: position.leader_epoch,
                fetch_offset: position.offset,
                last_fetched_epoch: position.last_epoch,
                log_start_offset: position.log_start_offset,
                partition_max_bytes: self.settings.partition_bytes_max,
                high_watermark: position.high_watermark,
                ..Default::default()
            });
        }
        topics
    }

    /// Takes over the answer that has arrived.
    async fn answered(&mut self, connection: &mut Connection) -> Result<(), ConnectionError> {
        let response = connection.answer()?;
        if response.error_code != 0 {
            let code = ErrorCode::from_code(response.error_code).unwrap_or(ErrorCode::UnknownServerError);
            return Err(std::io::Error::other(format!("the leader answered {}", code.name())).into());
        }
        if !self.has_session {
            (self.session_id, self.has_session) = (response.session_id, true);
            if response.session_id == 0 {
                return Err(std::io::Error::other("the leader has no room for a session").into());
            }
        }
        let now = now_ms();
        let mut unsynced = Vec::new();
        for topic in &response.responses {
            for data in &topic.partitions {
                self.partition_answered((topic.topic_id, data.partition_index), data, now, &mut unsynced);
            }
        }
        drop(response);
        connection.consume();
        self.next_answer += 1;
        self.sync(unsynced).await;
        Ok(())
    }

    fn partition_answered(&mut self, key: Key, data: &PartitionData<'_>, now: i64, unsynced: &mut Vec<Key>) {
        let Some(target) = self.targets.get_mut(&key) else { return };
        // To one that rests, or was given up.
        let Some(asked) = target.asked else { return };
        if self.next_answer < target.asked_by {
            // From before the partition was named anew, or is to be. That request says what is known here: what this
            // answer holds is told once more.
            return;
        }
        match follow(&target.partition, &asked, data, now) {
            Ok(position) => {
                target.failures = 0;
                target.asked = Some(position);
                if data.high_watermark >= 0 {
                    target.lags = position.offset < data.high_watermark;
                }
                if position.awaits_sync {
                    unsynced.push(key);
                }
                let said = |of: &Position| (of.leader_epoch, of.offset, of.last_epoch, of.log_start_offset);
                if said(&position) != said(&asked) {
                    self.ask_anew(key);
                }
            }
            // The log is not where it was: the next request says where.
            Err(Failure::Follow(FollowError::Outdated)) => self.ask_anew(key),
            Err(failure) => self.rest(key, &failure),
        }
    }

    /// Leaves a partition out of the session for a while: an error is answered at once, again and again.
    fn rest(&mut self, key: Key, failure: &dyn std::fmt::Display) {
        let backoff = self.targets.get(&key).map_or(BACKOFF_MIN, |target| self.backoff(target.failures));
        let Some(target) = self.targets.get_mut(&key) else { return };
        let (topic, partition, leader) = (&target.partition.topic, target.partition.index, self.leader);
        // The first few are those of brokers that hear of a new leader one after the other.
        if target.failures >= 4 {
            self.faults.warn(|left_out| {
                tracing::warn!(%topic, partition, leader, %failure, left_out, "a partition cannot be fetched, and is tried again");
            });
        }
        target.failures = target.failures.saturating_add(1);
        target.resting_until = Some(Instant::now() + backoff);
        target.asked = None;
        self.forgotten.push(key);
        self.resting.push(key);
    }

    /// Where records count when they are synced, the leader hears of them then.
    async fn sync(&mut self, unsynced: Vec<Key>) {
        const TOGETHER: usize = 4;
        let partitions: Vec<_> =
            unsynced.iter().filter_map(|key| Some((*key, self.targets.get(key)?.partition.clone()))).collect();
        let syncing = partitions.chunks(partitions.len().div_ceil(TOGETHER).max(1)).map(|chunk| {
            let chunk = chunk.to_vec();
            tokio::task::spawn_blocking(move || {
                let sync = |(key, partition): (Key, Arc<Partition>)| Some((key, partition.flush().err()?));
                chunk.into_iter().filter_map(sync).collect::<Vec<_>>()
            })
        });
        let syncing: Vec<_> = syncing.collect();
        for synced in syncing {
            for (key, error) in synced.await.unwrap_or_default() {
                tracing::error!(partition = key.1, %error, "a log could not be synced");
                self.rest(key, &error);
            }
        }
    }
}

/// Why an answer for a partition could not be used.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the leader answered {}", .0.name())]
    Leader(ErrorCode),
    #[error(transparent)]
    Follow(#[from] FollowError),
}

fn follow(partition: &Partition, asked: &Position, data: &PartitionData<'_>, now: i64) -> Result<Position, Failure> {
    let diverging = &data.diverging_epoch;
    match ErrorCode::from_code(data.error_code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None if diverging.end_offset >= 0 => {
            Ok(partition.cut_where_it_diverges(asked, diverging.epoch, diverging.end_offset, now)?)
        }
        ErrorCode::None => {
            let records = match &data.records {
                Some(Records::Inline(records)) => &records[..],
                _ => &[],
            };
            let (high_watermark, log_start_offset) = (data.high_watermark, data.log_start_offset);
            partition.count_followed(records.len());
            Ok(partition.follow(asked, FetchedRecords { records, high_watermark, log_start_offset }, now)?)
        }
        ErrorCode::OffsetOutOfRange if data.log_start_offset >= 0 => {
            Ok(partition.start_anew(asked, data.log_start_offset, now)?)
        }
        code => Err(Failure::Leader(code)),
    }
}

fn forgotten(keys: &[Key]) -> Vec<ForgottenTopic<'static>> {
    let mut topics: Vec<ForgottenTopic<'static>> = Vec::new();
    for (topic_id, partition) in keys {
        if topics.last().is_none_or(|last| last.topic_id != *topic_id) {
            topics.push(ForgottenTopic { topic_id: *topic_id, ..Default::default() });
        }
        topics.last_mut().expect("just pushed").partitions.push(*partition);
    }
    topics
}

#[cfg(test)]
#[path = "fetcher_test.rs"]
mod tests;
