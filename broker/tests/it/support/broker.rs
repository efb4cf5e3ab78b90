//! A broker under test: Barnabas, or Apache Kafka in its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

pub use super::program::Kind;
use super::readiness::answers_api_versions;
use super::wait::wait_for;
use super::{port, process, program};

/// A broker process with its own directory and ports. Dropped, it is killed and its directory removed; when the test
/// panics, the end of its output is printed and the directory kept.
pub struct Broker {
    kind: Kind,
    directory: TempDir,
    port: u16,
    child: Child,
}

impl Broker {
    /// Starts the broker under test on a fresh directory with `properties` added to the defaults of
    /// [`default_properties`], and waits until it answers.
    pub fn start(properties: &[(&str, &str)]) -> Broker {
        Broker::start_kind(Kind::under_test(), properties)
    }

    /// [`Broker::start`] of one kind, whatever the environment says.
    pub fn start_kind(kind: Kind, properties: &[(&str, &str)]) -> Broker {
        let directory = TempDir::with_prefix("barnabas-it-").expect("a temporary directory");
        let port = port::free_port();
        write_properties(directory.path(), port, properties);
        kind.format(directory.path());
        let child = kind.spawn(directory.path(), None);
        let mut broker = Broker { kind, directory, port, child };
        broker.wait_until_ready();
        broker
    }

    /// The address for clients.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `log.dirs`.
    pub fn log_directory(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    /// What the broker has printed so far, over all its starts.
    pub fn output(&self) -> String {
        program::read_output(self.directory.path())
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the broker has not been waited for");
        self.child.wait().expect("the broker is our child");
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        process::signal(&self.child, Signal::TERM);
        self.wait_for_end()
    }

    /// Waits for the end of a broker that was asked to stop.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        process::wait_for_exit(&mut self.child, "the broker to end", Duration::from_secs(60))
    }

    /// Starts the stopped broker again on the same directory and ports; returns at once.
    pub fn spawn_again(&mut self) {
        assert!(self.child.try_wait().expect("the broker is our child").is_some(), "the broker still runs");
        self.child = self.kind.spawn(self.directory.path(), None);
    }

    /// Starts the stopped broker again on the same directory and ports, and waits until it answers.
    pub fn start_again(&mut self) {
        self.spawn_again();
        self.wait_until_ready();
    }

    /// Starts a broker of another kind on the directory and the ports of this stopped one, and waits until it answers.
    pub fn replace_by(&mut self, kind: Kind) {
        self.kind = kind;
        self.start_again();
    }

    /// Waits until ApiVersions is answered. Panics when the process ends, or after three minutes: a JVM that starts on
    /// a machine with other work has needed more than one.
    pub fn wait_until_ready(&mut self) {
        wait_for("the broker to answer ApiVersions", Duration::from_secs(180), || {
            if let Some(status) = self.child.try_wait().expect("the broker is our child") {
                panic!("the broker ended while it should start: {status}");
            }
            answers_api_versions(([127, 0, 0, 1], self.port).into()).ok()
        });
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let end = program::end_of_output(self.directory.path());
            self.directory.disable_cleanup(true);
            let directory = self.directory.path().display();
            eprintln!("--- the end of the {:?} broker's output; its directory is {directory}\n{end}", self.kind);
        }
    }
}

/// One node, both roles, quick groups: the file that starts Apache Kafka starts Barnabas.
fn default_properties(port: u16, directory: &Path) -> BTreeMap<String, String> {
    let controller = port::free_port();
    let pairs = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("log.dirs", directory.join("logs").display().to_string()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("offsets.topic.num.partitions", "4".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn write_properties(directory: &Path, port: u16, properties: &[(&str, &str)]) {
    let mut all = default_properties(port, directory);
    // Apache Kafka takes no notice of it: either may be started on what the other left.
    all.insert("metrics.listener".to_owned(), format!("127.0.0.1:{}", port::free_port()));
    all.extend(properties.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    program::write_properties(directory, &all);
}
