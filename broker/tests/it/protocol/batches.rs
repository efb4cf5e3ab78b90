//! Record batches: Kafka's and those of `kafka-protocol` read by us, ours read by `kafka-protocol`.

use super::golden::BATCHES;
use barnabas::protocol::batch::{Compression, RecordBatch, TimestampType};
use barnabas::protocol::compression::compress;
use barnabas::protocol::record::{BatchBuilder, Header, Records};
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const COMPRESSIONS: [(Compression, theirs::Compression); 5] = [
    (Compression::None, theirs::Compression::None),
    (Compression::Gzip, theirs::Compression::Gzip),
    (Compression::Snappy, theirs::Compression::Snappy),
    (Compression::Lz4, theirs::Compression::Lz4),
    (Compression::Zstd, theirs::Compression::Zstd),
];

/// A record without what its batch says.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn plain_records() -> impl Strategy<Value = Vec<Plain>> {
    let bytes = || proptest::option::of(vec(any::<u8>(), 0..200));
    let headers = btree_map("\\PC{0,12}", bytes(), 0..4);
    let record = (0..1i64 << 40, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Plain {
        timestamp,
        key,
        value,
        headers: headers.into_iter().collect(),
    });
    vec(record, 1..30)
}

/// What a batch holds, read by us.
fn read(bytes: &[u8]) -> Vec<Plain> {
    let (batch, rest) = RecordBatch::split_first(bytes).expect("a batch");
    assert!(rest.is_empty(), "one batch");
    batch.check_crc().expect("its CRC");
    batch.check_produced().expect("a batch as producers make it");
    let records = Records::of(batch).expect("its records");
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let plain = records.iter().enumerate().map(|(index, record)| {
        let record = record.expect("a record");
        assert_eq!(record.offset_delta as usize, index);
        Plain {
            timestamp: batch.base_timestamp() + record.timestamp_delta,
            key: own(record.key),
            value: own(record.value),
            headers: record.headers.iter().map(|(key, value)| (key.to_owned(), own(value))).collect(),
        }
    });
    plain.collect()
}

/// What a batch holds, read by `kafka-protocol`.
fn read_theirs(bytes: &[u8]) -> Vec<theirs::Record> {
    theirs::RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(bytes)).expect("their decoder").records
}

fn plain(record: &theirs::Record) -> Plain {
    let own = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
    Plain {
        timestamp: record.timestamp,
        key: own(&record.key),
        value: own(&record.value),
        headers: record.headers.iter().map(|(key, value)| (key.to_string(), own(value))).collect(),
    }
}

/// The records as an idempotent producer of `kafka-protocol` has them.
fn to_theirs(records: &[Plain]) -> Vec<theirs::Record> {
    let own = |bytes: &Option<Vec<u8>>| bytes.clone().map(Bytes::from);
    let numbered = records.iter().zip(0..);
    let record = |(record, number): (&Plain, i32)| theirs::Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 5,
        producer_id: 4711,
        producer_epoch: 2,
        timestamp_type: theirs::TimestampType::Creation,
        offset: 1000 + i64::from(number),
        sequence: 10 + number,
        timestamp: record.timestamp,
        key: own(&record.key),
        value: own(&record.value),
        headers: record.headers.iter().map(|(key, value)| (StrBytes::from(key.clone()), own(value))).collect(),
    };
    numbered.map(record).collect()
}

fn encode_theirs(records: &[theirs::Record], compression: theirs::Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = theirs::RecordEncodeOptions { version: 2, compression };
    theirs::RecordBatchEncoder::encode(&mut bytes, records, &options).expect("their encoder");
    bytes
}

/// The same batch in another compression, as a topic with a `compression.type` of its own stores it.
fn compressed_anew(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let (batch, _) = RecordBatch::split_first(bytes).expect("a batch");
    let records = Records::of(batch).expect("its records");
    let payload: Vec<u8> = records.iter().flat_map(|record| record.expect("a record").bytes).copied().collect();
    let mut header = Header::of(batch);
    header.set_compression(compression);
    header.with_payload(&compress(compression, &payload))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn their_batches_are_read_by_us_and_written_again_for_them(records in plain_records()) {
        let sent = to_theirs(&records);
        for (ours, theirs) in COMPRESSIONS {
            let bytes = encode_theirs(&sent, theirs);
            prop_assert_eq!(&read(&bytes), &records, "{:?}", ours);
            let (batch, _) = RecordBatch::split_first(&bytes).expect("a batch");
            let producer = (batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
            prop_assert_eq!(producer, (4711, 2, 10));
            prop_assert_eq!((batch.base_offset(), batch.leader_epoch()), (1000, 5));
            prop_assert_eq!((batch.compression(), batch.is_transactional()), (Ok(ours), true));
            prop_assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
            prop_assert_eq!(&Header::of(batch).with_payload(batch.payload()), &bytes);
            for (other, _) in COMPRESSIONS {
                prop_assert_eq!(&read_theirs(&compressed_anew(&bytes, other)), &sent, "{:?} as {:?}", ours, other);
            }
        }
    }

    #[test]
    fn batches_of_our_own_are_read_by_them(records in plain_records()) {
        let mut builder = BatchBuilder::new(77);
        records.iter().for_each(|record| builder.add(record.key.as_deref(), record.value.as_deref()));
        let read = read_theirs(&builder.build());
        let expected = records.into_iter().map(|record| Plain { timestamp: 77, headers: Vec::new(), ..record });
        prop_assert_eq!(read.iter().map(plain).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

/// The records that `Golden.java` writes.
fn golden_records() -> Vec<Plain> {
    let headers = |index: u8| vec![("schlüssel".to_owned(), Some(vec![1, 2, index])), ("null".to_owned(), None)];
    let record = |index: u8| Plain {
        timestamp: 1_700_000_000_000 + i64::from(index) * 7,
        key: (!index.is_multiple_of(3)).then(|| format!("key-{index}").into_bytes()),
        value: (index % 5 != 4).then(|| format!("a value of record {index}").repeat(index.into()).into_bytes()),
        headers: if index.is_multiple_of(2) { Vec::new() } else { headers(index) },
    };
    (0..20).map(record).collect()
}

#[test]
fn batches_of_kafkas_making_are_read_in_every_compression() {
    assert_eq!(BATCHES.len(), COMPRESSIONS.len());
    for (name, bytes) in BATCHES.iter() {
        let (batch, _) = RecordBatch::split_first(bytes).expect("a batch");
        assert_eq!(format!("{:?}", batch.compression().expect("a compression")).to_lowercase(), *name);
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.leader_epoch()), (1234, 1253, 9), "{name}");
        let producer = (batch.producer_id(), batch.producer_epoch(), batch.base_sequence(), batch.last_sequence());
        assert_eq!(producer, (77, 3, 55, 74), "{name}");
        assert_eq!(batch.max_timestamp(), 1_700_000_000_133, "{name}");
        assert_eq!(read(bytes), golden_records(), "{name}");
    }
}

#[test]
fn batches_compressed_anew_are_what_kafka_compressed() {
    for (name, bytes) in BATCHES.iter() {
        for (compression, _) in COMPRESSIONS {
            let anew = compressed_anew(bytes, compression);
            assert_eq!(read(&anew), golden_records(), "{name} as {compression:?}");
            let theirs: Vec<_> = read_theirs(&anew).iter().map(plain).collect();
            assert_eq!(theirs, golden_records(), "{name} as {compression:?}");
        }
    }
    let (_, uncompressed) = &BATCHES[0];
    assert_eq!(&compressed_anew(&BATCHES[1].1, Compression::None), uncompressed);
}
