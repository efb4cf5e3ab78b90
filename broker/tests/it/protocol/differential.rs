//! Random messages from Kafka's schemas: our codec and `kafka-protocol` must read the same values from the same bytes,
//! and write the same bytes again.

use super::catalog::{self, Codec, Recoded};
use super::schema::{SCHEMAS, Schema};
use super::values::Tree;
use barnabas::protocol::ApiKey;
use barnabas::protocol::codec::Wire;
use barnabas::protocol::frame::{RequestFrame, RequestPrefix, ResponseFrame};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

const MESSAGES_PER_VERSION: u64 = 60;

/// Calls `check` with random messages of every schema; `check` panics with the place that it is given, seed included.
fn for_random_messages(check: impl Fn(&Codec, &Schema, &[u8], &str)) {
    for schema in SCHEMAS.iter() {
        for seed in 0..MESSAGES_PER_VERSION {
            let place = format!("{} {} seed {seed}", schema.name, schema.version);
            check(Codec::named(schema.name), schema, &schema.random_message(seed, false), &place);
        }
    }
}

fn recode(codec: &Codec, schema: &Schema, bytes: &[u8], place: &str) -> Recoded {
    (codec.recode)(bytes, schema.version, schema.flexible).unwrap_or_else(|error| panic!("{place}: {error}"))
}

#[test]
fn random_messages_are_written_as_they_were_read() {
    for_random_messages(|codec, schema, bytes, place| {
        assert_eq!(recode(codec, schema, bytes, place).bytes, bytes, "{place}");
    });
}

#[test]
fn the_independent_implementation_reads_the_same_values_and_writes_the_same_bytes() {
    for_random_messages(|codec, schema, bytes, place| {
        let Some(recode_theirs) = codec.theirs else { return };
        let ours = recode(codec, schema, bytes, place);
        let theirs = recode_theirs(bytes, schema.version).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(theirs.bytes, ours.bytes, "{place}");
        let difference = Tree::parse(&ours.values).difference(&Tree::parse(&theirs.values));
        assert_eq!(difference, None, "{place}\n{}\n{}", ours.values, theirs.values);
    });
}

#[test]
fn unknown_tagged_fields_change_nothing() {
    for_random_messages(|codec, schema, bytes, place| {
        let seed = place.rsplit(' ').next().and_then(|seed| seed.parse().ok()).expect("the seed stands last");
        let with_unknown = schema.random_message(seed, true);
        assert_eq!(with_unknown.len() > bytes.len(), schema.flexible, "{place}");
        assert_eq!(recode(codec, schema, &with_unknown, place).bytes, bytes, "{place}");
    });
}

#[test]
fn a_null_is_refused_in_versions_that_know_none() {
    for schema in SCHEMAS.iter() {
        for seed in 0..MESSAGES_PER_VERSION {
            let Some(bytes) = schema.with_forbidden_null(seed) else { continue };
            let decoded = (Codec::named(schema.name).decode)(&bytes, schema.version, schema.flexible);
            assert!(decoded.is_err(), "{} {} seed {seed}", schema.name, schema.version);
        }
    }
}

#[test]
fn every_api_is_compared_with_the_independent_implementation() {
    let alone = catalog::ALL.iter().filter(|codec| codec.theirs.is_none()).map(|codec| codec.name);
    let apis: Vec<_> = alone.filter(|name| name.ends_with("Request") || name.ends_with("Response")).collect();
    assert!(apis.is_empty(), "{apis:?}");
}

fn for_each_version(check: impl Fn(ApiKey, TheirApiKey, i16)) {
    for api in ApiKey::ALL {
        let theirs = TheirApiKey::try_from(api.code()).expect("an API of theirs");
        api.versions().filter(|version| api.answers(*version)).for_each(|version| check(*api, theirs, version));
    }
}

#[test]
fn request_headers_are_read_as_the_independent_implementation_writes_them() {
    for_each_version(|api, theirs, version| {
        for client_id in [None, Some(""), Some("klient-ß")] {
            let header = RequestHeader::default()
                .with_request_api_key(api.code())
                .with_request_api_version(version)
                .with_correlation_id(-7)
                .with_client_id(client_id.map(StrBytes::from_static_str));
            let mut frame = BytesMut::new();
            header.encode(&mut frame, theirs.request_header_version(version)).expect("a header");
            frame.extend(b"body");
            let prefix = RequestPrefix::read(&frame).expect("a prefix");
            assert_eq!((prefix.api_key, prefix.api_version, prefix.correlation_id), (api.code(), version, -7));
            let request = RequestFrame::read(api, prefix, &frame).expect("a frame");
            assert_eq!(request.client_id.as_deref(), client_id, "{api:?} {version}");
            assert_eq!(request.body.rest(), b"body", "{api:?} {version}");
        }
    });
}

#[test]
fn response_headers_are_written_as_the_independent_implementation_reads_them() {
    struct Body;
    impl Wire<'_> for Body {
        fn read(_: &mut barnabas::protocol::Decoder<'_>) -> barnabas::protocol::codec::Result<Body> {
            Ok(Body)
        }

        fn write(&self, encoder: &mut barnabas::protocol::Encoder) {
            encoder.put(b"body");
        }
    }
    for_each_version(|api, theirs, version| {
        let frame = ResponseFrame::encode(api, version, 99, &Body).bytes;
        let (length, rest) = frame.split_first_chunk::<4>().expect("a length");
        assert_eq!(i32::from_be_bytes(*length) as usize, rest.len());
        let mut rest = Bytes::copy_from_slice(rest);
        let header = ResponseHeader::decode(&mut rest, theirs.response_header_version(version)).expect("a header");
        assert_eq!((header.correlation_id, &rest[..]), (99, &b"body"[..]), "{api:?} {version}");
    });
}
