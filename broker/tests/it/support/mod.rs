//! What a test with a running broker stands on: the broker itself, child processes with a deadline, and where things are.
//!
//! - A [`broker::Broker`] owns its directory, its port and its process: dropping it leaves nothing behind,
//!   unless the test failed: then its files stay for a look.
//! - Every wait has a condition and a deadline; a test that hangs says what it waited for.
//! - Deliberately absent: anything about one protocol, client or suite. That belongs to the modules of the tests.

pub mod broker;
pub mod layout;
pub mod port;
pub mod process;
pub mod readiness;
pub mod wait;
