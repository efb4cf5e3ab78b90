//! The Java producer: `Load.java`, which prints what was acknowledged.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::notes::{Notes, lock};
use super::{JAVA, PATIENCE, Plan, Retries};
use crate::support::checker::Record;
use crate::support::layout;
use crate::support::process::wait_for_exit;

/// Dropped, the program is killed.
pub struct JavaProducer {
    child: Child,
    stdin: Option<ChildStdin>,
    listener: Option<JoinHandle<u64>>,
}

impl JavaProducer {
    pub fn start(bootstrap: &str, plan: &Plan, notes: &Arc<Notes>) -> JavaProducer {
        layout::installed("clients/java/Load.class");
        let mut command = Command::new("java");
        let logging = layout::client_sources().join("java/log4j2.properties");
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &layout::class_path()]);
        command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.args(["Load", bootstrap, plan.topic, &plan.partitions.to_string(), &JAVA.to_string()]);
        command.arg(plan.tick.as_millis().to_string());
        command.arg(if plan.retries == Retries::Endless { "endless" } else { "defaults" });
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let notes = notes.clone();
        let listener = thread::spawn(move || {
            let mut sent = 0;
            for line in lines {
                sent += note(&line.expect("UTF-8"), &notes);
            }
            sent
        });
        JavaProducer { stdin: child.stdin.take(), child, listener: Some(listener) }
    }

    /// Lets it wait for every acknowledgement, and returns how many records it sent.
    pub fn finish(mut self, notes: &Notes) -> u64 {
        drop(self.stdin.take());
        let status = wait_for_exit(&mut self.child, "the Java producer to end", PATIENCE);
        if !status.success() {
            notes.refuse(format!("the Java producer ended with {status}"));
        }
        self.listener.take().expect("taken once").join().expect("lines that are understood")
    }
}

/// Notes a line of the program; gives the number of records sent, which is its last.
fn note(line: &str, notes: &Notes) -> u64 {
    let numbers: Vec<u64> = line.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect();
    match (line.split(' ').next(), numbers.as_slice()) {
        (Some("acknowledged"), &[partition, offset, sequence]) => {
            let (partition, offset) = (partition as i32, offset as i64);
            lock(&notes.acknowledged).push(Record { producer: JAVA, partition, offset, sequence });
            0
        }
        (Some("sent"), &[sent]) => sent,
        _ => {
            notes.refuse(format!("the Java producer: {line}"));
            0
        }
    }
}

impl Drop for JavaProducer {
    fn drop(&mut self) {
        // Both fail only when the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
