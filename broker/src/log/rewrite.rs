//! Batches that a topic's configuration does not store as they came: other timestamps, another compression. Pure.

use super::LogConfig;
use super::batch_header::BatchHeader;
use crate::protocol::batch::{
    BatchError, CRC_END, CRC_START, HEADER_BYTES, LENGTH_END, RecordBatch, TimestampType, attributes, checksum_of_two,
};
use crate::protocol::compression;
use crate::protocol::record::Header;

/// How a batch is written.
#[derive(Debug)]
pub enum Rewritten {
    /// As it came, but for its first [`crate::protocol::batch::ASSIGNED_BYTES`].
    Not,
    /// With another header; the records stay as they are.
    Header(BatchHeader, [u8; HEADER_BYTES]),
    /// All of it anew.
    Whole(BatchHeader, Vec<u8>),
}

/// What becomes of `batch`, which is to be written with the offset and epoch of `header`.
/// Errors: `Compression`, `Decompress` for records that have to be compressed otherwise and cannot be read.
pub fn rewritten(
    batch: RecordBatch<'_>,
    header: BatchHeader,
    config: &LogConfig,
    now: i64,
) -> Result<Rewritten, BatchError> {
    let header = with_append_time(header, config, now);
    let from = batch.compression()?;
    match config.compression_type.filter(|to| *to != from && !batch.is_control()) {
        Some(to) => {
            let records = compression::decompress(from, batch.payload())?;
            let payload = compression::compress(to, &records);
            let header = BatchHeader {
                attributes: header.attributes & !attributes::COMPRESSION_MASK | to as i16,
                size: HEADER_BYTES + payload.len(),
                ..header
            };
            Ok(Rewritten::Whole(header, wire_header(&header).with_payload(&payload)))
        }
        None if header.attributes == batch.attributes() && header.max_timestamp == batch.max_timestamp() => {
            Ok(Rewritten::Not)
        }
        None => Ok(Rewritten::Header(header, header_bytes(&header, batch))),
    }
}

fn with_append_time(header: BatchHeader, config: &LogConfig, now: i64) -> BatchHeader {
    if config.message_timestamp_type == TimestampType::CreateTime || header.is_control() {
        return header;
    }
    BatchHeader { attributes: header.attributes | attributes::LOG_APPEND_TIME, max_timestamp: now, ..header }
}

fn wire_header(header: &BatchHeader) -> Header {
    Header {
        base_offset: header.base_offset,
        leader_epoch: header.leader_epoch,
        attributes: header.attributes,
        last_offset_delta: header.last_offset_delta,
        base_timestamp: header.base_timestamp,
        max_timestamp: header.max_timestamp,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        record_count: header.record_count,
    }
}

/// The header's bytes in front of the records of `batch`, with the checksum of both.
fn header_bytes(header: &BatchHeader, batch: RecordBatch<'_>) -> [u8; HEADER_BYTES] {
    let mut bytes = *batch.bytes().first_chunk::<HEADER_BYTES>().expect("a batch has its header");
    bytes[..LENGTH_END - 4].copy_from_slice(&header.base_offset.to_be_bytes());
    bytes[LENGTH_END..LENGTH_END + 4].copy_from_slice(&header.leader_epoch.to_be_bytes());
    bytes[21..23].copy_from_slice(&header.attributes.to_be_bytes());
    bytes[35..43].copy_from_slice(&header.max_timestamp.to_be_bytes());
    let crc = checksum_of_two(&bytes[CRC_END..], batch.payload());
    bytes[CRC_START..CRC_END].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch::Compression;
    use crate::protocol::record::{BatchBuilder, Records};

    fn rewrite(config: &LogConfig) -> (Vec<u8>, Rewritten) {
        let bytes = BatchBuilder::new(100).record(b"key", &[b'v'; 500]).record(b"other", b"value").build();
        let (batch, _) = RecordBatch::split_first(&bytes).unwrap();
        let header = BatchHeader { base_offset: 42, leader_epoch: 3, ..BatchHeader::of(batch).unwrap() };
        let rewritten = rewritten(batch, header, config, 9_000).unwrap();
        (bytes, rewritten)
    }

    #[test]
    fn a_batch_is_left_alone_by_default() {
        assert!(matches!(rewrite(&LogConfig::default()).1, Rewritten::Not));
    }

    #[test]
    fn the_brokers_time_goes_into_the_header_and_its_checksum() {
        let config = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
        let (bytes, Rewritten::Header(header, head)) = rewrite(&config) else { panic!("rewritten otherwise") };
        let stored = [&head[..], &bytes[HEADER_BYTES..]].concat();
        let (batch, _) = RecordBatch::split_first(&stored).unwrap();
        batch.check_crc().unwrap();
        assert_eq!(BatchHeader::of(batch), Ok(header));
        assert_eq!((batch.base_offset(), batch.leader_epoch(), batch.max_timestamp()), (42, 3, 9_000));
        assert_eq!((batch.base_timestamp(), batch.timestamp_type()), (100, TimestampType::LogAppendTime));
    }

    #[test]
    fn another_compression_keeps_the_records() {
        let config = LogConfig { compression_type: Some(Compression::Zstd), ..LogConfig::default() };
        let (bytes, Rewritten::Whole(header, stored)) = rewrite(&config) else { panic!("rewritten otherwise") };
        let (batch, _) = RecordBatch::split_first(&stored).unwrap();
        batch.check_crc().unwrap();
        assert_eq!(BatchHeader::of(batch), Ok(header));
        assert_eq!(batch.compression(), Ok(Compression::Zstd));
        let (before, _) = RecordBatch::split_first(&bytes).unwrap();
        let (before, after) = (Records::of(before).unwrap(), Records::of(batch).unwrap());
        assert!(before.iter().eq(after.iter()));
        let none = LogConfig { compression_type: Some(Compression::None), ..LogConfig::default() };
        assert!(matches!(rewrite(&none).1, Rewritten::Not), "what is not compressed stays so");
    }
}
