//! A connection to a leader: Fetch requests out, answers in, in their order.

use crate::protocol::ApiKey;
use crate::protocol::codec::{DecodeError, Decoder, Encoder, Wire};
use crate::protocol::messages::fetch::{FetchRequest, FetchResponse};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The version of Fetch that brokers speak among themselves.
pub const VERSION: i16 = 18;
const LENGTH_BYTES: usize = 4;
/// Bytes of a buffer that is kept while nothing arrives.
const IDLE_BUFFER_BYTES: usize = 128 << 10;
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("an answer that cannot be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("an answer of {0} bytes")]
    Length(i32),
    #[error("an answer to request {found}, where {expected} is next")]
    OutOfTurn { expected: i32, found: i32 },
    #[error("no answer for {} seconds", .0.as_secs())]
    Silent(Duration),
}

pub struct Connection {
    socket: TcpStream,
    client_id: String,
    buffer: Vec<u8>,
    /// The correlation ids of the next request, and of the next answer.
    next_request: i32,
    next_answer: i32,
}

impl Connection {
    pub async fn open(host: &str, port: u16, client_id: String) -> io::Result<Connection> {
        let connecting = tokio::time::timeout(CONNECT_WAIT_MAX, TcpStream::connect((host, port)));
        let socket = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        socket.set_nodelay(true)?;
        Ok(Connection { socket, client_id, buffer: Vec::new(), next_request: 0, next_answer: 0 })
    }

    /// Requests that were sent and are not answered.
    pub fn under_way(&self) -> i32 {
        self.next_request - self.next_answer
    }

    pub async fn send(&mut self, request: &FetchRequest<'_>) -> Result<(), ConnectionError> {
        let mut encoder = Encoder::new(vec![0; LENGTH_BYTES], VERSION, true);
        ApiKey::Fetch.code().write(&mut encoder);
        VERSION.write(&mut encoder);
        self.next_request.write(&mut encoder);
        i16::try_from(self.client_id.len()).expect("a short name").write(&mut encoder);
        encoder.put(self.client_id.as_bytes());
        encoder.put_tagged_fields(&[]);
        request.write(&mut encoder);
        let (mut bytes, _) = encoder.finish();
        let length = i32::try_from(bytes.len() - LENGTH_BYTES).expect("requests are below 2 GiB");
        bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.socket.write_all(&bytes).await?;
        self.next_request = self.next_request.wrapping_add(1);
        Ok(())
    }

    /// Returns once a whole answer lies in the buffer. May be given up and called again.
    pub async fn answered(&mut self, patience: Duration) -> Result<(), ConnectionError> {
        let arrived = tokio::time::timeout(patience, async {
            while self.frame()?.is_none() {
                if self.missing() == 0 {
                    self.buffer.reserve(IDLE_BUFFER_BYTES);
                } else {
                    self.buffer.reserve(self.missing());
                }
                if self.socket.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
            Ok(())
        });
        arrived.await.unwrap_or(Err(ConnectionError::Silent(patience)))
    }

    fn length(&self) -> Result<Option<usize>, ConnectionError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        usize::try_from(length).map(Some).map_err(|_| ConnectionError::Length(length))
    }

    /// Bytes of the answer at the front that have not arrived, as far as that is known.
    fn missing(&self) -> usize {
        let length = self.length().ok().flatten().unwrap_or(0);
        (length + LENGTH_BYTES).saturating_sub(self.buffer.len())
    }

    fn frame(&self) -> Result<Option<&[u8]>, ConnectionError> {
        Ok(self.length()?.and_then(|length| self.buffer.get(LENGTH_BYTES..LENGTH_BYTES + length)))
    }

    /// The answer that has arrived, borrowed from the buffer until [`Connection::consume`].
    pub fn answer(&self) -> Result<FetchResponse<'_>, ConnectionError> {
        let frame = self.frame()?.ok_or(DecodeError::Truncated)?;
        let mut decoder = Decoder::new(frame, VERSION, true);
        let found = i32::read(&mut decoder)?;
        if found != self.next_answer {
            return Err(ConnectionError::OutOfTurn { expected: self.next_answer, found });
        }
        decoder.tagged_fields(|_, _| Ok(false))?;
        Ok(FetchResponse::read(&mut decoder)?)
    }

    /// The answer at the front is done with.
    pub fn consume(&mut self) {
        let length = self.length().ok().flatten().unwrap_or(0);
        let taken = (LENGTH_BYTES + length).min(self.buffer.len());
        self.buffer.drain(..taken);
        // A large buffer stays as long as large answers come.
        if self.buffer.is_empty() && taken < IDLE_BUFFER_BYTES && self.buffer.capacity() > IDLE_BUFFER_BYTES * 2 {
            self.buffer = Vec::new();
        }
        self.next_answer = self.next_answer.wrapping_add(1);
    }
}
