//! The live half of a group: who is in it now, and how far its rebalance has come.
//!
//! It is ahead of the durable half while a rebalance goes on, and agrees with it in the states `Empty` and `Stable`.
//! A `Live` is cheap to clone: its collections share their structure.

use super::Token;
use super::metadata::{Bytes, GroupMetadata, MemberMetadata, Text};
use super::partition::java_hash_bucket;
use crate::protocol::codec::{Decoder, Wire};
use crate::protocol::messages::consumer_protocol::ConsumerProtocolSubscription;
use crate::protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponseMember};
use imbl::{OrdMap, OrdSet};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The protocol type of consumers: the only one whose metadata the broker looks into.
const CONSUMER: &str = "consumer";

/// The states of a classic group. One that does not exist is called `Dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl GroupState {
    pub const ALL: [GroupState; 4] =
        [GroupState::Empty, GroupState::PreparingRebalance, GroupState::CompletingRebalance, GroupState::Stable];

    /// Kafka's name, as DescribeGroups and ListGroups show it.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

/// When the wait for joins ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JoinDeadline {
    pub at: i64,
    /// Of the first rebalance of an empty group, which is put off while new members come.
    pub initial: Option<InitialDelay>,
}

/// Milliseconds that the initial rebalance waits in this round, and may wait after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub delay_ms: i64,
    pub remaining_ms: i64,
}

/// One member, and the request of it that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub id: Text,
    pub instance_id: Option<Text>,
    pub client_id: Text,
    pub client_host: Text,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// Name and metadata of the protocols it supports, the preferred first.
    pub protocols: Arc<[(Text, Bytes)]>,
    pub assignment: Bytes,
    pub join: Option<Token>,
    pub sync: Option<Token>,
    /// It has not been told its member id and so cannot send heartbeats.
    pub is_new: bool,
    /// When it is given up; none while a request of it waits and its session has passed.
    pub session_deadline: Option<i64>,
}

impl Member {
    /// What it said in `protocol`; empty if it does not support it.
    pub fn subscription(&self, protocol: Option<&str>) -> Bytes {
        let known = self.protocols.iter().find(|(name, _)| Some(&**name) == protocol);
        known.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub fn has_protocols(&self, protocols: &[JoinGroupRequestProtocol<'_>]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|((name, metadata), other)| **name == *other.name && **metadata == *other.metadata)
    }
}

/// The protocols of a JoinGroup request, kept.
pub(super) fn owned_protocols(protocols: &[JoinGroupRequestProtocol<'_>]) -> Arc<[(Text, Bytes)]> {
    protocols.iter().map(|protocol| (Text::from(&*protocol.name), Bytes::from(&*protocol.metadata))).collect()
}

/// The live half of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Live {
    pub state: GroupState,
    /// When it entered its state, where that is known.
    pub state_since: Option<i64>,
    pub protocol_type: Option<Text>,
    pub protocol: Option<Text>,
    pub generation: i32,
    pub leader: Option<Text>,
    pub members: OrdMap<Text, Arc<Member>>,
    /// The member id of each group instance id (KIP-345).
    pub static_members: OrdMap<Text, Text>,
    /// Member ids that were handed out and not yet joined with (KIP-394), each with its deadline.
    pub pending_joins: OrdMap<Text, i64>,
    /// Members of this generation that have not asked for their assignment.
    pub pending_syncs: OrdSet<Text>,
    /// The topics of all members; none where they are not known.
    pub subscribed_topics: Option<Arc<BTreeSet<Text>>>,
    /// Someone joined since the delay of the initial rebalance began.
    pub new_member_added: bool,
    pub join_deadline: Option<JoinDeadline>,
    pub sync_deadline: Option<i64>,
}

impl Live {
    /// A group without members that began `since`.
    pub fn empty(since: Option<i64>) -> Live {
        Live {
            state: GroupState::Empty,
            state_since: since,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: OrdMap::new(),
            static_members: OrdMap::new(),
            pending_joins: OrdMap::new(),
            pending_syncs: OrdSet::new(),
            subscribed_topics: None,
            new_member_added: false,
            join_deadline: None,
            sync_deadline: None,
        }
    }

    /// The group as it was written down, each member with a whole session before it.
    pub fn of(metadata: &GroupMetadata, now: i64) -> Live {
        let mut live = Live::empty(metadata.state_timestamp);
        live.state = if metadata.members.is_empty() { GroupState::Empty } else { GroupState::Stable };
        live.protocol_type = metadata.protocol_type.clone();
        live.protocol = metadata.protocol.clone();
        live.generation = metadata.generation;
        live.leader = metadata.leader.clone();
        for member in &metadata.members {
            live.insert(loaded_member(member, metadata.protocol.as_ref(), now));
        }
        live.subscribed_topics = live.topics_of_members();
        live
    }

    /// What is written down of this group.
    pub fn metadata(&self) -> GroupMetadata {
        let members = self.members.values().map(|member| MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.subscription(self.protocol.as_deref()),
            assignment: member.assignment.clone(),
        });
        GroupMetadata {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.state_since,
            members: members.collect(),
        }
    }

    pub fn enter(&mut self, state: GroupState, now: i64) {
        self.state = state;
        self.state_since = Some(now);
    }

    pub fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// The initial rebalance of an empty group ends by its delay only.
    pub fn in_initial_rebalance(&self) -> bool {
        self.state == GroupState::PreparingRebalance
            && self.join_deadline.is_some_and(|deadline| deadline.initial.is_some())
    }

    pub fn member_mut(&mut self, member_id: &str) -> Option<&mut Member> {
        self.members.get_mut(member_id).map(Arc::make_mut)
    }

    /// Changes every member.
    pub fn for_each_member(&mut self, mut change: impl FnMut(&mut Member)) {
        let changed = self.members.iter().map(|(id, member)| {
            let mut member = (**member).clone();
            change(&mut member);
            (id.clone(), Arc::new(member))
        });
        self.members = changed.collect();
    }

    /// Adds or replaces a member. The first of a group gives it its protocol type and leads it.
    pub fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.pending_joins.remove(&member.id);
        self.members.insert(member.id.clone(), Arc::new(member));
    }

    /// Removes a member, or an id that was handed out. Another member leads if it led.
    pub fn remove(&mut self, member_id: &str) -> Option<Arc<Member>> {
        let removed = self.members.remove(member_id);
        if let Some(instance_id) = removed.as_ref().and_then(|member| member.instance_id.as_ref()) {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
        removed
    }

    pub fn joined(&self) -> usize {
        self.members.values().filter(|member| member.join.is_some()).count()
    }

    pub fn all_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|member| member.join.is_some())
    }

    /// The longest rebalance timeout of its members, in milliseconds.
    pub fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0).max(0)
    }

    /// Lets one who joined lead if the leader did not join. False if nobody joined.
    pub fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|leader| leader.join.is_some()) {
            return true;
        }
        match self.members.values().find(|member| member.join.is_some()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Whether a member with these protocols can be in this group: every member supports one of them.
    pub fn supports(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol<'_>]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let common = self.common_protocols();
        let is_common = |name: &str| self.members.is_empty() || common.contains(name);
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| is_common(&protocol.name))
    }

    /// The protocols that all members support: none where there are no members.
    fn common_protocols(&self) -> BTreeSet<&str> {
        let mut supporters: HashMap<&str, usize> = HashMap::new();
        for (before, member) in self.members.values().enumerate() {
            for (name, _) in &*member.protocols {
                // Counted once of a member that names it again, and only if all before it support it.
                let count = supporters.entry(name).or_default();
                *count += usize::from(*count == before);
            }
        }
        let common = supporters.into_iter().filter(|(_, count)| *count == self.members.len());
        common.map(|(name, _)| name).collect()
    }

    /// The protocol with most votes: each member votes for the first of its protocols that all support. Of equal votes the
    /// one wins that Kafka's hash map has first, so that a group keeps its protocol when its coordinator changes kind.
    pub fn select_protocol(&self) -> Option<Text> {
        let mut votes: BTreeMap<(u32, &Text), usize> = BTreeMap::new();
        let common = self.common_protocols();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| common.contains(&**name)) {
                *votes.entry((java_hash_bucket(name), name)).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        votes.into_iter().find(|(_, count)| Some(*count) == most).map(|((_, name), _)| name.clone())
    }

    /// Begins the next generation with the members there are.
    pub fn begin_generation(&mut self, now: i64) {
        self.generation = self.generation.wrapping_add(1);
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.topics_of_members();
        self.pending_syncs = OrdSet::new();
        self.enter(if self.members.is_empty() { GroupState::Empty } else { GroupState::CompletingRebalance }, now);
    }

    /// The members as the leader is told them.
    pub fn response_members(&self) -> Vec<JoinGroupResponseMember<'static>> {
        let members = self.members.values().map(|member| JoinGroupResponseMember {
            member_id: member.id.to_string().into(),
            group_instance_id: member.instance_id.as_ref().map(|id| id.to_string().into()),
            metadata: member.subscription(self.protocol.as_deref()).to_vec().into(),
        });
        members.collect()
    }

    /// Whether its consumers read `topic`; where their subscriptions are not known, they might.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer(),
        }
    }

    /// Known of consumers whose metadata can be read.
    fn topics_of_members(&self) -> Option<Arc<BTreeSet<Text>>> {
        if !self.is_consumer() || (self.protocol.is_none() && !self.members.is_empty()) {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription_topics(&member.subscription(self.protocol.as_deref()))?);
        }
        Some(Arc::new(topics))
    }

    /// The earliest moment at which something happens by itself.
    pub fn earliest_deadline(&self) -> Option<i64> {
        let sessions = self.members.values().filter_map(|member| member.session_deadline);
        let pending = self.pending_joins.values().copied();
        let phases = self.join_deadline.map(|deadline| deadline.at).into_iter().chain(self.sync_deadline);
        sessions.chain(pending).chain(phases).min()
    }
}

fn loaded_member(member: &MemberMetadata, protocol: Option<&Text>, now: i64) -> Member {
    Member {
        id: member.member_id.clone(),
        instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout_ms,
        protocols: protocol.map(|name| (name.clone(), member.subscription.clone())).into_iter().collect(),
        assignment: member.assignment.clone(),
        join: None,
        sync: None,
        is_new: false,
        session_deadline: Some(now + i64::from(member.session_timeout_ms)),
    }
}

/// The topics of a consumer's subscription. Read as version 0, which all later versions begin with.
fn subscription_topics(subscription: &[u8]) -> Option<Vec<Text>> {
    let mut decoder = Decoder::new(subscription, 0, false);
    if i16::read(&mut decoder).ok()? < 0 {
        return None;
    }
    let subscription = ConsumerProtocolSubscription::read(&mut decoder).ok()?;
    Some(subscription.topics.iter().map(|topic| Text::from(&**topic)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, protocols: &[&str]) -> Member {
        let written = MemberMetadata {
            member_id: id.into(),
            group_instance_id: None,
            client_id: "c".into(),
            client_host: "h".into(),
            rebalance_timeout_ms: 1,
            session_timeout_ms: 1,
            subscription: Bytes::default(),
            assignment: Bytes::default(),
        };
        let protocols = protocols.iter().map(|name| (Text::from(*name), Bytes::default())).collect();
        Member { protocols, ..loaded_member(&written, None, 0) }
    }

    fn live(members: &[&[&str]]) -> Live {
        let mut live = Live::empty(None);
        members.iter().enumerate().for_each(|(index, names)| live.insert(member(&index.to_string(), names)));
        live
    }

    #[test]
    fn a_protocol_is_common_if_every_member_names_it_however_often() {
        assert_eq!(live(&[&["a", "a"], &["b"]]).select_protocol(), None);
        assert_eq!(live(&[&["a", "b", "a"], &["b", "b"]]).select_protocol().as_deref(), Some("b"));
        assert_eq!(live(&[&["a", "b"], &["a", "b"], &["b", "a"]]).select_protocol().as_deref(), Some("a"));
    }

    #[test]
    fn of_fifty_thousand_protocols_the_one_in_common_is_found() {
        let names: Vec<String> = (0..50_000).map(|index| format!("p{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let backwards: Vec<&str> = names.iter().rev().copied().chain(["q"]).collect();
        let others: Vec<&str> = backwards[..1].to_vec();
        assert_eq!(live(&[&names, &backwards, &others]).select_protocol().as_deref(), Some("p49999"));
    }
}
