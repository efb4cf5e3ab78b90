//! DescribeLogDirs: what lies in each log directory (KIP-113, KIP-827).
//!
//! Behaviour: every directory is named, also one that holds nothing of what was asked for. No topics means all of them.

use crate::log::LogDirs;
use crate::partition::{Partition, Partitions};
use crate::protocol::messages::describe_log_dirs::*;
use crate::protocol::{ErrorCode, Str};
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn handle(
    log_dirs: &LogDirs,
    partitions: &Partitions,
    request: DescribeLogDirsRequest<'_>,
) -> DescribeLogDirsResponse<'static> {
    let wanted = select(partitions, &request);
    let results = log_dirs.directories().iter().map(|directory| {
        let space = directory.space().ok();
        let here =
            |partition: &&Arc<Partition>| partition.log(|log| log.directory().id() == directory.id()).unwrap_or(false);
        DescribeLogDirsResult {
            error_code: if space.is_some() { ErrorCode::None } else { ErrorCode::KafkaStorageError }.code(),
            log_dir: Str::Owned(directory.path().display().to_string()),
            topics: topics(wanted.iter().filter(here)),
            total_bytes: space.as_ref().map_or(-1, |space| space.total_bytes as i64),
            usable_bytes: space.as_ref().map_or(-1, |space| space.usable_bytes as i64),
        }
    });
    DescribeLogDirsResponse { results: results.collect(), ..Default::default() }
}

fn select(partitions: &Partitions, request: &DescribeLogDirsRequest<'_>) -> Vec<Arc<Partition>> {
    let Some(topics) = &request.topics else { return partitions.all() };
    let named = |topic: &DescribableLogDirTopic<'_>| {
        let found = topic.partitions.iter().filter_map(|index| partitions.partition(&topic.topic, *index));
        found.collect::<Vec<_>>()
    };
    topics.iter().flat_map(named).collect()
}

fn topics<'p>(partitions: impl Iterator<Item = &'p Arc<Partition>>) -> Vec<DescribeLogDirsTopic<'static>> {
    let mut topics = BTreeMap::<Arc<str>, Vec<DescribeLogDirsPartition>>::new();
    for partition in partitions {
        let size = partition.log(|log| log.size_bytes()).unwrap_or(0);
        topics.entry(partition.topic.clone()).or_default().push(DescribeLogDirsPartition {
            partition_index: partition.index,
            partition_size: i64::try_from(size).unwrap_or(i64::MAX),
            ..Default::default()
        });
    }
    let topic =
        |(name, partitions): (Arc<str>, _)| DescribeLogDirsTopic { name: Str::Owned(name.to_string()), partitions };
    topics.into_iter().map(topic).collect()
}
