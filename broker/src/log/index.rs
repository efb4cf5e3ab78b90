//! A segment's sparse indexes: from offset to position (`.index`), from timestamp to offset (`.timeindex`).
//!
//! - Entries rise strictly in what they are searched by. What does not is no index, and is built again.
//! - An index only makes lookups faster. Entries wait in memory until there are enough of them to be worth a write; who
//!   follows an entry checks that a batch lies where it points; a lost index costs a scan, never a record.
//!
//! Deliberately absent: memory maps. A fault in a mapped file is a signal instead of an error.

use super::files::{self, CachedFile};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Entries that wait for one write: two pages of the offset index.
const PENDING_MAX: usize = 1024;
/// Entries that are read at once when the search has come this near.
const BLOCK_ENTRIES: u32 = 256;

/// One entry of an index.
pub trait Entry: Copy + std::fmt::Debug {
    const BYTES: usize;

    fn read(bytes: &[u8]) -> Self;
    fn write(&self, bytes: &mut Vec<u8>);
    /// What the index is searched by.
    fn key(&self) -> i64;
    /// Whether `next` may follow.
    fn precedes(&self, next: &Self) -> bool;
}

/// The last offset of a batch, relative to the segment's, and where the batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    pub relative_offset: u32,
    pub position: u32,
}

/// The largest timestamp up to here, and the last offset of the batch that has it, relative to the segment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp: i64,
    pub relative_offset: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn read(bytes: &[u8]) -> Self {
        OffsetEntry { relative_offset: read_u32(bytes), position: read_u32(&bytes[4..]) }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.relative_offset.to_be_bytes());
        bytes.extend(self.position.to_be_bytes());
    }

    fn key(&self) -> i64 {
        i64::from(self.relative_offset)
    }

    fn precedes(&self, next: &Self) -> bool {
        self.relative_offset < next.relative_offset && self.position < next.position
    }
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn read(bytes: &[u8]) -> Self {
        let timestamp = i64::from_be_bytes(*bytes.first_chunk().expect("a whole entry"));
        TimeEntry { timestamp, relative_offset: read_u32(&bytes[8..]) }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.relative_offset.to_be_bytes());
    }

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn precedes(&self, next: &Self) -> bool {
        self.timestamp < next.timestamp && self.relative_offset < next.relative_offset
    }
}

fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(*bytes.first_chunk().expect("a whole entry"))
}

/// An index's file and the entries that are not written to it yet.
#[derive(Debug)]
pub struct Index<E> {
    file: CachedFile,
    /// Entries in the file.
    written: u32,
    /// The last entry in the file, where it is known.
    last_written: Option<E>,
    pending: Vec<E>,
}

impl<E: Entry> Index<E> {
    /// The index in `file`, which holds `bytes` bytes. Nothing is read.
    /// Of a file that ends within an entry, the rest is not looked at.
    pub fn new(file: CachedFile, bytes: u64) -> Index<E> {
        let written = u32::try_from(bytes / E::BYTES as u64).unwrap_or(u32::MAX);
        Index { file, written, last_written: None, pending: Vec::new() }
    }

    pub fn file(&self) -> &CachedFile {
        &self.file
    }

    pub fn entries(&self) -> u32 {
        self.written + self.pending.len() as u32
    }

    /// The bytes of all entries.
    pub fn bytes(&self) -> u64 {
        u64::from(self.entries()) * E::BYTES as u64
    }

    /// The last entry.
    pub fn last(&self) -> io::Result<Option<E>> {
        match (self.pending.last().copied().or(self.last_written), self.written) {
            (Some(last), _) => Ok(Some(last)),
            (None, 0) => Ok(None),
            (None, written) => Ok(Some(self.read(&*self.file.open()?, written - 1, 1)?[0])),
        }
    }

    /// Adds an entry that follows all others; one that does not is ignored. Written with others, see [`Index::write`].
    pub fn append(&mut self, entry: E) {
        let fits = match self.pending.last().or(self.last_written.as_ref()) {
            Some(last) => last.precedes(&entry),
            None => self.written == 0 || self.last().is_ok_and(|last| last.is_none_or(|last| last.precedes(&entry))),
        };
        if fits {
            self.pending.push(entry);
            if self.pending.len() >= PENDING_MAX && self.pending.len().is_multiple_of(PENDING_MAX) {
                // An index that cannot be written now is written later, or built again when the log is opened.
                self.write().ok();
            }
        }
    }

    /// Writes the entries that wait. Errors: they keep waiting.
    pub fn write(&mut self) -> io::Result<()> {
        let Some(last) = self.pending.last().copied() else { return Ok(()) };
        let mut bytes = Vec::with_capacity(self.pending.len() * E::BYTES);
        for entry in &self.pending {
            entry.write(&mut bytes);
        }
        let file = self.file.open_or_create()?;
        files::write_at(&file, &bytes, &[], u64::from(self.written) * E::BYTES as u64)?;
        self.written += self.pending.len() as u32;
        self.last_written = Some(last);
        self.pending = Vec::new();
        Ok(())
    }

    /// The last entry whose key is not above `key`.
    pub fn floor(&self, key: i64) -> io::Result<Option<E>> {
        self.last_where(|entry| entry.key() <= key)
    }

    /// The last entry for which `holds` is true; it must be true for a first part of the entries only.
    pub fn last_where(&self, holds: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        if let Some(behind) = self.pending.partition_point(&holds).checked_sub(1) {
            return Ok(Some(self.pending[behind]));
        }
        if self.written == 0 {
            return Ok(None);
        }
        let file = self.file.open()?;
        let (mut low, mut high) = (0, self.written);
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            if holds(&self.read(&file, middle, 1)?[0]) { low = middle } else { high = middle }
        }
        let block = self.read(&file, low, high - low)?;
        Ok(block.partition_point(&holds).checked_sub(1).map(|behind| block[behind]))
    }

    /// Every entry, in order. Errors: `InvalidData` for entries that do not rise, and those of the system.
    pub fn all(&self) -> io::Result<Vec<E>> {
        let mut entries = if self.written == 0 { Vec::new() } else { self.read(&*self.file.open()?, 0, self.written)? };
        entries.extend_from_slice(&self.pending);
        if entries.windows(2).all(|pair| pair[0].precedes(&pair[1])) {
            Ok(entries)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "an index whose entries do not rise"))
        }
    }

    fn read(&self, file: &File, first: u32, count: u32) -> io::Result<Vec<E>> {
        let mut bytes = vec![0; count as usize * E::BYTES];
        file.read_exact_at(&mut bytes, u64::from(first) * E::BYTES as u64)?;
        Ok(bytes.chunks_exact(E::BYTES).map(E::read).collect())
    }

    /// Forgets every entry for which `keep` is false; it must be true for a first part of the entries only.
    pub fn truncate_where(&mut self, keep: impl Fn(&E) -> bool) -> io::Result<()> {
        let kept = self.pending.partition_point(&keep);
        self.pending.truncate(kept);
        if kept > 0 || self.written == 0 {
            return Ok(());
        }
        let entries = self.read(&*self.file.open()?, 0, self.written)?;
        let kept = entries.partition_point(&keep);
        self.truncate_file(kept as u32)
    }

    fn truncate_file(&mut self, entries: u32) -> io::Result<()> {
        files::truncate(&*self.file.open_or_create()?, u64::from(entries) * E::BYTES as u64)?;
        self.written = entries;
        self.last_written = None;
        Ok(())
    }

    /// Puts `entries` in the place of all there were, and writes them.
    pub fn rebuild(&mut self, entries: Vec<E>) -> io::Result<()> {
        self.pending.clear();
        self.truncate_file(0)?;
        self.pending = entries;
        self.write()
    }
}
