//! What lies in a partition's directory, put in order before the log is opened.

use super::files;
use super::names::{self, CLEANED_SUFFIX, DELETED_SUFFIX, FileKind, SNAPSHOT_EXTENSION, SWAP_SUFFIX, TEMPORARY_SUFFIX};
use super::segment::FileSizes;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a partition.
#[derive(Debug, Default)]
pub struct Listing {
    /// By base offset.
    pub segments: BTreeMap<i64, FileSizes>,
    /// The offsets of the producers' snapshots, in no order.
    pub snapshots: Vec<i64>,
}

/// Reads the directory, and finishes what was interrupted: files of deleted segments and unfinished ones are removed,
/// compacted segments take the place of those they were made of (KIP-405's predecessors: `.deleted`, `.cleaned`, `.swap`).
pub fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut swapped = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if [DELETED_SUFFIX, CLEANED_SUFFIX, TEMPORARY_SUFFIX].iter().any(|suffix| name.ends_with(suffix)) {
            files::remove(&entry.path())?;
        } else if name.ends_with(SWAP_SUFFIX) {
            swapped.push(entry.path());
        } else if let Some((offset, extension)) = names::parse_offset_name(name) {
            listing.add(offset, extension, entry.metadata()?.len());
        }
    }
    if !swapped.is_empty() {
        finish_swaps(directory, &listing, &swapped)?;
        return list(directory);
    }
    remove_orphans(directory, &mut listing)?;
    Ok(listing)
}

impl Listing {
    fn add(&mut self, offset: i64, extension: &str, size: u64) {
        if extension == SNAPSHOT_EXTENSION {
            self.snapshots.push(offset);
            return;
        }
        let Some(kind) = FileKind::ALL.into_iter().find(|kind| kind.extension() == extension) else { return };
        let sizes = self.segments.entry(offset).or_default();
        match kind {
            FileKind::Log => sizes.log = Some(size),
            FileKind::OffsetIndex => sizes.offset_index = Some(size),
            FileKind::TimeIndex => sizes.time_index = Some(size),
            FileKind::TransactionIndex => sizes.transaction_index = Some(size),
        }
    }
}

/// Indexes without a segment are of no use.
fn remove_orphans(directory: &Path, listing: &mut Listing) -> io::Result<()> {
    let orphans: Vec<i64> =
        listing.segments.iter().filter(|(_, sizes)| sizes.log.is_none()).map(|(base_offset, _)| *base_offset).collect();
    for base_offset in orphans {
        listing.segments.remove(&base_offset);
        for kind in FileKind::ALL {
            files::remove(&names::segment_file(directory, base_offset, kind, ""))?;
        }
    }
    Ok(())
}

/// A segment with this suffix was compacted whole: it replaces every segment that begins within its offsets.
fn finish_swaps(directory: &Path, listing: &Listing, swapped: &[PathBuf]) -> io::Result<()> {
    let base_offset_of = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        names::parse_offset_name(name).map(|(offset, _)| offset)
    };
    for path in swapped {
        let is_log = path.to_string_lossy().ends_with(".log.swap");
        let Some(base_offset) = base_offset_of(path).filter(|_| is_log) else { continue };
        let end_offset = super::cleaner::end_offset_of(path)?.max(base_offset + 1);
        for (replaced, _) in listing.segments.range(base_offset..end_offset) {
            for kind in FileKind::ALL {
                files::remove(&names::segment_file(directory, *replaced, kind, ""))?;
            }
        }
    }
    for path in swapped {
        let name = path.to_string_lossy();
        files::rename(path, Path::new(name.strip_suffix(SWAP_SUFFIX).expect("listed for it")))?;
    }
    files::sync_directory(directory)
}
