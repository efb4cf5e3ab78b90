//! Listeners and connections: bytes in, frames to the handlers, responses out in the order of their requests.
//!
//! - One task for each connection, and nothing shared between connections but the handlers' rooms: a slow reader or a
//!   big fetch holds up nobody else.
//! - A connection takes its next request when the one before has done what order depends on (appended, answered). Only
//!   the wait of acks=all goes on while later requests proceed.
//! - An idle connection owns no buffer: 10,000 of them cost their task and their socket. Buffers grow with the bytes that
//!   have arrived, never with the length that a client claims.
//!
//! Deliberately absent: a queue between network and handlers, and threads of its own. The connection's task calls the
//! handler.

mod buffers;
pub mod client;
mod connection;
mod limits;
mod listener;
mod send;

pub use crate::handlers::Serves;
pub use limits::ConnectionLimits;
pub use listener::Listener;
