//! One group's turn: a copy of its live half that a request or a deadline works on, and what comes of it.

use super::config::GroupConfig;
use super::effects::{Change, Effects, Kind, Token};
use super::live::{Live, Member};
use super::metadata::Text;
use super::records::GroupRecord;
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::messages::sync_group::SyncGroupResponse;

/// How a request names a member: by id, and by instance id if it is static (KIP-345).
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberName<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
}

impl Live {
    /// Errors: `UnknownMemberId`; `FencedInstanceId` if another member has taken the instance id.
    pub fn validate_member(&self, name: MemberName<'_>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = name.instance_id {
            let member_id = self.static_members.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            if **member_id != *name.member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.members.contains_key(name.member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }
}

/// The work on one group. Nothing of it is seen before [`Turn::finish`].
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub config: &'a GroupConfig,
    pub now: i64,
    pub group: Text,
    pub live: Live,
    pub effects: Effects,
}

impl<'a> Turn<'a> {
    pub fn new(config: &'a GroupConfig, now: i64, group: Text, live: Live) -> Turn<'a> {
        Turn { config, now, group, live, effects: Effects::default() }
    }

    pub fn finish(mut self) -> Effects {
        self.effects.changes.push(Change(Kind::Live { group: self.group, live: self.live }));
        self.effects
    }

    /// Writes the group down as it is.
    pub fn record_metadata(&mut self) {
        let metadata = Some(self.live.metadata());
        self.effects.records.push(GroupRecord::Metadata { group: self.group.clone(), metadata });
    }

    pub fn answer_join(&mut self, token: Token, response: JoinGroupResponse<'static>) {
        self.effects.joins.push((token, response));
    }

    pub fn refuse_join(&mut self, token: Token, member_id: &str, error: ErrorCode) {
        self.answer_join(token, join_error(member_id, error));
    }

    pub fn refuse_sync(&mut self, token: Token, error: ErrorCode) {
        self.effects.syncs.push((token, sync_error(error)));
    }

    /// A member that is answered has its session before it again.
    pub fn restart_session(&mut self, member_id: &str) {
        let now = self.now;
        if let Some(member) = self.live.member_mut(member_id) {
            member.session_deadline = Some(now + i64::from(member.session_timeout_ms));
        }
    }

    /// Removes a member; a request of it that waits is refused, so that the client joins anew if it is still there.
    pub fn remove_member(&mut self, member_id: &str) {
        let Some(member) = self.live.remove(member_id) else { return };
        self.refuse_waiting(&member, "", ErrorCode::UnknownMemberId);
    }

    pub fn refuse_waiting(&mut self, member: &Member, member_id: &str, error: ErrorCode) {
        if let Some(token) = member.join {
            self.refuse_join(token, member_id, error);
        }
        if let Some(token) = member.sync {
            self.refuse_sync(token, error);
        }
    }
}

/// A JoinGroup that did not succeed.
pub fn join_error(member_id: &str, error: ErrorCode) -> JoinGroupResponse<'static> {
    JoinGroupResponse { member_id: member_id.to_owned().into(), error_code: error.code(), ..Default::default() }
}

/// A SyncGroup that did not succeed.
pub fn sync_error(error: ErrorCode) -> SyncGroupResponse<'static> {
    SyncGroupResponse { error_code: error.code(), ..Default::default() }
}
