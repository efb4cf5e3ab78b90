//! The tables against Apache Kafka's own (`kafka_4_1.tsv`, printed from its `ConfigDef`s), and whole configurations.

use super::setting::{Allowed, Kind, Setting};
use super::*;
use crate::log::LogConfig;

/// One line of Kafka's table.
struct KafkaSetting {
    of_broker: bool,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    allowed: &'static str,
    internal: bool,
    dynamic: bool,
}

fn kafka() -> impl Iterator<Item = KafkaSetting> {
    let lines = include_str!("kafka_4_1.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [table, name, kind, default, allowed, internal, dynamic] => KafkaSetting {
            of_broker: table == "B",
            name,
            kind,
            default,
            allowed,
            internal: internal == "true",
            dynamic: dynamic == "D",
        },
        _ => panic!("seven fields: {line}"),
    })
}

/// Kafka's text for what a setting accepts, of ours.
fn allowed_in_kafkas_words(setting: &Setting) -> String {
    match setting.allowed {
        Allowed::Any => "null".into(),
        Allowed::AtLeast(least) => format!("[{least},...]"),
        Allowed::Between(least, most) => format!("[{least},...,{most}]"),
        Allowed::BetweenOrMinusOne(least, most) => format!("[{least},...,{most}] or -1"),
        Allowed::OneOf(names) | Allowed::ListOf(names) => format!("[{}]", names.join(", ")),
        Allowed::Checked(..) => String::new(),
    }
}

fn default_in_kafkas_words(setting: &Setting) -> String {
    match (setting.kind, setting.default) {
        (Kind::List, Some(default)) => format!("[{}]", default.replace(',', ", ")),
        (_, default) => default.unwrap_or("null").to_owned(),
    }
}

/// What Kafka has no static setting for (`QuotaConfig.brokerQuotaConfigs`).
const ONLY_WHILE_RUNNING: [&str; 2] = ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];

/// Failures of nodes are found sooner than Apache Kafka finds them.
const SHORTER_THAN_KAFKAS: [&str; 6] = [
    "broker.heartbeat.interval.ms",
    "broker.session.timeout.ms",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.election.timeout.ms",
    "controller.quorum.fetch.timeout.ms",
    "controller.quorum.request.timeout.ms",
];

fn assert_alike(ours: &Setting, kafka: &KafkaSetting) {
    let name = kafka.name;
    assert_eq!(ours.kind.name(), kafka.kind, "{name}");
    let as_in_kafka = default_in_kafkas_words(ours) == kafka.default.replace("<none>", "null");
    assert_eq!(as_in_kafka, !SHORTER_THAN_KAFKAS.contains(&name), "{name}: {:?}, not {}", ours.default, kafka.default);
    assert_eq!(ours.internal, kafka.internal, "{name}");
    // Kafka checks these two when it starts (`KafkaConfig.validateValues`), not in their definitions.
    if matches!(name, "log.roll.ms" | "log.roll.jitter.ms") {
        return;
    }
    let allowed = allowed_in_kafkas_words(ours);
    assert!(allowed.is_empty() || allowed == kafka.allowed.replace("non-empty list", "null"), "{name}: {allowed}");
}

#[test]
fn every_broker_setting_of_kafka_is_ours_alike_or_has_a_reason_to_have_no_effect() {
    for kafka in kafka().filter(|kafka| kafka.of_broker) {
        match (broker::find(kafka.name), inert::reason(kafka.name)) {
            (Some(ours), None) => assert_alike(ours, &kafka),
            (None, Some(_)) => {}
            both => panic!("{}: {:?}", kafka.name, both.1),
        }
    }
}

#[test]
fn no_name_is_invented_except_our_own() {
    let known = |name: &str| kafka().any(|kafka| kafka.of_broker && kafka.name == name);
    let ours: Vec<&str> = broker::all().map(|setting| setting.name).filter(|name| !known(name)).collect();
    let [leaders, followers] = ONLY_WHILE_RUNNING;
    assert_eq!(ours, ["cluster.id", leaders, followers, "metrics.listener", "admin.listener"]);
    // Not of brokers themselves in Kafka, but of what they load.
    let families = ["listener.name.", "rlmm.config.", "rsm.config.", "super.users"];
    for pattern in inert::patterns().filter(|pattern| !families.contains(pattern)) {
        let stands_for = |name: &str| name == pattern || pattern.ends_with('.') && name.starts_with(pattern);
        assert!(kafka().any(|kafka| stands_for(kafka.name)), "{pattern}");
    }
}

#[test]
fn what_may_change_while_running_may_do_so_in_kafka_too() {
    for setting in broker::all().filter(|setting| setting.update == setting::Update::ClusterWide) {
        let is_dynamic = kafka().any(|kafka| kafka.name == setting.name && kafka.dynamic);
        assert!(is_dynamic || ONLY_WHILE_RUNNING.contains(&setting.name), "{}", setting.name);
    }
}

#[test]
fn topic_settings_have_kafkas_names_types_defaults_and_ranges() {
    let of_topics: Vec<KafkaSetting> = kafka().filter(|kafka| !kafka.of_broker).collect();
    let names = |settings: &[KafkaSetting]| settings.iter().map(|kafka| kafka.name).collect::<Vec<_>>();
    let ours: Vec<&Setting> = topic::all().collect();
    assert_eq!(ours.iter().map(|setting| setting.name).collect::<Vec<_>>(), names(&of_topics));
    ours.iter().zip(&of_topics).for_each(|(ours, kafka)| assert_alike(ours, kafka));
}

#[test]
fn every_default_passes_its_own_check() {
    for setting in broker::all().chain(topic::all()) {
        let Some(default) = setting.default else { continue };
        assert_eq!(setting.normalize(default).ok().as_deref(), Some(default), "{}", setting.name);
    }
}

#[test]
fn a_topic_without_settings_on_a_broker_without_settings_has_the_defaults() {
    assert_eq!(topic::resolve(&Settings::default(), &Values::new()), LogConfig::default());
}

fn values(of: &[(&str, &str)]) -> Values {
    of.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn config(of: &[(&str, &str)]) -> Result<Config, String> {
    Config::from_given(&values(of), "machine").map_err(|error| error.to_string())
}

#[test]
fn a_topic_takes_the_most_exact_unit_that_the_broker_has() {
    let resolved = |given: &[(&str, &str)]| topic::resolve(&config(given).unwrap().settings, &Values::new());
    assert_eq!(resolved(&[("log.retention.hours", "2")]).retention_ms, 7_200_000);
    let minutes = [("log.retention.hours", "2"), ("log.retention.minutes", "3")];
    assert_eq!(resolved(&minutes).retention_ms, 180_000);
    assert_eq!(resolved(&[("log.retention.minutes", "3"), ("log.retention.ms", "-1")]).retention_ms, -1);
    assert_eq!(resolved(&[("log.retention.hours", "-1")]).retention_ms, -1);
    assert_eq!(resolved(&[("log.roll.hours", "1")]).segment_ms, 3_600_000);
    assert_eq!(resolved(&[("log.flush.scheduler.interval.ms", "5")]).flush_ms, 5);
}

#[test]
fn a_topics_own_value_wins_and_a_stored_value_that_is_wrong_has_no_effect() {
    let settings = config(&[("log.segment.bytes", "2000000")]).unwrap().settings;
    let own = values(&[("segment.bytes", "3000000"), ("retention.ms", "x"), ("cleanup.policy", "compact , delete")]);
    let resolved = topic::resolve(&settings, &own);
    assert_eq!((resolved.segment_bytes, resolved.retention_ms), (3_000_000, 604_800_000));
    assert!(resolved.cleanup_policy.compact && resolved.cleanup_policy.delete);
    assert_eq!(topic::resolve(&settings, &values(&[("internal.segment.bytes", "100")])).segment_bytes, 100);
}

/// What Apache Kafka 4.1 answers to `kafka-configs --alter` of a topic.
#[test]
fn refused_topic_values_are_refused_in_kafkas_words() {
    let refused = [
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        ("retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        ("retention.ms", "", "Invalid value  for configuration retention.ms: Not a number of type LONG"),
        ("segment.bytes", "14", "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576"),
        (
            "segment.bytes",
            "99999999999",
            "Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT",
        ),
        (
            "cleanup.policy",
            "delete,foo",
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            "cleanup.policy",
            "delete , compact,",
            "Invalid value  for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            "compression.type",
            "GZIP",
            "Invalid value GZIP for configuration compression.type: \
             String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "compression.gzip.level",
            "0",
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
        ),
        (
            "compression.lz4.level",
            "18",
            "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17",
        ),
        (
            "preallocate",
            "yes",
            "Invalid value yes for configuration preallocate: Expected value to be either true or false",
        ),
        (
            "min.cleanable.dirty.ratio",
            "2",
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            "message.timestamp.type",
            "foo",
            "Invalid value foo for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime",
        ),
        (
            "follower.replication.throttled.replicas",
            "foo",
            "Invalid value [foo] for configuration follower.replication.throttled.replicas: \
             follower.replication.throttled.replicas must be the literal '*' or a list of replicas in the following \
             format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        ("foo", "1", "Unknown topic config name: foo"),
        (
            "remote.storage.enable",
            "true",
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage.",
        ),
    ];
    for (name, value, text) in refused {
        let error = topic::validate_all(&Settings::default(), &values(&[(name, value)])).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let lags = values(&[("min.compaction.lag.ms", "100"), ("max.compaction.lag.ms", "10")]);
    assert_eq!(
        topic::validate_all(&Settings::default(), &lags).unwrap_err().to_string(),
        "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (10)"
    );
}

#[test]
fn what_kafka_accepts_for_a_topic_is_accepted() {
    for (name, value) in [
        ("retention.ms", " 10 "),
        ("retention.bytes", "-5"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "delete,delete"),
        ("preallocate", "TRUE"),
        ("follower.replication.throttled.replicas", "*"),
        ("follower.replication.throttled.replicas", "0:1,1:2"),
        ("min.compaction.lag.ms", "9223372036854775807"),
        ("internal.segment.bytes", "100"),
    ] {
        assert!(topic::validate_all(&Settings::default(), &values(&[(name, value)])).is_ok(), "{name}={value}");
    }
}

#[test]
fn without_any_setting_there_is_one_node_with_kafkas_defaults() {
    let config = config(&[]).unwrap();
    let NodeConfig { id, rack, is_broker, is_controller, cluster_id, .. } = config.node;
    assert_eq!((id, rack, is_broker, is_controller, cluster_id), (1, None, true, true, None));
    assert!(config.quorum.voters.is_empty());
    assert_eq!(config.log_dirs.dirs, [Path::new("/tmp/kafka-logs")]);
    assert_eq!(config.log_dirs.metadata_dir, Path::new("/tmp/kafka-logs"));
    assert_eq!(config.offsets.topic_replication_factor, 1);
    assert_eq!(config.settings.get(broker::OFFSETS_TOPIC_REPLICATION_FACTOR), 1);
    assert_eq!(config.settings.text(broker::BROKER_ID.setting), Some("1"));
    assert_eq!(config.offsets.retention_ms, 604_800_000);
    assert_eq!(config.metrics, Some(MetricsConfig { host: None, port: 9464, is_given: false }));
    assert_eq!(config.admin, None);
    assert!(config.notices.is_empty());
}

/// The settings of `config/server.properties` in Apache Kafka 4.1's own distribution.
#[test]
fn the_file_that_comes_with_kafka_starts_this() {
    let config = config(&[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        ),
        ("num.network.threads", "3"),
        ("num.io.threads", "8"),
        ("socket.send.buffer.bytes", "102400"),
        ("socket.receive.buffer.bytes", "102400"),
        ("socket.request.max.bytes", "104857600"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
        ("num.partitions", "1"),
        ("num.recovery.threads.per.data.dir", "2"),
        ("offsets.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.retention.hours", "168"),
        ("log.segment.bytes", "1073741824"),
        ("log.retention.check.interval.ms", "300000"),
    ])
    .unwrap();
    assert_eq!(config.log_dirs.dirs, [Path::new("/tmp/kraft-combined-logs")]);
    assert!(config.notices.iter().all(|notice| matches!(notice, Notice::NoEffect { .. })), "{:?}", config.notices);
    assert_eq!(config.notices.len(), 6);
}

fn node_of_three(id: &str, roles: &str, listeners: &str) -> Result<Config, String> {
    config(&[
        ("node.id", id),
        ("process.roles", roles),
        ("controller.quorum.voters", "1@one:9093,2@two:9093,3@three:9093"),
        ("listeners", listeners),
        ("controller.listener.names", "CONTROLLER"),
    ])
}

#[test]
fn nodes_of_a_cluster_have_roles_and_listeners_that_go_with_them() {
    let both = node_of_three("2", "broker,controller", "PLAINTEXT://:9092,CONTROLLER://:9093").unwrap();
    assert_eq!(both.quorum.voters[&2], ("two".to_owned(), 9093));
    assert_eq!(both.network.listeners.advertised_controller.unwrap().host, "two");
    assert_eq!(both.offsets.topic_replication_factor, 3, "as in Kafka");
    let controller = node_of_three("3", "controller", "CONTROLLER://:9093").unwrap();
    assert!(!controller.node.is_broker && controller.network.listeners.broker.is_empty());
    let broker = node_of_three("4", "broker", "PLAINTEXT://:9092").unwrap();
    assert!(!broker.node.is_controller && broker.network.listeners.controller.is_empty());

    let refused = |id, roles, listeners, part: &str| {
        let error = node_of_three(id, roles, listeners).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    refused("4", "broker,controller", "PLAINTEXT://:9092,CONTROLLER://:9093", "must be among the voters");
    refused("3", "broker", "PLAINTEXT://:9092", "is among the voters");
    refused("3", "controller", "PLAINTEXT://:9092,CONTROLLER://:9093", "only a controller");
    refused("4", "broker", "PLAINTEXT://:9092,CONTROLLER://:9093", "is no controller");
    refused("1", "broker,controller", "CONTROLLER://:9093", "one for clients");
}

#[test]
fn a_session_that_nobody_chose_follows_the_heartbeats() {
    let session = |of: &[(&str, &str)]| {
        let config = config(of).unwrap();
        assert_eq!(config.settings.get(broker::BROKER_SESSION_TIMEOUT_MS) as i64, config.quorum.session_timeout_ms);
        (config.quorum.session_timeout_ms, config.notices.iter().map(Notice::to_string).collect::<Vec<_>>())
    };
    assert_eq!(session(&[("broker.heartbeat.interval.ms", "299")]), (600, vec![]));
    let (followed, notices) = session(&[("broker.heartbeat.interval.ms", "2000")]);
    assert_eq!((followed, notices.len()), (9000, 1), "as in Kafka");
    for part in ["broker.heartbeat.interval.ms of 2000", "broker.session.timeout.ms is 9000"] {
        assert!(notices[0].contains(part), "{notices:?}");
    }
    let given = [("broker.heartbeat.interval.ms", "2000"), ("broker.session.timeout.ms", "4001")];
    assert_eq!(session(&given), (4001, vec![]));
}

#[test]
fn heartbeats_that_come_too_seldom_for_the_session_are_refused() {
    let refused = |of: &[(&str, &str)], parts: &[&str]| {
        let error = config(of).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let names = ["broker.heartbeat.interval.ms (2000)", "below half of broker.session.timeout.ms (4000)"];
    refused(&[("broker.heartbeat.interval.ms", "2000"), ("broker.session.timeout.ms", "4000")], &names);
    refused(&[("broker.session.timeout.ms", "200")], &["broker.heartbeat.interval.ms (100)"]);
    refused(&[("broker.heartbeat.interval.ms", "2147483647")], &["broker.session.timeout.ms would be more"]);
}

#[test]
fn who_counts_on_protection_that_is_not_there_is_warned() {
    let given = [("authorizer.class.name", "A"), ("sasl.enabled.mechanisms", "PLAIN"), ("super.users", "User:a")];
    let notices = config(&given).unwrap().notices;
    assert_eq!(notices.len(), 3);
    for notice in notices {
        assert!(notice.is_warning() && notice.to_string().contains("serves everybody"), "{notice}");
    }
    assert!(!config(&[("num.io.threads", "8")]).unwrap().notices[0].is_warning());
}

#[test]
fn a_name_that_nobody_knows_is_a_notice() {
    let notices: Vec<String> = config(&[("num.partition", "3"), ("num.io.threads", "8")])
        .unwrap()
        .notices
        .iter()
        .map(Notice::to_string)
        .collect();
    assert_eq!(
        notices,
        [
            "num.io.threads has no effect: there are no such threads, queues and purgatories",
            "num.partition is not a known setting; it has no effect"
        ]
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_name_and_what_is_allowed() {
    let refused = |of: &[(&str, &str)], parts: [&str; 3]| {
        let error = config(of).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    refused(&[("num.partitions", "0")], ["num.partitions", "value 0", "at least 1"]);
    refused(
        &[("num.partitions", "x")],
        ["num.partitions", "value x", "(accepted: whole number, at least 1, partitions)"],
    );
    refused(&[("log.retention.ms", "0")], ["log.retention.ms", "value 0", "-1"]);
    refused(&[("process.roles", "broker")], ["controller.quorum.voters", "no controller", "where the controllers are"]);
    refused(&[("process.roles", "cook")], ["process.roles", "value cook", "one of: broker, controller"]);
    refused(&[("node.id", "2"), ("broker.id", "3")], ["broker.id", "value 3", "node.id, 2"]);
    refused(
        &[("controller.quorum.voters", "1@a:1,2@b:1")],
        ["controller.listener.names", "talk to one another", "listener that is in listeners"],
    );
    refused(&[("controller.quorum.voters", "1@a:1,2@b")], ["controller.quorum.voters", "'2@b'", "id@host:port"]);
    refused(&[("controller.quorum.voters", "1@a:1,1@b:1")], ["controller.quorum.voters", "id 1", "twice"]);
    refused(&[("controller.quorum.voters", "7@a:1")], ["controller.quorum.voters", "7@a:1", "node.id 1"]);
    refused(&[("cluster.id", "mine")], ["cluster.id", "value mine", "22 letters"]);
    refused(&[("log.dirs", "")], ["log.dirs", "value ", "at least one directory"]);
    refused(&[("log.dirs", "/a,/b,/a")], ["log.dirs", "/a,/b,/a", "/a is there twice"]);
    refused(&[("default.replication.factor", "0")], ["default.replication.factor", "value 0", "between 1 and"]);
    refused(&[("group.min.session.timeout.ms", "2000000")], ["group.min", "2000000", "group.max"]);
}

#[test]
fn the_command_line_wins_over_the_file_and_the_last_line_over_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.properties");
    std::fs::write(&file, "node.id=5\nnum.partitions=2\nnum.partitions : 3\nlog.dirs=/a,\\\n  /b\n").unwrap();
    let loaded = Config::load(Some(&file), &[("node.id".into(), "6".into())]).unwrap();
    assert_eq!((loaded.node.id, loaded.topics.partitions), (6, 3));
    assert_eq!(loaded.log_dirs.dirs, [Path::new("/a"), Path::new("/b")]);
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_line() {
    let missing = Config::load(Some(Path::new("/nowhere/x")), &[]).unwrap_err().to_string();
    assert_eq!(missing, "cannot read /nowhere/x: No such file or directory (os error 2)");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad");
    std::fs::write(&file, "a=\\u1").unwrap();
    let malformed = Config::load(Some(&file), &[]).unwrap_err().to_string();
    assert!(malformed.ends_with("bad, line 1: \\u is not followed by four hexadecimal digits"), "{malformed}");
}

#[test]
fn the_description_names_every_setting_with_unit_default_and_meaning() {
    let text = describe();
    for setting in broker::all().chain(topic::all()).filter(|setting| !setting.internal) {
        let default = setting.default.map_or("not set", |default| if default.is_empty() { "empty" } else { default });
        let entry = format!("\n{}\n    default: {default}\n    accepts: {}\n", setting.name, setting.accepts());
        assert!(text.contains(&entry), "{entry}");
        assert!(setting.doc().len() > 15, "{}", setting.name);
    }
    assert!(text.lines().all(|line| line.len() <= 120 || line.contains("default:")));
}

#[test]
fn a_description_of_some_settings_has_those_alone() {
    let text = describe_some(&["node.id".into(), "retention.ms".into()]).unwrap();
    assert!(text.starts_with("node.id\n    default:") && text.contains("\nretention.ms\n"), "{text}");
    assert_eq!(text.matches("accepts:").count(), 2);
    assert!(describe_some(&["node.ids".into()]).unwrap_err().contains("node.ids is no setting"));
}

#[test]
fn throttled_replicas_are_those_of_this_broker() {
    let of = |list: &str, broker| {
        topic::ThrottledReplicas::of(&values(&[("leader.replication.throttled.replicas", list)]), broker)
    };
    let partitions =
        |list, broker| (0..4).filter(|index| of(list, broker).leaders.contains(*index)).collect::<Vec<_>>();
    assert_eq!(partitions("0:1, 2:1,3:2", 1), [0, 2]);
    assert_eq!(partitions("0:1, 2:1,3:2", 2), [3]);
    assert_eq!(partitions("*", 7), [0, 1, 2, 3]);
    assert_eq!(partitions("", 1), [0; 0]);
    assert!(!of("*", 1).followers.contains(0), "the other list says nothing of it");
}
