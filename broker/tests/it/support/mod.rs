//! What a test with running brokers stands on: the brokers themselves, child processes with a deadline, and where things
//! are.
//!
//! - A [`broker::Broker`] and a [`cluster::Cluster`] own their directories, ports and processes: dropping them leaves
//!   nothing behind, unless the test failed: then their files stay for a look.
//! - Every wait has a condition and a deadline; a test that hangs says what it waited for.
//! - [`load`] writes and reads all the while, and [`checker`] accounts for every record.
//! - Deliberately absent: anything about one protocol, client or suite. That belongs to the modules of the tests.

pub mod admin;
pub mod ask;
pub mod broker;
pub mod checker;
pub mod cluster;
pub mod disk;
pub mod layout;
pub mod load;
pub mod network;
pub mod port;
pub mod process;
pub mod program;
pub mod readiness;
pub mod wait;
