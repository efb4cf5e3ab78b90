//! The batches that the controller writes: metadata records, control records, whole snapshots. Pure.

use super::image::{METADATA_VERSION, MetadataImage};
use super::loader::{QuorumControl, control};
use super::records::MetadataRecord;
use crate::protocol::batch::attributes;
use crate::protocol::messages::control_records::*;
use crate::protocol::record::BatchBuilder;
use crate::protocol::{Encoder, Wire};

/// Bytes of records after which a snapshot's batch is full; Kafka reads batches of up to 8 MiB.
const SNAPSHOT_BATCH_BYTES: usize = 1 << 20;

/// Where a batch stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub base_offset: i64,
    pub epoch: i32,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

impl Place {
    fn builder(self) -> BatchBuilder {
        let mut builder = BatchBuilder::new(self.timestamp);
        builder.base_offset = self.base_offset;
        builder.leader_epoch = self.epoch;
        builder
    }

    /// `records` as one batch, at a cluster's `metadata_version`.
    pub fn batch(self, metadata_version: i16, records: &[MetadataRecord<'_>]) -> Vec<u8> {
        let mut builder = self.builder();
        for record in records {
            builder.add(None, Some(&record.encode(metadata_version)));
        }
        builder.build()
    }

    fn control(self, records: &[(i16, Vec<u8>)]) -> Vec<u8> {
        let mut builder = self.builder();
        builder.attributes = attributes::CONTROL;
        for (control_type, value) in records {
            let [high, low] = control_type.to_be_bytes();
            builder.add(Some(&[0, 0, high, low]), Some(value));
        }
        builder.build()
    }
}

/// A control record's value, in version 0, which is the only one for all that we write.
fn encode<'a>(message: &impl Wire<'a>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), 0, true);
    message.write(&mut encoder);
    encoder.finish().0
}

/// The batches of a snapshot of `image`, one after the other, made at `now`: header, records, footer (KIP-630).
pub fn snapshot<'a>(
    image: &'a MetadataImage,
    quorum: &QuorumControl,
    now: i64,
) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let mut place = Place { base_offset: 0, epoch: image.applied.epoch, timestamp: now };
    let metadata_version = image.feature_level(METADATA_VERSION);
    let header = snapshot_header(image, quorum);
    let header_batch = place.control(&header);
    place.base_offset += header.len() as i64;
    let mut records = image.records().peekable();
    let mut footer = Some((control::SNAPSHOT_FOOTER, encode(&SnapshotFooterRecord::default())));
    let rest = std::iter::from_fn(move || {
        if records.peek().is_none() {
            return Some(place.control(&[footer.take()?]));
        }
        let (mut builder, mut bytes) = (place.builder(), 0);
        while let Some(record) = records.next_if(|_| bytes < SNAPSHOT_BATCH_BYTES) {
            let record = record.encode(metadata_version);
            bytes += record.len();
            place.base_offset += 1;
            builder.add(None, Some(&record));
        }
        Some(builder.build())
    });
    std::iter::once(header_batch).chain(rest)
}

fn snapshot_header(image: &MetadataImage, quorum: &QuorumControl) -> Vec<(i16, Vec<u8>)> {
    let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: image.applied.timestamp };
    let mut records = vec![(control::SNAPSHOT_HEADER, encode(&header))];
    records.extend(quorum.kraft_version.iter().map(|(_, value)| (control::KRAFT_VERSION, value.clone())));
    records.extend(quorum.voters.iter().map(|value| (control::KRAFT_VOTERS, value.clone())));
    records
}
