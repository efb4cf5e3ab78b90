//! The log of one partition, in Kafka's format and file names.

mod append;
mod batch_header;
mod checkpoint;
mod cleaner;
pub mod config;
mod directory;
mod epochs;
#[cfg(test)]
pub mod faults;
mod files;
mod flush;
mod index;
mod listing;
#[allow(clippy::module_inception)]
mod log;
mod maintenance;
mod meta_properties;
#[cfg(test)]
mod model_test;
mod names;
mod partition_metadata;
mod producer_snapshot;
mod producer_state;
mod producers;
mod read;
mod recent;
mod recovery;
mod retention;
mod rewrite;
mod rolling;
mod scan;
mod segment;
#[cfg(test)]
mod testing;
mod timestamps;
mod transaction_index;

pub use append::{AppendError, Appended};
#[cfg(test)]
pub(crate) use batch_header::BatchHeader;
pub use config::{CleanupPolicy, LogConfig};
pub use directory::{Checkpoint, DirectoryError, FoundPartition, LogDirectory, LogDirs, Space};
pub use epochs::{EpochStart, LeaderEpochs, UNDEFINED_EPOCH, UNDEFINED_OFFSET};
pub use files::FileCache;
pub use flush::{FlushTask, Flushed};
pub use log::Log;
pub use maintenance::Maintenance;
pub use producer_state::{Origin, ProducerDescription};
#[cfg(test)]
pub(crate) use producer_state::{ProducerError, ProducerState};
pub use read::{FileSlice, ReadError};
pub use transaction_index::AbortedTransaction;
