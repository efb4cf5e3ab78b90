//! A broker whose output is read no longer: `barnabas server.properties 2>&1 | head -1`.

use crate::support::port::free_port;
use crate::support::process::{signal, wait_for_exit};
use crate::support::readiness::answers_api_versions;
use crate::support::wait::wait_for;
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_broker_serves_and_stops_cleanly_when_nobody_reads_its_lines() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let mut command = Command::new(env!("CARGO_BIN_EXE_barnabas"));
    for setting in [
        format!("listeners=PLAINTEXT://{address}"),
        format!("log.dirs={}", directory.path().display()),
        "metrics.listener=".to_owned(),
    ] {
        command.args(["--override", &setting]);
    }
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut first = String::new();
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    lines.read_line(&mut first).expect("a line");
    assert!(!first.is_empty());
    drop(lines);
    // Every line from here on meets a closed pipe: those of the start, and those of the end.
    wait_for("an answer", LIMIT, || answers_api_versions(address).ok());
    signal(&child, Signal::TERM);
    assert!(wait_for_exit(&mut child, "the end", LIMIT).success());
}
