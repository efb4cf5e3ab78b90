//! A network whose links can be cut: a namespace for each node, a bridge between them, and rules on it that drop packets.
//!
//! The test itself stands at the bridge: it reaches every node, whatever is cut between them. Needs root, `ip`, `nsenter`
//! and `nft`. The names hold the process id, so that a network that a killed test left behind is seen and removed.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{finish, succeed};

const LIMIT: Duration = Duration::from_secs(30);
/// Of the range for tests between networks (RFC 2544), which nobody routes.
const PREFIX: [u8; 2] = [198, 18];

/// Which way packets are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first to the second only.
    There,
    Both,
}

/// Dropped, it is gone. The processes in it must have ended.
pub struct Network {
    name: String,
    subnet: u8,
    nodes: Vec<i32>,
}

/// Whether this machine can have no such network, or no disk of its own, with the reason printed: it takes the rights of
/// root, which a container's root may lack too. Panics where nobody reads reasons and everything is known to work: in the
/// project's workflow.
pub fn cannot(what: &str) -> bool {
    let may = Command::new("unshare").args(["--net", "--mount", "true"]).status().is_ok_and(|status| status.success());
    if rustix::process::geteuid().is_root() && may {
        return false;
    }
    assert!(std::env::var_os("GITHUB_ACTIONS").is_none(), "{what} needs root: the workflow must run the tests as root");
    eprintln!("NOT TESTED: {what} needs root, and the right to make namespaces");
    true
}

impl Network {
    /// A network with a namespace for each of these nodes.
    pub fn new(nodes: &[i32]) -> Network {
        remove_leftovers();
        let subnet = free_subnet();
        let network = Network { name: format!("bt{}", std::process::id()), subnet, nodes: nodes.to_vec() };
        let bridge = network.name.clone();
        run(&format!("ip link add {bridge} type bridge"));
        run(&format!("ip addr add {}/24 dev {bridge}", network.address_of_host(254)));
        run(&format!("ip link set {bridge} up"));
        nodes.iter().for_each(|node| network.attach(*node));
        run(&format!("nft add table bridge {bridge}"));
        nft(&format!("add chain bridge {bridge} links {{ type filter hook forward priority 0; policy accept; }}"));
        nft(&format!("add set bridge {bridge} cut {{ type ipv4_addr . ipv4_addr; }}"));
        nft(&format!("add rule bridge {bridge} links ip saddr . ip daddr @cut drop"));
        network
    }

    fn attach(&self, node: i32) {
        let (bridge, namespace) = (&self.name, self.namespace(node));
        run(&format!("ip netns add {namespace}"));
        run(&format!("ip link add {bridge}v{node} type veth peer name eth0 netns {namespace}"));
        run(&format!("ip link set {bridge}v{node} master {bridge} up"));
        run(&format!("ip -n {namespace} addr add {}/24 dev eth0", self.address(node)));
        run(&format!("ip -n {namespace} link set eth0 up"));
        run(&format!("ip -n {namespace} link set lo up"));
    }

    /// For `ip netns` and below /run/netns.
    pub fn namespace(&self, node: i32) -> String {
        format!("{}-{node}", self.name)
    }

    pub fn address(&self, node: i32) -> Ipv4Addr {
        self.address_of_host(u8::try_from(node).expect("a small node id"))
    }

    fn address_of_host(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(PREFIX[0], PREFIX[1], self.subnet, host)
    }

    /// Drops packets from `one` to each of `others`, and back if both ways are to be cut.
    pub fn cut(&self, one: i32, others: &[i32], direction: Direction) {
        for other in others {
            self.drop_packets(one, *other);
            if direction == Direction::Both {
                self.drop_packets(*other, one);
            }
        }
    }

    fn drop_packets(&self, from: i32, to: i32) {
        let (from, to) = (self.address(from), self.address(to));
        nft(&format!("add element bridge {} cut {{ {from} . {to} }}", self.name));
    }

    /// Lets every packet pass again.
    pub fn heal(&self) {
        nft(&format!("flush set bridge {} cut", self.name));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let namespaces: Vec<_> = self.nodes.iter().map(|node| self.namespace(*node)).collect();
        remove(&self.name, &namespaces);
    }
}

fn remove(name: &str, namespaces: &[String]) {
    // Each fails only where it is gone already.
    let namespaces = namespaces.iter().map(|namespace| format!("ip netns del {namespace}"));
    let rest = [format!("nft delete table bridge {name}"), format!("ip link del {name}")];
    for line in namespaces.chain(rest) {
        finish(&mut command(&line), "", LIMIT);
    }
}

/// Removes the networks of tests that were killed.
fn remove_leftovers() {
    let listed = succeed(&mut command("ip netns list"), "", LIMIT);
    for namespace in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let name = namespace.split('-').next().unwrap_or_default();
        let pid = name.strip_prefix("bt").and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(name, &[namespace.to_owned()]);
        }
    }
}

fn free_subnet() -> u8 {
    let addresses = succeed(&mut command("ip -o -4 addr"), "", LIMIT);
    let first = std::process::id() as u8;
    (0..=u8::MAX)
        .map(|step| first.wrapping_add(step))
        .find(|subnet| !addresses.contains(&format!(" {}.{}.{subnet}.", PREFIX[0], PREFIX[1])))
        .expect("a subnet that nobody uses")
}

fn nft(rule: &str) {
    succeed(Command::new("nft").arg(rule), "", LIMIT);
}

fn run(line: &str) {
    succeed(&mut command(line), "", LIMIT);
}

fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    command
}
