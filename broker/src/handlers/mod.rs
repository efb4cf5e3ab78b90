//! The answers to requests: one file for each API, and the one match from API key to handler.
//!
//! A handler is a function `handle(the rooms it needs, &Context, request) -> response`, `async` where it waits.

use std::net::IpAddr;

/// Who asks, how, and when.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The request's version: what a handler answers may depend on it.
    pub version: i16,
    pub client_id: &'a str,
    pub client_host: IpAddr,
    /// The name of the listener that the request came in by: clients are told the addresses of the same listener.
    pub listener: &'a str,
    /// Milliseconds since 1970.
    pub now: i64,
}
