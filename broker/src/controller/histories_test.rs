//! Random histories of a cluster, and what holds after each step of every one of them.
//!
//! Brokers start, beat, fall silent, are lost, end in order; leaders change ISRs; topics come, grow and go; replicas move;
//! controllers take over, also in the middle of what one of them had decided. At the end all brokers come back, and everything
//! must be led, in sync and at rest. A failing seed is named: it replays exactly.

use super::delta::ImageDelta;
use super::image::{MetadataImage, NO_LEADER, PartitionRegistration, ResourceType};
use super::records::MetadataRecord;
use super::request::*;
use super::state::{Controller, ControllerSettings};
use super::testing::{Bench, FewRules, broker, topic};
use crate::protocol::Uuid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

const BROKERS: i32 = 5;
const SEEDS: u64 = 80;
const STEPS: usize = 150;

#[test]
fn whatever_happens_partitions_are_led_by_whom_they_may_be() {
    for seed in 0..SEEDS {
        let mut history = History::new(seed);
        for step in 0..STEPS {
            history.step();
            history.check(step);
        }
        history.end();
    }
}

/// What happened last.
#[derive(Debug)]
#[expect(dead_code, reason = "shown where something does not hold")]
enum Step {
    Asked(Request),
    Time(i64),
    FailOver(Box<Step>),
}

struct History {
    seed: u64,
    bench: Bench,
    random: StdRng,
    settings: ControllerSettings,
    /// The epochs of each partition, by topic and number.
    epochs: BTreeMap<(Uuid, i32), (i32, i32, i32)>,
    last: Step,
}

impl History {
    fn new(seed: u64) -> History {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bench = Bench::with_brokers(&[None; BROKERS as usize]);
        let settings = ControllerSettings {
            min_insync_replicas: random.random_range(1..3),
            unclean_leader_election: random.random_bool(0.3),
            ..ControllerSettings::default()
        };
        bench.controller = Controller::new(bench.image().clone(), settings.clone(), Arc::new(FewRules), 0);
        for id in 1..=BROKERS {
            bench.beat(id).unwrap();
        }
        History { seed, bench, random, settings, epochs: BTreeMap::new(), last: Step::Time(0) }
    }

    fn image(&self) -> &MetadataImage {
        self.bench.image()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn any_broker(&mut self) -> i32 {
        self.random.random_range(1..=BROKERS)
    }

    fn any_partition(&mut self) -> Option<(String, Uuid, i32, PartitionRegistration)> {
        let count = self.image().topics.partition_count();
        let index = self.random.random_range(0..count.max(1));
        let mut all = self.image().topics.iter().flat_map(|topic| {
            let numbers = (0..).zip(&topic.partitions);
            numbers.map(|(number, partition)| (topic.name.to_string(), topic.id, number, (**partition).clone()))
        });
        all.nth(index)
    }

    fn some_brokers(&mut self) -> Vec<i32> {
        let count = self.random.random_range(1..=3);
        rand::seq::index::sample(&mut self.random, BROKERS as usize, count).iter().map(|id| id as i32 + 1).collect()
    }

    /// Has a request decided, checks that deciding changed no image, and applies the records, perhaps not all: then another
    /// controller goes on.
    fn ask(&mut self, request: Request) -> Response {
        self.last = Step::Asked(request.clone());
        let before = self.image().clone();
        let Bench { controller, random, now, .. } = &mut self.bench;
        let (response, mut records) = controller.handle(*now, random, request.clone());
        assert_eq!(self.image(), &before, "seed {}: {:?}", self.seed, self.last);
        let cuttable = !matches!(request, Request::CreateTopics(_) | Request::UpdateFeatures(_));
        let cut = cuttable && records.len() > 1 && self.chance(0.1);
        if cut {
            records.truncate(self.random.random_range(0..records.len()));
        }
        self.bench.apply(records);
        if cut {
            self.fail_over();
        }
        response
    }

    fn fail_over(&mut self) {
        let last = std::mem::replace(&mut self.last, Step::Time(0));
        self.last = Step::FailOver(Box::new(last));
        let (image, settings) = (self.image().clone(), self.settings.clone());
        self.bench.controller = Controller::new(image, settings, Arc::new(FewRules), self.bench.now);
        if self.chance(0.5) {
            let suspect = self.any_broker();
            self.bench.controller.suspect(self.bench.now, suspect);
        }
    }

    fn heartbeat(&mut self, id: i32, special: impl FnOnce(&mut BrokerHeartbeat)) {
        let Some(broker) = self.image().brokers.get(&id) else { return };
        let mut heartbeat = BrokerHeartbeat {
            id,
            epoch: broker.epoch,
            metadata_end_offset: self.image().applied.end_offset,
            wants_fence: false,
            wants_shutdown: false,
            offline_directories: Vec::new(),
        };
        special(&mut heartbeat);
        let before = heartbeat.metadata_end_offset;
        let Response::BrokerHeartbeat(answer) = self.ask(Request::BrokerHeartbeat(heartbeat)) else { panic!() };
        assert!(answer.is_ok_and(|answer| answer.is_caught_up || before <= self.image().brokers[&id].epoch));
    }

    fn register(&mut self, id: i32) {
        let earlier = self.image().brokers.get(&id).map_or(-1, |broker| broker.epoch);
        let previous_epoch = if self.chance(0.5) { earlier } else { -1 };
        let incarnation = Uuid::from_random(self.random.random());
        self.ask(Request::RegisterBroker(RegisterBroker { incarnation, previous_epoch, ..broker(id, None) }));
    }

    fn step(&mut self) {
        let id = self.any_broker();
        match self.random.random_range(0..20) {
            0 => self.register(id),
            1..=5 => {
                (1..=BROKERS).filter(|_| self.random.random_bool(0.7)).collect::<Vec<_>>().into_iter().for_each(|id| {
                    self.heartbeat(id, |_| ());
                })
            }
            6 => {
                let epoch = self.image().brokers.get(&id).map_or(-1, |broker| broker.epoch);
                drop(self.ask(Request::BrokerLost { id, epoch }));
            }
            7 | 8 => {
                let later = self.bench.now + self.random.random_range(0..400);
                self.last = Step::Time(later);
                self.bench.at(later);
            }
            9..=12 => self.alter_partition(),
            13 => self.elect(),
            14 | 15 => self.reassign(),
            16 => self.change_topics(),
            17 => {
                let drained = self.chance(0.5);
                drop(self.ask(Request::DrainLeaders { broker: id, drained }));
            }
            18 => self.heartbeat(id, |heartbeat| heartbeat.wants_shutdown = true),
            _ => self.happen_rarely(id),
        }
    }

    fn alter_partition(&mut self) {
        let Some((_, topic_id, partition, registration)) = self.any_partition() else { return };
        if !registration.has_leader() {
            return;
        }
        let whole = self.chance(0.6);
        let isr: Vec<i32> = registration.replicas.iter().copied().collect();
        let isr: Vec<i32> =
            isr.into_iter().filter(|id| *id == registration.leader || whole || self.chance(0.5)).collect();
        let isr = isr.into_iter().map(|id| InSyncReplica { id, broker_epoch: -1 }).collect();
        let change = IsrChange {
            topic_id,
            partition,
            leader_epoch: registration.leader_epoch,
            partition_epoch: registration.partition_epoch,
            isr,
            leader_recovering: false,
        };
        let (broker_id, broker_epoch) = (registration.leader, self.image().brokers[&registration.leader].epoch);
        self.ask(Request::AlterPartition(AlterPartition { broker_id, broker_epoch, changes: vec![change] }));
    }

    fn elect(&mut self) {
        let election = if self.chance(0.7) { ElectionType::Preferred } else { ElectionType::Unclean };
        let partitions = match self.any_partition() {
            Some((topic, _, partition, _)) if self.random.random_bool(0.5) => Some(vec![(topic, partition)]),
            _ => None,
        };
        self.ask(Request::ElectLeaders(ElectLeaders { election, partitions }));
    }

    fn reassign(&mut self) {
        let Some((topic, _, partition, _)) = self.any_partition() else { return };
        let replicas = self.chance(0.7).then(|| self.some_brokers());
        let partitions = vec![ReassignedPartition { topic, partition, replicas }];
        self.ask(Request::AlterReassignments(AlterReassignments { allow_replication_factor_change: true, partitions }));
    }

    fn change_topics(&mut self) {
        let name = format!("t{}", self.random.random_range(0..4));
        match self.random.random_range(0..4) {
            0 => drop(self.ask(Request::DeleteTopics(vec![TopicSelector::Name(name)]))),
            1 => {
                let topics = vec![NewPartitions { topic: name, from: None, count: 5, assignments: None }];
                self.ask(Request::CreatePartitions(CreatePartitions { topics, validate_only: false }));
            }
            _ => {
                let factor = self.random.random_range(1..4);
                let topics = vec![topic(&name, 3, factor)];
                self.ask(Request::CreateTopics(CreateTopics { topics, validate_only: false }));
            }
        }
    }

    fn happen_rarely(&mut self, id: i32) {
        match self.random.random_range(0..5) {
            0 => drop(self.ask(Request::UnregisterBroker { id })),
            1 => self.fail_over(),
            2 => {
                let level = i16::from(self.chance(0.6));
                let upgrade = if level == 1 { UpgradeType::Upgrade } else { UpgradeType::SafeDowngrade };
                let updates = vec![FeatureUpdate { name: "eligible.leader.replicas.version".into(), level, upgrade }];
                self.ask(Request::UpdateFeatures(UpdateFeatures { updates, validate_only: false }));
            }
            3 => {
                let Some((topic, ..)) = self.any_partition() else { return };
                let value = self.chance(0.5).to_string();
                let set = vec![("unclean.leader.election.enable".to_owned(), ConfigOperation::Set(value))];
                self.bench.alter(ResourceType::Topic, &topic, ConfigChange::Alter(set)).unwrap();
            }
            _ => self.heartbeat(id, |heartbeat| heartbeat.wants_fence = true),
        }
    }

    fn check(&mut self, step: usize) {
        let image = self.image().clone();
        let elr = image.feature_level("eligible.leader.replicas.version") > 0;
        let mut led: BTreeMap<i32, usize> = BTreeMap::new();
        let mut epochs = BTreeMap::new();
        for topic in image.topics.iter() {
            for (number, partition) in (0..).zip(&topic.partitions) {
                let context = || format!("seed {}, step {step}, {:?}: {partition:?}", self.seed, self.last);
                check_partition(&image, partition, elr, &context);
                *led.entry(partition.leader).or_default() += 1;
                let now = (partition.leader_epoch, partition.partition_epoch, partition.leader);
                if let Some(before) = self.epochs.get(&(topic.id, number)) {
                    assert!(now.0 >= before.0 && now.1 >= before.1, "epochs only grow: {}", context());
                    assert!(now.2 == before.2 || now.0 > before.0, "another leader has another epoch: {}", context());
                }
                epochs.insert((topic.id, number), now);
            }
        }
        for id in std::iter::once(NO_LEADER).chain(1..=BROKERS) {
            assert_eq!(image.topics.led_by(id), led.get(&id).copied().unwrap_or(0), "seed {}, {id}", self.seed);
        }
        self.epochs = epochs;
    }

    /// Brings everything back, and checks that it comes to rest.
    fn end(&mut self) {
        self.fail_over();
        for id in 1..=BROKERS {
            let Response::RegisterBroker(registered) =
                self.bench.ask(Request::RegisterBroker(broker_again(id, self.image())))
            else {
                panic!()
            };
            registered.unwrap();
        }
        for _ in 0..2 {
            for id in 1..=BROKERS {
                self.bench.beat(id).unwrap();
            }
            self.bench.tick();
        }
        self.elect_all(ElectionType::Unclean);
        for _ in 0..2 {
            self.bring_in_sync();
        }
        self.elect_all(ElectionType::Preferred);
        self.check(STEPS);
        for partition in self.image().topics.iter().flat_map(|topic| &topic.partitions) {
            let context = format!("seed {}: {partition:?}", self.seed);
            assert_eq!(partition.leader, partition.replicas[0], "{context}");
            assert_eq!(partition.isr.len(), partition.replicas.len(), "{context}");
            assert!(partition.reassignment.is_none() && partition.eligible.is_none(), "{context}");
        }
        self.check_replay();
    }

    fn elect_all(&mut self, election: ElectionType) {
        self.bench.ask(Request::ElectLeaders(ElectLeaders { election, partitions: None }));
    }

    fn bring_in_sync(&mut self) {
        let all: Vec<_> = self.image().topics.iter().map(|topic| (topic.id, topic.partitions.clone())).collect();
        for (topic_id, partitions) in all {
            for (partition, registration) in (0..).zip(partitions) {
                let isr = registration.replicas.iter().map(|id| InSyncReplica { id: *id, broker_epoch: -1 }).collect();
                let change = IsrChange {
                    topic_id,
                    partition,
                    leader_epoch: registration.leader_epoch,
                    partition_epoch: registration.partition_epoch,
                    isr,
                    leader_recovering: false,
                };
                let broker_id = registration.leader;
                let broker_epoch = self.image().brokers[&broker_id].epoch;
                self.bench.ask(Request::AlterPartition(AlterPartition {
                    broker_id,
                    broker_epoch,
                    changes: vec![change],
                }));
            }
        }
    }

    /// The log and a snapshot make the same image.
    fn check_replay(&self) {
        let image = self.image();
        let mut replayed = MetadataImage { applied: image.applied, ..MetadataImage::default() };
        for bytes in &self.bench.log {
            let record = MetadataRecord::decode(bytes).unwrap();
            replayed.replay(&record, &mut ImageDelta::default()).unwrap();
        }
        assert!(replayed == *image, "seed {}: the log makes another image", self.seed);
        let mut loaded = MetadataImage { applied: image.applied, ..MetadataImage::default() };
        for record in image.records() {
            loaded.replay(&record, &mut ImageDelta::default()).unwrap();
        }
        assert!(loaded == *image, "seed {}: a snapshot makes another image", self.seed);
    }
}

/// The process that is registered already, or a first one.
fn broker_again(id: i32, image: &MetadataImage) -> RegisterBroker {
    let existing = image.brokers.get(&id);
    RegisterBroker {
        incarnation: Uuid([200 + id as u8; 16]),
        previous_epoch: existing.map_or(-1, |broker| broker.epoch),
        ..broker(id, None)
    }
}

fn check_partition(image: &MetadataImage, partition: &PartitionRegistration, elr: bool, context: &dyn Fn() -> String) {
    let PartitionRegistration { leader, isr, replicas, .. } = partition;
    let distinct = |ids: &[i32]| ids.iter().collect::<std::collections::BTreeSet<_>>().len() == ids.len();
    let within = |ids: &[i32]| ids.iter().all(|id| replicas.contains(id)) && distinct(ids);
    if partition.has_leader() {
        assert!(isr.contains(leader), "the leader is in sync: {}", context());
        assert!(image.live_broker(*leader).is_some(), "the leader lives: {}", context());
    }
    assert!(within(isr) && distinct(replicas), "the ISR are replicas: {}", context());
    assert!(elr || !isr.is_empty(), "somebody is in sync: {}", context());
    assert!(within(partition.elr()), "those eligible are replicas: {}", context());
    assert!(partition.elr().iter().all(|id| !isr.contains(id)), "those in sync need not be eligible: {}", context());
    assert!(elr || partition.eligible.is_none(), "nobody is eligible without the feature: {}", context());
    let (adding, removing) = (partition.adding_replicas(), partition.removing_replicas());
    assert!(within(adding) && within(removing), "what moves are replicas: {}", context());
    assert!(adding.iter().all(|id| !removing.contains(id)), "nothing comes and goes: {}", context());
    let arrived = adding.iter().all(|id| isr.contains(id)) && isr.iter().any(|id| !removing.contains(id));
    assert!(partition.reassignment.is_none() || !arrived, "a move that is done has ended: {}", context());
}
