//! The files of a log and Apache Kafka: its tools read what we wrote, we read what its broker wrote, and the other way round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use barnabas::log::{FileCache, FoundPartition, Log, LogConfig, LogDirs, Origin};
use barnabas::protocol::Uuid;
use barnabas::protocol::batch::{Compression, RecordBatch, attributes, batches};
use barnabas::protocol::compression::compress;
use barnabas::protocol::record::{BatchBuilder, Header, Records};
use tempfile::TempDir;

use crate::support::broker::{Broker, Kind};
use crate::support::layout;
use crate::support::process::{Finished, finish, succeed};

const LIMIT: Duration = Duration::from_secs(120);
const NOW: i64 = 1_700_000_000_000;
const TOPIC: &str = "compatible";
const COMPRESSIONS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn java(class: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    let logging = layout::client_sources().join("java/log4j2.properties");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &layout::class_path()]);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display())).arg(class).args(arguments);
    command
}

fn tool(class: &str, arguments: &[&str], input: &str) -> String {
    succeed(&mut java(class, arguments), input, LIMIT)
}

/// What `kafka-dump-log.sh` prints of `files`.
fn dump(files: &[PathBuf], arguments: &[&str]) -> String {
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    tool("kafka.tools.DumpLogSegments", &[&["--files", &names.join(",")], arguments].concat(), "")
}

fn small_segments() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 20_000, index_interval_bytes: 500, ..LogConfig::default() })
}

/// The directory that holds the log that is looked at.
fn open_dirs(directory: &Path) -> LogDirs {
    LogDirs::open(&[directory.to_owned()], 1, None, FileCache::new(100)).expect("log directories")
}

fn found(dirs: &LogDirs, topic: &str) -> FoundPartition {
    let partitions = dirs.partitions().expect("partitions");
    partitions.into_iter().find(|found| found.topic == topic).expect("the topic's partition")
}

fn open(dirs: &LogDirs, topic: &str) -> Log {
    let found = found(dirs, topic);
    let directory = &dirs.directories()[found.directory];
    Log::open(directory, topic, found.partition, None, small_segments(), NOW).expect("the log")
}

fn close(dirs: &LogDirs, log: &mut Log) {
    log.close().expect("closed");
    dirs.checkpoint().expect("checkpoints");
    dirs.mark_clean_shutdown(-1).expect("the marker");
}

/// A value that no other record has.
fn value(offset: i64) -> String {
    format!("value {offset} {}", "x".repeat(offset as usize % 90))
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let (batch, _) = RecordBatch::split_first(bytes).expect("a batch");
    let mut header = Header::of(batch);
    header.set_compression(compression);
    header.with_payload(&compress(compression, batch.payload()))
}

fn append(log: &mut Log, bytes: &[u8], origin: Origin) {
    let (batch, _) = RecordBatch::split_first(bytes).expect("a batch");
    log.append(batch, 0, origin, NOW).expect("appended");
}

/// Appends `batches` batches of three records each, of every compression in turn, by an idempotent producer.
fn fill(log: &mut Log, batches: i32) {
    for number in 0..batches {
        let mut builder = BatchBuilder::new(NOW + i64::from(number) * 10);
        (builder.producer_id, builder.producer_epoch, builder.base_sequence) = (4711, 0, number * 3);
        for record in 0..3 {
            let offset = log.log_end_offset() + record;
            builder.add(Some(format!("key {offset}").as_bytes()), Some(value(offset).as_bytes()));
        }
        let compression = COMPRESSIONS[number as usize % COMPRESSIONS.len()];
        append(log, &compressed(&builder.build(), compression), Origin::Producer);
    }
}

/// A batch of a transaction, and the marker that aborts it.
fn abort_a_transaction(log: &mut Log, producer_id: i64) {
    let mut builder = BatchBuilder::new(NOW).record(b"aborted", b"aborted");
    (builder.producer_id, builder.producer_epoch, builder.base_sequence) = (producer_id, 0, 0);
    builder.attributes = attributes::TRANSACTIONAL;
    append(log, &builder.build(), Origin::Producer);
    // Key: version 0, type 0 (abort). Value: version 0, the coordinator's epoch.
    let mut marker = BatchBuilder::new(NOW).record(&[0, 0, 0, 0], &[0, 0, 0, 0, 0, 7]);
    (marker.producer_id, marker.producer_epoch) = (producer_id, 0);
    marker.attributes = attributes::TRANSACTIONAL | attributes::CONTROL;
    append(log, &marker.build(), Origin::Coordinator);
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the partition's directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// The values of all data records, in order.
fn values(log: &Log) -> Vec<String> {
    let mut values = Vec::new();
    for bytes in read_all(log) {
        let (batch, _) = RecordBatch::split_first(&bytes).expect("a batch");
        batch.check_crc().expect("whole");
        if !batch.is_control() {
            let records = Records::of(batch).expect("records");
            let value = |bytes: Option<&[u8]>| String::from_utf8(bytes.expect("a value").to_vec()).expect("text");
            values.extend(records.iter().map(|record| value(record.expect("a record").value)));
        }
    }
    values
}

fn read_all(log: &Log) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let bytes = log.read_bytes(offset, 64 << 10, i64::MAX).expect("a read");
        for batch in batches(&bytes) {
            let batch = batch.expect("whole batches");
            offset = batch.next_offset();
            all.push(batch.bytes().to_vec());
        }
    }
    all
}

#[test]
fn kafkas_tool_reads_our_files() {
    let directory = TempDir::new().expect("a directory");
    let dirs = open_dirs(directory.path());
    let place = dirs.directory_for_new_partition();
    let mut log = Log::create(place, TOPIC, 0, Uuid([9; 16]), small_segments(), NOW).expect("a log");
    fill(&mut log, 400);
    abort_a_transaction(&mut log, 4712);
    fill_again(&mut log);
    let partition = log.path().to_owned();
    close(&dirs, &mut log);
    let end = log.log_end_offset();

    let segments = files(&partition, "log");
    assert!(segments.len() > 3, "{segments:?}");
    let printed = dump(&segments, &["--print-data-log", "--deep-iteration"]);
    assert_without_complaint(&printed);
    let offsets: Vec<i64> = printed.lines().filter_map(record_offset).collect();
    assert!(offsets.iter().copied().eq(0..end), "{offsets:?} up to {end}");
    for offset in [0, 500, 1199] {
        assert!(printed.contains(&format!("payload: {}", value(offset))), "the value at {offset}");
    }

    let indexes = [files(&partition, "index"), files(&partition, "timeindex")].concat();
    let printed = dump(&indexes, &["--index-sanity-check"]);
    assert_eq!(printed.matches("passed sanity check").count(), indexes.len(), "{printed}");
    let printed = dump(&indexes, &["--verify-index-only"]);
    assert_without_complaint(&printed);

    let printed = dump(&files(&partition, "snapshot"), &[]);
    assert!(printed.contains("producerId: 4711 producerEpoch: 0"), "{printed}");
    assert!(printed.contains("coordinatorEpoch: 7"), "{printed}");
    let printed = dump(&files(&partition, "txnindex"), &[]);
    assert!(
        printed.contains("producerId: 4712 firstOffset: 1200 lastOffset: 1201 lastStableOffset: 1202"),
        "{printed}"
    );
}

/// Something behind the transaction, without a producer.
fn fill_again(log: &mut Log) {
    append(log, &BatchBuilder::new(NOW).record(b"k", b"the last").build(), Origin::Producer);
}

/// The tool says what it finds wrong, and ends well nevertheless.
fn assert_without_complaint(printed: &str) {
    for complaint in
        ["isvalid: false", "Mismatches", "mismatch", "Non-consecutive", "out of order", "Found ", "Exception"]
    {
        let lines: Vec<&str> = printed.lines().filter(|line| line.contains(complaint)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

fn record_offset(line: &str) -> Option<i64> {
    line.trim_start_matches(['|', ' ']).strip_prefix("offset: ")?.split(' ').next()?.parse().ok()
}

#[test]
fn we_read_what_kafka_wrote() {
    let mut broker = Broker::start_kind(Kind::Kafka, &[]);
    let create =
        ["--create", "--topic", TOPIC, "--config", "segment.bytes=1048576", "--config", "index.interval.bytes=1000"];
    tool(
        "org.apache.kafka.tools.TopicCommand",
        &[&["--bootstrap-server", &broker.bootstrap()][..], &create].concat(),
        "",
    );
    let in_use = LogDirs::open(&[broker.log_directory()], 1, None, FileCache::new(1)).expect_err("Kafka has it");
    assert!(in_use.to_string().ends_with("in use by another process"), "{in_use}");
    let mut expected = Vec::new();
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(&broker, compression, &mut expected);
    }
    // A JVM ends with 143 after a clean stop.
    broker.terminate();
    check_kafkas_log(&broker, &expected, true);

    broker.start_again();
    produce(&broker, "lz4", &mut expected);
    broker.kill();
    check_kafkas_log(&broker, &expected, false);
}

/// Lets the console producer send lines, which it does idempotently.
fn produce(broker: &Broker, compression: &str, expected: &mut Vec<String>) {
    let start = expected.len() as i64;
    let lines: Vec<String> = (start..start + 3000).map(value).collect();
    let bootstrap = broker.bootstrap();
    let codec = format!("--compression-codec={compression}");
    let arguments = ["--bootstrap-server", &bootstrap, "--topic", TOPIC, &codec, "--batch-size", "2000"];
    tool("org.apache.kafka.tools.ConsoleProducer", &arguments, &(lines.join("\n") + "\n"));
    expected.extend(lines);
}

fn check_kafkas_log(broker: &Broker, expected: &[String], clean: bool) {
    let dirs = open_dirs(&broker.log_directory());
    assert_eq!(dirs.directories()[0].was_shut_down_cleanly(), clean);
    let partition = broker.log_directory().join(format!("{TOPIC}-0"));
    let before: Vec<Vec<u8>> = files(&partition, "log").iter().map(|path| fs::read(path).expect("a segment")).collect();
    assert!(found(&dirs, TOPIC).topic_id.is_some());
    let mut log = open(&dirs, TOPIC);
    assert_eq!(log.log_end_offset(), expected.len() as i64);
    assert!(values(&log) == expected, "the values differ");
    assert_eq!(read_all(&log).concat(), before.concat(), "the bytes differ");
    assert!(!log.producers().is_empty(), "the idempotent producers are known");
    assert_eq!((log.epoch_at(0), log.latest_epoch()), (Some(0), log.epoch_at(expected.len() as i64 - 1)));
    // Kafka is to find the directory as it left it.
    if clean {
        close(&dirs, &mut log);
    }
}

#[test]
fn kafka_serves_what_we_wrote() {
    let mut broker = Broker::start_kind(Kind::Kafka, &[]);
    let create = ["--create", "--topic", TOPIC];
    tool(
        "org.apache.kafka.tools.TopicCommand",
        &[&["--bootstrap-server", &broker.bootstrap()][..], &create].concat(),
        "",
    );
    // A JVM ends with 143 after a clean stop.
    broker.terminate();

    let expected = write_in_place_of_kafka(&broker);
    broker.start_again();
    let bootstrap = broker.bootstrap();
    let consume = ["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--from-beginning", "--timeout-ms", "20000"];
    let isolation = ["--isolation-level", "read_committed", "--max-messages", &expected.len().to_string()];
    let printed = tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &[&consume[..], &isolation].concat(), "");
    assert!(
        printed.lines().eq(expected.iter()),
        "Kafka serves {} of {} lines",
        printed.lines().count(),
        expected.len()
    );
    let output = broker.output();
    for complaint in ["corrupt", "Rebuilding", "Found invalid"] {
        assert!(!output.contains(complaint), "Kafka complains of our files: {complaint}");
    }
}

/// Removes the partition that Kafka made, and writes one with the same topic id; gives the values that are committed.
fn write_in_place_of_kafka(broker: &Broker) -> Vec<String> {
    let directory = broker.log_directory();
    let dirs = open_dirs(&directory);
    let topic_id = found(&dirs, TOPIC).topic_id.expect("Kafka writes it");
    fs::remove_dir_all(directory.join(format!("{TOPIC}-0"))).expect("Kafka's partition");
    let mut log = Log::create(&dirs.directories()[0], TOPIC, 0, topic_id, small_segments(), NOW).expect("a log");
    fill(&mut log, 300);
    abort_a_transaction(&mut log, 4712);
    append(&mut log, &BatchBuilder::new(NOW).record(b"k", b"the last").build(), Origin::Producer);
    let refused = refused_start(broker);
    assert!(refused.contains("Failed to acquire lock"), "{refused}");
    let committed = values(&log).into_iter().filter(|value| value != "aborted").collect();
    close(&dirs, &mut log);
    committed
}

/// What Kafka says where we hold the directory.
fn refused_start(broker: &Broker) -> String {
    let properties = broker.log_directory().with_file_name("server.properties");
    let mut start = java("kafka.Kafka", &[&properties.display().to_string()]);
    let Finished { status, stdout, stderr } = finish(&mut start, "", LIMIT);
    assert!(!status.success(), "Kafka starts on a directory that is in use");
    stdout + &stderr
}
