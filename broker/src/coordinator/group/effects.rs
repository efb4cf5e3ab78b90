//! What a request or a deadline leads to.

use super::live::Live;
use super::metadata::Text;
use super::records::GroupRecord;
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::messages::sync_group::SyncGroupResponse;

/// A request that waits for its answer; the driver gives each its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What is to happen: all of it or, if the records cannot be appended, none.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be appended as one batch and replayed.
    pub records: Vec<GroupRecord>,
    /// To be applied to the live halves, behind the records.
    pub changes: Vec<Change>,
    /// To be sent when the records are committed; at once where there are none.
    pub joins: Vec<(Token, JoinGroupResponse<'static>)>,
    pub syncs: Vec<(Token, SyncGroupResponse<'static>)>,
}

impl Effects {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.changes.is_empty() && self.joins.is_empty() && self.syncs.is_empty()
    }
}

/// A change of live state.
#[derive(Debug)]
pub struct Change(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    /// The group is as this says, and exists.
    Live { group: Text, live: Live },
    /// The member was heard of.
    Heartbeat { group: Text, member: Text, session_deadline: i64 },
}
