//! Sends a response: its own bytes from memory, record batches straight from their files.

use crate::handlers::Response;
use crate::log::FileSlice;
use rustix::net::SendFlags;
use std::io;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Sends all of `response`. Errors: the socket's or the file's.
pub async fn send(socket: &TcpStream, response: &Response) -> io::Result<()> {
    let bytes = &response.frame.bytes;
    let mut sent = 0;
    for (hole, slice) in response.frame.holes.iter().zip(&response.slices) {
        // MSG_MORE: the bytes before a file's go into the same segment as the file's.
        send_bytes(socket, &bytes[sent..hole.position], SendFlags::MORE).await?;
        send_slice(socket, slice).await?;
        sent = hole.position;
    }
    send_bytes(socket, &bytes[sent..], SendFlags::empty()).await
}

async fn send_bytes(socket: &TcpStream, mut bytes: &[u8], flags: SendFlags) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = when_writable(socket, || Ok(rustix::net::send(socket, bytes, flags | SendFlags::NOSIGNAL)?)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

async fn send_slice(socket: &TcpStream, slice: &FileSlice) -> io::Result<()> {
    let (mut position, mut left) = (slice.position, slice.length);
    while left > 0 {
        let sent = when_writable(socket, || Ok(rustix::fs::sendfile(socket, &*slice.file, Some(&mut position), left)?))
            .await?;
        if sent == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a log file ends before its records do"));
        }
        left -= sent;
    }
    Ok(())
}

/// Runs one system call, at once if it may be, and otherwise whenever the socket takes bytes again.
async fn when_writable<T>(socket: &TcpStream, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match socket.try_io(Interest::WRITABLE, &mut call) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.async_io(Interest::WRITABLE, call).await,
        done => done,
    }
}
