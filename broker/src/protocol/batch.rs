//! Record batches (magic 2, KIP-98), looked at through their header.
//!
//! - A [`RecordBatch`] is at least a header long and exactly as long as its header says; its CRC is checked on request.
//! - Base offset and leader epoch lie outside the CRC: the log writes them, and nothing else is ever changed.

use super::codec::DecodeError;
use crc_fast::CrcAlgorithm::Crc32Iscsi;

/// Bytes before `batch_length` ends: what must be read to know how long a batch is.
pub const LENGTH_END: usize = 12;
/// Bytes of a batch's header, before its first record.
pub const HEADER_BYTES: usize = 61;
/// The bytes that the log writes anew when it appends: base offset, length, leader epoch.
pub const ASSIGNED_BYTES: usize = 16;
/// The only magic that is produced since Kafka 4.0.
pub const MAGIC: i8 = 2;

/// Where a batch's checksum lies, and what it is made of begins.
pub const CRC_START: usize = 17;
pub const CRC_END: usize = 21;

/// No producer: batches of producers that are not idempotent.
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record or batch that has none.
pub const NO_TIMESTAMP: i64 = -1;

/// Why bytes are not a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("a batch that ends too early")]
    Truncated,
    #[error("a batch length of {0}, below its header's")]
    Length(i32),
    #[error("a batch of magic {0}, where only 2 is supported")]
    Magic(i8),
    #[error("a batch whose CRC-32C is {computed:08x} where its header says {stored:08x}")]
    Crc { stored: u32, computed: u32 },
    #[error("a batch of {records} records that takes {offsets} offsets")]
    Count { records: i32, offsets: i64 },
    #[error("a compression type {0}, where 0 to 4 are known")]
    Compression(i16),
    #[error("records that cannot be decompressed")]
    Decompress,
    #[error("a record: {0}")]
    Record(#[from] DecodeError),
}

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Compression {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

/// Whether a batch's timestamps are the producer's or the broker's (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// The attribute bits of a batch's header.
pub mod attributes {
    pub const COMPRESSION_MASK: i16 = 0b111;
    pub const LOG_APPEND_TIME: i16 = 1 << 3;
    pub const TRANSACTIONAL: i16 = 1 << 4;
    pub const CONTROL: i16 = 1 << 5;
    pub const DELETE_HORIZON: i16 = 1 << 6;
}

/// One batch with its header, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBatch<'a> {
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// Takes the first batch of `bytes` and what follows it.
    /// Errors: `Truncated`, `Length`, `Magic`.
    pub fn split_first(bytes: &'a [u8]) -> Result<(RecordBatch<'a>, &'a [u8]), BatchError> {
        let size = size_from_prefix(bytes)?;
        let (bytes, rest) = bytes.split_at_checked(size).ok_or(BatchError::Truncated)?;
        let batch = RecordBatch { bytes };
        if batch.magic() != MAGIC {
            return Err(BatchError::Magic(batch.magic()));
        }
        Ok((batch, rest))
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes[at..at + N].try_into().expect("inside the header, whose length was checked")
    }

    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field(0))
    }

    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.field(12))
    }

    pub fn magic(&self) -> i8 {
        self.bytes[16] as i8
    }

    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field(CRC_START))
    }

    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field(21))
    }

    /// The offsets of the batch less one. A compacted batch keeps it, so it may exceed the number of records.
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field(23))
    }

    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(27))
    }

    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(35))
    }

    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.field(43))
    }

    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field(51))
    }

    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field(53))
    }

    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(self.field(57))
    }

    /// The records as they are on the wire, compressed or not.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Meaningful once the log has assigned the base offset: a producer may write anything there.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The sequence number of the last record, which wraps to 0 behind `i32::MAX` (KIP-98).
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence() == NO_SEQUENCE {
            NO_SEQUENCE
        } else {
            sequence_after(self.base_sequence(), self.last_offset_delta())
        }
    }

    pub fn has_producer(&self) -> bool {
        self.producer_id() != NO_PRODUCER_ID
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & attributes::TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes() & attributes::CONTROL != 0
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes() & attributes::LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Errors: `Compression` for a type that Kafka does not know.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        match self.attributes() & attributes::COMPRESSION_MASK {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            other => Err(BatchError::Compression(other)),
        }
    }

    /// Errors: `Crc` if the bytes behind the checksum are not those it was made of.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.crc(), checksum(&self.bytes[CRC_END..]));
        if stored == computed { Ok(()) } else { Err(BatchError::Crc { stored, computed }) }
    }

    /// What a producer's batch must be before it is appended: its records numbered without gaps, its compression known.
    /// Errors: `Count`, `Compression`.
    pub fn check_produced(&self) -> Result<(), BatchError> {
        self.compression()?;
        let (records, offsets) = (self.record_count(), i64::from(self.last_offset_delta()) + 1);
        if records <= 0 || i64::from(records) != offsets {
            return Err(BatchError::Count { records, offsets });
        }
        Ok(())
    }
}

/// `delta` sequence numbers behind `sequence`, wrapping to 0 behind `i32::MAX` (KIP-98).
pub fn sequence_after(sequence: i32, delta: i32) -> i32 {
    ((i64::from(sequence) + i64::from(delta)) % (i64::from(i32::MAX) + 1)) as i32
}

/// The whole size of the batch that starts with `prefix`, of which at least [`LENGTH_END`] bytes are there.
/// Errors: `Truncated`, `Length`.
pub fn size_from_prefix(prefix: &[u8]) -> Result<usize, BatchError> {
    let length = prefix.get(8..LENGTH_END).ok_or(BatchError::Truncated)?;
    let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
    match usize::try_from(length) {
        Ok(size) if size + LENGTH_END >= HEADER_BYTES => Ok(size + LENGTH_END),
        _ => Err(BatchError::Length(length)),
    }
}

/// The first [`ASSIGNED_BYTES`] of a batch as they are stored: its own length between the base offset and the leader
/// epoch that the log gives it.
pub fn assigned_prefix(batch: RecordBatch<'_>, base_offset: i64, leader_epoch: i32) -> [u8; ASSIGNED_BYTES] {
    let mut prefix = [0; ASSIGNED_BYTES];
    prefix[..8].copy_from_slice(&base_offset.to_be_bytes());
    prefix[8..12].copy_from_slice(&batch.bytes[8..12]);
    prefix[12..].copy_from_slice(&leader_epoch.to_be_bytes());
    prefix
}

/// CRC-32C (Castagnoli) of the bytes behind the checksum.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32Iscsi, bytes) as u32
}

/// As [`checksum`], of bytes that lie in two places.
pub fn checksum_of_two(first: &[u8], second: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(Crc32Iscsi);
    digest.update(first);
    digest.update(second);
    digest.finalize() as u32
}

/// The batches that lie one behind the other in `bytes`; ends behind the first error.
pub fn batches(bytes: &[u8]) -> impl Iterator<Item = Result<RecordBatch<'_>, BatchError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = RecordBatch::split_first(rest);
        rest = next.as_ref().map_or(&[], |(_, rest)| rest);
        Some(next.map(|(batch, _)| batch))
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::BatchBuilder;
    use super::*;

    #[test]
    fn crc_32c_is_castagnolis() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum_of_two(b"1234", b"56789"), 0xe306_9283);
    }

    #[test]
    fn a_flipped_bit_behind_the_checksum_is_found() {
        let mut bytes = BatchBuilder::new(5).record(b"k", b"v").build();
        assert_eq!(RecordBatch::split_first(&bytes).unwrap().0.check_crc(), Ok(()));
        *bytes.last_mut().unwrap() ^= 1;
        assert!(matches!(RecordBatch::split_first(&bytes).unwrap().0.check_crc(), Err(BatchError::Crc { .. })));
    }

    #[test]
    fn a_batch_shorter_than_its_header_is_refused() {
        assert_eq!(RecordBatch::split_first(&[0; 100]), Err(BatchError::Length(0)));
        assert_eq!(RecordBatch::split_first(&[0; 5]), Err(BatchError::Truncated));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    }

    #[test]
    fn a_base_offset_at_the_end_of_the_numbers_is_no_panic() {
        let mut bytes = BatchBuilder::new(0).record(b"k", b"v").record(b"k", b"v").build();
        bytes[..8].copy_from_slice(&i64::MAX.to_be_bytes());
        assert_eq!(RecordBatch::split_first(&bytes).unwrap().0.next_offset(), i64::MAX);
    }

    #[test]
    fn batches_end_behind_the_first_error() {
        let mut bytes = BatchBuilder::new(0).record(b"k", b"v").build();
        bytes.extend([1, 2, 3]);
        let results: Vec<_> = batches(&bytes).collect();
        assert_eq!((results.len(), results[1]), (2, Err(BatchError::Truncated)));
    }
}
