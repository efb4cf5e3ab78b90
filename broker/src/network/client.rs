//! The connection of this node to another: questions out, answers back in the order of their questions.
//!
//! Questions may follow one another before the first is answered. Which versions both sides know is asked first (KIP-35).

use crate::protocol::frame::{AnswerFrame, RequestFrame};
use crate::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::{ApiKey, DecodeError, Wire};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The version of ApiVersions that every node answers.
const API_VERSIONS_VERSION: i16 = 3;

/// Why a question has no answer. The connection is of no use afterwards, but for `UnknownApi`.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer in {0:?}")]
    TimedOut(Duration),
    #[error("an answer that cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    #[error("the node does not know {api} in a version that is known here", api = .0.name())]
    UnknownApi(ApiKey),
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub api: ApiKey,
    pub version: i16,
    frame: Vec<u8>,
}

impl Reply {
    /// Errors: those of the decoder.
    pub fn message<'a, T: Wire<'a>>(&'a self) -> Result<T, DecodeError> {
        T::read(&mut AnswerFrame::read(self.api, self.version, &self.frame)?.body)
    }
}

/// A connection. Ends when it is dropped, or when the other side closes it.
pub struct Client {
    writer: tokio::sync::Mutex<Writer>,
    waiting: Arc<Waiting>,
    reader: JoinHandle<()>,
    versions: BTreeMap<ApiKey, i16>,
    client_id: String,
}

struct Writer {
    socket: OwnedWriteHalf,
    next_correlation: i32,
}

/// A question by its correlation id, and where its answer goes.
type Question = (i32, oneshot::Sender<io::Result<Vec<u8>>>);

/// Questions that were sent and not answered, oldest first; `None` once the connection has ended.
struct Waiting(Mutex<Option<VecDeque<Question>>>);

impl Client {
    /// Connects within `timeout`. `client_id` is what the other side shows of us.
    /// Errors: `Io`, `TimedOut`; `Malformed` where the other side speaks something else.
    pub async fn connect(host: &str, port: u16, client_id: &str, timeout: Duration) -> Result<Client, CallError> {
        let connected = tokio::time::timeout(timeout, Client::open(host, port, client_id)).await;
        connected.unwrap_or(Err(CallError::TimedOut(timeout)))
    }

    async fn open(host: &str, port: u16, client_id: &str) -> Result<Client, CallError> {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        let (read, write) = socket.into_split();
        let waiting = Arc::new(Waiting(Mutex::new(Some(VecDeque::new()))));
        let reader = tokio::spawn(receive(read, waiting.clone()));
        let mut client = Client {
            writer: tokio::sync::Mutex::new(Writer { socket: write, next_correlation: 0 }),
            waiting,
            reader,
            versions: BTreeMap::from([(ApiKey::ApiVersions, API_VERSIONS_VERSION)]),
            client_id: client_id.to_owned(),
        };
        client.versions = client.common_versions().await?;
        Ok(client)
    }

    async fn common_versions(&self) -> Result<BTreeMap<ApiKey, i16>, CallError> {
        let request = ApiVersionsRequest {
            client_software_name: "barnabas".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let reply = self.call(ApiKey::ApiVersions, &request).await?;
        let response: ApiVersionsResponse<'_> = reply.message()?;
        let common = response.api_keys.iter().filter_map(|other| {
            let api = ApiKey::from_code(other.api_key)?;
            let version = other.max_version.min(*api.versions().end());
            (version >= other.min_version.max(*api.versions().start())).then_some((api, version))
        });
        Ok(common.collect())
    }

    /// The highest version of `api` that both sides know.
    pub fn version(&self, api: ApiKey) -> Option<i16> {
        self.versions.get(&api).copied()
    }

    /// Asks and waits for the answer. Dropping the future gives the answer up, not the connection.
    /// Errors: [`CallError`], but for `TimedOut`: how long is worth waiting is the caller's to say.
    pub async fn call<'m>(&self, api: ApiKey, message: &impl Wire<'m>) -> Result<Reply, CallError> {
        let version = self.version(api).ok_or(CallError::UnknownApi(api))?;
        let (answer, answered) = oneshot::channel();
        {
            let mut writer = self.writer.lock().await;
            let correlation = writer.next_correlation;
            writer.next_correlation = correlation.wrapping_add(1);
            let bytes = RequestFrame::encode(api, version, correlation, &self.client_id, message);
            self.waiting.add(correlation, answer)?;
            // A write that is given up half way would garble what follows.
            let mut unfinished = Unfinished { waiting: Some(&self.waiting) };
            writer.socket.write_all(&bytes).await?;
            unfinished.waiting = None;
        }
        let frame = answered.await.unwrap_or_else(|_| Err(closed()))?;
        Ok(Reply { api, version, frame })
    }

    /// As [`Client::call`], for at most `timeout`.
    pub async fn call_within<'m>(
        &self,
        timeout: Duration,
        api: ApiKey,
        message: &impl Wire<'m>,
    ) -> Result<Reply, CallError> {
        tokio::time::timeout(timeout, self.call(api, message)).await.unwrap_or(Err(CallError::TimedOut(timeout)))
    }

    /// Gives the connection up: whoever waits for an answer gets an error.
    pub fn close(&self) {
        self.waiting.fail(closed);
        self.reader.abort();
    }

    /// Whether the other side has closed the connection, or it was given up.
    pub fn is_closed(&self) -> bool {
        self.waiting.is_closed()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Ends the connection if it is dropped before the write is done.
struct Unfinished<'a> {
    waiting: Option<&'a Waiting>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting {
            waiting.fail(|| io::Error::other("a request was not sent whole"));
        }
    }
}

impl Waiting {
    fn add(&self, correlation: i32, answer: oneshot::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
        let mut waiting = self.0.lock().expect("no panic while held");
        waiting.as_mut().ok_or_else(closed)?.push_back((correlation, answer));
        Ok(())
    }

    fn next(&self) -> Option<Question> {
        self.0.lock().expect("no panic while held").as_mut()?.pop_front()
    }

    fn fail(&self, error: impl Fn() -> io::Error) {
        let waiting = self.0.lock().expect("no panic while held").take();
        for (_, answer) in waiting.into_iter().flatten() {
            answer.send(Err(error())).ok();
        }
    }

    fn is_closed(&self) -> bool {
        self.0.lock().expect("no panic while held").is_none()
    }
}

/// Hands answers out until the connection ends.
async fn receive(mut socket: OwnedReadHalf, waiting: Arc<Waiting>) {
    let error = loop {
        let frame = match read_frame(&mut socket).await {
            Ok(frame) => frame,
            Err(error) => break error,
        };
        let correlation = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        match waiting.next() {
            Some((expected, answer)) if Some(expected) == correlation => answer.send(Ok(frame)).unwrap_or(()),
            _ => break io::Error::new(io::ErrorKind::InvalidData, "an answer to no question"),
        }
    };
    waiting.fail(|| io::Error::new(error.kind(), error.to_string()));
}

async fn read_frame(socket: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).await?;
    let length = usize::try_from(i32::from_be_bytes(length))
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "an answer of negative length"))?;
    // Grows with what arrives: a length alone reserves nothing.
    let mut frame = Vec::new();
    socket.take(length as u64).read_to_end(&mut frame).await?;
    if frame.len() < length { Err(closed()) } else { Ok(frame) }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was closed")
}
