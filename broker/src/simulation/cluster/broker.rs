//! A broker: registers, sends heartbeats, takes over images, and holds replicas. What the shell of a real broker does
//! with connections, files and tasks, this does with effects that the world carries out.

use super::message::{Acks, Call, Fetch, Fetched, Position, Request, Response};
use super::partition_log::PartitionLog;
use super::planted::Bug;
use super::world::Machine;
use crate::controller::SUPPORTED_FEATURES;
use crate::controller::image::{MetadataImage, PartitionRegistration, SupportedFeature};
use crate::controller::request::{self, AlterPartition, BrokerHeartbeat, IsrChange, RegisterBroker};
use crate::partition::replica::{FollowerFetch, LogEnd, Replica, RoleChange, View, truncation_offset};
use crate::protocol::{ErrorCode, Uuid};
use std::cmp::Ordering;
use std::collections::BTreeMap;

pub const TOPIC: &str = "t";
pub const MIN_ISR: usize = 2;
/// `replica.lag.time.max.ms`, short enough to matter.
const LAG_TIME_MAX_MS: i64 = 400;
const HEARTBEAT_MS: i64 = 100;
const CALL_TIMEOUT_MS: i64 = 400;
const BACKOFF_MS: i64 = 20;
/// How long a leader holds a fetch that finds nothing new.
const FETCH_WAIT_MS: i64 = 60;
/// How long acks=all waits for the commit.
const ACK_WAIT_MS: i64 = 300;
const BATCHES_PER_FETCH: usize = 4;

/// What the world does for a broker.
pub enum Effect {
    Answer(Call, Response),
    Ask {
        to: i32,
        request: Request,
        purpose: Purpose,
    },
    SyncLog {
        partition: i32,
        end: i64,
        cuts: u64,
    },
    /// It begins to lead the epoch.
    Leads {
        partition: i32,
        epoch: i32,
    },
    Appended {
        partition: i32,
        from: i64,
    },
    Committed {
        partition: i32,
        epoch: i32,
        high_watermark: i64,
    },
    Truncated {
        partition: i32,
        end: i64,
    },
    IsrChangeAsked,
}

/// Why a broker has asked another node.
#[derive(Clone, Debug)]
pub enum Purpose {
    Register,
    Heartbeat(i64),
    Isr(Vec<IsrChange>),
    Fetch(i32, Vec<Position>),
}

pub struct Broker {
    id: i32,
    incarnation: Uuid,
    /// Whether records count when they are synced (`flush.messages=1`).
    synced: bool,
    /// That it is registered with; -1 where it is not.
    epoch: i64,
    /// Whether it has seen its own registration: before that it holds no replica that anybody may ask.
    pub serves: bool,
    applied: i64,
    /// The epoch that its registration has in what it has applied.
    seen_epoch: i64,
    topic_id: Uuid,
    live: BTreeMap<i32, i64>,
    pub replicas: BTreeMap<i32, Replica>,
    /// For clients: who leads what.
    leaders: BTreeMap<i32, (i32, i32)>,
    calls: BTreeMap<u64, (i64, Purpose)>,
    /// When it may ask again, for the controller and for each leader.
    heartbeat_at: i64,
    isr_at: i64,
    fetch_at: BTreeMap<i32, i64>,
    parked: Vec<Parked>,
    acks: Vec<WaitingAck>,
    /// High watermarks that the checker knows, and led epochs.
    told: BTreeMap<i32, i64>,
    told_led: BTreeMap<i32, i32>,
    pub effects: Vec<Effect>,
}

struct Parked {
    call: Call,
    fetch: Fetch,
    until: i64,
}

struct WaitingAck {
    call: Call,
    partition: i32,
    acks: Acks,
    base_offset: i64,
    end_offset: i64,
    leader_epoch: i32,
    until: i64,
}

impl Broker {
    pub fn new(id: i32, incarnation: u64, synced: bool) -> Broker {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&incarnation.to_be_bytes());
        name[8..12].copy_from_slice(&id.to_be_bytes());
        Broker {
            id,
            incarnation: Uuid(name),
            synced,
            epoch: -1,
            serves: false,
            applied: 0,
            seen_epoch: -1,
            topic_id: Uuid::ZERO,
            live: BTreeMap::new(),
            replicas: BTreeMap::new(),
            leaders: BTreeMap::new(),
            calls: BTreeMap::new(),
            heartbeat_at: 0,
            isr_at: 0,
            fetch_at: BTreeMap::new(),
            parked: Vec::new(),
            acks: Vec::new(),
            told: BTreeMap::new(),
            told_led: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    /// What this process is registered with, as far as it knows.
    pub fn epoch(&self) -> Option<i64> {
        Some(self.epoch).filter(|epoch| *epoch >= 0)
    }

    pub fn asked(&mut self, call: u64, purpose: Purpose, now: i64) {
        self.calls.insert(call, (now + CALL_TIMEOUT_MS, purpose));
    }

    fn log_end(&self, log: &PartitionLog) -> LogEnd {
        LogEnd { end: log.end(), durable: if self.synced { log.synced_end() } else { log.end() } }
    }

    /// Lets `work` change a replica, and tells the checker how far it is committed then.
    fn with<T>(&mut self, partition: i32, now: i64, work: impl FnOnce(&mut Replica, View<'_>) -> T) -> Option<T> {
        let live = &self.live;
        let replica = self.replicas.get_mut(&partition)?;
        let worked = work(replica, View { now, live: &|id| live.get(&id).copied() });
        let (epoch, high_watermark) = (replica.leader_epoch(), replica.high_watermark());
        if self.told.insert(partition, high_watermark) < Some(high_watermark) {
            self.effects.push(Effect::Committed { partition, epoch, high_watermark });
        }
        Some(worked)
    }

    fn registration(&self) -> RegisterBroker {
        let feature = |(name, levels): (&str, std::ops::RangeInclusive<i16>)| SupportedFeature {
            name: name.to_owned(),
            min: *levels.start(),
            max: *levels.end(),
        };
        let elr = SupportedFeature { name: "eligible.leader.replicas.version".to_owned(), min: 0, max: 1 };
        let features = SUPPORTED_FEATURES.into_iter().map(feature);
        let features = features.filter(|feature| feature.name != elr.name).chain([elr.clone()]).collect();
        RegisterBroker {
            id: self.id,
            incarnation: self.incarnation,
            endpoints: Vec::new(),
            features,
            rack: None,
            directories: Vec::new(),
            previous_epoch: -1,
        }
    }

    fn is_asking(&self, what: impl Fn(&Purpose) -> bool) -> bool {
        self.calls.values().any(|(_, purpose)| what(purpose))
    }

    fn ask_controller(&mut self, to: Option<i32>, request: request::Request, purpose: Purpose) {
        let request = Request::Controller(request);
        self.effects.extend(to.map(|to| Effect::Ask { to, request, purpose }));
    }

    fn live_as_broker(&mut self, now: i64, controller: Option<i32>) {
        if now < self.heartbeat_at {
            return;
        }
        self.heartbeat_at = now + HEARTBEAT_MS;
        if self.epoch < 0 {
            if !self.is_asking(|purpose| matches!(purpose, Purpose::Register)) {
                let registration = request::Request::RegisterBroker(self.registration());
                self.ask_controller(controller, registration, Purpose::Register);
            }
            return;
        }
        let heartbeat = BrokerHeartbeat {
            id: self.id,
            epoch: self.epoch,
            metadata_end_offset: self.applied,
            wants_fence: !self.serves,
            wants_shutdown: false,
            offline_directories: Vec::new(),
        };
        self.ask_controller(controller, request::Request::BrokerHeartbeat(heartbeat), Purpose::Heartbeat(self.epoch));
    }

    fn keep_isrs(&mut self, now: i64, controller: Option<i32>, bug: Option<Bug>) {
        if now < self.isr_at || controller.is_none() || self.is_asking(|purpose| matches!(purpose, Purpose::Isr(_))) {
            return;
        }
        let topic_id = self.topic_id;
        let take = |(number, replica): (&i32, &mut Replica)| replica.take_isr_change(topic_id, *number);
        let changes: Vec<IsrChange> = self.replicas.iter_mut().filter_map(take).collect();
        if changes.is_empty() {
            return;
        }
        self.effects.push(Effect::IsrChangeAsked);
        if bug == Some(Bug::IsrAppliedEarly) {
            changes.iter().for_each(|change| self.take_for_granted(change, now));
        }
        let request = AlterPartition { broker_id: self.id, broker_epoch: self.epoch, changes: changes.clone() };
        self.ask_controller(controller, request::Request::AlterPartition(request), Purpose::Isr(changes));
    }

    fn take_for_granted(&mut self, change: &IsrChange, now: i64) {
        let altered = request::AlteredPartition {
            leader: self.id,
            leader_epoch: change.leader_epoch,
            isr: change.isr.iter().map(|replica| replica.id).collect(),
            leader_recovering: false,
            partition_epoch: change.partition_epoch,
        };
        self.with(change.partition, now, |replica, view| replica.isr_answered(change, Ok(&altered), view));
    }

    fn isr_answered(&mut self, now: i64, changes: &[IsrChange], response: Option<Response>) {
        let refused = |code: ErrorCode| changes.iter().map(|_| Err(code)).collect::<Vec<_>>();
        let outcomes = match response {
            Some(Response::Controller(Ok(request::Response::AlterPartition(Ok(outcomes))))) => {
                outcomes.into_iter().map(|outcome| outcome.map_err(|refusal| refusal.code)).collect()
            }
            Some(Response::Controller(Ok(request::Response::AlterPartition(Err(refusal))) | Err(refusal))) => {
                refused(refusal.code)
            }
            _ => refused(ErrorCode::RequestTimedOut),
        };
        if outcomes.iter().any(Result::is_err) {
            self.isr_at = now + BACKOFF_MS;
        }
        for (change, outcome) in changes.iter().zip(&outcomes) {
            let answer = outcome.as_ref().map_err(|code| *code);
            self.with(change.partition, now, |replica, view| replica.isr_answered(change, answer, view));
        }
    }

    fn registered(&mut self, response: Option<Response>) {
        if let Some(Response::Controller(Ok(request::Response::RegisterBroker(Ok(epoch))))) = response {
            (self.epoch, self.heartbeat_at) = (epoch, 0);
            self.serve_if_registered();
            self.tell_what_it_leads();
        }
    }

    fn serve_if_registered(&mut self) {
        self.serves |= self.epoch >= 0 && self.seen_epoch >= self.epoch;
    }

    fn heard(&mut self, epoch: i64, response: Option<Response>) {
        if let Some(Response::Controller(Ok(request::Response::BrokerHeartbeat(Err(refusal))))) = response
            && matches!(refusal.code, ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered)
            && epoch == self.epoch
        {
            self.epoch = -1;
        }
    }
}

impl Machine {
    fn broker(&mut self) -> (&mut Broker, &mut BTreeMap<i32, PartitionLog>) {
        (&mut self.process.as_mut().expect("it runs").broker, &mut self.logs)
    }

    /// Takes over an image: other brokers, other leaders, other replicas.
    pub fn apply(&mut self, now: i64, image: MetadataImage, bug: Option<Bug>) {
        let id = self.id;
        let (broker, logs) = self.broker();
        if image.applied.end_offset <= broker.applied {
            return;
        }
        broker.applied = image.applied.end_offset;
        let active = image.live_brokers().filter(|broker| !broker.in_controlled_shutdown);
        broker.live = active.map(|broker| (broker.id, broker.epoch)).collect();
        broker.seen_epoch = image.brokers.get(&id).map_or(-1, |own| own.epoch);
        broker.serves |= bug == Some(Bug::ServesBeforeRegistered);
        broker.serve_if_registered();
        let Some(topic) = image.topics.by_name(TOPIC) else { return };
        broker.topic_id = topic.id;
        for (number, registration) in (0..).zip(&topic.partitions) {
            broker.leaders.insert(number, (registration.leader, registration.leader_epoch));
            if registration.replicas.contains(&id) {
                broker.apply_partition(now, number, registration, logs.entry(number).or_default(), bug);
            } else if broker.replicas.remove(&number).is_some() {
                broker.told.remove(&number);
                logs.remove(&number);
            }
        }
        broker.tell_what_it_leads();
    }

    /// Answers a request, or keeps it until it can be answered.
    pub fn asked(&mut self, now: i64, call: Call, request: Request, bug: Option<Bug>) {
        let (broker, logs) = self.broker();
        let response = match request {
            Request::Fetch(fetch) => return broker.fetch_asked(now, call, fetch, logs),
            Request::Produce { partition, produced, acks } => {
                let appended = broker.produce(now, partition, produced, acks, logs, bug);
                match appended {
                    Err(code) => Response::Produce(Err(code)),
                    Ok((base_offset, leader_epoch)) => {
                        let end_offset = base_offset + i64::from(produced.count);
                        let until = now + ACK_WAIT_MS;
                        let ack = WaitingAck { call, partition, acks, base_offset, end_offset, leader_epoch, until };
                        return broker.acks.push(ack);
                    }
                }
            }
            Request::Consume { partition, offset, leader_epoch } => {
                Response::Consume(broker.consume(partition, offset, leader_epoch, logs))
            }
            Request::LatestOffset { partition, leader_epoch } => {
                Response::LatestOffset(broker.latest_offset(partition, leader_epoch))
            }
            Request::FindLeader { partition } => Response::FindLeader(broker.leaders.get(&partition).copied()),
            Request::Quorum(..) | Request::Controller(_) => unreachable!("not for the broker"),
        };
        broker.effects.push(Effect::Answer(call, response));
    }

    /// Takes in the answer to a request of the broker's, or that there is none.
    pub fn answered(&mut self, now: i64, call: u64, response: Option<Response>) {
        let (broker, logs) = self.broker();
        let Some((_, purpose)) = broker.calls.remove(&call) else { return };
        match purpose {
            Purpose::Register => broker.registered(response),
            Purpose::Heartbeat(epoch) => broker.heard(epoch, response),
            Purpose::Isr(changes) => broker.isr_answered(now, &changes, response),
            Purpose::Fetch(leader, asked) => broker.fetched(now, leader, &asked, response, logs),
        }
    }

    pub fn log_synced(&mut self, now: i64, partition: i32, end: i64, cuts: u64) {
        let (broker, logs) = self.broker();
        let Some(log) = logs.get_mut(&partition) else { return };
        log.synced(end, cuts);
        let end = broker.log_end(log);
        broker.with(partition, now, |replica, view| replica.appended(end, view));
    }

    /// Does what is due: requests that time or a change has made necessary, answers that can be given now.
    pub fn work(&mut self, now: i64, bug: Option<Bug>) {
        let Some(process) = &mut self.process else { return };
        let (controller, broker, logs) = (process.quorum.leader(), &mut process.broker, &mut self.logs);
        let expired: Vec<u64> =
            broker.calls.iter().filter(|(_, (until, _))| *until <= now).map(|(call, _)| *call).collect();
        for call in expired {
            let (_, purpose) = broker.calls.remove(&call).expect("just found");
            match purpose {
                Purpose::Isr(changes) => broker.isr_answered(now, &changes, None),
                Purpose::Fetch(leader, _) => drop(broker.fetch_at.insert(leader, now + BACKOFF_MS)),
                Purpose::Register | Purpose::Heartbeat(_) => {}
            }
        }
        for partition in logs.keys().copied() {
            broker.with(partition, now, |replica, view| replica.tick(view));
        }
        broker.live_as_broker(now, controller);
        broker.keep_isrs(now, controller, bug);
        broker.fetch(now, logs, bug);
        broker.answer_fetches(now, logs);
        broker.acknowledge(now, logs);
        for (partition, replica) in &broker.replicas {
            logs.entry(*partition).or_default().checkpoint = replica.high_watermark() / 8 * 8;
        }
    }
}

/// Leading.
impl Broker {
    /// What the metadata says from before this process was registered is not served, and does not count.
    fn tell_what_it_leads(&mut self) {
        let led = self.replicas.iter().filter(|(_, replica)| self.serves && replica.is_leader());
        for (partition, replica) in led {
            let (partition, epoch) = (*partition, replica.leader_epoch());
            if self.told_led.insert(partition, epoch) != Some(epoch) {
                // Before what follows from it.
                self.effects.insert(0, Effect::Leads { partition, epoch });
            }
        }
    }

    fn apply_partition(
        &mut self,
        now: i64,
        partition: i32,
        registration: &PartitionRegistration,
        log: &mut PartitionLog,
        bug: Option<Bug>,
    ) {
        let (id, end) = (self.id, self.log_end(log));
        let replica = self.replicas.entry(partition);
        let replica = replica.or_insert_with(|| Replica::new(id, LAG_TIME_MAX_MS, log.checkpoint.min(end.end)));
        if bug == Some(Bug::LeaderNotDeposed) && replica.is_leader() && registration.leader != id {
            return;
        }
        let change = self.with(partition, now, |replica, view| replica.apply(registration, end, MIN_ISR, view));
        if matches!(change, Some(RoleChange::BeganToLead | RoleChange::LeadsOn)) {
            log.begin_epoch(registration.leader_epoch);
        }
        if matches!(change, Some(RoleChange::BeganToLead | RoleChange::LeadsOn | RoleChange::BeganToFollow)) {
            // What a process before this one had appended may not be synced yet.
            self.sync(partition, log);
        }
    }

    fn sync(&mut self, partition: i32, log: &PartitionLog) {
        if log.synced_end() < log.end() {
            self.effects.push(Effect::SyncLog { partition, end: log.end(), cuts: log.cuts });
        }
    }

    fn led(&self, partition: i32) -> Result<&Replica, ErrorCode> {
        let led = self.replicas.get(&partition).filter(|replica| self.serves && replica.is_leader());
        led.ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Who believes in another epoch of the leader is told so (KIP-320).
    fn led_in(&self, partition: i32, believed_epoch: i32) -> Result<&Replica, ErrorCode> {
        let replica = self.led(partition)?;
        match believed_epoch.cmp(&replica.leader_epoch()) {
            Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
            Ordering::Equal => Ok(replica),
            Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }

    fn produce(
        &mut self,
        now: i64,
        partition: i32,
        produced: super::partition_log::Produced,
        acks: Acks,
        logs: &mut BTreeMap<i32, PartitionLog>,
        bug: Option<Bug>,
    ) -> Result<(i64, i32), ErrorCode> {
        let replica = self.led(partition)?;
        if acks == Acks::All && replica.is_under_min_isr() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let epoch = replica.leader_epoch();
        let log = logs.get_mut(&partition).expect("a replica has a log");
        let from = log.end();
        let base_offset = log.append(produced, epoch)?;
        self.effects.push(Effect::Appended { partition, from });
        let end = self.log_end(log);
        let followers: Vec<i32> = self.replicas[&partition].followers().map(|(id, _)| id).collect();
        self.with(partition, now, |replica, view| {
            replica.appended(end, view);
            if bug == Some(Bug::AckBeforeReplication) {
                for id in followers {
                    let broker_epoch = (view.live)(id).unwrap_or(-1);
                    replica.fetched(FollowerFetch { id, broker_epoch, offset: end.end }, view).ok();
                }
            }
        });
        self.sync(partition, log);
        Ok((base_offset, epoch))
    }

    fn acknowledgement(&self, ack: &WaitingAck, log: &PartitionLog) -> Option<Result<i64, ErrorCode>> {
        let led = self.led(ack.partition).ok().filter(|replica| replica.has_led_since(ack.leader_epoch));
        let Some(replica) = led else { return Some(Err(ErrorCode::NotLeaderOrFollower)) };
        match ack.acks {
            Acks::Leader => (self.log_end(log).durable >= ack.end_offset).then_some(Ok(ack.base_offset)),
            Acks::All if replica.high_watermark() < ack.end_offset => None,
            Acks::All if replica.is_under_min_isr() => Some(Err(ErrorCode::NotEnoughReplicasAfterAppend)),
            Acks::All => Some(Ok(ack.base_offset)),
        }
    }

    fn acknowledge(&mut self, now: i64, logs: &BTreeMap<i32, PartitionLog>) {
        for ack in std::mem::take(&mut self.acks) {
            let answer = logs
                .get(&ack.partition)
                .map_or(Some(Err(ErrorCode::NotLeaderOrFollower)), |log| self.acknowledgement(&ack, log));
            match answer {
                Some(answer) => self.effects.push(Effect::Answer(ack.call, Response::Produce(answer))),
                None if ack.until <= now => {
                    let answer = Response::Produce(Err(ErrorCode::RequestTimedOut));
                    self.effects.push(Effect::Answer(ack.call, answer));
                }
                None => self.acks.push(ack),
            }
        }
    }

    fn consume(
        &self,
        partition: i32,
        offset: i64,
        believed_epoch: i32,
        logs: &BTreeMap<i32, PartitionLog>,
    ) -> Result<Vec<super::partition_log::Batch>, ErrorCode> {
        let high_watermark = self.led_in(partition, believed_epoch)?.high_watermark();
        let log = &logs[&partition];
        match offset <= log.end() {
            true => Ok(log.read(offset, high_watermark, BATCHES_PER_FETCH)),
            false => Err(ErrorCode::OffsetOutOfRange),
        }
    }

    /// A new leader may not know yet all that was committed before it (KIP-207).
    fn latest_offset(&self, partition: i32, believed_epoch: i32) -> Result<i64, ErrorCode> {
        let replica = self.led_in(partition, believed_epoch)?;
        match replica.epoch_start() {
            Some(start) if replica.high_watermark() < start => Err(ErrorCode::OffsetNotAvailable),
            _ => Ok(replica.high_watermark()),
        }
    }

    fn fetch_asked(&mut self, now: i64, call: Call, fetch: Fetch, logs: &BTreeMap<i32, PartitionLog>) {
        for position in &fetch.positions {
            let counted = self.check_position(position, logs).is_ok_and(|diverging| diverging.is_none());
            if counted {
                let (id, offset) = (fetch.broker_id, position.offset);
                self.with(position.partition, now, |replica, view| {
                    let broker_epoch = fetch.broker_epoch;
                    replica.fetched(FollowerFetch { id, broker_epoch, offset }, view).ok();
                });
            }
        }
        self.parked.push(Parked { call, fetch, until: now + FETCH_WAIT_MS });
    }

    /// Whether a follower is where it may be; else where its log parts from this one.
    fn check_position(
        &self,
        position: &Position,
        logs: &BTreeMap<i32, PartitionLog>,
    ) -> Result<Option<(i32, i64)>, ErrorCode> {
        self.led_in(position.partition, position.leader_epoch)?;
        let log = &logs[&position.partition];
        if position.last_epoch >= 0 {
            let (epoch, end) = log.end_offset_for_epoch(position.last_epoch);
            if epoch < 0 || end < 0 {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            if epoch < position.last_epoch || end < position.offset {
                return Ok(Some((epoch, end)));
            }
        }
        if position.offset > log.end() { Err(ErrorCode::OffsetOutOfRange) } else { Ok(None) }
    }

    fn answer_fetches(&mut self, now: i64, logs: &BTreeMap<i32, PartitionLog>) {
        for parked in std::mem::take(&mut self.parked) {
            let answers: Vec<Result<Fetched, ErrorCode>> =
                parked.fetch.positions.iter().map(|position| self.fetchable(position, logs)).collect();
            let is_news = |(position, answer): (&Position, &Result<Fetched, ErrorCode>)| {
                answer.as_ref().map_or(true, |fetched| {
                    !fetched.batches.is_empty()
                        || fetched.diverging.is_some()
                        || fetched.high_watermark > position.high_watermark
                })
            };
            if parked.until <= now || parked.fetch.positions.iter().zip(&answers).any(is_news) {
                self.effects.push(Effect::Answer(parked.call, Response::Fetch(answers)));
            } else {
                self.parked.push(parked);
            }
        }
    }

    fn fetchable(&self, position: &Position, logs: &BTreeMap<i32, PartitionLog>) -> Result<Fetched, ErrorCode> {
        let diverging = self.check_position(position, logs)?;
        let high_watermark = self.replicas[&position.partition].high_watermark();
        let batches = match diverging {
            Some(_) => Vec::new(),
            None => logs[&position.partition].read(position.offset, i64::MAX, BATCHES_PER_FETCH),
        };
        Ok(Fetched { batches, high_watermark, diverging })
    }
}

/// Following.
impl Broker {
    fn fetch(&mut self, now: i64, logs: &BTreeMap<i32, PartitionLog>, bug: Option<Bug>) {
        if self.epoch < 0 {
            return;
        }
        let mut positions: BTreeMap<i32, Vec<Position>> = BTreeMap::new();
        for (partition, replica) in self.replicas.iter().filter(|(_, replica)| !replica.is_leader()) {
            let (Some(leader), log) = (replica.leader(), &logs[partition]) else { continue };
            // What was appended has to be synced before the leader hears of it.
            if self.log_end(log).durable == log.end() {
                positions.entry(leader).or_default().push(Position {
                    partition: *partition,
                    leader_epoch: replica.leader_epoch(),
                    offset: log.end(),
                    // Who does not say it is not told where the logs part.
                    last_epoch: if bug == Some(Bug::TruncationSkipped) { -1 } else { log.last_epoch() },
                    high_watermark: replica.high_watermark(),
                });
            }
        }
        for (leader, positions) in positions {
            let rests = self.fetch_at.get(&leader).is_some_and(|at| now < *at);
            if rests || self.is_asking(|purpose| matches!(purpose, Purpose::Fetch(to, _) if *to == leader)) {
                continue;
            }
            let purpose = Purpose::Fetch(leader, positions.clone());
            let fetch = Fetch { broker_id: self.id, broker_epoch: self.epoch, positions };
            self.effects.push(Effect::Ask { to: leader, request: Request::Fetch(fetch), purpose });
        }
    }

    fn fetched(
        &mut self,
        now: i64,
        leader: i32,
        asked: &[Position],
        response: Option<Response>,
        logs: &mut BTreeMap<i32, PartitionLog>,
    ) {
        let Some(Response::Fetch(answers)) = response else {
            self.fetch_at.insert(leader, now + BACKOFF_MS);
            return;
        };
        for (asked, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(fetched) => self.follow(now, asked, &fetched, logs),
                Err(_) => drop(self.fetch_at.insert(leader, now + BACKOFF_MS)),
            }
        }
    }

    /// An answer counts only in the epoch it was asked in, and only for the log's end as it was then.
    fn follow(&mut self, now: i64, asked: &Position, fetched: &Fetched, logs: &mut BTreeMap<i32, PartitionLog>) {
        let partition = asked.partition;
        let (Some(replica), Some(log)) = (self.replicas.get(&partition), logs.get_mut(&partition)) else { return };
        if replica.is_leader() || replica.leader_epoch() != asked.leader_epoch || log.end() != asked.offset {
            return;
        }
        if let Some((epoch, end)) = fetched.diverging {
            let cut = truncation_offset(epoch, end, log.end(), |epoch| log.end_offset_for_epoch(epoch));
            log.truncate(cut);
            let end = log.end();
            self.effects.push(Effect::Truncated { partition, end });
            self.with(partition, now, |replica, _| replica.truncated(end));
            self.told.insert(partition, self.replicas[&partition].high_watermark());
            return;
        }
        log.append_replicated(&fetched.batches);
        let end = log.end();
        self.effects.push(Effect::Appended { partition, from: asked.offset });
        self.with(partition, now, |replica, _| replica.followed(asked.leader_epoch, end, fetched.high_watermark));
        if self.synced {
            self.sync(partition, log);
        }
    }
}
