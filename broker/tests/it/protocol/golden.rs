//! Bytes that Apache Kafka's own classes wrote, for every message in every version: at its defaults, filled, with nulls,
//! empty, and random.

use super::catalog::{self, Codec};
use super::schema::{APIS, SCHEMAS, Schema};
use barnabas::protocol::ApiKey;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// One message as Kafka wrote it.
pub struct Golden {
    pub name: &'static str,
    pub version: i16,
    pub variant: &'static str,
    pub flexible: bool,
    pub bytes: Vec<u8>,
}

impl Golden {
    fn parse(line: &'static str) -> Golden {
        let words: Vec<_> = line.split(' ').collect();
        let &[name, version, variant, hex] = &words[..] else { panic!("four words in {line}") };
        let version = version.parse().expect("a version");
        let flexible = Schema::of(name, version).flexible;
        Golden { name, version, variant, flexible, bytes: from_hex(hex) }
    }
}

pub static MESSAGES: LazyLock<Vec<Golden>> =
    LazyLock::new(|| include_str!("../../golden/messages.txt").lines().map(Golden::parse).collect());

/// A batch of Kafka's making in each compression type, all of the same twenty records.
pub static BATCHES: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(|| {
    let split = |line: &'static str| line.split_once(' ').map(|(compression, hex)| (compression, from_hex(hex)));
    include_str!("../../golden/batches.txt").lines().filter_map(split).collect()
});

/// The bytes that `text` spells; `-` are none.
fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('-').as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("two digits");
    digits.chunks(2).map(byte).collect()
}

#[test]
fn what_kafka_wrote_is_read_and_written_again_byte_for_byte() {
    for golden in MESSAGES.iter() {
        let place = format!("{} {} {}", golden.name, golden.version, golden.variant);
        let recoded = (Codec::named(golden.name).recode)(&golden.bytes, golden.version, golden.flexible);
        let recoded = recoded.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(recoded.bytes, golden.bytes, "{place}: {}", recoded.values);
    }
}

#[test]
fn every_message_of_ours_is_compared_with_kafkas() {
    let ours: BTreeSet<_> = catalog::ALL.iter().map(|codec| codec.name).collect();
    let kafkas: BTreeSet<_> = MESSAGES.iter().map(|golden| golden.name).collect();
    assert_eq!(ours, kafkas);
    let of_apis = |api: &ApiKey| [format!("{}Request", api.name()), format!("{}Response", api.name())];
    let missing: Vec<_> = ApiKey::ALL.iter().flat_map(of_apis).filter(|name| !kafkas.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn apis_are_answered_in_the_versions_that_kafka_advertises() {
    assert_eq!(APIS.len(), ApiKey::ALL.len());
    for api in APIS.iter() {
        let ours = ApiKey::from_code(api.code).unwrap_or_else(|| panic!("{} is not ours", api.name));
        assert_eq!(ours.name(), api.name);
        let answered: Vec<_> = (-1..=api.last + 1).filter(|version| ours.answers(*version)).collect();
        assert_eq!(answered, (api.first..=api.last).collect::<Vec<_>>(), "{}", api.name);
    }
}

#[test]
fn apis_are_answered_on_the_listeners_that_kafka_says() {
    for api in APIS.iter() {
        let ours = ApiKey::from_code(api.code).expect("an API of ours");
        let listeners = (ours.on_brokers(), ours.on_controllers());
        assert_eq!(listeners, (api.on_brokers, api.on_controllers), "{}", api.name);
        assert_eq!(ours.is_forwarded(), api.forwarded && api.on_brokers, "{}", api.name);
    }
}

#[test]
fn messages_are_flexible_from_the_version_that_kafka_says() {
    for schema in SCHEMAS.iter() {
        let api = schema.name.strip_suffix("Request").or(schema.name.strip_suffix("Response"));
        let Some(api) = ApiKey::ALL.iter().find(|ours| Some(ours.name()) == api) else { continue };
        assert_eq!(api.flexible(schema.version), schema.flexible, "{} {}", schema.name, schema.version);
    }
}
