//! franz-go, kafka-python, aiokafka and kafkajs: small programs below `tests/clients`, each with the suites `scenarios`,
//! `write` and `find`. A program says which facts hold, and fails if one does not.

use std::process::Command;
use std::time::Duration;

use crate::support::broker::Broker;
use crate::support::layout;
use crate::support::process::finish;

const LIMIT: Duration = Duration::from_secs(180);

fn franz_go() -> Command {
    Command::new(layout::installed("clients/franz-go/client"))
}

fn python(program: &str) -> Command {
    let mut command = Command::new(layout::installed("clients/venv/bin/python"));
    command.arg("-B").arg(layout::client_sources().join("python").join(program));
    command
}

fn kafkajs() -> Command {
    let mut command = Command::new("node");
    command.arg(layout::installed("clients/kafkajs/client.js"));
    command
}

/// Runs one suite of a program; panics with all it said if it fails.
fn run(mut program: Command, broker: &Broker, suite: &str) {
    let finished = finish(program.args([&broker.bootstrap(), suite]), "", LIMIT);
    assert!(finished.status.success(), "suite {suite}:\n{}\n{}", finished.stdout, finished.stderr);
}

#[test]
fn franz_go_works() {
    run(franz_go(), &Broker::start(&[]), "scenarios");
}

#[test]
fn kafka_python_works() {
    run(python("kafka_python_client.py"), &Broker::start(&[]), "scenarios");
}

#[test]
fn aiokafka_works() {
    run(python("aiokafka_client.py"), &Broker::start(&[]), "scenarios");
}

#[test]
fn kafkajs_works() {
    run(kafkajs(), &Broker::start(&[]), "scenarios");
}

#[test]
fn every_program_finds_everything_again_after_a_kill() {
    let programs = || [franz_go(), python("kafka_python_client.py"), python("aiokafka_client.py"), kafkajs()];
    let mut broker = Broker::start(&[]);
    programs().into_iter().for_each(|program| run(program, &broker, "write"));
    broker.kill();
    broker.start_again();
    programs().into_iter().for_each(|program| run(program, &broker, "find"));
}
