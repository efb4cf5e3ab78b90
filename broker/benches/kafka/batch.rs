//! Record batches (magic 2, KIP-98) built once and stamped anew for each request.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

use crate::wire::{self, Writer};

pub const RECORD_BYTES: usize = 1024;

/// Where the fields that change lie in a batch.
const LENGTH_AT: usize = 8;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const BASE_SEQUENCE_AT: usize = 53;

/// Where the correlation id lies in a frame.
const CORRELATION_ID_AT: usize = 8;

/// A Produce request with one idempotent batch for one partition: everything but ids, times and checksum stays.
pub struct ProduceFrame {
    frame: Vec<u8>,
    batch_at: usize,
    batch_end: usize,
}

/// Who writes.
#[derive(Clone, Copy)]
pub struct ProducerId {
    pub id: i64,
    pub epoch: i16,
}

impl ProduceFrame {
    /// `records` records of [`RECORD_BYTES`] that do not compress, acks=all.
    pub fn new(topic: &str, partition: i32, producer: ProducerId, records: i32) -> Self {
        let mut values = vec![0; RECORD_BYTES * records as usize];
        SmallRng::seed_from_u64(partition as u64).fill_bytes(&mut values);
        let batch = encode(producer, values.chunks(RECORD_BYTES));
        let mut frame = Writer::frame(wire::PRODUCE, 0);
        frame.unsigned_varint(0).i16(-1).i32(30_000).compact_len(1).compact_string(topic);
        frame.compact_len(1).i32(partition).compact_len(batch.len());
        let batch_at = frame.0.len();
        frame.bytes(&batch).no_tags().no_tags().no_tags();
        Self { frame: frame.finish_frame(), batch_at, batch_end: batch_at + batch.len() }
    }

    pub fn batch_bytes(&self) -> usize {
        self.batch_end - self.batch_at
    }

    /// The frame of the next request.
    pub fn stamp(&mut self, correlation_id: i32, base_sequence: i32) -> &[u8] {
        self.frame[CORRELATION_ID_AT..CORRELATION_ID_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
        let batch = &mut self.frame[self.batch_at..self.batch_end];
        batch[BASE_SEQUENCE_AT..BASE_SEQUENCE_AT + 4].copy_from_slice(&base_sequence.to_be_bytes());
        seal(batch);
        &self.frame
    }
}

/// One record of one byte without a producer id.
pub fn single_small_record() -> Vec<u8> {
    let mut batch = encode(ProducerId { id: -1, epoch: -1 }, [b"x".as_slice()].into_iter());
    seal(&mut batch);
    batch
}

fn encode<'a>(producer: ProducerId, values: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let count = values.len() as i32;
    let base_sequence = if producer.id < 0 { -1 } else { 0 };
    let mut batch = Writer::default();
    batch.i64(0).i32(0).i32(-1).i8(2).i32(0).i16(0).i32(count - 1).i64(0).i64(0);
    batch.i64(producer.id).i16(producer.epoch).i32(base_sequence).i32(count);
    for (offset_delta, value) in values.enumerate() {
        let mut record = Writer::default();
        record.i8(0).varint(0).varint(offset_delta as i32).varint(-1);
        record.varint(value.len() as i32).bytes(value).varint(0);
        batch.varint(record.0.len() as i32).bytes(&record.0);
    }
    let length = (batch.0.len() - LENGTH_AT - 4) as i32;
    batch.0[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    batch.0
}

/// Sets the timestamps to now and the checksum to what they make.
fn seal(batch: &mut [u8]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    for at in [BASE_TIMESTAMP_AT, MAX_TIMESTAMP_AT] {
        batch[at..at + 8].copy_from_slice(&now.to_be_bytes());
    }
    let crc = crc_fast::crc32_iscsi(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// The offset after the last whole batch in `records`, whose first is `expected`; a Fetch response may end in the middle
/// of one. None: a batch does not follow the one before.
pub fn end_offset(mut records: &[u8], mut expected: i64) -> Option<i64> {
    while let Some(header) = records.first_chunk::<61>() {
        let base_offset = i64::from_be_bytes(header[..8].try_into().ok()?);
        let length = u32::from_be_bytes(header[LENGTH_AT..LENGTH_AT + 4].try_into().ok()?) as usize + LENGTH_AT + 4;
        let Some(rest) = records.get(length..) else { break };
        let count = i64::from(i32::from_be_bytes(header[57..61].try_into().ok()?));
        // A fetch from the middle of a batch is answered with the whole batch; the load never asks for that.
        if base_offset != expected || count < 1 {
            return None;
        }
        expected += count;
        records = rest;
    }
    Some(expected)
}
