//! Kafka's own Java clients and command-line tools.
//!
//! A JVM takes seconds to start: each suite of `tests/clients/java` runs its scenarios in one, and fails with all that
//! failed. The last tests run the tools as their shell scripts do.

use std::process::Command;
use std::time::Duration;

use crate::support::broker::Broker;
use crate::support::layout;
use crate::support::process::{finish, succeed};

const LIMIT: Duration = Duration::from_secs(300);

/// A JVM that starts quickly, with Kafka's jars and our programs.
fn java(arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    let logging = layout::client_sources().join("java/log4j2.properties");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &layout::class_path()]);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.args(arguments);
    command
}

/// Runs one suite of scenarios; panics with what failed.
fn run_suite(broker: &Broker, suite: &str) {
    layout::installed("clients/java/Main.class");
    let finished = finish(&mut java(&["Main", &broker.bootstrap(), suite]), "", LIMIT);
    assert!(finished.status.success(), "suite {suite}:\n{}\n{}", finished.stdout, finished.stderr);
}

#[test]
fn the_java_admin_client_works_with_topics_and_configs() {
    run_suite(&Broker::start(&[]), "topics");
}

#[test]
fn the_java_admin_client_works_with_groups() {
    run_suite(&Broker::start(&[]), "groups");
}

#[test]
fn the_java_producer_writes_what_is_read_back() {
    run_suite(&Broker::start(&[]), "records");
}

#[test]
fn the_java_consumer_works_alone_and_in_groups() {
    run_suite(&Broker::start(&[]), "consumers");
}

#[test]
fn kafkas_command_line_tools_work() {
    run_suite(&Broker::start(&[]), "tools");
}

#[test]
fn java_clients_find_everything_again_after_a_kill() {
    let mut broker = Broker::start(&[]);
    run_suite(&broker, "write");
    broker.kill();
    broker.start_again();
    run_suite(&broker, "find");
}

#[test]
fn java_clients_find_everything_again_after_a_clean_stop() {
    let mut broker = Broker::start(&[]);
    run_suite(&broker, "write");
    let status = broker.terminate();
    // A JVM that ends by SIGTERM says so in its status (128 + 15); Barnabas ends with 0.
    assert!(status.success() || status.code() == Some(143), "{status}");
    broker.start_again();
    run_suite(&broker, "find");
}

#[test]
fn the_tools_run_as_their_scripts_run_them() {
    let broker = Broker::start(&[]);
    let bootstrap = ["--bootstrap-server", &broker.bootstrap()];
    let tool = |class: &str, arguments: &[&str], input: &str| {
        let class = format!("org.apache.kafka.tools.{class}");
        succeed(java(&[&class]).args(bootstrap).args(arguments), input, LIMIT)
    };
    let created = tool("TopicCommand", &["--create", "--topic", "scripted", "--partitions", "2"], "");
    assert_eq!(created.trim(), "Created topic scripted.");
    tool("ConsoleProducer", &["--topic", "scripted"], "first\n");
    let consume = ["--topic", "scripted", "--from-beginning", "--max-messages", "1"];
    assert_eq!(tool("consumer.ConsoleConsumer", &consume, ""), "first\n");
    let verified = tool("VerifiableProducer", &["--topic", "scripted", "--max-messages", "500", "--acks", "-1"], "");
    assert!(verified.contains(r#""sent":500,"acked":500"#), "{verified}");
}
