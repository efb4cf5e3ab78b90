//! A broker that speaks Apache Kafka's protocol.

pub mod handlers;
pub mod log;
pub mod protocol;
