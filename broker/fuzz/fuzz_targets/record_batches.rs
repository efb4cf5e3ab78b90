//! Batches one behind the other, with all that the log looks at, and the records of those that are not compressed.

#![no_main]

use barnabas::protocol::batch::{self, Compression};
use barnabas::protocol::record::{Header, Records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for batch in batch::batches(input) {
        let Ok(batch) = batch else { return };
        let _ = (batch.check_crc(), batch.check_produced(), batch.next_offset(), batch.last_sequence());
        assert_eq!(Header::of(batch).with_payload(batch.payload()).len(), batch.size());
        if batch.compression() != Ok(Compression::None) {
            continue;
        }
        let records = Records::of(batch).expect("nothing to decompress");
        let mut size = 0;
        for record in records.iter().map_while(Result::ok) {
            size += record.bytes.len();
            assert!(record.headers.iter().count() <= record.bytes.len());
        }
        assert!(size <= batch.payload().len());
    }
});
