//! Apache Kafka's command-line tools against a cluster.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::layout;
use crate::support::process::{finish, succeed};

const LIMIT: Duration = Duration::from_secs(300);

fn java(arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    let logging = layout::client_sources().join("java/log4j2.properties");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &layout::class_path()]);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.args(arguments);
    command
}

#[test]
fn kafkas_tools_work_with_a_cluster() {
    let cluster = Cluster::start(3);
    let finished = finish(&mut java(&["Main", &cluster.bootstrap(), "cluster-tools"]), "", LIMIT);
    assert!(finished.status.success(), "{}\n{}", finished.stdout, finished.stderr);
}

#[test]
fn kafkas_dump_tool_reads_the_metadata_log_of_every_node() {
    let mut cluster = Cluster::start(3);
    let finished = finish(&mut java(&["Main", &cluster.bootstrap(), "write-metadata"]), "", LIMIT);
    assert!(finished.status.success(), "{}\n{}", finished.stdout, finished.stderr);
    for id in cluster.ids() {
        cluster.kill(id);
        let directory = cluster.log_directory(id).join("__cluster_metadata-0");
        let entries = fs::read_dir(directory).expect("the metadata log's directory");
        let mut segments: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        let segment = segments.iter().max().expect("a segment").display().to_string();
        let tool = ["kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", &segment];
        let dumped = succeed(&mut java(&tool), "", LIMIT);
        for record in ["LeaderChange", "REGISTER_BROKER_RECORD", "TOPIC_RECORD", "PARTITION_RECORD", "CONFIG_RECORD"] {
            assert!(dumped.contains(record), "{record} is missing in {dumped}");
        }
        for complaint in ["isvalid: false", "Error", "Found bytes at the end"] {
            assert!(!dumped.contains(complaint), "{dumped}");
        }
    }
}
