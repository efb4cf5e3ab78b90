//! JoinGroup: who may join, as whom, and whether it begins a rebalance.

use super::effects::{Effects, Token};
use super::live::{GroupState, Live, Member, owned_protocols};
use super::metadata::{Bytes, GroupMetadata, Text};
use super::records::GroupRecord;
use super::shard::Shard;
use super::turn::{MemberName, Turn};
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group::JoinGroupRequest;
use std::sync::Arc;

/// Milliseconds after which a member that has not been told its id is given up, if it waits so long for its first
/// generation: it cannot send heartbeats, and retries if it is still there.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// Who sends a JoinGroup.
#[derive(Clone, Debug)]
pub struct Caller<'a> {
    pub client_id: &'a str,
    /// As Kafka shows it: a slash and the address.
    pub client_host: &'a str,
    /// A new member joins twice, with an id it was given in between (KIP-394, since version 4).
    pub requires_member_id: bool,
    /// A static leader that comes back is told the members and to keep their assignments (KIP-814, since version 9).
    pub can_skip_assignment: bool,
    /// A fresh random UUID, for the member's id if it needs one.
    pub member_uuid: &'a str,
}

impl Shard {
    /// Joins a group, which begins to exist if it did not. `token` is answered now or when the generation begins.
    /// Errors (as answers): `UnknownMemberId`, `FencedInstanceId`, `InconsistentGroupProtocol`, `GroupMaxSizeReached`,
    /// `MemberIdRequired`.
    pub fn join(&self, now: i64, caller: &Caller<'_>, request: &JoinGroupRequest<'_>, token: Token) -> Effects {
        let existing = self.turn(now, &request.group_id);
        let is_new_group = existing.is_none();
        let mut turn = existing
            .unwrap_or_else(|| Turn::new(&self.config, now, Text::from(&*request.group_id), Live::empty(Some(now))));
        if is_new_group && !request.member_id.is_empty() {
            turn.refuse_join(token, &request.member_id, ErrorCode::UnknownMemberId);
            return turn.effects;
        }
        Join { caller, request, token }.run(&mut turn);
        if is_new_group && turn.effects.records.is_empty() {
            turn.effects.records.push(birth(turn.group.clone(), now));
        }
        turn.finish()
    }
}

/// The first record of a group: it exists, and has no generation yet.
fn birth(group: Text, now: i64) -> GroupRecord {
    let metadata = GroupMetadata {
        protocol_type: None,
        generation: 0,
        protocol: None,
        leader: None,
        state_timestamp: Some(now),
        members: Vec::new(),
    };
    GroupRecord::Metadata { group, metadata: Some(metadata) }
}

/// One JoinGroup request.
struct Join<'r> {
    caller: &'r Caller<'r>,
    request: &'r JoinGroupRequest<'r>,
    token: Token,
}

impl Join<'_> {
    fn run(&self, turn: &mut Turn<'_>) {
        let member_id = &*self.request.member_id;
        if !self.is_accepted(turn) {
            turn.remove_member(member_id);
            return turn.refuse_join(self.token, "", ErrorCode::GroupMaxSizeReached);
        }
        if !turn.live.supports(&self.request.protocol_type, &self.request.protocols) {
            return turn.refuse_join(self.token, member_id, ErrorCode::InconsistentGroupProtocol);
        }
        if member_id.is_empty() { self.join_new(turn) } else { self.join_known(turn) }
    }

    /// Whether the group has room. While a rebalance waits for joins those count who have joined, so that the last to come
    /// are refused if `group.max.size` was lowered.
    fn is_accepted(&self, turn: &Turn<'_>) -> bool {
        let member = turn.live.members.get(&*self.request.member_id);
        match turn.live.state {
            GroupState::Empty => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.join.is_some()) || turn.live.joined() < turn.config.max_size
            }
            _ => member.is_some() || turn.live.members.len() < turn.config.max_size,
        }
    }

    fn join_new(&self, turn: &mut Turn<'_>) {
        let instance_id = self.request.group_instance_id.as_deref();
        let name = instance_id.unwrap_or(self.caller.client_id);
        let new_id = Text::from(format!("{name}-{}", self.caller.member_uuid));
        match instance_id.and_then(|instance_id| turn.live.static_members.get(instance_id).cloned()) {
            Some(old_id) => self.replace_static_member(turn, &old_id, new_id),
            None if instance_id.is_none() && self.caller.requires_member_id => self.hand_out(turn, new_id),
            None => self.add_member(turn, new_id),
        }
    }

    /// Gives the client an id to join with (KIP-394), so that a retry does not make two members of one.
    fn hand_out(&self, turn: &mut Turn<'_>, new_id: Text) {
        let deadline = turn.now + i64::from(self.request.session_timeout_ms);
        turn.refuse_join(self.token, &new_id, ErrorCode::MemberIdRequired);
        turn.live.pending_joins.insert(new_id, deadline);
    }

    fn add_member(&self, turn: &mut Turn<'_>, member_id: Text) {
        if turn.live.in_initial_rebalance() {
            turn.live.new_member_added = true;
        }
        if turn.live.members.is_empty() {
            turn.live.protocol_type = Some(Text::from(&*self.request.protocol_type));
        }
        turn.live.insert(Member {
            id: member_id,
            instance_id: self.request.group_instance_id.as_deref().map(Text::from),
            client_id: Text::from(self.caller.client_id),
            client_host: Text::from(self.caller.client_host),
            rebalance_timeout_ms: self.request.rebalance_timeout_ms,
            session_timeout_ms: self.request.session_timeout_ms,
            protocols: owned_protocols(&self.request.protocols),
            assignment: Bytes::default(),
            join: Some(self.token),
            sync: None,
            is_new: true,
            session_deadline: Some(turn.now + NEW_MEMBER_JOIN_TIMEOUT_MS),
        });
        turn.rebalance(self.reason("a new member joined"));
    }

    fn join_known(&self, turn: &mut Turn<'_>) {
        let member_id = &*self.request.member_id;
        let name = MemberName { member_id, instance_id: self.request.group_instance_id.as_deref() };
        if turn.live.pending_joins.contains_key(member_id) {
            if name.instance_id.is_some() {
                return turn.refuse_join(self.token, "", ErrorCode::UnknownServerError);
            }
            return self.add_member(turn, Text::from(member_id));
        }
        if let Err(error) = turn.live.validate_member(name) {
            return turn.refuse_join(self.token, member_id, error);
        }
        match turn.live.state {
            GroupState::Empty => turn.refuse_join(self.token, member_id, ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => self.rejoin(turn, "a member joined"),
            GroupState::CompletingRebalance if self.is_unchanged(turn) => self.answer_generation(turn),
            GroupState::Stable if self.is_unchanged(turn) && !turn.live.is_leader(member_id) => {
                self.answer_generation(turn);
            }
            GroupState::Stable if turn.live.is_leader(member_id) => self.rejoin(turn, "the leader joined again"),
            _ => self.rejoin(turn, "a member changed its protocols"),
        }
    }

    fn is_unchanged(&self, turn: &Turn<'_>) -> bool {
        let member = turn.live.members.get(&*self.request.member_id);
        member.is_some_and(|member| member.has_protocols(&self.request.protocols))
    }

    /// The client may not have received its first answer: it gets it again.
    fn answer_generation(&self, turn: &mut Turn<'_>) {
        let mut response = turn.join_response(&self.request.member_id);
        if turn.live.state == GroupState::Stable {
            response.members.clear();
        }
        turn.answer_join(self.token, response);
    }

    fn rejoin(&self, turn: &mut Turn<'_>, reason: &'static str) {
        self.update_member(turn, &self.request.member_id);
        turn.rebalance(self.reason(reason));
    }

    /// Takes over what the request says of the member; the request waits for the next generation.
    fn update_member(&self, turn: &mut Turn<'_>, member_id: &str) {
        let Some(member) = turn.live.member_mut(member_id) else { return };
        member.protocols = owned_protocols(&self.request.protocols);
        member.rebalance_timeout_ms = self.request.rebalance_timeout_ms;
        member.session_timeout_ms = self.request.session_timeout_ms;
        if let Some(superseded) = member.join.replace(self.token) {
            turn.refuse_join(superseded, member_id, ErrorCode::RebalanceInProgress);
        }
    }

    /// A static member has come back without its member id: it gets a new one, and the old one is fenced (KIP-345). In a
    /// stable group nothing else changes, unless another protocol would be chosen now.
    fn replace_static_member(&self, turn: &mut Turn<'_>, old_id: &Text, new_id: Text) {
        let old_leader = turn.live.leader.clone();
        self.take_over(turn, old_id, &new_id);
        match turn.live.state {
            GroupState::Stable if turn.live.select_protocol() == turn.live.protocol => {
                self.keep_generation(turn, &new_id, old_leader);
            }
            GroupState::PreparingRebalance => {
                self.update_member(turn, &new_id);
                turn.complete_join_if_all_joined();
            }
            // The leader may be assigning to the old id just now, which would leave the new one without an assignment.
            _ => {
                self.update_member(turn, &new_id);
                turn.prepare_rebalance(self.reason("a static member came back"));
            }
        }
    }

    /// Makes the member of `old_id` the member of `new_id`. What waits for the old one is fenced.
    fn take_over(&self, turn: &mut Turn<'_>, old_id: &Text, new_id: &Text) {
        let Some(old) = turn.live.members.remove(old_id) else { return };
        turn.refuse_waiting(&old, old_id, ErrorCode::FencedInstanceId);
        if turn.live.pending_syncs.remove(old_id).is_some() {
            turn.live.pending_syncs.insert(new_id.clone());
        }
        if turn.live.is_leader(old_id) {
            turn.live.leader = Some(new_id.clone());
        }
        let member = Member {
            id: new_id.clone(),
            join: None,
            sync: None,
            is_new: false,
            protocols: owned_protocols(&self.request.protocols),
            rebalance_timeout_ms: self.request.rebalance_timeout_ms,
            session_timeout_ms: self.request.session_timeout_ms,
            session_deadline: Some(turn.now + i64::from(self.request.session_timeout_ms)),
            ..Arc::unwrap_or_clone(old)
        };
        turn.live.insert(member);
    }

    /// Answers with the generation there is. A leader that cannot be told to skip the assignment (KIP-814) is told that the
    /// old member id leads, so that it does not assign anew.
    fn keep_generation(&self, turn: &mut Turn<'_>, new_id: &Text, old_leader: Option<Text>) {
        let mut response = turn.join_response(new_id);
        if self.caller.can_skip_assignment {
            response.skip_assignment = turn.live.is_leader(new_id);
        } else {
            response.leader = old_leader.as_deref().unwrap_or_default().to_owned().into();
            response.members.clear();
        }
        turn.answer_join(self.token, response);
        turn.record_metadata();
    }

    /// The client's reason (KIP-800), or ours.
    fn reason<'s>(&'s self, ours: &'s str) -> &'s str {
        self.request.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or(ours)
    }
}
