//! What whoever watches over a cluster wants to know of its partitions, kept up to date change by change.
//!
//! - [`Health::apply`] looks at what a delta names and at nothing else, except when the `min.insync.replicas` of all topics
//!   changes. The counts are always those that a walk over all partitions would give.
//! - What is wrong with a partition follows from the image alone, whether its leader is heard or not.

use super::delta::ImageDelta;
use super::image::{MetadataImage, PartitionRegistration, ResourceType, Topic};
use crate::protocol::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Where `min.insync.replicas` comes from when no topic and no broker was configured with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrDefaults {
    pub node_id: i32,
    /// `min.insync.replicas` in the node's file.
    pub min_insync_replicas: usize,
}

impl IsrDefaults {
    /// `min.insync.replicas` of a topic.
    pub fn of_topic(&self, image: &MetadataImage, topic: &str) -> usize {
        let own = image.configs.topic(topic).get(MIN_INSYNC_REPLICAS);
        own.and_then(|value| value.parse().ok()).unwrap_or_else(|| self.of_all(image))
    }

    /// `min.insync.replicas` of the topics that have none of their own.
    fn of_all(&self, image: &MetadataImage) -> usize {
        let for_node = image.configs.broker(self.node_id).get(MIN_INSYNC_REPLICAS);
        let set = for_node.or_else(|| image.configs.default_broker().get(MIN_INSYNC_REPLICAS));
        set.and_then(|value| value.parse().ok()).unwrap_or(self.min_insync_replicas)
    }
}

/// How many replicas of a partition must be in sync for acks=all: as many as configured, or all that there are.
pub fn enough_in_sync(partition: &PartitionRegistration, min_insync_replicas: usize) -> usize {
    min_insync_replicas.min(partition.replicas.len())
}

/// What can be noteworthy about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Condition {
    /// It has no leader.
    Offline,
    /// A replica is not in sync, and not just being added.
    UnderReplicated,
    /// Fewer replicas are in sync than acks=all needs.
    UnderMinIsr,
    /// Just as many replicas are in sync as acks=all needs.
    AtMinIsr,
    /// Its replicas move.
    Reassigned,
}

impl Condition {
    const ALL: [Condition; 5] = [
        Condition::Offline,
        Condition::UnderReplicated,
        Condition::UnderMinIsr,
        Condition::AtMinIsr,
        Condition::Reassigned,
    ];

    fn holds(self, partition: &PartitionRegistration, min_insync_replicas: usize) -> bool {
        let (in_sync, enough) = (partition.isr.len(), enough_in_sync(partition, min_insync_replicas));
        let lags = |replica: &&i32| !partition.isr.contains(replica) && !partition.adding_replicas().contains(replica);
        match self {
            Condition::Offline => !partition.has_leader(),
            Condition::UnderReplicated => partition.replicas.iter().any(|replica| lags(&replica)),
            Condition::UnderMinIsr => in_sync < enough,
            Condition::AtMinIsr => in_sync == enough,
            Condition::Reassigned => partition.reassignment.is_some(),
        }
    }
}

/// What one broker has to do with partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Partitions that it leads.
    pub leads: usize,
    /// Partitions that it holds a replica of.
    pub holds: usize,
    /// Partitions that it is preferred for and in sync, and that another replica leads.
    pub passed_over: usize,
}

/// The partitions of each [`Condition`], and the [`Load`] of each broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    defaults: IsrDefaults,
    conditions: [BTreeSet<(Arc<str>, i32)>; Condition::ALL.len()],
    loads: BTreeMap<i32, Load>,
}

impl Health {
    /// That of an image without topics.
    pub fn new(defaults: IsrDefaults) -> Health {
        Health { defaults, conditions: Default::default(), loads: BTreeMap::new() }
    }

    /// The partitions of which `condition` holds, by topic and number.
    pub fn partitions(&self, condition: Condition) -> &BTreeSet<(Arc<str>, i32)> {
        &self.conditions[condition as usize]
    }

    pub fn load(&self, broker: i32) -> Load {
        self.loads.get(&broker).copied().unwrap_or_default()
    }

    /// Partitions that another replica leads than the preferred one, though that is in sync and not one of `drained`.
    pub fn not_preferred(&self, drained: &BTreeSet<i32>) -> usize {
        let counted = self.loads.iter().filter(|(broker, _)| !drained.contains(broker));
        counted.map(|(_, load)| load.passed_over).sum()
    }

    /// Goes from `old`, the image that it stands for, to `new`, of which `delta` says what differs.
    pub fn apply(&mut self, old: &MetadataImage, new: &MetadataImage, delta: &ImageDelta) {
        let all = self.defaults.of_all(old) != self.defaults.of_all(new);
        let touched = if all { everything(old, new) } else { touched(old, new, delta) };
        // All that was comes out before anything that is goes in: a topic may have been deleted and made again.
        for (id, partitions) in &touched {
            let gone = new.topics.by_id(*id).is_none();
            let Some(topic) = old.topics.by_id(*id) else { continue };
            let whole = if gone { &Touched::Whole } else { partitions };
            self.each(old, topic, whole, Health::take_out);
        }
        for (id, partitions) in &touched {
            let Some(topic) = new.topics.by_id(*id) else { continue };
            self.each(new, topic, partitions, Health::put_in);
        }
    }

    fn each(&mut self, image: &MetadataImage, topic: &Topic, touched: &Touched<'_>, note: Note) {
        let min_insync_replicas = self.defaults.of_topic(image, &topic.name);
        match touched {
            Touched::Whole => {
                for (number, partition) in (0..).zip(&topic.partitions) {
                    note(self, &topic.name, number, partition, min_insync_replicas);
                }
            }
            Touched::Some(numbers) => {
                for number in *numbers {
                    let Some(partition) = topic.partition(*number) else { continue };
                    note(self, &topic.name, *number, partition, min_insync_replicas);
                }
            }
        }
    }

    fn put_in(&mut self, topic: &Arc<str>, number: i32, partition: &PartitionRegistration, min_insync_replicas: usize) {
        for condition in Condition::ALL.into_iter().filter(|one| one.holds(partition, min_insync_replicas)) {
            self.conditions[condition as usize].insert((topic.clone(), number));
        }
        for holder in partition.replicas.iter() {
            self.loads.entry(*holder).or_default().holds += 1;
        }
        if partition.has_leader() {
            self.loads.entry(partition.leader).or_default().leads += 1;
        }
        if let Some(preferred) = partition.passed_over() {
            self.loads.entry(preferred).or_default().passed_over += 1;
        }
    }

    fn take_out(
        &mut self,
        topic: &Arc<str>,
        number: i32,
        partition: &PartitionRegistration,
        min_insync_replicas: usize,
    ) {
        for condition in Condition::ALL.into_iter().filter(|one| one.holds(partition, min_insync_replicas)) {
            self.conditions[condition as usize].remove(&(topic.clone(), number));
        }
        for holder in partition.replicas.iter() {
            self.change_load(*holder, |load| load.holds -= 1);
        }
        if partition.has_leader() {
            self.change_load(partition.leader, |load| load.leads -= 1);
        }
        if let Some(preferred) = partition.passed_over() {
            self.change_load(preferred, |load| load.passed_over -= 1);
        }
    }

    fn change_load(&mut self, broker: i32, change: impl Fn(&mut Load)) {
        let load = self.loads.get_mut(&broker).expect("it was counted when it was put in");
        change(load);
        if *load == Load::default() {
            self.loads.remove(&broker);
        }
    }
}

type Note = fn(&mut Health, &Arc<str>, i32, &PartitionRegistration, usize);

/// Which partitions of a topic may differ.
enum Touched<'a> {
    Whole,
    Some(&'a BTreeSet<i32>),
}

/// The partitions that changed, and those whose `min.insync.replicas` may have.
fn touched<'a>(old: &MetadataImage, new: &MetadataImage, delta: &'a ImageDelta) -> BTreeMap<Uuid, Touched<'a>> {
    let mut touched: BTreeMap<Uuid, Touched<'_>> =
        delta.topics.iter().map(|(id, topic)| (*id, Touched::Some(&topic.partitions))).collect();
    for (_, name) in delta.configs.iter().filter(|(resource, _)| *resource == ResourceType::Topic) {
        let min_insync_replicas = |image: &MetadataImage| image.configs.topic(name).get(MIN_INSYNC_REPLICAS).cloned();
        if min_insync_replicas(old) != min_insync_replicas(new) {
            touched
                .extend([old, new].into_iter().filter_map(|image| Some((image.topics.id_of(name)?, Touched::Whole))));
        }
    }
    touched
}

fn everything<'a>(old: &MetadataImage, new: &MetadataImage) -> BTreeMap<Uuid, Touched<'a>> {
    [old, new].into_iter().flat_map(|image| image.topics.iter()).map(|topic| (topic.id, Touched::Whole)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::image::{NO_LEADER, UNASSIGNED_DIRECTORY};
    use proptest::prelude::*;
    use std::ops::Range;

    const DEFAULTS: IsrDefaults = IsrDefaults { node_id: 1, min_insync_replicas: 2 };

    /// What a walk over all partitions finds.
    fn walk(image: &MetadataImage) -> Health {
        let mut health = Health::new(DEFAULTS);
        for topic in image.topics.iter() {
            for (number, partition) in (0..).zip(&topic.partitions) {
                let min_insync_replicas = DEFAULTS.of_topic(image, &topic.name);
                health.put_in(&topic.name, number, partition, min_insync_replicas);
            }
        }
        health
    }

    fn partition(replicas: &[i32], isr: &[i32], leader: i32) -> PartitionRegistration {
        PartitionRegistration {
            replicas: replicas.into(),
            isr: isr.into(),
            directories: vec![UNASSIGNED_DIRECTORY; replicas.len()].into(),
            leader,
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovering: false,
            reassignment: None,
            eligible: None,
        }
    }

    /// The conditions of a partition where two replicas must be in sync.
    fn conditions(partition: &PartitionRegistration) -> Vec<Condition> {
        Condition::ALL.into_iter().filter(|condition| condition.holds(partition, 2)).collect()
    }

    #[test]
    fn what_is_wrong_with_a_partition_follows_from_its_replicas() {
        use Condition::*;
        assert_eq!(conditions(&partition(&[1, 2, 3], &[1, 2, 3], 1)), []);
        assert_eq!(conditions(&partition(&[1, 2, 3], &[3, 2], 2)), [UnderReplicated, AtMinIsr]);
        assert_eq!(conditions(&partition(&[1, 2, 3], &[3], 3)), [UnderReplicated, UnderMinIsr]);
        assert_eq!(conditions(&partition(&[1, 2, 3], &[3], NO_LEADER)), [Offline, UnderReplicated, UnderMinIsr]);
        assert_eq!(conditions(&partition(&[1], &[1], 1)), [AtMinIsr], "one of one is all that can be asked for");
    }

    #[test]
    fn a_preferred_leader_is_passed_over_while_it_could_lead() {
        assert_eq!(partition(&[1, 2, 3], &[1, 2, 3], 1).passed_over(), None);
        assert_eq!(partition(&[1, 2, 3], &[3, 2, 1], 2).passed_over(), Some(1));
        assert_eq!(partition(&[1, 2, 3], &[2, 3], 2).passed_over(), None, "it is not in sync");
        assert_eq!(partition(&[1, 2, 3], &[1], NO_LEADER).passed_over(), None, "nobody leads");
        let mut health = Health::new(DEFAULTS);
        for (number, preferred) in [(0, 1), (1, 2), (2, 2)] {
            health.put_in(&"t".into(), number, &partition(&[preferred, 3], &[preferred, 3], 3), 2);
        }
        assert_eq!(
            [&[][..], &[2], &[1, 2]].map(|drained| health.not_preferred(&drained.iter().copied().collect())),
            [3, 1, 0]
        );
    }

    #[test]
    fn a_replica_that_is_just_being_added_is_not_missed() {
        let mut moved = partition(&[4, 1, 2, 3], &[1, 2, 3], 1);
        moved.set_reassignment(vec![3], vec![4]);
        assert_eq!(conditions(&moved), [Condition::Reassigned]);
        moved.isr = [4, 1, 2].into();
        assert_eq!(conditions(&moved), [Condition::UnderReplicated, Condition::Reassigned], "3 lags, whatever 4 does");
    }

    #[test]
    fn a_topic_that_is_made_again_counts_once() {
        let [earlier, later] = [Uuid([9; 16]), Uuid([1; 16])];
        let image = |id| {
            let mut image = MetadataImage::default();
            image.topics.insert("t", id);
            image.topics.put(id, 0, partition(&[1], &[], NO_LEADER));
            image
        };
        let (old, new) = (image(earlier), image(later));
        let mut health = walk(&old);
        health.apply(&old, &new, &ImageDelta::between(&old, &new));
        assert_eq!(health, walk(&new));
        assert_eq!(health.partitions(Condition::Offline).len(), 1);
    }

    /// Something that happens to a cluster.
    #[derive(Clone, Debug)]
    enum Change {
        Put { topic: usize, partition: usize, registration: PartitionRegistration },
        Delete { topic: usize },
        SetMinIsr { resource: ResourceType, name: String, value: Option<i32> },
    }

    const TOPICS: Range<usize> = 0..3;

    fn registration() -> impl Strategy<Value = PartitionRegistration> {
        let ids = || proptest::sample::subsequence(vec![1, 2, 3, 4], 1..=4);
        (ids(), any::<[bool; 4]>(), any::<[bool; 4]>(), any::<proptest::sample::Index>()).prop_map(
            |(replicas, in_sync, added, leader)| {
                let of = |flags: [bool; 4]| -> Vec<i32> {
                    replicas.iter().copied().filter(|id| flags[usize::try_from(*id).unwrap() - 1]).collect()
                };
                let isr = of(in_sync);
                let leader = if isr.is_empty() { NO_LEADER } else { *leader.get(&isr) };
                let mut registration = partition(&replicas, &isr, leader);
                registration.set_reassignment(Vec::new(), of(added));
                registration
            },
        )
    }

    fn change() -> impl Strategy<Value = Change> {
        let put = (TOPICS, 0..4usize, registration()).prop_map(|(topic, partition, registration)| Change::Put {
            topic,
            partition,
            registration,
        });
        let resource = prop_oneof![
            TOPICS.prop_map(|topic| (ResourceType::Topic, format!("t{topic}"))),
            prop_oneof![Just(""), Just("1"), Just("2")].prop_map(|name| (ResourceType::Broker, name.to_owned())),
        ];
        let set = (resource, proptest::option::of(1..4)).prop_map(|((resource, name), value)| Change::SetMinIsr {
            resource,
            name,
            value,
        });
        prop_oneof![6 => put, 1 => TOPICS.prop_map(|topic| Change::Delete { topic }), 1 => set]
    }

    /// Changes `image` as replaying records does, ids of new topics from `serial`.
    fn change_image(image: &mut MetadataImage, delta: &mut ImageDelta, change: Change, serial: &mut u8) {
        match change {
            Change::Put { topic, partition, registration } => {
                let name = format!("t{topic}");
                let id = image.topics.id_of(&name).unwrap_or_else(|| {
                    *serial += 1;
                    // The order of ids is not that of topics' times.
                    let id = Uuid([serial.wrapping_mul(83); 16]);
                    let name = image.topics.insert(&name, id);
                    delta.topic_created(id, name);
                    id
                });
                let next = image.topics.by_id(id).unwrap().partitions.len();
                let number = i32::try_from(partition.min(next)).unwrap();
                let name = image.topics.put(id, number, registration).unwrap();
                delta.partition_changed(id, name, number);
            }
            Change::Delete { topic } => {
                let Some(id) = image.topics.id_of(&format!("t{topic}")) else { return };
                let removed = image.topics.remove(id).unwrap();
                if image.configs.clear(ResourceType::Topic, &removed.name) {
                    delta.configs.insert((ResourceType::Topic, removed.name.clone()));
                }
                delta.topic_deleted(&removed);
            }
            Change::SetMinIsr { resource, name, value } => {
                let value = value.map(|value| value.to_string());
                image.configs.set(resource, &name, MIN_INSYNC_REPLICAS, value.as_deref());
                delta.configs.insert((resource, name.into()));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn counting_changes_gives_what_a_walk_finds(
            batches in prop::collection::vec((prop::collection::vec(change(), 1..8), any::<bool>()), 1..10),
        ) {
            let mut image = MetadataImage::default();
            let mut health = Health::new(DEFAULTS);
            let mut serial = 0;
            for (changes, merged) in batches {
                let old = image.clone();
                let mut delta = ImageDelta::default();
                for change in changes {
                    let mut one = ImageDelta::default();
                    change_image(&mut image, if merged { &mut one } else { &mut delta }, change, &mut serial);
                    delta.merge(one);
                }
                health.apply(&old, &image, &delta);
                prop_assert_eq!(&health, &walk(&image));
                // Whoever comes late, or receives a snapshot, comes to the same.
                let mut late = Health::new(DEFAULTS);
                late.apply(&MetadataImage::default(), &image, &ImageDelta::everything(&image));
                prop_assert_eq!(&late, &health);
                let mut jumped = walk(&old);
                jumped.apply(&old, &image, &ImageDelta::between(&old, &image));
                prop_assert_eq!(&jumped, &health);
            }
        }
    }
}
