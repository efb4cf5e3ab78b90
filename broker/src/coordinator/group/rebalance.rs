//! Rebalances: from the first reason for one to the answers of all joins, and what deadlines do to them.

use super::effects::Effects;
use super::live::{GroupState, InitialDelay, JoinDeadline};
use super::metadata::{Bytes, Text};
use super::shard::Shard;
use super::turn::Turn;
use crate::protocol::ErrorCode;
use crate::protocol::messages::join_group::JoinGroupResponse;

impl Shard {
    /// What happens in `group` by the passing of time, up to `now`.
    pub fn expire(&self, now: i64, group: &str) -> Effects {
        let Some(mut turn) = self.turn(now, group) else { return Effects::default() };
        turn.expire_sessions();
        turn.expire_join();
        turn.expire_sync();
        turn.finish()
    }
}

impl Turn<'_> {
    /// Begins a rebalance, or goes on with the one that is under way.
    pub fn rebalance(&mut self, reason: &str) {
        match self.live.state {
            GroupState::PreparingRebalance => self.complete_join_if_all_joined(),
            _ => self.prepare_rebalance(reason),
        }
    }

    /// Begins a rebalance: members that wait for assignments have to join anew. An empty group waits for more members, any
    /// other until all have joined or the longest rebalance timeout has passed.
    pub fn prepare_rebalance(&mut self, reason: &str) {
        let state = self.live.state;
        tracing::info!(group = %self.group, generation = self.live.generation, state = state.name(), reason, "preparing to rebalance");
        if state == GroupState::CompletingRebalance {
            self.cancel_syncs();
        }
        self.live.pending_syncs.clear();
        self.live.sync_deadline = None;
        self.live.enter(GroupState::PreparingRebalance, self.now);
        if state == GroupState::Empty {
            self.begin_initial_delay();
        } else if self.live.all_joined() {
            self.complete_join();
        } else {
            self.wait_for_joins();
        }
    }

    fn cancel_syncs(&mut self) {
        let mut waiting = Vec::new();
        self.live.for_each_member(|member| {
            member.assignment = Bytes::default();
            waiting.extend(member.sync.take().map(|token| (member.id.clone(), token)));
        });
        for (member_id, token) in waiting {
            self.refuse_sync(token, ErrorCode::RebalanceInProgress);
            self.restart_session(&member_id);
        }
    }

    fn begin_initial_delay(&mut self) {
        let delay_ms = i64::from(self.config.initial_rebalance_delay_ms);
        let remaining_ms = (self.live.rebalance_timeout_ms() - delay_ms).max(0);
        self.live.new_member_added = false;
        self.wait_initially(InitialDelay { delay_ms, remaining_ms });
    }

    fn wait_initially(&mut self, initial: InitialDelay) {
        self.live.join_deadline = Some(JoinDeadline { at: self.now + initial.delay_ms, initial: Some(initial) });
    }

    fn wait_for_joins(&mut self) {
        let at = self.now + self.live.rebalance_timeout_ms();
        self.live.join_deadline = Some(JoinDeadline { at, initial: None });
    }

    /// Ends the wait for joins if it waits for nobody; the delay of an initial rebalance is waited for in any case.
    pub fn complete_join_if_all_joined(&mut self) {
        if !self.live.in_initial_rebalance() && self.live.all_joined() {
            self.complete_join();
        }
    }

    /// Begins the next generation without the dynamic members that did not join. Static members stay until their session
    /// ends. If nobody joined, the wait begins again.
    pub fn complete_join(&mut self) {
        self.live.join_deadline = None;
        self.remove_members_not_joined();
        if !self.live.elect_joined_leader() && !self.live.members.is_empty() {
            tracing::warn!(group = %self.group, "no member joined the rebalance");
            return self.wait_for_joins();
        }
        self.live.begin_generation(self.now);
        if self.live.state == GroupState::Empty {
            tracing::info!(group = %self.group, generation = self.live.generation, "the group is empty");
            self.record_metadata();
        } else {
            self.begin_syncs();
        }
    }

    fn remove_members_not_joined(&mut self) {
        let is_late =
            |member: &&std::sync::Arc<super::live::Member>| member.join.is_none() && member.instance_id.is_none();
        let late: Vec<Text> = self.live.members.values().filter(is_late).map(|member| member.id.clone()).collect();
        for member_id in &late {
            tracing::info!(group = %self.group, member = %member_id, "removed: did not join the rebalance");
            self.remove_member(member_id);
        }
    }

    /// Tells all who joined their generation, and waits for them to ask for their assignments.
    fn begin_syncs(&mut self) {
        tracing::info!(group = %self.group, generation = self.live.generation, members = self.live.members.len(), "a generation begins");
        let ids: Vec<Text> = self.live.members.keys().cloned().collect();
        for member_id in &ids {
            self.restart_session(member_id);
            self.live.pending_syncs.insert(member_id.clone());
            let Some(member) = self.live.member_mut(member_id) else { continue };
            member.is_new = false;
            if let Some(token) = member.join.take() {
                let response = self.join_response(member_id);
                self.answer_join(token, response);
            }
        }
        self.live.sync_deadline = Some(self.now + self.live.rebalance_timeout_ms());
    }

    /// The current generation as `member_id` is told it: only the leader learns of the others.
    pub fn join_response(&self, member_id: &str) -> JoinGroupResponse<'static> {
        let live = &self.live;
        JoinGroupResponse {
            generation_id: live.generation,
            protocol_type: live.protocol_type.as_deref().map(|name| name.to_owned().into()),
            protocol_name: live.protocol.as_deref().map(|name| name.to_owned().into()),
            leader: live.leader.as_deref().unwrap_or_default().to_owned().into(),
            member_id: member_id.to_owned().into(),
            members: if live.is_leader(member_id) { live.response_members() } else { Vec::new() },
            ..Default::default()
        }
    }

    fn expire_sessions(&mut self) {
        let now = self.now;
        let is_over = |deadline: &i64| *deadline <= now;
        let pending: Vec<Text> =
            self.live.pending_joins.iter().filter(|(_, at)| is_over(at)).map(|(id, _)| id.clone()).collect();
        let members = self.live.members.values().filter(|member| member.session_deadline.as_ref().is_some_and(is_over));
        let members: Vec<Text> = members.map(|member| member.id.clone()).collect();
        pending.iter().for_each(|member_id| self.expire_pending_join(member_id));
        members.iter().for_each(|member_id| self.expire_session(member_id));
    }

    fn expire_pending_join(&mut self, member_id: &str) {
        tracing::info!(group = %self.group, member = member_id, "removed: did not join with the member id it was given");
        self.live.remove(member_id);
        self.complete_join_without_the_removed();
    }

    /// A member that waits for an answer cannot send heartbeats: its session is not over, unless it is new and has waited
    /// for the longest time a new member may.
    fn expire_session(&mut self, member_id: &str) {
        let Some(member) = self.live.member_mut(member_id) else { return };
        if !member.is_new && (member.join.is_some() || member.sync.is_some()) {
            member.session_deadline = None;
            return;
        }
        tracing::info!(group = %self.group, member = member_id, "removed: its session is over");
        self.remove_member(member_id);
        match self.live.state {
            GroupState::Empty => {}
            GroupState::PreparingRebalance => self.complete_join_without_the_removed(),
            _ => self.prepare_rebalance("a member's session is over"),
        }
    }

    fn complete_join_without_the_removed(&mut self) {
        if self.live.state == GroupState::PreparingRebalance && self.live.all_joined() {
            self.complete_join();
        }
    }

    fn expire_join(&mut self) {
        let Some(deadline) = self.live.join_deadline.filter(|deadline| deadline.at <= self.now) else { return };
        match deadline.initial {
            Some(initial) if self.live.new_member_added && initial.remaining_ms != 0 => {
                self.live.new_member_added = false;
                let delay_ms = i64::from(self.config.initial_rebalance_delay_ms).min(initial.remaining_ms);
                let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
                self.wait_initially(InitialDelay { delay_ms, remaining_ms });
            }
            _ => self.complete_join(),
        }
    }

    /// Members that never asked for their assignment are gone.
    fn expire_sync(&mut self) {
        if self.live.sync_deadline.is_none_or(|at| at > self.now) {
            return;
        }
        self.live.sync_deadline = None;
        let late: Vec<Text> = self.live.pending_syncs.iter().cloned().collect();
        for member_id in &late {
            tracing::info!(group = %self.group, member = %member_id, "removed: did not ask for its assignment");
            self.remove_member(member_id);
        }
        if !late.is_empty() {
            self.prepare_rebalance("members did not ask for their assignments");
        }
    }
}
