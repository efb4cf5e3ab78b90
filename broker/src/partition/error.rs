//! What can keep a partition from answering, and Kafka's code for each.

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
