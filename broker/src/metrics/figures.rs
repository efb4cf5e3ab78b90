//! Figures that nobody counts as they change: they are asked for when Prometheus comes.

use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use super::{VALID, register};

/// Topics that have a label of their own, in the order of their names; the others share "other".
pub const TOPICS_MAX: usize = 1000;

/// Whoever knows the figures. Called on a thread that may block, once for each scrape.
pub trait Figures: Send + Sync {
    fn snapshot(&self) -> Snapshot;
}

/// The broker at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Partitions that this broker has a replica of.
    pub partitions: u64,
    /// Partitions that this broker leads.
    pub leaders: u64,
    /// Partitions led by this broker, by what they lack.
    pub under_replicated: u64,
    pub under_min_isr: u64,
    pub at_min_isr: u64,
    /// The cluster, as far as this node knows it.
    pub cluster: ClusterFigures,
    pub log_dirs: Vec<LogDirFigures>,
    pub topics: Vec<TopicFigures>,
    pub groups: Vec<GroupCount>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFigures {
    /// Whether this node is the active controller.
    pub is_active_controller: bool,
    /// Whether this node knows an active controller at all.
    pub has_controller: bool,
    pub quorum_epoch: u64,
    /// The offset behind the last metadata record that this node has applied.
    pub metadata_offset: u64,
    pub brokers: u64,
    pub fenced_brokers: u64,
    /// Partitions without a leader; counted by the active controller alone.
    pub offline_partitions: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirFigures {
    pub path: String,
    pub size_bytes: u64,
    pub online: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFigures {
    pub name: String,
    /// Bytes of this broker's replicas of the topic.
    pub size_bytes: u64,
}

/// Groups in one state (`Empty`, `Stable`, ...).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCount {
    pub state: &'static str,
    pub groups: u64,
}

pub(super) fn gather(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let registry = Registry::new();
    let plain = |name: &str, help: &str, value: u64| {
        register(&registry, IntGauge::new(name, help).expect(VALID)).set(signed(value))
    };
    plain("barnabas_partitions", "Partitions that this broker has a replica of.", snapshot.partitions);
    plain("barnabas_leader_partitions", "Partitions that this broker leads.", snapshot.leaders);
    let help = "Partitions led by this broker with fewer replicas in sync than they have.";
    plain("barnabas_under_replicated_partitions", help, snapshot.under_replicated);
    let help = "Partitions led by this broker with fewer replicas in sync than min.insync.replicas.";
    plain("barnabas_under_min_isr_partitions", help, snapshot.under_min_isr);
    let help = "Partitions led by this broker with just as many replicas in sync as min.insync.replicas, and fewer than they have.";
    plain("barnabas_at_min_isr_partitions", help, snapshot.at_min_isr);
    let cluster = &snapshot.cluster;
    let help = "1 if this node is the active controller; 1 in sum over a cluster that works.";
    plain("barnabas_active_controller", help, cluster.is_active_controller.into());
    let help = "1 if this node knows an active controller.";
    plain("barnabas_has_controller", help, cluster.has_controller.into());
    plain("barnabas_quorum_epoch", "The epoch of the quorum of controllers.", cluster.quorum_epoch);
    let help = "The offset behind the last metadata record that this node has applied.";
    plain("barnabas_metadata_offset", help, cluster.metadata_offset);
    plain("barnabas_brokers", "Brokers that are registered.", cluster.brokers);
    plain("barnabas_fenced_brokers", "Brokers that are registered and fenced.", cluster.fenced_brokers);
    let help = "Partitions of the cluster without a leader, counted by the active controller; 0 elsewhere.";
    plain("barnabas_offline_partitions", help, cluster.offline_partitions);
    let labelled = |name: &str, help: &str, label: &str| {
        register(&registry, IntGaugeVec::new(Opts::new(name, help), &[label]).expect(VALID))
    };
    let size = labelled("barnabas_log_dir_size_bytes", "Bytes of all logs in a log directory.", "directory");
    let online =
        labelled("barnabas_log_dir_online", "1 while a log directory can be used, 0 after it failed.", "directory");
    for directory in &snapshot.log_dirs {
        size.with_label_values(&[&directory.path]).set(signed(directory.size_bytes));
        online.with_label_values(&[&directory.path]).set(i64::from(directory.online));
    }
    let groups = labelled("barnabas_groups", "Consumer groups coordinated by this broker, by state.", "state");
    for count in &snapshot.groups {
        groups.with_label_values(&[count.state]).set(signed(count.groups));
    }
    let topics = labelled("barnabas_topic_size_bytes", "Bytes of this broker's replicas of a topic.", "topic");
    for (topic, bytes) in bounded(&snapshot.topics) {
        topics.with_label_values(&[topic]).set(signed(bytes));
    }
    registry.gather()
}

/// The first topics by name, and the sum of the others.
fn bounded(topics: &[TopicFigures]) -> Vec<(&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = topics.iter().map(|topic| (topic.name.as_str(), topic.size_bytes)).collect();
    sorted.sort_unstable();
    if sorted.len() > TOPICS_MAX {
        let others = sorted.split_off(TOPICS_MAX).iter().map(|(_, bytes)| bytes).sum();
        sorted.push(("other", others));
    }
    sorted
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_beyond_the_bound_share_one_label() {
        let topic = |number: usize| TopicFigures { name: format!("t{number:05}"), size_bytes: 2 };
        let topics: Vec<_> = (0..TOPICS_MAX + 5).map(topic).collect();
        let bounded = bounded(&topics);
        assert_eq!(bounded.len(), TOPICS_MAX + 1);
        assert_eq!(bounded.last(), Some(&("other", 10)));
    }
}
