//! What must hold in every history, checked at every step of it.

use super::disk::{Batch, Disk};
use crate::raft::{LeaderEpoch, ReplicaId};
use std::collections::{BTreeMap, HashMap};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    TwoLeaders { epoch: LeaderEpoch, first: ReplicaId, second: ReplicaId },
    LogsDoNotMatch { node: ReplicaId, epoch: LeaderEpoch, offset: i64 },
    CommittedRecordsDiffer { node: ReplicaId, offset: i64 },
    LeaderLacksCommittedRecords { node: ReplicaId, epoch: LeaderEpoch, committed: i64 },
    HighWatermarkWentBack { node: ReplicaId, from: i64, to: i64 },
    OutlineDiffers { node: ReplicaId },
    Complained { node: ReplicaId, complaint: String },
    BusyLoop { node: ReplicaId },
    NoProgress { until: i64 },
    LeaderDisturbed { before: LeaderEpoch, after: LeaderEpoch },
}

#[derive(Debug, Default)]
pub struct Checker {
    leaders: BTreeMap<LeaderEpoch, ReplicaId>,
    /// The one chain that may lie before a batch's end, for each epoch and offset that any log ever had.
    chains: HashMap<(LeaderEpoch, i64), u64>,
    /// The chain at every committed batch's end.
    committed: BTreeMap<i64, u64>,
    /// Up to where each epoch's nodes knew the log to be committed.
    committed_in: BTreeMap<LeaderEpoch, i64>,
    high_watermarks: BTreeMap<ReplicaId, i64>,
}

impl Checker {
    pub fn committed_end(&self) -> i64 {
        self.committed.last_key_value().map_or(0, |(offset, _)| *offset)
    }

    pub fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// A node starts: what it knows of the high watermark begins anew.
    pub fn started(&mut self, node: ReplicaId) {
        self.high_watermarks.remove(&node);
    }

    pub fn leads(&mut self, node: ReplicaId, epoch: LeaderEpoch, disk: &Disk) -> Result<(), Violation> {
        let first = *self.leaders.entry(epoch).or_insert(node);
        if first != node {
            return Err(Violation::TwoLeaders { epoch, first, second: node });
        }
        // A candidate that was frozen may win an old epoch late, and do no harm: it must have what was committed before.
        let committed = self.committed_in.range(..epoch).map(|(_, offset)| *offset).max().unwrap_or(0);
        let has_all = committed == 0 || disk.chain_at(committed) == self.committed.get(&committed).copied();
        if has_all { Ok(()) } else { Err(Violation::LeaderLacksCommittedRecords { node, epoch, committed }) }
    }

    pub fn appended(&mut self, node: ReplicaId, batches: &[Batch]) -> Result<(), Violation> {
        for batch in batches {
            let (epoch, offset) = (batch.span.epoch, batch.span.end_offset);
            if *self.chains.entry((epoch, offset)).or_insert(batch.chain) != batch.chain {
                return Err(Violation::LogsDoNotMatch { node, epoch, offset });
            }
        }
        Ok(())
    }

    pub fn installed(&self, node: ReplicaId, offset: i64, chain: u64) -> Result<(), Violation> {
        if self.committed.get(&offset) == Some(&chain) {
            Ok(())
        } else {
            Err(Violation::CommittedRecordsDiffer { node, offset })
        }
    }

    /// `node`, in `epoch`, says that everything before `high_watermark` is committed.
    pub fn committed(
        &mut self,
        node: ReplicaId,
        epoch: LeaderEpoch,
        high_watermark: i64,
        disk: &Disk,
    ) -> Result<(), Violation> {
        let in_epoch = self.committed_in.entry(epoch).or_default();
        *in_epoch = high_watermark.max(*in_epoch);
        let before = self.high_watermarks.insert(node, high_watermark).unwrap_or(0);
        if before > high_watermark {
            return Err(Violation::HighWatermarkWentBack { node, from: before, to: high_watermark });
        }
        let known = self.committed_end();
        let agreed = known.min(high_watermark);
        if agreed > disk.start().offset && disk.chain_at(agreed) != self.committed.get(&agreed).copied() {
            return Err(Violation::CommittedRecordsDiffer { node, offset: agreed });
        }
        for batch in disk.batches_between(known, high_watermark) {
            self.committed.insert(batch.span.end_offset, batch.chain);
        }
        if self.committed_end() < high_watermark {
            return Err(Violation::CommittedRecordsDiffer { node, offset: high_watermark });
        }
        Ok(())
    }
}
