//! Leaders that move while nothing is broken: because somebody asks (KIP-460), because they have strayed from the replicas that
//! are preferred, or because a broker is to be drained.

use super::image::{NO_LEADER, PartitionRegistration, Topic};
use super::leadership::Turn;
use super::partition_change::{self, PartitionChange};
use super::request::{ElectLeaders, Election, ElectionType, Outcome, Refusal};
use super::state::{Controller, LeaderBalance, Records};
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata_records::PartitionChangeRecord;
use std::collections::{BTreeMap, BTreeSet};

impl Controller {
    pub(super) fn elect_leaders(&self, request: &ElectLeaders) -> (Vec<Election>, Records) {
        let mut records = Records::new();
        let mut elect = |topic: &str, partition: i32| {
            let outcome = self.elect_leader(topic, partition, request.election).map(|record| {
                records.push(record.into());
            });
            Election { topic: topic.to_owned(), partition, outcome }
        };
        let elections = match &request.partitions {
            Some(partitions) => {
                let mut seen = BTreeSet::new();
                let once = partitions.iter().filter(|partition| seen.insert(*partition));
                once.map(|(topic, partition)| elect(topic, *partition)).collect()
            }
            None => {
                let mut elections = Vec::new();
                for topic in self.image.topics.iter() {
                    let numbers = (0..).zip(&topic.partitions);
                    let needed = numbers.filter(|(_, partition)| needs(partition, request.election));
                    elections.extend(needed.map(|(number, _)| elect(&topic.name, number)));
                }
                elections
            }
        };
        (elections, records)
    }

    fn elect_leader(&self, name: &str, number: i32, election: ElectionType) -> Outcome<PartitionChangeRecord> {
        let unknown = |text| Refusal::new(ErrorCode::UnknownTopicOrPartition, text);
        let topic = self.image.topics.by_name(name).ok_or_else(|| unknown(format!("No such topic as {name}")))?;
        let partition = topic.partition(number);
        let partition = partition.ok_or_else(|| unknown(format!("No such partition as {name}-{number}")))?;
        if !needs(partition, election) {
            return Err(ErrorCode::ElectionNotNeeded.into());
        }
        let record = match election {
            ElectionType::Preferred => self.elect_preferred(topic, number, partition),
            ElectionType::Unclean => {
                let mut rules = self.topic_rules(name, Turn::Nothing);
                rules.unclean = true;
                PartitionChange::of(partition).record(topic.id, number, &rules)
            }
        };
        record.ok_or(Refusal::from(match election {
            ElectionType::Preferred => ErrorCode::PreferredLeaderNotAvailable,
            ElectionType::Unclean => ErrorCode::EligibleLeadersNotAvailable,
        }))
    }

    fn elect_preferred(
        &self,
        topic: &Topic,
        number: i32,
        partition: &PartitionRegistration,
    ) -> Option<PartitionChangeRecord> {
        let change =
            PartitionChange { election: partition_change::Election::Preferred, ..PartitionChange::of(partition) };
        change.record(topic.id, number, &self.topic_rules(&topic.name, Turn::Nothing))
    }

    /// Gives leaders back to the brokers that are preferred for more than so many percent of what others lead.
    pub(super) fn balance_leaders(&self, balance: LeaderBalance) -> Records {
        let mut counts: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
        for partition in self.image.topics.iter().flat_map(|topic| &topic.partitions) {
            let (preferred, strayed) = counts.entry(partition.replicas[0]).or_default();
            *preferred += 1;
            *strayed += u64::from(has_strayed(partition));
        }
        let percentage = u64::from(balance.imbalance_percentage);
        counts.retain(|broker, (preferred, strayed)| {
            *strayed * 100 > *preferred * percentage && !self.liveness.drained.contains(broker)
        });
        if counts.is_empty() {
            return Records::new();
        }
        self.change_partitions(Turn::Nothing, |_, _, partition| {
            let preferred = partition.replicas[0];
            let back = has_strayed(partition) && counts.contains_key(&preferred) && partition.isr.contains(&preferred);
            back.then(|| PartitionChange {
                election: partition_change::Election::Preferred,
                ..PartitionChange::of(partition)
            })
        })
    }

    /// Errors: `BrokerIdNotRegistered`.
    pub(super) fn drain_leaders(&mut self, now: i64, broker: i32, drained: bool) -> Outcome<(usize, Records)> {
        if !self.image.brokers.contains_key(&broker) {
            return Err(ErrorCode::BrokerIdNotRegistered.into());
        }
        let leads = self.image.topics.led_by(broker);
        if !drained {
            if self.liveness.drained.remove(&broker) {
                self.next_balance = self.next_balance.min(now);
            }
            return Ok((leads, Records::new()));
        }
        self.liveness.drained.insert(broker);
        if leads == 0 {
            return Ok((0, Records::new()));
        }
        let records = self.change_partitions(Turn::Nothing, |_, _, partition| {
            (partition.leader == broker).then(|| PartitionChange::of(partition))
        });
        Ok((leads - records.len(), records))
    }
}

/// Whether somebody leads, and the first replica does not.
fn has_strayed(partition: &PartitionRegistration) -> bool {
    partition.has_leader() && partition.leader != partition.replicas[0]
}

fn needs(partition: &PartitionRegistration, election: ElectionType) -> bool {
    match election {
        ElectionType::Preferred => partition.leader != partition.replicas[0],
        ElectionType::Unclean => partition.leader == NO_LEADER,
    }
}
