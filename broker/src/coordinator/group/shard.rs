//! The groups of one partition of `__consumer_offsets`: the one place where state changes.

use super::config::GroupConfig;
use super::effects::{Change, Kind};
use super::live::{GroupState, Live};
use super::metadata::{GroupMetadata, GroupOffset, Offsets, Text};
use super::records::GroupRecord;
use super::turn::Turn;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A group: its durable half and its live half.
#[derive(Debug)]
pub(super) struct Group {
    /// None of a simple group, which commits offsets and has no members.
    pub metadata: Option<GroupMetadata>,
    pub offsets: Offsets,
    pub live: Live,
    /// When the shard looks at its deadlines; not behind the earliest of them.
    wake_at: Option<i64>,
}

impl Group {
    fn new() -> Group {
        Group { metadata: None, offsets: Offsets::new(), live: Live::empty(None), wake_at: None }
    }
}

/// The groups of one partition. See the room's explanation for how it changes.
#[derive(Debug)]
pub struct Shard {
    pub(super) config: Arc<GroupConfig>,
    pub(super) groups: BTreeMap<Text, Group>,
    /// The moments at which groups are looked at, the earliest first: one for each group that has a deadline.
    deadlines: BTreeSet<(i64, Text)>,
}

impl Shard {
    /// A shard whose records are yet to be replayed.
    pub fn new(config: Arc<GroupConfig>) -> Shard {
        Shard { config, groups: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    /// Changes the durable half by one record. A group whose metadata is deleted is gone, with its members if it has any.
    pub fn replay(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Metadata { group, metadata: None } => self.remove_metadata(&group),
            GroupRecord::Metadata { group, metadata } => self.group_mut(group).metadata = metadata,
            GroupRecord::Offset { group, topic, partition, committed: Some(committed) } => {
                self.group_mut(group).offsets.entry(topic).or_default().insert(partition, committed);
            }
            GroupRecord::Offset { group, topic, partition, committed: None } => {
                self.remove_offset(&group, &topic, partition);
            }
        }
    }

    /// Makes the live half of what was replayed, when all of the log has been. A group of more members than are allowed by
    /// now rebalances.
    pub fn loaded(&mut self, now: i64) {
        let mut effects = Vec::new();
        for (id, group) in &self.groups {
            let live = group.metadata.as_ref().map_or(Live::empty(None), |metadata| Live::of(metadata, now));
            let mut turn = Turn::new(&self.config, now, id.clone(), live);
            if turn.live.members.len() > self.config.max_size {
                turn.prepare_rebalance("the group is larger than group.max.size");
            }
            effects.push(turn.finish());
        }
        effects.into_iter().for_each(|effects| self.apply(effects.records, effects.changes));
    }

    /// Lets happen what was decided: `records` have been appended.
    pub fn apply(&mut self, records: Vec<GroupRecord>, changes: Vec<Change>) {
        records.into_iter().for_each(|record| self.replay(record));
        for Change(change) in changes {
            match change {
                Kind::Live { group, live } => self.put_live(group, live),
                Kind::Heartbeat { group, member, session_deadline } => {
                    self.put_heartbeat(&group, &member, session_deadline);
                }
            }
        }
    }

    /// When [`Shard::expire`] is to be called next.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The group whose deadlines are to be looked at by `now`.
    pub fn due(&self, now: i64) -> Option<Text> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, group)| group.clone())
    }

    /// Looks at a group's deadlines again at `at`: its records could not be appended.
    pub fn postpone(&mut self, group: &Text, at: i64) {
        self.wake(group, Some(at));
    }

    /// How many groups are in each state.
    pub fn state_counts(&self) -> BTreeMap<GroupState, usize> {
        let mut counts = BTreeMap::from(GroupState::ALL.map(|state| (state, 0)));
        for group in self.groups.values() {
            *counts.entry(group.live.state).or_default() += 1;
        }
        counts
    }

    /// Each committed offset, in the order of groups, topics and partitions.
    pub fn committed_offsets(&self) -> impl Iterator<Item = GroupOffset> {
        self.groups.iter().flat_map(|(group, state)| {
            state.offsets.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(partition, committed)| GroupOffset {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    offset: committed.offset,
                })
            })
        })
    }

    pub(super) fn live(&self, group: &str) -> Option<&Live> {
        self.groups.get(group).map(|group| &group.live)
    }

    /// A copy of a group's live half to work on, if the group exists.
    pub(super) fn turn(&self, now: i64, group: &str) -> Option<Turn<'_>> {
        let (id, group) = self.groups.get_key_value(group)?;
        Some(Turn::new(&self.config, now, id.clone(), group.live.clone()))
    }

    fn group_mut(&mut self, group: Text) -> &mut Group {
        self.groups.entry(group).or_insert_with(Group::new)
    }

    fn remove_metadata(&mut self, id: &Text) {
        let Some(group) = self.groups.get_mut(id) else { return };
        // Offsets that were committed after the group was deleted make it a simple group.
        if group.offsets.is_empty() {
            self.wake(id, None);
            self.groups.remove(id);
        } else {
            (group.metadata, group.live) = (None, Live::empty(None));
            self.wake(id, None);
        }
    }

    fn remove_offset(&mut self, group: &Text, topic: &Text, partition: i32) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if let Some(partitions) = group.offsets.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                group.offsets.remove(topic);
            }
        }
    }

    fn put_live(&mut self, id: Text, live: Live) {
        let earliest = live.earliest_deadline();
        self.group_mut(id.clone()).live = live;
        self.wake(&id, earliest);
    }

    fn put_heartbeat(&mut self, id: &Text, member: &str, session_deadline: i64) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let Some(member) = group.live.member_mut(member) else { return };
        member.session_deadline = Some(session_deadline);
        if group.wake_at.is_none_or(|at| at > session_deadline) {
            self.wake(id, Some(session_deadline));
        }
    }

    fn wake(&mut self, id: &Text, at: Option<i64>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if let Some(before) = std::mem::replace(&mut group.wake_at, at) {
            self.deadlines.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, id.clone()));
        }
    }
}
