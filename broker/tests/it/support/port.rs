//! Free TCP ports for brokers.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

/// Below Linux's ephemeral range (32768 and up): a client that reconnects while the broker is down would otherwise be
/// given the broker's own port as its source port now and then, connect to itself, and keep the port taken.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port that nobody listens on right now.
pub fn free_port() -> u16 {
    let width = u64::from(PORTS.end - PORTS.start);
    (0..1000)
        .map(|attempt: u32| PORTS.start + (RandomState::new().hash_one(attempt) % width) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of 1000 ports is free")
}
