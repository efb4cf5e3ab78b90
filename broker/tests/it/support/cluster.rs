//! A cluster under test: nodes as real processes that are killed, frozen, cut off, wiped and restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::ask::{self, ActiveController, Metadata, Partition};
use super::disk::SmallDisk;
use super::network::Network;
use super::program::{self, CLUSTER_ID, Kind};
use super::readiness::answers_api_versions;
use super::wait::wait_for;
use super::{port, process};

/// How long a cluster may take for anything, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What a cluster consists of.
pub struct Shape {
    /// The `process.roles` of each node, from node 1 on.
    pub roles: Vec<&'static str>,
    /// Whether links can be cut.
    pub with_network: bool,
    /// A node whose data lies on a disk of so many megabytes.
    pub small_disk: Option<(i32, u32)>,
    /// For all nodes, over [`Cluster::properties_of`]'s.
    pub properties: Vec<(&'static str, String)>,
}

impl Shape {
    /// Nodes that are broker and controller each.
    pub fn of(nodes: usize) -> Shape {
        Shape { roles: vec!["broker,controller"; nodes], with_network: false, small_disk: None, properties: Vec::new() }
    }

    pub fn with_network(self) -> Shape {
        Shape { with_network: true, ..self }
    }

    pub fn with(mut self, key: &'static str, value: impl ToString) -> Shape {
        self.properties.push((key, value.to_string()));
        self
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Frozen,
    /// Ended, and waited for.
    Stopped,
}

struct Node {
    id: i32,
    is_broker: bool,
    directory: PathBuf,
    client: SocketAddr,
    controller: SocketAddr,
    metrics: SocketAddr,
    child: Option<Child>,
    state: State,
}

/// Dropped, its processes are killed and its directories and networks removed; when the test panics, the end of each
/// node's output is printed and the directories kept.
pub struct Cluster {
    kind: Kind,
    nodes: Vec<Node>,
    disk: Option<SmallDisk>,
    network: Option<Network>,
    directory: TempDir,
}

impl Cluster {
    /// Starts nodes that are broker and controller each, and waits until all brokers are registered and unfenced.
    pub fn start(nodes: usize) -> Cluster {
        Cluster::start_as(Shape::of(nodes))
    }

    /// [`Cluster::start`] of any shape.
    pub fn start_as(shape: Shape) -> Cluster {
        let mut cluster = Cluster::prepare(&shape);
        let ids: Vec<_> = cluster.ids();
        ids.iter().for_each(|id| cluster.spawn(*id));
        cluster.wait_until_complete();
        cluster
    }

    /// The directories of a cluster, formatted and with their settings; nothing runs.
    pub fn prepare(shape: &Shape) -> Cluster {
        let kind = Kind::under_test();
        let directory = TempDir::with_prefix("barnabas-it-").expect("a temporary directory");
        let ids: Vec<i32> = (1..).take(shape.roles.len()).collect();
        let network = shape.with_network.then(|| Network::new(&ids));
        let nodes = ids
            .iter()
            .zip(&shape.roles)
            .map(|(id, roles)| Node::new(*id, roles, directory.path().join(format!("node-{id}")), network.as_ref()));
        let mut cluster = Cluster { kind, nodes: nodes.collect(), disk: None, network, directory };
        if let Some((id, megabytes)) = shape.small_disk {
            cluster.disk = Some(SmallDisk::mount(&cluster.log_directory(id), megabytes));
        }
        for (id, roles) in ids.iter().zip(&shape.roles) {
            let mut properties = cluster.properties_of(*id, roles);
            properties.extend(shape.properties.iter().map(|(key, value)| (key.to_string(), value.clone())));
            program::write_properties(&cluster.node(*id).directory, &properties);
            kind.format(&cluster.node(*id).directory);
        }
        cluster
    }

    /// What Apache Kafka needs for a cluster, and Barnabas takes; quick groups, and failures found within seconds.
    fn properties_of(&self, id: i32, roles: &str) -> BTreeMap<String, String> {
        let (node, brokers) = (self.node(id), self.brokers().len());
        let replicas = brokers.min(3).to_string();
        let (client, controller) = (node.client, node.controller);
        let listeners = match roles {
            "controller" => format!("CONTROLLER://{controller}"),
            "broker" => format!("PLAINTEXT://{client}"),
            _ => format!("PLAINTEXT://{client},CONTROLLER://{controller}"),
        };
        let mut properties = vec![
            ("process.roles", roles.to_owned()),
            ("node.id", id.to_string()),
            ("cluster.id", CLUSTER_ID.to_owned()),
            ("controller.quorum.voters", self.voters()),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
            ("listeners", listeners),
            ("log.dirs", self.log_directory(id).display().to_string()),
            ("metrics.listener", node.metrics.to_string()),
            ("auto.create.topics.enable", "false".to_owned()),
            ("default.replication.factor", replicas.clone()),
            ("offsets.topic.replication.factor", replicas),
            ("offsets.topic.num.partitions", "4".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            ("replica.lag.time.max.ms", "3000".to_owned()),
        ];
        if node.is_broker {
            properties.push(("advertised.listeners", format!("PLAINTEXT://{client}")));
        }
        if self.kind == Kind::Kafka {
            properties.push(("broker.session.timeout.ms", "3000".to_owned()));
            properties.push(("broker.heartbeat.interval.ms", "500".to_owned()));
        }
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// `controller.quorum.voters`.
    pub fn voters(&self) -> String {
        let controllers = self.nodes.iter().filter(|node| node.controller.port() != 0);
        let voters: Vec<_> = controllers.map(|node| format!("{}@{}", node.id, node.controller)).collect();
        voters.join(",")
    }

    /// Changes settings of a node, which notices at its next start.
    pub fn configure(&self, id: i32, changes: &[(&str, &str)]) {
        let directory = &self.node(id).directory;
        let text = fs::read_to_string(program::properties(directory)).expect("the properties file");
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let mut all: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        all.extend(changes.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        program::write_properties(directory, &all);
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All brokers, for clients.
    pub fn bootstrap(&self) -> String {
        self.bootstrap_of(&self.brokers())
    }

    /// Some brokers, for clients.
    pub fn bootstrap_of(&self, ids: &[i32]) -> String {
        let addresses: Vec<_> = ids.iter().map(|id| self.address(*id).to_string()).collect();
        addresses.join(",")
    }

    pub fn ids(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    pub fn brokers(&self) -> Vec<i32> {
        self.nodes.iter().filter(|node| node.is_broker).map(|node| node.id).collect()
    }

    /// Every node but this one.
    pub fn others(&self, id: i32) -> Vec<i32> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }

    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("a cluster with a network")
    }

    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("a cluster with a small disk")
    }

    /// `log.dirs` of a node.
    pub fn log_directory(&self, id: i32) -> PathBuf {
        self.node(id).directory.join("logs")
    }

    /// Where clients reach a broker.
    pub fn address(&self, id: i32) -> SocketAddr {
        self.node(id).client
    }

    /// What a node has printed so far.
    pub fn output(&self, id: i32) -> String {
        program::read_output(&self.node(id).directory)
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill(&mut self, id: i32) {
        self.node_mut(id).kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self, id: i32) -> ExitStatus {
        let node = self.node_mut(id);
        let child = node.child.as_mut().expect("a running node");
        process::signal(child, Signal::TERM);
        let status = process::wait_for_exit(child, "the node to end after SIGTERM", PATIENCE);
        node.state = State::Stopped;
        status
    }

    /// SIGSTOP: the process keeps its connections and says nothing.
    pub fn freeze(&mut self, id: i32) {
        self.signal(id, Signal::STOP, State::Frozen);
    }

    /// SIGCONT.
    pub fn thaw(&mut self, id: i32) {
        self.signal(id, Signal::CONT, State::Running);
    }

    fn signal(&mut self, id: i32, signal: Signal, state: State) {
        let node = self.node_mut(id);
        process::signal(node.child.as_ref().expect("a running node"), signal);
        node.state = state;
    }

    /// Starts a stopped node; returns at once.
    pub fn spawn(&mut self, id: i32) {
        let namespace = self.network.as_ref().map(|network| network.namespace(id));
        let kind = self.kind;
        let node = self.node_mut(id);
        assert!(node.state == State::Stopped, "node {id} still runs");
        node.child = Some(kind.spawn(&node.directory, namespace.as_deref()));
        node.state = State::Running;
    }

    /// Whether the process of a node runs; one that ended by itself counts as stopped from now on.
    pub fn is_running(&mut self, id: i32) -> bool {
        let node = self.node_mut(id);
        let ended = node.child.as_mut().is_none_or(|child| child.try_wait().expect("our child").is_some());
        if ended {
            node.state = State::Stopped;
        }
        !ended
    }

    /// Starts a node again that has ended by itself; one that runs goes on.
    pub fn restart_if_ended(&mut self, id: i32) {
        if !self.is_running(id) {
            self.spawn(id);
        }
    }

    /// Deletes all that a stopped node has stored, as if its disk had been replaced.
    pub fn wipe(&mut self, id: i32) {
        assert!(self.node(id).state == State::Stopped, "node {id} still runs");
        fs::remove_dir_all(self.log_directory(id)).expect("the data of the node");
        self.kind.format(&self.node(id).directory);
    }

    /// Waits until every broker serves and all know one another.
    pub fn wait_until_complete(&mut self) {
        let brokers = self.brokers();
        wait_for("all brokers to serve", PATIENCE, || {
            self.assert_running();
            let knows_all = |id: &i32| {
                answers_api_versions(self.address(*id)).ok()?;
                let mut known = ask::metadata(self.address(*id), "").ok()?.brokers;
                known.sort_unstable();
                (known == brokers).then_some(())
            };
            brokers.iter().all(|id| knows_all(id).is_some()).then_some(())
        });
    }

    fn assert_running(&mut self) {
        for id in self.ids() {
            let started = self.node(id).state != State::Stopped;
            assert!(!started || self.is_running(id), "node {id} ended by itself");
        }
    }

    /// Waits until every running broker says that every replica of the topic is in sync: one that was frozen or cut off
    /// may say so because it knows no better.
    pub fn wait_until_in_sync(&self, topic: &str) {
        let running = self.nodes.iter().filter(|node| node.is_broker && node.state == State::Running).count();
        let in_sync = |partition: &Partition| partition.leader >= 0 && partition.isr.len() == partition.replicas.len();
        wait_for(&format!("every replica of {topic} in sync"), PATIENCE, || {
            let answers = self.ask_brokers(|address| ask::metadata(address, topic));
            let says_so = |answer: &Metadata| !answer.partitions.is_empty() && answer.partitions.values().all(in_sync);
            (answers.len() == running && answers.iter().all(says_so)).then_some(())
        });
    }

    /// The partitions of a topic, as the best informed of the running brokers knows them.
    pub fn partitions(&self, topic: &str) -> BTreeMap<i32, Partition> {
        let mut best: BTreeMap<i32, Partition> = BTreeMap::new();
        for (index, partition) in self
            .ask_brokers(|at| ask::metadata(at, topic))
            .into_iter()
            .flat_map(|Metadata { partitions, .. }| partitions)
        {
            match best.get(&index) {
                Some(known) if known.leader_epoch >= partition.leader_epoch => {}
                _ => drop(best.insert(index, partition)),
            }
        }
        best
    }

    /// Every broker that leads a partition of the topic.
    pub fn leaders(&self, topic: &str) -> BTreeSet<i32> {
        self.partitions(topic).values().map(|partition| partition.leader).collect()
    }

    /// Waits until a partition has a leader, and returns it.
    pub fn leader(&self, topic: &str, partition: i32) -> i32 {
        wait_for("a leader", PATIENCE, || {
            self.partitions(topic).get(&partition).map(|found| found.leader).filter(|leader| *leader >= 0)
        })
    }

    /// Waits until a controller is active, and returns it.
    pub fn active_controller(&self) -> i32 {
        wait_for("an active controller", PATIENCE, || self.known_controller()).id
    }

    /// Waits until another controller than `former` is active, and returns it.
    pub fn next_controller(&self, former: i32) -> i32 {
        wait_for("another active controller", PATIENCE, || {
            self.known_controller().filter(|controller| controller.id != former)
        })
        .id
    }

    /// The newest of the active controllers that the running brokers know of.
    fn known_controller(&self) -> Option<ActiveController> {
        self.ask_brokers(ask::active_controller).into_iter().max()
    }

    /// Waits until the group has a coordinator, and returns it.
    pub fn group_coordinator(&self, group: &str) -> i32 {
        wait_for("a coordinator", PATIENCE, || self.ask_brokers(|address| ask::group_coordinator(address, group)).pop())
    }

    /// The answers of all brokers that run and give one.
    fn ask_brokers<T>(&self, question: impl Fn(SocketAddr) -> anyhow::Result<T>) -> Vec<T> {
        let running = self.nodes.iter().filter(|node| node.is_broker && node.state == State::Running);
        running.filter_map(|node| question(node.client).ok()).collect()
    }

    fn node(&self, id: i32) -> &Node {
        &self.nodes[(id - 1) as usize]
    }

    fn node_mut(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[(id - 1) as usize]
    }
}

impl Node {
    /// In a network of its own every node has Kafka's usual ports; on one machine, free ones. A port of a role that the
    /// node does not have is 0.
    fn new(id: i32, roles: &str, directory: PathBuf, network: Option<&Network>) -> Node {
        fs::create_dir(&directory).expect("a directory for the node");
        let (is_broker, is_controller) = (roles.contains("broker"), roles.contains("controller"));
        let address = |usual: u16| match network {
            Some(network) => SocketAddr::from((network.address(id), usual)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, port::free_port())),
        };
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let client = if is_broker { address(9092) } else { nowhere };
        let controller = if is_controller { address(9093) } else { nowhere };
        let metrics = address(9464);
        Node { id, is_broker, directory, client, controller, metrics, child: None, state: State::Stopped }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It fails only when the process has ended already.
            let _ = child.kill();
            child.wait().expect("the node is our child");
        }
        self.state = State::Stopped;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        if std::thread::panicking() {
            self.directory.disable_cleanup(true);
            let show = |directory: &Path| {
                let end = program::end_of_output(directory);
                eprintln!("--- the end of the output of {:?} in {}\n{end}", self.kind, directory.display());
            };
            self.nodes
                .iter()
                .filter(|node| node.directory.join("output").exists())
                .for_each(|node| show(&node.directory));
        }
    }
}
