//! The requests that groups answer. Handlers check what needs no group, and bring requests of all versions into one form.

use super::driver::{Groups, Slot};
use super::group::{Caller, Effects};
use super::waiting::Answer;
use crate::handlers::Context;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_groups::DescribedGroup;
use crate::protocol::messages::heartbeat::HeartbeatRequest;
use crate::protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use crate::protocol::messages::leave_group::{LeaveGroupRequest, MemberResponse};
use crate::protocol::messages::list_groups::ListedGroup;
use crate::protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponseTopic};
use crate::protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponseTopic};
use crate::protocol::messages::offset_fetch::{OffsetFetchRequestTopics, OffsetFetchResponseTopics};
use crate::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use tokio::sync::oneshot;

impl Groups {
    /// Joins a group and waits for its generation. Errors: those of the group, and `NotCoordinator`,
    /// `CoordinatorLoadInProgress`, `CoordinatorNotAvailable` as in all of these.
    pub async fn join(
        &self,
        context: &Context<'_>,
        caller: &Caller<'_>,
        request: &JoinGroupRequest<'_>,
    ) -> Result<JoinGroupResponse<'static>, ErrorCode> {
        let token = self.token();
        let (slot, answer) = self.with_shard(&request.group_id, |active, log| {
            let answer = active.joins.park(token);
            let effects = active.shard.join(context.now, caller, request, token);
            active.carry_out(log, effects, context.now).inspect_err(|_| active.joins.forget(token))?;
            Ok(answer)
        })?;
        self.answered(&slot, answer).await
    }

    /// Asks for an assignment and waits for it.
    pub async fn sync(
        &self,
        context: &Context<'_>,
        request: &SyncGroupRequest<'_>,
    ) -> Result<SyncGroupResponse<'static>, ErrorCode> {
        let token = self.token();
        let (slot, answer) = self.with_shard(&request.group_id, |active, log| {
            let answer = active.syncs.park(token);
            let effects = active.shard.sync(context.now, request, token);
            active.carry_out(log, effects, context.now).inspect_err(|_| active.syncs.forget(token))?;
            Ok(answer)
        })?;
        self.answered(&slot, answer).await
    }

    /// Waits for an answer of a shard, and until it may leave.
    async fn answered<R>(&self, slot: &Slot, answer: oneshot::Receiver<Answer<R>>) -> Result<R, ErrorCode> {
        let answer = answer.await.map_err(|_| ErrorCode::NotCoordinator)?;
        self.committed(slot, answer.after).await?;
        Ok(answer.response)
    }

    pub async fn heartbeat(&self, context: &Context<'_>, request: &HeartbeatRequest<'_>) -> Result<(), ErrorCode> {
        let (_, result) = self.with_shard(&request.group_id, |active, log| {
            let (result, effects) = active.shard.heartbeat(context.now, request);
            active.carry_out(log, effects, context.now)?;
            Ok(result)
        })?;
        result
    }

    pub async fn leave(
        &self,
        context: &Context<'_>,
        request: &LeaveGroupRequest<'_>,
    ) -> Result<Vec<MemberResponse<'static>>, ErrorCode> {
        let (slot, (responses, after)) = self.with_shard(&request.group_id, |active, log| {
            let (responses, effects) = active.shard.leave(context.now, request);
            Ok((responses, active.carry_out(log, effects, context.now)?))
        })?;
        self.committed(&slot, after).await?;
        Ok(responses)
    }

    pub async fn commit(
        &self,
        context: &Context<'_>,
        request: &OffsetCommitRequest<'_>,
    ) -> Result<Vec<OffsetCommitResponseTopic<'static>>, ErrorCode> {
        let (slot, (responses, after)) = self.with_shard(&request.group_id, |active, log| {
            let (responses, effects) = active.shard.commit(context.now, context.version, request)?;
            Ok((responses, active.carry_out(log, effects, context.now)?))
        })?;
        self.committed(&slot, after).await?;
        Ok(responses)
    }

    /// The committed offsets of `topics`, or all of the group. What was committed before is in the answer.
    pub async fn fetch(
        &self,
        group_id: &str,
        topics: Option<&[OffsetFetchRequestTopics<'_>]>,
    ) -> Result<Vec<OffsetFetchResponseTopics<'static>>, ErrorCode> {
        let (slot, (responses, last_offset)) =
            self.with_shard(group_id, |active, _| Ok((active.shard.fetch(group_id, topics), active.last_offset)))?;
        self.committed(&slot, Some(last_offset)).await?;
        Ok(responses)
    }

    pub async fn delete_offsets(
        &self,
        context: &Context<'_>,
        request: &OffsetDeleteRequest<'_>,
    ) -> Result<Vec<OffsetDeleteResponseTopic<'static>>, ErrorCode> {
        let (slot, (responses, after)) = self.with_shard(&request.group_id, |active, log| {
            let (responses, effects) = active.shard.delete_offsets(request)?;
            Ok((responses, active.carry_out(log, effects, context.now)?))
        })?;
        self.committed(&slot, after).await?;
        Ok(responses)
    }

    /// A group as DescribeGroups shows it; none if it does not exist.
    pub fn describe(&self, group_id: &str) -> Result<Option<DescribedGroup<'static>>, ErrorCode> {
        self.with_shard(group_id, |active, _| Ok(active.shard.describe(group_id))).map(|(_, described)| described)
    }

    /// The groups here in one of `states` and of one of `types`; an empty filter lets all through.
    /// Errors: `CoordinatorLoadInProgress` while some of them are loaded.
    pub fn list(&self, states: &[&str], types: &[&str]) -> Result<Vec<ListedGroup<'static>>, ErrorCode> {
        let mut groups = Vec::new();
        for slot in self.slots() {
            match slot.lock().active() {
                Ok(active) => groups.extend(active.shard.list(states, types)),
                Err(ErrorCode::NotCoordinator) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(groups)
    }

    pub async fn delete(&self, context: &Context<'_>, group_id: &str) -> Result<(), ErrorCode> {
        let (slot, after) = self.with_shard(group_id, |active, log| {
            let effects: Effects = active.shard.delete(group_id)?;
            active.carry_out(log, effects, context.now)
        })?;
        self.committed(&slot, after).await
    }
}
