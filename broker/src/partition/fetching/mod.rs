//! Fetches from other brokers what they lead and this one follows.
//!
//! - One task and one connection for each leader (`num.replica.fetchers` of them), with an incremental session (KIP-227):
//!   an idle partition costs nothing on either side.
//! - A partition that is assigned while a request waits at the leader is asked for at once by a second request, which ends
//!   the wait of the first. Never are more than two under way.
//! - An answer counts for a partition only if it is to the request that named it last, or to a later one: what the leader
//!   said to what was asked before is about another end of the log.
//! - A partition that is held back, by an error or by a throttle, is left out of the session and rests: nothing is asked for
//!   where all rest.
//! - What one answer holds of a partition is appended under its lock once, borrowed from the connection's buffer.
//!
//! Deliberately absent: an own request for the end of an epoch. The leader tells in its answer where the logs part.

mod connection;
mod fetcher;
mod followers;

pub use followers::{FetcherSettings, Followers};
