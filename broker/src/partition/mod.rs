//! The partitions that this broker holds: what lies between a request and a log.
//!
//! - Whoever appends or reads names the leader epoch it believes in; a stale one is told so (KIP-320).
//! - A record is readable by clients below the high watermark, and acks=all is answered once that lies above it.
//! - Waiting (Fetch for bytes, acks=all for a commit) costs nothing while nobody waits, and no timer or task for each
//!   partition: a waiter registers with the partitions it waits for, and is woken by whoever moves them.
//!
//! Deliberately absent: a purgatory. A wait is a future with a deadline, held by the connection that waits.

mod error;
mod map;
#[allow(clippy::module_inception)]
mod partition;
mod waiters;

pub use error::PartitionError;
pub use map::{Partitions, Rolled, TopicPartitions};
pub use partition::{Isolation, Partition, Progress, Readable};
pub use waiters::Waiter;
