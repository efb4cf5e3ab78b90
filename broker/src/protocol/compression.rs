//! The five compression types of a batch, for the few places that look inside one: compaction, and topics whose
//! `compression.type` differs from the producer's.
//!
//! - Decompression is bounded: a batch may grow to [`DECOMPRESSED_BYTES_MAX`] and no further.

use super::batch::{BatchError, Compression};
use std::borrow::Cow;
use std::io::{Read, Write};

/// The most that the records of one batch may take decompressed: 256 MiB, above any sensible `message.max.bytes`.
pub const DECOMPRESSED_BYTES_MAX: u64 = 256 << 20;

/// Snappy as Java's snappy-java frames it: this magic and two versions, then blocks with their length in front.
const SNAPPY_MAGIC: &[u8] = &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const SNAPPY_HEADER_BYTES: usize = 16;
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

/// Errors: `Decompress` for bytes that are not what they should be, or that grow too large.
pub fn decompress(compression: Compression, payload: &[u8]) -> Result<Cow<'_, [u8]>, BatchError> {
    match compression {
        Compression::None => Ok(Cow::Borrowed(payload)),
        Compression::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(payload)),
        Compression::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(payload)),
        Compression::Zstd => {
            read_bounded(zstd::stream::read::Decoder::new(payload).map_err(|_| BatchError::Decompress)?)
        }
        Compression::Snappy => unsnap(payload).map(Cow::Owned),
    }
}

fn read_bounded<'a>(reader: impl Read) -> Result<Cow<'a, [u8]>, BatchError> {
    let mut bytes = Vec::new();
    let read = reader.take(DECOMPRESSED_BYTES_MAX + 1).read_to_end(&mut bytes);
    match read {
        Ok(read) if read as u64 <= DECOMPRESSED_BYTES_MAX => Ok(Cow::Owned(bytes)),
        _ => Err(BatchError::Decompress),
    }
}

/// Java's clients frame snappy in blocks, librdkafka and others send it raw: both are read.
fn unsnap(payload: &[u8]) -> Result<Vec<u8>, BatchError> {
    if !payload.starts_with(SNAPPY_MAGIC) {
        let mut bytes = Vec::new();
        append_unsnapped(payload, &mut bytes)?;
        return Ok(bytes);
    }
    let mut blocks = payload.get(SNAPPY_HEADER_BYTES..).ok_or(BatchError::Decompress)?;
    let mut bytes = Vec::new();
    while let Some((length, rest)) = blocks.split_first_chunk::<4>() {
        let (block, rest) =
            rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(BatchError::Decompress)?;
        append_unsnapped(block, &mut bytes)?;
        blocks = rest;
    }
    if blocks.is_empty() { Ok(bytes) } else { Err(BatchError::Decompress) }
}

fn append_unsnapped(block: &[u8], bytes: &mut Vec<u8>) -> Result<(), BatchError> {
    let length = snap::raw::decompress_len(block).map_err(|_| BatchError::Decompress)?;
    // Snappy cannot shrink by more than about 64 to 1: a larger claim is a lie, and is not allocated for.
    if length > block.len().saturating_mul(64) + 64 || (bytes.len() + length) as u64 > DECOMPRESSED_BYTES_MAX {
        return Err(BatchError::Decompress);
    }
    let start = bytes.len();
    bytes.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut bytes[start..]).map_err(|_| BatchError::Decompress)?;
    Ok(())
}

/// Compresses as Kafka's own producer does, so that every client can read it.
pub fn compress(compression: Compression, payload: &[u8]) -> Vec<u8> {
    const IN_MEMORY: &str = "writing to memory does not fail";
    match compression {
        Compression::None => payload.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(payload).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY)
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(payload).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY)
        }
        Compression::Zstd => zstd::stream::encode_all(payload, zstd::DEFAULT_COMPRESSION_LEVEL).expect(IN_MEMORY),
        Compression::Snappy => snap_in_blocks(payload),
    }
}

fn snap_in_blocks(payload: &[u8]) -> Vec<u8> {
    let mut bytes = SNAPPY_MAGIC.to_vec();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 1]);
    for block in payload.chunks(SNAPPY_BLOCK_BYTES) {
        let block = snap::raw::Encoder::new().compress_vec(block).expect("a block of 32 KiB");
        bytes.extend(u32::try_from(block.len()).expect("a small block").to_be_bytes());
        bytes.extend(block);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    #[test]
    fn every_type_gives_back_what_it_was_given() {
        let payload: Vec<u8> = (0..100_000u32).flat_map(|number| (number / 7).to_be_bytes()).collect();
        for compression in ALL {
            let compressed = compress(compression, &payload);
            assert_eq!(decompress(compression, &compressed).unwrap(), payload, "{compression:?}");
        }
    }

    #[test]
    fn snappy_is_read_raw_too() {
        let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
        assert_eq!(decompress(Compression::Snappy, &raw).unwrap(), &b"hello hello hello"[..]);
    }

    #[test]
    fn garbage_is_an_error_in_every_type() {
        for compression in &ALL[1..] {
            assert_eq!(decompress(*compression, &[0xff; 40]), Err(BatchError::Decompress), "{compression:?}");
        }
    }

    #[test]
    fn a_snappy_block_that_claims_gigabytes_allocates_nothing() {
        assert_eq!(decompress(Compression::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]), Err(BatchError::Decompress));
    }
}
