//! Walks the batches of a segment's file from one to the next.
//!
//! - Reads large blocks, and skips what it was not asked for: a scan of headers reads little of large batches.

use super::batch_header::BatchHeader;
use crate::protocol::batch::{BatchError, HEADER_BYTES};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Why a walk ended before the end of the file.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("a batch at position {position}: {error}")]
    Invalid { position: u64, error: BatchError },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A place in a segment's file where a batch begins, and its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAt {
    pub position: u64,
    pub header: BatchHeader,
}

impl BatchAt {
    pub fn end(&self) -> u64 {
        self.position + self.header.size as u64
    }
}

/// Walks from batch to batch in `file`, from `position` to `end`.
pub struct Scanner<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    block_bytes: usize,
    /// What was read last, and where it lies in the file.
    buffer: Vec<u8>,
    buffer_start: u64,
}

impl<'a> Scanner<'a> {
    /// A scanner that reads `block_bytes` at once.
    pub fn new(file: &'a File, position: u64, end: u64, block_bytes: usize) -> Scanner<'a> {
        Scanner { file, position, end, block_bytes, buffer: Vec::new(), buffer_start: position }
    }

    /// The next batch's header; the records behind it are skipped.
    /// Errors: `Invalid` if no batch begins here, or if it does not end before the scan's end.
    pub fn next_header(&mut self) -> Result<Option<BatchAt>, ScanError> {
        let remaining = self.end - self.position;
        if remaining == 0 {
            return Ok(None);
        }
        let header = BatchHeader::read(self.bytes(remaining.min(HEADER_BYTES as u64) as usize)?);
        let batch = BatchAt { position: self.position, header: header.map_err(|error| self.invalid(error))? };
        if batch.end() > self.end {
            return Err(self.invalid(BatchError::Truncated));
        }
        self.position = batch.end();
        Ok(Some(batch))
    }

    /// The next batch with its bytes, whole.
    /// Errors: as [`Scanner::next_header`]. The checksum is not looked at.
    pub fn next_batch(&mut self) -> Result<Option<(BatchAt, &[u8])>, ScanError> {
        let Some(batch) = self.next_header()? else { return Ok(None) };
        self.position = batch.position;
        let size = batch.header.size;
        self.fill(size)?;
        self.position = batch.end();
        let start = (batch.position - self.buffer_start) as usize;
        Ok(Some((batch, &self.buffer[start..start + size])))
    }

    fn invalid(&self, error: BatchError) -> ScanError {
        ScanError::Invalid { position: self.position, error }
    }

    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        self.fill(count)?;
        let start = (self.position - self.buffer_start) as usize;
        Ok(&self.buffer[start..start + count])
    }

    /// Sees that `count` bytes from the position on are in the buffer.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        let buffer_end = self.buffer_start + self.buffer.len() as u64;
        let wanted_end = self.position + count as u64;
        if self.position >= self.buffer_start && wanted_end <= buffer_end {
            return Ok(());
        }
        let kept = if self.position >= self.buffer_start && self.position < buffer_end {
            let kept_from = (self.position - self.buffer_start) as usize;
            self.buffer.copy_within(kept_from.., 0);
            self.buffer.len() - kept_from
        } else {
            0
        };
        let block = (count.max(self.block_bytes) as u64).min(self.end - self.position) as usize;
        self.buffer.resize(block, 0);
        self.buffer_start = self.position;
        self.file.read_exact_at(&mut self.buffer[kept..], self.position + kept as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::BatchBuilder;
    use std::io::Write;

    fn batch(base_offset: i64, value_bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(base_offset).record(b"key", &vec![b'v'; value_bytes]);
        builder.base_offset = base_offset;
        builder.build()
    }

    fn file_of(batches: &[Vec<u8>]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&batches.concat()).unwrap();
        file
    }

    #[test]
    fn batches_come_whole_whatever_the_block() {
        let batches: Vec<_> = (0..50).map(|number| batch(number, number as usize * 37 % 700)).collect();
        let file = file_of(&batches);
        let end = file.metadata().unwrap().len();
        for block_bytes in [1, 61, 100, 500, 4096, 1 << 20] {
            let mut scanner = Scanner::new(&file, 0, end, block_bytes);
            for expected in &batches {
                let (_, bytes) = scanner.next_batch().unwrap().expect("one more batch");
                assert_eq!(bytes, expected);
            }
            assert!(scanner.next_batch().unwrap().is_none());
            let mut scanner = Scanner::new(&file, 0, end, block_bytes);
            let headers = std::iter::from_fn(|| scanner.next_header().unwrap());
            assert!(headers.map(|batch| batch.header.base_offset).eq(0..50));
        }
    }

    #[test]
    fn a_walk_ends_at_what_is_no_batch() {
        let (whole, torn) = (batch(0, 100), batch(1, 100));
        for kept in 1..torn.len() {
            let file = file_of(&[whole.clone(), torn[..kept].to_vec()]);
            let mut scanner = Scanner::new(&file, 0, (whole.len() + kept) as u64, 64);
            assert!(scanner.next_batch().unwrap().is_some());
            let Err(ScanError::Invalid { position, .. }) = scanner.next_batch() else {
                panic!("{kept} bytes of a batch")
            };
            assert_eq!(position, whole.len() as u64);
        }
    }
}
