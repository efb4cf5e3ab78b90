//! Reads the batches of a file one after the other: a segment of the metadata log, or a snapshot.
//!
//! - What a write leaves that did not finish is told from damage: nothing whole stands behind it, and it is cut off, or
//!   ends in zeros, or is no batch that could stand there. A whole batch with a wrong checksum is damage.

use crate::protocol::batch::{self, BatchError, LENGTH_END, RecordBatch};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Zeros at the end of a batch from which it is taken for one whose write did not finish: a sector of a disk.
const TORN_ZEROS: usize = 512;

/// What stands at a position of a file.
#[derive(Debug)]
pub enum Next<'a> {
    Batch(RecordBatch<'a>),
    End,
    /// The file ends in what a write left that did not finish.
    Torn,
    Corrupt(BatchError),
}

/// A file of batches, read from its start.
pub struct BatchFile {
    reader: BufReader<File>,
    length: u64,
    /// Where the next batch starts.
    position: u64,
    batch: Vec<u8>,
}

impl BatchFile {
    pub fn open(path: &Path) -> io::Result<BatchFile> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(BatchFile { reader: BufReader::with_capacity(1 << 18, file), length, position: 0, batch: Vec::new() })
    }

    /// Bytes before the next batch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch, whole and with the right checksum, which is to be at `expected` unless it lies before it. Behind
    /// anything but a batch, nothing more may be read.
    pub fn next_batch(&mut self, expected: i64) -> io::Result<Next<'_>> {
        let left = self.length - self.position;
        if left == 0 {
            return Ok(Next::End);
        }
        self.batch.clear();
        self.fill(left.min(LENGTH_END as u64))?;
        let size = match batch::size_from_prefix(&self.batch) {
            Ok(size) if size as u64 <= left => size as u64,
            Ok(_) => return self.torn_or(BatchError::Truncated, expected),
            Err(error) => return self.torn_or(error, expected),
        };
        self.fill(size - self.batch.len() as u64)?;
        match RecordBatch::split_first(&self.batch).map(|(batch, _)| (batch.base_offset(), batch.check_crc())) {
            Ok((_, Ok(()))) => self.position += size,
            Ok((offset, Err(error))) if offset == expected && !self.ends_in_zeros() => return Ok(Next::Corrupt(error)),
            Ok((_, Err(error))) | Err(error) => return self.torn_or(error, expected),
        }
        let (batch, _) = RecordBatch::split_first(&self.batch).expect("it was checked");
        Ok(Next::Batch(batch))
    }

    /// Reads `count` further bytes of the batch: never more than the file has.
    fn fill(&mut self, count: u64) -> io::Result<()> {
        let read = self.reader.by_ref().take(count).read_to_end(&mut self.batch)?;
        if read as u64 == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn ends_in_zeros(&self) -> bool {
        let tail = self.batch.len().saturating_sub(TORN_ZEROS);
        self.batch.len() > TORN_ZEROS && self.batch[tail..].iter().all(|byte| *byte == 0)
    }

    /// `Torn` where no whole batch stands behind what was read.
    fn torn_or(&mut self, error: BatchError, expected: i64) -> io::Result<Next<'_>> {
        self.reader.read_to_end(&mut self.batch)?;
        let offsets = expected..expected.saturating_add(self.batch.len() as i64);
        let whole = |start: &usize| is_whole_batch(&self.batch[*start..], &offsets);
        Ok(if (1..self.batch.len()).any(|start| whole(&start)) { Next::Corrupt(error) } else { Next::Torn })
    }
}

fn is_whole_batch(bytes: &[u8], offsets: &std::ops::Range<i64>) -> bool {
    const MAGIC_AT: usize = 16;
    let Some(prefix) = bytes.first_chunk::<8>() else { return false };
    if bytes.get(MAGIC_AT) != Some(&(batch::MAGIC as u8)) || !offsets.contains(&i64::from_be_bytes(*prefix)) {
        return false;
    }
    RecordBatch::split_first(bytes).is_ok_and(|(batch, _)| batch.check_crc().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::BatchBuilder;
    use std::io::Write;

    fn batch(base_offset: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1).record(b"", &[7; 1000]);
        builder.base_offset = base_offset;
        builder.build()
    }

    /// What stands behind the first batch of a file of these parts, which were to be at offsets 0, 1...
    fn second(parts: &[&[u8]]) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&parts.concat()).unwrap();
        let mut batches = BatchFile::open(file.path()).unwrap();
        assert!(matches!(batches.next_batch(0).unwrap(), Next::Batch(_)));
        match batches.next_batch(1).unwrap() {
            Next::Batch(batch) => format!("batch {}", batch.base_offset()),
            Next::Corrupt(_) => "corrupt".into(),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    #[test]
    fn whole_batches_are_read_to_the_end() {
        assert_eq!(second(&[&batch(0), &batch(1)]), "batch 1");
        assert_eq!(second(&[&batch(0)]), "end");
    }

    #[test]
    fn unfinished_writes_are_torn() {
        for length in [1, 11, 12, 60, 61, 500, 1000] {
            assert_eq!(second(&[&batch(0), &batch(1)[..length]]), "torn", "cut at {length}");
        }
        assert_eq!(second(&[&batch(0), &[0; 5000]]), "torn", "zeros");
        assert_eq!(second(&[&batch(0), &batch(1)[..300], &[0; 800]]), "torn", "zeros behind a part");
        assert_eq!(second(&[&batch(0), &[0xff; 40]]), "torn", "no batch at all");
    }

    #[test]
    fn damage_is_not_taken_for_an_unfinished_write() {
        let mut flipped = batch(1);
        flipped[500] ^= 1;
        assert_eq!(second(&[&batch(0), &flipped]), "corrupt", "a flipped bit");
        assert_eq!(second(&[&batch(0), &flipped, &batch(2)]), "corrupt", "a flipped bit before a whole batch");
        let mut longer = batch(1);
        longer[8] = 0x7f;
        assert_eq!(second(&[&batch(0), &longer, &batch(2)]), "corrupt", "a length past the end before a whole batch");
        assert_eq!(second(&[&batch(0), &[0; 700], &batch(2)]), "corrupt", "zeros before a whole batch");
    }
}
