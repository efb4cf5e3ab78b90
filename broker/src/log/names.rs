//! Kafka's names for the files and directories of a log.

use std::io;
use std::path::{Path, PathBuf};

/// Directories of partitions that were deleted and wait for their removal.
pub const DELETE_DIRECTORY_SUFFIX: &str = "-delete";
/// Directories of partitions that no topic claims.
pub const STRAY_DIRECTORY_SUFFIX: &str = "-stray";
/// Files that were removed from the log and wait for their removal from the disk.
pub const DELETED_SUFFIX: &str = ".deleted";
/// Files that the cleaner has not finished: dropped when the log is opened.
pub const CLEANED_SUFFIX: &str = ".cleaned";
/// Files that the cleaner has finished and that replace the segments they were made of.
pub const SWAP_SUFFIX: &str = ".swap";
/// Files that were not finished before a rename would have put them in place.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

pub const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
pub const PARTITION_METADATA: &str = "partition.metadata";
pub const SNAPSHOT_EXTENSION: &str = "snapshot";

/// The files that belong to a segment, named by its base offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    Log,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
}

impl FileKind {
    pub const ALL: [FileKind; 4] =
        [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];

    pub fn extension(self) -> &'static str {
        match self {
            FileKind::Log => "log",
            FileKind::OffsetIndex => "index",
            FileKind::TimeIndex => "timeindex",
            FileKind::TransactionIndex => "txnindex",
        }
    }
}

/// A segment's file, with an additional suffix that is usually empty.
pub fn segment_file(directory: &Path, base_offset: i64, kind: FileKind, suffix: &str) -> PathBuf {
    directory.join(format!("{base_offset:020}.{}{suffix}", kind.extension()))
}

/// The snapshot of the producers' state before `offset`.
pub fn snapshot_file(directory: &Path, offset: i64) -> PathBuf {
    directory.join(format!("{offset:020}.{SNAPSHOT_EXTENSION}"))
}

/// The offset that a file is named by, and what follows the first dot.
pub fn parse_offset_name(name: &str) -> Option<(i64, &str)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

/// The offsets of the snapshots in a partition's directory, in no order.
pub fn snapshots(directory: &Path) -> io::Result<Vec<i64>> {
    let mut offsets = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let parsed = name.to_str().and_then(parse_offset_name);
        offsets.extend(parsed.filter(|(_, extension)| *extension == SNAPSHOT_EXTENSION).map(|(offset, _)| offset));
    }
    Ok(offsets)
}

/// The directory of a partition.
pub fn partition_directory(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The directory that a deleted partition is renamed to; `unique` keeps it apart from others of the same name.
pub fn deleted_directory(topic: &str, partition: i32, unique: u128) -> String {
    renamed_directory(topic, partition, unique, DELETE_DIRECTORY_SUFFIX)
}

/// The directory that a partition of no known topic is renamed to.
pub fn stray_directory(topic: &str, partition: i32, unique: u128) -> String {
    renamed_directory(topic, partition, unique, STRAY_DIRECTORY_SUFFIX)
}

/// A name longer than a file name may be is cut, as Kafka does: nothing is read from it again.
fn renamed_directory(topic: &str, partition: i32, unique: u128, suffix: &str) -> String {
    let suffix = format!("-{partition}.{unique:032x}{suffix}");
    let topic = &topic[..topic.len().min(255 - suffix.len())];
    format!("{topic}{suffix}")
}

/// The topic and partition of a directory's name; `None` for directories that are no partition's.
pub fn parse_partition_directory(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if topic.is_empty() || !digits || !topic.bytes().all(legal) {
        return None;
    }
    Some((topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_files_are_named_as_kafka_names_them() {
        let path = segment_file(Path::new("/d"), 4711, FileKind::TimeIndex, ".cleaned");
        assert_eq!(path, Path::new("/d/00000000000000004711.timeindex.cleaned"));
        assert_eq!(parse_offset_name("00000000000000004711.timeindex.cleaned"), Some((4711, "timeindex.cleaned")));
        assert_eq!(parse_offset_name("leader-epoch-checkpoint"), None);
        assert_eq!(parse_offset_name("99999999999999999999.log"), None);
    }

    #[test]
    fn a_topic_with_dashes_and_digits_is_told_from_its_partition() {
        assert_eq!(parse_partition_directory("a-1-2"), Some(("a-1", 2)));
        assert_eq!(parse_partition_directory("__cluster_metadata-0"), Some(("__cluster_metadata", 0)));
        for name in
            ["lost+found", "a", "-1", "a-", "a-x", "a-1.0123456789abcdef0123456789abcdef-delete", "a-1.x-future"]
        {
            assert_eq!(parse_partition_directory(name), None, "{name}");
        }
    }

    #[test]
    fn a_deleted_directory_of_the_longest_topic_still_has_a_name() {
        let name = deleted_directory(&"t".repeat(249), 100_000, u128::MAX);
        assert_eq!(name.len(), 255);
        assert!(name.ends_with("-delete"));
    }
}
