//! Three brokers with real logs: what they do to each other's partition in single cases and in random histories.

use super::replica::RoleChange;
use super::testing::*;
use super::*;
use crate::log::LogConfig;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn nodes(config: &LogConfig) -> Vec<Node> {
    let nodes: Vec<Node> = (1..=3).map(|id| Node::new(id, config.clone())).collect();
    nodes.iter().for_each(|node| drop(node.create(0)));
    nodes
}

fn tell(nodes: &[Node], leader: i32, leader_epoch: i32, partition_epoch: i32, isr: &[i32]) {
    for node in nodes {
        node.partition().apply(&registration(leader, leader_epoch, partition_epoch, isr));
    }
}

fn within() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn acks_all_waits_for_those_in_sync() {
    let nodes = nodes(&LogConfig::default());
    tell(&nodes, 1, 1, 1, &[1, 2]);
    let (leader, follower) = (nodes[0].partition(), nodes[1].partition());
    let placed = append(&leader, "a", Acks::All).unwrap();
    assert!(!leader.is_acknowledged(&placed, Acks::All).unwrap());
    assert!(leader.is_acknowledged(&placed, Acks::Leader).unwrap());
    fetch(&leader, &follower, 2).unwrap();
    assert_eq!(leader.high_watermark(), 0, "it has asked for the record, and does not say yet that it has it");
    let waiting = leader.clone();
    let waiting = tokio::spawn(async move { waiting.acknowledged(&placed, Acks::All, within()).await });
    fetch(&leader, &follower, 2).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!((leader.high_watermark(), follower.high_watermark()), (1, 1));
    assert_eq!(contents(&leader), contents(&follower));
}

#[tokio::test]
async fn who_waits_hears_that_the_leader_leads_no_more() {
    let nodes = nodes(&LogConfig::default());
    tell(&nodes, 1, 1, 1, &[1, 2]);
    let leader = nodes[0].partition();
    let placed = append(&leader, "a", Acks::All).unwrap();
    let waiting = leader.clone();
    let waiting = tokio::spawn(async move { waiting.acknowledged(&placed, Acks::All, within()).await });
    tokio::task::yield_now().await;
    tell(&nodes, 2, 2, 2, &[2]);
    assert!(matches!(waiting.await.unwrap(), Err(PartitionError::NotLeader)));
    assert!(matches!(append(&leader, "b", Acks::All), Err(PartitionError::NotLeader)));
    tell(&nodes, 1, 3, 3, &[1, 2]);
    assert!(leader.is_acknowledged(&placed, Acks::All).is_err(), "its record may be another by now");
}

#[tokio::test]
async fn who_waits_does_not_notice_a_new_epoch_of_the_same_leader() {
    let nodes = nodes(&LogConfig::default());
    tell(&nodes, 1, 1, 1, &[1, 2]);
    let (leader, follower) = (nodes[0].partition(), nodes[1].partition());
    let placed = append(&leader, "a", Acks::All).unwrap();
    let waiting = leader.clone();
    let waiting = tokio::spawn(async move { waiting.acknowledged(&placed, Acks::All, within()).await });
    tokio::task::yield_now().await;
    for node in &nodes[..2] {
        let again = node.partition().apply(&registration(1, 2, 2, &[1, 2]));
        assert_eq!(again, if node.id == 1 { RoleChange::LeadsOn } else { RoleChange::BeganToFollow });
    }
    assert!(!leader.is_acknowledged(&placed, Acks::All).unwrap(), "the follower does not have it");
    let epoch_of = |placed: Result<Placed, PartitionError>| placed.map(|placed| placed.leader_epoch);
    assert_eq!(epoch_of(append_in(&leader, "b", 1)).unwrap(), 2, "by one who knows all that was appended");
    for _ in 0..2 {
        fetch(&leader, &follower, 2).unwrap();
    }
    waiting.await.unwrap().unwrap();
    assert_eq!(contents(&leader), contents(&follower));
    tell(&nodes, 2, 3, 3, &[1, 2]);
    tell(&nodes, 1, 4, 4, &[1, 2]);
    assert!(leader.is_acknowledged(&placed, Acks::All).is_err(), "another has led in between");
    assert!(matches!(append_in(&leader, "c", 2), Err(PartitionError::FencedLeaderEpoch)));
    assert!(matches!(append_in(&leader, "c", 5), Err(PartitionError::UnknownLeaderEpoch)));
    assert_eq!(epoch_of(append_in(&leader, "c", 4)).unwrap(), 4);
}

#[test]
fn too_few_in_sync_are_refused_before_the_append() {
    let nodes = nodes(&LogConfig { min_insync_replicas: 2, ..LogConfig::default() });
    tell(&nodes, 1, 1, 1, &[1]);
    let leader = nodes[0].partition();
    assert!(matches!(append(&leader, "a", Acks::All), Err(PartitionError::NotEnoughReplicas)));
    assert_eq!(leader.log_end().end, 0);
    let placed = append(&leader, "a", Acks::Leader).unwrap();
    assert_eq!((placed.appended.last_offset, leader.high_watermark()), (0, 0));
}

#[tokio::test]
async fn too_few_in_sync_behind_the_append_are_told_as_that() {
    let nodes = nodes(&LogConfig { min_insync_replicas: 2, ..LogConfig::default() });
    tell(&nodes, 1, 1, 1, &[1, 2]);
    let (leader, follower) = (nodes[0].partition(), nodes[1].partition());
    let placed = append(&leader, "a", Acks::All).unwrap();
    fetch(&leader, &follower, 2).unwrap();
    fetch(&leader, &follower, 2).unwrap();
    tell(&nodes, 1, 1, 2, &[1]);
    let answer = leader.acknowledged(&placed, Acks::All, within()).await;
    assert!(matches!(answer, Err(PartitionError::NotEnoughReplicasAfterAppend)));
}

#[test]
fn a_leader_of_before_cuts_what_only_it_has() {
    let nodes = nodes(&LogConfig::default());
    let (one, two) = (nodes[0].partition(), nodes[1].partition());
    tell(&nodes, 1, 1, 1, &[1, 2]);
    append(&one, "both", Acks::Leader).unwrap();
    fetch(&one, &two, 2).unwrap();
    append(&one, "lost", Acks::Leader).unwrap();
    tell(&nodes, 2, 2, 2, &[2]);
    append(&two, "other", Acks::Leader).unwrap();
    while one.position().unwrap().offset != two.log_end().end || contents(&one) != contents(&two) {
        fetch(&two, &one, 1).unwrap();
    }
    assert!(!String::from_utf8_lossy(&contents(&one)).contains("lost"));
}

#[test]
fn a_leader_that_wrote_nothing_follows_without_a_cut() {
    let nodes = nodes(&LogConfig::default());
    let (one, two) = (nodes[0].partition(), nodes[1].partition());
    tell(&nodes, 1, 1, 1, &[1, 2]);
    append(&one, "a", Acks::Leader).unwrap();
    fetch(&one, &two, 2).unwrap();
    tell(&nodes, 2, 2, 2, &[1, 2]);
    tell(&nodes, 1, 3, 3, &[1, 2]);
    append(&one, "b", Acks::Leader).unwrap();
    assert_eq!(fetch(&one, &two, 2).unwrap().offset, 2);
    assert_eq!(contents(&one), contents(&two));
}

#[test]
fn a_follower_that_is_too_far_behind_starts_anew() {
    let nodes = nodes(&LogConfig::default());
    let (one, two) = (nodes[0].partition(), nodes[1].partition());
    tell(&nodes, 1, 1, 1, &[1]);
    for number in 0..10 {
        append(&one, &number.to_string(), Acks::Leader).unwrap();
    }
    one.delete_records_before(5).unwrap();
    assert_eq!(fetch(&one, &two, 2).unwrap().offset, 5);
    while two.log_end().end < 10 {
        fetch(&one, &two, 2).unwrap();
    }
    assert_eq!(contents(&one).len(), contents(&two).len(), "from 5 on");
    assert_eq!(two.log(|log| log.log_start_offset()), Some(5));
}

#[test]
fn a_stale_answer_is_not_appended() {
    let nodes = nodes(&LogConfig::default());
    let (one, two) = (nodes[0].partition(), nodes[1].partition());
    tell(&nodes, 1, 1, 1, &[1, 2]);
    append(&one, "a", Acks::Leader).unwrap();
    let position = two.position().unwrap();
    let read = read_as_follower(&one, 2, &position).unwrap();
    let records = read.records.unwrap().read().unwrap();
    let fetched = FetchedRecords { records: &records, high_watermark: 0, log_start_offset: 0 };
    two.follow(&position, fetched, NOW).unwrap();
    assert!(matches!(two.follow(&position, fetched, NOW), Err(FollowError::Outdated)), "twice");
    let position = two.position().unwrap();
    tell(&nodes, 3, 2, 2, &[2, 3]);
    assert!(matches!(two.follow(&position, fetched, NOW), Err(FollowError::Outdated)), "of the leader before");
    assert!(matches!(read_as_follower(&one, 2, &position), Err(PartitionError::NotLeader)));
}

#[tokio::test]
async fn records_that_are_to_be_synced_are_acknowledged_when_they_are() {
    let node = Node::new(1, LogConfig { flush_messages: 1, ..LogConfig::default() });
    let partition = node.create(0);
    let alone = crate::controller::image::PartitionRegistration {
        replicas: [1].into(),
        directories: [crate::protocol::Uuid::ZERO].into(),
        ..registration(1, 1, 1, &[1])
    };
    partition.apply(&alone);
    let first = append(&partition, "a", Acks::All).unwrap();
    assert!(!partition.is_acknowledged(&first, Acks::Leader).unwrap());
    assert_eq!(partition.high_watermark(), 0);
    let threads = start_syncing(node.partitions.broker(), 1);
    let second = append(&partition, "b", Acks::Leader).unwrap();
    partition.acknowledged(&first, Acks::All, within()).await.unwrap();
    partition.acknowledged(&second, Acks::Leader, within()).await.unwrap();
    assert_eq!((partition.high_watermark(), partition.log_end().durable), (2, 2));
    node.partitions.broker().syncs.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// What happens in a history.
#[derive(Clone, Debug)]
enum Event {
    Append {
        acks_all: bool,
    },
    Fetch {
        follower: usize,
    },
    Hear {
        broker: usize,
    },
    /// A broker dies, and comes back with its log.
    Die {
        broker: usize,
    },
    /// The leader's change of the ISR is taken.
    Alter,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(|acks_all| Event::Append { acks_all }),
        10 => (0usize..3).prop_map(|follower| Event::Fetch { follower }),
        4 => (0usize..3).prop_map(|broker| Event::Hear { broker }),
        1 => (0usize..3).prop_map(|broker| Event::Die { broker }),
        3 => Just(Event::Alter),
    ]
}

struct History {
    nodes: Vec<Node>,
    truth: crate::controller::image::PartitionRegistration,
    appended: Vec<(usize, String, Placed)>,
    acknowledged: Vec<String>,
}

impl History {
    fn new() -> History {
        let config = LogConfig { min_insync_replicas: 2, segment_bytes: 600, ..LogConfig::default() };
        let history = History {
            nodes: nodes(&config),
            truth: registration(1, 0, 0, &[1, 2, 3]),
            appended: Vec::new(),
            acknowledged: Vec::new(),
        };
        (0..3).for_each(|broker| _ = history.hear(broker));
        history
    }

    fn hear(&self, broker: usize) -> RoleChange {
        self.nodes[broker].partition().apply(&self.truth)
    }

    fn append(&mut self, acks_all: bool) {
        for (place, node) in self.nodes.iter().enumerate() {
            let value = format!("<{}>", self.appended.len());
            let acks = if acks_all { Acks::All } else { Acks::Leader };
            if let Ok(placed) = append(&node.partition(), &value, acks) {
                self.appended.push((place, value, placed));
            }
        }
    }

    fn note_acknowledged(&mut self) {
        for (place, value, placed) in &self.appended {
            let acknowledged = self.nodes[*place].partition().is_acknowledged(placed, Acks::All);
            if acknowledged.unwrap_or(false) && !self.acknowledged.contains(value) {
                self.acknowledged.push(value.clone());
            }
        }
    }

    fn fetch(&self, follower: usize) {
        let id = follower as i32 + 1;
        let partition = self.nodes[follower].partition();
        let Some(leader) = partition.leader().map(|(leader, _)| leader).filter(|leader| *leader != id) else { return };
        let leader: Arc<Partition> = self.nodes[leader as usize - 1].partition();
        let before = partition.high_watermark();
        let fetched = fetch(&leader, &partition, id);
        assert!(!matches!(fetched, Err(FollowError::Unreachable { .. })), "{fetched:?}");
        assert!(partition.high_watermark() >= before, "committed records were cut");
    }

    fn die(&mut self, broker: usize) {
        let id = broker as i32 + 1;
        self.nodes[broker].restart();
        let left: Vec<i32> = self.truth.isr.iter().copied().filter(|other| *other != id).collect();
        let was_leader = self.truth.leader == id;
        let isr = if left.is_empty() { vec![id] } else { left };
        self.truth.leader = if was_leader { isr[0] } else { self.truth.leader };
        self.truth.leader_epoch += i32::from(was_leader);
        self.truth.partition_epoch += 1;
        self.truth.isr = isr.into();
    }

    fn alter(&mut self) {
        let partition = self.nodes[self.truth.leader as usize - 1].partition();
        let Some(change) = partition.take_isr_change() else { return };
        if (change.leader_epoch, change.partition_epoch) != (self.truth.leader_epoch, self.truth.partition_epoch) {
            return;
        }
        self.truth.isr = change.isr.iter().map(|one| one.id).collect::<Vec<_>>().into();
        self.truth.partition_epoch += 1;
        let altered = crate::controller::request::AlteredPartition {
            leader: self.truth.leader,
            leader_epoch: self.truth.leader_epoch,
            isr: self.truth.isr.to_vec(),
            leader_recovering: false,
            partition_epoch: self.truth.partition_epoch,
        };
        partition.isr_answered(&change, Ok(&altered));
    }

    fn step(&mut self, event: &Event) {
        match *event {
            Event::Append { acks_all } => self.append(acks_all),
            Event::Fetch { follower } => self.fetch(follower),
            Event::Hear { broker } => {
                self.hear(broker);
            }
            Event::Die { broker } => self.die(broker),
            Event::Alter => self.alter(),
        }
        self.note_acknowledged();
    }

    fn settle(&mut self) {
        for _ in 0..self.appended.len() * 2 + 20 {
            (0..3).for_each(|broker| _ = self.hear(broker));
            (0..3).for_each(|follower| self.fetch(follower));
            self.alter();
        }
        let logs: Vec<Vec<u8>> = self.nodes.iter().map(|node| contents(&node.partition())).collect();
        assert!(logs[0] == logs[1] && logs[1] == logs[2], "the replicas are alike");
        assert_eq!(self.truth.isr.len(), 3, "all are in sync");
        let text = String::from_utf8_lossy(&logs[0]);
        for value in &self.acknowledged {
            assert_eq!(text.matches(value.as_str()).count(), 1, "{value} was acknowledged");
        }
        let ends: Vec<i64> = self.nodes.iter().map(|node| node.partition().log_end().end).collect();
        let high_watermarks: Vec<i64> = self.nodes.iter().map(|node| node.partition().high_watermark()).collect();
        assert_eq!(ends, high_watermarks, "all is committed, and all know it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_history_loses_what_was_acknowledged(events in prop::collection::vec(event(), 1..120)) {
        let mut history = History::new();
        for event in &events {
            history.step(event);
        }
        history.settle();
    }
}
