//! A disk that keeps what was synced, may keep what was not, and may bring back what was cut without a sync.

use crate::raft::{BatchSpan, ElectionState, LogView, OffsetAndEpoch, Records, SnapshotId};
use rand::Rng;
use rand::rngs::SmallRng;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One batch, and a hash of it and all before it: two logs with the same chain at an offset are equal up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub span: BatchSpan,
    pub bytes: Vec<u8>,
    pub chain: u64,
}

#[derive(Clone, Debug, Default)]
struct Image {
    start: OffsetAndEpoch,
    start_chain: u64,
    batches: Vec<Batch>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub chain: u64,
}

#[derive(Debug, Default)]
pub struct Disk {
    pub election: ElectionState,
    /// What a reader sees.
    cached: Image,
    /// What a power loss leaves, unless it leaves more.
    durable: Image,
    /// How many batches of both are the same.
    stable: usize,
    pub snapshot: Option<Snapshot>,
    download: Vec<u8>,
}

impl Image {
    fn end(&self) -> OffsetAndEpoch {
        self.batches.last().map_or(self.start, |batch| batch.span.end())
    }

    fn chain(&self) -> u64 {
        self.batches.last().map_or(self.start_chain, |batch| batch.chain)
    }

    fn chain_at(&self, offset: i64) -> Option<u64> {
        if offset == self.start.offset {
            return Some(self.start_chain);
        }
        let at = self.batches.binary_search_by_key(&offset, |batch| batch.span.end_offset).ok()?;
        Some(self.batches[at].chain)
    }

    fn drop_before(&mut self, snapshot: Snapshot) -> usize {
        let dropped = self.batches.partition_point(|batch| batch.span.end_offset <= snapshot.id.offset);
        self.batches.drain(..dropped);
        (self.start, self.start_chain) = (snapshot.id, snapshot.chain);
        dropped
    }
}

fn link(chain: u64, span: &BatchSpan, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (chain, span.base_offset, span.end_offset, span.epoch, bytes).hash(&mut hasher);
    hasher.finish()
}

impl Disk {
    /// Adds what lies behind the end, as a log does that numbers offsets itself; returns the new batches.
    pub fn append(&mut self, records: &Records) -> &[Batch] {
        let before = self.cached.batches.len();
        let mut at = 0;
        for span in &records.batches {
            let bytes = records.bytes[at..at + span.size].to_vec();
            at += span.size;
            if span.base_offset >= self.cached.end().offset {
                let chain = link(self.cached.chain(), span, &bytes);
                self.cached.batches.push(Batch { span: *span, bytes, chain });
            }
        }
        &self.cached.batches[before..]
    }

    pub fn truncate(&mut self, end_offset: i64) {
        self.cached.batches.retain(|batch| batch.span.end_offset <= end_offset);
        self.stable = self.stable.min(self.cached.batches.len());
    }

    /// Makes everything before `end_offset` durable.
    pub fn sync(&mut self, end_offset: i64) {
        let count = self.cached.batches.partition_point(|batch| batch.span.end_offset <= end_offset);
        if count >= self.stable {
            self.durable.batches.truncate(self.stable);
            self.durable.batches.extend_from_slice(&self.cached.batches[self.stable..count]);
            self.stable = count;
        }
    }

    /// The machine loses power: what was not synced is lost, or kept up to a torn batch that recovery cuts off.
    pub fn lose_power(&mut self, random: &mut SmallRng) {
        if random.random_bool(0.5) {
            self.cached = self.durable.clone();
        } else {
            let kept = random.random_range(self.stable..=self.cached.batches.len());
            self.cached.batches.truncate(kept);
        }
        self.durable = self.cached.clone();
        self.stable = self.cached.batches.len();
        self.download.clear();
    }

    pub fn read(&self, offset: i64, batches_max: usize) -> Records {
        let from = self.cached.batches.partition_point(|batch| batch.span.base_offset < offset);
        let mut records = Records::default();
        for batch in self.cached.batches[from..].iter().take(batches_max) {
            records.batches.push(batch.span);
            records.bytes.extend(&batch.bytes);
        }
        records
    }

    /// A snapshot of the records before `offset`, if that is a batch's end and newer than the last.
    pub fn take_snapshot(&mut self, offset: i64) -> Option<SnapshotId> {
        let newer = self.snapshot.is_none_or(|snapshot| snapshot.id.offset < offset);
        let batch = self.cached.batches.iter().find(|batch| batch.span.end_offset == offset).filter(|_| newer)?;
        let id = batch.span.end();
        self.snapshot = Some(Snapshot { id, chain: batch.chain });
        Some(id)
    }

    /// Removes the segments that the snapshot stands for.
    pub fn drop_before_snapshot(&mut self) -> Option<SnapshotId> {
        let snapshot = self.snapshot.filter(|snapshot| snapshot.id.offset > self.cached.start.offset)?;
        let dropped = self.cached.drop_before(snapshot);
        if self.durable.end().offset < snapshot.id.offset || dropped > self.stable {
            self.durable = Image { start: snapshot.id, start_chain: snapshot.chain, batches: Vec::new() };
            self.stable = 0;
        } else {
            self.durable.drop_before(snapshot);
            self.stable -= dropped;
        }
        Some(snapshot.id)
    }

    pub fn snapshot_bytes(&self, id: SnapshotId) -> Option<Vec<u8>> {
        let snapshot = self.snapshot.filter(|snapshot| snapshot.id == id)?;
        Some([snapshot.chain.to_be_bytes(), [7; 8], [8; 8]].concat())
    }

    pub fn write_snapshot(&mut self, position: i64, bytes: &[u8]) {
        self.download.truncate(position as usize);
        self.download.extend_from_slice(bytes);
    }

    /// Makes the download valid, or what is valid already the log's start.
    pub fn install_snapshot(&mut self, id: SnapshotId) -> Snapshot {
        let known = self.snapshot.filter(|snapshot| snapshot.id == id);
        let snapshot = known.unwrap_or_else(|| {
            let chain = self.download[..8].try_into().expect("a whole snapshot");
            Snapshot { id, chain: u64::from_be_bytes(chain) }
        });
        self.snapshot = Some(snapshot);
        self.cached = Image { start: id, start_chain: snapshot.chain, batches: Vec::new() };
        self.durable = self.cached.clone();
        self.stable = 0;
        self.download.clear();
        snapshot
    }

    pub fn end(&self) -> OffsetAndEpoch {
        self.cached.end()
    }

    pub fn start(&self) -> OffsetAndEpoch {
        self.cached.start
    }

    pub fn chain_at(&self, offset: i64) -> Option<u64> {
        self.cached.chain_at(offset)
    }

    pub fn batches_between(&self, from: i64, to: i64) -> impl Iterator<Item = &Batch> {
        let first = self.cached.batches.partition_point(|batch| batch.span.base_offset < from);
        self.cached.batches[first..].iter().take_while(move |batch| batch.span.end_offset <= to)
    }

    /// What recovery finds at a start.
    pub fn view(&self) -> LogView {
        let mut view = LogView::starting_at(self.cached.start, self.snapshot.map(|snapshot| snapshot.id));
        let spans: Vec<BatchSpan> = self.cached.batches.iter().map(|batch| batch.span).collect();
        view.append(&spans);
        view
    }
}
