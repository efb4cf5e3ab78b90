//! The durable half of a group: what `__consumer_offsets` says about it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Text that the halves of a group share.
pub type Text = Arc<str>;
/// Bytes that the broker does not look into, shared by the halves of a group.
pub type Bytes = Arc<[u8]>;

/// A group's committed offsets by topic and partition.
pub type Offsets = BTreeMap<Text, BTreeMap<i32, CommittedOffset>>;

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// The leader epoch of the last record consumed, -1 where it is not known (KIP-320).
    pub leader_epoch: i32,
    /// What the consumer wants to remember; mostly empty, and then takes no memory of its own.
    pub metadata: Box<str>,
    /// Milliseconds since 1970.
    pub commit_timestamp: i64,
    /// Milliseconds since 1970, where an old client chose its own retention (OffsetCommit before version 5).
    pub expire_timestamp: Option<i64>,
}

/// How far a group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    pub group: Text,
    pub topic: Text,
    pub partition: i32,
    pub offset: i64,
}

/// The last generation of a group that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `consumer`, `connect`, ...; none before the first member.
    pub protocol_type: Option<Text>,
    pub generation: i32,
    pub protocol: Option<Text>,
    pub leader: Option<Text>,
    /// Milliseconds since 1970 at which the group entered its state; unknown in records of before KIP-211.
    pub state_timestamp: Option<i64>,
    pub members: Vec<MemberMetadata>,
}

/// A member of a written generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: Text,
    pub group_instance_id: Option<Text>,
    pub client_id: Text,
    pub client_host: Text,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// What the member said in the protocol that was chosen.
    pub subscription: Bytes,
    pub assignment: Bytes,
}
