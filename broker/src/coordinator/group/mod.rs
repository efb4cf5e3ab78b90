//! Groups of the classic protocol: their members, their rebalances, their committed offsets (KIP-62, KIP-211, KIP-345,
//! KIP-394, KIP-496, KIP-814). One [`Shard`] holds the groups of one partition of `__consumer_offsets`.
//!
//! A group has two halves:
//! - the **durable half** ([`metadata`]) is what the log says: the last generation that was written down, and the committed
//!   offsets. [`Shard::replay`] alone changes it, by one record at a time.
//! - the **live half** (`live`) is what the log does not know: who waits for an answer, who is late, how far a rebalance
//!   has come. [`Shard::apply`] alone changes it, and it is gone after a restart: members come back by their heartbeats.
//!
//! Every request is a function of `&Shard` and the time. It changes nothing and says what is to happen: [`Effects`], which
//! are records for the log, changes of the live half, and answers to requests that wait. The driver appends the records,
//! then lets the shard `apply` the effects, then hands out the answers once the records are committed. If the append fails,
//! nothing has happened.
//!
//! A JoinGroup or SyncGroup may have to wait for other members. It is known by a [`Token`], which the member keeps; the
//! answer comes with the effects of whatever ends the wait.
//!
//! Time: a group knows all its deadlines (sessions, joins, syncs), the shard one moment for each group at which it looks at
//! them ([`Shard::next_deadline`], [`Shard::expire`]). A heartbeat only moves the member's deadline: the shard may look too
//! early, never too late.
//!
//! Invariants:
//! - In the states `Empty` and `Stable` the two halves agree; a rebalance is the only time they differ.
//! - A member holds at most one token of each kind, and a token is answered once: by its generation, by an error, or by a
//!   later request of the same member.
//! - The members of a `Stable` generation are those that were told their assignment or still may ask for it.
//!
//! Deliberately absent: partition assignment (the leader's business, also where it is cooperative), offsets of
//! transactions that are still open, the protocols of KIP-848 and KIP-932.

pub mod config;
pub mod metadata;
pub mod partition;
pub mod records;

mod admin;
mod effects;
mod join;
mod leave;
mod live;
mod offsets;
#[cfg(test)]
mod properties;
mod rebalance;
mod retention;
mod shard;
mod sync;
mod turn;

pub use config::GroupConfig;
pub use effects::{Change, Effects, Token};
pub use join::Caller;
pub use live::GroupState;
pub use metadata::GroupOffset;
pub use partition::partition_for;
pub use records::{GroupRecord, RecordError};
pub use shard::Shard;
pub use turn::{join_error, sync_error};
