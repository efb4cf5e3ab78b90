//! Figures that nobody keeps as metrics: they are asked for when Prometheus comes.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::sheet::Sheet;

/// Topics that have a label of their own, in the order of their names; the others share "other".
pub const TOPICS_MAX: usize = 1000;
/// Partitions whose high watermark is told, in the order of topics and numbers.
pub const HIGH_WATERMARKS_MAX: usize = 10_000;
/// Committed offsets that are told, in the order of groups.
pub const GROUP_OFFSETS_MAX: usize = 10_000;

/// Whoever knows the figures. Called on a thread that may block, once for each scrape.
pub trait Figures: Send + Sync {
    fn snapshot(&self) -> Snapshot;
}

/// The broker at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Partitions that this broker has a replica of.
    pub partitions: u64,
    pub led: LedFigures,
    /// The cluster, as far as this node knows it.
    pub cluster: ClusterFigures,
    pub log_dirs: Vec<LogDirFigures>,
    pub topics: Vec<TopicFigures>,
    /// No more topics than there are labels for.
    pub traffic: Vec<TrafficFigures>,
    pub groups: Vec<GroupCount>,
    /// At most [`GROUP_OFFSETS_MAX`].
    pub group_offsets: Vec<GroupOffset>,
}

/// The partitions that this broker leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedFigures {
    pub partitions: u64,
    /// By what they lack.
    pub under_replicated: u64,
    pub under_min_isr: u64,
    pub at_min_isr: u64,
    /// Those whose replicas are being moved.
    pub reassigning: u64,
    /// Offsets that the follower furthest behind lacks.
    pub lag_max: u64,
    pub isr_shrinks: u64,
    pub isr_expands: u64,
    /// At most [`HIGH_WATERMARKS_MAX`].
    pub high_watermarks: Vec<HighWatermark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighWatermark {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
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
    /// By kind; counted by the active controller alone.
    pub elections: Vec<(&'static str, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirFigures {
    pub path: String,
    pub size_bytes: u64,
    /// Of its volume; `None` where the directory cannot be used.
    pub volume: Option<VolumeFigures>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeFigures {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFigures {
    pub name: String,
    /// Bytes of this broker's replicas of the topic.
    pub size_bytes: u64,
}

/// What clients wrote to a topic and read from it, through this broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficFigures {
    pub topic: Arc<str>,
    pub produced_records: u64,
    pub produced_bytes: u64,
    pub fetched_bytes: u64,
}

/// Groups in one state (`Empty`, `Stable`, ...).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupCount {
    pub state: &'static str,
    pub groups: u64,
}

/// How far a group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    pub group: Arc<str>,
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

pub(super) fn gather(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let sheet = Sheet::new();
    sheet.gauge("barnabas_partitions", "Partitions that this broker has a replica of.", snapshot.partitions);
    led(&sheet, &snapshot.led);
    cluster(&sheet, &snapshot.cluster);
    log_dirs(&sheet, &snapshot.log_dirs);
    topics(&sheet, snapshot);
    groups(&sheet, snapshot);
    sheet.gather()
}

fn led(sheet: &Sheet, led: &LedFigures) {
    sheet.gauge("barnabas_leader_partitions", "Partitions that this broker leads.", led.partitions);
    let help = "Partitions led by this broker with fewer replicas in sync than they have.";
    sheet.gauge("barnabas_under_replicated_partitions", help, led.under_replicated);
    let help = "Partitions led by this broker with fewer replicas in sync than min.insync.replicas.";
    sheet.gauge("barnabas_under_min_isr_partitions", help, led.under_min_isr);
    let help = "Partitions led by this broker with just as many replicas in sync as min.insync.replicas, and fewer than they have.";
    sheet.gauge("barnabas_at_min_isr_partitions", help, led.at_min_isr);
    let help = "Partitions led by this broker whose replicas are being moved.";
    sheet.gauge("barnabas_reassigning_partitions", help, led.reassigning);
    let help = "Offsets that the follower furthest behind lacks, over the partitions led by this broker; a follower counts once it \
                has fetched from this leader.";
    sheet.gauge("barnabas_replica_lag_max", help, led.lag_max);
    let help = "Replicas fell out of the ISR of a partition while this broker led it.";
    sheet.counter("barnabas_isr_shrinks_total", help, led.isr_shrinks);
    let help = "Replicas joined the ISR of a partition while this broker led it.";
    sheet.counter("barnabas_isr_expands_total", help, led.isr_expands);
    let help = "The offset behind the last committed record of a partition led by this broker; of the first 10000 by topic. With \
                barnabas_consumer_group_offset it gives the lag of groups.";
    let labels = ["topic", "partition"];
    let high_watermarks = sheet.gauges("barnabas_partition_high_watermark", help, &labels);
    for HighWatermark { topic, partition, offset } in &led.high_watermarks {
        high_watermarks.with_label_values(&[&**topic, &partition.to_string()]).set(*offset);
    }
}

fn cluster(sheet: &Sheet, cluster: &ClusterFigures) {
    let help = "1 if this node is the active controller; 1 in sum over a cluster that works.";
    sheet.gauge("barnabas_active_controller", help, cluster.is_active_controller.into());
    let help = "1 if this node knows an active controller.";
    sheet.gauge("barnabas_has_controller", help, cluster.has_controller.into());
    sheet.gauge("barnabas_quorum_epoch", "The epoch of the quorum of controllers.", cluster.quorum_epoch);
    let help = "The offset behind the last metadata record that this node has applied; how far a node is behind: \
                scalar(max(barnabas_metadata_offset)) - barnabas_metadata_offset.";
    sheet.gauge("barnabas_metadata_offset", help, cluster.metadata_offset);
    sheet.gauge("barnabas_brokers", "Brokers that are registered.", cluster.brokers);
    sheet.gauge("barnabas_fenced_brokers", "Brokers that are registered and fenced.", cluster.fenced_brokers);
    let help = "Partitions of the cluster without a leader, counted by the active controller; 0 elsewhere.";
    sheet.gauge("barnabas_offline_partitions", help, cluster.offline_partitions);
    let help = "Partitions that got another leader, counted by the node that was the active controller then, by what for: the \
                leader was gone (offline), was about to stop (shutdown), holds no replica any more (reassignment), the first \
                replica leads again (preferred), a broker is drained (other), or records may be lost (unclean).";
    let elections = sheet.counters("barnabas_leader_elections_total", help, &["kind"]);
    for (kind, count) in &cluster.elections {
        elections.with_label_values(&[kind]).inc_by(*count);
    }
}

fn log_dirs(sheet: &Sheet, directories: &[LogDirFigures]) {
    let labelled = |name: &str, help: &str| sheet.gauges(name, help, &["directory"]);
    let size = labelled("barnabas_log_dir_size_bytes", "Bytes of all logs in a log directory.");
    let online = labelled("barnabas_log_dir_online", "1 while a log directory can be used, 0 after it failed.");
    let help = "Bytes that this broker may still write on the volume of a log directory.";
    let free = labelled("barnabas_log_dir_free_bytes", help);
    let total = labelled("barnabas_log_dir_total_bytes", "Bytes of the volume of a log directory.");
    for directory in directories {
        let label = [directory.path.as_str()];
        size.with_label_values(&label).set(signed(directory.size_bytes));
        online.with_label_values(&label).set(i64::from(directory.volume.is_some()));
        if let Some(volume) = directory.volume {
            free.with_label_values(&label).set(signed(volume.free_bytes));
            total.with_label_values(&label).set(signed(volume.total_bytes));
        }
    }
}

fn topics(sheet: &Sheet, snapshot: &Snapshot) {
    let size = sheet.gauges("barnabas_topic_size_bytes", "Bytes of this broker's replicas of a topic.", &["topic"]);
    for (topic, bytes) in bounded(&snapshot.topics) {
        size.with_label_values(&[topic]).set(signed(bytes));
    }
    let counters = |name: &str, help: &str| sheet.counters(name, help, &["topic"]);
    let help = "Records appended to a topic for producers; topics that came when 1000 were held share \"other\".";
    let records = counters("barnabas_topic_produced_records_total", help);
    let help = "Bytes of record batches appended to a topic for producers.";
    let bytes = counters("barnabas_topic_produced_bytes_total", help);
    let help = "Bytes of record batches of a topic sent to consumers.";
    let fetched = counters("barnabas_topic_fetched_bytes_total", help);
    for traffic in &snapshot.traffic {
        let label = [&*traffic.topic];
        records.with_label_values(&label).inc_by(traffic.produced_records);
        bytes.with_label_values(&label).inc_by(traffic.produced_bytes);
        fetched.with_label_values(&label).inc_by(traffic.fetched_bytes);
    }
}

fn groups(sheet: &Sheet, snapshot: &Snapshot) {
    let help = "Consumer groups coordinated by this broker, by state.";
    let groups = sheet.gauges("barnabas_groups", help, &["state"]);
    for count in &snapshot.groups {
        groups.with_label_values(&[count.state]).set(signed(count.groups));
    }
    let help = "The offset that a group has committed of a partition, told by the group's coordinator; the first 10000 by group. \
                The lag: max by (topic, partition) (barnabas_partition_high_watermark) - on (topic, partition) group_right () \
                max by (group, topic, partition) (barnabas_consumer_group_offset).";
    let offsets = sheet.gauges("barnabas_consumer_group_offset", help, &["group", "topic", "partition"]);
    for GroupOffset { group, topic, partition, offset } in &snapshot.group_offsets {
        offsets.with_label_values(&[&**group, &**topic, &partition.to_string()]).set(*offset);
    }
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
