//! Fetch: reads record batches, and waits for some where there are too few. For clients and for followers.
//!
//! Behaviour: an answer is sent as soon as it holds `min_bytes`, a partition has an error, or `max_wait_ms` are over.
//! The first batch found is sent whole even if it exceeds the limits: a consumer must be able to go on (KIP-74).
//! Records are not read here: the answer names places in files, and the connection sends them from there.
//! A follower's fetch says how far it has come, and is answered with records up to the log's end, with the place where its
//! log parts from the leader's, or with a new high watermark. It does not hold up the follower's next request, which ends
//! its wait: a follower that is given more partitions tells of them at once.
//! Of a partition that the leader's throttle holds back (KIP-73) the follower hears nothing until it may go on.
//! A consumer that says its rack may be sent to a replica there (KIP-392), and a follower serves it.
//! Version notes: sessions since 7 (KIP-227); leader epochs since 9 (KIP-320); racks since 11; diverging epochs and current
//! leaders since 12; topics by id since 13 (KIP-516); replica epochs since 15 (KIP-903); known high watermarks since 18.

pub mod session;
#[cfg(test)]
mod tests;

use super::Context;
use crate::log::{FileSlice, ReadError};
use crate::partition::{
    Interest, Isolation, Partition, PartitionError, Partitions, ReadRequest, Readable, Reader, Throttling,
};
use crate::protocol::messages::fetch::*;
use crate::protocol::{ErrorCode, Records, Str};
use session::{Plan, Session, Sessions, TopicKey, Wanted};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const REPLICA_STATE_SINCE: i16 = 15;
const RACK_SINCE: i16 = 11;

/// How long a new high watermark waits for records to go with it to a follower. Only consumers that read from the follower
/// wait for it.
const HIGH_WATERMARK_LINGER: Duration = Duration::from_millis(5);

/// An answer, and the files' places that fill its records in order.
#[derive(Default)]
pub struct Fetched {
    pub response: FetchResponse<'static>,
    pub slices: Vec<FileSlice>,
    /// Records in it, counted by their offsets.
    pub records: u64,
}

impl Fetched {
    pub fn refused(code: ErrorCode) -> Fetched {
        Fetched { response: FetchResponse { error_code: code.code(), ..Default::default() }, ..Default::default() }
    }
}

/// A Fetch under way.
pub struct Fetch {
    partitions: Arc<Partitions>,
    plan: Plan,
    reader: Reader,
    limits: Limits,
    deadline: Instant,
}

/// How much is read, and how far.
struct Limits {
    isolation: Isolation,
    bytes_min: usize,
    bytes_max: usize,
}

impl Fetch {
    /// Takes a request into its session. `bytes_max`: what one answer holds at most (`fetch.max.bytes`).
    /// Errors: those of the session.
    pub fn begin(
        partitions: &Arc<Partitions>,
        sessions: &Sessions,
        bytes_max: i32,
        context: &Context<'_>,
        request: &FetchRequest<'_>,
    ) -> Result<Fetch, ErrorCode> {
        let reader = reader(context.version, request);
        let interest = match reader {
            Reader::Follower { .. } => Interest::Appended,
            Reader::OfLeader | Reader::OfAnyReplica { .. } => Interest::Committed,
        };
        let fresh_id = rand::random::<i32>() & i32::MAX;
        let plan = sessions.plan(request, context.version, interest, fresh_id, context.now)?;
        Ok(Fetch {
            partitions: partitions.clone(),
            plan,
            limits: Limits::of(request, &reader, bytes_max),
            reader,
            deadline: Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        })
    }

    pub fn is_followers(&self) -> bool {
        matches!(self.reader, Reader::Follower { .. })
    }

    /// The answer, if there is enough for one already.
    pub fn at_once(&self) -> Option<Fetched> {
        let look = self.look();
        let waits = look.enough(self) == Enough::No && self.deadline > Instant::now();
        if waits || look.enough(self) == Enough::Soon {
            look.put_back(&self.plan);
            return None;
        }
        Some(look.answer(self))
    }

    /// The answer, as soon as there is enough for one, or the time is over, or the client has sent its next request.
    pub async fn wait(self) -> Fetched {
        if !self.plan.is_kept() {
            // Comes before looking again: what is appended between the two is not missed.
            self.subscribe_to_all();
        }
        loop {
            let look = self.look();
            match look.enough(&self) {
                Enough::Yes => return look.answer(&self),
                Enough::Soon => {
                    look.put_back(&self.plan);
                    let soon = self.deadline.min(Instant::now() + HIGH_WATERMARK_LINGER);
                    tokio::time::timeout_at(soon, self.plan.moved(Duration::ZERO)).await.ok();
                    return if self.plan.is_overtaken() { self.nothing() } else { self.look().answer(&self) };
                }
                Enough::No => {}
            }
            let until = self.deadline.min(look.held_back_until.map_or(self.deadline, |at| self.instant(at)));
            look.put_back(&self.plan);
            let moved = tokio::time::timeout_at(until, self.plan.moved(HIGH_WATERMARK_LINGER)).await;
            if self.plan.is_overtaken() {
                return self.nothing();
            }
            if moved.is_err() && until == self.deadline {
                return self.look().answer(&self);
            }
        }
    }

    /// When the broker's clock shows `at`.
    fn instant(&self, at: i64) -> Instant {
        let pause = at.saturating_sub(self.partitions.broker().now());
        Instant::now() + Duration::from_millis(u64::try_from(pause).unwrap_or(0))
    }

    /// The news are for the request that came behind this one.
    fn nothing(&self) -> Fetched {
        let response = FetchResponse { session_id: self.plan.session_id, ..Default::default() };
        Fetched { response, ..Default::default() }
    }

    fn subscribe_to_all(&self) {
        let mut session = self.plan.session();
        for place in session.take_due() {
            if let Ok(partition) = find(&self.partitions, session.wanted(place)) {
                session.subscribe(place, &partition);
            }
            session.make_due(place);
        }
    }

    /// Reads what is due.
    fn look(&self) -> Look {
        let mut session = self.plan.session();
        let asks_nothing = session.is_empty();
        let mut look = Look { asks_nothing, ..Look::default() };
        for place in session.take_due() {
            let left = self.limits.bytes_max.saturating_sub(look.bytes);
            let is_unread = left == 0 && look.bytes > 0;
            if is_unread && !session.wanted(place).is_named {
                session.make_due(place);
                continue;
            }
            let read = self.read(&mut session, place, left, look.bytes == 0);
            look.add(&mut session, place, read, self.plan.full, is_unread);
        }
        look
    }

    fn read(&self, session: &mut Session, place: u32, left: usize, at_least_one: bool) -> Result<Readable, Failure> {
        let partition = find(&self.partitions, session.wanted(place)).map_err(Failure::from)?;
        if self.plan.is_kept() {
            session.subscribe(place, &partition);
        }
        let fetch = &session.wanted(place).fetch;
        let bytes_max = left.min(usize::try_from(fetch.partition_max_bytes).unwrap_or(0));
        let request = ReadRequest {
            offset: fetch.fetch_offset,
            leader_epoch: fetch.current_leader_epoch,
            last_fetched_epoch: fetch.last_fetched_epoch,
            bytes_max,
            at_least_one,
            isolation: self.limits.isolation,
            reader: &self.reader,
        };
        partition.read(&request).map_err(|error| Failure::of(&error, &partition))
    }
}

fn reader(version: i16, request: &FetchRequest<'_>) -> Reader {
    let (id, broker_epoch) = match version >= REPLICA_STATE_SINCE {
        true => (request.replica_state.replica_id, request.replica_state.replica_epoch),
        false => (request.replica_id, -1),
    };
    if id >= 0 {
        return Reader::Follower { id, broker_epoch };
    }
    if version < RACK_SINCE {
        return Reader::OfLeader;
    }
    Reader::OfAnyReplica { rack: Some(request.rack_id.to_string()).filter(|rack| !rack.is_empty()) }
}

fn find(partitions: &Partitions, wanted: &Wanted) -> Result<Arc<Partition>, ErrorCode> {
    match &wanted.topic {
        TopicKey::Name(name) => partitions.find(name, wanted.fetch.partition),
        TopicKey::Id(id) => partitions.find_by_id(*id, wanted.fetch.partition),
    }
}

impl Limits {
    fn of(request: &FetchRequest<'_>, reader: &Reader, broker_bytes_max: i32) -> Limits {
        const READ_COMMITTED: i8 = 1;
        let bytes_max = request.max_bytes.min(broker_bytes_max).max(0);
        Limits {
            isolation: match (reader, request.isolation_level) {
                (Reader::Follower { .. }, _) => Isolation::LogEnd,
                (_, READ_COMMITTED) => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            bytes_min: request.min_bytes.clamp(0, bytes_max) as usize,
            bytes_max: bytes_max as usize,
        }
    }
}

/// Why a partition gave nothing, with what helps the client on.
struct Failure {
    code: ErrorCode,
    current_leader: LeaderIdAndEpoch,
    /// Of an offset that is not there, where the log begins: a follower starts anew there.
    log_start_offset: i64,
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Failure {
        Failure { code, current_leader: LeaderIdAndEpoch::default(), log_start_offset: -1 }
    }
}

impl Failure {
    fn of(error: &PartitionError, partition: &Partition) -> Failure {
        let code = error.code();
        let log_start_offset = match error {
            PartitionError::Read(ReadError::OffsetOutOfRange { start, .. }) => *start,
            _ => -1,
        };
        let is_leaders = matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
        let leader = is_leaders.then(|| partition.leader()).flatten();
        let current_leader = leader.map(|(leader_id, leader_epoch)| LeaderIdAndEpoch { leader_id, leader_epoch });
        Failure { code, current_leader: current_leader.unwrap_or_default(), log_start_offset }
    }
}

/// What one partition gave.
struct Answer {
    place: u32,
    tenancy: u64,
    read: Result<Readable, Failure>,
    /// There is nothing more to tell until the partition moves.
    is_settled: bool,
}

/// What a look at the partitions that were due has found.
#[derive(Default)]
struct Look {
    answers: Vec<Answer>,
    bytes: usize,
    /// Of these, those that count for the leader's throttle (KIP-73).
    throttled_bytes: usize,
    /// The first moment at which one may have records that the throttle holds back.
    held_back_until: Option<i64>,
    /// Something that the client has to act on at once.
    errors: bool,
    news: bool,
    /// There are no partitions to wait for.
    asks_nothing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enough {
    Yes,
    /// In a moment, with or without records.
    Soon,
    No,
}

impl Look {
    /// `is_full`: the answer tells of every partition; `is_unread`: there was no room left for records.
    fn add(
        &mut self,
        session: &mut Session,
        place: u32,
        read: Result<Readable, Failure>,
        is_full: bool,
        is_unread: bool,
    ) {
        let wanted = session.wanted(place);
        let bytes = read.as_ref().ok().and_then(|read| read.records.as_ref()).map_or(0, |records| records.length);
        let acts = match &read {
            Err(_) => true,
            Ok(read) => read.diverging.is_some() || read.preferred_replica.is_some(),
        };
        let is_held_back = self.throttle(read.as_ref().map_or(Throttling::None, |read| read.throttling), bytes);
        let stays_due = is_unread || is_held_back;
        // To one that is held back, how far the others are is no news to hurry for.
        let is_new = !is_held_back && read.as_ref().is_ok_and(|read| wanted.is_news(told(read)));
        if bytes == 0 && !acts && !is_new && !is_full {
            wanted.is_named = false;
            if stays_due {
                session.make_due(place);
            }
            return;
        }
        self.bytes += bytes;
        self.errors |= acts;
        self.news |= is_new;
        let tenancy = session.tenancy(place);
        self.answers.push(Answer { place, tenancy, read, is_settled: bytes == 0 && !acts && !stays_due });
    }

    /// Takes note of what the leader's throttle says. Whether it holds records back.
    fn throttle(&mut self, throttling: Throttling, bytes: usize) -> bool {
        match throttling {
            Throttling::None => {}
            Throttling::Counts => self.throttled_bytes += bytes,
            Throttling::HeldBackUntil(at) => {
                self.held_back_until = Some(self.held_back_until.map_or(at, |first| first.min(at)));
            }
        }
        matches!(throttling, Throttling::HeldBackUntil(_))
    }

    fn enough(&self, fetch: &Fetch) -> Enough {
        if self.bytes >= fetch.limits.bytes_min || self.errors || self.asks_nothing {
            return Enough::Yes;
        }
        if fetch.is_followers() && self.news { Enough::Soon } else { Enough::No }
    }

    /// Nothing is told yet: all of it is looked at again.
    fn put_back(self, plan: &Plan) {
        let mut session = plan.session();
        self.answers.iter().for_each(|answer| session.make_due(answer.place));
    }

    fn answer(self, fetch: &Fetch) -> Fetched {
        let broker = fetch.partitions.broker();
        broker.throttles.leader.count(broker.now(), self.throttled_bytes);
        let mut session = fetch.plan.session();
        let mut response = FetchResponse { session_id: fetch.plan.session_id, ..Default::default() };
        let (mut slices, mut records) = (Vec::new(), 0);
        for Answer { place, tenancy, read, is_settled } in self.answers {
            let Some(wanted) = session.still_wanted(place, tenancy) else { continue };
            wanted.is_named = false;
            wanted.tell(read.as_ref().ok().map(told));
            read.as_ref().ok().into_iter().for_each(Readable::count_sent);
            let (data, slice) = data(wanted, read);
            if let Some(slice) = slice {
                records += (slice.next_offset - wanted.fetch.fetch_offset).max(0) as u64;
                slices.push(slice);
            }
            push(&mut response.responses, &wanted.topic, data);
            if !is_settled {
                // The next request says how far the client has come; one that does not gets the same again.
                session.make_due(place);
            }
        }
        Fetched { response, slices, records }
    }
}

fn told(read: &Readable) -> (i64, i64) {
    (read.progress.high_watermark, read.progress.log_start_offset)
}

fn data(wanted: &Wanted, read: Result<Readable, Failure>) -> (PartitionData<'static>, Option<FileSlice>) {
    let empty = PartitionData {
        partition_index: wanted.fetch.partition,
        high_watermark: -1,
        records: Some(Records::default()),
        ..Default::default()
    };
    match read {
        Err(Failure { code, current_leader, log_start_offset }) => {
            (PartitionData { error_code: code.code(), current_leader, log_start_offset, ..empty }, None)
        }
        Ok(Readable { records, progress, aborted, diverging, preferred_replica, .. }) => {
            let length = records.as_ref().map_or(0, |slice| slice.length);
            let diverging = diverging.map(|(epoch, end_offset)| EpochEndOffset { epoch, end_offset });
            let data = PartitionData {
                high_watermark: progress.high_watermark,
                last_stable_offset: progress.last_stable_offset,
                log_start_offset: progress.log_start_offset,
                diverging_epoch: diverging.unwrap_or_default(),
                preferred_read_replica: preferred_replica.unwrap_or(-1),
                aborted_transactions: aborted.map(|all| all.iter().map(tell_aborted).collect()),
                records: Some(if length > 0 { Records::Elsewhere { length } } else { Records::default() }),
                ..empty
            };
            (data, records)
        }
    }
}

fn tell_aborted(aborted: &crate::log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
}

/// Partitions of the same topic that follow each other share its place.
fn push(responses: &mut Vec<FetchableTopicResponse<'static>>, topic: &TopicKey, data: PartitionData<'static>) {
    let same = |last: &FetchableTopicResponse<'_>| match topic {
        TopicKey::Name(name) => *last.topic == **name,
        TopicKey::Id(id) => last.topic_id == *id,
    };
    if !responses.last().is_some_and(same) {
        let (topic, topic_id) = match topic {
            TopicKey::Name(name) => (Str::Owned(name.to_string()), Default::default()),
            TopicKey::Id(id) => (Str::default(), *id),
        };
        responses.push(FetchableTopicResponse { topic, topic_id, partitions: Vec::new() });
    }
    responses.last_mut().expect("just pushed").partitions.push(data);
}
