//! Leaders that change the in-sync replicas of their partitions (AlterPartition: KIP-497, KIP-704, KIP-903). The checks, their
//! order and their codes are Kafka's.

use super::image::{PartitionRegistration, Topic};
use super::leadership::Turn;
use super::partition_change::PartitionChange;
use super::request::{AlterPartition, AlteredPartition, InSyncReplica, IsrChange, Outcome, Refusal};
use super::state::{Controller, Records};
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata_records::PartitionChangeRecord;

type Altered = (Vec<Outcome<AlteredPartition>>, Records);

impl Controller {
    pub(super) fn alter_partition(&self, request: &AlterPartition) -> Outcome<Altered> {
        self.check_broker_epoch(request.broker_id, request.broker_epoch)?;
        let mut records = Records::new();
        let alter = |change: &IsrChange| {
            let (topic, partition) = self.changed_partition(change)?;
            self.check_change(request.broker_id, partition, change)?;
            let record = self.isr_change(topic, partition, change);
            let altered = record.as_ref().map_or_else(|| partition.clone(), |record| partition.changed_by(record));
            records.extend(record.map(Into::into));
            if altered.leader != request.broker_id {
                // The end of a move, or of the leader's drain, made somebody else the leader.
                return Err(ErrorCode::NewLeaderElected.into());
            }
            Ok(AlteredPartition::from(&altered))
        };
        let outcomes = request.changes.iter().map(alter).collect();
        Ok((outcomes, records))
    }

    fn changed_partition(&self, change: &IsrChange) -> Outcome<(&Topic, &PartitionRegistration)> {
        let topic = self.image.topics.by_id(change.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partition(change.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok((topic, partition))
    }

    fn check_change(&self, broker: i32, partition: &PartitionRegistration, change: &IsrChange) -> Outcome<()> {
        let refused = |code: ErrorCode| Err(Refusal::from(code));
        let mut isr: Vec<i32> = change.isr.iter().map(|replica| replica.id).collect();
        isr.sort_unstable();
        isr.dedup();
        // Epochs from the future: a newer controller gave them, so this one is not the active one any more.
        if change.leader_epoch > partition.leader_epoch || change.partition_epoch > partition.partition_epoch {
            return refused(ErrorCode::NotController);
        }
        if change.leader_epoch < partition.leader_epoch {
            return refused(ErrorCode::FencedLeaderEpoch);
        }
        if broker != partition.leader {
            return refused(ErrorCode::InvalidRequest);
        }
        if change.partition_epoch < partition.partition_epoch {
            return refused(ErrorCode::InvalidUpdateVersion);
        }
        let replicas_only = isr.len() == change.isr.len() && isr.iter().all(|id| partition.replicas.contains(id));
        if !replicas_only || !isr.contains(&partition.leader) {
            return refused(ErrorCode::InvalidRequest);
        }
        if change.leader_recovering && (isr.len() > 1 || !partition.leader_recovering) {
            return refused(ErrorCode::InvalidRequest);
        }
        match change.isr.iter().all(|replica| self.may_be_in_sync(replica)) {
            true => Ok(()),
            false => refused(ErrorCode::IneligibleReplica),
        }
    }

    /// Whether the broker is there to replicate, and is still the process that has caught up (KIP-903).
    fn may_be_in_sync(&self, replica: &InSyncReplica) -> bool {
        let same = |epoch| replica.broker_epoch == -1 || replica.broker_epoch == epoch;
        self.image.brokers.get(&replica.id).is_some_and(|broker| broker.is_active() && same(broker.epoch))
    }

    fn isr_change(
        &self,
        topic: &Topic,
        partition: &PartitionRegistration,
        change: &IsrChange,
    ) -> Option<PartitionChangeRecord> {
        let wanted = PartitionChange {
            isr: change.isr.iter().map(|replica| replica.id).collect(),
            recovering: change.leader_recovering,
            ..PartitionChange::of(partition)
        };
        wanted.record(topic.id, change.partition, &self.topic_rules(&topic.name, Turn::Nothing))
    }
}

impl From<&PartitionRegistration> for AlteredPartition {
    fn from(partition: &PartitionRegistration) -> Self {
        AlteredPartition {
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            isr: partition.isr.to_vec(),
            leader_recovering: partition.leader_recovering,
            partition_epoch: partition.partition_epoch,
        }
    }
}
