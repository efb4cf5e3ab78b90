//! The records inside a batch: read where the broker must know them (its own logs, compaction), written where it is the
//! producer.

use super::batch::{self, BatchError, Compression, HEADER_BYTES, RecordBatch};
use super::codec::{DecodeError, Decoder, Encoder, Result};
use super::compression;
use std::borrow::Cow;

/// A header of a record: its key and its value, which may be null.
pub type RecordHeader<'a> = (&'a str, Option<&'a [u8]>);

/// One record, borrowed from its (decompressed) batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: RecordHeaders<'a>,
    /// The record whole, with its length in front: what compaction keeps.
    pub bytes: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(decoder: &mut Decoder<'a>) -> Result<Record<'a>> {
        let start = decoder.rest();
        let length = read_length(decoder)?;
        let mut body = Decoder::new(decoder.take(length)?, 0, true);
        let bytes = &start[..start.len() - decoder.rest().len()];
        body.take(1)?;
        let (timestamp_delta, offset_delta) = (body.varlong()?, body.varint()?);
        let (key, value) = (read_bytes(&mut body)?, read_bytes(&mut body)?);
        let headers = RecordHeaders::read(&mut body)?;
        body.finish()?;
        Ok(Record { offset_delta, timestamp_delta, key, value, headers, bytes })
    }
}

/// The headers of a record, still encoded: a record of nothing but headers would take many times its size otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeaders<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> RecordHeaders<'a> {
    fn read(decoder: &mut Decoder<'a>) -> Result<RecordHeaders<'a>> {
        let count = read_length(decoder)?;
        let bytes = decoder.rest();
        for _ in 0..count {
            read_header(decoder)?;
        }
        Ok(RecordHeaders { count, bytes: &bytes[..bytes.len() - decoder.rest().len()] })
    }

    pub fn iter(&self) -> impl Iterator<Item = RecordHeader<'a>> + use<'a> {
        let mut decoder = Decoder::new(self.bytes, 0, true);
        (0..self.count).map(move |_| read_header(&mut decoder).expect("read once, with the record"))
    }
}

/// Errors: `NegativeLength`.
fn read_length(decoder: &mut Decoder<'_>) -> Result<usize> {
    let length = decoder.varint()?;
    usize::try_from(length).map_err(|_| DecodeError::NegativeLength(length))
}

fn read_bytes<'a>(decoder: &mut Decoder<'a>) -> Result<Option<&'a [u8]>> {
    match usize::try_from(decoder.varint()?) {
        Ok(length) => decoder.take(length).map(Some),
        Err(_) => Ok(None),
    }
}

fn read_header<'a>(decoder: &mut Decoder<'a>) -> Result<RecordHeader<'a>> {
    let length = read_length(decoder)?;
    let key = std::str::from_utf8(decoder.take(length)?).map_err(|_| DecodeError::NotUtf8)?;
    Ok((key, read_bytes(decoder)?))
}

/// The records of one batch, decompressed if they were compressed.
pub struct Records<'a> {
    payload: Cow<'a, [u8]>,
    count: usize,
}

impl<'a> Records<'a> {
    /// Errors: `Compression`, `Decompress`.
    pub fn of(batch: RecordBatch<'a>) -> std::result::Result<Records<'a>, BatchError> {
        let payload = compression::decompress(batch.compression()?, batch.payload())?;
        Ok(Records { payload, count: usize::try_from(batch.record_count()).unwrap_or(0) })
    }

    /// Each record, as many as the batch's header says; ends behind the first error.
    /// Errors: `Record`, with `TrailingBytes` where bytes are left behind the last.
    pub fn iter(&self) -> impl Iterator<Item = std::result::Result<Record<'_>, BatchError>> {
        let mut state = Some((Decoder::new(&self.payload, 0, true), self.count));
        std::iter::from_fn(move || {
            let (mut decoder, left) = state.take()?;
            let Some(left) = left.checked_sub(1) else {
                return decoder.finish().err().map(|error| Err(error.into()));
            };
            let record = Record::read(&mut decoder);
            if record.is_ok() {
                state = Some((decoder, left));
            }
            Some(record.map_err(BatchError::from))
        })
    }
}

/// Builds the batches that the broker itself writes: metadata, groups, transaction markers, compacted logs.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    pub base_offset: i64,
    pub leader_epoch: i32,
    /// Bits of [`batch::attributes`].
    pub attributes: i16,
    pub base_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    last_offset_delta: i32,
    max_timestamp: i64,
    count: i32,
    payload: Encoder,
}

impl BatchBuilder {
    /// An empty batch whose records carry `timestamp` (milliseconds since 1970).
    pub fn new(timestamp: i64) -> BatchBuilder {
        BatchBuilder {
            base_offset: 0,
            leader_epoch: -1,
            attributes: 0,
            base_timestamp: timestamp,
            producer_id: batch::NO_PRODUCER_ID,
            producer_epoch: batch::NO_PRODUCER_EPOCH,
            base_sequence: batch::NO_SEQUENCE,
            last_offset_delta: -1,
            max_timestamp: timestamp,
            count: 0,
            payload: Encoder::new(Vec::new(), 0, true),
        }
    }

    pub fn record(self, key: &[u8], value: &[u8]) -> BatchBuilder {
        self.push(Some(key), Some(value))
    }

    /// Adds a record at the next offset; a `value` of `None` is a tombstone.
    pub fn push(mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> BatchBuilder {
        self.add(key, value);
        self
    }

    /// As [`BatchBuilder::push`], in place.
    pub fn add(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        const ATTRIBUTES_TIMESTAMP_AND_NO_HEADERS: usize = 3;
        let offset_delta = self.last_offset_delta + 1;
        let size =
            ATTRIBUTES_TIMESTAMP_AND_NO_HEADERS + varint_size(offset_delta) + bytes_size(key) + bytes_size(value);
        self.payload.put_varint(i32::try_from(size).expect(RECORD_BELOW_2_GIB));
        self.payload.put(&[0, 0]);
        self.payload.put_varint(offset_delta);
        put_bytes(&mut self.payload, key);
        put_bytes(&mut self.payload, value);
        self.payload.put_varint(0);
        self.count += 1;
        self.last_offset_delta = offset_delta;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn build(self) -> Vec<u8> {
        let header = Header {
            base_offset: self.base_offset,
            leader_epoch: self.leader_epoch,
            attributes: self.attributes,
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.count,
        };
        header.with_payload(&self.payload.finish().0)
    }
}

const RECORD_BELOW_2_GIB: &str = "the broker's own records are below 2 GiB";

/// The length before `bytes`: -1 is null.
fn length_of(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).expect(RECORD_BELOW_2_GIB))
}

fn bytes_size(bytes: Option<&[u8]>) -> usize {
    varint_size(length_of(bytes)) + bytes.map_or(0, <[u8]>::len)
}

/// The bytes that `value` takes as a zigzag varint: one for each seven bits.
fn varint_size(value: i32) -> usize {
    let bits = u32::BITS - ((value << 1) ^ (value >> 31)).leading_zeros();
    bits.max(1).div_ceil(7) as usize
}

fn put_bytes(encoder: &mut Encoder, bytes: Option<&[u8]>) {
    encoder.put_varint(length_of(bytes));
    encoder.put(bytes.unwrap_or_default());
}

/// All of a batch's header but its length, magic and checksum, which follow from the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub base_offset: i64,
    pub leader_epoch: i32,
    /// Bits of [`batch::attributes`].
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl Header {
    /// The header of `batch`, to write it again with other records or timestamps.
    pub fn of(batch: RecordBatch<'_>) -> Header {
        Header {
            base_offset: batch.base_offset(),
            leader_epoch: batch.leader_epoch(),
            attributes: batch.attributes(),
            last_offset_delta: batch.last_offset_delta(),
            base_timestamp: batch.base_timestamp(),
            max_timestamp: batch.max_timestamp(),
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            base_sequence: batch.base_sequence(),
            record_count: batch.record_count(),
        }
    }

    /// The whole batch; `payload` is its records, compressed as `attributes` says.
    pub fn with_payload(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend(self.base_offset.to_be_bytes());
        let length = i32::try_from(HEADER_BYTES - batch::LENGTH_END + payload.len()).expect("batches below 2 GiB");
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.leader_epoch.to_be_bytes());
        bytes.push(batch::MAGIC as u8);
        bytes.extend([0; 4]);
        bytes.extend(self.attributes.to_be_bytes());
        bytes.extend(self.last_offset_delta.to_be_bytes());
        bytes.extend(self.base_timestamp.to_be_bytes());
        bytes.extend(self.max_timestamp.to_be_bytes());
        bytes.extend(self.producer_id.to_be_bytes());
        bytes.extend(self.producer_epoch.to_be_bytes());
        bytes.extend(self.base_sequence.to_be_bytes());
        bytes.extend(self.record_count.to_be_bytes());
        bytes.extend(payload);
        let crc = batch::checksum(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub fn set_compression(&mut self, compression: Compression) {
        self.attributes = self.attributes & !batch::attributes::COMPRESSION_MASK | compression as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        let bytes = BatchBuilder::new(42).record(b"a", b"1").push(None, Some(b"2")).push(Some(b"c"), None).build();
        let (batch, rest) = RecordBatch::split_first(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!((batch.record_count(), batch.last_offset_delta(), batch.max_timestamp()), (3, 2, 42));
        batch.check_crc().unwrap();
        let records = Records::of(batch).unwrap();
        let pairs: Vec<_> =
            records.iter().map(|record| record.map(|record| (record.key, record.value)).unwrap()).collect();
        assert_eq!(pairs, [(Some(&b"a"[..]), Some(&b"1"[..])), (None, Some(b"2")), (Some(b"c"), None)]);
    }

    fn read_all(bytes: &[u8]) -> Vec<std::result::Result<usize, BatchError>> {
        let (batch, _) = RecordBatch::split_first(bytes).unwrap();
        Records::of(batch).unwrap().iter().map(|record| record.map(|record| record.bytes.len())).collect()
    }

    #[test]
    fn a_batch_that_claims_more_records_than_it_holds_ends_with_one_error() {
        let mut bytes = BatchBuilder::new(0).record(b"k", b"v").build();
        bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(read_all(&bytes), [Ok(9), Err(BatchError::Record(DecodeError::Truncated))]);
    }

    #[test]
    fn a_batch_that_claims_fewer_records_than_it_holds_ends_with_an_error() {
        let mut bytes = BatchBuilder::new(0).record(b"k", b"v").record(b"k", b"v").build();
        bytes[57..61].copy_from_slice(&1i32.to_be_bytes());
        assert_eq!(read_all(&bytes), [Ok(9), Err(BatchError::Record(DecodeError::TrailingBytes(9)))]);
    }

    #[test]
    fn records_of_every_size_have_the_length_that_stands_before_them() {
        for size in [0, 1, 50, 63, 64, 8_000, 8_191, 8_192, 1 << 20] {
            let value = vec![7; size];
            let bytes = BatchBuilder::new(0).push(None, Some(&value)).build();
            assert_eq!(read_all(&bytes).iter().filter(|record| record.is_ok()).count(), 1, "{size}");
        }
    }

    #[test]
    fn a_header_written_again_is_the_same_batch() {
        let bytes = BatchBuilder::new(42).record(b"a", b"1").build();
        let (batch, _) = RecordBatch::split_first(&bytes).unwrap();
        assert_eq!(Header::of(batch).with_payload(batch.payload()), bytes);
    }
}
