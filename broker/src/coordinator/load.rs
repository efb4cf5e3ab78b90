//! Rebuilds a shard from its log.

use super::group::{GroupConfig, GroupRecord, RecordError, Shard};
use super::log::CoordinatorLog;
use crate::protocol::ErrorCode;
use crate::protocol::batch::{self, RecordBatch};
use crate::protocol::record::{Record, Records};
use std::collections::HashMap;
use std::sync::Arc;

/// The key of a control record says its type behind two bytes of version (KIP-98).
const COMMIT_MARKER: &[u8] = &[0, 1];

/// Why a shard could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the log cannot be read: {0}")]
    Read(ErrorCode),
    #[error("the record at offset {offset}: {error}")]
    Record { offset: i64, error: RecordError },
}

/// A loaded shard, and the last offset that is in it (-1 of an empty log).
#[derive(Debug)]
pub struct Loaded {
    pub shard: Shard,
    pub last_offset: i64,
}

/// Reads `log` of `partition` from its start to the end it has then, and makes the groups live at `now()`. Records that are
/// not understood are skipped. Blocks on the disk.
pub fn load(
    log: &dyn CoordinatorLog,
    partition: i32,
    config: Arc<GroupConfig>,
    now: impl FnOnce() -> i64,
) -> Result<Loaded, LoadError> {
    let buffer_size = config.offsets_load_buffer_size;
    let mut loader = Loader { partition, shard: Shard::new(config), open_transactions: HashMap::new() };
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let bytes = log.read(offset, buffer_size).map_err(LoadError::Read)?;
        let next_offset = loader.batches(offset, &bytes)?;
        if next_offset == offset {
            break;
        }
        offset = next_offset;
    }
    loader.shard.loaded(now());
    Ok(Loaded { shard: loader.shard, last_offset: offset - 1 })
}

/// The offsets that a transaction commits count when its marker is read, in the order of the markers.
struct Loader {
    partition: i32,
    shard: Shard,
    /// By producer id.
    open_transactions: HashMap<i64, Vec<GroupRecord>>,
}

impl Loader {
    /// Returns the offset behind the last batch, or `offset` if there is none at or behind it.
    fn batches(&mut self, offset: i64, bytes: &[u8]) -> Result<i64, LoadError> {
        let mut next_offset = offset;
        for batch in batch::batches(bytes) {
            let batch = batch.map_err(|error| LoadError::Record { offset: next_offset, error: error.into() })?;
            self.batch(batch).map_err(|error| LoadError::Record { offset: batch.base_offset(), error })?;
            next_offset = next_offset.max(batch.next_offset());
        }
        Ok(next_offset)
    }

    fn batch(&mut self, batch: RecordBatch<'_>) -> Result<(), RecordError> {
        let records = Records::of(batch)?;
        for record in records.iter() {
            let record = record?;
            if batch.is_control() {
                self.marker(batch.producer_id(), &record);
            } else if let Some(decoded) = self.decode(batch, &record) {
                self.record(batch, decoded);
            }
        }
        Ok(())
    }

    /// None of a record that is not ours, or broken: it costs what it says, not the whole shard.
    fn decode(&self, batch: RecordBatch<'_>, record: &Record<'_>) -> Option<GroupRecord> {
        match GroupRecord::decode(record.key, record.value) {
            Ok(Ok(record)) => Some(record),
            Ok(Err(key_type)) => {
                tracing::debug!(key_type, "skipped a record of a type that is not ours");
                None
            }
            Err(error) => {
                let offset = batch.base_offset() + i64::from(record.offset_delta);
                tracing::warn!(partition = self.partition, offset, %error, "skipped a broken record");
                None
            }
        }
    }

    fn record(&mut self, batch: RecordBatch<'_>, record: GroupRecord) {
        if batch.is_transactional() {
            self.open_transactions.entry(batch.producer_id()).or_default().push(record);
        } else {
            self.shard.replay(record);
        }
    }

    fn marker(&mut self, producer_id: i64, record: &Record<'_>) {
        let pending = self.open_transactions.remove(&producer_id).unwrap_or_default();
        if record.key.and_then(|key| key.get(2..4)) == Some(COMMIT_MARKER) {
            pending.into_iter().for_each(|record| self.shard.replay(record));
        }
    }
}
