//! Compaction.

use super::scan::Scanner;
use super::segment::into_io;
use std::fs::File;
use std::io;
use std::path::Path;

/// The offset behind the last batch of a segment's file.
pub(super) fn end_offset_of(path: &Path) -> io::Result<i64> {
    let file = File::open(path)?;
    let mut scanner = Scanner::new(&file, 0, file.metadata()?.len(), 8 << 10);
    let mut end = 0;
    while let Some(batch) = scanner.next_header().map_err(into_io)? {
        end = batch.header.next_offset();
    }
    Ok(end)
}
