//! The records of the metadata log in their frame: frame version, API key, record version, body (KIP-631).
//!
//! A record is read in every version that Apache Kafka 4.1 reads, and written in the one that the cluster's
//! metadata.version allows. What cannot be read stops the reader: an image without it would be wrong.

use crate::protocol::messages::metadata_records::*;
use crate::protocol::{DecodeError, Decoder, Encoder, Wire};
use std::borrow::Cow;

/// The metadata.version that new clusters start with: 4.1-IV1, as Apache Kafka 4.1's.
pub const METADATA_VERSION_LATEST: i16 = 27;

/// The lowest metadata.version that Apache Kafka 4.1 still reads: 3.3-IV3.
pub const METADATA_VERSION_MIN: i16 = 7;

const FRAME_VERSION: u32 = 1;

const REGISTER_BROKER: u32 = 0;
const PARTITION: u32 = 3;
const PARTITION_CHANGE: u32 = 5;
const BROKER_REGISTRATION_CHANGE: u32 = 17;

/// Why bytes are not a record that we can apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a frame of version {0}, where only 1 is known")]
    FrameVersion(u32),
    #[error("a record of the unknown type {0}")]
    UnknownType(u32),
    #[error("a {name} of version {version}, where {max} is the highest known")]
    UnknownVersion { name: &'static str, version: u32, max: i16 },
    #[error("a record without a value")]
    NoValue,
    #[error("{0}")]
    Decode(#[from] DecodeError),
}

macro_rules! metadata_records {
    ($($variant:ident($message:ty) = $key:literal, versions 0..=$max:literal;)*) => {
        /// One change of the metadata.
        #[derive(Clone, Debug, PartialEq)]
        pub enum MetadataRecord<'a> {
            $($variant($message),)*
            /// A record that we keep but do not use: see [`unused`].
            Unused(Cow<'a, [u8]>),
        }

        impl<'a> MetadataRecord<'a> {
            /// Errors: what [`RecordError`] lists; whoever reads must stop.
            pub fn decode(bytes: &'a [u8]) -> Result<MetadataRecord<'a>, RecordError> {
                let (key, version, body) = read_frame(bytes)?;
                match key {
                    $($key => {
                        let version = known_version(stringify!($variant), version, $max)?;
                        read_body(body, version).map(MetadataRecord::$variant)
                    })*
                    key if unused(key).is_some() => Ok(MetadataRecord::Unused(Cow::Borrowed(bytes))),
                    key => Err(RecordError::UnknownType(key)),
                }
            }

            /// The record in the version that goes with the cluster's `metadata_version`.
            pub fn encode(&self, metadata_version: i16) -> Vec<u8> {
                match self {
                    $(MetadataRecord::$variant(message) => {
                        write_frame($key, written_version($key, metadata_version), message)
                    })*
                    MetadataRecord::Unused(bytes) => bytes.to_vec(),
                }
            }

            /// The record's type, as Kafka names its schema.
            pub fn name(&self) -> &'static str {
                match self {
                    $(MetadataRecord::$variant(_) => concat!(stringify!($variant), "Record"),)*
                    MetadataRecord::Unused(bytes) => {
                        read_frame(bytes).ok().and_then(|(key, ..)| unused(key)).unwrap_or("unused record")
                    }
                }
            }
        }

        $(impl<'a> From<$message> for MetadataRecord<'a> {
            fn from(message: $message) -> Self {
                MetadataRecord::$variant(message)
            }
        })*
    };
}

metadata_records! {
    RegisterBroker(RegisterBrokerRecord<'a>) = 0, versions 0..=3;
    UnregisterBroker(UnregisterBrokerRecord) = 1, versions 0..=0;
    Topic(TopicRecord<'a>) = 2, versions 0..=0;
    Partition(PartitionRecord) = 3, versions 0..=2;
    Config(ConfigRecord<'a>) = 4, versions 0..=0;
    PartitionChange(PartitionChangeRecord) = 5, versions 0..=2;
    FenceBroker(FenceBrokerRecord) = 7, versions 0..=0;
    UnfenceBroker(UnfenceBrokerRecord) = 8, versions 0..=0;
    RemoveTopic(RemoveTopicRecord) = 9, versions 0..=0;
    FeatureLevel(FeatureLevelRecord<'a>) = 12, versions 0..=0;
    ProducerIds(ProducerIdsRecord) = 15, versions 0..=0;
    BrokerRegistrationChange(BrokerRegistrationChangeRecord) = 17, versions 0..=2;
    NoOp(NoOpRecord) = 20, versions 0..=0;
    BeginTransaction(BeginTransactionRecord<'a>) = 23, versions 0..=0;
    EndTransaction(EndTransactionRecord) = 24, versions 0..=0;
    AbortTransaction(AbortTransactionRecord<'a>) = 25, versions 0..=0;
    RegisterController(RegisterControllerRecord<'a>) = 27, versions 0..=0;
    ClearElr(ClearElrRecord<'a>) = 28, versions 0..=0;
}

/// The types that Apache Kafka writes and that mean nothing to this broker yet, by their API keys.
fn unused(key: u32) -> Option<&'static str> {
    Some(match key {
        10 => "DelegationTokenRecord",
        11 => "UserScramCredentialRecord",
        14 => "ClientQuotaRecord",
        18 => "AccessControlEntryRecord",
        19 => "RemoveAccessControlEntryRecord",
        21 => "ZkMigrationStateRecord",
        22 => "RemoveUserScramCredentialRecord",
        26 => "RemoveDelegationTokenRecord",
        _ => return None,
    })
}

fn read_frame(bytes: &[u8]) -> Result<(u32, u32, &[u8]), RecordError> {
    let mut decoder = Decoder::new(bytes, 0, true);
    let frame = decoder.unsigned_varint()?;
    if frame != FRAME_VERSION {
        return Err(RecordError::FrameVersion(frame));
    }
    Ok((decoder.unsigned_varint()?, decoder.unsigned_varint()?, decoder.rest()))
}

fn known_version(name: &'static str, version: u32, max: i16) -> Result<i16, RecordError> {
    let known = i16::try_from(version).ok().filter(|version| *version <= max);
    known.ok_or(RecordError::UnknownVersion { name, version, max })
}

/// The version of a record that every node of a cluster at `metadata_version` reads (Kafka's `MetadataVersion`).
fn written_version(key: u32, metadata_version: i16) -> i16 {
    const V3_4_IV0: i16 = 8;
    const V3_7_IV2: i16 = 17;
    const V4_0_IV1: i16 = 23;
    let since = |level| i16::from(metadata_version >= level);
    match key {
        REGISTER_BROKER => 1 + since(V3_4_IV0) + since(V3_7_IV2),
        PARTITION | PARTITION_CHANGE => since(V3_7_IV2) + since(V4_0_IV1),
        BROKER_REGISTRATION_CHANGE => 1 + since(V3_7_IV2),
        _ => 0,
    }
}

fn read_body<'a, T: Wire<'a>>(body: &'a [u8], version: i16) -> Result<T, RecordError> {
    let mut decoder = Decoder::new(body, version, true);
    let message = T::read(&mut decoder)?;
    decoder.finish()?;
    Ok(message)
}

fn write_frame<'a>(key: u32, version: i16, message: &impl Wire<'a>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(64), version, true);
    encoder.put_unsigned_varint(FRAME_VERSION);
    encoder.put_unsigned_varint(key);
    encoder.put_unsigned_varint(version as u32);
    message.write(&mut encoder);
    encoder.finish().0
}
