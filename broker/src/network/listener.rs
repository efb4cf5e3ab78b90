//! Accepts the connections of one listener, as many as the limits allow.

use super::buffers::{BufferPool, FrameBuffer};
use super::connection::{Connection, End};
use super::limits::ConnectionLimits;
use crate::config::NetworkConfig;
use crate::handlers::{Peer, Rooms, Serves};
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

/// Longer than any process lives, and still a deadline that can be computed.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A bound listener and what its connections share.
pub struct Listener {
    socket: TcpListener,
    /// Its name, as `listeners` gives it.
    name: Arc<str>,
    serves: Serves,
    config: Arc<NetworkConfig>,
    rooms: Arc<Rooms>,
    limits: Arc<ConnectionLimits>,
    buffers: Arc<BufferPool>,
}

impl Listener {
    /// Errors: the address cannot be bound.
    pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    }

    pub fn new(
        socket: TcpListener,
        name: &str,
        serves: Serves,
        config: Arc<NetworkConfig>,
        limits: Arc<ConnectionLimits>,
        rooms: Arc<Rooms>,
    ) -> Listener {
        Listener { socket, name: name.into(), serves, config, rooms, limits, buffers: Arc::default() }
    }

    /// Serves until `shutdown` turns true. `alive` is held by every connection: once all its copies are dropped, all
    /// connections have ended.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>, alive: Option<mpsc::Sender<()>>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((socket, address)) => self.serve(socket, address, shutdown.clone(), alive.clone()),
                Err(error) => self.pause_after(error).await,
            }
        }
    }

    /// Running out of file descriptors fails every accept until a connection ends: waiting keeps this from spinning.
    async fn pause_after(&self, error: io::Error) {
        const PAUSE: Duration = Duration::from_millis(100);
        self.rooms.metrics.connections.refused("accept_failed");
        warn!(listener = %self.name, %error, "a connection could not be accepted");
        tokio::time::sleep(PAUSE).await;
    }

    fn serve(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        shutdown: watch::Receiver<bool>,
        alive: Option<mpsc::Sender<()>>,
    ) {
        let metrics = self.rooms.metrics.clone();
        let permit = match self.limits.admit(address.ip()) {
            Ok(permit) => permit,
            Err(refusal) => {
                metrics.connections.refused(refusal.reason());
                self.rooms.client_faults.warn(|left_out| {
                    warn!(listener = %self.name, %address, %refusal, left_out, "connection refused");
                });
                return;
            }
        };
        if let Err(error) = self.set_options(&socket) {
            debug!(%address, %error, "the connection ended before it began");
            return;
        }
        let connection = Connection {
            socket,
            peer: Peer {
                address,
                listener: self.name.clone(),
                serves: self.serves,
                heard: (self.serves == Serves::Controllers).then(Arc::default),
            },
            rooms: self.rooms.clone(),
            buffer: FrameBuffer::new(self.buffers.clone(), self.config.request_bytes_max),
            idle_max: self.config.idle_ms_max.map_or(NEVER, Duration::from_millis),
            shutdown,
        };
        tokio::spawn(async move {
            let _held = (permit, alive, metrics.connections.open());
            let (rooms, listener) = (connection.rooms.clone(), connection.peer.listener.clone());
            let heard = connection.peer.heard.clone();
            let end = connection.run().await;
            if let Some(heard) = heard.filter(|_| !matches!(end, End::Shutdown)) {
                rooms.broker_connections.closed(&heard);
            }
            if end.is_clients_fault() {
                rooms.client_faults.warn(|left_out| {
                    warn!(%listener, %address, reason = %end, left_out, "connection closed");
                });
            } else {
                debug!(%listener, %address, reason = %end, "connection closed");
            }
        });
    }

    fn set_options(&self, socket: &TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        sockopt::set_socket_keepalive(socket, true)?;
        if let Some(bytes) = self.config.send_buffer_bytes {
            sockopt::set_socket_send_buffer_size(socket, bytes as usize)?;
        }
        if let Some(bytes) = self.config.receive_buffer_bytes {
            sockopt::set_socket_recv_buffer_size(socket, bytes as usize)?;
        }
        Ok(())
    }
}
