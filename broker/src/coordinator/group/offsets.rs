//! OffsetCommit, OffsetFetch and OffsetDelete.

use super::effects::Effects;
use super::live::{GroupState, Live};
use super::metadata::{CommittedOffset, Text};
use super::records::GroupRecord;
use super::shard::{Group, Shard};
use super::turn::MemberName;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequestTopics, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use std::collections::{HashMap, HashSet};

/// What a partition without a committed offset is answered with.
const NO_OFFSET: i64 = -1;
/// A generation below zero: the request does not come from a member.
const NO_GENERATION: i32 = -1;
/// Clients since this version of OffsetCommit understand that a group is unknown.
const KNOWS_GROUP_ID_NOT_FOUND: i16 = 9;
/// Bytes of keys and values that one request may commit: the default of `max.message.bytes`.
const COMMIT_BYTES_MAX: usize = 1 << 20;

impl Shard {
    /// Commits offsets, for a member of the current generation or, where the group has no members, for anyone; a group that
    /// does not exist begins to. Each partition has its own result; of a partition that is named again, the last offset counts.
    /// Errors of the whole: `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`, `RebalanceInProgress`,
    /// `GroupIdNotFound` (as `IllegalGeneration` before version 9), `InvalidCommitOffsetSize` of more than can be one batch.
    /// Of a partition: `OffsetMetadataTooLarge`.
    pub fn commit(
        &self,
        now: i64,
        version: i16,
        request: &OffsetCommitRequest<'_>,
    ) -> Result<(Vec<OffsetCommitResponseTopic<'static>>, Effects), ErrorCode> {
        self.validate_commit(version, request)?;
        let mut effects = self.heard_of_committer(now, request);
        let mut commits = Commits::of(&request.group_id);
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name = Text::from(&*topic.name);
            let partitions = topic.partitions.iter().map(|partition| {
                let error = match self.committed(now, request.retention_time_ms, partition) {
                    Ok(committed) => {
                        commits.put(&name, partition.partition_index, committed);
                        ErrorCode::None
                    }
                    Err(error) => error,
                };
                OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code: error.code() }
            });
            let partitions = partitions.collect();
            responses.push(OffsetCommitResponseTopic { name: topic.name.to_string().into(), partitions });
        }
        effects.records.extend(commits.into_records()?);
        Ok((responses, effects))
    }

    fn validate_commit(&self, version: i16, request: &OffsetCommitRequest<'_>) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        match self.live(&request.group_id) {
            Some(live) => live.validate_commit(request),
            None if generation <= NO_GENERATION => Ok(()),
            None if version >= KNOWS_GROUP_ID_NOT_FOUND => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// A commit keeps a member alive, as a heartbeat does.
    fn heard_of_committer(&self, now: i64, request: &OffsetCommitRequest<'_>) -> Effects {
        match self.live(&request.group_id).map(|live| live.state) {
            Some(GroupState::Stable | GroupState::PreparingRebalance) => {
                self.heard_of(now, &request.group_id, &request.member_id)
            }
            _ => Effects::default(),
        }
    }

    fn committed(
        &self,
        now: i64,
        retention_ms: i64,
        partition: &OffsetCommitRequestPartition<'_>,
    ) -> Result<CommittedOffset, ErrorCode> {
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        // Kafka counts UTF-16 units here, whatever the name of the setting says.
        if metadata.encode_utf16().count() > self.config.offset_metadata_max_bytes {
            return Err(ErrorCode::OffsetMetadataTooLarge);
        }
        Ok(CommittedOffset {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: metadata.into(),
            commit_timestamp: now,
            expire_timestamp: (retention_ms != -1).then(|| now.saturating_add(retention_ms)),
        })
    }

    /// The committed offsets of `topics`, or all there are. A partition without one, or a group that does not exist, is
    /// answered with offset -1.
    pub fn fetch(
        &self,
        group: &str,
        topics: Option<&[OffsetFetchRequestTopics<'_>]>,
    ) -> Vec<OffsetFetchResponseTopics<'static>> {
        let group = self.groups.get(group);
        match topics {
            Some(topics) => topics.iter().map(|topic| fetch_topic(group, topic)).collect(),
            None => group.map(fetch_all).unwrap_or_default(),
        }
    }

    /// Deletes committed offsets of a group that does not read their topics.
    /// Errors of the whole: `GroupIdNotFound`; `NonEmptyGroup` of a group whose topics cannot be known. Of a partition:
    /// `GroupSubscribedToTopic`.
    pub fn delete_offsets(
        &self,
        request: &OffsetDeleteRequest<'_>,
    ) -> Result<(Vec<OffsetDeleteResponseTopic<'static>>, Effects), ErrorCode> {
        let (id, group) = self.groups.get_key_value(&*request.group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        if group.live.state != GroupState::Empty && !group.live.is_consumer() {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let mut effects = Effects::default();
        let mut seen = HashSet::new();
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let is_subscribed = group.live.is_subscribed_to(&topic.name);
            let error = if is_subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
            if !is_subscribed {
                let new = indexes.clone().filter(|partition| seen.insert((&*topic.name, *partition)));
                effects.records.extend(new.filter_map(|partition| tombstone(id, group, &topic.name, partition)));
            }
            let partitions = indexes
                .map(|partition_index| OffsetDeleteResponsePartition { partition_index, error_code: error.code() })
                .collect();
            responses.push(OffsetDeleteResponseTopic { name: topic.name.to_string().into(), partitions });
        }
        Ok((responses, effects))
    }
}

impl Live {
    fn validate_commit(&self, request: &OffsetCommitRequest<'_>) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        let name = MemberName { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref() };
        if generation <= NO_GENERATION && self.state == GroupState::Empty {
            return Ok(());
        }
        if generation <= NO_GENERATION && name.member_id.is_empty() && name.instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_generation(name, generation)?;
        // The member knows its generation and not yet its assignment: it has nothing to commit.
        match self.state {
            GroupState::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}

/// The records of one request, a partition once: they share the name of their group.
struct Commits {
    group: Text,
    records: Vec<GroupRecord>,
    /// Where the record of a partition is.
    places: HashMap<(Text, i32), usize>,
}

impl Commits {
    fn of(group: &str) -> Commits {
        Commits { group: group.into(), records: Vec::new(), places: HashMap::new() }
    }

    fn put(&mut self, topic: &Text, partition: i32, committed: CommittedOffset) {
        let (group, topic) = (self.group.clone(), topic.clone());
        let place = *self.places.entry((topic.clone(), partition)).or_insert(self.records.len());
        let record = GroupRecord::Offset { group, topic, partition, committed: Some(committed) };
        match self.records.get_mut(place) {
            Some(earlier) => *earlier = record,
            None => self.records.push(record),
        }
    }

    /// Errors: `InvalidCommitOffsetSize` if they are too large for one batch.
    fn into_records(self) -> Result<Vec<GroupRecord>, ErrorCode> {
        // Ends at the bound: a long group id makes many records very large.
        let mut sizes = self.records.iter().map(GroupRecord::encoded_size);
        let left = sizes.try_fold(COMMIT_BYTES_MAX, usize::checked_sub);
        left.map(|_| self.records).ok_or(ErrorCode::InvalidCommitOffsetSize)
    }
}

/// The tombstone of an offset, if it was committed.
fn tombstone(id: &Text, group: &Group, topic: &str, partition: i32) -> Option<GroupRecord> {
    let (topic, partitions) = group.offsets.get_key_value(topic)?;
    partitions.contains_key(&partition).then(|| GroupRecord::Offset {
        group: id.clone(),
        topic: topic.clone(),
        partition,
        committed: None,
    })
}

fn fetch_topic(group: Option<&Group>, topic: &OffsetFetchRequestTopics<'_>) -> OffsetFetchResponseTopics<'static> {
    let offsets = group.and_then(|group| group.offsets.get(&*topic.name));
    let partitions = topic.partition_indexes.iter().map(|index| {
        let committed = offsets.and_then(|offsets| offsets.get(index));
        fetch_partition(*index, committed)
    });
    OffsetFetchResponseTopics { name: topic.name.to_string().into(), partitions: partitions.collect() }
}

fn fetch_all(group: &Group) -> Vec<OffsetFetchResponseTopics<'static>> {
    let topics = group.offsets.iter().map(|(topic, partitions)| OffsetFetchResponseTopics {
        name: topic.to_string().into(),
        partitions: partitions.iter().map(|(index, committed)| fetch_partition(*index, Some(committed))).collect(),
    });
    topics.collect()
}

fn fetch_partition(
    partition_index: i32,
    committed: Option<&CommittedOffset>,
) -> OffsetFetchResponsePartitions<'static> {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: committed.map_or(NO_OFFSET, |committed| committed.offset),
        committed_leader_epoch: committed.map_or(-1, |committed| committed.leader_epoch),
        metadata: Some(committed.map_or_else(String::new, |committed| committed.metadata.to_string()).into()),
        error_code: 0,
    }
}
