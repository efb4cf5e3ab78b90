//! The snapshots beside the metadata log: `<end offset>-<epoch>.checkpoint` (KIP-630).

use super::batch_file::{BatchFile, Next};
use super::batches;
use super::image::{Applied, MetadataImage};
use super::loader::{LoadError, Loader, QuorumControl, snapshot_timestamp};
use super::metadata_log::MetadataError;
use crate::protocol::batch::BatchError;
use crate::raft::{LeaderEpoch, SnapshotId};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const EXTENSION: &str = ".checkpoint";
/// A snapshot that is not written whole.
const PART: &str = ".checkpoint.part";
/// A snapshot that Apache Kafka was about to remove.
const DELETED: &str = ".checkpoint.deleted";

/// The file of a snapshot.
pub fn path(directory: &Path, id: SnapshotId) -> PathBuf {
    directory.join(format!("{:020}-{:010}{EXTENSION}", id.offset, id.epoch.0))
}

fn parse(name: &str) -> Option<SnapshotId> {
    let (end_offset, epoch) = name.strip_suffix(EXTENSION)?.split_once('-')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(end_offset, 20) || !digits(epoch, 10) {
        return None;
    }
    Some(SnapshotId::new(end_offset.parse().ok()?, LeaderEpoch(epoch.parse().ok()?)))
}

/// Removes what remains of snapshots that were not written, or not removed, whole.
pub fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.ends_with(PART) || name.ends_with(DELETED)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The snapshots of a directory, oldest first.
pub fn list(directory: &Path) -> io::Result<Vec<SnapshotId>> {
    let mut snapshots = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        snapshots.extend(name.to_str().and_then(parse));
    }
    snapshots.sort_unstable_by_key(|id| (id.offset, id.epoch));
    Ok(snapshots)
}

/// Reads a snapshot whole.
/// Errors: `Corrupt` if anything in it cannot be read, or its end is missing.
pub fn read(directory: &Path, id: SnapshotId) -> Result<Loader, MetadataError> {
    let (loader, timestamp) = read_file(&path(directory, id))?;
    let quorum = loader.quorum.clone();
    let applied = Applied { end_offset: id.offset, epoch: id.epoch.0, timestamp };
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
    let id = SnapshotId::new(image.applied.end_offset, LeaderEpoch(image.applied.epoch));
    let mut file = File::create(part(directory, id))?;
    for batch in batches::snapshot(image, quorum, now) {
        file.write_all(&batch)?;
    }
    finish(directory, id)?;
    Ok(id)
}

/// Writes bytes of a snapshot that is being received; position 0 begins it anew.
pub fn write_part(directory: &Path, id: SnapshotId, position: i64, bytes: &[u8]) -> io::Result<()> {
    let path = part(directory, id);
    let file = if position == 0 { File::create(path)? } else { File::options().write(true).open(path)? };
    file.write_all_at(bytes, position as u64)
}

/// Syncs a snapshot that was written whole, and gives it its name.
pub fn finish(directory: &Path, id: SnapshotId) -> io::Result<()> {
    let part = part(directory, id);
    if !part.exists() && path(directory, id).exists() {
        // A try before this one came so far.
        return Ok(());
    }
    File::options().write(true).open(&part)?.sync_data()?;
    fs::rename(&part, path(directory, id))?;
    File::open(directory)?.sync_all()
}

fn part(directory: &Path, id: SnapshotId) -> PathBuf {
    path(directory, id).with_extension("checkpoint.part")
}

/// The size of a snapshot, and at most `bytes_max` of its bytes from `position` on. `NotFound` if it is not there.
pub fn read_part(directory: &Path, id: SnapshotId, position: u64, bytes_max: usize) -> io::Result<(u64, Vec<u8>)> {
    let file = File::open(path(directory, id))?;
    let size = file.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(size.saturating_sub(position)).unwrap_or(usize::MAX).min(bytes_max)];
    file.read_exact_at(&mut bytes, position)?;
    Ok((size, bytes))
}

/// Removes the snapshots that are older than `start`.
pub fn remove_older(directory: &Path, start: SnapshotId) -> io::Result<()> {
    for older in list(directory)?.into_iter().filter(|id| id.offset < start.offset) {
        fs::remove_file(path(directory, older))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_as_kafka_names_them() {
        let id = SnapshotId::new(114, LeaderEpoch(1));
        assert_eq!(path(Path::new("/d"), id), Path::new("/d/00000000000000000114-0000000001.checkpoint"));
        assert_eq!(parse("00000000000000000114-0000000001.checkpoint"), Some(id));
        for name in ["bootstrap.checkpoint", "00000000000000000114.log", "114-1.checkpoint", "leader-epoch-checkpoint"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
