//! Properties of any history: random requests of a few clients, the passing of time, failed appends.

use super::config::GroupConfig;
use super::effects::{Effects, Token};
use super::join::Caller;
use super::live::{GroupState, Live};
use super::metadata::Text;
use super::records::{GroupRecord, batch_of};
use super::shard::Shard;
use crate::protocol::ErrorCode;
use crate::protocol::batch::RecordBatch;
use crate::protocol::messages::heartbeat::HeartbeatRequest;
use crate::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use crate::protocol::record::Records;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const CLIENTS: usize = 5;
const SESSION_MS: i64 = 10_000;
const REBALANCE_MS: i64 = 20_000;
/// Longer than any deadline of a group.
const LONG_MS: i64 = 400_000;
const GROUPS: [&str; 2] = ["g", "h"];

/// What a client does next. What it says of itself (member id, generation) is what it was told last.
#[derive(Clone, Debug)]
enum Step {
    Join {
        client: usize,
        version: i16,
        protocols: usize,
    },
    /// As if it had started anew.
    Restart {
        client: usize,
    },
    Sync {
        client: usize,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
        as_member: bool,
    },
    Pass {
        ms: i64,
    },
    ExpireOffsets,
    Delete {
        group: usize,
    },
    FailAppend,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = 0..CLIENTS;
    let step = prop_oneof![
        6 => (client.clone(), prop_oneof![Just(3i16), Just(5), Just(9)], 0..3usize)
            .prop_map(|(client, version, protocols)| Step::Join { client, version, protocols }),
        1 => client.clone().prop_map(|client| Step::Restart { client }),
        6 => client.clone().prop_map(|client| Step::Sync { client }),
        3 => client.clone().prop_map(|client| Step::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        2 => (client, any::<bool>()).prop_map(|(client, as_member)| Step::Commit { client, as_member }),
        4 => prop_oneof![Just(100i64), Just(3_000), Just(11_000), Just(21_000), Just(LONG_MS)]
            .prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::ExpireOffsets),
        1 => (0..GROUPS.len()).prop_map(|group| Step::Delete { group }),
        1 => Just(Step::FailAppend),
    ];
    prop::collection::vec(step, 1..120)
}

/// What a client knows. Odd clients are static; the last is in the second group.
#[derive(Clone, Debug, Default)]
struct Client {
    member_id: String,
    generation: i32,
    leads: Vec<String>,
}

/// A shard with its log, its clients, and what it still owes them.
struct World {
    shard: Shard,
    log: Vec<u8>,
    now: i64,
    clients: Vec<Client>,
    tokens: u64,
    waiting_joins: BTreeMap<Token, usize>,
    /// The member id that asked.
    waiting_syncs: BTreeMap<Token, String>,
    /// The next append fails.
    fails: bool,
    /// One has: what a deadline leads to may be late.
    has_failed: bool,
    /// Who was told to be in which generation of which group.
    told: BTreeMap<(usize, i32), BTreeSet<String>>,
}

fn config() -> Arc<GroupConfig> {
    Arc::new(GroupConfig { max_size: 3, offsets_retention_ms: 600_000, ..GroupConfig::default() })
}

fn group_of(client: usize) -> usize {
    usize::from(client == CLIENTS - 1)
}

fn instance_of(client: usize) -> Option<String> {
    (client % 2 == 1).then(|| format!("instance-{client}"))
}

impl World {
    fn new() -> World {
        World {
            shard: Shard::new(config()),
            log: Vec::new(),
            now: 0,
            clients: vec![Client::default(); CLIENTS],
            tokens: 0,
            waiting_joins: BTreeMap::new(),
            waiting_syncs: BTreeMap::new(),
            fails: false,
            has_failed: false,
            told: BTreeMap::new(),
        }
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// False if the append failed: then nothing has happened.
    fn carry_out(&mut self, effects: Effects) -> bool {
        if !effects.records.is_empty() {
            if std::mem::take(&mut self.fails) {
                self.has_failed = true;
                return false;
            }
            self.log.extend(batch_of(&effects.records, self.now).build());
        }
        self.shard.apply(effects.records, effects.changes);
        for (token, response) in effects.joins {
            let client = self.waiting_joins.remove(&token).expect("a join is answered once");
            self.hear_join(client, &response);
        }
        for (token, response) in effects.syncs {
            let member_id = self.waiting_syncs.remove(&token).expect("a sync is answered once");
            check_assignment(&member_id, &response);
        }
        self.check();
        true
    }

    fn hear_join(&mut self, client: usize, response: &JoinGroupResponse<'_>) {
        let known = &mut self.clients[client];
        if response.error_code == ErrorCode::MemberIdRequired.code() || response.error_code == 0 {
            known.member_id = response.member_id.to_string();
        }
        if response.error_code == ErrorCode::UnknownMemberId.code() {
            *known = Client::default();
        }
        if response.error_code == 0 {
            known.generation = response.generation_id;
            known.leads = response.members.iter().map(|member| member.member_id.to_string()).collect();
            assert!(response.members.is_empty() || known.leads.contains(&known.member_id));
            let told = self.told.entry((group_of(client), response.generation_id)).or_default();
            told.insert(response.member_id.to_string());
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Join { client, version, protocols } => self.join(*client, *version, *protocols),
            Step::Restart { client } => self.clients[*client] = Client::default(),
            Step::Sync { client } => self.sync(*client),
            Step::Heartbeat { client } => self.heartbeat(*client),
            Step::Leave { client } => self.leave(*client),
            Step::Commit { client, as_member } => self.commit(*client, *as_member),
            Step::Pass { ms } => self.pass(*ms),
            Step::ExpireOffsets => {
                let effects = self.shard.expire_offsets(self.now);
                self.carry_out(effects);
            }
            Step::Delete { group } => {
                if let Ok(effects) = self.shard.delete(GROUPS[*group]) {
                    self.carry_out(effects);
                }
            }
            Step::FailAppend => self.fails = true,
        }
    }

    fn join(&mut self, client: usize, version: i16, protocols: usize) {
        let token = self.token();
        let (member_id, uuid) = (self.clients[client].member_id.clone(), format!("{}", token.0));
        let names: &[&str] = [&["p"][..], &["p", "q"], &["q", "p"]][protocols];
        let request = JoinGroupRequest {
            group_id: GROUPS[group_of(client)].into(),
            session_timeout_ms: SESSION_MS as i32,
            rebalance_timeout_ms: REBALANCE_MS as i32,
            member_id: member_id.into(),
            group_instance_id: instance_of(client).map(Into::into),
            protocol_type: "consumer".into(),
            protocols: names
                .iter()
                .map(|name| JoinGroupRequestProtocol {
                    name: (*name).into(),
                    metadata: b"\0\0\0\0\0\0\xff\xff\xff\xff".into(),
                })
                .collect(),
            reason: None,
        };
        let caller = Caller {
            client_id: "client",
            client_host: "/1.2.3.4",
            requires_member_id: version >= 4,
            can_skip_assignment: version >= 9,
            member_uuid: &uuid,
        };
        let effects = self.shard.join(self.now, &caller, &request, token);
        self.waiting_joins.insert(token, client);
        if !self.carry_out(effects) {
            self.waiting_joins.remove(&token);
        }
    }

    fn sync(&mut self, client: usize) {
        let token = self.token();
        let known = self.clients[client].clone();
        let assign = |id: &String| SyncGroupRequestAssignment {
            member_id: id.clone().into(),
            assignment: id.clone().into_bytes().into(),
        };
        let request = SyncGroupRequest {
            group_id: GROUPS[group_of(client)].into(),
            generation_id: known.generation,
            member_id: known.member_id.clone().into(),
            group_instance_id: instance_of(client).map(Into::into),
            assignments: known.leads.iter().map(assign).collect(),
            ..Default::default()
        };
        let effects = self.shard.sync(self.now, &request, token);
        self.waiting_syncs.insert(token, known.member_id.clone());
        if !self.carry_out(effects) {
            self.waiting_syncs.remove(&token);
        }
    }

    fn heartbeat(&mut self, client: usize) {
        let known = self.clients[client].clone();
        let request = HeartbeatRequest {
            group_id: GROUPS[group_of(client)].into(),
            generation_id: known.generation,
            member_id: known.member_id.into(),
            group_instance_id: instance_of(client).map(Into::into),
        };
        let (_, effects) = self.shard.heartbeat(self.now, &request);
        self.carry_out(effects);
    }

    fn leave(&mut self, client: usize) {
        let member_id = self.clients[client].member_id.clone().into();
        let members =
            vec![MemberIdentity { member_id, group_instance_id: instance_of(client).map(Into::into), reason: None }];
        let request = LeaveGroupRequest { group_id: GROUPS[group_of(client)].into(), members, ..Default::default() };
        let (_, effects) = self.shard.leave(self.now, &request);
        self.carry_out(effects);
    }

    fn commit(&mut self, client: usize, as_member: bool) {
        let known = self.clients[client].clone();
        let partition = OffsetCommitRequestPartition {
            partition_index: client as i32,
            committed_offset: self.now,
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: GROUPS[group_of(client)].into(),
            generation_id_or_member_epoch: if as_member { known.generation } else { -1 },
            member_id: if as_member { known.member_id.into() } else { "".into() },
            group_instance_id: instance_of(client).filter(|_| as_member).map(Into::into),
            retention_time_ms: -1,
            topics: vec![OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] }],
        };
        if let Ok((_, effects)) = self.shard.commit(self.now, 9, &request) {
            self.carry_out(effects);
        }
    }

    fn pass(&mut self, ms: i64) {
        let until = self.now + ms;
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= until) {
            assert!(deadline >= self.now || self.has_failed, "a deadline of the past was forgotten");
            self.now = deadline.max(self.now);
            let group = self.shard.due(self.now).expect("its deadline has come");
            let effects = self.shard.expire(self.now, &group);
            if !self.carry_out(effects) {
                self.shard.postpone(&group, self.now + 500);
            }
        }
        self.now = until;
    }

    fn check(&self) {
        for (id, group) in &self.shard.groups {
            self.check_live(id, &group.live);
        }
        self.check_reload();
    }

    fn check_live(&self, id: &Text, live: &Live) {
        let members = || live.members.values();
        let joins: Vec<Token> = members().filter_map(|member| member.join).collect();
        let syncs: Vec<Token> = members().filter_map(|member| member.sync).collect();
        assert!(
            joins.iter().all(|token| self.waiting_joins.contains_key(token)),
            "a member waits, its client does not"
        );
        assert!(
            syncs.iter().all(|token| self.waiting_syncs.contains_key(token)),
            "a member waits, its client does not"
        );
        assert!(live.leader.as_ref().is_none_or(|leader| live.members.contains_key(leader)), "the leader is a member");
        assert_eq!(live.leader.is_none(), live.members.is_empty());
        assert!(live.static_members.values().all(|member| live.members.contains_key(member)));
        assert_eq!(members().filter(|member| member.instance_id.is_some()).count(), live.static_members.len());
        assert!(live.pending_joins.keys().all(|member| !live.members.contains_key(member)));
        assert!(live.pending_syncs.iter().all(|member| live.members.contains_key(member)));
        assert!(joins.len() <= self.shard.config.max_size, "too many joined");
        match live.state {
            GroupState::Empty => assert!(live.members.is_empty()),
            GroupState::PreparingRebalance => {
                assert!(live.join_deadline.is_some() && syncs.is_empty() && live.sync_deadline.is_none());
            }
            GroupState::CompletingRebalance => {
                assert!(joins.is_empty() && !live.members.is_empty() && live.join_deadline.is_none());
                assert!(live.leader.as_ref().is_none_or(|leader| live.members[leader].sync.is_none()));
                assert!(members().all(|member| live.pending_syncs.contains(&member.id) || member.sync.is_some()));
            }
            GroupState::Stable => assert!(joins.is_empty() && syncs.is_empty() && live.join_deadline.is_none()),
        }
        assert_eq!(live.sync_deadline.is_some(), !live.pending_syncs.is_empty(), "{id} waits for syncs");
        self.check_generation(id, live);
    }

    /// The members of a generation are those that were told to be in it, but for static ones that have not come back.
    fn check_generation(&self, id: &Text, live: &Live) {
        if !matches!(live.state, GroupState::CompletingRebalance | GroupState::Stable) {
            return;
        }
        let group = GROUPS.iter().position(|group| **group == **id).unwrap();
        let told = self.told.get(&(group, live.generation)).cloned().unwrap_or_default();
        for member in live.members.values().filter(|member| member.instance_id.is_none()) {
            assert!(told.contains(&*member.id), "{} is in a generation that it was not told of", member.id);
        }
    }

    /// A new shard that reads the log has the same durable half; and where a group is settled, the live half agrees.
    fn check_reload(&self) {
        let mut reloaded = Shard::new(config());
        let mut rest = &self.log[..];
        while !rest.is_empty() {
            let (batch, behind) = RecordBatch::split_first(rest).unwrap();
            for record in Records::of(batch).unwrap().iter() {
                let record = record.unwrap();
                let record: GroupRecord = GroupRecord::decode(record.key, record.value).unwrap().unwrap();
                reloaded.replay(record);
            }
            rest = behind;
        }
        reloaded.loaded(self.now);
        assert!(self.shard.groups.keys().eq(reloaded.groups.keys()));
        for (id, group) in &self.shard.groups {
            let other = &reloaded.groups[id];
            assert_eq!((&group.metadata, &group.offsets), (&other.metadata, &other.offsets));
            if matches!(group.live.state, GroupState::Empty | GroupState::Stable) && group.metadata.is_some() {
                check_settled(&group.live, &other.live);
            }
        }
    }
}

/// The leader gives each member its own id as assignment; a static one keeps what its former id was given.
fn check_assignment(member_id: &str, response: &SyncGroupResponse<'_>) {
    if response.error_code == 0 && !response.assignment.is_empty() {
        let assigned = std::str::from_utf8(&response.assignment).unwrap();
        let name = |id: &str| id.rsplit_once('-').map(|(name, _)| name.to_owned());
        let is_its_own =
            assigned == member_id || member_id.starts_with("instance") && name(assigned) == name(member_id);
        assert!(is_its_own, "{member_id} was assigned what belongs to {assigned}");
    }
}

fn check_settled(live: &Live, reloaded: &Live) {
    assert_eq!(live.state, reloaded.state);
    assert_eq!(live.metadata().members, reloaded.metadata().members);
    assert_eq!((live.generation, &live.leader), (reloaded.generation, &reloaded.leader));
    assert_eq!((&live.protocol, &live.protocol_type), (&reloaded.protocol, &reloaded.protocol_type));
    assert_eq!(live.state_since, reloaded.state_since);
    if live.state == GroupState::Stable {
        assert_eq!(live.subscribed_topics, reloaded.subscribed_topics);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_invariants_and_answers_everyone(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.fails = false;
        world.pass(LONG_MS);
        world.pass(LONG_MS);
        assert!(world.waiting_joins.is_empty() && world.waiting_syncs.is_empty(), "someone was never answered");
        assert!(world.shard.groups.values().all(|group| group.live.members.is_empty()), "nobody lives for ever");
        assert_eq!(world.shard.next_deadline(), None);
    }
}
