//! A segment's index of aborted transactions (`.txnindex`): what a consumer with `isolation.level=read_committed` skips.

use super::files::{self, CachedFile};
use super::producer_state::CompletedTransaction;
use std::io;
use std::os::unix::fs::FileExt;

const ENTRY_BYTES: usize = 34;
const VERSION: i16 = 0;

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
    /// The last stable offset once it had ended: who finds none in a range may stop looking where this lies behind it.
    pub last_stable_offset: i64,
}

impl From<CompletedTransaction> for AbortedTransaction {
    fn from(ended: CompletedTransaction) -> AbortedTransaction {
        let CompletedTransaction { producer_id, first_offset, last_offset, last_stable_offset, .. } = ended;
        AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset }
    }
}

impl AbortedTransaction {
    fn write(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        bytes[26..].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> AbortedTransaction {
        let field = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("inside the entry"));
        AbortedTransaction {
            producer_id: field(2),
            first_offset: field(10),
            last_offset: field(18),
            last_stable_offset: field(26),
        }
    }
}

/// The aborted transactions whose markers lie in one segment.
///
/// Unlike the other indexes, this one cannot be left incomplete: a consumer would be given aborted records. An entry is
/// therefore kept in memory until it is written, and all are made again from the log after a crash.
#[derive(Debug)]
pub struct TransactionIndex {
    file: CachedFile,
    written: u64,
    pending: Vec<AbortedTransaction>,
}

impl TransactionIndex {
    pub fn new(file: CachedFile, bytes: u64) -> TransactionIndex {
        TransactionIndex { file, written: bytes / ENTRY_BYTES as u64, pending: Vec::new() }
    }

    pub fn file(&self) -> &CachedFile {
        &self.file
    }

    pub fn is_empty(&self) -> bool {
        self.written == 0 && self.pending.is_empty()
    }

    /// Adds a transaction; it waits in memory where it cannot be written now.
    pub fn append(&mut self, transaction: AbortedTransaction) {
        self.pending.push(transaction);
        self.write().ok();
    }

    /// Errors: the entries keep waiting.
    pub fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = self.pending.iter().flat_map(AbortedTransaction::write).collect();
        files::write_at(&*self.file.open_or_create()?, &bytes, &[], self.written * ENTRY_BYTES as u64)?;
        self.written += self.pending.len() as u64;
        self.pending = Vec::new();
        Ok(())
    }

    /// All of them, in the order of their markers.
    pub fn all(&self) -> io::Result<Vec<AbortedTransaction>> {
        let mut bytes = vec![0; self.written as usize * ENTRY_BYTES];
        if self.written > 0 {
            self.file.open()?.read_exact_at(&mut bytes, 0)?;
        }
        let written = bytes.chunks_exact(ENTRY_BYTES).map(AbortedTransaction::read);
        Ok(written.chain(self.pending.iter().copied()).collect())
    }

    /// Forgets the transactions that ended at `offset` or behind.
    pub fn truncate(&mut self, offset: i64) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let all = self.all()?;
        let kept = all.partition_point(|transaction| transaction.last_offset < offset);
        self.rebuild(all[..kept].to_vec())
    }

    /// Puts `transactions` in the place of all there were.
    pub fn rebuild(&mut self, transactions: Vec<AbortedTransaction>) -> io::Result<()> {
        if self.written > 0 {
            files::truncate(&*self.file.open_or_create()?, 0)?;
            self.written = 0;
        }
        self.pending = transactions;
        self.write()
    }
}
