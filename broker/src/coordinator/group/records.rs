//! The records of `__consumer_offsets`, between bytes and the durable half of a group.
//!
//! Written in the versions that Apache Kafka 4.1 writes, read in all of them.

use super::metadata::{Bytes, CommittedOffset, GroupMetadata, MemberMetadata, Text};
use crate::protocol::batch::BatchError;
use crate::protocol::codec::{Blob, DecodeError, Decoder, Encoder, Str, Wire};
use crate::protocol::messages::group_records as wire;
use crate::protocol::record::BatchBuilder;

/// The two key versions of an offset: the first is no longer written, and both are read alike.
const LEGACY_OFFSET_KEY: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

/// A version with the expire timestamp, which later versions do not have.
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const OFFSET_VALUE: i16 = 4;
const GROUP_VALUE: i16 = 3;
/// The highest versions known of both values, and the first that is flexible.
const VALUE_MAX: i16 = 4;

/// Why a record of `__consumer_offsets` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a record without a key")]
    NoKey,
    #[error("a value of version {0}, where 0 to {VALUE_MAX} are known")]
    ValueVersion(i16),
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Batch(#[from] BatchError),
}

/// One change of the durable state. `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    Offset { group: Text, topic: Text, partition: i32, committed: Option<CommittedOffset> },
    Metadata { group: Text, metadata: Option<GroupMetadata> },
}

impl GroupRecord {
    /// Reads one record. `Ok(Err(type))` is a key of a type that is not ours (the protocol of KIP-848, share groups, ...).
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Result<GroupRecord, i16>, RecordError> {
        let mut key = Decoder::new(key.ok_or(RecordError::NoKey)?, 0, false);
        match i16::read(&mut key)? {
            LEGACY_OFFSET_KEY | OFFSET_KEY => decode_offset(wire::OffsetCommitKey::read(&mut key)?, value).map(Ok),
            GROUP_KEY => decode_metadata(wire::GroupMetadataKey::read(&mut key)?, value).map(Ok),
            other => Ok(Err(other)),
        }
    }

    /// The key and, unless it is a tombstone, the value.
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        match self {
            GroupRecord::Offset { group, topic, partition, committed } => {
                let key =
                    wire::OffsetCommitKey { group: borrowed(group), topic: borrowed(topic), partition: *partition };
                (encode_key(OFFSET_KEY, &key), committed.as_ref().map(encode_offset))
            }
            GroupRecord::Metadata { group, metadata } => {
                let key = wire::GroupMetadataKey { group: borrowed(group) };
                (encode_key(GROUP_KEY, &key), metadata.as_ref().map(encode_metadata))
            }
        }
    }

    /// Bytes of its key and its value.
    pub fn encoded_size(&self) -> usize {
        let (key, value) = self.encode();
        key.len() + value.map_or(0, |value| value.len())
    }
}

/// One batch of `records`, stamped `now`.
pub fn batch_of(records: &[GroupRecord], now: i64) -> BatchBuilder {
    let mut batch = BatchBuilder::new(now);
    for record in records {
        let (key, value) = record.encode();
        batch.add(Some(&key), value.as_deref());
    }
    batch
}

/// `message` behind the two bytes of `prefix`, its fields those of `version`.
fn encoded<'a>(prefix: i16, version: i16, message: &impl Wire<'a>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), version, version >= VALUE_MAX);
    prefix.write(&mut encoder);
    message.write(&mut encoder);
    encoder.finish().0
}

/// A key says its type where a value says its version; the fields of keys never changed.
fn encode_key<'a>(key_type: i16, key: &impl Wire<'a>) -> Vec<u8> {
    encoded(key_type, 0, key)
}

fn encode_value<'a>(version: i16, value: &impl Wire<'a>) -> Vec<u8> {
    encoded(version, version, value)
}

fn value_decoder(value: &[u8]) -> Result<Decoder<'_>, RecordError> {
    let mut version = Decoder::new(value, 0, false);
    let number = i16::read(&mut version)?;
    if !(0..=VALUE_MAX).contains(&number) {
        return Err(RecordError::ValueVersion(number));
    }
    Ok(Decoder::new(version.rest(), number, number >= VALUE_MAX))
}

fn decode_offset(key: wire::OffsetCommitKey<'_>, value: Option<&[u8]>) -> Result<GroupRecord, RecordError> {
    let committed = match value {
        None => None,
        Some(value) => {
            let value = wire::OffsetCommitValue::read(&mut value_decoder(value)?)?;
            Some(CommittedOffset {
                offset: value.offset,
                leader_epoch: value.leader_epoch,
                metadata: value.metadata.into(),
                commit_timestamp: value.commit_timestamp,
                expire_timestamp: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
            })
        }
    };
    Ok(GroupRecord::Offset { group: text(key.group), topic: text(key.topic), partition: key.partition, committed })
}

fn encode_offset(committed: &CommittedOffset) -> Vec<u8> {
    let value = wire::OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: Str::Borrowed(&committed.metadata),
        commit_timestamp: committed.commit_timestamp,
        expire_timestamp: committed.expire_timestamp.unwrap_or(-1),
        ..Default::default()
    };
    let version = if committed.expire_timestamp.is_some() { OFFSET_VALUE_WITH_EXPIRY } else { OFFSET_VALUE };
    encode_value(version, &value)
}

fn decode_metadata(key: wire::GroupMetadataKey<'_>, value: Option<&[u8]>) -> Result<GroupRecord, RecordError> {
    let metadata = match value {
        None => None,
        Some(value) => {
            let value = wire::GroupMetadataValue::read(&mut value_decoder(value)?)?;
            Some(GroupMetadata {
                protocol_type: Some(value.protocol_type).filter(|name| !name.is_empty()).map(text),
                generation: value.generation,
                protocol: value.protocol.map(text),
                leader: value.leader.map(text),
                state_timestamp: (value.current_state_timestamp != -1).then_some(value.current_state_timestamp),
                members: value.members.into_iter().map(member).collect(),
            })
        }
    };
    Ok(GroupRecord::Metadata { group: text(key.group), metadata })
}

fn member(member: wire::MemberMetadata<'_>) -> MemberMetadata {
    MemberMetadata {
        member_id: text(member.member_id),
        group_instance_id: member.group_instance_id.map(text),
        client_id: text(member.client_id),
        client_host: text(member.client_host),
        // Members of before KIP-62 had one timeout for both.
        rebalance_timeout_ms: match member.rebalance_timeout {
            -1 => member.session_timeout,
            timeout => timeout,
        },
        session_timeout_ms: member.session_timeout,
        subscription: Bytes::from(&*member.subscription),
        assignment: Bytes::from(&*member.assignment),
    }
}

fn encode_metadata(metadata: &GroupMetadata) -> Vec<u8> {
    let value = wire::GroupMetadataValue {
        protocol_type: Str::Borrowed(metadata.protocol_type.as_deref().unwrap_or_default()),
        generation: metadata.generation,
        protocol: metadata.protocol.as_deref().map(Str::Borrowed),
        leader: metadata.leader.as_deref().map(Str::Borrowed),
        current_state_timestamp: metadata.state_timestamp.unwrap_or(-1),
        members: metadata.members.iter().map(wire_member).collect(),
    };
    encode_value(GROUP_VALUE, &value)
}

fn wire_member(member: &MemberMetadata) -> wire::MemberMetadata<'_> {
    wire::MemberMetadata {
        member_id: borrowed(&member.member_id),
        group_instance_id: member.group_instance_id.as_deref().map(Str::Borrowed),
        client_id: borrowed(&member.client_id),
        client_host: borrowed(&member.client_host),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: Blob::Borrowed(&member.subscription),
        assignment: Blob::Borrowed(&member.assignment),
    }
}

fn text(text: Str<'_>) -> Text {
    Text::from(&*text)
}

fn borrowed(text: &Text) -> Str<'_> {
    Str::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch::RecordBatch;
    use crate::protocol::record::Records;
    use proptest::prelude::*;

    /// Keys and values as Apache Kafka 4.1.0 wrote them.
    const WRITTEN_BY_KAFKA: [(&str, Option<&str>); 6] = [
        (
            "0001000a62797465732d74657374000467742d6100000000",
            Some("0004000000000000002a00000005056e6f7465000001a1faeadb3000"),
        ),
        (
            "0001000a62797465732d74657374000467742d6100000001",
            Some("0001000000000000002b0000000001a1faeadb38000001a200113738"),
        ),
        (
            "0002000a62797465732d74657374",
            Some(
                "00030008636f6e73756d657200000001000572616e67650026692d62633630616132662d663534302d343932302d396136372d6134\
                 626136383661613664320000 01a1faeae70f000000010026692d62633630616132662d663534302d343932302d396136372d613462\
                 613638366161366432000169 0002636c000a2f3132372e302e302e310000ea600000271000000014000100000001000467742d61ff\
                 ffffff000000000000000861737369676e6564",
            ),
        ),
        ("0002000a62797465732d74657374", Some("00030008636f6e73756d657200000002ffffffff000001a1faeae75200000000")),
        ("0001000a62797465732d74657374000467742d6100000000", None),
        ("0002000a62797465732d74657374", None),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> GroupRecord {
        GroupRecord::decode(Some(key), value).unwrap().unwrap()
    }

    #[test]
    fn what_kafka_wrote_is_read_and_written_alike() {
        for (key, value) in WRITTEN_BY_KAFKA {
            let (key, value) = (bytes(key), value.map(bytes));
            assert_eq!(decode(&key, value.as_deref()).encode(), (key, value));
        }
    }

    #[test]
    fn what_kafka_wrote_says_what_was_asked_for() {
        let [(key, offset), (_, with_expiry), (_, group), ..] = WRITTEN_BY_KAFKA;
        let offset_of = |value: Option<&str>| match decode(&bytes(key), value.map(bytes).as_deref()) {
            GroupRecord::Offset { committed, .. } => committed.unwrap(),
            other => panic!("{other:?}"),
        };
        let offset = offset_of(offset);
        assert_eq!((offset.offset, offset.leader_epoch, &*offset.metadata), (42, 5, "note"));
        let with_expiry = offset_of(with_expiry);
        assert_eq!(with_expiry.expire_timestamp, Some(with_expiry.commit_timestamp + 86_400_000));
        let group_key = bytes("0002000a62797465732d74657374");
        let GroupRecord::Metadata { metadata: Some(metadata), .. } = decode(&group_key, group.map(bytes).as_deref())
        else {
            panic!("a group");
        };
        assert_eq!((metadata.generation, metadata.protocol.as_deref()), (1, Some("range")));
        let member = &metadata.members[0];
        assert_eq!((member.group_instance_id.as_deref(), &*member.client_host), (Some("i"), "/127.0.0.1"));
        assert_eq!((member.session_timeout_ms, &*member.assignment), (10_000, &b"assigned"[..]));
    }

    #[test]
    fn old_versions_of_values_are_read() {
        let offset_key = bytes("0000 0001 67 0001 74 00000003");
        for (value, leader_epoch) in [
            ("0000 0000000000000007 0000 0000000000000009", -1),
            ("0002 0000000000000007 0000 0000000000000009", -1),
            ("0003 0000000000000007 00000004 0000 0000000000000009", 4),
        ] {
            let GroupRecord::Offset { partition, committed, .. } = decode(&offset_key, Some(&bytes(value))) else {
                panic!("an offset");
            };
            let committed = committed.unwrap();
            assert_eq!((partition, committed.offset, committed.leader_epoch), (3, 7, leader_epoch));
        }
        let members = "00000001 0001 6d 0001 63 0001 68 00002710 00000000 00000000";
        let value = bytes(&format!("0000 0001 70 00000002 ffff ffff {members}"));
        let GroupRecord::Metadata { metadata: Some(group), .. } = decode(&bytes("0002 0001 67"), Some(&value)) else {
            panic!("a group");
        };
        assert_eq!((group.state_timestamp, group.members[0].rebalance_timeout_ms), (None, 10_000));
    }

    #[test]
    fn other_types_are_named_and_broken_records_are_errors() {
        assert_eq!(GroupRecord::decode(Some(&[0, 3, 0, 1, b'g']), None), Ok(Err(3)));
        assert_eq!(GroupRecord::decode(None, None), Err(RecordError::NoKey));
        assert_eq!(GroupRecord::decode(Some(&[0]), None), Err(RecordError::Decode(DecodeError::Truncated)));
        assert_eq!(GroupRecord::decode(Some(&bytes("0002 0001 67")), Some(&[0, 5])), Err(RecordError::ValueVersion(5)));
    }

    fn text() -> impl Strategy<Value = Text> {
        "\\PC{0,8}".prop_map(Text::from)
    }

    fn blob() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from)
    }

    prop_compose! {
        fn offset()(
            group in text(), topic in text(), partition in any::<i32>(), is_tombstone in any::<bool>(),
            offset in any::<i64>(), leader_epoch in any::<i32>(), metadata in text(), commit_timestamp in any::<i64>(),
            expire_timestamp in prop::option::of(0..i64::MAX)
        ) -> GroupRecord {
            // The version with an expiry has no leader epoch.
            let leader_epoch = if expire_timestamp.is_some() { -1 } else { leader_epoch };
            let metadata = (*metadata).into();
            let committed = CommittedOffset { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp };
            GroupRecord::Offset { group, topic, partition, committed: (!is_tombstone).then_some(committed) }
        }
    }

    prop_compose! {
        fn member()(
            member_id in text(), group_instance_id in prop::option::of(text()), client_id in text(), client_host in text(),
            rebalance_timeout_ms in 0..i32::MAX, session_timeout_ms in any::<i32>(), subscription in blob(),
            assignment in blob()
        ) -> MemberMetadata {
            MemberMetadata {
                member_id, group_instance_id, client_id, client_host, rebalance_timeout_ms, session_timeout_ms, subscription,
                assignment,
            }
        }
    }

    prop_compose! {
        fn group()(
            group in text(), protocol_type in prop::option::of(text()), generation in any::<i32>(),
            protocol in prop::option::of(text()), leader in prop::option::of(text()),
            state_timestamp in prop::option::of(0..i64::MAX), members in prop::collection::vec(member(), 0..3)
        ) -> GroupRecord {
            let protocol_type = protocol_type.filter(|name| !name.is_empty());
            let metadata = GroupMetadata { protocol_type, generation, protocol, leader, state_timestamp, members };
            GroupRecord::Metadata { group, metadata: Some(metadata) }
        }
    }

    proptest! {
        #[test]
        fn records_come_back_from_their_batch(records in prop::collection::vec(prop_oneof![offset(), group()], 1..5)) {
            let bytes = batch_of(&records, 5).build();
            let (batch, _) = RecordBatch::split_first(&bytes).unwrap();
            let read: Vec<GroupRecord> = Records::of(batch).unwrap().iter()
                .map(|record| record.unwrap())
                .map(|record| decode(record.key, record.value))
                .collect();
            prop_assert_eq!(read, records);

            fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> GroupRecord {
                GroupRecord::decode(key, value).unwrap().unwrap()
            }
        }

        #[test]
        fn no_bytes_panic(key in prop::collection::vec(any::<u8>(), 0..30), value in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = GroupRecord::decode(Some(&key), Some(&value));
            let keyed = [&[0, key.first().copied().unwrap_or(0) % 3], &key[..]].concat();
            let _ = GroupRecord::decode(Some(&keyed), Some(&[&[0, 3], &value[..]].concat()));
        }
    }
}
