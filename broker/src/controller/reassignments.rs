//! Moves of replicas (KIP-455): begun and cancelled here, ended by the AlterPartition that brings the last new replica in sync.
//!
//! While a partition moves its replicas are those wanted, in the order wanted, and behind them those that are to go. A move that
//! takes the place of another one starts from where that one started: what only the other one had added goes at once, unless
//! nothing in sync would be left.

use super::image::{PartitionRegistration, Topic};
use super::leadership::Turn;
use super::partition_change::PartitionChange;
use super::request::{AlterReassignments, Outcome, ReassignedPartition, Refusal};
use super::state::{Controller, Records};
use super::topics::{finish, repeated};
use crate::protocol::ErrorCode;

impl Controller {
    pub(super) fn alter_reassignments(&self, request: &AlterReassignments) -> (Vec<Outcome<()>>, Records) {
        let name = |partition: &ReassignedPartition| (partition.topic.clone(), partition.partition);
        let names: Vec<_> = request.partitions.iter().map(name).collect();
        let repeated = repeated(names.iter());
        let mut records = Records::new();
        let reassign = |(partition, name): (&ReassignedPartition, &(String, i32))| {
            if repeated.contains(name) {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Each partition must appear at most once."));
            }
            records.extend(self.reassign(partition, request.allow_replication_factor_change)?);
            Ok(())
        };
        let outcomes = request.partitions.iter().zip(&names).map(reassign).collect();
        finish(outcomes, records, false)
    }

    fn reassign(&self, request: &ReassignedPartition, any_factor: bool) -> Outcome<Records> {
        let ReassignedPartition { topic: name, partition: number, replicas } = request;
        let unknown = |text| Refusal::new(ErrorCode::UnknownTopicOrPartition, text);
        let topic = self.image.topics.by_name(name);
        let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
        let partition = topic.partition(*number);
        let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{number}.")))?;
        let change = match replicas {
            Some(wanted) => self.begin_move(partition, wanted, any_factor)?,
            None => self.cancel_move(topic, *number, partition)?,
        };
        let record = change.record(topic.id, *number, &self.topic_rules(name, Turn::Nothing));
        Ok(record.into_iter().map(Into::into).collect())
    }

    fn begin_move<'a>(
        &self,
        partition: &'a PartitionRegistration,
        wanted: &[i32],
        any_factor: bool,
    ) -> Outcome<PartitionChange<'a>> {
        self.check_assignment(wanted, None)?;
        let original = without(&partition.replicas, partition.adding_replicas());
        if !any_factor && original.len() != wanted.len() {
            let text = format!("The replication factor is changed from {} to {}", original.len(), wanted.len());
            return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, text));
        }
        let adding = without(wanted, &original);
        let mut removing = without(&original, wanted);
        let unwanted = without(partition.adding_replicas(), wanted);
        let isr = without(&partition.isr, &unwanted);
        let isr = if isr.is_empty() {
            removing.extend(&unwanted);
            partition.isr.to_vec()
        } else {
            isr
        };
        let replicas = wanted.iter().chain(&removing).copied().collect();
        Ok(PartitionChange { replicas, isr, adding, removing, ..PartitionChange::of(partition) })
    }

    fn cancel_move<'a>(
        &self,
        topic: &Topic,
        number: i32,
        partition: &'a PartitionRegistration,
    ) -> Outcome<PartitionChange<'a>> {
        if partition.reassignment.is_none() {
            return Err(ErrorCode::NoReassignmentInProgress.into());
        }
        let adding = partition.adding_replicas();
        let replicas = without(&partition.replicas, adding);
        let mut isr = without(&partition.isr, adding);
        if isr.is_empty() && !partition.isr.is_empty() {
            if !self.topic_rules(&topic.name, Turn::Nothing).unclean {
                let text = format!(
                    "Unable to revert partition assignment for {}:{number} because it would require an unclean leader election.",
                    topic.name
                );
                return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
            }
            isr = replicas.first().copied().into_iter().collect();
        }
        let change = PartitionChange::of(partition);
        Ok(PartitionChange { replicas, isr, adding: Vec::new(), removing: Vec::new(), ..change })
    }
}

fn without(all: &[i32], some: &[i32]) -> Vec<i32> {
    all.iter().copied().filter(|one| !some.contains(one)).collect()
}
