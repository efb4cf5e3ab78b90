//! Incremental fetch sessions (KIP-227): the broker remembers what a client fetches, requests name only what changes,
//! and responses only what has news.
//!
//! - A session's epoch counts its requests: a request out of turn is refused, never guessed at.
//! - The cache holds `max.incremental.fetch.session.cache.slots` sessions. A new one takes the place of one that was not
//!   used for [`UNUSED_MS_MIN`]; where there is none, the client goes on without a session.
//!
//! Deliberately absent: Kafka's preference of sessions with more partitions. Time since the last use decides alone.

use crate::protocol::messages::fetch::{FetchPartition, FetchRequest};
use crate::protocol::{ErrorCode, Uuid};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

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
#[derive(Clone, Debug)]
pub struct Wanted {
    pub topic: TopicKey,
    pub fetch: FetchPartition,
    /// High watermark and log start of the last answer; a difference is news.
    told: Option<(i64, i64)>,
}

impl Wanted {
    fn new(topic: &TopicKey, fetch: &FetchPartition) -> Wanted {
        Wanted { topic: topic.clone(), fetch: fetch.clone(), told: None }
    }
}

/// The partitions of one session in the order they are read.
#[derive(Debug, Default)]
pub struct Session {
    by_topic_id: bool,
    next_epoch: i32,
    used_ms: i64,
    wanted: Vec<Wanted>,
    places: HashMap<(TopicKey, i32), usize>,
}

impl Session {
    fn new(request: &FetchRequest<'_>, version: i16, now: i64) -> Session {
        let mut session =
            Session { by_topic_id: version >= TOPIC_ID_SINCE, next_epoch: 1, used_ms: now, ..Session::default() };
        session.add(request, version);
        session
    }

    fn add(&mut self, request: &FetchRequest<'_>, version: i16) {
        for (topic, fetch) in requested(request, version) {
            match self.places.get(&(topic.clone(), fetch.partition)) {
                Some(place) => self.wanted[*place].fetch = fetch.clone(),
                None => {
                    self.places.insert((topic.clone(), fetch.partition), self.wanted.len());
                    self.wanted.push(Wanted::new(&topic, fetch));
                }
            }
        }
    }

    fn forget(&mut self, request: &FetchRequest<'_>, version: i16) {
        let before = self.places.len();
        for forgotten in &request.forgotten_topics_data {
            let topic = topic_key(version, &forgotten.topic, forgotten.topic_id);
            for partition in &forgotten.partitions {
                self.places.remove(&(topic.clone(), *partition));
            }
        }
        if self.places.len() < before {
            let places = &self.places;
            self.wanted.retain(|wanted| places.contains_key(&(wanted.topic.clone(), wanted.fetch.partition)));
            self.number();
        }
    }

    fn number(&mut self) {
        for (place, wanted) in self.wanted.iter().enumerate() {
            self.places.insert((wanted.topic.clone(), wanted.fetch.partition), place);
        }
    }

    /// Whether the answer for a partition says anything that the client does not know, and remembers that it does now.
    /// `has_data`: it carries records, an error or a diverging epoch.
    fn is_news(&mut self, topic: &TopicKey, partition: i32, told: (i64, i64), has_data: bool) -> bool {
        let Some(place) = self.places.get(&(topic.clone(), partition)) else { return true };
        let wanted = &mut self.wanted[*place];
        let news = has_data || wanted.told != Some(told);
        // An error is told again until it is gone, and what follows it is news.
        wanted.told = Some(told);
        news
    }

    /// Partitions that gave records go to the end, so that all get their turn when a response is full.
    fn rotate(&mut self, served: &[(TopicKey, i32)]) {
        if served.is_empty() || served.len() == self.wanted.len() {
            return;
        }
        let served: HashSet<(&TopicKey, i32)> = served.iter().map(|(topic, partition)| (topic, *partition)).collect();
        let is_served = |wanted: &Wanted| served.contains(&(&wanted.topic, wanted.fetch.partition));
        let (served, waiting): (Vec<_>, Vec<_>) = self.wanted.drain(..).partition(is_served);
        self.wanted = waiting.into_iter().chain(served).collect();
        self.number();
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

/// What a request means: what to read, and which session its answer belongs to.
#[derive(Debug)]
pub struct Plan {
    pub wanted: Vec<Wanted>,
    /// 0 where there is no session.
    pub session_id: i32,
    session: Option<Arc<Mutex<Session>>>,
    /// A full answer names every partition; an incremental one only those with news.
    full: bool,
}

impl Plan {
    /// Whether a partition's answer is sent. To be asked once for each partition.
    pub fn tells(&self, topic: &TopicKey, partition: i32, told: (i64, i64), has_data: bool) -> bool {
        let Some(session) = &self.session else { return true };
        let news = session.lock().expect("no panic while held").is_news(topic, partition, told, has_data);
        self.full || news
    }

    pub fn served(&self, partitions: &[(TopicKey, i32)]) {
        if let Some(session) = &self.session {
            session.lock().expect("no panic while held").rotate(partitions);
        }
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

    /// `fresh_id`: a random number, the id of a session that is made now.
    /// Errors: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
    pub fn plan(&self, request: &FetchRequest<'_>, version: i16, fresh_id: i32, now: i64) -> Result<Plan, ErrorCode> {
        match request.session_epoch {
            INITIAL_EPOCH | FINAL_EPOCH => Ok(self.plan_full(request, version, fresh_id, now)),
            epoch => self.plan_incremental(request, version, epoch, now),
        }
    }

    fn plan_full(&self, request: &FetchRequest<'_>, version: i16, fresh_id: i32, now: i64) -> Plan {
        if request.session_id != NO_SESSION {
            self.sessions.lock().expect("no panic while held").remove(&request.session_id);
        }
        let wanted = requested(request, version).map(|(topic, fetch)| Wanted::new(&topic, fetch)).collect();
        let mut plan = Plan { wanted, session_id: NO_SESSION, session: None, full: true };
        if request.session_epoch == INITIAL_EPOCH && !plan.wanted.is_empty() && fresh_id > 0 {
            let session = Arc::new(Mutex::new(Session::new(request, version, now)));
            if self.keep(fresh_id, &session, now) {
                (plan.session_id, plan.session) = (fresh_id, Some(session));
            }
        }
        plan
    }

    /// Whether there was a place for the session.
    fn keep(&self, id: i32, session: &Arc<Mutex<Session>>, now: i64) -> bool {
        let mut sessions = self.sessions.lock().expect("no panic while held");
        if sessions.contains_key(&id) {
            return false;
        }
        if sessions.len() >= self.slots {
            let used = |session: &Arc<Mutex<Session>>| session.lock().expect("no panic while held").used_ms;
            let oldest = sessions.iter().map(|(id, session)| (used(session), *id)).min();
            match oldest {
                Some((used, oldest)) if now - used >= UNUSED_MS_MIN => sessions.remove(&oldest),
                _ => return false,
            };
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
        let wanted = session.wanted.clone();
        drop(session);
        Ok(Plan { wanted, session_id: request.session_id, session: Some(shared), full: false })
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

    fn partitions(plan: &Plan) -> Vec<i32> {
        plan.wanted.iter().map(|wanted| wanted.fetch.partition).collect()
    }

    #[test]
    fn a_session_remembers_adds_and_forgets() {
        let sessions = Sessions::new(10);
        let plan = sessions.plan(&request(0, 0, vec![topic(1, &[0, 1])]), VERSION, 77, 0).unwrap();
        assert_eq!((plan.session_id, partitions(&plan)), (77, vec![0, 1]));
        let plan = sessions.plan(&request(77, 1, vec![topic(1, &[2])]), VERSION, 1, 0).unwrap();
        assert_eq!(partitions(&plan), [0, 1, 2]);
        let mut forget = request(77, 2, vec![]);
        forget.forgotten_topics_data =
            vec![ForgottenTopic { topic_id: Uuid([1; 16]), partitions: vec![0], ..Default::default() }];
        assert_eq!(partitions(&sessions.plan(&forget, VERSION, 1, 0).unwrap()), [1, 2]);
    }

    #[test]
    fn a_request_out_of_turn_is_refused() {
        let sessions = Sessions::new(10);
        sessions.plan(&request(0, 0, vec![topic(1, &[0])]), VERSION, 77, 0).unwrap();
        let refused = |id, epoch, version| sessions.plan(&request(id, epoch, vec![]), version, 1, 0).unwrap_err();
        assert_eq!(refused(77, 2, VERSION), ErrorCode::InvalidFetchSessionEpoch);
        assert_eq!(refused(78, 1, VERSION), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(refused(77, 1, 12), ErrorCode::FetchSessionTopicIdError);
    }

    #[test]
    fn an_incremental_answer_tells_only_news() {
        let sessions = Sessions::new(10);
        let key = TopicKey::Id(Uuid([1; 16]));
        let plan = sessions.plan(&request(0, 0, vec![topic(1, &[0])]), VERSION, 77, 0).unwrap();
        assert!(plan.tells(&key, 0, (5, 0), false), "the first answer is full");
        let plan = sessions.plan(&request(77, 1, vec![]), VERSION, 1, 0).unwrap();
        assert!(!plan.tells(&key, 0, (5, 0), false));
        assert!(plan.tells(&key, 0, (6, 0), false));
        assert!(plan.tells(&key, 0, (6, 0), true));
    }

    #[test]
    fn partitions_that_were_served_wait_for_the_others() {
        let sessions = Sessions::new(10);
        let plan = sessions.plan(&request(0, 0, vec![topic(1, &[0, 1, 2])]), VERSION, 77, 0).unwrap();
        plan.served(&[(TopicKey::Id(Uuid([1; 16])), 0)]);
        let plan = sessions.plan(&request(77, 1, vec![]), VERSION, 1, 0).unwrap();
        assert_eq!(partitions(&plan), [1, 2, 0]);
    }

    #[test]
    fn a_full_cache_gives_away_only_unused_places() {
        let sessions = Sessions::new(1);
        let ask = |id, now| sessions.plan(&request(0, 0, vec![topic(1, &[0])]), VERSION, id, now).unwrap().session_id;
        assert_eq!((ask(1, 0), ask(2, UNUSED_MS_MIN - 1), ask(3, UNUSED_MS_MIN)), (1, 0, 3));
    }

    #[test]
    fn closing_a_session_frees_it() {
        let sessions = Sessions::new(1);
        sessions.plan(&request(0, 0, vec![topic(1, &[0])]), VERSION, 77, 0).unwrap();
        sessions.plan(&request(77, -1, vec![]), VERSION, 1, 0).unwrap();
        assert_eq!(
            sessions.plan(&request(77, 1, vec![]), VERSION, 1, 0).unwrap_err(),
            ErrorCode::FetchSessionIdNotFound
        );
    }
}
