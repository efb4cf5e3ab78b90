//! The snapshots beside the metadata log: `<end offset>-<epoch>.checkpoint` (KIP-630).

use super::batch_file::{BatchFile, Next};
use super::batches;
use super::image::{Applied, MetadataImage};
use super::loader::{LoadError, Loader, QuorumControl, snapshot_timestamp};
use super::metadata_log::MetadataError;
use crate::protocol::batch::BatchError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const EXTENSION: &str = ".checkpoint";
/// A snapshot that is not written whole.
const PART: &str = ".checkpoint.part";
/// A snapshot that Apache Kafka was about to remove.
const DELETED: &str = ".checkpoint.deleted";

/// The offset behind the last record that a snapshot covers, and that record's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

impl SnapshotId {
    pub fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{:020}-{:010}{EXTENSION}", self.end_offset, self.epoch))
    }

    fn parse(name: &str) -> Option<SnapshotId> {
        let (end_offset, epoch) = name.strip_suffix(EXTENSION)?.split_once('-')?;
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(end_offset, 20) || !digits(epoch, 10) {
            return None;
        }
        Some(SnapshotId { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

/// The snapshots of a directory, oldest first; what remains of unfinished ones is removed.
pub fn list(directory: &Path) -> io::Result<Vec<SnapshotId>> {
    let mut snapshots = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(PART) || name.ends_with(DELETED) {
            fs::remove_file(entry.path())?;
        }
        snapshots.extend(SnapshotId::parse(name));
    }
    snapshots.sort_unstable();
    Ok(snapshots)
}

/// Reads a snapshot whole.
/// Errors: `Corrupt` if anything in it cannot be read, or its end is missing.
pub fn read(directory: &Path, id: SnapshotId) -> Result<Loader, MetadataError> {
    let path = id.path(directory);
    let (loader, timestamp) = read_file(&path)?;
    let quorum = loader.quorum.clone();
    let applied = Applied { end_offset: id.end_offset, epoch: id.epoch, timestamp };
    Ok(Loader::from_snapshot(MetadataImage { applied, ..loader.into_image() }, quorum))
}

/// Reads a file in the form of a snapshot; gives the timestamp of the last record that it covers, too.
/// Errors: as [`read`].
pub fn read_file(path: &Path) -> Result<(Loader, i64), MetadataError> {
    let io = |source| MetadataError::Io { path: path.to_owned(), source };
    let corrupt = |position, source| MetadataError::Corrupt { path: path.to_owned(), position, source };
    let mut file = BatchFile::open(path).map_err(io)?;
    let (mut loader, mut timestamp) = (Loader::default(), 0);
    loop {
        let (position, offset) = (file.position(), loader.applied().end_offset);
        match file.next_batch(offset).map_err(io)? {
            Next::Batch(batch) => {
                timestamp = snapshot_timestamp(batch).unwrap_or(timestamp);
                loader.take(batch).map_err(|source| corrupt(position, source))?;
            }
            Next::End if loader.footer_seen => return Ok((loader, timestamp)),
            Next::End | Next::Torn => {
                return Err(corrupt(position, LoadError::Batch { offset, source: BatchError::Truncated }));
            }
            Next::Corrupt(source) => return Err(corrupt(position, LoadError::Batch { offset, source })),
        }
    }
}

/// Writes a snapshot of `image`, whole and synced before it has its name.
pub fn write(directory: &Path, image: &MetadataImage, quorum: &QuorumControl, now: i64) -> io::Result<SnapshotId> {
    let id = SnapshotId { end_offset: image.applied.end_offset, epoch: image.applied.epoch };
    let path = id.path(directory);
    let part = path.with_extension("checkpoint.part");
    let mut file = File::create(&part)?;
    for batch in batches::snapshot(image, quorum, now) {
        file.write_all(&batch)?;
    }
    file.sync_data()?;
    fs::rename(&part, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(id)
}

/// Removes the snapshots that `newest` makes useless.
pub fn remove_older(directory: &Path, newest: SnapshotId) -> io::Result<()> {
    for older in list(directory)?.into_iter().filter(|id| *id < newest) {
        fs::remove_file(older.path(directory))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_as_kafka_names_them() {
        let id = SnapshotId { end_offset: 114, epoch: 1 };
        assert_eq!(id.path(Path::new("/d")), Path::new("/d/00000000000000000114-0000000001.checkpoint"));
        assert_eq!(SnapshotId::parse("00000000000000000114-0000000001.checkpoint"), Some(id));
        for name in ["bootstrap.checkpoint", "00000000000000000114.log", "114-1.checkpoint", "leader-epoch-checkpoint"]
        {
            assert_eq!(SnapshotId::parse(name), None, "{name}");
        }
    }
}
