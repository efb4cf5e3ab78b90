//! Which directories of a broker hold its replicas, and what becomes of them when one fails (KIP-858).

use super::heartbeat::unchanged;
use super::image::{BrokerRegistration, UNASSIGNED_DIRECTORY};
use super::leadership::{Turn, level};
use super::partition_change::PartitionChange;
use super::request::{AssignReplicasToDirs, DirectoryAssignment, Outcome, Refusal};
use super::state::{Controller, Records};
use crate::protocol::messages::metadata_records::BrokerRegistrationChangeRecord;
use crate::protocol::{ErrorCode, Uuid};

type Assigned = (Vec<Outcome<()>>, Records);

impl Controller {
    pub(super) fn assign_replicas_to_dirs(&self, request: &AssignReplicasToDirs) -> Outcome<Assigned> {
        if self.metadata_version() < level::DIRECTORIES {
            let text = "Directory assignment is not supported yet.";
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, text));
        }
        let broker = self.check_broker_epoch(request.broker_id, request.broker_epoch)?;
        let mut records = Records::new();
        let assign = |assignment: &DirectoryAssignment| {
            records.extend(self.assign(&broker, *assignment)?);
            Ok(())
        };
        let outcomes = request.assignments.iter().map(assign).collect();
        Ok((outcomes, records))
    }

    fn assign(&self, broker: &BrokerRegistration, assignment: DirectoryAssignment) -> Outcome<Records> {
        let DirectoryAssignment { directory, topic_id, partition: number } = assignment;
        let topic = self.image.topics.by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partition(number).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&broker.id) {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        let mut change = PartitionChange { directory: Some((broker.id, directory)), ..PartitionChange::of(partition) };
        let mut turn = Turn::Nothing;
        if !broker.has_directory(directory) {
            (change, turn) = (change.without(broker.id), Turn::Goes(broker.id));
        }
        let record = change.record(topic_id, number, &self.topic_rules(&topic.name, turn));
        Ok(record.into_iter().map(Into::into).collect())
    }

    /// Takes the replicas in directories that are `gone` out of the ISR and the lead, and the directories from the broker.
    pub(super) fn without_directories(&self, broker: &BrokerRegistration, gone: &[Uuid]) -> Records {
        let mut records = self.change_partitions(Turn::Goes(broker.id), |_, _, partition| {
            let concerned = partition.isr.contains(&broker.id)
                && partition.directory(broker.id).is_some_and(|directory| gone.contains(&directory));
            concerned.then(|| PartitionChange::of(partition).without(broker.id))
        });
        let log_dirs = broker.directories.iter().copied().filter(|directory| !gone.contains(directory)).collect();
        records.push(BrokerRegistrationChangeRecord { log_dirs, ..unchanged(broker) }.into());
        records
    }

    /// The directory for a new replica on a broker: its only one; where it has several, it chooses itself (KIP-858).
    pub(super) fn directory_for(&self, broker: i32) -> Uuid {
        match self.image.brokers.get(&broker).map(|broker| &broker.directories[..]) {
            Some([only]) => *only,
            _ => UNASSIGNED_DIRECTORY,
        }
    }
}

/// Those of the directories that a broker reports as failed which it still had; `None` where that is nothing new, or where
/// none is left: such a broker is fenced, and a record cannot say it.
pub(super) fn offline(broker: &BrokerRegistration, reported: &[Uuid]) -> Option<Vec<Uuid>> {
    let gone: Vec<Uuid> = broker.directories.iter().copied().filter(|directory| reported.contains(directory)).collect();
    (!gone.is_empty() && gone.len() < broker.directories.len()).then_some(gone)
}
