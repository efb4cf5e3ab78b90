//! What is in a record: all of it follows from its producer and its number. `Load.java` makes the same.

/// The producer, the number, and bytes of a length that differs from record to record.
pub fn value(producer: u8, sequence: u64) -> Vec<u8> {
    let id = u64::from(producer) << 56 | sequence;
    let filling = id.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let length = (sequence * 37 % 900) as usize;
    id.to_be_bytes().into_iter().chain(filling.into_iter().cycle().take(length)).collect()
}

/// The producer and the number of a record, or what is wrong with its bytes.
pub fn identify(payload: &[u8]) -> Result<(u8, u64), String> {
    let id = payload.first_chunk().ok_or("a record without a number")?;
    let (producer, sequence) = (id[0], u64::from_be_bytes(*id) & ((1 << 56) - 1));
    if payload == value(producer, sequence) {
        Ok((producer, sequence))
    } else {
        Err(format!("other bytes than those of record {sequence} of producer {producer}"))
    }
}
