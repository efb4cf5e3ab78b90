//! The partitions that this broker holds: what lies between a request and a log.
//!
//! - [`replica`] is pure and decides: who is in sync, what is committed, where a follower cuts its log.
//! - Whoever appends or reads names the leader epoch it believes in; a stale one is told so (KIP-320).
//! - A record is readable by clients below the high watermark, and acks=all is answered once that lies above it.
//! - Waiting (Fetch for bytes, acks=all for a commit) costs nothing while nobody waits, and no timer or task for each
//!   partition: a waiter registers with the partitions it waits for, and is woken by whoever moves them.
//! - A follower appends only what the leader of its own epoch sent for the end of its own log.
//! - Replicas that are moved are throttled where that is asked for (KIP-73), those in sync never.
//!
//! Deliberately absent: a purgatory. A wait is a future with a deadline, held by the connection that waits.

mod broker;
#[cfg(test)]
mod cluster_test;
mod error;
mod fetching;
mod following;
mod isr;
mod map;
#[allow(clippy::module_inception)]
mod partition;
pub mod rate;
mod reading;
pub mod replica;
mod sync;
#[cfg(test)]
pub mod testing;
mod throttle;
mod traffic;
mod upkeep;
mod waiters;
mod watched;

pub use broker::{Asking, Broker, Disks, LiveBroker, LiveBrokers, ReplicaSettings, live_brokers};
pub use error::PartitionError;
pub use fetching::{FetcherSettings, Followers};
pub use following::{FetchedRecords, FollowError, Position};
pub use isr::{IsrChannel, keep_isrs};
pub use map::{Partitions, TopicPartitions};
pub use partition::{Append, NO_EPOCH, Partition, Placed, Progress};
pub use reading::{Isolation, ReadRequest, Readable, Reader};
pub use sync::start_syncing;
pub use throttle::{Throttle, Throttled, Throttles, Throttling, UNLIMITED};
pub use traffic::{TopicTraffic, Traffic, TrafficCount};
pub use waiters::{Acks, Inbox, Interest, Subscription};
pub use watched::{IsrMoves, Led};
