//! What must hold of partitions in every history, checked whenever a node claims something.

use super::partition_log::{Batch, NO_PRODUCER, PartitionLog};
use crate::raft::simulation::checker::Violation as QuorumViolation;
use std::collections::{BTreeMap, HashMap};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    Quorum(QuorumViolation),
    TwoLeaders { partition: i32, epoch: i32, first: i32, second: i32 },
    LogsDoNotMatch { partition: i32, node: i32, epoch: i32, offset: i64 },
    LeaderLacksCommittedRecords { partition: i32, node: i32, epoch: i32, committed: i64 },
    CommittedRecordsDiffer { partition: i32, node: i32, offset: i64 },
    SequenceBroken { partition: i32, producer: i64, expected: i32, found: i32 },
    AckedRecordsAreNotCommitted { partition: i32, offset: i64 },
    ConsumerSawOtherRecords { partition: i32, offset: i64 },
    ConsumerOutOfRange { partition: i32, offset: i64 },
    LatestOffsetWentBack { partition: i32, from: i64, to: i64 },
    BusyLoop { node: i32 },
    NoProgress { until_ms: i64, lacking: String },
}

#[derive(Debug, Default)]
pub struct Checker {
    partitions: BTreeMap<i32, Partition>,
    elections: usize,
}

#[derive(Debug, Default)]
struct Partition {
    /// Who led each epoch, and in which of its processes.
    leaders: BTreeMap<i32, (i32, u64)>,
    /// The one chain that may lie before a batch's end, for each epoch and offset that any log ever had.
    chains: HashMap<(i32, i64), u64>,
    /// The committed batches by their ends.
    committed: BTreeMap<i64, Batch>,
    /// Up to where the leaders of each epoch knew the log to be committed.
    committed_in: BTreeMap<i32, i64>,
    next_sequences: BTreeMap<i64, i32>,
}

type Checked = Result<(), Violation>;

impl Checker {
    pub fn elections(&self) -> usize {
        self.elections
    }

    pub fn committed_end(&self, partition: i32) -> i64 {
        self.partitions.get(&partition).map_or(0, Partition::committed_end)
    }

    pub fn committed_records(&self) -> i64 {
        self.partitions.values().map(Partition::committed_end).sum()
    }

    /// A process of `node` begins to lead `epoch` with what is in `log`.
    pub fn leads(&mut self, partition: i32, epoch: i32, node: i32, incarnation: u64, log: &PartitionLog) -> Checked {
        self.elections += 1;
        let known = self.partitions.entry(partition).or_default();
        let first = *known.leaders.entry(epoch).or_insert((node, incarnation));
        if first != (node, incarnation) {
            return Err(Violation::TwoLeaders { partition, epoch, first: first.0, second: node });
        }
        let committed = known.committed_in.range(..epoch).map(|(_, offset)| *offset).max().unwrap_or(0);
        match log.chain_at(committed) == known.chain_at(committed) {
            true => Ok(()),
            false => Err(Violation::LeaderLacksCommittedRecords { partition, node, epoch, committed }),
        }
    }

    /// `node` has appended what lies behind `from`.
    pub fn appended(&mut self, partition: i32, node: i32, from: i64, log: &PartitionLog) -> Checked {
        let known = self.partitions.entry(partition).or_default();
        for batch in log.batches().iter().rev().take_while(|batch| batch.base_offset >= from) {
            let (epoch, offset) = (batch.leader_epoch, batch.end_offset());
            if *known.chains.entry((epoch, offset)).or_insert(batch.chain) != batch.chain {
                return Err(Violation::LogsDoNotMatch { partition, node, epoch, offset });
            }
        }
        Ok(())
    }

    /// `node`, in `epoch`, says that everything before `high_watermark` is committed.
    pub fn committed(
        &mut self,
        partition: i32,
        node: i32,
        epoch: i32,
        high_watermark: i64,
        log: &PartitionLog,
    ) -> Checked {
        let known = self.partitions.entry(partition).or_default();
        let in_epoch = known.committed_in.entry(epoch).or_default();
        *in_epoch = high_watermark.max(*in_epoch);
        let end = known.committed_end();
        let agreed = end.min(high_watermark);
        if log.chain_at(agreed) != known.chain_at(agreed) {
            return Err(Violation::CommittedRecordsDiffer { partition, node, offset: agreed });
        }
        for batch in log.read(end, high_watermark, usize::MAX) {
            known.commit(partition, batch)?;
        }
        match known.committed_end() < high_watermark {
            true => Err(Violation::CommittedRecordsDiffer { partition, node, offset: high_watermark }),
            false => Ok(()),
        }
    }

    /// A producer was told that its batch is in `partition` at `base_offset`, on as many replicas as acks=all promises.
    pub fn acknowledged(&self, partition: i32, base_offset: i64, producer: i64, sequence: i32) -> Checked {
        let known = self.partitions.get(&partition);
        let batch = known.and_then(|known| known.committed.range(base_offset + 1..).next()).map(|(_, batch)| batch);
        let same = |batch: &Batch| {
            batch.base_offset == base_offset
                && (batch.produced.producer, batch.produced.sequence) == (producer, sequence)
        };
        match batch.is_some_and(same) {
            true => Ok(()),
            false => Err(Violation::AckedRecordsAreNotCommitted { partition, offset: base_offset }),
        }
    }

    /// A consumer at `offset` has got `batches`.
    pub fn consumed(&self, partition: i32, offset: i64, batches: &[Batch]) -> Checked {
        let mut expected = offset;
        for batch in batches {
            let known = self.partitions.get(&partition).and_then(|known| known.committed.get(&batch.end_offset()));
            if batch.base_offset != expected || known != Some(batch) {
                return Err(Violation::ConsumerSawOtherRecords { partition, offset: batch.base_offset });
            }
            expected = batch.end_offset();
        }
        Ok(())
    }
}

impl Partition {
    fn committed_end(&self) -> i64 {
        self.committed.last_key_value().map_or(0, |(end, _)| *end)
    }

    fn chain_at(&self, offset: i64) -> Option<u64> {
        if offset == 0 { Some(0) } else { self.committed.get(&offset).map(|batch| batch.chain) }
    }

    /// Order and no duplicates for each producer: its sequences have neither gaps nor repetitions.
    fn commit(&mut self, partition: i32, batch: Batch) -> Checked {
        let produced = batch.produced;
        if produced.producer != NO_PRODUCER {
            let expected =
                self.next_sequences.insert(produced.producer, produced.sequence + produced.count).unwrap_or(0);
            if expected != produced.sequence {
                let (producer, found) = (produced.producer, produced.sequence);
                return Err(Violation::SequenceBroken { partition, producer, expected, found });
            }
        }
        self.committed.insert(batch.end_offset(), batch);
        Ok(())
    }
}
