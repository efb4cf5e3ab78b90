//! The log that a shard lives in, as the coordinator sees it.

use crate::protocol::ErrorCode;
use crate::protocol::record::BatchBuilder;
use std::future::Future;
use std::pin::Pin;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A partition of `__consumer_offsets` that this broker leads.
pub trait CoordinatorLog: Send + Sync {
    /// Appends one batch, stamped `now`, and returns its last offset. Nothing was appended if it fails.
    /// Errors: `NotLeaderOrFollower`, `NotEnoughReplicas`, `MessageTooLarge`, `KafkaStorageError`.
    fn append(&self, batch: BatchBuilder, now: i64) -> Result<i64, ErrorCode>;

    /// Waits until the high watermark is above `offset`.
    /// Errors: `NotLeaderOrFollower` if this broker ceases to lead before.
    fn committed(&self, offset: i64) -> BoxFuture<'_, Result<(), ErrorCode>>;

    /// Whole batches from the one that holds `offset` up to the log end, about `max_bytes` of them and at least one; empty
    /// behind the last. Errors: `KafkaStorageError`, `OffsetOutOfRange`.
    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, ErrorCode>;

    fn log_start_offset(&self) -> i64;

    fn log_end_offset(&self) -> i64;
}
