//! Creating and deleting topics, adding partitions. The checks, their order and their texts are Kafka's.

use super::image::{BrokerRegistration, Configs, PartitionRegistration, ResourceType, Topic};
use super::placement::{Candidate, PlacementError, Placer};
use super::records::MetadataRecord;
use super::request::*;
use super::state::{Controller, RECORDS_PER_REQUEST_MAX, Records};
use super::topic_name;
use crate::protocol::messages::metadata_records::{ConfigRecord, RemoveTopicRecord, TopicRecord};
use crate::protocol::{ErrorCode, Uuid};
use rand::RngCore;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Partitions that one request may create at most (Kafka's `MAX_PARTITIONS_PER_BATCH`).
const PARTITIONS_PER_REQUEST_MAX: i64 = 10_000;

/// The brokers of a topic's new partitions, by partition.
type Assignments = Vec<Vec<i32>>;

impl Controller {
    pub(super) fn create_topics(
        &self,
        random: &mut dyn RngCore,
        request: CreateTopics,
    ) -> (Vec<Outcome<CreatedTopic>>, Records) {
        let wanted = request.topics.iter().map(|topic| self.partitions_wanted(topic)).sum::<i64>();
        if wanted > PARTITIONS_PER_REQUEST_MAX {
            return refuse_all(request.topics.len(), too_many_partitions());
        }
        let mut placer = self.placer(random);
        let repeated = repeated(request.topics.iter().map(|topic| topic.name.as_str()));
        let mut records = Records::new();
        let outcomes = request
            .topics
            .iter()
            .map(|topic| {
                if repeated.contains(topic.name.as_str()) {
                    return Err(duplicate_name());
                }
                let (created, new) = self.create_topic(random, &mut placer, topic)?;
                records.extend(new);
                Ok(created)
            })
            .collect();
        finish(outcomes, records, request.validate_only)
    }

    fn partitions_wanted(&self, topic: &NewTopic) -> i64 {
        match topic.assignments.len() {
            0 if topic.partitions == -1 => i64::from(self.settings.defaults.partitions),
            0 => i64::from(topic.partitions.max(0)),
            assigned => assigned as i64,
        }
    }

    fn create_topic(
        &self,
        random: &mut dyn RngCore,
        placer: &mut Placer,
        topic: &NewTopic,
    ) -> Outcome<(CreatedTopic, Records)> {
        self.check_new_name(&topic.name)?;
        let configs = self.check_new_configs(topic)?;
        let assignments = match &topic.assignments[..] {
            [] => self.place_topic(placer, topic)?,
            assignments => self.check_topic_assignments(topic, assignments)?,
        };
        let id = self.new_topic_id(random);
        let created = CreatedTopic {
            id,
            partitions: i32::try_from(assignments.len()).expect("bounded by the request's"),
            replication_factor: i16::try_from(assignments.first().map_or(0, Vec::len)).unwrap_or(i16::MAX),
            configs,
        };
        let mut records: Records = vec![TopicRecord { name: topic.name.clone().into(), topic_id: id }.into()];
        records.extend(
            created
                .configs
                .iter()
                .map(|(name, value)| config_record(ResourceType::Topic, &topic.name, name, Some(value))),
        );
        records.extend(self.partition_records(id, 0, assignments)?);
        Ok((created, records))
    }

    fn new_topic_id(&self, random: &mut dyn RngCore) -> Uuid {
        loop {
            let mut bytes = [0; 16];
            random.fill_bytes(&mut bytes);
            let id = Uuid::from_random(bytes);
            if self.image.topics.by_id(id).is_none() {
                return id;
            }
        }
    }

    fn check_new_name(&self, name: &str) -> Outcome<()> {
        if name == topic_name::CLUSTER_METADATA {
            let text = format!("Creation of internal topic {name} is prohibited.");
            return Err(Refusal::new(ErrorCode::InvalidRequest, text));
        }
        topic_name::validate(name).map_err(|text| Refusal::new(ErrorCode::InvalidTopicException, text))?;
        if self.image.topics.by_name(name).is_some() {
            return Err(Refusal::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        match self.image.topics.colliding(name) {
            Some(other) => {
                let text = format!("Topic '{name}' collides with existing topic: {other}");
                Err(Refusal::new(ErrorCode::InvalidTopicException, text))
            }
            None => Ok(()),
        }
    }

    fn check_new_configs(&self, topic: &NewTopic) -> Outcome<Configs> {
        let nulls: Vec<_> =
            topic.configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
        if !nulls.is_empty() {
            let text = format!("Null value not supported for topic configs: {}", nulls.join(","));
            return Err(Refusal::new(ErrorCode::InvalidConfig, text));
        }
        let configs: Configs =
            topic.configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
        let changed: Vec<&str> = configs.keys().map(String::as_str).collect();
        self.rules.check(ResourceType::Topic, &topic.name, &configs, &changed)?;
        Ok(configs)
    }

    fn place_topic(&self, placer: &mut Placer, topic: &NewTopic) -> Outcome<Assignments> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            let text = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, text));
        }
        if topic.partitions < -1 || topic.partitions == 0 {
            let text = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
        }
        let or_default = |value: i32, default: i32| if value == -1 { default } else { value };
        let partitions = or_default(topic.partitions, self.settings.defaults.partitions);
        let factor = or_default(topic.replication_factor.into(), self.settings.defaults.replication_factor.into());
        place(placer, partitions as usize, factor as usize)
    }

    fn check_topic_assignments(&self, topic: &NewTopic, assignments: &[(i32, Vec<i32>)]) -> Outcome<Assignments> {
        let needs = |what: &str| {
            let text = format!("A manual partition assignment was specified, but {what} was not set to -1.");
            Err(Refusal::new(ErrorCode::InvalidRequest, text))
        };
        if topic.replication_factor != -1 {
            return needs("replication factor");
        }
        if topic.partitions != -1 {
            return needs("numPartitions");
        }
        let mut sorted: Vec<_> = assignments.to_vec();
        sorted.sort_by_key(|(partition, _)| *partition);
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let text = format!("Found multiple manual partition assignments for partition {}", pair[0].0);
            return Err(bad_assignment(text));
        }
        let mut factor = None;
        for (_, replicas) in &sorted {
            self.check_assignment(replicas, factor)?;
            factor = Some(replicas.len());
        }
        if sorted.iter().zip(0..).any(|((partition, _), expected)| *partition != expected) {
            return Err(bad_assignment("partitions should be a consecutive 0-based integer sequence"));
        }
        Ok(sorted.into_iter().map(|(_, replicas)| replicas).collect())
    }

    /// Whether one partition may be on `replicas`, which must be as many as `factor` says.
    pub(super) fn check_assignment(&self, replicas: &[i32], factor: Option<usize>) -> Outcome<()> {
        const WHAT: &str = "The manual partition assignment includes";
        if replicas.is_empty() {
            return Err(bad_assignment(format!("{WHAT} an empty replica list.")));
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        if let Some(broker) = sorted.iter().find(|broker| !self.image.brokers.contains_key(broker)) {
            return Err(bad_assignment(format!("{WHAT} broker {broker}, but no such broker is registered.")));
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(bad_assignment(format!("{WHAT} the broker {} more than once.", pair[0])));
        }
        match factor {
            Some(factor) if factor != replicas.len() => Err(bad_assignment(format!(
                "{WHAT} a partition with {} replica(s), but this is not consistent with previous partitions, which have \
                 {factor} replica(s).",
                replicas.len()
            ))),
            _ => Ok(()),
        }
    }

    /// The records of partitions numbered from `first`.
    fn partition_records(&self, topic: Uuid, first: i32, assignments: Assignments) -> Outcome<Records> {
        (first..)
            .zip(assignments)
            .map(|(number, replicas)| Ok(self.new_partition(number, replicas)?.record(topic, number).into()))
            .collect()
    }

    fn new_partition(&self, number: i32, replicas: Vec<i32>) -> Outcome<PartitionRegistration> {
        let live = |id: &i32| self.image.brokers.get(id).is_some_and(|broker| broker.is_active());
        let isr: Vec<i32> = replicas.iter().copied().filter(live).collect();
        let Some(leader) = isr.first().copied() else {
            return Err(bad_assignment(format!(
                "All brokers specified in the manual partition assignment for partition {number} are fenced or in \
                 controlled shutdown."
            )));
        };
        Ok(PartitionRegistration {
            directories: replicas.iter().map(|replica| self.directory_for(*replica)).collect(),
            replicas: replicas.into(),
            isr: isr.into(),
            leader,
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovering: false,
            reassignment: None,
            eligible: None,
        })
    }

    fn placer(&self, random: &mut dyn RngCore) -> Placer {
        let candidate = |broker: &Arc<BrokerRegistration>| Candidate {
            id: broker.id,
            rack: broker.rack.clone(),
            live: broker.is_active(),
            drained: self.liveness.drained.contains(&broker.id),
            leaders: 0,
            replicas: 0,
        };
        let candidates: Vec<Candidate> = self.image.brokers.values().map(candidate).collect();
        Placer::new(&candidates, random.next_u64())
    }

    pub(super) fn delete_topics(&self, selectors: &[TopicSelector]) -> (Vec<Outcome<DeletedTopic>>, Records) {
        let named = |selector| self.select(selector).ok().map(|topic| topic.id);
        let repeated = repeated(selectors.iter().filter_map(named));
        let mut records = Records::new();
        let outcomes: Vec<_> = selectors
            .iter()
            .map(|selector| {
                let topic = self.select(selector)?;
                if repeated.contains(&topic.id) {
                    return Err(duplicate(selector));
                }
                records.push(RemoveTopicRecord { topic_id: topic.id }.into());
                Ok(DeletedTopic { name: topic.name.to_string(), id: topic.id })
            })
            .collect();
        finish(outcomes, records, false)
    }

    fn select(&self, selector: &TopicSelector) -> Outcome<&Topic> {
        let named = |name: &str| self.image.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition);
        match selector {
            TopicSelector::Name(name) => Ok(named(name)?),
            TopicSelector::Id(id) => Ok(self.image.topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId)?),
            TopicSelector::NameAndId(name, id) => match named(name)? {
                topic if topic.id == *id => Ok(topic),
                topic => {
                    let text = format!("The topic '{name}' has the id {}, not {id}.", topic.id);
                    Err(Refusal::new(ErrorCode::UnknownTopicId, text))
                }
            },
        }
    }

    pub(super) fn create_partitions(
        &self,
        random: &mut dyn RngCore,
        request: CreatePartitions,
    ) -> (Vec<Outcome<()>>, Records) {
        let mut placer = self.placer(random);
        let repeated = repeated(request.topics.iter().map(|topic| topic.topic.as_str()));
        let mut records = Records::new();
        let outcomes = request
            .topics
            .iter()
            .map(|topic| {
                if repeated.contains(topic.topic.as_str()) {
                    return Err(duplicate_name());
                }
                records.extend(self.add_partitions(&mut placer, topic)?);
                Ok(())
            })
            .collect();
        finish(outcomes, records, request.validate_only)
    }

    fn add_partitions(&self, placer: &mut Placer, request: &NewPartitions) -> Outcome<Records> {
        let topic = self.image.topics.by_name(&request.topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let existing = i32::try_from(topic.partitions.len()).expect("partitions are numbered by an i32");
        if let Some(from) = request.from.filter(|from| *from != existing) {
            let text = format!("The topic {} has {existing} partition(s), not {from}.", request.topic);
            return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
        }
        if request.count <= existing {
            return Err(Refusal::new(ErrorCode::InvalidPartitions, no_increase(request, existing)));
        }
        let additional = (request.count - existing) as usize;
        if additional as i64 > PARTITIONS_PER_REQUEST_MAX {
            return Err(too_many_partitions());
        }
        let factor = topic.partitions.front().map_or(1, |partition| partition.replicas.len());
        let assignments = match &request.assignments {
            None => place(placer, additional, factor)?,
            Some(assignments) => self.check_additional(assignments, additional, factor)?,
        };
        self.partition_records(topic.id, existing, assignments)
    }

    fn check_additional(&self, assignments: &Assignments, additional: usize, factor: usize) -> Outcome<Assignments> {
        if assignments.len() != additional {
            return Err(bad_assignment(format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            )));
        }
        for replicas in assignments {
            self.check_assignment(replicas, Some(factor))?;
        }
        Ok(assignments.clone())
    }
}

fn no_increase(request: &NewPartitions, existing: i32) -> String {
    match request.count {
        count if count == existing => format!("Topic already has {existing} partition(s)."),
        count => format!(
            "The topic {} currently has {existing} partition(s); {count} would not be an increase.",
            request.topic
        ),
    }
}

fn place(placer: &mut Placer, partitions: usize, factor: usize) -> Outcome<Assignments> {
    let refusal = |error: PlacementError| {
        let text = format!("Unable to replicate the partition {factor} time(s): {error}");
        Refusal::new(ErrorCode::InvalidReplicationFactor, text)
    };
    (0..partitions).map(|_| placer.place(factor).map_err(refusal)).collect()
}

fn bad_assignment(text: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidReplicaAssignment, text)
}

/// What occurs more than once.
pub(super) fn repeated<T: Ord + Copy>(all: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    all.filter(|one| !seen.insert(*one)).collect()
}

fn duplicate_name() -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.")
}

fn duplicate(selector: &TopicSelector) -> Refusal {
    match selector {
        TopicSelector::Name(_) | TopicSelector::NameAndId(..) => duplicate_name(),
        TopicSelector::Id(_) => Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic id."),
    }
}

fn too_many_partitions() -> Refusal {
    Refusal::new(ErrorCode::PolicyViolation, "Excessively large number of partitions per request.")
}

fn refuse_all<T>(count: usize, refusal: Refusal) -> (Vec<Outcome<T>>, Records) {
    ((0..count).map(|_| Err(refusal.clone())).collect(), Records::new())
}

/// What a request that is done in parts comes to: all of it refused where its records are too many for one batch, none
/// of it done where it only asked.
pub(super) fn finish<T>(
    outcomes: Vec<Outcome<T>>,
    records: Records,
    validate_only: bool,
) -> (Vec<Outcome<T>>, Records) {
    if records.len() > RECORDS_PER_REQUEST_MAX {
        let text = "Unable to perform excessively large batch operation.";
        return refuse_all(outcomes.len(), Refusal::new(ErrorCode::PolicyViolation, text));
    }
    (outcomes, if validate_only { Records::new() } else { records })
}

pub(super) fn config_record(
    resource: ResourceType,
    resource_name: &str,
    name: &str,
    value: Option<&str>,
) -> MetadataRecord<'static> {
    ConfigRecord {
        resource_type: resource.code(),
        resource_name: resource_name.to_owned().into(),
        name: name.to_owned().into(),
        value: value.map(|value| value.to_owned().into()),
    }
    .into()
}
