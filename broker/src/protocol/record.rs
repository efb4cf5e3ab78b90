//! The records inside a batch: read where the broker must know them (its own logs, compaction), written where it is the
//! producer.

use super::batch::{self, BatchError, Compression, HEADER_BYTES, RecordBatch};
use super::codec::{Decoder, Encoder, Result};
use super::compression;
use std::borrow::Cow;

/// A header of a record: its key and its value, which may be null.
pub type RecordHeader<'a> = (&'a str, Option<&'a [u8]>);

/// One record, borrowed from its (decompressed) batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// The record whole, with its length in front: what compaction keeps.
    pub bytes: &'a [u8],
    pub headers: Vec<RecordHeader<'a>>,
}

impl<'a> Record<'a> {
    fn read(decoder: &mut Decoder<'a>) -> Result<Record<'a>> {
        let start = decoder.rest();
        let length = non_negative(decoder.varint()?)?;
        let mut body = Decoder::new(decoder.take(length)?, 0, true);
        let bytes = &start[..start.len() - decoder.rest().len()];
        body.take(1)?;
        let (timestamp_delta, offset_delta) = (body.varlong()?, body.varint()?);
        let (key, value) = (read_bytes(&mut body)?, read_bytes(&mut body)?);
        let headers = read_headers(&mut body)?;
        body.finish()?;
        Ok(Record { offset_delta, timestamp_delta, key, value, bytes, headers })
    }
}

fn non_negative(length: i32) -> Result<usize> {
    usize::try_from(length).map_err(|_| super::DecodeError::NegativeLength(i64::from(length)))
}

fn read_bytes<'a>(decoder: &mut Decoder<'a>) -> Result<Option<&'a [u8]>> {
    match decoder.varint()? {
        -1 => Ok(None),
        length => decoder.take(non_negative(length)?).map(Some),
    }
}

fn read_headers<'a>(decoder: &mut Decoder<'a>) -> Result<Vec<RecordHeader<'a>>> {
    let count = non_negative(decoder.varint()?)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let length = non_negative(decoder.varint()?)?;
        let key = std::str::from_utf8(decoder.take(length)?).map_err(|_| super::DecodeError::NotUtf8)?;
        headers.push((key, read_bytes(decoder)?));
    }
    Ok(headers)
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

    pub fn iter(&self) -> impl Iterator<Item = std::result::Result<Record<'_>, BatchError>> {
        let mut decoder = Decoder::new(&self.payload, 0, true);
        (0..self.count).map(move |_| Record::read(&mut decoder).map_err(BatchError::from))
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
        let offset_delta = self.last_offset_delta + 1;
        let mut body = Encoder::new(Vec::new(), 0, true);
        body.put(&[0]);
        body.put_varlong(0);
        body.put_varint(offset_delta);
        put_bytes(&mut body, key);
        put_bytes(&mut body, value);
        body.put_varint(0);
        let (body, _) = body.finish();
        self.payload.put_varint(i32::try_from(body.len()).expect("records below 2 GiB"));
        self.payload.put(&body);
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

fn put_bytes(encoder: &mut Encoder, bytes: Option<&[u8]>) {
    encoder.put_varint(bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("records below 2 GiB")));
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

    #[test]
    fn a_header_written_again_is_the_same_batch() {
        let bytes = BatchBuilder::new(42).record(b"a", b"1").build();
        let (batch, _) = RecordBatch::split_first(&bytes).unwrap();
        assert_eq!(Header::of(batch).with_payload(batch.payload()), bytes);
    }
}
