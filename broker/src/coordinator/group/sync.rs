//! SyncGroup and Heartbeat: the assignments of a generation, and who is still there.

use super::effects::{Change, Effects, Kind, Token};
use super::live::{GroupState, Live};
use super::metadata::{Bytes, Text};
use super::shard::Shard;
use super::turn::{MemberName, Turn, sync_error};
use crate::protocol::ErrorCode;
use crate::protocol::messages::heartbeat::HeartbeatRequest;
use crate::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use std::collections::BTreeMap;

impl Shard {
    /// Asks for a member's assignment, or sets all if the leader asks. `token` is answered now or when the leader has come.
    /// Errors (as answers): `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`, `InconsistentGroupProtocol`,
    /// `RebalanceInProgress`.
    pub fn sync(&self, now: i64, request: &SyncGroupRequest<'_>, token: Token) -> Effects {
        let turn = self.turn(now, &request.group_id).filter(|turn| turn.live.state != GroupState::Empty);
        let Some(mut turn) = turn else {
            return Effects { syncs: vec![(token, sync_error(ErrorCode::UnknownMemberId))], ..Default::default() };
        };
        match validate_sync(&turn.live, request) {
            Ok(()) => turn.sync(request, token),
            Err(error) => turn.refuse_sync(token, error),
        }
        turn.finish()
    }

    /// Keeps a member alive. Errors: `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`; `RebalanceInProgress`
    /// tells it to join again, and keeps it alive too.
    pub fn heartbeat(&self, now: i64, request: &HeartbeatRequest<'_>) -> (Result<(), ErrorCode>, Effects) {
        let name = MemberName { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
        let Some(live) = self.live(&request.group_id) else {
            return (Err(ErrorCode::UnknownMemberId), Effects::default());
        };
        if let Err(error) = live.validate_generation(name, request.generation_id) {
            return (Err(error), Effects::default());
        }
        let result = match live.state {
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        };
        (result, self.heard_of(now, &request.group_id, name.member_id))
    }

    /// The effect of a sign of life.
    pub(super) fn heard_of(&self, now: i64, group: &str, member_id: &str) -> Effects {
        let Some(member) = self.live(group).and_then(|live| live.members.get(member_id)) else {
            return Effects::default();
        };
        let session_deadline = now + i64::from(member.session_timeout_ms);
        let heartbeat = Kind::Heartbeat { group: Text::from(group), member: member.id.clone(), session_deadline };
        Effects { changes: vec![Change(heartbeat)], ..Default::default() }
    }
}

impl Live {
    pub fn validate_generation(&self, name: MemberName<'_>, generation: i32) -> Result<(), ErrorCode> {
        self.validate_member(name)?;
        if generation == self.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }
}

fn validate_sync(live: &Live, request: &SyncGroupRequest<'_>) -> Result<(), ErrorCode> {
    let name = MemberName { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
    live.validate_generation(name, request.generation_id)?;
    let differs = |asked: Option<&str>, is: &Option<Text>| asked.is_some_and(|asked| Some(asked) != is.as_deref());
    if differs(request.protocol_type.as_deref(), &live.protocol_type)
        || differs(request.protocol_name.as_deref(), &live.protocol)
    {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

impl Turn<'_> {
    fn sync(&mut self, request: &SyncGroupRequest<'_>, token: Token) {
        match self.live.state {
            GroupState::Empty | GroupState::PreparingRebalance => {
                self.refuse_sync(token, ErrorCode::RebalanceInProgress);
            }
            GroupState::CompletingRebalance => {
                self.await_assignment(&request.member_id, token);
                if self.live.is_leader(&request.member_id) {
                    self.assign(request);
                }
            }
            GroupState::Stable => {
                self.has_synced(&request.member_id);
                let response = self.sync_response(&request.member_id);
                self.effects.syncs.push((token, response));
            }
        }
    }

    fn await_assignment(&mut self, member_id: &str, token: Token) {
        self.has_synced(member_id);
        let Some(member) = self.live.member_mut(member_id) else { return };
        if let Some(superseded) = member.sync.replace(token) {
            self.refuse_sync(superseded, ErrorCode::RebalanceInProgress);
        }
    }

    fn has_synced(&mut self, member_id: &str) {
        self.live.pending_syncs.remove(member_id);
        if self.live.pending_syncs.is_empty() {
            self.live.sync_deadline = None;
        }
    }

    /// Takes the leader's assignments, writes the generation down, and answers those who wait. Members that the leader
    /// left out get an empty assignment.
    fn assign(&mut self, request: &SyncGroupRequest<'_>) {
        let assignments: BTreeMap<&str, &[u8]> =
            request.assignments.iter().map(|one| (&*one.member_id, &*one.assignment)).collect();
        let mut waiting = Vec::new();
        self.live.for_each_member(|member| {
            member.assignment = assignments.get(&*member.id).map(|bytes| Bytes::from(*bytes)).unwrap_or_default();
            waiting.extend(member.sync.take().map(|token| (member.id.clone(), token)));
        });
        self.live.enter(GroupState::Stable, self.now);
        self.record_metadata();
        for (member_id, token) in waiting {
            self.restart_session(&member_id);
            let response = self.sync_response(&member_id);
            self.effects.syncs.push((token, response));
        }
    }

    fn sync_response(&self, member_id: &str) -> SyncGroupResponse<'static> {
        let assignment = self.live.members.get(member_id).map(|member| member.assignment.to_vec()).unwrap_or_default();
        SyncGroupResponse {
            protocol_type: self.live.protocol_type.as_deref().map(|name| name.to_owned().into()),
            protocol_name: self.live.protocol.as_deref().map(|name| name.to_owned().into()),
            assignment: assignment.into(),
            ..Default::default()
        }
    }
}
