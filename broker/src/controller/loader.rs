//! Reads the metadata log, batch by batch, into an image.
//!
//! - Records inside a transaction (KIP-868) are applied but not shown until it ends; an aborted one leaves nothing.
//! - Offsets have no gaps: the metadata log is never compacted.
//! - What cannot be read or contradicts itself is an error, never skipped.

use super::delta::ImageDelta;
use super::image::{Applied, MetadataImage};
use super::records::{MetadataRecord, RecordError};
use super::replay::ReplayError;
use crate::protocol::batch::{BatchError, RecordBatch, batches};
use crate::protocol::messages::control_records::{KRaftVersionRecord, LeaderChangeMessage, SnapshotHeaderRecord};
use crate::protocol::record::{Record, Records};
use crate::protocol::{DecodeError, Decoder, Wire};
use std::collections::BTreeSet;

/// The types of control records in the metadata log (`org.apache.kafka.common.record.ControlRecordType`).
pub mod control {
    pub const LEADER_CHANGE: i16 = 2;
    pub const SNAPSHOT_HEADER: i16 = 3;
    pub const SNAPSHOT_FOOTER: i16 = 4;
    pub const KRAFT_VERSION: i16 = 5;
    pub const KRAFT_VOTERS: i16 = 6;
}

/// Why a batch cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("offset {found} where {expected} must follow")]
    Gap { expected: i64, found: i64 },
    #[error("at offset {offset}: {source}")]
    Batch { offset: i64, source: BatchError },
    #[error("at offset {offset}: {source}")]
    Record { offset: i64, source: RecordError },
    #[error("at offset {offset}: a {record} of {source}")]
    Replay { offset: i64, record: &'static str, source: ReplayError },
    #[error("at offset {offset}: an unknown control record of type {control_type}")]
    UnknownControl { offset: i64, control_type: i16 },
    #[error("at offset {offset}: a transaction that begins inside another")]
    NestedTransaction { offset: i64 },
    #[error("at offset {offset}: the end of a transaction that has not begun")]
    NoTransaction { offset: i64 },
}

type Result<T> = std::result::Result<T, LoadError>;

/// What control records say about the quorum itself (KIP-853): kept as they are, for the next snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumControl {
    /// The value of the last KRaftVersionRecord, and its level.
    pub kraft_version: Option<(i16, Vec<u8>)>,
    /// The value of the last VotersRecord.
    pub voters: Option<Vec<u8>>,
}

/// An image in the making.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    image: MetadataImage,
    /// What has changed since [`Loader::take_delta`].
    delta: ImageDelta,
    /// The image and the changes before the transaction that is open, if one is.
    before_transaction: Option<(MetadataImage, ImageDelta)>,
    pub quorum: QuorumControl,
    /// Whether a snapshot's footer was read: without it a snapshot is not whole.
    pub footer_seen: bool,
    /// The voters that the leader of the last epoch named (KIP-595); empty where none has yet.
    pub leaders_voters: BTreeSet<i32>,
}

impl Loader {
    /// Goes on from an image that a snapshot gave.
    pub fn from_snapshot(image: MetadataImage, quorum: QuorumControl) -> Loader {
        Loader { image, quorum, ..Loader::default() }
    }

    /// How far the log was read.
    pub fn applied(&self) -> Applied {
        self.image.applied
    }

    /// Whether a transaction was begun and has not ended.
    pub fn in_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    /// The image that may be shown: without an unfinished transaction.
    pub fn into_image(self) -> MetadataImage {
        match self.before_transaction {
            Some((before, _)) => MetadataImage { applied: self.image.applied, ..before },
            None => self.image,
        }
    }

    /// The image; not to be shown inside a transaction.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// What has changed since the last call.
    pub fn take_delta(&mut self) -> ImageDelta {
        std::mem::take(&mut self.delta)
    }

    /// Goes on behind records that were applied elsewhere, and shown already.
    pub fn advance_to(&mut self, image: MetadataImage) {
        self.image = image;
    }

    /// Takes the next batch; one that lies wholly before the image is passed over.
    /// Errors: [`LoadError`], and then nothing more may be taken.
    pub fn take(&mut self, batch: RecordBatch<'_>) -> Result<()> {
        let expected = self.image.applied.end_offset;
        if batch.next_offset() <= expected {
            return Ok(());
        }
        if batch.base_offset() != expected {
            return Err(LoadError::Gap { expected, found: batch.base_offset() });
        }
        let at = |offset| move |source| LoadError::Batch { offset, source };
        batch.check_crc().map_err(at(expected))?;
        let records = Records::of(batch).map_err(at(expected))?;
        for (record, offset) in records.iter().zip(expected..) {
            let record = record.map_err(at(offset))?;
            if batch.is_control() {
                self.take_control(&record, offset)?;
            } else {
                self.take_record(record.value, offset)?;
            }
        }
        self.image.applied =
            Applied { end_offset: batch.next_offset(), epoch: batch.leader_epoch(), timestamp: batch.max_timestamp() };
        Ok(())
    }

    fn take_record(&mut self, value: Option<&[u8]>, offset: i64) -> Result<()> {
        let decoded = value.ok_or(RecordError::NoValue).and_then(MetadataRecord::decode);
        let record = decoded.map_err(|source| LoadError::Record { offset, source })?;
        match &record {
            MetadataRecord::BeginTransaction(_) if self.in_transaction() => {
                return Err(LoadError::NestedTransaction { offset });
            }
            MetadataRecord::BeginTransaction(_) => {
                self.before_transaction = Some((self.image.clone(), self.delta.clone()));
            }
            MetadataRecord::EndTransaction(_) => {
                self.before_transaction.take().ok_or(LoadError::NoTransaction { offset })?;
            }
            MetadataRecord::AbortTransaction(_) => {
                let (before, delta) = self.before_transaction.take().ok_or(LoadError::NoTransaction { offset })?;
                self.image = MetadataImage { applied: self.image.applied, ..before };
                self.delta = delta;
            }
            _ => {}
        }
        let replayed = self.image.replay(&record, &mut self.delta);
        replayed.map_err(|source| LoadError::Replay { offset, record: record.name(), source })
    }

    fn take_control(&mut self, record: &Record<'_>, offset: i64) -> Result<()> {
        let failed = |source: DecodeError| LoadError::Record { offset, source: source.into() };
        let value = record.value.unwrap_or_default();
        match control_type(record.key.unwrap_or_default()).map_err(failed)? {
            control::LEADER_CHANGE => self.leaders_voters = voters_of(value).map_err(failed)?,
            control::SNAPSHOT_HEADER => {}
            control::SNAPSHOT_FOOTER => self.footer_seen = true,
            control::KRAFT_VERSION => {
                let level = KRaftVersionRecord::read(&mut Decoder::new(value, 0, true)).map_err(failed)?.k_raft_version;
                self.quorum.kraft_version = Some((level, value.to_vec()));
            }
            control::KRAFT_VOTERS => self.quorum.voters = Some(value.to_vec()),
            control_type => return Err(LoadError::UnknownControl { offset, control_type }),
        }
        Ok(())
    }
}

/// The voters that a leader names when its epoch begins.
fn voters_of(value: &[u8]) -> std::result::Result<BTreeSet<i32>, DecodeError> {
    let version = i16::from_be_bytes(value.first_chunk().copied().ok_or(DecodeError::Truncated)?);
    let message = LeaderChangeMessage::read(&mut Decoder::new(value, version, true))?;
    Ok(message.voters.iter().map(|voter| voter.voter_id).collect())
}

/// The voters of the last epoch that begins in `bytes`, whole batches of a metadata log; `None` where none does.
pub fn leaders_voters(bytes: &[u8]) -> Option<BTreeSet<i32>> {
    let control = batches(bytes).flatten().filter(|batch| batch.is_control());
    let mut last = None;
    for batch in control {
        let records = Records::of(batch).ok()?;
        for record in records.iter().flatten() {
            if control_type(record.key.unwrap_or_default()) == Ok(control::LEADER_CHANGE) {
                last = voters_of(record.value.unwrap_or_default()).ok();
            }
        }
    }
    last
}

/// The type that a control record's key names, behind the key's own version.
fn control_type(key: &[u8]) -> std::result::Result<i16, DecodeError> {
    let mut decoder = Decoder::new(key, 0, false);
    i16::read(&mut decoder)?;
    i16::read(&mut decoder)
}

/// The timestamp of the last record that a snapshot covers, if `batch` is a snapshot's first.
pub fn snapshot_timestamp(batch: RecordBatch<'_>) -> Option<i64> {
    let records = Records::of(batch).ok()?;
    let record = records.iter().next()?.ok()?;
    if !batch.is_control() || control_type(record.key?).ok()? != control::SNAPSHOT_HEADER {
        return None;
    }
    let header = SnapshotHeaderRecord::read(&mut Decoder::new(record.value?, 0, true)).ok()?;
    Some(header.last_contained_log_timestamp)
}
