//! What nobody honest sends: it may be refused or read, but it never panics, and never takes more memory than a small
//! multiple of what arrived.

use super::allocation::peak_of;
use super::catalog::Codec;
use super::golden::{BATCHES, Golden, MESSAGES};
use super::schema::SCHEMAS;
use barnabas::protocol::ApiKey;
use barnabas::protocol::batch::{self, BatchError, Compression, RecordBatch};
use barnabas::protocol::codec::{ALLOCATION_FACTOR, Encoder};
use barnabas::protocol::compression::{DECOMPRESSED_BYTES_MAX, compress, decompress};
use barnabas::protocol::frame::{RequestFrame, RequestPrefix};
use barnabas::protocol::record::{BatchBuilder, Header, Records};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const MUTATIONS_PER_MESSAGE: u64 = 60;

/// Decodes whatever it is, and checks what that took. Returns whether it was a message.
fn decode(golden: &Golden, bytes: &[u8]) -> bool {
    let codec = Codec::named(golden.name);
    let (decoded, peak) = peak_of(|| (codec.decode)(bytes, golden.version, golden.flexible));
    let most = bytes.len() * ALLOCATION_FACTOR;
    assert!(peak <= most, "{} {}: {peak} bytes for {} in {bytes:02x?}", golden.name, golden.version, bytes.len());
    decoded.is_ok()
}

#[test]
fn a_message_that_ends_too_early_is_an_error_at_every_byte() {
    for golden in MESSAGES.iter() {
        for end in 0..golden.bytes.len() {
            let place = format!("{} {} {} to {end}", golden.name, golden.version, golden.variant);
            assert!(!decode(golden, &golden.bytes[..end]), "{place}");
        }
    }
}

#[test]
fn huge_and_negative_lengths_at_every_byte_take_no_memory() {
    for golden in MESSAGES.iter() {
        for at in 0..golden.bytes.len() {
            for pattern in
                [&[0xff; 5][..], &[0x7f, 0xff, 0xff, 0xff], &[0x80, 0, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0]]
            {
                let mut bytes = golden.bytes.clone();
                let end = bytes.len().min(at + pattern.len());
                bytes[at..end].copy_from_slice(&pattern[..end - at]);
                decode(golden, &bytes);
            }
        }
    }
}

/// Changes, cuts, doubles and inserts a few bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut SmallRng) {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.extend_from_within(at..),
            _ => bytes.insert(at, random.random()),
        }
    }
}

/// What a mutation still says is written, and read again as the same.
fn check_what_was_read(golden: &Golden, bytes: &[u8]) {
    let codec = Codec::named(golden.name);
    let Ok(first) = (codec.recode)(bytes, golden.version, golden.flexible) else { return };
    let second = (codec.recode)(&first.bytes, golden.version, golden.flexible).expect("our own bytes");
    assert_eq!(second.bytes, first.bytes, "{} {}: {bytes:02x?}", golden.name, golden.version);
}

#[test]
fn mutated_messages_are_refused_or_mean_something() {
    for golden in MESSAGES.iter() {
        for seed in 0..MUTATIONS_PER_MESSAGE {
            let mut bytes = golden.bytes.clone();
            mutate(&mut bytes, &mut SmallRng::seed_from_u64(seed));
            if decode(golden, &bytes) {
                check_what_was_read(golden, &bytes);
            }
        }
    }
}

#[test]
fn random_bytes_are_no_danger_as_any_message() {
    let mut random = SmallRng::seed_from_u64(1);
    for golden in MESSAGES.iter() {
        let mut bytes = vec![0; random.random_range(0..2000)];
        random.fill(&mut bytes[..]);
        decode(golden, &bytes);
        bytes.fill(1);
        decode(golden, &bytes);
        bytes.fill(0);
        decode(golden, &bytes);
    }
}

#[test]
fn honest_messages_are_never_too_crowded() {
    for schema in SCHEMAS.iter() {
        for depth in 0..4 {
            let bytes = schema.crowded_message(depth);
            let decoded = (Codec::named(schema.name).decode)(&bytes, schema.version, schema.flexible);
            assert_eq!(decoded, Ok(()), "{} {} depth {depth}", schema.name, schema.version);
        }
    }
}

#[test]
fn mutated_frames_are_refused_or_read_within_bounds() {
    for api in ApiKey::ALL {
        for version in api.versions() {
            let mut frame = [api.code().to_be_bytes(), version.to_be_bytes(), [0, 0], [0, 7], [0, 1]].concat();
            frame.extend(b"x\x01\x05\x02ab");
            for seed in 0..200 {
                let mut bytes = frame.clone();
                mutate(&mut bytes, &mut SmallRng::seed_from_u64(seed));
                let (_, peak) = peak_of(|| {
                    let prefix = RequestPrefix::read(&bytes).ok()?;
                    RequestFrame::read(*api, RequestPrefix { api_version: version, ..prefix }, &bytes).ok()
                });
                assert_eq!(peak, 0, "{api:?} {version} seed {seed}");
            }
        }
    }
}

/// Walks over whatever batches and records are there.
fn read_batches(bytes: &[u8]) -> Result<usize, BatchError> {
    let mut count = 0;
    for batch in batch::batches(bytes) {
        let batch = batch?;
        let _ = (batch.check_crc(), batch.check_produced(), batch.next_offset(), batch.last_sequence());
        for record in Records::of(batch)?.iter() {
            count += record?.headers.iter().count();
        }
    }
    Ok(count)
}

#[test]
fn mutated_batches_are_refused_or_read_within_bounds() {
    // The decompressors' own tables and windows: the largest is lz4's, of four blocks of 4 MiB.
    const TABLES: usize = 20 << 20;
    for (compression, bytes) in BATCHES.iter() {
        for seed in 0..2000 {
            let mut bytes = bytes.clone();
            mutate(&mut bytes, &mut SmallRng::seed_from_u64(seed));
            let (_, peak) = peak_of(|| read_batches(&bytes));
            assert!(peak < TABLES, "{compression} seed {seed}: {peak} bytes for {}", bytes.len());
        }
    }
}

#[test]
fn an_uncompressed_batch_is_read_without_memory() {
    let (_, bytes) = &BATCHES[0];
    for seed in 0..2000 {
        let mut bytes = bytes.clone();
        mutate(&mut bytes, &mut SmallRng::seed_from_u64(seed));
        // An attribute bit that flips makes it a compressed one.
        if let Some(attributes) = bytes.get_mut(22) {
            *attributes &= !7;
        }
        assert_eq!(peak_of(|| read_batches(&bytes)).1, 0, "seed {seed}");
    }
}

#[test]
fn a_record_of_millions_of_headers_takes_no_memory() {
    const HEADERS: usize = 5_000_000;
    let mut body = Encoder::new(vec![0, 0, 0, 1, 1], 0, true);
    body.put_varint(HEADERS as i32);
    body.put(&vec![0; HEADERS * 2]);
    let body = body.finish().0;
    let mut payload = Encoder::new(Vec::new(), 0, true);
    payload.put_varint(body.len() as i32);
    payload.put(&body);
    let template = BatchBuilder::new(0).record(b"", b"").build();
    let header = Header::of(RecordBatch::split_first(&template).expect("a batch").0);
    let bytes = header.with_payload(&payload.finish().0);
    assert_eq!(peak_of(|| read_batches(&bytes)), (Ok(HEADERS), 0));
}

#[test]
fn a_decompression_bomb_stops_at_the_bound() {
    let bomb = vec![0; DECOMPRESSED_BYTES_MAX as usize + 1];
    for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let compressed = compress(compression, &bomb);
        let (result, peak) = peak_of(|| decompress(compression, &compressed).map(drop));
        assert_eq!(result, Err(BatchError::Decompress), "{compression:?}");
        let most = 2 * DECOMPRESSED_BYTES_MAX as usize + (20 << 20);
        assert!(peak <= most, "{compression:?}: {peak} bytes");
    }
}
