use std::collections::BTreeMap;

use super::*;
use crate::controller::delta::ImageDelta;
use crate::controller::records::MetadataRecord;
use crate::protocol::Uuid;
use crate::protocol::messages::metadata_records::{ConfigRecord, TopicRecord};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Source, name and value of each place that has a value.
type Synonyms = &'static [(Source, &'static str, &'static str)];

/// What Apache Kafka 4.1.0 said to `kafka-configs --describe --all` of a new topic with retention.ms=1000, in a cluster
/// where min.insync.replicas was set to 1 for all brokers (its installation does that): name, value, and the synonyms
/// as source, name and value. Left out: the synonyms of local.retention.*, which are settings that have no effect here.
const KAFKA: &[(&str, &str, Synonyms)] = &[
    ("cleanup.policy", "delete", &[(Source::Default, "log.cleanup.policy", "delete")]),
    ("compression.gzip.level", "-1", &[(Source::Default, "compression.gzip.level", "-1")]),
    ("compression.lz4.level", "9", &[(Source::Default, "compression.lz4.level", "9")]),
    ("compression.type", "producer", &[(Source::Default, "compression.type", "producer")]),
    ("compression.zstd.level", "3", &[(Source::Default, "compression.zstd.level", "3")]),
    ("delete.retention.ms", "86400000", &[(Source::Default, "log.cleaner.delete.retention.ms", "86400000")]),
    ("file.delete.delay.ms", "60000", &[(Source::Default, "log.segment.delete.delay.ms", "60000")]),
    (
        "flush.messages",
        "9223372036854775807",
        &[(Source::Default, "log.flush.interval.messages", "9223372036854775807")],
    ),
    ("flush.ms", "9223372036854775807", &[]),
    ("follower.replication.throttled.replicas", "", &[]),
    ("index.interval.bytes", "4096", &[(Source::Default, "log.index.interval.bytes", "4096")]),
    ("leader.replication.throttled.replicas", "", &[]),
    ("local.retention.bytes", "-2", &[]),
    ("local.retention.ms", "-2", &[]),
    (
        "max.compaction.lag.ms",
        "9223372036854775807",
        &[(Source::Default, "log.cleaner.max.compaction.lag.ms", "9223372036854775807")],
    ),
    ("max.message.bytes", "1048588", &[(Source::Default, "message.max.bytes", "1048588")]),
    (
        "message.timestamp.after.max.ms",
        "3600000",
        &[(Source::Default, "log.message.timestamp.after.max.ms", "3600000")],
    ),
    (
        "message.timestamp.before.max.ms",
        "9223372036854775807",
        &[(Source::Default, "log.message.timestamp.before.max.ms", "9223372036854775807")],
    ),
    ("message.timestamp.type", "CreateTime", &[(Source::Default, "log.message.timestamp.type", "CreateTime")]),
    ("min.cleanable.dirty.ratio", "0.5", &[(Source::Default, "log.cleaner.min.cleanable.ratio", "0.5")]),
    ("min.compaction.lag.ms", "0", &[(Source::Default, "log.cleaner.min.compaction.lag.ms", "0")]),
    (
        "min.insync.replicas",
        "1",
        &[(Source::DynamicDefaultBroker, "min.insync.replicas", "1"), (Source::Default, "min.insync.replicas", "1")],
    ),
    ("preallocate", "false", &[(Source::Default, "log.preallocate", "false")]),
    ("remote.log.copy.disable", "false", &[]),
    ("remote.log.delete.on.disable", "false", &[]),
    ("remote.storage.enable", "false", &[]),
    ("retention.bytes", "-1", &[(Source::Default, "log.retention.bytes", "-1")]),
    ("retention.ms", "1000", &[(Source::Topic, "retention.ms", "1000")]),
    ("segment.bytes", "1073741824", &[(Source::Default, "log.segment.bytes", "1073741824")]),
    ("segment.index.bytes", "10485760", &[(Source::Default, "log.index.size.max.bytes", "10485760")]),
    ("segment.jitter.ms", "0", &[]),
    ("segment.ms", "604800000", &[]),
    ("unclean.leader.election.enable", "false", &[(Source::Default, "unclean.leader.election.enable", "false")]),
];

fn replay(image: &mut MetadataImage, record: MetadataRecord<'_>) {
    image.replay(&record, &mut ImageDelta::default()).unwrap();
}

/// A cluster with the topic "orders", and this set for resources: type, name, setting, value.
fn image(set: &[(i8, &str, &str, &str)]) -> MetadataImage {
    let mut image = MetadataImage::default();
    replay(&mut image, TopicRecord { name: "orders".into(), topic_id: Uuid([7; 16]) }.into());
    for (resource_type, resource, name, value) in set {
        let (resource_name, name, value) = ((*resource).into(), (*name).into(), Some((*value).into()));
        replay(&mut image, ConfigRecord { resource_type: *resource_type, resource_name, name, value }.into());
    }
    image
}

fn settings(given: &[(&str, &str)]) -> Settings {
    let given: BTreeMap<_, _> = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Settings::from_given(&given).unwrap()
}

fn describe(
    image: &MetadataImage,
    settings: &Settings,
    kind: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResult<'static> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned().into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned().into()).collect()),
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
    handle(image, Broker { id: 1, settings }, request).results.pop().unwrap()
}

#[test]
fn a_topic_is_described_as_apache_kafka_describes_it() {
    let image = image(&[(TOPIC, "orders", "retention.ms", "1000"), (BROKER, "", "min.insync.replicas", "1")]);
    let described = describe(&image, &Settings::default(), TOPIC, "orders", None);
    assert_eq!((described.error_code, described.configs.len()), (0, KAFKA.len()));
    for (config, (name, value, synonyms)) in described.configs.iter().zip(KAFKA) {
        assert_eq!((&*config.name, config.value.as_deref()), (*name, Some(*value)));
        let ours: Vec<_> = config.synonyms.iter().map(|one| (one.source, &*one.name, one.value.as_deref())).collect();
        let kafkas: Vec<_> =
            synonyms.iter().map(|(source, name, value)| (*source as i8, *name, Some(*value))).collect();
        assert_eq!(ours, kafkas, "{name}");
        let source = synonyms.first().map_or(Source::Default, |(source, _, _)| *source);
        assert_eq!(config.config_source, source as i8, "{name}");
        assert!(!config.read_only && !config.is_sensitive && config.config_type > 0);
        assert!(config.documentation.as_deref().is_some_and(|text| !text.is_empty()), "{name}");
    }
}

#[test]
fn the_nearest_value_is_in_effect_and_the_others_are_its_synonyms() {
    let image = image(&[
        (TOPIC, "orders", "max.message.bytes", "50"),
        (BROKER, "1", "message.max.bytes", "40"),
        (BROKER, "2", "message.max.bytes", "35"),
        (BROKER, "", "message.max.bytes", "30"),
    ]);
    let settings = settings(&[("message.max.bytes", "20")]);
    let described = describe(&image, &settings, TOPIC, "orders", Some(&["max.message.bytes"]));
    let [config] = &described.configs[..] else { panic!("one setting was asked for") };
    assert_eq!((config.value.as_deref(), config.config_source), (Some("50"), Source::Topic as i8));
    let values: Vec<_> = config.synonyms.iter().map(|one| (one.source, one.value.as_deref().unwrap())).collect();
    assert_eq!(values, [(1, "50"), (2, "40"), (3, "30"), (4, "20"), (5, "1048588")]);
}

#[test]
fn a_broker_is_described_with_what_cannot_change_as_read_only() {
    let image = image(&[(BROKER, "", "log.retention.ms", "99")]);
    let settings = settings(&[("log.retention.hours", "2"), ("node.id", "1")]);
    let described = describe(&image, &settings, BROKER, "1", None);
    let find = |name: &str| described.configs.iter().find(|config| config.name == name).unwrap();
    let hours = find("log.retention.hours");
    assert_eq!((hours.value.as_deref(), hours.read_only, hours.config_source), (Some("2"), true, 4));
    let ms = find("log.retention.ms");
    assert_eq!((ms.value.as_deref(), ms.read_only, ms.config_source), (Some("99"), false, 3));
    // Kafka lists the other units behind the value in milliseconds.
    let names: Vec<_> = ms.synonyms.iter().map(|one| (&*one.name, one.source)).collect();
    assert_eq!(names, [("log.retention.ms", 3), ("log.retention.hours", 4), ("log.retention.hours", 5)]);
    assert_eq!(find("log.roll.ms").value, None);
    assert!(described.configs.iter().all(|config| config.name != "producer.id.expiration.check.interval.ms"));
}

#[test]
fn the_broker_without_a_name_is_what_was_changed_for_all() {
    let image = image(&[(BROKER, "", "message.max.bytes", "30"), (BROKER, "1", "log.retention.ms", "5")]);
    let described = describe(&image, &settings(&[("num.partitions", "3")]), BROKER, "", None);
    let values: Vec<_> =
        described.configs.iter().map(|one| (&*one.name, one.value.as_deref(), one.config_source)).collect();
    assert_eq!(values, [("message.max.bytes", Some("30"), 3)]);
}

#[test]
fn no_keys_and_an_empty_list_of_keys_mean_all_of_them() {
    let image = image(&[]);
    for keys in [None, Some(&[][..])] {
        assert_eq!(describe(&image, &Settings::default(), TOPIC, "orders", keys).configs.len(), KAFKA.len());
    }
    assert!(describe(&image, &Settings::default(), TOPIC, "orders", Some(&["nothing"])).configs.is_empty());
}

#[test]
fn what_cannot_be_described_has_kafkas_error() {
    let refused = |kind: i8, name: &str, code: ErrorCode, text: &str| {
        let described = describe(&image(&[]), &Settings::default(), kind, name, None);
        assert_eq!((described.error_code, described.error_message.as_deref()), (code.code(), Some(text)));
    };
    refused(TOPIC, "nothing", ErrorCode::UnknownTopicOrPartition, "");
    let empty = "Topic name is invalid: the empty string is not allowed";
    refused(TOPIC, "", ErrorCode::InvalidTopicException, empty);
    let other = "Unexpected broker id, expected 1 or empty string, but received 2";
    refused(BROKER, "2", ErrorCode::InvalidRequest, other);
    refused(BROKER, "x", ErrorCode::InvalidRequest, "Broker id must be an integer, but it is: x");
    refused(8, "1", ErrorCode::InvalidRequest, "Unsupported resource type: 8");
}
