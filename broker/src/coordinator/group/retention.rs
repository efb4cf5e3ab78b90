//! What is forgotten: expired offsets (KIP-211), offsets of deleted topics, groups without either members or offsets.

use super::effects::Effects;
use super::live::{GroupState, Live};
use super::metadata::{CommittedOffset, Text};
use super::records::GroupRecord;
use super::shard::{Group, Shard};
use std::collections::BTreeSet;

impl Shard {
    /// The tombstones of all that has expired by `now`.
    pub fn expire_offsets(&self, now: i64) -> Effects {
        let mut effects = Effects::default();
        for (id, group) in &self.groups {
            let expired = self.expired_offsets(now, group);
            let remains = group.offsets.values().map(|partitions| partitions.len()).sum::<usize>() > expired.len();
            effects.records.extend(expired.into_iter().map(|(topic, partition)| tombstone(id, topic, partition)));
            if !remains && group.live.state == GroupState::Empty {
                effects.records.push(GroupRecord::Metadata { group: id.clone(), metadata: None });
            }
        }
        effects
    }

    /// The tombstones of the offsets of `topics`, which have been deleted.
    pub fn forget_topics(&self, topics: &BTreeSet<&str>) -> Effects {
        let mut effects = Effects::default();
        for (id, group) in &self.groups {
            let deleted = group.offsets.iter().filter(|(topic, _)| topics.contains(&***topic));
            let deleted = deleted.flat_map(|(topic, partitions)| partitions.keys().map(move |index| (topic, *index)));
            effects.records.extend(deleted.map(|(topic, partition)| tombstone(id, topic, partition)));
        }
        effects
    }

    fn expired_offsets<'a>(&self, now: i64, group: &'a Group) -> Vec<(&'a Text, i32)> {
        let unread = group.offsets.iter().filter(|(topic, _)| !group.live.is_subscribed_to(topic));
        let offsets =
            unread.flat_map(|(topic, offsets)| offsets.iter().map(move |(index, offset)| (topic, *index, offset)));
        offsets
            .filter(|(_, _, offset)| group.live.has_expired(offset, now, self.config.offsets_retention_ms))
            .map(|(topic, index, _)| (topic, index))
            .collect()
    }
}

impl Live {
    /// Whether an offset of a topic that nobody reads is to be forgotten. Its retention begins
    /// - in a group without members, when it lost the last (or with the commit, where that moment is not known);
    /// - in a stable group of consumers whose topics are known, with the commit;
    /// - in a simple group, with the commit;
    /// - in any other group never.
    fn has_expired(&self, offset: &CommittedOffset, now: i64, retention_ms: i64) -> bool {
        let since = match (&self.protocol_type, self.state) {
            (None, _) => offset.commit_timestamp,
            (Some(_), GroupState::Empty) => self.state_since.unwrap_or(offset.commit_timestamp),
            (Some(_), GroupState::Stable) if self.is_consumer() && self.subscribed_topics.is_some() => {
                offset.commit_timestamp
            }
            _ => return false,
        };
        match offset.expire_timestamp {
            Some(expire_timestamp) => now >= expire_timestamp,
            None => now - since >= retention_ms,
        }
    }
}

fn tombstone(group: &Text, topic: &Text, partition: i32) -> GroupRecord {
    GroupRecord::Offset { group: group.clone(), topic: topic.clone(), partition, committed: None }
}
