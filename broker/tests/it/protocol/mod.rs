//! The wire protocol against what others say about it.
//!
//! - [`golden`]: bytes that Apache Kafka's own classes wrote (`tests/clients/java/Golden.java` makes them again).
//! - [`differential`]: random messages, made from Kafka's schemas, through our codec and through the crate `kafka-protocol`.
//! - [`batches`]: record batches, ours and theirs, in all compression types.
//! - [`hostile`]: what nobody honest sends.

mod allocation;
mod batches;
mod catalog;
mod differential;
mod golden;
mod hostile;
mod schema;
mod values;
