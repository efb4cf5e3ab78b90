//! Fetch: reads record batches, and waits for some where there are too few.
//!
//! Behaviour: an answer is sent as soon as it holds `min_bytes`, a partition has an error, or `max_wait_ms` are over.
//! The first batch found is sent whole even if it exceeds the limits: a consumer must be able to go on (KIP-74).
//! Records are not read here: the answer names places in files, and the connection sends them from there.
//! Version notes: sessions since 7 (KIP-227); leader epochs since 9 (KIP-320); topics by id since 13 (KIP-516).

pub mod session;

use super::Context;
use crate::log::FileSlice;
use crate::partition::{Isolation, Partition, Partitions, Readable, Waiter};
use crate::protocol::messages::fetch::*;
use crate::protocol::{ErrorCode, Records, Str};
use session::{Plan, Sessions, TopicKey, Wanted};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a Fetch needs from the broker.
pub struct FetchRooms<'r> {
    pub partitions: &'r Partitions,
    pub sessions: &'r Sessions,
    /// Bytes that one answer holds at most (`fetch.max.bytes`). Default 57,671,680.
    pub bytes_max: i32,
}

/// An answer, and the files' places that fill its records in order.
pub struct Fetched {
    pub response: FetchResponse<'static>,
    pub slices: Vec<FileSlice>,
    /// Records in it, counted by their offsets.
    pub records: u64,
}

pub async fn handle(rooms: FetchRooms<'_>, context: &Context<'_>, request: FetchRequest<'_>) -> Fetched {
    const CONSUMER: i32 = -1;
    let replica_id = if context.version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    if replica_id != CONSUMER {
        return refuse(ErrorCode::NotLeaderOrFollower);
    }
    let plan = match rooms.sessions.plan(&request, context.version, rand::random::<i32>() & i32::MAX, context.now) {
        Ok(plan) => plan,
        Err(code) => return refuse(code),
    };
    let limits = Limits::of(&request, rooms.bytes_max);
    let targets = resolve(rooms.partitions, &plan.wanted);
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let answers = read_until(&targets, &limits, deadline).await;
    build(&plan, answers)
}

fn refuse(code: ErrorCode) -> Fetched {
    Fetched {
        response: FetchResponse { error_code: code.code(), ..Default::default() },
        slices: Vec::new(),
        records: 0,
    }
}

/// How much is read, and how far.
struct Limits {
    isolation: Isolation,
    bytes_min: usize,
    bytes_max: usize,
}

impl Limits {
    fn of(request: &FetchRequest<'_>, broker_bytes_max: i32) -> Limits {
        const READ_COMMITTED: i8 = 1;
        let bytes_max = request.max_bytes.min(broker_bytes_max).max(0);
        Limits {
            isolation: match request.isolation_level {
                READ_COMMITTED => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            bytes_min: request.min_bytes.clamp(0, bytes_max) as usize,
            bytes_max: bytes_max as usize,
        }
    }
}

/// A wanted partition and where it was found.
struct Target<'p> {
    wanted: &'p Wanted,
    found: Result<Arc<Partition>, ErrorCode>,
}

fn resolve<'p>(partitions: &Partitions, wanted: &'p [Wanted]) -> Vec<Target<'p>> {
    let find = |wanted: &Wanted| {
        let (topic, missing) = match &wanted.topic {
            TopicKey::Name(name) => (partitions.topic_by_name(name), ErrorCode::UnknownTopicOrPartition),
            TopicKey::Id(id) => (partitions.topic_by_id(*id), ErrorCode::UnknownTopicId),
        };
        topic.ok_or(missing)?.partition(wanted.fetch.partition).ok_or(ErrorCode::UnknownTopicOrPartition)
    };
    wanted.iter().map(|wanted| Target { wanted, found: find(wanted) }).collect()
}

/// What one partition gave.
struct Answer<'p> {
    wanted: &'p Wanted,
    read: Result<Readable, ErrorCode>,
}

/// Reads again whenever a partition has moved, until there is enough to answer or `deadline` is over.
async fn read_until<'p>(targets: &[Target<'p>], limits: &Limits, deadline: Instant) -> Vec<Answer<'p>> {
    let answers = read_all(targets, limits);
    if is_enough(&answers, limits) || deadline <= Instant::now() {
        return answers;
    }
    let waiter = Waiter::new();
    loop {
        // Registering comes before reading: what is appended between the two wakes this waiter.
        targets.iter().filter_map(|target| target.found.as_ref().ok()).for_each(|partition| partition.watch(&waiter));
        let answers = read_all(targets, limits);
        if is_enough(&answers, limits) || tokio::time::timeout_at(deadline, waiter.moved()).await.is_err() {
            return answers;
        }
    }
}

fn is_enough(answers: &[Answer<'_>], limits: &Limits) -> bool {
    let bytes: usize = answers.iter().map(Answer::bytes).sum();
    bytes >= limits.bytes_min || answers.is_empty() || answers.iter().any(|answer| answer.read.is_err())
}

fn read_all<'p>(targets: &[Target<'p>], limits: &Limits) -> Vec<Answer<'p>> {
    let mut left = limits.bytes_max;
    let mut nothing_yet = true;
    let mut answers = Vec::with_capacity(targets.len());
    for Target { wanted, found } in targets {
        let read = found.as_ref().map_err(|code| *code).and_then(|partition| {
            let bytes_max = left.min(usize::try_from(wanted.fetch.partition_max_bytes).unwrap_or(0));
            let (offset, epoch) = (wanted.fetch.fetch_offset, wanted.fetch.current_leader_epoch);
            partition.read(offset, epoch, bytes_max, limits.isolation, nothing_yet).map_err(|error| error.code())
        });
        let answer = Answer { wanted, read };
        left = left.saturating_sub(answer.bytes());
        nothing_yet &= answer.bytes() == 0;
        answers.push(answer);
    }
    answers
}

impl Answer<'_> {
    fn bytes(&self) -> usize {
        self.read.as_ref().ok().and_then(|read| read.records.as_ref()).map_or(0, |records| records.length)
    }

    /// The records that the client has not seen yet.
    fn records(&self) -> u64 {
        let slice = self.read.as_ref().ok().and_then(|read| read.records.as_ref());
        slice.map_or(0, |slice| (slice.next_offset - self.wanted.fetch.fetch_offset).max(0) as u64)
    }

    fn told(&self) -> (i64, i64) {
        self.read.as_ref().map_or((-1, -1), |read| (read.progress.high_watermark, read.progress.log_start_offset))
    }

    fn has_data(&self) -> bool {
        self.read.is_err() || self.bytes() > 0
    }

    fn into_data(self) -> (PartitionData<'static>, Option<FileSlice>) {
        let empty = PartitionData {
            partition_index: self.wanted.fetch.partition,
            high_watermark: -1,
            records: Some(Records::default()),
            ..Default::default()
        };
        match self.read {
            Err(code) => (PartitionData { error_code: code.code(), ..empty }, None),
            Ok(Readable { records, progress, aborted }) => {
                let length = records.as_ref().map_or(0, |slice| slice.length);
                let data = PartitionData {
                    high_watermark: progress.high_watermark,
                    last_stable_offset: progress.last_stable_offset,
                    log_start_offset: progress.log_start_offset,
                    aborted_transactions: aborted.map(|all| all.iter().map(tell_aborted).collect()),
                    records: Some(if length > 0 { Records::Elsewhere { length } } else { Records::default() }),
                    ..empty
                };
                (data, records)
            }
        }
    }
}

fn tell_aborted(aborted: &crate::log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
}

fn build(plan: &Plan, answers: Vec<Answer<'_>>) -> Fetched {
    let mut response = FetchResponse { session_id: plan.session_id, ..Default::default() };
    let (mut slices, mut served, mut records) = (Vec::new(), Vec::new(), 0);
    for answer in answers {
        let topic = &answer.wanted.topic;
        let partition = answer.wanted.fetch.partition;
        if !plan.tells(topic, partition, answer.told(), answer.has_data()) {
            continue;
        }
        if answer.bytes() > 0 {
            served.push((topic.clone(), partition));
        }
        let topic = topic.clone();
        records += answer.records();
        let (data, slice) = answer.into_data();
        slices.extend(slice);
        push(&mut response.responses, &topic, data);
    }
    plan.served(&served);
    Fetched { response, slices, records }
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
