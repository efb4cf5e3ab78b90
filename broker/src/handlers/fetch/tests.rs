//! Fetch, by consumers and by followers, against partitions with real logs.

use super::*;
use crate::log::LogConfig;
use crate::partition::testing::{Node, TOPIC_ID, append, registration};
use crate::partition::{Acks, Throttle, Throttled, UNLIMITED};
use std::net::{IpAddr, Ipv4Addr};

const VERSION: i16 = 18;
const BYTES_MAX: i32 = 1 << 20;
const FOLLOWER: i32 = 2;

struct Leader {
    node: Node,
    sessions: Sessions,
}

fn leader(partitions: i32, isr: &[i32]) -> Leader {
    let node = Node::new(1, LogConfig::default());
    for index in 0..partitions {
        node.create(index).apply(&registration(1, 5, 1, isr));
    }
    Leader { node, sessions: Sessions::new(10) }
}

fn wanted(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition {
        partition,
        current_leader_epoch: 5,
        fetch_offset,
        partition_max_bytes: BYTES_MAX,
        high_watermark: 0,
        log_start_offset: 0,
        ..Default::default()
    }
}

fn request(replica: i32, session: (i32, i32), wanted: Vec<FetchPartition>) -> FetchRequest<'static> {
    let topics =
        (!wanted.is_empty()).then(|| FetchTopic { topic_id: TOPIC_ID, partitions: wanted, ..Default::default() });
    FetchRequest {
        replica_state: ReplicaState { replica_id: replica, replica_epoch: i64::from(replica) * 100 },
        max_wait_ms: 10_000,
        min_bytes: 1,
        max_bytes: BYTES_MAX,
        session_id: session.0,
        session_epoch: session.1,
        topics: topics.into_iter().collect(),
        ..Default::default()
    }
}

fn forget(session: i32, epoch: i32, partition: i32) -> FetchRequest<'static> {
    let forgotten = ForgottenTopic { topic_id: TOPIC_ID, partitions: vec![partition], ..Default::default() };
    FetchRequest { forgotten_topics_data: vec![forgotten], ..request(FOLLOWER, (session, epoch), vec![]) }
}

impl Leader {
    fn begin(&self, request: &FetchRequest<'_>) -> Fetch {
        self.try_begin(request).unwrap()
    }

    fn try_begin(&self, request: &FetchRequest<'_>) -> Result<Fetch, ErrorCode> {
        let context = Context {
            version: VERSION,
            client_id: "",
            client_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            listener: "PLAINTEXT",
            now: 0,
            is_forwarded: false,
        };
        Fetch::begin(&self.node.partitions, &self.sessions, BYTES_MAX, &context, request)
    }

    fn at_once(&self, request: &FetchRequest<'_>) -> Fetched {
        self.begin(request).at_once().expect("there is enough")
    }

    fn append(&self, partition: i32) {
        let partition = self.node.partitions.topic_by_id(TOPIC_ID).unwrap().partition(partition).unwrap();
        append(&partition, "value", Acks::Leader).unwrap();
    }
}

fn told(fetched: &Fetched) -> Vec<&PartitionData<'static>> {
    fetched.response.responses.iter().flat_map(|topic| &topic.partitions).collect()
}

fn places(fetched: &Fetched) -> Vec<i32> {
    told(fetched).iter().map(|data| data.partition_index).collect()
}

async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), answer).await.expect("long before the end of its wait")
}

/// The session's id and first answer, of a follower that has nothing of `partitions`.
fn begin_session(leader: &Leader, partitions: i32) -> i32 {
    let all = (0..partitions).map(|index| wanted(index, 0)).collect();
    let first = FetchRequest { max_wait_ms: 0, ..request(FOLLOWER, (0, 0), all) };
    let first = leader.at_once(&first);
    assert_eq!(places(&first).len(), partitions as usize, "the first answer tells of all");
    first.response.session_id
}

#[tokio::test]
async fn a_follower_hears_of_the_partitions_that_have_moved_alone() {
    let leader = leader(20, &[1, 2]);
    let session = begin_session(&leader, 20);
    let fetch = leader.begin(&request(FOLLOWER, (session, 1), vec![]));
    assert!(fetch.at_once().is_none());
    let waiting = tokio::spawn(fetch.wait());
    leader.append(7);
    let answer = soon(waiting).await.unwrap();
    assert_eq!((places(&answer), answer.records), (vec![7], 1), "records that are not committed yet");
}

#[tokio::test]
async fn what_a_follower_asks_for_says_how_far_it_has_come() {
    let leader = leader(1, &[1, 2]);
    let session = begin_session(&leader, 1);
    leader.append(0);
    assert_eq!(leader.at_once(&request(FOLLOWER, (session, 1), vec![])).records, 1);
    let partition = leader.node.partition();
    assert_eq!(partition.high_watermark(), 0);
    let fetch = leader.begin(&request(FOLLOWER, (session, 2), vec![wanted(0, 1)]));
    assert!(fetch.at_once().is_none(), "a high watermark waits a moment for records");
    assert_eq!(partition.high_watermark(), 1);
    let answer = soon(fetch.wait()).await;
    assert_eq!((answer.records, told(&answer)[0].high_watermark), (0, 1));
}

#[tokio::test]
async fn the_next_request_of_a_follower_ends_the_wait_of_the_one_before() {
    let leader = leader(2, &[1, 2]);
    let session = begin_session(&leader, 1);
    let first = leader.begin(&request(FOLLOWER, (session, 1), vec![]));
    assert!(first.at_once().is_none());
    let first = tokio::spawn(first.wait());
    tokio::task::yield_now().await;
    let second = leader.begin(&request(FOLLOWER, (session, 2), vec![wanted(1, 0)]));
    assert!(second.at_once().is_none());
    assert_eq!(places(&soon(first).await.unwrap()), [0; 0]);
    let second = tokio::spawn(second.wait());
    leader.append(1);
    assert_eq!(places(&soon(second).await.unwrap()), [1]);
}

#[tokio::test]
async fn a_follower_that_names_a_partition_anew_hears_what_it_does_not_know() {
    let leader = leader(1, &[1]);
    leader.append(0);
    let all = FetchPartition { high_watermark: 1, ..wanted(0, 1) };
    let session = leader.at_once(&FetchRequest { max_wait_ms: 0, ..request(FOLLOWER, (0, 0), vec![all.clone()]) });
    let session = session.response.session_id;
    assert!(leader.begin(&request(FOLLOWER, (session, 1), vec![all])).at_once().is_none());
    let answer = soon(leader.begin(&request(FOLLOWER, (session, 2), vec![wanted(0, 1)])).wait()).await;
    assert_eq!(told(&answer)[0].high_watermark, 1, "it had no use for the answer that said so before");
}

#[test]
fn a_session_that_is_used_twice_at_once_tells_nothing_of_what_was_forgotten_meanwhile() {
    let leader = leader(3, &[1, 2]);
    let session = begin_session(&leader, 2);
    (0..3).for_each(|index| leader.append(index));
    let fetch = leader.begin(&request(FOLLOWER, (session, 1), vec![]));
    let (look, another) = (fetch.look(), leader.begin(&forget(session, 2, 0)));
    assert_eq!(places(&look.answer(&fetch)), [1]);
    let look = another.look();
    drop(leader.begin(&forget(session, 3, 1)));
    // They take the places that are free now.
    let fetch = leader.begin(&request(FOLLOWER, (session, 4), vec![wanted(2, 0), wanted(0, 0)]));
    assert_eq!(places(&look.answer(&another)), [0; 0]);
    assert_eq!(places(&fetch.at_once().expect("there is enough")), [2, 0]);
}

#[test]
fn a_session_is_used_by_many_at_once() {
    let leader = leader(2, &[1, 2]);
    let session = begin_session(&leader, 2);
    let epoch = std::sync::atomic::AtomicI32::new(1);
    let use_it = || {
        for round in 0..500 {
            let epoch = epoch.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let request = match round % 2 {
                0 => forget(session, epoch, round / 2 % 2),
                _ => request(FOLLOWER, (session, epoch), vec![wanted(0, 0), wanted(1, 0)]),
            };
            // Its turn may have passed already, or not have come yet.
            let Ok(fetch) = leader.try_begin(&request) else { continue };
            drop(fetch.look().answer(&fetch));
        }
    };
    (0..2).for_each(|index| leader.append(index));
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(use_it))));
}

#[tokio::test]
async fn a_consumer_gets_what_is_committed() {
    let leader = leader(1, &[1, 2]);
    leader.append(0);
    let consumer = FetchPartition { high_watermark: i64::MAX, ..wanted(0, 0) };
    let fetch = leader.begin(&request(-1, (0, 0), vec![consumer]));
    assert!(fetch.at_once().is_none());
    let waiting = tokio::spawn(fetch.wait());
    tokio::task::yield_now().await;
    begin_session(&leader, 1);
    drop(leader.begin(&request(FOLLOWER, (0, -1), vec![wanted(0, 1)])).at_once());
    assert_eq!(soon(waiting).await.unwrap().records, 1);
}

#[test]
fn the_place_where_logs_part_is_told_instead_of_records() {
    let leader = leader(1, &[1, 2]);
    leader.append(0);
    let from_elsewhere = FetchPartition { last_fetched_epoch: 4, ..wanted(0, 3) };
    let answer = leader.at_once(&request(FOLLOWER, (0, 0), vec![from_elsewhere]));
    assert_eq!(told(&answer)[0].diverging_epoch, EpochEndOffset { epoch: 4, end_offset: 0 });
    assert_eq!(answer.records, 0);
}

#[test]
fn what_a_follower_believes_is_checked() {
    let leader = leader(1, &[1, 2]);
    let code = |replica, wanted| {
        let answer = leader.at_once(&request(replica, (0, 0), vec![wanted]));
        ErrorCode::from_code(told(&answer)[0].error_code).unwrap()
    };
    assert_eq!(code(2, FetchPartition { current_leader_epoch: 4, ..wanted(0, 0) }), ErrorCode::FencedLeaderEpoch);
    assert_eq!(code(2, FetchPartition { current_leader_epoch: 6, ..wanted(0, 0) }), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(code(9, wanted(0, 0)), ErrorCode::UnknownLeaderEpoch, "it holds no replica");
    assert_eq!(code(2, wanted(0, 1)), ErrorCode::OffsetOutOfRange);
    assert_eq!(code(2, wanted(5, 0)), ErrorCode::UnknownTopicId);
}

#[test]
fn a_consumer_is_sent_to_a_replica_in_its_rack() {
    let leader = leader(1, &[1, 2]);
    leader.append(0);
    begin_session(&leader, 1);
    drop(leader.begin(&request(FOLLOWER, (0, -1), vec![wanted(0, 1)])).at_once());
    let near = |rack: &'static str| {
        let request = FetchRequest { rack_id: rack.into(), ..request(-1, (0, 0), vec![wanted(0, 0)]) };
        let answer = leader.at_once(&request);
        (told(&answer)[0].preferred_read_replica, answer.records)
    };
    assert_eq!(near("rack 2"), (2, 0));
    assert_eq!(near("rack 1"), (-1, 1), "the leader's own");
    assert_eq!(near("rack 3"), (-1, 1), "that of a replica that is not in sync");
}

#[test]
fn a_follower_serves_consumers_but_no_followers() {
    let node = Node::new(1, LogConfig::default());
    node.create(0).apply(&registration(3, 5, 1, &[1, 3]));
    let leader = Leader { node, sessions: Sessions::new(10) };
    let answer = leader.at_once(&FetchRequest { max_wait_ms: 0, ..request(-1, (0, 0), vec![wanted(0, 0)]) });
    assert_eq!(told(&answer)[0].error_code, 0);
    let answer = leader.at_once(&request(FOLLOWER, (0, 0), vec![wanted(0, 0)]));
    let expected = LeaderIdAndEpoch { leader_id: 3, leader_epoch: 5 };
    assert_eq!(told(&answer)[0].error_code, ErrorCode::NotLeaderOrFollower.code());
    assert_eq!(told(&answer)[0].current_leader, expected);
}

/// Puts partition 0 under a limit of one byte a second.
fn throttle(leader: &Leader) -> &Throttle {
    leader.node.partition().set_throttled(Throttled { as_leader: true, as_follower: false });
    let throttle = &leader.node.partitions.broker().throttles.leader;
    throttle.set_limit(1);
    throttle
}

#[tokio::test]
async fn a_throttle_holds_back_a_partition_that_lags_and_no_other() {
    let leader = leader(2, &[1]);
    let throttle = throttle(&leader);
    (0..3).for_each(|_| leader.append(0));
    let one_batch = |offset| FetchPartition { partition_max_bytes: 1, ..wanted(0, offset) };
    let first = leader.at_once(&request(FOLLOWER, (0, 0), vec![one_batch(0), wanted(1, 0)]));
    assert_eq!(first.records, 1, "nothing has passed before");
    let session = first.response.session_id;

    let fetch = leader.begin(&request(FOLLOWER, (session, 1), vec![one_batch(1)]));
    assert!(fetch.at_once().is_none());
    let waiting = tokio::spawn(fetch.wait());
    tokio::task::yield_now().await;
    leader.append(1);
    let answer = soon(waiting).await.unwrap();
    assert_eq!((places(&answer), answer.records), (vec![1], 1));
    let news = soon(leader.begin(&request(FOLLOWER, (session, 2), vec![wanted(1, 1)])).wait()).await;
    assert_eq!((places(&news), news.records), (vec![1], 0), "its new high watermark");

    let fetch = leader.begin(&request(FOLLOWER, (session, 3), vec![]));
    assert!(fetch.at_once().is_none());
    let waiting = tokio::spawn(fetch.wait());
    tokio::task::yield_now().await;
    throttle.set_limit(UNLIMITED);
    leader.node.partition().look_again();
    assert_eq!(places(&soon(waiting).await.unwrap()), [0], "as soon as the limit is gone");
}

#[test]
fn a_throttle_counts_what_a_follower_in_sync_takes_and_never_holds_it_back() {
    let leader = leader(1, &[1, 2]);
    let throttle = throttle(&leader);
    let session = begin_session(&leader, 1);
    for offset in 0..3 {
        leader.append(0);
        let answer = leader.at_once(&request(FOLLOWER, (session, offset + 1), vec![wanted(0, offset.into())]));
        assert_eq!(answer.records, 1);
    }
    assert!(throttle.resumes_at(leader.node.partitions.broker().now()).is_some());
}

#[test]
fn a_follower_that_the_high_watermark_waits_for_is_not_held_back() {
    let leader = leader(1, &[1]);
    let throttle = throttle(&leader);
    leader.append(0);
    let session = leader.at_once(&request(FOLLOWER, (0, 0), vec![wanted(0, 0)])).response.session_id;
    assert!(throttle.resumes_at(leader.node.partitions.broker().now()).is_some());
    // It has all now, and the next record is not committed without it.
    drop(leader.begin(&request(FOLLOWER, (session, 1), vec![wanted(0, 1)])).at_once());
    leader.append(0);
    assert_eq!(leader.at_once(&request(FOLLOWER, (session, 2), vec![wanted(0, 1)])).records, 1);
}
