//! Kafka's wire protocol: frames, messages, record batches, error codes. Pure: bytes in, bytes out.
//!
//! - No client can make the broker allocate more than a small multiple of what it sent ([`codec`]).
//! - A record batch is looked at through its header and never decoded on the way to the log ([`batch`]).
//! - [`api`] is the one list of APIs and versions; what it does not name is not advertised and not answered.

pub mod api;
pub mod batch;
pub mod codec;
pub mod compression;
pub mod error_code;
pub mod frame;
pub mod messages;
pub mod record;

pub use api::ApiKey;
pub use codec::{Blob, DecodeError, Decoder, Encoder, Records, Str, Uuid, Wire};
pub use error_code::ErrorCode;
