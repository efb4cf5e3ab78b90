//! The two brokers: how each is started, on the same settings, and how it ends.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::connection::{Connection, poll_until};

/// How long a start may take, with everything that is to be recovered.
const START_LIMIT: Duration = Duration::from_secs(240);

/// The JVM of `kafka-server-start.sh` and `kafka-run-class.sh` in Apache Kafka 4.1; without its garbage collection log
/// and its JMX port.
const JVM_OPTIONS: [&str; 9] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
];

pub const CLUSTER_ID: &str = "YmFybmFiYXMtYmVuY2gtMQ";

/// Kafka's own level and layout, to its standard output.
const LOG4J: &str = "\
rootLogger.level=INFO
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Kafka,
    Barnabas,
}

impl Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Kind::Kafka => "Apache Kafka",
            Kind::Barnabas => "Barnabas",
        })
    }
}

/// Where the programs are and where data may be written.
#[derive(Clone)]
pub struct Places {
    pub kafka_libs: PathBuf,
    pub data: PathBuf,
}

/// A broker process with its own directory. Dropping it kills the process and removes the directory.
pub struct Broker {
    kind: Kind,
    places: Places,
    directory: PathBuf,
    child: Option<Child>,
    pub id: i32,
    pub port: u16,
    pub controller_port: u16,
}

/// The ports of a broker.
#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    controller: u16,
}

impl Broker {
    /// A directory ready for a first start, for the only broker.
    pub fn prepare(kind: Kind, places: &Places) -> Result<Self> {
        Self::prepare_all(kind, places, 1, "")?.pop().context("one broker")
    }

    /// Directories ready for the first start of a cluster of so many brokers, with lines of further settings: Apache Kafka
    /// wants them formatted.
    pub fn prepare_all(kind: Kind, places: &Places, brokers: usize, settings: &str) -> Result<Vec<Self>> {
        let ports = free_ports(brokers)?;
        let prepare = |(index, own): (usize, &Ports)| {
            let id = index as i32 + 1;
            let name = format!("{}-{id}-{}", kind.to_string().to_lowercase().replace(' ', "-"), std::process::id());
            let directory = places.data.join(name);
            fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
            let Ports { client: port, controller: controller_port } = *own;
            let places = places.clone();
            let broker = Self { kind, places, directory, child: None, id, port, controller_port };
            fs::write(broker.directory.join("server.properties"), broker.properties(own, &ports) + settings)?;
            fs::write(broker.directory.join("log4j2.properties"), LOG4J)?;
            if kind == Kind::Kafka {
                broker.format()?;
            }
            Ok(broker)
        };
        ports.iter().enumerate().map(prepare).collect()
    }

    /// Prepares and starts a broker, and waits until it listens.
    pub fn start(kind: Kind, places: &Places) -> Result<Self> {
        let mut broker = Self::prepare(kind, places)?;
        broker.exec()?;
        broker.connect()?;
        Ok(broker)
    }

    /// Starts the process, and does not wait for anything.
    pub fn exec(&mut self) -> Result<()> {
        let output = File::options().create(true).append(true).open(self.output())?;
        let mut command = match self.kind {
            Kind::Kafka => self.java("kafka.Kafka"),
            Kind::Barnabas => Command::new(env!("CARGO_BIN_EXE_barnabas")),
        };
        command.arg(self.directory.join("server.properties")).current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.child = Some(command.spawn().with_context(|| format!("starting {}", self.kind))?);
        Ok(())
    }

    /// Connects as soon as the broker listens. Errors: it ended, or does not listen in time.
    pub fn connect(&mut self) -> Result<Connection> {
        poll_until(Instant::now() + START_LIMIT, "a listening broker", || {
            if let Some(status) = self.child.as_mut().context("not started")?.try_wait()? {
                bail!("{} ended with {status}: {}", self.kind, self.last_output());
            }
            Ok(Connection::open(self.port).ok())
        })
    }

    /// The address for clients.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// `kill -9`: whatever the broker had not given to the kernel is lost.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGSTOP.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("not started")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Deletes the topic and waits until its files are gone, so that their dirty pages cost the next load nothing.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        Connection::open(self.port)?.delete_topic(topic)?;
        self.await_deletion(topic)
    }

    /// Waits until the files of a deleted topic are gone.
    pub fn await_deletion(&self, topic: &str) -> Result<()> {
        poll_until(Instant::now() + Duration::from_secs(90), "the deletion of a topic's files", || {
            let entries = fs::read_dir(self.directory.join("data"))?;
            let remains = entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(topic));
            Ok((!remains).then_some(()))
        })
    }

    /// One process for both roles, everything else Kafka's defaults; but the files of a deleted topic leave at once.
    /// A single broker cannot have three replicas of the internal topics.
    fn properties(&self, own: &Ports, all: &[Ports]) -> String {
        let (id, Ports { client, controller }) = (self.id, own);
        let voters = all.iter().zip(1..).map(|(ports, id)| format!("{id}@localhost:{}", ports.controller));
        let voters: Vec<_> = voters.collect();
        let replicas = all.len().min(3);
        format!(
            "process.roles=broker,controller\n\
             node.id={id}\n\
             cluster.id={CLUSTER_ID}\n\
             controller.quorum.voters={}\n\
             listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{client}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             metrics.listener=\n\
             log.dirs={}\n\
             log.segment.delete.delay.ms=100\n\
             offsets.topic.replication.factor={replicas}\n\
             transaction.state.log.replication.factor={replicas}\n\
             transaction.state.log.min.isr={}\n",
            voters.join(","),
            self.directory.join("data").display(),
            replicas.min(2),
        )
    }

    fn format(&self) -> Result<()> {
        let mut command = self.java("kafka.tools.StorageTool");
        command.args(["format", "--cluster-id", CLUSTER_ID, "--config"]);
        let output = command.arg(self.directory.join("server.properties")).output().context("running java")?;
        ensure!(output.status.success(), "formatting failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(JVM_OPTIONS);
        command.arg(format!("-Dlog4j2.configurationFile={}", self.directory.join("log4j2.properties").display()));
        command.arg("-cp").arg(self.places.kafka_libs.join("*")).arg(class);
        command
    }

    fn output(&self) -> PathBuf {
        self.directory.join("output.log")
    }

    /// The end of what the broker printed: what explains its failure.
    pub fn last_output(&self) -> String {
        let output = fs::read_to_string(self.output()).unwrap_or_default();
        let lines: Vec<_> = output.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n    ")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{} could not be killed: {error}", self.kind);
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("{} remains: {error}", self.directory.display());
        }
    }
}

/// Ports that nobody listens on. They lie below the range of the kernel's own choices: a client that tries such a port
/// before the broker listens can be connected to itself.
fn free_ports(brokers: usize) -> Result<Vec<Ports>> {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut free = (first..32_000).filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let mut pair = || Some(Ports { client: free.next()?, controller: free.next()? });
    (0..brokers).map(|_| pair().context("no free port below 32000")).collect()
}

/// Removes what a run that was killed left behind.
pub fn remove_leftovers(data: &Path) -> Result<()> {
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.rsplit_once('-')?.1.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}
