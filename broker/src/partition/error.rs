//! What can keep a partition from answering, and Kafka's code for each.

use super::replica::FetchRefusal;
use crate::log::{AppendError, ReadError};
use crate::protocol::ErrorCode;

#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    #[error("this broker does not lead the partition")]
    NotLeader,
    #[error("the client's leader epoch is older than the leader's")]
    FencedLeaderEpoch,
    #[error("the client's leader epoch is newer than the leader's")]
    UnknownLeaderEpoch,
    #[error("the commit did not happen in time")]
    TimedOut,
    #[error("fewer replicas are in sync than min.insync.replicas asks for")]
    NotEnoughReplicas,
    #[error("the records were appended, but fewer replicas are in sync than min.insync.replicas asks for")]
    NotEnoughReplicasAfterAppend,
    #[error("the new leader does not know yet how far the partition is committed")]
    OffsetNotAvailable,
    #[error(transparent)]
    Fetch(#[from] FetchRefusal),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the log's disk: {0}")]
    Storage(#[from] std::io::Error),
}

impl PartitionError {
    pub fn code(&self) -> ErrorCode {
        match self {
            PartitionError::NotLeader => ErrorCode::NotLeaderOrFollower,
            PartitionError::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            PartitionError::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            PartitionError::TimedOut => ErrorCode::RequestTimedOut,
            PartitionError::NotEnoughReplicas => ErrorCode::NotEnoughReplicas,
            PartitionError::NotEnoughReplicasAfterAppend => ErrorCode::NotEnoughReplicasAfterAppend,
            PartitionError::OffsetNotAvailable => ErrorCode::OffsetNotAvailable,
            PartitionError::Fetch(FetchRefusal::NotLeader | FetchRefusal::EarlierIncarnation(_)) => {
                ErrorCode::NotLeaderOrFollower
            }
            // The replica may know of a reassignment that this broker has not heard of yet: it is to ask again.
            PartitionError::Fetch(FetchRefusal::UnknownReplica(_)) => ErrorCode::UnknownLeaderEpoch,
            PartitionError::Append(error) => append_code(error),
            PartitionError::Read(error) => read_code(error),
            PartitionError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

fn append_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTxnState => ErrorCode::InvalidTxnState,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::InvalidRecord(_) => ErrorCode::InvalidRecord,
        AppendError::NonSequentialOffset { .. } => ErrorCode::UnknownServerError,
        AppendError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

fn read_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}
