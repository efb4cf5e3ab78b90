//! The log against a model that keeps everything in memory: random histories of appends, reads, cuts, retention, clean
//! restarts, crashes and faults of the disk.

use super::faults::{self, Operation};
use super::log::Log;
use super::names::{self, FileKind};
use super::testing::{self, Fixture, NOW, Sent};
use super::{AppendError, CleanupPolicy, LogConfig, ReadError};
use crate::protocol::batch::{self, Compression, RecordBatch};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;

/// What happens to the log.
#[derive(Clone, Debug)]
enum Step {
    Append(Sent),
    /// The last batch of a producer once more.
    Repeat {
        producer: i64,
    },
    Replicate {
        batches: Vec<Sent>,
        gap: i64,
    },
    BeginEpoch,
    Truncate {
        back: f64,
    },
    AdvanceStart {
        to: f64,
    },
    Maintain {
        later: i64,
    },
    Flush,
    FlushClosed,
    Checkpoint,
    /// As after many appended bytes: recovery may begin here.
    FullCheckpoint,
    Restart,
    /// The process ends; the disk keeps all that was written.
    Kill(Damage),
    /// Power is lost; of what was not synced a part is kept.
    PowerLoss {
        kept: f64,
        garbage: Vec<u8>,
        damage: Damage,
    },
    /// The next operations of the disk fail, from the n-th on, for as many appends.
    Fault {
        operation: Option<usize>,
        after: usize,
        written: usize,
        appends: Vec<Sent>,
    },
}

/// What a crash does to the files that only help.
#[derive(Clone, Debug, Default)]
struct Damage {
    offset_indexes: Option<Harm>,
    time_indexes: Option<Harm>,
    snapshots: Option<Harm>,
    epochs: Option<Harm>,
}

#[derive(Clone, Debug)]
enum Harm {
    Removed,
    Emptied,
    Halved,
    Garbage,
    /// Zeros behind the contents, as Kafka's preallocated indexes have them.
    Zeros,
}

fn sent() -> impl Strategy<Value = Sent> {
    let compression = prop_oneof![Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd)];
    (1usize..4, 0usize..200, 0i64..1000, compression, proptest::option::of(0i64..3)).prop_map(
        |(records, value_bytes, later, compression, producer)| Sent {
            records,
            value_bytes,
            timestamp: NOW + later,
            compression,
            // The sequence is filled in when the batch is sent.
            producer: producer.map(|id| (id, 0, 0)),
        },
    )
}

fn harm() -> impl Strategy<Value = Option<Harm>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Harm::Removed)),
        1 => Just(Some(Harm::Emptied)),
        1 => Just(Some(Harm::Halved)),
        1 => Just(Some(Harm::Garbage)),
        1 => Just(Some(Harm::Zeros)),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    (harm(), harm(), harm(), harm()).prop_map(|(offset_indexes, time_indexes, snapshots, epochs)| Damage {
        offset_indexes,
        time_indexes,
        snapshots,
        epochs,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => sent().prop_map(Step::Append),
        2 => (0i64..3).prop_map(|producer| Step::Repeat { producer }),
        3 => (proptest::collection::vec(sent(), 1..6), prop_oneof![3 => Just(0i64), 1 => 1i64..20])
            .prop_map(|(batches, gap)| Step::Replicate { batches, gap }),
        1 => Just(Step::BeginEpoch),
        1 => (0.0..1.0).prop_map(|back| Step::Truncate { back }),
        1 => (0.0..1.0).prop_map(|to| Step::AdvanceStart { to }),
        1 => (0i64..20_000).prop_map(|later| Step::Maintain { later }),
        2 => Just(Step::Flush),
        1 => Just(Step::FlushClosed),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::FullCheckpoint),
        1 => Just(Step::Restart),
        1 => damage().prop_map(Step::Kill),
        1 => (0.0..1.0, proptest::collection::vec(any::<u8>(), 0..100), damage())
            .prop_map(|(kept, garbage, damage)| Step::PowerLoss { kept, garbage, damage }),
        1 => (proptest::option::of(0usize..6), 0usize..4, 0usize..300, proptest::collection::vec(sent(), 1..8))
            .prop_map(|(operation, after, written, appends)| Step::Fault { operation, after, written, appends }),
    ]
}

#[derive(Clone, Debug)]
struct Stored {
    base_offset: i64,
    next_offset: i64,
    bytes: Vec<u8>,
}

impl Stored {
    fn timestamp(&self) -> i64 {
        RecordBatch::split_first(&self.bytes).unwrap().0.max_timestamp()
    }

    fn epoch(&self) -> i32 {
        RecordBatch::split_first(&self.bytes).unwrap().0.leader_epoch()
    }
}

/// The log as it should be.
struct Model {
    fixture: Fixture,
    /// `None` only while it is opened again.
    log: Option<Log>,
    batches: Vec<Stored>,
    start: i64,
    furthest_start: i64,
    end: i64,
    epoch: i32,
    now: i64,
    salt: usize,
    sequences: HashMap<i64, i32>,
    /// The furthest snapshot of the producers: indexes before it were synced.
    vouched_to: i64,
    /// The recovery point when the log was last crashed.
    recovery_point: i64,
    /// The last batch of each producer, as it was sent, and the offset it got.
    last_sent: HashMap<i64, (Vec<u8>, i64)>,
}

impl Model {
    fn new(config: LogConfig) -> Model {
        let (fixture, log) = Fixture::new(config);
        Model {
            fixture,
            log: Some(log),
            batches: Vec::new(),
            start: 0,
            furthest_start: 0,
            end: 0,
            epoch: 0,
            now: NOW,
            salt: 0,
            sequences: HashMap::new(),
            vouched_to: 0,
            recovery_point: 0,
            last_sent: HashMap::new(),
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("open")
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(sent) => {
                self.append(sent).unwrap();
            }
            Step::Repeat { producer } => self.repeat(*producer),
            Step::Replicate { batches, gap } => self.replicate(batches, *gap),
            Step::BeginEpoch => {
                self.epoch += 1;
                let epoch = self.epoch;
                self.log().begin_epoch(epoch);
            }
            Step::Truncate { back } => self.truncate(*back),
            Step::AdvanceStart { to } => {
                let offset = self.start + ((self.end - self.start) as f64 * to) as i64;
                self.log().advance_log_start_offset(offset).unwrap();
                self.start = self.start.max(offset);
            }
            Step::Maintain { later } => self.maintain(*later),
            Step::Flush => self.log().flush().unwrap(),
            Step::FlushClosed => {
                let log = self.log();
                if let Some(task) = log.flush_task_for_closed().unwrap() {
                    log.flushed(task.run().unwrap());
                }
            }
            Step::Checkpoint => self.fixture.dirs().checkpoint().unwrap(),
            Step::FullCheckpoint => {
                let task = self.log().full_task().unwrap();
                self.log().run(task).unwrap();
                self.fixture.dirs().checkpoint().unwrap();
            }
            Step::Restart => {
                let log = self.log.take().expect("open");
                self.log = Some(self.fixture.close_and_reopen(log, self.now));
                let recovery_point = self.log().recovery_point();
                assert_eq!(recovery_point, self.end, "all is synced by a clean shutdown");
            }
            Step::Kill(damage) => self.crash(i64::MAX, 1.0, &[], damage),
            Step::PowerLoss { kept, garbage, damage } => {
                let synced = self.log().recovery_point();
                self.crash(synced, *kept, garbage, damage);
            }
            Step::Fault { operation, after, written, appends } => self.fault(*operation, *after, *written, appends),
        }
    }

    fn next_bytes(&mut self, sent: &Sent) -> (Sent, Vec<u8>) {
        self.salt += 1;
        let mut sent = sent.clone();
        if let Some((id, _, sequence)) = &mut sent.producer {
            *sequence = self.sequences.get(id).copied().unwrap_or(0);
        }
        let bytes = sent.bytes(self.salt);
        (sent, bytes)
    }

    fn append(&mut self, sent: &Sent) -> Result<(), AppendError> {
        let (sent, bytes) = self.next_bytes(sent);
        let (epoch, now) = (self.epoch, self.now);
        let appended = testing::append(self.log(), &bytes, epoch, now)?;
        assert!(!appended.duplicate);
        assert_eq!((appended.base_offset, appended.last_offset), (self.end, self.end + sent.records as i64 - 1));
        self.stored(&sent, bytes, epoch);
        Ok(())
    }

    fn stored(&mut self, sent: &Sent, mut bytes: Vec<u8>, epoch: i32) {
        if let Some((id, _, sequence)) = sent.producer {
            self.sequences.insert(id, sequence + sent.records as i32);
            self.last_sent.insert(id, (bytes.clone(), self.end));
        }
        bytes[..8].copy_from_slice(&self.end.to_be_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
        let next_offset = self.end + sent.records as i64;
        self.batches.push(Stored { base_offset: self.end, next_offset, bytes });
        self.end = next_offset;
    }

    fn repeat(&mut self, producer: i64) {
        // A producer may be forgotten with its records, and stay so when a crash brings them back.
        let known = self.last_sent.get(&producer).filter(|(_, base_offset)| *base_offset >= self.furthest_start);
        let Some((bytes, base_offset)) = known.cloned() else { return };
        let (epoch, now) = (self.epoch, self.now);
        let appended = testing::append(self.log(), &bytes, epoch, now).unwrap();
        assert!(appended.duplicate, "the batch at {base_offset} of producer {producer} is not known any more");
        assert_eq!(appended.base_offset, base_offset);
    }

    fn replicate(&mut self, batches: &[Sent], gap: i64) {
        self.end += if self.fixture.config.cleanup_policy.compact { gap } else { 0 };
        let mut fetched = Vec::new();
        let epoch = self.epoch;
        for sent in batches {
            let (sent, bytes) = self.next_bytes(sent);
            self.stored(&sent, bytes, epoch);
            fetched.extend(&self.batches.last().expect("just added").bytes);
        }
        // A leader's answer may end within a batch.
        fetched.extend(&Sent::default().bytes(0)[..40]);
        let now = self.now;
        self.log().append_replicated(&fetched, now).unwrap();
    }

    fn truncate(&mut self, back: f64) {
        let target = self.end - ((self.end - self.start) as f64 * back) as i64;
        let now = self.now;
        self.log().truncate_to(target, now).unwrap();
        if target >= self.end {
            return;
        }
        let kept = self.batches.iter().rev().find(|batch| batch.next_offset <= target);
        let kept_end = kept.map_or(self.start, |batch| batch.next_offset);
        self.start = self.start.min(target);
        // A gap before the target may or may not be kept.
        let end = self.log().log_end_offset();
        assert!((kept_end.min(target)..=target.max(self.start)).contains(&end));
        self.end_at(end);
    }

    /// Forgets what lies at `end` and behind.
    fn end_at(&mut self, end: i64) {
        self.batches.retain(|batch| batch.next_offset <= end);
        self.end = end;
        self.learn_producers();
    }

    fn learn_producers(&mut self) {
        self.sequences.clear();
        self.last_sent.clear();
        for stored in &self.batches {
            let (batch, _) = RecordBatch::split_first(&stored.bytes).unwrap();
            if batch.has_producer() {
                self.sequences.insert(batch.producer_id(), batch::sequence_after(batch.last_sequence(), 1));
                self.last_sent.insert(batch.producer_id(), (stored.bytes.clone(), stored.base_offset));
            }
        }
    }

    fn maintain(&mut self, later: i64) {
        self.now += later;
        let (now, end, before) = (self.now, self.end, self.log().log_start_offset());
        self.log().maintain(now, end).unwrap();
        let start = self.log().log_start_offset();
        assert!(start >= before && start <= end);
        for batch in self.batches.iter().filter(|batch| batch.base_offset >= before && batch.next_offset <= start) {
            let age = now - batch.timestamp();
            assert!(age > self.fixture.config.retention_ms, "a batch of age {age} was dropped");
        }
        self.start = start;
    }

    /// Opens the log again after a crash that keeps what was synced, and of the rest a share.
    fn crash(&mut self, synced: i64, kept: f64, garbage: &[u8], damage: &Damage) {
        self.vouched_to = self.vouched_to.max(self.log().state.snapshot_offset);
        self.recovery_point = self.log().recovery_point();
        drop(self.log.take());
        self.fixture.dirs = None;
        if synced < self.end {
            self.lose_tail(synced, kept, garbage);
        }
        self.damage(damage);
        self.fixture.start();
        self.log = Some(self.fixture.open(self.now));
        let end = self.log().log_end_offset();
        let all_synced = self.batches.last().map_or(self.end, |last| last.next_offset).max(self.start);
        assert!(end >= synced.min(all_synced), "{end} is below {synced}, which was synced");
        self.start = self.log().log_start_offset();
        self.end = end;
        self.keep_what_is_left(synced);
        self.learn_producers();
    }

    /// Forgets what was lost. Where the topic is compacted, the loss may leave a gap.
    fn keep_what_is_left(&mut self, synced: i64) {
        let left = testing::base_offsets(self.log.as_ref().expect("open"));
        let (start, end, may_have_gaps) = (self.start, self.end, self.fixture.config.cleanup_policy.compact);
        self.batches.retain(|batch| {
            let is_left = left.contains(&batch.base_offset);
            let is_safe = batch.next_offset <= if may_have_gaps { synced } else { end };
            assert!(is_left || !is_safe || batch.next_offset <= start, "the batch at {} is lost", batch.base_offset);
            is_left || batch.next_offset <= start
        });
    }

    /// Cuts the files somewhere behind what was synced, and writes garbage there.
    fn lose_tail(&mut self, synced: i64, kept: f64, garbage: &[u8]) {
        let mut segments: Vec<i64> = self.files_with(FileKind::Log.extension());
        segments.sort_unstable();
        let is_synced = |batch: &&Stored| batch.next_offset <= synced;
        let of_segment = |base: i64, next: Option<i64>| {
            let inside =
                move |batch: &&Stored| batch.base_offset >= base && next.is_none_or(|next| batch.base_offset < next);
            self.batches.iter().filter(inside)
        };
        for (number, base) in segments.iter().enumerate() {
            let next = segments.get(number + 1).copied();
            let safe: usize = of_segment(*base, next).filter(is_synced).map(|batch| batch.bytes.len()).sum();
            let path = self.partition_path().join(format!("{base:020}.log"));
            let mut bytes = fs::read(&path).unwrap();
            if bytes.len() <= safe {
                continue;
            }
            bytes.truncate(safe + ((bytes.len() - safe) as f64 * kept) as usize);
            bytes.extend(garbage);
            fs::write(path, bytes).unwrap();
        }
    }

    fn damage(&self, damage: &Damage) {
        let path = self.partition_path();
        let inflict_all = |extension: &str, harm: &dyn Fn(i64) -> Option<Harm>| {
            for offset in self.files_with(extension) {
                inflict(&path.join(format!("{offset:020}.{extension}")), harm(offset).as_ref());
            }
        };
        inflict_all("index", &|_| damage.offset_indexes.clone());
        inflict_all("snapshot", &|_| damage.snapshots.clone());
        // What was synced does not change, and a wrong timestamp in an index cannot be told from a right one.
        let segments = self.files_with(FileKind::Log.extension());
        let is_synced = |base: i64| {
            let closed_and_synced = segments.iter().any(|next| *next > base && *next < self.recovery_point);
            closed_and_synced || base < self.vouched_to
        };
        inflict_all("timeindex", &|base| {
            let harm = damage.time_indexes.clone();
            harm.filter(|harm| matches!(harm, Harm::Removed | Harm::Emptied) || !is_synced(base))
        });
        inflict(&path.join(names::LEADER_EPOCH_CHECKPOINT), damage.epochs.as_ref());
    }

    fn partition_path(&self) -> std::path::PathBuf {
        self.fixture.path("")
    }

    fn files_with(&self, extension: &str) -> Vec<i64> {
        let names = fs::read_dir(self.partition_path()).unwrap().map(|entry| entry.unwrap().file_name());
        let parse = |name: std::ffi::OsString| {
            let (offset, found) = names::parse_offset_name(name.to_str()?)?;
            (found == extension).then_some(offset)
        };
        names.filter_map(parse).collect()
    }

    /// Appends while the disk fails, and once more when it does not.
    fn fault(&mut self, operation: Option<usize>, after: usize, written: usize, appends: &[Sent]) {
        const OPERATIONS: [Operation; 6] = [
            Operation::Create,
            Operation::Write,
            Operation::Truncate,
            Operation::Sync,
            Operation::Rename,
            Operation::Remove,
        ];
        faults::fail_from(operation.map(|at| OPERATIONS[at]), after, ErrorKind::StorageFull, written);
        for sent in appends {
            match self.append(sent) {
                Ok(()) | Err(AppendError::Storage(_)) => {}
                Err(other) => panic!("{other}"),
            }
            self.log().flush().ok();
            self.check_offsets();
        }
        faults::heal();
        self.append(&Sent::default()).expect("the log comes back");
        self.log().flush().expect("the log comes back");
    }

    fn check_offsets(&mut self) {
        let (start, end) = (self.start, self.end);
        assert_eq!((self.log().log_start_offset(), self.log().log_end_offset()), (start, end));
    }

    fn check(&mut self) {
        self.furthest_start = self.furthest_start.max(self.start);
        self.check_offsets();
        let log = self.log.as_ref().expect("open");
        let readable: Vec<&Stored> = self.batches.iter().filter(|batch| batch.next_offset > self.start).collect();
        assert!(testing::base_offsets(log).into_iter().eq(readable.iter().map(|batch| batch.base_offset)));
        let expected = readable.iter().map(|batch| &batch.bytes);
        assert!(testing::contents(log).iter().eq(expected), "the bytes differ");
        self.check_timestamps(log, &readable);
        self.check_epochs(log, &readable);
    }

    fn check_timestamps(&self, log: &Log, readable: &[&Stored]) {
        let largest = readable.iter().map(|batch| batch.timestamp()).max();
        if let Some((_, timestamp)) = log.max_timestamp().unwrap() {
            assert!(largest.is_none_or(|largest| timestamp >= largest), "records below the start may be newer");
        } else {
            assert_eq!(largest, None);
        }
        for timestamp in [NOW, NOW + 300, NOW + 700, NOW + 999] {
            let expected = readable.iter().find(|batch| batch.timestamp() >= timestamp);
            let expected = expected.map(|batch| (batch.base_offset.max(self.start), batch.timestamp(), batch.epoch()));
            assert_eq!(log.offset_for_timestamp(timestamp).unwrap(), expected);
        }
    }

    fn check_epochs(&self, log: &Log, readable: &[&Stored]) {
        for batch in readable {
            assert_eq!(
                log.epoch_at(batch.base_offset.max(self.start)),
                Some(batch.epoch()),
                "at {}",
                batch.base_offset
            );
        }
    }

    fn check_reads(&self, from: f64, bytes_max: usize, limit: f64) {
        let log = self.log.as_ref().expect("open");
        let span = (self.end - self.start) as f64;
        let (from, limit) = (self.start + (span * from) as i64, self.start + (span * limit) as i64);
        let slice = log.read(from, bytes_max, limit, true).unwrap();
        let first = self.batches.iter().position(|batch| batch.next_offset > from);
        let Some(first) = first.filter(|first| from < limit && self.batches[*first].next_offset <= limit) else {
            assert!(slice.is_none(), "nothing lies between {from} and {limit}");
            return;
        };
        let slice = slice.expect("a batch can be read");
        let bytes = slice.read().unwrap();
        let mut expected = self.batches[first..].iter();
        for batch in batch::batches(&bytes) {
            let next = expected.next().expect("no more than there is");
            assert_eq!(batch.expect("whole batches").bytes(), next.bytes);
            assert!(next.next_offset <= limit);
        }
        let first_bytes = self.batches[first].bytes.len();
        assert!(bytes.len() <= bytes_max.max(first_bytes), "{} bytes, where {bytes_max} are allowed", bytes.len());
        if first_bytes > bytes_max {
            assert!(log.read(from, bytes_max, limit, false).unwrap().is_none());
        }
        assert!(matches!(log.read(self.end + 1, 1, i64::MAX, true), Err(ReadError::OffsetOutOfRange { .. })));
    }
}

fn inflict(path: &std::path::Path, harm: Option<&Harm>) {
    let (Some(harm), Ok(mut bytes)) = (harm, fs::read(path)) else { return };
    match harm {
        Harm::Removed => return fs::remove_file(path).unwrap(),
        Harm::Emptied => bytes.clear(),
        Harm::Halved => bytes.truncate(bytes.len() / 2),
        Harm::Garbage => bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 37) as u8),
        Harm::Zeros => bytes.extend([0; 240]),
    }
    fs::write(path, bytes).unwrap();
}

fn config(compact: bool) -> LogConfig {
    LogConfig {
        segment_bytes: 2_000,
        index_interval_bytes: 150,
        retention_ms: 30_000,
        segment_ms: 40_000,
        file_delete_delay_ms: 1_000,
        cleanup_policy: CleanupPolicy { delete: true, compact },
        ..LogConfig::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_what_its_model_is(
        steps in proptest::collection::vec(step(), 1..80),
        reads in proptest::collection::vec((0.0..1.0, 0usize..1500, 0.0..=1.0), 3),
        compact: bool,
    ) {
        let mut model = Model::new(config(compact));
        for step in &steps {
            model.step(step);
            model.check();
            for (from, bytes_max, limit) in &reads {
                model.check_reads(*from, *bytes_max, *limit);
            }
        }
    }
}
