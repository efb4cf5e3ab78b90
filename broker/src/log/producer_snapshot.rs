//! The file `.snapshot`: the producers' state before the offset in its name, as Kafka's ProducerStateManager writes it. Pure.

use super::producer_state::{BatchMetadata, Producer, ProducerState};
use crate::protocol::batch::checksum;

const VERSION: i16 = 1;
const ENTRIES_START: usize = 6;
const ENTRY_BYTES: usize = 46;

/// Why a file is not a snapshot that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("a snapshot of {0} bytes, which is no number of producers")]
    Length(usize),
    #[error("a snapshot of version {0}, where 1 is known")]
    Version(i16),
    #[error("a snapshot whose CRC-32C is {computed:08x} where it says {stored:08x}")]
    Crc { stored: u32, computed: u32 },
}

/// The bytes of the snapshot.
pub fn write(state: &ProducerState) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut count = 0i32;
    for (producer_id, producer) in state.iter() {
        put_entry(&mut entries, producer_id, producer);
        count += 1;
    }
    let mut bytes = Vec::with_capacity(ENTRIES_START + 4 + entries.len());
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(count.to_be_bytes());
    bytes.extend(entries);
    let crc = checksum(&bytes[ENTRIES_START..]);
    bytes[2..ENTRIES_START].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn put_entry(bytes: &mut Vec<u8>, producer_id: i64, producer: &Producer) {
    const NONE: BatchMetadata = BatchMetadata { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp: -1 };
    let last = producer.last_batch().unwrap_or(NONE);
    bytes.extend(producer_id.to_be_bytes());
    bytes.extend(producer.epoch.to_be_bytes());
    bytes.extend(last.last_sequence.to_be_bytes());
    bytes.extend(last.last_offset.to_be_bytes());
    bytes.extend(last.offset_delta.to_be_bytes());
    bytes.extend(producer.last_timestamp.to_be_bytes());
    bytes.extend(producer.coordinator_epoch.to_be_bytes());
    bytes.extend(producer.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
}

/// Reads a snapshot whole.
/// Errors: those of [`SnapshotError`]; the state can then be rebuilt from an older one, or from the log itself.
pub fn read(bytes: &[u8]) -> Result<ProducerState, SnapshotError> {
    let version = bytes.first_chunk().map(|version| i16::from_be_bytes(*version));
    let version = version.ok_or(SnapshotError::Length(bytes.len()))?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let entries =
        bytes.get(ENTRIES_START..).filter(|rest| rest.len() >= 4).ok_or(SnapshotError::Length(bytes.len()))?;
    let (stored, computed) = (u32::from_be_bytes(field(bytes, 2)), checksum(entries));
    if stored != computed {
        return Err(SnapshotError::Crc { stored, computed });
    }
    let count = u32::from_be_bytes(field(entries, 0)) as usize;
    let entries = &entries[4..];
    if count.checked_mul(ENTRY_BYTES) != Some(entries.len()) {
        return Err(SnapshotError::Length(bytes.len()));
    }
    let mut state = ProducerState::default();
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let (producer_id, producer) = read_entry(entry);
        state.restore(producer_id, producer);
    }
    Ok(state)
}

fn read_entry(entry: &[u8]) -> (i64, Producer) {
    let last_offset = i64::from_be_bytes(field(entry, 14));
    let timestamp = i64::from_be_bytes(field(entry, 26));
    let last_batch = BatchMetadata {
        last_sequence: i32::from_be_bytes(field(entry, 10)),
        last_offset,
        offset_delta: i32::from_be_bytes(field(entry, 22)),
        timestamp,
    };
    let first_offset = i64::from_be_bytes(field(entry, 38));
    let producer = Producer::restored(
        i16::from_be_bytes(field(entry, 8)),
        (last_offset >= 0).then_some(last_batch),
        timestamp,
        i32::from_be_bytes(field(entry, 34)),
        (first_offset >= 0).then_some(first_offset),
    );
    (i64::from_be_bytes(field(entry, 0)), producer)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("inside what was measured")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn producer() -> impl Strategy<Value = Producer> {
        let batch = (any::<i32>(), 0..i64::MAX, any::<i32>(), any::<i64>());
        (any::<i16>(), proptest::option::of(batch), any::<i64>(), any::<i32>(), proptest::option::of(0..i64::MAX))
            .prop_map(|(epoch, batch, timestamp, coordinator_epoch, first_offset)| {
                let batch = batch.map(|(last_sequence, last_offset, offset_delta, _)| BatchMetadata {
                    last_sequence,
                    last_offset,
                    offset_delta,
                    timestamp,
                });
                Producer::restored(epoch, batch, timestamp, coordinator_epoch, first_offset)
            })
    }

    proptest! {
        #[test]
        fn a_snapshot_gives_back_the_producers(producers in proptest::collection::hash_map(any::<i64>(), producer(), 0..20)) {
            let mut state = ProducerState::default();
            for (producer_id, producer) in producers {
                state.restore(producer_id, producer);
            }
            let back = read(&write(&state)).unwrap();
            prop_assert_eq!(back, state);
        }

        #[test]
        fn a_changed_byte_is_an_error(at in 0usize..56, flip in 1u8..) {
            let mut state = ProducerState::default();
            state.restore(1, Producer::restored(0, None, 5, -1, None));
            let mut bytes = write(&state);
            bytes[at] ^= flip;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn garbage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
