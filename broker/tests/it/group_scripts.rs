//! Golden scripts of the classic group protocol: each file of `group_scripts/` is a story of requests and passing time, with
//! the answers and records that came of them. `UPDATE_SCRIPTS=1` writes what comes of them now.
//!
//! A block is commands, `---`, and what they led to. Every request has a label, by which its answer is named; the id of a
//! new member is its client id and that label. `at 500` lets time pass until then, and shows what happens by itself.
//!
//! ```text
//! join LABEL [member=ID] [instance=ID] [client=ID] [type=TYPE] [v=VERSION] [session=MS] [rebalance=MS] PROTOCOL(TOPIC,..)..
//! sync LABEL member=ID generation=N [instance=ID] [ID:ASSIGNMENT]..
//! heartbeat member=ID generation=N [instance=ID]
//! leave ID.. | leave instance=ID
//! commit [member=ID] [generation=N] [instance=ID] [v=VERSION] [retention=MS] TOPIC-PARTITION=OFFSET[:METADATA]..
//! fetch [TOPIC-PARTITION].. | forget-offsets TOPIC-PARTITION.. | describe | list [STATE].. | delete
//! at MS | expire-offsets | delete-topic TOPIC | restart | fail
//! ```
//! `group=ID` names another group than `g`; `fail` lets the next append fail.

use barnabas::coordinator::group::{Caller, Effects, GroupConfig, GroupRecord, Shard, Token};
use barnabas::protocol::ErrorCode;
use barnabas::protocol::codec::Encoder;
use barnabas::protocol::messages::consumer_protocol::ConsumerProtocolSubscription;
use barnabas::protocol::messages::heartbeat::HeartbeatRequest;
use barnabas::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use barnabas::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use barnabas::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use barnabas::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use barnabas::protocol::messages::offset_fetch::OffsetFetchRequestTopics;
use barnabas::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use barnabas::protocol::{Str, Wire};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// What a label's number is by.
const FIRST_TOKEN: u64 = 1;

macro_rules! scripts {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            run_script(concat!(stringify!($name), ".txt"));
        }
    )* };
}

scripts! {
    admin,
    expiry,
    failed_appends,
    max_size,
    offsets,
    other_protocols,
    rebalance,
    static_members,
    timeouts,
}

#[test]
fn every_script_is_run() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/group_scripts");
    for file in directory.read_dir().unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        assert!(include_str!("group_scripts.rs").contains(&format!("\n    {name},\n")), "{name} is not run");
    }
}

fn run_script(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/group_scripts").join(name);
    let script = std::fs::read_to_string(&path).unwrap();
    let mut story = Story::new();
    let blocks: Vec<String> = script.trim_end().split("\n\n").map(|block| run_block(&mut story, block)).collect();
    let told = blocks.join("\n\n") + "\n";
    if std::env::var_os("UPDATE_SCRIPTS").is_some() {
        return std::fs::write(&path, &told).unwrap();
    }
    assert_eq!(script, told, "{name}");
}

/// The commands of a block, and below what came of them.
fn run_block(story: &mut Story, block: &str) -> String {
    let commands: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
    for command in commands.iter().filter(|line| !line.starts_with('#')) {
        story.run(&Command::parse(command));
    }
    let told = std::mem::take(&mut story.told);
    let commands = commands.join("\n");
    if told.is_empty() { commands } else { format!("{commands}\n---\n{}", told.trim_end()) }
}

/// A word, and behind it words with and without an equals sign.
struct Command<'s> {
    name: &'s str,
    words: Vec<&'s str>,
}

impl<'s> Command<'s> {
    fn parse(line: &'s str) -> Command<'s> {
        let mut words = line.split_whitespace();
        Command { name: words.next().expect("a command"), words: words.collect() }
    }

    const SETTINGS: [&'static str; 12] = [
        "member",
        "instance",
        "client",
        "type",
        "v",
        "session",
        "rebalance",
        "generation",
        "group",
        "retention",
        "size",
        "protocol",
    ];

    fn setting(&self, name: &str) -> Option<&'s str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn number(&self, name: &str, default: i64) -> i64 {
        self.setting(name).map_or(default, |value| value.parse().expect("a number"))
    }

    fn plain(&self) -> impl Iterator<Item = &'s str> {
        self.words
            .iter()
            .copied()
            .filter(|word| word.split_once('=').is_none_or(|(name, _)| !Self::SETTINGS.contains(&name)))
    }

    fn label(&self) -> &'s str {
        self.plain().next().expect("a label")
    }

    fn group(&self) -> Str<'s> {
        Str::Borrowed(self.setting("group").unwrap_or("g"))
    }

    fn member(&self) -> Str<'s> {
        Str::Borrowed(self.setting("member").unwrap_or(""))
    }

    fn instance(&self) -> Option<Str<'s>> {
        self.setting("instance").map(Str::Borrowed)
    }

    fn generation(&self) -> i32 {
        self.number("generation", -1) as i32
    }
}

struct Story {
    config: Arc<GroupConfig>,
    shard: Shard,
    now: i64,
    log: Vec<GroupRecord>,
    labels: Vec<String>,
    next_append_fails: bool,
    told: String,
}

impl Story {
    fn new() -> Story {
        let config = Arc::new(GroupConfig { max_size: 3, offset_metadata_max_bytes: 10, ..GroupConfig::default() });
        let shard = Shard::new(config.clone());
        Story {
            config,
            shard,
            now: 0,
            log: Vec::new(),
            labels: Vec::new(),
            next_append_fails: false,
            told: String::new(),
        }
    }

    fn run(&mut self, command: &Command<'_>) {
        match command.name {
            "join" => self.join(command),
            "sync" => self.sync(command),
            "heartbeat" => self.heartbeat(command),
            "leave" => self.leave(command),
            "commit" => self.commit(command),
            "fetch" => self.fetch(command),
            "forget-offsets" => self.forget_offsets(command),
            "describe" => self.describe(command),
            "list" => self.list(command),
            "delete" => self.delete(command),
            "at" => self.pass_time(command.label().parse().expect("milliseconds")),
            "expire-offsets" => {
                let effects = self.shard.expire_offsets(self.now);
                self.carry_out(effects);
            }
            "delete-topic" => {
                let effects = self.shard.forget_topics(&BTreeSet::from([command.label()]));
                self.carry_out(effects);
            }
            "restart" => self.restart(command),
            "fail" => self.next_append_fails = true,
            other => panic!("no such command: {other}"),
        }
    }

    fn tell(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.told, "{:>6} {line}", self.now).unwrap();
    }

    fn token(&mut self, label: &str) -> Token {
        self.labels.push(label.to_owned());
        Token(self.labels.len() as u64 - 1 + FIRST_TOKEN)
    }

    fn label(&self, token: Token) -> String {
        self.labels[(token.0 - FIRST_TOKEN) as usize].clone()
    }

    /// As the driver does, but that nobody waits for a commit.
    fn carry_out(&mut self, effects: Effects) {
        if std::mem::take(&mut self.next_append_fails) && !effects.records.is_empty() {
            return self.tell(format_args!("append failed"));
        }
        for record in &effects.records {
            self.tell(format_args!("{}", show_record(record)));
        }
        self.log.extend(effects.records.iter().cloned());
        self.shard.apply(effects.records, effects.changes);
        for (token, response) in effects.joins {
            let line = format!("join {} -> {}", self.label(token), show_join(&response));
            self.tell(format_args!("{line}"));
        }
        for (token, response) in effects.syncs {
            let line = format!("sync {} -> {}", self.label(token), show_sync(&response));
            self.tell(format_args!("{line}"));
        }
    }

    fn join(&mut self, command: &Command<'_>) {
        let (label, version) = (command.label(), command.number("v", 9));
        let protocol_type = command.setting("type").unwrap_or("consumer");
        let protocols = command.plain().skip(1).map(|word| protocol(protocol_type, word));
        let session_timeout_ms = command.number("session", 10_000) as i32;
        let request = JoinGroupRequest {
            group_id: command.group(),
            session_timeout_ms,
            rebalance_timeout_ms: command.number("rebalance", 30_000) as i32,
            member_id: command.member(),
            group_instance_id: command.instance(),
            protocol_type: protocol_type.into(),
            protocols: protocols.collect(),
            reason: None,
        };
        let caller = Caller {
            client_id: command.setting("client").unwrap_or("c"),
            client_host: "/10.0.0.1",
            requires_member_id: version >= 4,
            can_skip_assignment: version >= 9,
            member_uuid: label,
        };
        let token = self.token(label);
        let effects = self.shard.join(self.now, &caller, &request, token);
        self.carry_out(effects);
    }

    fn sync(&mut self, command: &Command<'_>) {
        let assignments = command.plain().skip(1).map(|word| {
            let (member_id, assignment) = word.split_once(':').expect("MEMBER:ASSIGNMENT");
            SyncGroupRequestAssignment { member_id: member_id.into(), assignment: assignment.as_bytes().into() }
        });
        let request = SyncGroupRequest {
            group_id: command.group(),
            generation_id: command.generation(),
            member_id: command.member(),
            group_instance_id: command.instance(),
            protocol_type: command.setting("type").map(Str::Borrowed),
            protocol_name: command.setting("protocol").map(Str::Borrowed),
            assignments: assignments.collect(),
        };
        let token = self.token(command.label());
        let effects = self.shard.sync(self.now, &request, token);
        self.carry_out(effects);
    }

    fn heartbeat(&mut self, command: &Command<'_>) {
        let request = HeartbeatRequest {
            group_id: command.group(),
            generation_id: command.generation(),
            member_id: command.member(),
            group_instance_id: command.instance(),
        };
        let (result, effects) = self.shard.heartbeat(self.now, &request);
        self.carry_out(effects);
        self.tell(format_args!("heartbeat {} -> {}", request.member_id, result.err().unwrap_or(ErrorCode::None)));
    }

    fn leave(&mut self, command: &Command<'_>) {
        let mut members: Vec<MemberIdentity<'_>> =
            command.plain().map(|id| MemberIdentity { member_id: id.into(), ..Default::default() }).collect();
        if let Some(instance_id) = command.instance() {
            let member_id = command.member();
            members.push(MemberIdentity { member_id, group_instance_id: Some(instance_id), reason: None });
        }
        let request = LeaveGroupRequest { group_id: command.group(), members, ..Default::default() };
        let (responses, effects) = self.shard.leave(self.now, &request);
        self.carry_out(effects);
        for response in responses {
            let name = response.group_instance_id.as_deref().unwrap_or(&response.member_id);
            self.tell(format_args!("leave {name} -> {}", error_name(response.error_code)));
        }
    }

    fn commit(&mut self, command: &Command<'_>) {
        let topics = command.plain().map(|word| {
            let (partition, offset) = word.split_once('=').expect("TOPIC-PARTITION=OFFSET");
            let (topic, partition_index) = topic_partition(partition);
            let (offset, metadata) = offset.split_once(':').unwrap_or((offset, ""));
            let partition = OffsetCommitRequestPartition {
                partition_index,
                committed_offset: offset.parse().expect("an offset"),
                committed_metadata: Some(metadata.into()),
                ..Default::default()
            };
            OffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition] }
        });
        let request = OffsetCommitRequest {
            group_id: command.group(),
            generation_id_or_member_epoch: command.generation(),
            member_id: command.member(),
            group_instance_id: command.instance(),
            retention_time_ms: command.number("retention", -1),
            topics: topics.collect(),
        };
        match self.shard.commit(self.now, command.number("v", 9) as i16, &request) {
            Err(error) => self.tell(format_args!("commit -> {error}")),
            Ok((responses, effects)) => {
                self.carry_out(effects);
                for topic in responses {
                    for partition in topic.partitions {
                        let error = error_name(partition.error_code);
                        self.tell(format_args!("commit {}-{} -> {error}", topic.name, partition.partition_index));
                    }
                }
            }
        }
    }

    fn fetch(&mut self, command: &Command<'_>) {
        let topics: Vec<OffsetFetchRequestTopics<'_>> = command
            .plain()
            .map(|word| {
                let (topic, partition) = topic_partition(word);
                OffsetFetchRequestTopics { name: topic.into(), partition_indexes: vec![partition] }
            })
            .collect();
        let fetched = self.shard.fetch(&command.group(), (!topics.is_empty()).then_some(&topics[..]));
        if fetched.is_empty() {
            self.tell(format_args!("fetch -> nothing"));
        }
        for topic in fetched {
            for partition in topic.partitions {
                let (offset, metadata) = (partition.committed_offset, partition.metadata.unwrap());
                self.tell(format_args!("fetch {}-{} -> {offset} {metadata:?}", topic.name, partition.partition_index));
            }
        }
    }

    fn forget_offsets(&mut self, command: &Command<'_>) {
        let topics = command.plain().map(|word| {
            let (topic, partition_index) = topic_partition(word);
            let partitions = vec![OffsetDeleteRequestPartition { partition_index }];
            OffsetDeleteRequestTopic { name: topic.into(), partitions }
        });
        let request = OffsetDeleteRequest { group_id: command.group(), topics: topics.collect() };
        match self.shard.delete_offsets(&request) {
            Err(error) => self.tell(format_args!("forget-offsets -> {error}")),
            Ok((responses, effects)) => {
                self.carry_out(effects);
                for topic in responses {
                    for partition in topic.partitions {
                        let error = error_name(partition.error_code);
                        self.tell(format_args!(
                            "forget-offsets {}-{} -> {error}",
                            topic.name, partition.partition_index
                        ));
                    }
                }
            }
        }
    }

    fn describe(&mut self, command: &Command<'_>) {
        let Some(group) = self.shard.describe(&command.group()) else {
            return self.tell(format_args!("describe -> none"));
        };
        self.tell(format_args!(
            "{} is {} {:?} {:?}",
            group.group_id, group.group_state, group.protocol_type, group.protocol_data
        ));
        for member in group.members {
            let assignment = String::from_utf8_lossy(&member.member_assignment).into_owned();
            self.tell(format_args!(
                "  {} {:?} {} {} subscribed={} assigned={assignment:?}",
                member.member_id,
                member.group_instance_id,
                member.client_id,
                member.client_host,
                member.member_metadata.len(),
            ));
        }
    }

    fn list(&mut self, command: &Command<'_>) {
        let types: Vec<&str> = command.setting("type").into_iter().collect();
        let groups = self.shard.list(&command.plain().collect::<Vec<_>>(), &types);
        let groups = groups.iter().map(|group| {
            format!("{} ({}, {:?}, {})", group.group_id, group.group_state, group.protocol_type, group.group_type)
        });
        let groups: Vec<String> = groups.collect();
        self.tell(format_args!("list -> [{}]", groups.join(", ")));
    }

    fn delete(&mut self, command: &Command<'_>) {
        let result = self.shard.delete(&command.group()).map(|effects| self.carry_out(effects));
        self.tell(format_args!("delete {} -> {}", command.group(), result.err().unwrap_or(ErrorCode::None)));
    }

    fn pass_time(&mut self, until: i64) {
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = deadline.max(self.now);
            let group = self.shard.due(self.now).expect("its deadline has come");
            let effects = self.shard.expire(self.now, &group);
            let retries = self.next_append_fails && !effects.records.is_empty();
            self.carry_out(effects);
            if retries {
                self.shard.postpone(&group, self.now + 500);
            }
        }
        self.now = until;
    }

    /// A new shard reads what was written, through its bytes.
    fn restart(&mut self, command: &Command<'_>) {
        let max_size = command.number("size", self.config.max_size as i64) as usize;
        self.config = Arc::new(GroupConfig { max_size, ..(*self.config).clone() });
        self.shard = Shard::new(self.config.clone());
        for record in &self.log {
            let (key, value) = record.encode();
            let read = GroupRecord::decode(Some(&key), value.as_deref()).expect("what was written is read");
            self.shard.replay(read.expect("a record of ours"));
        }
        self.shard.loaded(self.now);
    }
}

/// `range(t1,t2)`: the subscription of a consumer, or any bytes for another protocol type.
fn protocol<'s>(protocol_type: &str, word: &'s str) -> JoinGroupRequestProtocol<'s> {
    let (name, content) = word.trim_end_matches(')').split_once('(').unwrap_or((word, ""));
    let metadata = match protocol_type {
        "consumer" => subscription(content.split(',').filter(|topic| !topic.is_empty())),
        _ => content.as_bytes().to_vec(),
    };
    JoinGroupRequestProtocol { name: name.into(), metadata: metadata.into() }
}

fn subscription<'s>(topics: impl Iterator<Item = &'s str>) -> Vec<u8> {
    let subscription =
        ConsumerProtocolSubscription { topics: topics.map(Str::Borrowed).collect(), ..Default::default() };
    let mut encoder = Encoder::new(Vec::new(), 1, false);
    1i16.write(&mut encoder);
    subscription.write(&mut encoder);
    encoder.finish().0
}

fn topic_partition(word: &str) -> (&str, i32) {
    let (topic, partition) = word.rsplit_once('-').expect("TOPIC-PARTITION");
    (topic, partition.parse().expect("a partition"))
}

fn error_name(code: i16) -> ErrorCode {
    let known = [
        ErrorCode::None,
        ErrorCode::UnknownMemberId,
        ErrorCode::FencedInstanceId,
        ErrorCode::IllegalGeneration,
        ErrorCode::RebalanceInProgress,
        ErrorCode::MemberIdRequired,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::InconsistentGroupProtocol,
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::GroupSubscribedToTopic,
        ErrorCode::UnknownServerError,
    ];
    known.into_iter().find(|error| error.code() == code).unwrap_or_else(|| panic!("unexpected error {code}"))
}

fn show_join(response: &JoinGroupResponse<'_>) -> String {
    if response.error_code != 0 {
        return format!("{} member={:?}", error_name(response.error_code), response.member_id);
    }
    let members: Vec<&str> = response.members.iter().map(|member| &*member.member_id).collect();
    format!(
        "generation={} protocol={} leader={} member={} members={members:?}{}",
        response.generation_id,
        response.protocol_name.as_deref().unwrap_or("none"),
        response.leader,
        response.member_id,
        if response.skip_assignment { " skip" } else { "" }
    )
}

fn show_sync(response: &SyncGroupResponse<'_>) -> String {
    if response.error_code != 0 {
        return error_name(response.error_code).to_string();
    }
    let protocol = response.protocol_name.as_deref().unwrap_or("none");
    format!("protocol={protocol} assigned={:?}", String::from_utf8_lossy(&response.assignment))
}

fn show_record(record: &GroupRecord) -> String {
    match record {
        GroupRecord::Offset { group, topic, partition, committed } => match committed {
            Some(committed) => format!("write {group} {topic}-{partition} offset={}", committed.offset),
            None => format!("write {group} {topic}-{partition} tombstone"),
        },
        GroupRecord::Metadata { group, metadata: None } => format!("write {group} tombstone"),
        GroupRecord::Metadata { group, metadata: Some(metadata) } => {
            let members = metadata
                .members
                .iter()
                .map(|member| format!("{}={}", member.member_id, String::from_utf8_lossy(&member.assignment)));
            format!(
                "write {group} generation={} type={} protocol={} leader={} members=[{}]",
                metadata.generation,
                metadata.protocol_type.as_deref().unwrap_or("none"),
                metadata.protocol.as_deref().unwrap_or("none"),
                metadata.leader.as_deref().unwrap_or("none"),
                members.collect::<Vec<_>>().join(" ")
            )
        }
    }
}
