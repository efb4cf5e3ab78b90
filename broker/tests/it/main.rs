//! The tests of the whole: one binary, because linking librdkafka many times costs more than it orders.
//!
//! `BARNABAS_TEST_BROKER=kafka` runs those with a broker against Apache Kafka instead, which is what makes them true.

mod admin;
mod clients;
mod closed_output;
mod cluster;
mod config_providers;
mod crash;
mod group_scripts;
mod hostile_network;
mod log_compatibility;
mod metadata;
mod metrics;
mod protocol;
mod purity;
mod support;
