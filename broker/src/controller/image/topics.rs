//! Topics and their partitions.
//!
//! A partition is one small allocation; its lists are shared with each other and with the partition before it where they
//! are equal, which they mostly are. A topic of a few partitions keeps them without a further allocation.

use super::difference::difference;
use crate::controller::topic_name::metric_name;
use crate::protocol::Uuid;
use imbl::{OrdMap, OrdSet, Vector};
use std::sync::Arc;

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;

/// The directory of a replica that its broker has not placed yet (KIP-858).
pub const UNASSIGNED_DIRECTORY: Uuid = Uuid::ZERO;

/// The directory of a replica whose directory its broker can no longer use.
pub const LOST_DIRECTORY: Uuid = reserved(1);

/// The directory of a replica on a broker that came from ZooKeeper and has not said where it is.
pub const MIGRATING_DIRECTORY: Uuid = reserved(2);

const fn reserved(number: u8) -> Uuid {
    let mut bytes = [0; 16];
    bytes[15] = number;
    Uuid(bytes)
}

/// All topics, found by name and by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicsImage {
    ids: OrdMap<Arc<str>, Uuid>,
    topics: OrdMap<Uuid, Arc<Topic>>,
    /// What metrics make of the names that hold a '.' or '_', each with its topic.
    metric_names: OrdSet<(Arc<str>, Arc<str>)>,
    partition_count: usize,
    /// How many partitions each broker leads; [`NO_LEADER`] stands for those without a leader.
    led: OrdMap<i32, usize>,
}

impl TopicsImage {
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.ids.get(name)?)
    }

    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    pub fn id_of(&self, name: &str) -> Option<Uuid> {
        self.ids.get(name).copied()
    }

    pub fn partition(&self, name: &str, partition: i32) -> Option<&PartitionRegistration> {
        self.by_name(name)?.partition(partition)
    }

    /// All topics in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.from_name("")
    }

    /// The topics named `first` or behind it, in the order of their names.
    pub fn from_name<'a>(&'a self, first: &str) -> impl Iterator<Item = &'a Arc<Topic>> + use<'a> {
        let first: Arc<str> = first.into();
        self.ids.range(first..).map(|(_, id)| self.topics.get(id).expect("each name's topic is there"))
    }

    /// The topics that are not as they are in `newer`, by id: each as it is here and there.
    pub fn differing<'a>(
        &'a self,
        newer: &'a TopicsImage,
    ) -> impl Iterator<Item = (Option<&'a Arc<Topic>>, Option<&'a Arc<Topic>>)> {
        difference(&self.topics, &newer.topics).map(|(_, before, after)| (before, after))
    }

    /// Another topic that metrics could not tell from one of this name.
    pub fn colliding(&self, name: &str) -> Option<&str> {
        let metric_name: Arc<str> = metric_name(name)?.into();
        let alike = self.metric_names.range((metric_name.clone(), "".into())..);
        let mut alike = alike.take_while(|(other, _)| *other == metric_name).map(|(_, topic)| &**topic);
        alike.next().filter(|_| !self.ids.contains_key(name))
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// How many partitions `broker` leads, or how many have no leader, for [`NO_LEADER`].
    pub fn led_by(&self, broker: i32) -> usize {
        self.led.get(&broker).copied().unwrap_or(0)
    }

    fn count_leader(&mut self, leader: i32) {
        *self.led.entry(leader).or_default() += 1;
    }

    fn discount_leader(&mut self, leader: i32) {
        match self.led.get_mut(&leader) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.led.remove(&leader)),
        }
    }

    pub(in crate::controller) fn insert(&mut self, name: &str, id: Uuid) -> Arc<str> {
        let name: Arc<str> = name.into();
        self.ids.insert(name.clone(), id);
        if let Some(metric_name) = metric_name(&name) {
            self.metric_names.insert((metric_name.into(), name.clone()));
        }
        self.topics.insert(id, Arc::new(Topic { name: name.clone(), id, partitions: Vector::new() }));
        name
    }

    pub(in crate::controller) fn remove(&mut self, id: Uuid) -> Option<Arc<Topic>> {
        let topic = self.topics.remove(&id)?;
        self.ids.remove(&topic.name);
        if let Some(metric_name) = metric_name(&topic.name) {
            self.metric_names.remove(&(metric_name.into(), topic.name.clone()));
        }
        self.partition_count -= topic.partitions.len();
        topic.partitions.iter().for_each(|partition| self.discount_leader(partition.leader));
        Some(topic)
    }

    /// Puts a partition in its place: over the one of this number, or behind the last. `None` where that leaves a gap, or
    /// the topic is not there; else the topic's name.
    pub(in crate::controller) fn put(
        &mut self,
        id: Uuid,
        partition: i32,
        mut registration: PartitionRegistration,
    ) -> Option<Arc<str>> {
        let topic = Arc::make_mut(self.topics.get_mut(&id)?);
        let index = usize::try_from(partition).ok().filter(|index| *index <= topic.partitions.len())?;
        let neighbour = topic.partitions.get(index.min(topic.partitions.len().saturating_sub(1)));
        registration.share(neighbour.map(|neighbour| &**neighbour));
        let leader = registration.leader;
        let name = topic.name.clone();
        if index == topic.partitions.len() {
            topic.partitions.push_back(Arc::new(registration));
            self.partition_count += 1;
            self.count_leader(leader);
        } else {
            let before = topic.partitions.set(index, Arc::new(registration)).leader;
            if before != leader {
                self.discount_leader(before);
                self.count_leader(leader);
            }
        }
        Some(name)
    }
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: Uuid,
    /// By partition number, without gaps.
    pub partitions: Vector<Arc<PartitionRegistration>>,
}

impl Topic {
    pub fn partition(&self, partition: i32) -> Option<&PartitionRegistration> {
        self.partitions.get(usize::try_from(partition).ok()?).map(|registration| &**registration)
    }

    /// The number of replicas of its first partition, which is what Kafka calls the topic's replication factor.
    pub fn replication_factor(&self) -> i16 {
        self.partitions.front().map_or(0, |partition| i16::try_from(partition.replicas.len()).unwrap_or(i16::MAX))
    }
}

/// Where a partition's replicas are, and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// Broker ids; the first is the preferred leader.
    pub replicas: Arc<[i32]>,
    pub isr: Arc<[i32]>,
    /// The log directory of each replica, in the order of `replicas` (KIP-858).
    pub directories: Arc<[Uuid]>,
    /// [`NO_LEADER`] where there is none.
    pub leader: i32,
    /// Greater with each leader, and with each incarnation of the same leader.
    pub leader_epoch: i32,
    /// Greater with each change of any kind.
    pub partition_epoch: i32,
    /// Whether the leader was elected from outside the ISR and has not recovered yet.
    pub leader_recovering: bool,
    pub reassignment: Option<Arc<Reassignment>>,
    pub eligible: Option<Arc<EligibleReplicas>>,
}

/// The replicas that come and go while a partition moves; one of the two is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    pub removing: Vec<i32>,
    pub adding: Vec<i32>,
}

/// Replicas outside the ISR that may still lead without loss (KIP-966); one of the two is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EligibleReplicas {
    pub elr: Vec<i32>,
    pub last_known_elr: Vec<i32>,
}

impl PartitionRegistration {
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    pub fn removing_replicas(&self) -> &[i32] {
        self.reassignment.as_ref().map_or(&[], |reassignment| &reassignment.removing)
    }

    pub fn adding_replicas(&self) -> &[i32] {
        self.reassignment.as_ref().map_or(&[], |reassignment| &reassignment.adding)
    }

    pub fn elr(&self) -> &[i32] {
        self.eligible.as_ref().map_or(&[], |eligible| &eligible.elr)
    }

    pub fn last_known_elr(&self) -> &[i32] {
        self.eligible.as_ref().map_or(&[], |eligible| &eligible.last_known_elr)
    }

    /// The preferred leader, where another replica leads although that one is in sync.
    pub fn passed_over(&self) -> Option<i32> {
        let preferred = self.replicas.first().copied()?;
        (self.has_leader() && self.leader != preferred && self.isr.contains(&preferred)).then_some(preferred)
    }

    /// The directory that broker `id` keeps its replica in.
    pub fn directory(&self, id: i32) -> Option<Uuid> {
        let index = self.replicas.iter().position(|replica| *replica == id)?;
        self.directories.get(index).copied()
    }

    pub(in crate::controller) fn set_reassignment(&mut self, removing: Vec<i32>, adding: Vec<i32>) {
        let moving = !removing.is_empty() || !adding.is_empty();
        self.reassignment = moving.then(|| Arc::new(Reassignment { removing, adding }));
    }

    pub(in crate::controller) fn set_eligible(&mut self, elr: Vec<i32>, last_known_elr: Vec<i32>) {
        let any = !elr.is_empty() || !last_known_elr.is_empty();
        self.eligible = any.then(|| Arc::new(EligibleReplicas { elr, last_known_elr }));
    }

    /// Shares equal lists with `neighbour` and among themselves: a million partitions have few different ones.
    fn share(&mut self, neighbour: Option<&PartitionRegistration>) {
        if let Some(neighbour) = neighbour {
            if self.replicas == neighbour.replicas {
                self.replicas = neighbour.replicas.clone();
            }
            if self.directories == neighbour.directories {
                self.directories = neighbour.directories.clone();
            }
        }
        if self.isr == self.replicas {
            self.isr = self.replicas.clone();
        }
    }
}
