//! What the targets share. The first byte of an input chooses the version, the rest is the message.

use barnabas::protocol::codec::Wire;
use barnabas::protocol::{ApiKey, Encoder};

/// The version that an input asks for, whether that is flexible, and the message.
pub fn split(api: ApiKey, input: &[u8]) -> Option<(i16, bool, &[u8])> {
    let (first, body) = input.split_first()?;
    let version = i16::from(*first);
    api.answers(version).then_some((version, api.flexible(version), body))
}

pub fn write<'a>(message: &impl Wire<'a>, version: i16, flexible: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), version, flexible);
    message.write(&mut encoder);
    encoder.finish().0
}

/// A target for one message: what of an input is understood is written, and read again as the same bytes.
#[macro_export]
macro_rules! message_target {
    ($api:ident, $message:ident) => {
        libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            use barnabas::protocol::codec::{Decoder, Wire};
            let Some((version, flexible, body)) = $crate::split(barnabas::protocol::ApiKey::$api, input) else {
                return;
            };
            let Ok(message) = $message::read(&mut Decoder::new(body, version, flexible)) else { return };
            let written = $crate::write(&message, version, flexible);
            let again = $message::read(&mut Decoder::new(&written, version, flexible)).expect("our own bytes");
            assert_eq!($crate::write(&again, version, flexible), written);
        });
    };
}
