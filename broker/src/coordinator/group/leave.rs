//! LeaveGroup: members that go, by themselves or because an administrator removes them (KIP-345).

use super::effects::Effects;
use super::live::GroupState;
use super::shard::Shard;
use super::turn::{MemberName, Turn};
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity, MemberResponse};

impl Shard {
    /// Removes the members that `request` names; each has its own result.
    /// Errors, for each member: `UnknownMemberId` (of all, if the group does not exist), `FencedInstanceId`.
    pub fn leave(&self, now: i64, request: &LeaveGroupRequest<'_>) -> (Vec<MemberResponse<'static>>, Effects) {
        let Some(mut turn) = self.turn(now, &request.group_id) else {
            let unknown = |member| response(member, Err(ErrorCode::UnknownMemberId));
            return (request.members.iter().map(unknown).collect(), Effects::default());
        };
        let results: Vec<_> = request.members.iter().map(|member| turn.leave(member)).collect();
        if results.iter().any(Result::is_ok) {
            turn.rebalance_without_the_left();
        }
        let responses = request.members.iter().zip(results).map(|(member, result)| response(member, result)).collect();
        (responses, turn.finish())
    }
}

fn response(member: &MemberIdentity<'_>, result: Result<(), ErrorCode>) -> MemberResponse<'static> {
    MemberResponse {
        member_id: member.member_id.to_string().into(),
        group_instance_id: member.group_instance_id.as_deref().map(|id| id.to_owned().into()),
        error_code: result.err().map_or(0, ErrorCode::code),
    }
}

impl Turn<'_> {
    fn leave(&mut self, member: &MemberIdentity<'_>) -> Result<(), ErrorCode> {
        let member_id = match (&*member.member_id, member.group_instance_id.as_deref()) {
            // An administrator names a static member by its instance id alone.
            ("", instance_id) => {
                let known = instance_id.and_then(|instance_id| self.live.static_members.get(instance_id));
                known.cloned().ok_or(ErrorCode::UnknownMemberId)?
            }
            (member_id, _) if self.live.pending_joins.contains_key(member_id) => member_id.into(),
            (member_id, instance_id) => {
                self.live.validate_member(MemberName { member_id, instance_id })?;
                member_id.into()
            }
        };
        tracing::info!(group = %self.group, member = %member_id, reason = member.reason.as_deref(), "a member left");
        self.remove_member(&member_id);
        Ok(())
    }

    fn rebalance_without_the_left(&mut self) {
        match self.live.state {
            GroupState::Empty => {}
            GroupState::PreparingRebalance => self.complete_join_if_all_joined(),
            _ => self.prepare_rebalance("members left"),
        }
    }
}
