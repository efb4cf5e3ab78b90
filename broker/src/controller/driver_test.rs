//! Facts about the driver and its log, on a real directory.

use super::delta::{ImageDelta, TopicChange};
use super::driver::MetadataLogConfig;
use super::image::MetadataImage;
use super::metadata_log::MetadataError;
use super::request::*;
use super::testing::node::Node;
use crate::log::faults::{self, Operation};
use crate::protocol::ErrorCode;
use std::fs;
use std::sync::{Arc, Mutex};

/// What an image says of topics and configurations, without the epochs that each start moves on.
fn content(image: &MetadataImage) -> Vec<String> {
    let topics = image.topics.iter().map(|topic| {
        let replicas: Vec<_> =
            topic.partitions.iter().map(|partition| (&partition.replicas, partition.leader)).collect();
        format!("{} {} {replicas:?} {:?}", topic.name, topic.id, image.configs.topic(&topic.name))
    });
    topics.chain([format!("{:?} {}", image.features, image.next_producer_id)]).collect()
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    running.create("kept", 3).await.unwrap();
    running.create("gone", 3).await.unwrap();
    running.set("kept", "retention.ms", "5").await.unwrap();
    running.client.delete_topics(vec![TopicSelector::Name("gone".into())]).await.unwrap().remove(0).unwrap();
    assert_eq!(running.client.next_producer_id().await, Ok(0));
    let before = running.client.image();
    running.stop();
    for starts in 1..=3 {
        let running = node.start().await.unwrap();
        let after = running.client.image();
        assert_eq!(content(&after), content(&before));
        assert_eq!(after.topics.partition("kept", 0).unwrap().leader_epoch, 2 * starts, "each start leads anew");
        assert!(after.brokers[&1].epoch > before.brokers[&1].epoch);
        running.crash();
    }
    let running = node.start().await.unwrap();
    assert_eq!(running.client.next_producer_id().await, Ok(1000), "the rest of a block is lost with its broker");
}

#[tokio::test]
async fn subscribers_see_each_change_before_it_is_answered() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    running.create("first", 1).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let note = move |old: &MetadataImage, new: &MetadataImage, delta: &ImageDelta| {
        let changes = delta.topics.values().map(|topic| (topic.name.to_string(), topic.change, topic.partitions.len()));
        notes.lock().unwrap().push((old.topics.len(), new.topics.len(), changes.collect::<Vec<_>>()));
    };
    running.client.subscribe(Box::new(note)).await;
    let all = vec![("first".to_owned(), TopicChange::Created, 1)];
    assert_eq!(*seen.lock().unwrap(), [(0, 1, all)]);
    running.create("second", 2).await.unwrap();
    let one = vec![("second".to_owned(), TopicChange::Created, 2)];
    assert_eq!(seen.lock().unwrap()[1], (1, 2, one));
    running.create("second", 2).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 2, "a refusal changes nothing");
}

#[tokio::test]
async fn requests_that_wait_together_each_get_their_own_answer() {
    let node = Node::on_new_directory();
    let running = Arc::new(node.start().await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let running = running.clone();
        tasks.spawn(async move { (number, running.create(&format!("t{}", number / 2), 1).await) });
    }
    let mut created = 0;
    while let Some(outcome) = tasks.join_next().await {
        let (number, outcome) = outcome.unwrap();
        match outcome {
            Ok(topic) => {
                created += 1;
                let id = running.client.image().topics.id_of(&format!("t{}", number / 2));
                assert_eq!(id, Some(topic.id));
            }
            Err(refusal) => assert_eq!(refusal.code, ErrorCode::TopicAlreadyExists),
        }
    }
    assert_eq!(created, 100, "each name once");
}

#[tokio::test]
async fn internal_topics_are_made_as_they_are_configured() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    running.client.create_internal_topic("__consumer_offsets").await.unwrap();
    running.client.create_internal_topic("__consumer_offsets").await.unwrap();
    let names = ["__consumer_offsets", "plain", "__transaction_state", "a/b"];
    running.client.create_missing_topics(names.into_iter()).await.unwrap();
    let image = running.client.image();
    let made: Vec<_> = image.topics.iter().map(|topic| (&*topic.name, topic.partitions.len())).collect();
    assert_eq!(made, [("__consumer_offsets", 4), ("plain", 1)]);
}

#[tokio::test]
async fn producer_ids_never_repeat() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..2500 {
        ids.push(running.client.next_producer_id().await.unwrap());
    }
    assert!(ids.is_sorted_by(|one, next| one < next));
}

#[tokio::test]
async fn snapshots_keep_the_log_short_and_lose_nothing() {
    let mut node = Node::on_new_directory();
    node.log = MetadataLogConfig { segment_bytes: 4096, snapshot_after_bytes: 8192, ..MetadataLogConfig::default() };
    let running = node.start().await.unwrap();
    for number in 0..300 {
        running.create(&format!("t{number}"), 2).await.unwrap();
    }
    let before = running.client.image();
    running.stop();
    let snapshots = node.files(".checkpoint");
    assert!((1..=2).contains(&snapshots.len()), "{snapshots:?}");
    assert!(
        node.files("0.log").iter().all(|path| !path.ends_with("00000000000000000000.log")),
        "the oldest segment is gone"
    );
    let running = node.start().await.unwrap();
    assert_eq!(content(&running.client.image()), content(&before));
    running.stop();
    fs::remove_file(snapshots.last().unwrap()).unwrap();
    node.files(".checkpoint").iter().for_each(|path| fs::remove_file(path).unwrap());
    let error = node.start().await.err().unwrap();
    assert!(matches!(error, MetadataError::MissingSnapshot { .. }), "{error}");
}

#[tokio::test]
async fn a_write_that_did_not_finish_is_cut() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    running.create("t", 3).await.unwrap();
    let before = running.client.image();
    running.crash();
    let segment = node.files(".log").pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    for tail in [&whole[..30], &whole[..70], &[0; 3000], &[0xff; 100]] {
        fs::write(&segment, [&whole, tail].concat()).unwrap();
        let running = node.start().await.unwrap();
        assert_eq!(content(&running.client.image()), content(&before));
        running.create("again", 1).await.unwrap();
        running.crash();
        fs::write(&segment, &whole).unwrap();
        node.files(".index").iter().for_each(|path| fs::remove_file(path).unwrap());
        fs::remove_file(node.directory.path().join("recovery-point-offset-checkpoint")).ok();
    }
}

#[tokio::test]
async fn damage_is_named_and_nothing_is_guessed() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    running.create("t", 300).await.unwrap();
    running.create("u", 1).await.unwrap();
    running.stop();
    let segment = node.files(".log").pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    let middle = whole.len() / 2;
    let mut damaged = whole.clone();
    damaged[middle] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let error = node.start().await.err().unwrap().to_string();
    assert!(error.contains("00000000000000000000.log: at byte ") && error.contains("at offset "), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), damaged, "nothing is changed");
    fs::write(&segment, &whole[..whole.len() - 10]).unwrap();
    let error = node.start().await.err().unwrap().to_string();
    assert!(error.contains("ends too early"), "below the recovery point nothing may be missing: {error}");
}

#[tokio::test]
async fn a_damaged_snapshot_is_named() {
    let mut node = Node::on_new_directory();
    node.log.snapshot_after_bytes = 1;
    let running = node.start().await.unwrap();
    for number in 0..20 {
        running.create(&format!("t{number}"), 1).await.unwrap();
    }
    running.stop();
    let snapshot = node.files(".checkpoint").pop().unwrap();
    let whole = fs::read(&snapshot).unwrap();
    let without_footer = &whole[..whole.len() - 75];
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [without_footer, &whole[..100], &flipped] {
        fs::write(&snapshot, damaged).unwrap();
        let error = node.start().await.err().unwrap().to_string();
        assert!(error.contains(".checkpoint: at byte "), "{error}");
    }
    fs::write(&snapshot, &whole).unwrap();
    node.start().await.unwrap();
}

#[tokio::test]
async fn another_nodes_quorum_is_not_taken_over() {
    let node = Node::on_new_directory();
    node.start().await.unwrap().stop();
    let error = node.start_as(2).await.err().unwrap();
    assert!(matches!(error, MetadataError::Voters { .. }), "{error}");
    let state = node.metadata_directory().join("quorum-state");
    fs::write(&state, "{").unwrap();
    let error = node.start().await.err().unwrap().to_string();
    assert!(error.contains("quorum-state"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_leaves_no_trace() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    let before = running.client.image();
    running.on_the_drivers_thread(|| faults::fail_once(Operation::Write, 0, std::io::ErrorKind::StorageFull)).await;
    assert_eq!(running.create("t", 2).await.unwrap_err().code, ErrorCode::KafkaStorageError);
    assert_eq!(running.client.image(), before);
    let created = running.create("t", 5).await.unwrap();
    running.crash();
    let topics = node.start().await.unwrap().client.image().topics.clone();
    let found: Vec<_> = topics.iter().map(|topic| (&*topic.name, topic.partitions.len())).collect();
    assert_eq!(found, [("t", 5)]);
    assert_eq!(topics.id_of("t"), Some(created.id));
}

#[tokio::test]
async fn a_sync_that_fails_is_done_again_before_anybody_is_answered() {
    let node = Node::on_new_directory();
    let running = node.start().await.unwrap();
    running.on_the_syncing_thread(|| faults::fail_once(Operation::Sync, 0, std::io::ErrorKind::Other)).await;
    let created = running.create("t", 2).await.unwrap();
    running.crash();
    assert_eq!(node.start().await.unwrap().client.image().topics.id_of("t"), Some(created.id));
}
