//! The headers around messages: who asks for what, and which question an answer belongs to.

use super::api::ApiKey;
use super::codec::{DecodeError, Decoder, Encoder, Hole, Nullable, Result, Str, Wire};

/// The first bytes of every request, readable before anything is known about its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPrefix {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
}

impl RequestPrefix {
    /// Errors: `Truncated` if a frame is too short to say what it is.
    pub fn read(frame: &[u8]) -> Result<RequestPrefix> {
        let mut decoder = Decoder::new(frame, 0, false);
        Ok(RequestPrefix {
            api_key: i16::read(&mut decoder)?,
            api_version: i16::read(&mut decoder)?,
            correlation_id: i32::read(&mut decoder)?,
        })
    }
}

/// A request's header (version 1, or 2 where the request is flexible) and the decoder standing at its body.
#[derive(Debug)]
pub struct RequestFrame<'a> {
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<Str<'a>>,
    pub body: Decoder<'a>,
}

impl<'a> RequestFrame<'a> {
    /// `frame` is a whole request without its length; `api` and its version were found in the prefix and are known.
    pub fn read(api: ApiKey, prefix: RequestPrefix, frame: &'a [u8]) -> Result<RequestFrame<'a>> {
        const PREFIX_BYTES: usize = 8;
        let version = prefix.api_version;
        // The client id stays in the classic encoding: ApiVersions must be readable before versions are agreed on.
        let mut decoder = Decoder::new(frame.get(PREFIX_BYTES..).ok_or(DecodeError::Truncated)?, version, false);
        let client_id = Str::read_nullable(&mut decoder)?;
        let mut body = Decoder::new(decoder.rest(), version, api.flexible(version));
        if body.flexible() {
            body.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(RequestFrame { api, version, correlation_id: prefix.correlation_id, client_id, body })
    }

    /// A whole request with its length in front, as the connection of one node to another sends it.
    pub fn encode<'m>(
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        client_id: &str,
        message: &impl Wire<'m>,
    ) -> Vec<u8> {
        let mut header = Encoder::new(Vec::with_capacity(256), version, false);
        0i32.write(&mut header);
        api.code().write(&mut header);
        version.write(&mut header);
        correlation_id.write(&mut header);
        Some(Str::from(client_id)).write(&mut header);
        let mut body = Encoder::new(header.finish().0, version, api.flexible(version));
        if body.flexible() {
            body.put_tagged_fields(&[]);
        }
        message.write(&mut body);
        let mut bytes = body.finish().0;
        let length = i32::try_from(bytes.len() - size_of::<i32>()).expect("requests are below 2 GiB");
        bytes[..size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// Decodes the body. Bytes behind the message are ignored, as Kafka ignores them.
    pub fn message<T: Wire<'a>>(&self) -> Result<T> {
        T::read(&mut self.body.clone())
    }
}

/// A whole encoded response with its length in front, and the holes where bytes from files belong.
#[derive(Debug)]
pub struct ResponseFrame {
    pub bytes: Vec<u8>,
    pub holes: Vec<Hole>,
    /// The error codes in it, each once.
    pub errors: Vec<i16>,
}

impl ResponseFrame {
    /// A response that another node has encoded, without its length.
    pub fn of_answer(answer: &[u8]) -> ResponseFrame {
        let length = i32::try_from(answer.len()).expect("responses are below 2 GiB");
        ResponseFrame { bytes: [&length.to_be_bytes(), answer].concat(), holes: Vec::new(), errors: Vec::new() }
    }

    pub fn encode<'a>(api: ApiKey, version: i16, correlation_id: i32, message: &impl Wire<'a>) -> ResponseFrame {
        let mut encoder = Encoder::new(Vec::with_capacity(256), version, api.flexible(version));
        0i32.write(&mut encoder);
        correlation_id.write(&mut encoder);
        // A client that asks for unknown versions must be able to read the header of the answer (KIP-511).
        if encoder.flexible() && api != ApiKey::ApiVersions {
            encoder.put_tagged_fields(&[]);
        }
        message.write(&mut encoder);
        let errors = encoder.errors().to_vec();
        let (mut bytes, holes) = encoder.finish();
        let length = bytes.len() - size_of::<i32>() + holes.iter().map(|hole| hole.length).sum::<usize>();
        let length = i32::try_from(length).expect("responses are below 2 GiB");
        bytes[..size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
        ResponseFrame { bytes, holes, errors }
    }
}

/// A response without its length, and the decoder standing at its body.
#[derive(Debug)]
pub struct AnswerFrame<'a> {
    pub correlation_id: i32,
    pub body: Decoder<'a>,
}

impl<'a> AnswerFrame<'a> {
    /// Errors: `Truncated` and others if the header cannot be read.
    pub fn read(api: ApiKey, version: i16, frame: &'a [u8]) -> Result<AnswerFrame<'a>> {
        let mut decoder = Decoder::new(frame, version, api.flexible(version));
        let correlation_id = i32::read(&mut decoder)?;
        if decoder.flexible() && api != ApiKey::ApiVersions {
            decoder.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(AnswerFrame { correlation_id, body: decoder })
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
    use super::*;

    #[test]
    fn a_frame_counts_its_bytes_but_not_its_length() {
        let frame = ResponseFrame::encode(ApiKey::Heartbeat, 4, 7, &HeartbeatResponse::default());
        assert_eq!(frame.bytes, [0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
        for version in ApiKey::Heartbeat.versions() {
            let bytes = RequestFrame::encode(ApiKey::Heartbeat, version, 9, "me", &request);
            let (length, frame) = bytes.split_at(4);
            assert_eq!(i32::from_be_bytes(length.try_into().unwrap()) as usize, frame.len());
            let prefix = RequestPrefix::read(frame).unwrap();
            assert_eq!((prefix.api_key, prefix.api_version, prefix.correlation_id), (12, version, 9));
            let read = RequestFrame::read(ApiKey::Heartbeat, prefix, frame).unwrap();
            assert_eq!(read.client_id.as_deref(), Some("me"));
            assert_eq!(&*read.message::<HeartbeatRequest>().unwrap().group_id, "g");
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for version in ApiKey::Heartbeat.versions() {
            let frame = ResponseFrame::encode(
                ApiKey::Heartbeat,
                version,
                7,
                &HeartbeatResponse { throttle_time_ms: 3, error_code: 25 },
            );
            let mut read = AnswerFrame::read(ApiKey::Heartbeat, version, &frame.bytes[4..]).unwrap();
            assert_eq!(read.correlation_id, 7);
            assert_eq!(HeartbeatResponse::read(&mut read.body).unwrap().error_code, 25);
        }
    }

    #[test]
    fn a_request_of_two_bytes_is_an_error() {
        assert_eq!(RequestPrefix::read(&[0, 18]), Err(DecodeError::Truncated));
    }
}
