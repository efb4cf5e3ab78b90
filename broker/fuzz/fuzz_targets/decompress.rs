//! The payload of a batch; the first byte chooses the compression type.

#![no_main]

use barnabas::protocol::batch::Compression;
use barnabas::protocol::compression::{DECOMPRESSED_BYTES_MAX, compress, decompress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, payload)) = input.split_first() else { return };
    let compression = match first {
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        _ => return,
    };
    let Ok(bytes) = decompress(compression, payload) else { return };
    assert!(bytes.len() as u64 <= DECOMPRESSED_BYTES_MAX);
    // Compressing megabytes in each run would leave no time for anything else.
    if bytes.len() <= 64 << 10 {
        assert_eq!(decompress(compression, &compress(compression, &bytes)).expect("our own bytes"), bytes);
    }
});
