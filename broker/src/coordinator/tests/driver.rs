//! Loading, answers and their commits, failures, deadlines.

use super::Coordinator;
use super::memory_log::MemoryLog;
use crate::coordinator::group::metadata::CommittedOffset;
use crate::coordinator::group::records::{GroupRecord, batch_of};
use crate::coordinator::{BoxFuture, CoordinatorLog};
use crate::handlers::offset_commit;
use crate::protocol::ErrorCode;
use crate::protocol::batch::attributes;
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::record::BatchBuilder;
use std::sync::{Arc, Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Duration;

fn committed(offset: i64) -> GroupRecord {
    let committed =
        CommittedOffset { offset, leader_epoch: -1, metadata: "".into(), commit_timestamp: 0, expire_timestamp: None };
    GroupRecord::Offset { group: "g".into(), topic: "t".into(), partition: 0, committed: Some(committed) }
}

#[tokio::test(start_paused = true)]
async fn members_are_answered_by_deadlines_and_by_each_other() {
    let coordinator = Coordinator::new().await;
    let (a, b) = tokio::join!(coordinator.join(3, ""), coordinator.join(3, ""));
    assert_eq!((a.error_code, b.error_code, a.generation_id, b.generation_id), (0, 0, 1, 1));
    assert_eq!((coordinator.clock)(), 6_000);
    let (a, b) = if a.members.is_empty() { (b, a) } else { (a, b) };
    let (synced_b, synced_a) = tokio::join!(coordinator.sync(&b), coordinator.sync(&a));
    assert_eq!((synced_a.error_code, synced_b.error_code), (0, 0));
    assert_eq!(coordinator.heartbeat(&a).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_found_again_after_a_change_of_leaders() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(42).await, 0);
    let joined = coordinator.join(3, "").await;
    assert_eq!(coordinator.sync(&joined).await.error_code, 0);
    coordinator.groups.resign(0);
    assert_eq!(coordinator.fetch().await, Err(ErrorCode::NotCoordinator.code()));
    coordinator.lead().await;
    assert_eq!(coordinator.fetch().await, Ok(Some(42)));
    assert_eq!(coordinator.heartbeat(&joined).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_empties_the_group() {
    let coordinator = Coordinator::new().await;
    let joined = coordinator.join(3, "").await;
    assert_eq!(coordinator.sync(&joined).await.error_code, 0);
    tokio::time::sleep(Duration::from_millis(10_001)).await;
    assert_eq!(coordinator.heartbeat(&joined).await, ErrorCode::UnknownMemberId.code());
    let described = coordinator.groups.describe("g").unwrap().unwrap();
    assert_eq!(described.group_state, "Empty");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_the_leader_changes() {
    let coordinator = Coordinator::new().await;
    let resign = async { coordinator.groups.resign(0) };
    let (joined, ()) = tokio::join!(biased; coordinator.join(3, ""), resign);
    assert_eq!(joined.error_code, ErrorCode::NotCoordinator.code());
}

#[tokio::test(start_paused = true)]
async fn while_it_is_loaded_a_group_lets_members_live_and_answers_nothing_else() {
    let coordinator = Coordinator::unloaded();
    assert_eq!(coordinator.fetch().await, Err(ErrorCode::NotCoordinator.code()));
    coordinator.log.append_bytes(&batch_of(&[committed(1)], 0).build());
    coordinator.log.commit_all();
    let (go_on, loading) = load_stalled(&coordinator);
    assert_eq!(coordinator.fetch().await, Err(ErrorCode::CoordinatorLoadInProgress.code()));
    assert_eq!(coordinator.commit(1).await, ErrorCode::CoordinatorLoadInProgress.code());
    assert_eq!(coordinator.heartbeat(&JoinGroupResponse::default()).await, 0);
    assert_eq!(coordinator.groups.list(&[], &[]), Err(ErrorCode::CoordinatorLoadInProgress));
    drop(go_on);
    loading.await.unwrap();
    assert_eq!(coordinator.fetch().await, Ok(Some(1)));
}

/// A log that cannot be read before the sender is dropped.
struct StalledLog {
    stalled: Mutex<mpsc::Receiver<()>>,
    log: Arc<MemoryLog>,
}

impl CoordinatorLog for StalledLog {
    fn append(&self, batch: BatchBuilder, now: i64) -> Result<i64, ErrorCode> {
        self.log.append(batch, now)
    }

    fn committed(&self, offset: i64) -> BoxFuture<'_, Result<(), ErrorCode>> {
        self.log.committed(offset)
    }

    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, ErrorCode> {
        assert!(self.stalled.lock().unwrap().recv().is_err());
        self.log.read(offset, max_bytes)
    }

    fn log_start_offset(&self) -> i64 {
        self.log.log_start_offset()
    }

    fn log_end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }
}

/// Begins to load the log of `coordinator`, which takes until the sender is dropped.
fn load_stalled(coordinator: &Coordinator) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (go_on, stalled) = mpsc::channel();
    let log = StalledLog { stalled: Mutex::new(stalled), log: coordinator.log.clone() };
    (go_on, coordinator.groups.become_leader(0, 0, Arc::new(log)))
}

#[tokio::test(start_paused = true)]
async fn offsets_are_answered_when_they_are_committed() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(1).await, 0);
    coordinator.log.put_off_commits();
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        coordinator.log.commit_all();
    };
    let (error, fetched, ()) = tokio::join!(biased; coordinator.commit(2), coordinator.fetch(), release);
    assert_eq!((error, fetched), (0, Ok(Some(2))));
    assert_eq!((coordinator.clock)(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_committed_in_time_is_an_error_and_not_undone() {
    let coordinator = Coordinator::new().await;
    coordinator.log.put_off_commits();
    assert_eq!(coordinator.commit(1).await, ErrorCode::CoordinatorNotAvailable.code());
    assert_eq!((coordinator.clock)(), 5_000);
    assert_eq!(coordinator.fetch().await, Err(ErrorCode::NotCoordinator.code()));
    coordinator.log.commit_all();
    assert_eq!(coordinator.fetch().await, Ok(Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_append_changes_nothing_and_is_said_in_a_coordinators_words() {
    let coordinator = Coordinator::new().await;
    let cases = [
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
    ];
    for (failure, said) in cases {
        coordinator.log.fail_next(failure);
        assert_eq!(coordinator.commit(1).await, said.code());
        coordinator.log.fail_next(failure);
        assert_eq!(coordinator.join(9, "").await.error_code, said.code());
    }
    assert_eq!(coordinator.fetch().await, Ok(None));
    assert_eq!(coordinator.groups.list(&[], &[]), Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_whose_record_cannot_be_appended_is_tried_again() {
    let coordinator = Coordinator::new().await;
    let joined = coordinator.join(3, "").await;
    assert_eq!(coordinator.sync(&joined).await.error_code, 0);
    coordinator.log.fail_next(ErrorCode::NotEnoughReplicas);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(coordinator.groups.describe("g").unwrap().unwrap().group_state, "Stable");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(coordinator.groups.describe("g").unwrap().unwrap().group_state, "Empty");
}

#[tokio::test(start_paused = true)]
async fn expired_offsets_are_looked_for_by_themselves() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(1).await, 0);
    tokio::time::sleep(Duration::from_hours(7 * 24 - 1)).await;
    assert_eq!(coordinator.fetch().await, Ok(Some(1)));
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert_eq!(coordinator.fetch().await, Ok(None));
    assert_eq!(coordinator.log.record_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn offsets_of_deleted_topics_are_forgotten() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(1).await, 0);
    coordinator.groups.topics_deleted(&["u"]);
    assert_eq!(coordinator.fetch().await, Ok(Some(1)));
    coordinator.groups.topics_deleted(&["t"]);
    assert_eq!(coordinator.fetch().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn offsets_of_transactions_count_from_their_commit_marker_on() {
    let transactional = |producer_id, record| {
        let mut batch = batch_of(&[record], 0);
        (batch.producer_id, batch.attributes) = (producer_id, attributes::TRANSACTIONAL);
        batch.build()
    };
    let marker = |producer_id, marker_type: u8| {
        let mut batch = BatchBuilder::new(0).record(&[0, 0, 0, marker_type], &[0, 0, 0, 0, 0, 0]);
        (batch.producer_id, batch.attributes) = (producer_id, attributes::TRANSACTIONAL | attributes::CONTROL);
        batch.build()
    };
    let coordinator = Coordinator::unloaded();
    coordinator.log.append_bytes(&batch_of(&[committed(1)], 0).build());
    coordinator.log.append_bytes(&transactional(7, committed(2)));
    coordinator.log.append_bytes(&transactional(8, committed(3)));
    coordinator.log.append_bytes(&marker(7, 1));
    coordinator.log.append_bytes(&marker(8, 0));
    coordinator.log.append_bytes(&transactional(9, committed(4)));
    coordinator.log.commit_all();
    coordinator.lead().await;
    assert_eq!(coordinator.fetch().await, Ok(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn records_of_other_kinds_and_broken_ones_are_skipped() {
    let coordinator = Coordinator::unloaded();
    coordinator.log.append_bytes(&BatchBuilder::new(0).record(&[0, 3, 0, 1, b'g'], &[0, 0, 0, 0, 0, 1]).build());
    coordinator.log.append_bytes(&batch_of(&[committed(1)], 0).build());
    coordinator.log.commit_all();
    coordinator.lead().await;
    assert_eq!(coordinator.fetch().await, Ok(Some(1)));

    coordinator.groups.resign(0);
    coordinator.log.append_bytes(&BatchBuilder::new(0).record(&[0, 2, 0, 1, b'g'], &[0, 9]).build());
    coordinator.log.append_bytes(&BatchBuilder::new(0).record(&[0], &[]).build());
    coordinator.log.append_bytes(&batch_of(&[committed(2)], 0).build());
    coordinator.log.commit_all();
    coordinator.lead().await;
    assert_eq!(coordinator.fetch().await, Ok(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn groups_are_counted_by_state() {
    let coordinator = Coordinator::new().await;
    let joined = coordinator.join(3, "").await;
    assert_eq!(coordinator.sync(&joined).await.error_code, 0);
    let counts: Vec<usize> = coordinator.groups.state_counts().into_values().collect();
    assert_eq!(counts, [0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn committed_offsets_are_told_of_the_first_groups_by_name() {
    let coordinator = Coordinator::new().await;
    for (group, partitions) in [("b", 0..2), ("a", 3..5)] {
        let request = commit_request(group, partitions);
        let response = offset_commit::handle(&coordinator.groups, &|_, _| true, &coordinator.context(9), request).await;
        assert!(response.topics[0].partitions.iter().all(|partition| partition.error_code == 0));
    }
    let told = |max| {
        let offsets = coordinator.groups.committed_offsets(max).into_iter();
        offsets.map(|it| (it.group.to_string(), it.topic.to_string(), it.partition, it.offset)).collect::<Vec<_>>()
    };
    let of = |group: &str, partition, offset| (group.to_owned(), "t".to_owned(), partition, offset);
    assert_eq!(told(10), [of("a", 3, 0), of("a", 4, 1), of("b", 0, 0), of("b", 1, 1)]);
    assert_eq!(told(3), told(10)[..3]);
}

/// A request of a group that commits the offsets 0, 1, ... to `partitions` of one topic.
fn commit_request(group: &str, partitions: impl Iterator<Item = i32>) -> OffsetCommitRequest<'static> {
    let partitions = partitions.zip(0..).map(|(partition_index, committed_offset)| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        ..Default::default()
    });
    let topics = vec![OffsetCommitRequestTopic { name: "t".into(), partitions: partitions.collect() }];
    OffsetCommitRequest { group_id: group.to_owned().into(), topics, retention_time_ms: -1, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_committed_again_and_again_is_one_record_of_the_last_offset() {
    let coordinator = Coordinator::new().await;
    let request = commit_request("g", std::iter::repeat_n(0, 70_000));
    let answered = coordinator.groups.commit(&coordinator.context(9), &request).await.unwrap();
    assert_eq!(answered[0].partitions.len(), 70_000);
    assert_eq!(coordinator.log.record_count(), 1);
    assert_eq!(coordinator.fetch().await, Ok(Some(69_999)));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_too_large_for_a_batch_is_refused_whole() {
    let coordinator = Coordinator::new().await;
    let request = commit_request(&"g".repeat(32_000), 0..70_000);
    let refused = coordinator.groups.commit(&coordinator.context(9), &request).await;
    assert_eq!(refused.err(), Some(ErrorCode::InvalidCommitOffsetSize));
    assert_eq!(coordinator.log.record_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn tombstones_go_in_batches_below_512_kib_and_past_a_failed_one() {
    let coordinator = Coordinator::new().await;
    let group = "g".repeat(32_000);
    // Two batches of sixteen records of 32 kB.
    let request = commit_request(&group, 0..32);
    coordinator.groups.commit(&coordinator.context(9), &request).await.unwrap();
    coordinator.log.fail_next(ErrorCode::MessageTooLarge);
    coordinator.groups.topics_deleted(&["t"]);
    assert_eq!(coordinator.log.record_count(), 32 + 16);
    let left = coordinator.groups.fetch(&group, None).await.unwrap();
    assert_eq!(left[0].partitions.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn topics_that_are_deleted_while_a_shard_loads_are_forgotten_behind_the_load() {
    let coordinator = Coordinator::unloaded();
    coordinator.log.append_bytes(&batch_of(&[committed(1)], 0).build());
    coordinator.log.commit_all();
    let (go_on, loading) = load_stalled(&coordinator);
    coordinator.groups.topics_deleted(&["t"]);
    drop(go_on);
    loading.await.unwrap();
    assert_eq!(coordinator.fetch().await, Ok(None));
    assert_eq!(coordinator.log.record_count(), 2);
}
