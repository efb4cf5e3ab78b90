//! A partition of `__consumer_offsets` as the group coordinator sees it.

use crate::coordinator::{BoxFuture, CoordinatorLog};
use crate::log::Origin;
use crate::partition::{Acks, Append, Partition};
use crate::protocol::ErrorCode;
use crate::protocol::batch::RecordBatch;
use crate::protocol::record::BatchBuilder;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub struct GroupLog {
    pub partition: Arc<Partition>,
    /// The epoch that the groups were loaded in: once this broker has not led for a while, others may have appended what
    /// they do not know.
    pub leader_epoch: i32,
    /// How long an answer waits for its records to be committed (`offsets.commit.timeout.ms`).
    pub commit_timeout: Duration,
}

impl CoordinatorLog for GroupLog {
    fn append(&self, batch: BatchBuilder, now: i64) -> Result<i64, ErrorCode> {
        let bytes = batch.build();
        let (batch, _) = RecordBatch::split_first(&bytes).expect("a batch that was just built");
        let how = Append { origin: Origin::Coordinator, acks: Acks::All, leader_epoch: self.leader_epoch };
        let placed = self.partition.append(batch, how, now).map_err(|error| match error.code() {
            ErrorCode::FencedLeaderEpoch | ErrorCode::UnknownLeaderEpoch => ErrorCode::NotLeaderOrFollower,
            code => code,
        })?;
        Ok(placed.appended.last_offset)
    }

    fn committed(&self, offset: i64) -> BoxFuture<'_, Result<(), ErrorCode>> {
        let deadline = Instant::now() + self.commit_timeout;
        let committed = self.partition.committed(offset, self.leader_epoch, deadline);
        Box::pin(async move { committed.await.map_err(|error| error.code()) })
    }

    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, ErrorCode> {
        self.partition.read_bytes(offset, max_bytes).map_err(|error| error.code())
    }

    fn log_start_offset(&self) -> i64 {
        self.partition.log(|log| log.log_start_offset()).unwrap_or(0)
    }

    fn log_end_offset(&self) -> i64 {
        self.partition.log(|log| log.log_end_offset()).unwrap_or(0)
    }
}
