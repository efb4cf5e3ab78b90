//! Facts about the frame, replay and the way through log and snapshot.

use super::batches::{self, Place};
use super::delta::{ImageDelta, TopicChange};
use super::image::*;
use super::loader::{LoadError, Loader, QuorumControl, snapshot_timestamp};
use super::records::{METADATA_VERSION_LATEST, MetadataRecord, RecordError};
use super::replay::ReplayError;
use super::request::*;
use super::testing::{Bench, topic};
use crate::protocol::Uuid;
use crate::protocol::batch::{self, BatchError};
use crate::protocol::messages::metadata_records::*;
use proptest::prelude::*;

#[test]
fn the_frame_is_kafkas() {
    let record: MetadataRecord<'_> = FeatureLevelRecord { name: "group.version".into(), feature_level: 1 }.into();
    let bytes = record.encode(METADATA_VERSION_LATEST);
    assert_eq!(bytes, b"\x01\x0c\x00\x0egroup.version\x00\x01\x00");
    assert_eq!(MetadataRecord::decode(&bytes), Ok(record));
}

#[test]
fn versions_follow_the_clusters_level() {
    let partition: MetadataRecord<'_> = PartitionRecord::default().into();
    let broker: MetadataRecord<'_> = RegisterBrokerRecord::default().into();
    let version = |record: &MetadataRecord<'_>, level| record.encode(level)[2];
    assert_eq!([7, 16, 17, 22, 23, 27].map(|level| version(&partition, level)), [0, 0, 1, 1, 2, 2]);
    assert_eq!([7, 8, 16, 17, 27].map(|level| version(&broker, level)), [1, 2, 2, 3, 3]);
}

#[test]
fn what_is_not_known_is_named() {
    assert_eq!(MetadataRecord::decode(&[1, 99, 0]), Err(RecordError::UnknownType(99)));
    assert_eq!(MetadataRecord::decode(&[2, 2, 0]), Err(RecordError::FrameVersion(2)));
    let newer = Err(RecordError::UnknownVersion { name: "Topic", version: 1, max: 0 });
    assert_eq!(MetadataRecord::decode(&[1, 2, 1]), newer);
}

#[test]
fn what_is_not_used_is_kept_byte_for_byte() {
    let acl = [1, 18, 0, 1, 2, 3, 4];
    let mut image = MetadataImage::default();
    image.replay(&MetadataRecord::decode(&acl).unwrap(), &mut ImageDelta::default()).unwrap();
    let records: Vec<_> = image.records().map(|record| (record.name(), record.encode(27))).collect();
    assert_eq!(records, [("AccessControlEntryRecord", acl.to_vec())]);
}

#[test]
fn a_delta_names_what_changed_and_nothing_else() {
    let mut bench = Bench::one_broker();
    bench.create(topic("old", 3, 1)).unwrap();
    let old = bench.image().clone();
    let mut delta = ImageDelta::default();
    let mut image = old.clone();
    let id = old.topics.id_of("old").unwrap();
    let change = PartitionChangeRecord { partition_id: 1, topic_id: id, leader: -1, ..Default::default() };
    image.replay(&change.into(), &mut delta).unwrap();
    let new = Uuid([5; 16]);
    image.replay(&TopicRecord { name: "new".into(), topic_id: new }.into(), &mut delta).unwrap();
    let changes: Vec<_> =
        delta.topics.values().map(|topic| (&*topic.name, topic.change, topic.partitions.len())).collect();
    assert_eq!(changes.len(), 2);
    assert!(changes.contains(&("old", TopicChange::Altered, 1)) && changes.contains(&("new", TopicChange::Created, 0)));
    image.replay(&RemoveTopicRecord { topic_id: new }.into(), &mut delta).unwrap();
    assert_eq!(delta.topics[&new].change, TopicChange::Fleeting);
    image.replay(&RemoveTopicRecord { topic_id: id }.into(), &mut delta).unwrap();
    assert_eq!((delta.topics[&id].change, delta.topics[&id].partitions.len()), (TopicChange::Deleted, 3));
    assert_eq!(old.topics.partition("old", 1).unwrap().leader, 1, "the image before does not change");
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let mut bench = Bench::with_brokers(&[None, None]);
    let assignments = vec![(0, vec![1, 2])];
    bench.create(NewTopic { assignments, ..NewTopic::with_defaults("t") }).unwrap();
    let topic_id = bench.image().topics.id_of("t").unwrap();
    let change = PartitionChangeRecord { partition_id: 0, topic_id, isr: Some(vec![2]), ..Default::default() };
    bench.apply(vec![PartitionChangeRecord { leader: 2, ..change.clone() }.into()]);
    let partition = bench.image().topics.partition("t", 0).unwrap().clone();
    assert_eq!(
        (&*partition.isr, partition.leader, partition.leader_epoch, partition.partition_epoch),
        (&[2][..], 2, 1, 1)
    );
    bench.apply(vec![PartitionChangeRecord { replicas: Some(vec![2, 3]), isr: None, ..change }.into()]);
    let moved = bench.image().topics.partition("t", 0).unwrap();
    assert_eq!((&*moved.isr, moved.leader_epoch, moved.partition_epoch), (&[2][..], 1, 2));
    assert_eq!(&*moved.directories, [Uuid([102; 16]), UNASSIGNED_DIRECTORY]);
}

#[test]
fn records_that_contradict_the_image_are_errors() {
    let mut image = MetadataImage::default();
    let mut replay = |record: MetadataRecord<'_>| image.replay(&record, &mut ImageDelta::default());
    let id = Uuid([5; 16]);
    assert_eq!(replay(RemoveTopicRecord { topic_id: id }.into()), Err(ReplayError::UnknownTopic(id)));
    replay(TopicRecord { name: "t".into(), topic_id: id }.into()).unwrap();
    let again = TopicRecord { name: "t".into(), topic_id: Uuid([6; 16]) };
    assert_eq!(replay(again.into()), Err(ReplayError::TopicExists("t".into())));
    let gap = PartitionRecord { partition_id: 1, topic_id: id, ..Default::default() };
    assert_eq!(replay(gap.into()), Err(ReplayError::UnknownPartition { topic: id, partition: 1 }));
    let newer = FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: 99 };
    assert_eq!(replay(newer.into()), Err(ReplayError::MetadataVersion(99)));
    let unregistered = BrokerRegistrationChangeRecord { broker_id: 4, ..Default::default() };
    assert_eq!(replay(unregistered.into()), Err(ReplayError::UnknownBroker(4)));
}

fn take(loader: &mut Loader, batch: &[u8]) -> Result<(), LoadError> {
    loader.take(batch::RecordBatch::split_first(batch).unwrap().0)
}

fn feature(name: &'static str, feature_level: i16) -> MetadataRecord<'static> {
    FeatureLevelRecord { name: name.into(), feature_level }.into()
}

fn at(base_offset: i64) -> Place {
    Place { base_offset, epoch: 1, timestamp: 5 }
}

#[test]
fn a_transaction_shows_only_when_it_has_ended() {
    let mut loader = Loader::default();
    let begin = BeginTransactionRecord::default().into();
    take(&mut loader, &at(0).batch(27, &[feature("a", 1), begin, feature("b", 1)])).unwrap();
    assert_eq!(loader.clone().into_image().features.len(), 1);
    assert!(loader.in_transaction());
    let mut aborted = loader.clone();
    take(&mut aborted, &at(3).batch(27, &[AbortTransactionRecord::default().into(), feature("c", 1)])).unwrap();
    assert!(aborted.clone().into_image().features.keys().eq(["a", "c"]));
    assert_eq!(aborted.applied().end_offset, 5);
    take(&mut loader, &at(3).batch(27, &[EndTransactionRecord::default().into()])).unwrap();
    assert!(loader.into_image().features.keys().eq(["a", "b"]));
}

#[test]
fn transactions_do_not_nest_or_end_unbegun() {
    let mut loader = Loader::default();
    let end = at(0).batch(27, &[EndTransactionRecord::default().into()]);
    assert_eq!(take(&mut loader, &end), Err(LoadError::NoTransaction { offset: 0 }));
    let begin = || BeginTransactionRecord::default().into();
    let nested = at(0).batch(27, &[begin(), begin()]);
    assert_eq!(take(&mut Loader::default(), &nested), Err(LoadError::NestedTransaction { offset: 1 }));
}

#[test]
fn gaps_and_damage_are_named_with_their_offset() {
    let mut loader = Loader::default();
    take(&mut loader, &at(0).batch(27, &[feature("a", 1)])).unwrap();
    let gap = take(&mut loader, &at(2).batch(27, &[feature("b", 1)]));
    assert_eq!(gap, Err(LoadError::Gap { expected: 1, found: 2 }));
    let mut damaged = at(1).batch(27, &[feature("b", 1)]);
    *damaged.last_mut().unwrap() ^= 1;
    let error = take(&mut loader, &damaged);
    assert!(matches!(error, Err(LoadError::Batch { offset: 1, source: BatchError::Crc { .. } })), "{error:?}");
    let unknown = MetadataRecord::Unused(vec![1, 99, 0].into());
    let error = take(&mut loader, &at(1).batch(27, &[feature("b", 1), unknown]));
    assert_eq!(error, Err(LoadError::Record { offset: 2, source: RecordError::UnknownType(99) }));
}

/// An image as a snapshot would bring it back.
fn through_snapshot(image: &MetadataImage) -> MetadataImage {
    let mut loader = Loader::default();
    let mut timestamp = None;
    for bytes in batches::snapshot(image, &QuorumControl::default(), 99) {
        let (batch, _) = batch::RecordBatch::split_first(&bytes).unwrap();
        timestamp = timestamp.or(snapshot_timestamp(batch));
        loader.take(batch).unwrap();
    }
    assert!(loader.footer_seen);
    let applied = Applied { timestamp: timestamp.unwrap(), ..image.applied };
    MetadataImage { applied, ..loader.into_image() }
}

fn through_log(image: MetadataImage, records: &[Vec<u8>]) -> MetadataImage {
    let mut image = image;
    for bytes in records {
        image.replay(&MetadataRecord::decode(bytes).unwrap(), &mut ImageDelta::default()).unwrap();
        image.applied.end_offset += 1;
    }
    image
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b.c", "b_c", "d-e", "", "x y", "__consumer_offsets"]).prop_map(str::to_owned)
}

fn change() -> impl Strategy<Value = ConfigChange> {
    let property = prop::sample::select(vec!["retention.ms", "cleanup.policy", "foo"]).prop_map(str::to_owned);
    let operation = prop_oneof![
        (0..9).prop_map(|value: i32| ConfigOperation::Set(value.to_string())),
        Just(ConfigOperation::Delete),
        Just(ConfigOperation::Append("compact".into())),
        Just(ConfigOperation::Subtract("delete".into())),
    ];
    let pairs = prop::collection::vec((property.clone(), operation), 0..3).prop_map(ConfigChange::Alter);
    let replacement = prop::collection::btree_map(property, (0..9).prop_map(|value: i32| value.to_string()), 0..3);
    prop_oneof![3 => pairs, 1 => replacement.prop_map(ConfigChange::Replace)]
}

fn request() -> impl Strategy<Value = Request> {
    let resource = prop::sample::select(ResourceType::ALL.to_vec());
    let resource_name = prop_oneof![name(), Just("1".to_owned())];
    prop_oneof![
        4 => (name(), -1..5, -1..4i16).prop_map(|(name, partitions, factor)| {
            Request::CreateTopics(CreateTopics { topics: vec![topic(&name, partitions, factor)], validate_only: false })
        }),
        2 => prop::collection::vec(name(), 1..3)
            .prop_map(|names| Request::DeleteTopics(names.into_iter().map(TopicSelector::Name).collect())),
        2 => (name(), -1..9).prop_map(|(topic, count)| {
            let topics = vec![NewPartitions { topic, from: None, count, assignments: None }];
            Request::CreatePartitions(CreatePartitions { topics, validate_only: false })
        }),
        3 => (resource, resource_name, change()).prop_map(|(resource, name, change)| {
            Request::AlterConfigs(AlterConfigs {
                resources: vec![AlteredResource { resource, name, change }],
                validate_only: false,
            })
        }),
        1 => (1..4, 0..9i64).prop_map(|(broker_id, broker_epoch)| {
            Request::AllocateProducerIds { broker_id, broker_epoch }
        }),
        1 => (1..4).prop_map(|id| Request::RegisterBroker(super::testing::broker(id, None))),
    ]
}

proptest! {
    /// Whatever is asked: the log gives the image again, and so does a snapshot from any point with the log behind it.
    #[test]
    fn log_and_snapshot_give_the_same_image(requests in prop::collection::vec(request(), 0..40), point in any::<prop::sample::Index>()) {
        let mut bench = Bench::with_brokers(&[Some("a"), Some("b"), None]);
        let mut images = vec![bench.image().clone()];
        for request in requests {
            bench.ask(request);
            images.push(bench.image().clone());
        }
        prop_assert_eq!(&through_log(MetadataImage::default(), &bench.log), bench.image());
        let image = &images[point.index(images.len())];
        let restored = through_snapshot(image);
        prop_assert_eq!(&restored, image);
        let tail = &bench.log[image.applied.end_offset as usize..];
        prop_assert_eq!(&through_log(restored, tail), bench.image());
    }

    /// A request that is refused whole, and one that only asks, take no records.
    #[test]
    fn handling_changes_nothing(requests in prop::collection::vec(request(), 0..20)) {
        let mut bench = Bench::with_brokers(&[None, None, None]);
        for request in requests {
            let before = bench.image().clone();
            bench.controller.handle(0, &mut bench.random, request.clone());
            prop_assert_eq!(bench.image(), &before);
            bench.ask(request);
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_an_error_and_nothing_worse(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        MetadataRecord::decode(&bytes).ok();
        let framed: Vec<u8> = [&[1, bytes.first().copied().unwrap_or(0) % 30, 0], &bytes[..]].concat();
        if let Ok(record) = MetadataRecord::decode(&framed) {
            MetadataImage::default().replay(&record, &mut ImageDelta::default()).ok();
        }
    }
}
