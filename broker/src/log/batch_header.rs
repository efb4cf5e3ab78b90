//! The header of a stored batch, apart from its records: what scans, replays and lookups need of it.

use crate::protocol::batch::{
    self, BatchError, HEADER_BYTES, LENGTH_END, MAGIC, NO_PRODUCER_ID, RecordBatch, attributes,
};

/// The fields of one batch's header. Nothing is known of the records behind it, nor of the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes of the whole batch.
    pub size: usize,
    pub leader_epoch: i32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header that `bytes` start with, with what can be checked without the records.
    /// Errors: `Truncated`, `Length`, `Magic`, `Count` for offsets that run backwards.
    pub fn read(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        header.check_offsets()?;
        Ok(header)
    }

    fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let size = batch::size_from_prefix(bytes)?;
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(BatchError::Truncated)?;
        if header[16] as i8 != MAGIC {
            return Err(BatchError::Magic(header[16] as i8));
        }
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(field(header, 0)),
            size,
            leader_epoch: i32::from_be_bytes(field(header, LENGTH_END)),
            attributes: i16::from_be_bytes(field(header, 21)),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp: i64::from_be_bytes(field(header, 27)),
            max_timestamp: i64::from_be_bytes(field(header, 35)),
            producer_id: i64::from_be_bytes(field(header, 43)),
            producer_epoch: i16::from_be_bytes(field(header, 51)),
            base_sequence: i32::from_be_bytes(field(header, 53)),
            record_count: i32::from_be_bytes(field(header, 57)),
        })
    }

    /// The header of a batch that is there whole.
    /// Errors: `Count` for offsets that run backwards or past the last one there is.
    pub fn of(batch: RecordBatch<'_>) -> Result<BatchHeader, BatchError> {
        BatchHeader::read(batch.bytes())
    }

    /// The header of a batch whose base offset is about to be replaced: its own is not looked at.
    /// Errors: `Count` for offsets that run backwards.
    pub fn of_produced(batch: RecordBatch<'_>) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader { base_offset: 0, ..BatchHeader::parse(batch.bytes())? };
        header.check_offsets()?;
        Ok(header)
    }

    fn check_offsets(&self) -> Result<(), BatchError> {
        let last = self.base_offset.checked_add(i64::from(self.last_offset_delta));
        if self.base_offset < 0 || self.last_offset_delta < 0 || last.is_none_or(|last| last == i64::MAX) {
            let offsets = i64::from(self.last_offset_delta) + 1;
            return Err(BatchError::Count { records: self.record_count, offsets });
        }
        Ok(())
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    pub fn has_producer(&self) -> bool {
        self.producer_id != NO_PRODUCER_ID
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & attributes::TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & attributes::CONTROL != 0
    }

    /// The sequence number of the last record, which wraps to 0 behind `i32::MAX` (KIP-98).
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == batch::NO_SEQUENCE {
            batch::NO_SEQUENCE
        } else {
            batch::sequence_after(self.base_sequence, self.last_offset_delta)
        }
    }
}

fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("inside the header")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::BatchBuilder;

    #[test]
    fn a_header_reads_as_its_batch_does() {
        let mut builder = BatchBuilder::new(42).record(b"a", b"1").record(b"b", b"2");
        (builder.base_offset, builder.leader_epoch, builder.producer_id) = (7, 3, 11);
        (builder.producer_epoch, builder.base_sequence) = (2, i32::MAX);
        let bytes = builder.build();
        let (batch, _) = RecordBatch::split_first(&bytes).unwrap();
        let header = BatchHeader::of(batch).unwrap();
        assert_eq!((header.size, header.leader_epoch, header.max_timestamp), (bytes.len(), 3, 42));
        assert_eq!((header.base_offset, header.next_offset(), header.last_sequence()), (7, 9, 0));
    }

    #[test]
    fn offsets_that_run_backwards_are_refused() {
        let mut bytes = BatchBuilder::new(0).record(b"a", b"1").build();
        bytes[23..27].copy_from_slice(&(-1i32).to_be_bytes());
        assert!(matches!(BatchHeader::read(&bytes), Err(BatchError::Count { .. })));
        bytes[..8].copy_from_slice(&(-5i64).to_be_bytes());
        bytes[23..27].copy_from_slice(&0i32.to_be_bytes());
        assert!(matches!(BatchHeader::read(&bytes), Err(BatchError::Count { .. })));
    }
}
