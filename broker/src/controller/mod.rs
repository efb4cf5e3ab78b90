//! The metadata of the cluster and who changes it (KIP-631).
//!
//! - Every change is a few records in the metadata log `__cluster_metadata-0`; [`image`] is what they make of nothing.
//! - [`state::Controller::handle`] decides and changes nothing; replaying a record alone changes an image.
//! - The records of one request are one batch: all of them are applied or none.
//! - Nothing is answered or shown to anybody before it is durable.
//! - Pure: the log, its files, the clock and the thread that drives all this are [`driver`]'s and [`log`]'s business.
//!
//! Deliberately absent: a second way to keep metadata for a single node. It is a quorum of one.

mod batch_file;
mod batches;
mod channel;
pub mod client;
mod config_changes;
pub mod delta;
mod directories;
pub mod driver;
pub mod election_counts;
mod elections;
mod features;
pub mod health;
mod heartbeat;
pub mod image;
mod isr;
mod leadership;
mod liveness;
pub(crate) mod loader;
pub mod metadata_log;
mod partition_change;
pub mod placement;
mod producer_id_blocks;
mod producer_ids;
mod reassignments;
pub mod records;
mod registration;
mod replay;
pub mod request;
pub mod restart;
pub mod rules;
mod snapshot;
mod snapshot_files;
pub mod state;
pub mod topic_name;
mod topics;
mod vanished;
pub mod wire;

pub use client::ControllerClient;
pub use image::MetadataImage;
pub use vanished::Vanished;

use records::{METADATA_VERSION_LATEST, METADATA_VERSION_MIN};
use std::ops::RangeInclusive;

/// The features that this broker works with, each with the levels it knows (KIP-584).
pub const SUPPORTED_FEATURES: [(&str, RangeInclusive<i16>); 2] =
    [(image::METADATA_VERSION, METADATA_VERSION_MIN..=METADATA_VERSION_LATEST), (config_changes::ELR_VERSION, 0..=1)];

#[cfg(test)]
mod cluster_test;
#[cfg(test)]
mod driver_test;
#[cfg(test)]
mod histories_test;
#[cfg(test)]
mod records_test;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod topics_test;
