//! Coordinators: the groups that share work and remember how far they have come.
//!
//! [`group`] is pure and knows the rules. [`Groups`] runs it: it loads a shard when this broker begins to lead its
//! partition of `__consumer_offsets`, appends what requests decide through a [`CoordinatorLog`], lets the shard take it over,
//! and answers when it is committed.
//!
//! - A shard is changed under its lock, in the order of its log; nobody waits while holding the lock.
//! - A shard never runs ahead of its log: effects are applied behind a successful append, and not at all otherwise. What the
//!   next request sees is in the log, though perhaps not committed yet.
//! - No client learns what may still be lost: committed offsets and assignments leave when all that the shard had appended
//!   by then is committed.
//! - One task looks at the deadlines of all shards; a group costs memory only.
//!
//! Deliberately absent: transactions, and the choice of who leads a partition.

pub mod group;

mod deadlines;
mod driver;
mod load;
mod log;
mod requests;
#[cfg(test)]
mod tests;
mod waiting;

pub use driver::{Clock, Groups};
pub use group::{GroupConfig, GroupOffset};
pub use log::{BoxFuture, CoordinatorLog};
