//! The quorum that keeps the metadata log: KRaft (KIP-595) with pre-votes (KIP-996) and snapshots (KIP-630), as a state
//! machine without input or output.
//!
//! [`Node::step`] takes in one [`Event`] and the time and returns [`Action`]s, which the shell carries out in their
//! order. The shell owns the log, the snapshots, the file `quorum-state` and the connections; the node owns the
//! decisions, and an outline of the log ([`LogView`]). A quorum of one elects itself in its first step by the same rules.
//!
//! `now` is in milliseconds since 1970, of a clock that never goes back and never jumps: the wall clock at the start of
//! the process plus the time since. Timers need the one property, timestamps in DescribeQuorum the other.
//!
//! # Roles
//!
//! ```text
//!                  knows a leader                      time is up, or its connection broke
//!   Unattached ───────────────────────▶ Follower ─────────────────────────────┐
//!     │    ▲                               ▲                                  ▼
//!     │    │ no majority would vote,       │ no majority, and the leader   Prospective: asks for pre-votes
//!     │    │ no leader known               │ was heard before                 │ a majority would vote
//!     │    └───────────────────────────────┴───────────────────────────────   ▼
//!     └────── time is up ───────────▶ Prospective ◀──── time is up ──────── Candidate: epoch + 1, asks for votes
//!                                          ▲                                  │ a majority voted
//!                                          │ time is up                       ▼
//!                                       Resigned ◀── asked to, or no ──────  Leader
//!                                                    majority fetches
//! ```
//!
//! From everywhere: a higher epoch makes a node Unattached, or Follower if its leader is known. A node that is no voter
//! (an observer: a broker that is not a controller) is Unattached or Follower only.
//!
//! # Invariants
//!
//! - An epoch has at most one leader: a voter votes once in it, and the vote is on disk before it is told. Every change of
//!   the election state is followed by [`Action::PersistElection`] before any other action (`Node::push` sees to it).
//! - A position in a Fetch is a promise that everything before it is on disk: a node fetches only when its log is synced,
//!   and a leader counts itself only as far as it has synced.
//! - Two logs that have a record with the same offset and epoch are equal up to it: a leader answers a fetch with records
//!   only if the follower's end, offset and epoch, lies in its own log; else it says where to cut.
//! - Committed is what a majority has on disk, once that includes a record of the leader's own epoch. Each epoch begins
//!   with a LeaderChangeMessage, so that this does not wait for the controller.
//! - The high watermark of a node never goes back, and its log is never cut below it: who asks for that gets a
//!   [`Complaint`], not obedience.
//! - A voter that starts with nothing may be one that has lost its disk, and with it records that it helped to commit: it
//!   votes for no candidate that has records until it has on disk all that a leader has committed.
//! - A node that was cut off does not disturb a working quorum when it returns: it asks for pre-votes first, and who
//!   hears the leader gives none.
//! - What a restarted node cannot know it does not claim: no candidacy and no leadership survive a restart, and the log
//!   that is found counts as unsynced.
//!
//! # Deliberately absent
//!
//! - Changes of the voter set (KIP-853): voters are those of `controller.quorum.voters`. Directory ids are in the messages
//!   and in `quorum-state`, zero where there is none.
//! - Records' contents. The node sees where batches begin and end and of which epoch they are.
//! - Retries of a proposal: who proposed learns from [`Action::LeaderChanged`] and [`Action::Committed`] what became of it.
//! - Batching and lingering of proposals (`controller.quorum.append.linger.ms`): the driver proposes what it has while the
//!   last sync is under way.

mod action;
mod control;
mod election;
mod following;
mod ids;
mod leader;
mod leading;
mod log_view;
mod message;
mod node;
mod peers;
pub mod quorum_state;
mod role;
mod settings;
#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;
mod transitions;
pub mod wire;

pub use action::{Action, Complaint, Correlation, Event, LogRead, RequestId, SyncPoint};
pub use ids::{LeaderAndEpoch, LeaderEpoch, OffsetAndEpoch, ReplicaId, ReplicaKey, SnapshotId};
pub use leading::{QuorumDescription, ReplicaDescription};
pub use log_view::LogView;
pub use message::{
    Answer, BatchSpan, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchAnswer, FetchRequest, FetchSnapshotRequest,
    Fetched, Records, Refusal, Request, Response, SnapshotChunk, VoteRequest,
};
pub use node::{Node, ProposalRefused};
pub use quorum_state::ElectionState;
pub use settings::Settings;
