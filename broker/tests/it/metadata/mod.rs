//! The metadata log and Apache Kafka: each reads what the other wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::broker::{Broker, Kind};
use crate::support::layout;
use crate::support::process::succeed;
use crate::support::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(300);
/// Makes a snapshot of every few changes.
const SNAPSHOTS: (&str, &str) = ("metadata.log.max.record.bytes.between.snapshots", "2000");

fn java(arguments: &[&str]) -> String {
    let mut command = Command::new("java");
    let logging = layout::client_sources().join("java/log4j2.properties");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &layout::class_path()]);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display())).args(arguments);
    succeed(&mut command, "", LIMIT)
}

fn run_suite(broker: &Broker, suite: &str) {
    java(&["Main", &broker.bootstrap(), suite]);
}

/// The files of the metadata log with this extension, in their order.
fn files(broker: &Broker, extension: &str) -> Vec<PathBuf> {
    let directory = broker.log_directory().join("__cluster_metadata-0");
    let entries = fs::read_dir(directory).expect("the metadata log's directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// What Apache Kafka's tool shows of a file; panics if it finds anything wrong with it.
fn dump(file: &Path) -> String {
    let file = file.to_str().expect("UTF-8");
    let dumped = java(&["kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", file]);
    for complaint in ["isvalid: false", "Error", "Found bytes at the end"] {
        assert!(!dumped.contains(complaint), "{dumped}");
    }
    dumped
}

#[test]
fn kafkas_dump_tool_reads_the_metadata_log() {
    let mut broker = Broker::start_kind(Kind::Barnabas, &[]);
    run_suite(&broker, "write-metadata");
    broker.kill();
    let dumped = dump(files(&broker, "log").last().expect("a segment"));
    let records = [
        "LeaderChange",
        "FEATURE_LEVEL_RECORD",
        "REGISTER_BROKER_RECORD",
        "BROKER_REGISTRATION_CHANGE_RECORD",
        "TOPIC_RECORD",
        "PARTITION_RECORD",
        "CONFIG_RECORD",
        "REMOVE_TOPIC_RECORD",
        "PRODUCER_IDS_RECORD",
    ];
    for record in records {
        assert!(dumped.contains(record), "{record} is missing in {dumped}");
    }
}

#[test]
fn kafkas_dump_tool_reads_a_snapshot() {
    let broker = Broker::start_kind(Kind::Barnabas, &[SNAPSHOTS]);
    run_suite(&broker, "write-metadata");
    let snapshot = wait_for("a snapshot", LIMIT, || files(&broker, "checkpoint").pop());
    let dumped = dump(&snapshot);
    for record in ["SnapshotHeader", "metadata.version", "REGISTER_BROKER_RECORD", "metadata-first", "SnapshotFooter"] {
        assert!(dumped.contains(record), "{record} is missing in {dumped}");
    }
}

/// Starts `after` on what `before` wrote: metadata, records, committed offsets.
fn assert_takes_over(before: Kind, after: Kind, properties: &[(&str, &str)]) {
    let mut broker = Broker::start_kind(before, properties);
    run_suite(&broker, "write-metadata");
    run_suite(&broker, "write");
    broker.terminate();
    let snapshots = files(&broker, "checkpoint").len();
    assert_eq!(snapshots > 0, !properties.is_empty(), "snapshots where they were asked for");
    broker.replace_by(after);
    run_suite(&broker, "find-metadata");
    run_suite(&broker, "find");
}

#[test]
fn barnabas_goes_on_with_what_kafka_wrote() {
    assert_takes_over(Kind::Kafka, Kind::Barnabas, &[]);
}

#[test]
fn barnabas_goes_on_with_kafkas_snapshot_and_the_log_behind_it() {
    assert_takes_over(Kind::Kafka, Kind::Barnabas, &[SNAPSHOTS]);
}

#[test]
fn kafka_goes_on_with_what_barnabas_wrote() {
    assert_takes_over(Kind::Barnabas, Kind::Kafka, &[]);
}

#[test]
fn kafka_goes_on_with_barnabas_snapshot_and_the_log_behind_it() {
    assert_takes_over(Kind::Barnabas, Kind::Kafka, &[SNAPSHOTS]);
}
