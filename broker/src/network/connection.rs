//! One connection: frames in, answers out in the order of their questions.

use super::buffers::{BadLength, FrameBuffer};
use super::send::send;
use crate::handlers::{Answer, Hangup, Later, Peer, Response, Rooms};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// Requests of one connection whose answers wait for their commit. Clients keep 5 to some hundred in flight.
const PENDING_MAX: usize = 1000;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum End {
    #[error("the client closed it")]
    Closed,
    #[error("the broker shuts down")]
    Shutdown,
    #[error("idle for longer than connections.max.idle.ms")]
    Idle,
    #[error("{0}")]
    BadLength(String),
    #[error("{0}")]
    Hangup(#[from] Hangup),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl End {
    /// Whether the client did something that its operator should know of.
    pub fn is_clients_fault(&self) -> bool {
        matches!(self, End::BadLength(_) | End::Hangup(_))
    }
}

/// Answers that are on their way; they leave in this order.
type Pending = VecDeque<Later>;

pub struct Connection {
    pub socket: TcpStream,
    pub peer: Peer,
    pub rooms: Arc<Rooms>,
    pub buffer: FrameBuffer,
    /// How long a connection may be silent (`connections.max.idle.ms`).
    pub idle_max: Duration,
    pub shutdown: watch::Receiver<bool>,
}

impl Connection {
    /// Answers requests until the connection ends, and says why it did.
    pub async fn run(mut self) -> End {
        let mut pending = Pending::new();
        loop {
            let step = match self.buffer.frame() {
                Err(bad) => Err(End::BadLength(describe(bad))),
                Ok(Some(frame)) if self.may_begin(frame, &pending) => self.answer_next(&mut pending).await,
                Ok(frame) => {
                    let may_read = frame.is_none();
                    self.wait(&mut pending, may_read).await
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Kafka begins with a request when the one before it is answered. Records may be appended while earlier ones wait for
    /// their commit; any other request is answered with what holds when its turn has come.
    fn may_begin(&self, frame: &[u8], pending: &Pending) -> bool {
        pending.is_empty() || pending.len() < PENDING_MAX && self.peer.serves.overlaps(frame)
    }

    async fn answer_next(&mut self, pending: &mut Pending) -> Result<(), End> {
        let frame = self.buffer.frame().ok().flatten().expect("a whole frame was seen");
        let work = self.rooms.answer(&self.peer, frame);
        let answer = sending(&self.socket, pending, &mut self.shutdown, work).await??;
        let length = frame.len();
        self.buffer.consume(length);
        match answer {
            Answer::Now(response) if pending.is_empty() => send(&self.socket, &response).await?,
            Answer::Now(response) => pending.push_back(Box::pin(std::future::ready(Ok(response)))),
            Answer::Later(response) => pending.push_back(response),
            Answer::Silence => {}
        }
        Ok(())
    }

    /// Waits for bytes from the client, if it `may_read`, or for an answer that can leave.
    async fn wait(&mut self, pending: &mut Pending, may_read: bool) -> Result<(), End> {
        self.buffer.release();
        let idle = tokio::time::sleep_until(Instant::now() + self.idle_max);
        let arrived = tokio::select! {
            biased;
            response = front(pending) => {
                send(&self.socket, &response?).await?;
                false
            }
            readable = self.socket.readable(), if may_read => readable.map(|()| true)?,
            () = gone(&self.socket), if !may_read => return Err(End::Closed),
            () = idle, if pending.is_empty() => return Err(End::Idle),
            () = stopped(&mut self.shutdown), if pending.is_empty() => return Err(End::Shutdown),
        };
        match arrived {
            true if read_arrived(&mut self.socket, &mut self.buffer).await? == Some(0) => Err(End::Closed),
            _ => Ok(()),
        }
    }
}

/// Returns once the broker shuts down.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and the broker with it.
    shutdown.wait_for(|stop| *stop).await.ok();
}

/// Reads what has arrived, and waits for nothing: a read that filled the buffer to its end leaves the socket called
/// readable, though nothing may be left in it (`None`), and answers that are on their way cannot wait for more to come.
/// A short read tells tokio that the socket is empty, which saves asking it again.
async fn read_arrived(socket: &mut TcpStream, buffer: &mut FrameBuffer) -> io::Result<Option<usize>> {
    let mut reading = std::pin::pin!(socket.read_buf(buffer.space()));
    std::future::poll_fn(|context| match reading.as_mut().poll(context) {
        Poll::Ready(read) => Poll::Ready(read.map(Some)),
        Poll::Pending => Poll::Ready(Ok(None)),
    })
    .await
}

/// Sends earlier answers as they become ready while `work` goes on. Work for a client that is gone, and work that waits
/// while the broker stops, is given up.
async fn sending<T>(
    socket: &TcpStream,
    pending: &mut Pending,
    shutdown: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Result<T, End> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            response = front(pending) => send(socket, &response?).await?,
            () = gone(socket) => return Err(End::Closed),
            () = given_up(shutdown) => return Err(End::Shutdown),
        }
    }
}

/// Returns a moment after the broker has begun to stop: what is quickly done is answered, what waits for others is not.
async fn given_up(shutdown: &mut watch::Receiver<bool>) {
    const PATIENCE: Duration = Duration::from_secs(1);
    stopped(shutdown).await;
    tokio::time::sleep(PATIENCE).await;
}

/// Returns once the client has closed its end. The kernel tells that only in passing, with the readiness of the socket,
/// and a pipelining client keeps it readable: so it is looked at now and then.
async fn gone(socket: &TcpStream) {
    const LOOK: Duration = Duration::from_secs(1);
    loop {
        tokio::time::sleep(LOOK).await;
        let closed = rustix::event::PollFlags::RDHUP | rustix::event::PollFlags::HUP | rustix::event::PollFlags::ERR;
        let mut asked = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::RDHUP)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        if rustix::event::poll(&mut asked, Some(&now)).is_ok() && asked[0].revents().intersects(closed) {
            return;
        }
    }
}

/// The answer at the front, as soon as it is ready; never, where there is none.
async fn front(pending: &mut Pending) -> Result<Response, Hangup> {
    let Some(response) = pending.front_mut() else { return std::future::pending().await };
    let response = response.await;
    pending.pop_front();
    response
}

fn describe(BadLength(length): BadLength) -> String {
    const TLS_HANDSHAKE: i32 = 0x1603;
    if length >> 16 == TLS_HANDSHAKE {
        return "a TLS hello on a listener that speaks plaintext".to_owned();
    }
    format!("a request of {length} bytes, where 0 to socket.request.max.bytes are allowed")
}

#[cfg(test)]
mod tests {
    use super::super::buffers::BufferPool;
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_read_that_fills_the_buffer_to_its_end_is_not_followed_by_one_that_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = FrameBuffer::new(Arc::new(BufferPool::default()), 1 << 20);
        let space = buffer.space().capacity();
        client.write_all(&vec![0; space]).await.unwrap();
        let mut left = space;
        while left > 0 {
            socket.readable().await.unwrap();
            left -= read_arrived(&mut socket, &mut buffer).await.unwrap().unwrap_or_default();
        }
        socket.readable().await.unwrap();
        let nothing = tokio::time::timeout(Duration::from_secs(10), read_arrived(&mut socket, &mut buffer));
        assert_eq!(nothing.await.expect("it waits").unwrap(), None);
    }
}
