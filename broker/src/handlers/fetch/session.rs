//! Incremental fetch sessions (KIP-227): the broker remembers what a client fetches, requests name only what changes,
//! and responses only what has news.
//!
//! - A session's epoch counts its requests: a request out of turn is refused, never guessed at.
//! - A session looks only at partitions that are *due*: those that a request names, those that have moved since they were
//!   looked at (they put themselves into the session's inbox), and those that have more than was sent. Idle partitions
//!   cost nothing, however many there are.
//! - A partition stays due until a look at it finds nothing to tell.
//! - The cache holds `max.incremental.fetch.session.cache.slots` sessions. A new one takes the place of one that was not
//!   used for [`UNUSED_MS_MIN`]; where there is none, the client goes on without a session. Followers always get one.
//!
//! Deliberately absent: Kafka's preference of sessions with more partitions. Time since the last use decides alone.

use crate::partition::{Inbox, Interest, Partition, Subscription};
use crate::protocol::messages::fetch::{FetchPartition, FetchRequest};
use crate::protocol::{ErrorCode, Uuid};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Milliseconds that a session must be unused before another may take its place
/// (Kafka's `min.incremental.fetch.session.eviction.ms`).
pub const UNUSED_MS_MIN: i64 = 120_000;
const TOPIC_ID_SINCE: i16 = 13;
const NO_SESSION: i32 = 0;
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// A topic as the client names it: by name up to version 12, by id since.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

/// One partition that a client fetches, with what it was told last.
#[derive(Debug)]
pub struct Wanted {
    pub topic: TopicKey,
    pub fetch: FetchPartition,
    /// The request at hand names it: a follower says by that how far it has come.
    pub is_named: bool,
    /// High watermark and log start of the last answer; a difference is news.
    told: Option<(i64, i64)>,
    is_due: bool,
    /// Another for each partition that comes to a place, even if it is the same that was forgotten there.
    tenancy: u64,
    /// What the partition tells its moves to, and the partition it was made for.
    subscription: Option<(Arc<Partition>, Arc<Subscription>)>,
}

impl Wanted {
    fn new(topic: &TopicKey, fetch: &FetchPartition) -> Wanted {
        Wanted {
            topic: topic.clone(),
            fetch: fetch.clone(),
            is_named: true,
            told: known(fetch),
            is_due: false,
            tenancy: 0,
            subscription: None,
        }
    }

    /// Whether an answer of this high watermark and log start says something new.
    pub fn is_news(&self, told: (i64, i64)) -> bool {
        self.told != Some(told)
    }

    /// The client is told this now; an error is told again until it is gone, and what follows it is news.
    pub fn tell(&mut self, told: Option<(i64, i64)>) {
        self.told = told;
    }
}

/// The high watermark and log start that a follower says it knows (KIP-1166); `None` of a consumer.
fn known(fetch: &FetchPartition) -> Option<(i64, i64)> {
    (fetch.high_watermark != i64::MAX).then_some((fetch.high_watermark, fetch.log_start_offset))
}

/// The partitions of one session.
#[derive(Debug)]
pub struct Session {
    by_topic_id: bool,
    next_epoch: i32,
    used_ms: i64,
    interest: Interest,
    inbox: Arc<Inbox>,
    /// By place; a place that was forgotten is used again.
    wanted: Vec<Option<Wanted>>,
    free: Vec<u32>,
    next_tenancy: u64,
    places: HashMap<(TopicKey, i32), u32>,
    /// The places to look at, in the order of their turns.
    due: VecDeque<u32>,
}

impl Session {
    fn new(request: &FetchRequest<'_>, version: i16, interest: Interest, now: i64) -> Session {
        let mut session = Session {
            by_topic_id: version >= TOPIC_ID_SINCE,
            next_epoch: 1,
            used_ms: now,
            interest,
            inbox: Inbox::new(),
            wanted: Vec::new(),
            free: Vec::new(),
            next_tenancy: 0,
            places: HashMap::new(),
            due: VecDeque::new(),
        };
        session.add(request, version);
        session
    }

    fn add(&mut self, request: &FetchRequest<'_>, version: i16) {
        for (topic, fetch) in requested(request, version) {
            let key = (topic.clone(), fetch.partition);
            let place = match self.places.get(&key) {
                Some(place) => {
                    let wanted = self.wanted[*place as usize].as_mut().expect("a place that is named is taken");
                    (wanted.fetch, wanted.is_named) = (fetch.clone(), true);
                    // It may have been told more than it could use.
                    wanted.told = known(fetch).or(wanted.told);
                    *place
                }
                None => {
                    let place = self.place(Wanted::new(&topic, fetch));
                    self.places.insert(key, place);
                    place
                }
            };
            self.make_due(place);
        }
    }

    fn place(&mut self, wanted: Wanted) -> u32 {
        let wanted = Wanted { tenancy: self.next_tenancy, ..wanted };
        self.next_tenancy += 1;
        match self.free.pop() {
            Some(place) => {
                self.wanted[place as usize] = Some(wanted);
                place
            }
            None => {
                self.wanted.push(Some(wanted));
                u32::try_from(self.wanted.len() - 1).expect("fewer partitions than bytes in a request")
            }
        }
    }

    fn forget(&mut self, request: &FetchRequest<'_>, version: i16) {
        for forgotten in &request.forgotten_topics_data {
            let topic = topic_key(version, &forgotten.topic, forgotten.topic_id);
            for partition in &forgotten.partitions {
                if let Some(place) = self.places.remove(&(topic.clone(), *partition)) {
                    self.wanted[place as usize] = None;
                    self.due.retain(|other| *other != place);
                    self.free.push(place);
                }
            }
        }
    }

    /// Puts a place at the end of those to be looked at.
    pub fn make_due(&mut self, place: u32) {
        let Some(wanted) = self.wanted.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut wanted.is_due, true) {
            self.due.push_back(place);
        }
    }

    /// Takes the places that are due, in their order, with those of the partitions that have moved at the end.
    pub fn take_due(&mut self) -> Vec<u32> {
        for place in self.inbox.take() {
            if let Some(Some(Wanted { subscription: Some((_, subscription)), .. })) = self.wanted.get(place as usize) {
                // Before the look at it: what moves from here on is posted again.
                subscription.taken();
            }
            self.make_due(place);
        }
        let due: Vec<u32> = self.due.drain(..).collect();
        for place in &due {
            self.wanted(*place).is_due = false;
        }
        due
    }

    /// What is fetched at a place that was due.
    pub fn wanted(&mut self, place: u32) -> &mut Wanted {
        self.wanted[place as usize].as_mut().expect("what was forgotten is not due")
    }

    /// What tells later whether a place still means the partition that it means now.
    pub fn tenancy(&mut self, place: u32) -> u64 {
        self.wanted(place).tenancy
    }

    /// What is fetched at a place, if that still is what it was: another request of the session, over another connection,
    /// may have forgotten it in the meantime.
    pub fn still_wanted(&mut self, place: u32, tenancy: u64) -> Option<&mut Wanted> {
        self.wanted.get_mut(place as usize)?.as_mut().filter(|wanted| wanted.tenancy == tenancy)
    }

    /// Has the session told when `partition` moves, which is the one meant at `place` now.
    pub fn subscribe(&mut self, place: u32, partition: &Arc<Partition>) {
        let (inbox, interest) = (self.inbox.clone(), self.interest);
        let wanted = self.wanted(place);
        if wanted.subscription.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, partition)) {
            return;
        }
        let subscription = Subscription::new(&inbox, place, interest);
        partition.subscribe(&subscription);
        wanted.subscription = Some((partition.clone(), subscription));
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All partitions, in the order of their places.
    #[cfg(test)]
    fn partitions(&self) -> Vec<i32> {
        self.wanted.iter().flatten().map(|wanted| wanted.fetch.partition).collect()
    }
}

fn topic_key(version: i16, name: &str, id: Uuid) -> TopicKey {
    if version >= TOPIC_ID_SINCE { TopicKey::Id(id) } else { TopicKey::Name(name.into()) }
}

fn requested<'r>(request: &'r FetchRequest<'_>, version: i16) -> impl Iterator<Item = (TopicKey, &'r FetchPartition)> {
    request.topics.iter().flat_map(move |topic| {
        let key = topic_key(version, &topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |partition| (key.clone(), partition))
    })
}

/// The session that a request belongs to, for as long as it is answered.
#[derive(Debug)]
pub struct Plan {
    /// 0 where the session ends with the answer.
    pub session_id: i32,
    session: Arc<Mutex<Session>>,
    inbox: Arc<Inbox>,
    /// This request's turn to wait at the inbox.
    turn: u64,
    /// The first answer of a session, and those without one, tell of every partition.
    pub full: bool,
}

impl Plan {
    /// An earlier request of the session that waits still is answered now, so that this one can be.
    fn new(session_id: i32, session: Arc<Mutex<Session>>, full: bool) -> Plan {
        let inbox = session.lock().expect("no panic while held").inbox.clone();
        let turn = inbox.begin_turn();
        Plan { session_id, session, inbox, turn, full }
    }

    pub fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().expect("no panic while held")
    }

    /// Whether the session outlives this request, and its subscriptions with it.
    pub fn is_kept(&self) -> bool {
        self.session_id != NO_SESSION
    }

    /// Whether the client has sent the next request before this one was answered: that one gets the news.
    pub fn is_overtaken(&self) -> bool {
        self.inbox.is_over(self.turn)
    }

    /// Returns once a partition of the session has moved, or the request was overtaken. What has no hurry is waited with
    /// for a little `linger`.
    pub async fn moved(&self, linger: Duration) {
        self.inbox.moved(self.turn, linger).await;
    }
}

/// All sessions of a broker.
#[derive(Debug)]
pub struct Sessions {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

impl Sessions {
    /// `slots`: the most sessions kept (`max.incremental.fetch.session.cache.slots`).
    pub fn new(slots: usize) -> Sessions {
        Sessions { slots, sessions: Mutex::default() }
    }

    /// `fresh_id`: a random number, the id of a session that is made now. `interest`: that of a follower or a consumer.
    /// Errors: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
    pub fn plan(
        &self,
        request: &FetchRequest<'_>,
        version: i16,
        interest: Interest,
        fresh_id: i32,
        now: i64,
    ) -> Result<Plan, ErrorCode> {
        match request.session_epoch {
            INITIAL_EPOCH | FINAL_EPOCH => Ok(self.plan_full(request, version, interest, fresh_id, now)),
            epoch => self.plan_incremental(request, version, epoch, now),
        }
    }

    fn plan_full(&self, request: &FetchRequest<'_>, version: i16, interest: Interest, fresh_id: i32, now: i64) -> Plan {
        if request.session_id != NO_SESSION {
            self.sessions.lock().expect("no panic while held").remove(&request.session_id);
        }
        let session = Arc::new(Mutex::new(Session::new(request, version, interest, now)));
        let wants = request.session_epoch == INITIAL_EPOCH && !request.topics.is_empty() && fresh_id > 0;
        let kept = wants && self.keep(fresh_id, &session, interest, now);
        Plan::new(if kept { fresh_id } else { NO_SESSION }, session, true)
    }

    /// Whether there was a place for the session.
    fn keep(&self, id: i32, session: &Arc<Mutex<Session>>, interest: Interest, now: i64) -> bool {
        let mut sessions = self.sessions.lock().expect("no panic while held");
        if sessions.contains_key(&id) {
            return false;
        }
        if interest == Interest::Appended {
            // Those of followers that are gone hold subscriptions to all that they followed.
            sessions.retain(|_, session| {
                let session = session.lock().expect("no panic while held");
                session.interest != interest || now - session.used_ms < UNUSED_MS_MIN
            });
        }
        if sessions.len() >= self.slots {
            let used = |session: &Arc<Mutex<Session>>| session.lock().expect("no panic while held").used_ms;
            let oldest = sessions.iter().map(|(id, session)| (used(session), *id)).min();
            match oldest {
                Some((used, oldest)) if now - used >= UNUSED_MS_MIN => {
                    sessions.remove(&oldest);
                }
                _ if interest == Interest::Appended => {}
                _ => return false,
            }
        }
        sessions.insert(id, session.clone());
        true
    }

    fn plan_incremental(
        &self,
        request: &FetchRequest<'_>,
        version: i16,
        epoch: i32,
        now: i64,
    ) -> Result<Plan, ErrorCode> {
        let found = self.sessions.lock().expect("no panic while held").get(&request.session_id).cloned();
        let shared = found.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let mut session = shared.lock().expect("no panic while held");
        if session.by_topic_id != (version >= TOPIC_ID_SINCE) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        if session.next_epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.used_ms = now;
        session.add(request, version);
        session.forget(request, version);
        drop(session);
        Ok(Plan::new(request.session_id, shared, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::fetch::{FetchTopic, ForgottenTopic};

    const VERSION: i16 = 17;

    fn topic(id: u8, partitions: &[i32]) -> FetchTopic<'static> {
        let partitions =
            partitions.iter().map(|partition| FetchPartition { partition: *partition, ..Default::default() });
        FetchTopic { topic_id: Uuid([id; 16]), partitions: partitions.collect(), ..Default::default() }
    }

    fn request(session_id: i32, session_epoch: i32, topics: Vec<FetchTopic<'static>>) -> FetchRequest<'static> {
        FetchRequest { session_id, session_epoch, topics, ..Default::default() }
    }

    fn plan(sessions: &Sessions, request: &FetchRequest<'_>, fresh_id: i32, now: i64) -> Result<Plan, ErrorCode> {
        sessions.plan(request, VERSION, Interest::Committed, fresh_id, now)
    }

    fn partitions(plan: &Plan) -> Vec<i32> {
        plan.session().partitions()
    }

    fn due(plan: &Plan) -> Vec<i32> {
        let mut session = plan.session();
        let due = session.take_due();
        due.into_iter().map(|place| session.wanted(place).fetch.partition).collect()
    }

    #[test]
    fn a_session_remembers_adds_and_forgets() {
        let sessions = Sessions::new(10);
        let first = plan(&sessions, &request(0, 0, vec![topic(1, &[0, 1])]), 77, 0).unwrap();
        assert_eq!((first.session_id, partitions(&first)), (77, vec![0, 1]));
        let second = plan(&sessions, &request(77, 1, vec![topic(1, &[2])]), 1, 0).unwrap();
        assert_eq!(partitions(&second), [0, 1, 2]);
        let mut forget = request(77, 2, vec![]);
        forget.forgotten_topics_data =
            vec![ForgottenTopic { topic_id: Uuid([1; 16]), partitions: vec![0], ..Default::default() }];
        assert_eq!(partitions(&plan(&sessions, &forget, 1, 0).unwrap()), [1, 2]);
        let third = plan(&sessions, &request(77, 3, vec![topic(1, &[5])]), 1, 0).unwrap();
        assert_eq!(partitions(&third), [5, 1, 2], "a free place is used again");
    }

    #[test]
    fn only_what_is_due_is_looked_at() {
        let sessions = Sessions::new(10);
        let first = plan(&sessions, &request(0, 0, vec![topic(1, &[0, 1, 2])]), 77, 0).unwrap();
        assert_eq!(due(&first), [0, 1, 2], "the first request names all");
        first.session().make_due(0);
        let second = plan(&sessions, &request(77, 1, vec![topic(1, &[2])]), 1, 0).unwrap();
        assert_eq!(due(&second), [0, 2], "one that had more, and one that the request names");
        assert_eq!(due(&second), [0; 0]);
    }

    #[test]
    fn a_request_out_of_turn_is_refused() {
        let sessions = Sessions::new(10);
        plan(&sessions, &request(0, 0, vec![topic(1, &[0])]), 77, 0).unwrap();
        let refused = |id, epoch, version| {
            sessions.plan(&request(id, epoch, vec![]), version, Interest::Committed, 1, 0).unwrap_err()
        };
        assert_eq!(refused(77, 2, VERSION), ErrorCode::InvalidFetchSessionEpoch);
        assert_eq!(refused(78, 1, VERSION), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(refused(77, 1, 12), ErrorCode::FetchSessionTopicIdError);
    }

    #[test]
    fn a_request_is_overtaken_by_the_next() {
        let sessions = Sessions::new(10);
        let first = plan(&sessions, &request(0, 0, vec![topic(1, &[0])]), 77, 0).unwrap();
        assert!(!first.is_overtaken());
        let second = plan(&sessions, &request(77, 1, vec![]), 1, 0).unwrap();
        assert!(first.is_overtaken() && !second.is_overtaken());
    }

    #[test]
    fn a_partition_tells_only_news() {
        let mut wanted = Wanted::new(&TopicKey::Id(Uuid([1; 16])), &FetchPartition::default());
        assert!(wanted.is_news((5, 0)));
        wanted.tell(Some((5, 0)));
        assert!(!wanted.is_news((5, 0)) && wanted.is_news((6, 0)));
        wanted.tell(None);
        assert!(wanted.is_news((5, 0)), "after an error");
        let follower = FetchPartition { high_watermark: 5, log_start_offset: 0, ..Default::default() };
        assert!(!Wanted::new(&TopicKey::Id(Uuid([1; 16])), &follower).is_news((5, 0)), "it has said that it knows");
    }

    #[test]
    fn a_full_cache_gives_away_only_unused_places() {
        let sessions = Sessions::new(1);
        let ask = |id, now| plan(&sessions, &request(0, 0, vec![topic(1, &[0])]), id, now).unwrap().session_id;
        assert_eq!((ask(1, 0), ask(2, UNUSED_MS_MIN - 1), ask(3, UNUSED_MS_MIN)), (1, 0, 3));
        let follower = request(0, 0, vec![topic(1, &[0])]);
        let follower = sessions.plan(&follower, VERSION, Interest::Appended, 4, UNUSED_MS_MIN).unwrap();
        assert_eq!(follower.session_id, 4, "but there is always one more for a follower");
    }

    #[test]
    fn closing_a_session_frees_it() {
        let sessions = Sessions::new(1);
        plan(&sessions, &request(0, 0, vec![topic(1, &[0])]), 77, 0).unwrap();
        plan(&sessions, &request(77, -1, vec![]), 1, 0).unwrap();
        let refused = plan(&sessions, &request(77, 1, vec![]), 1, 0).unwrap_err();
        assert_eq!(refused, ErrorCode::FetchSessionIdNotFound);
    }
}
