//! Binding addresses, and saying clearly which one cannot be had.

use crate::config::{AdminConfig, Listener as ListenerConfig, MetricsConfig, NetworkConfig};
use crate::network::Listener;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;
use tracing::warn;

/// Connections that wait to be accepted by what serves no clients.
const BACKLOG: u32 = 128;

/// Why a broker does not start: one clear line each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the listener {listener} cannot be bound: {error}")]
    Listen { listener: String, error: io::Error },
    #[error("the metrics.listener {address} cannot be bound: {error}")]
    Metrics { address: String, error: io::Error },
    #[error("the admin.listener {address} cannot be bound: {error}")]
    Admin { address: String, error: io::Error },
}

/// A listener that clients can connect to, though nobody answers yet.
pub struct BoundListener {
    pub name: String,
    pub port: u16,
    pub socket: TcpListener,
}

/// The listeners of a node.
pub struct BoundListeners {
    pub clients: Vec<BoundListener>,
    pub controllers: Vec<BoundListener>,
}

/// Binds every listener. Errors: the first that cannot be bound.
pub async fn bind_all(config: &NetworkConfig) -> Result<BoundListeners, StartError> {
    let backlog = config.backlog;
    let clients = bind_each(&config.listeners.broker, backlog).await?;
    let controllers = bind_each(&config.listeners.controller, backlog).await?;
    Ok(BoundListeners { clients, controllers })
}

async fn bind_each(listeners: &[ListenerConfig], backlog: u32) -> Result<Vec<BoundListener>, StartError> {
    let mut bound = Vec::new();
    for listener in listeners {
        let failed = |error| StartError::Listen { listener: listener.to_string(), error };
        let socket = bind(listener, backlog).await.map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        bound.push(BoundListener { name: listener.name.clone(), port, socket });
    }
    Ok(bound)
}

async fn bind(listener: &ListenerConfig, backlog: u32) -> io::Result<TcpListener> {
    bind_first(listener.host.as_deref(), listener.port, backlog).await
}

/// Binds the first address of `host` that can be bound; without a host every address of the machine.
async fn bind_first(host: Option<&str>, port: u16, backlog: u32) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host name has no address");
    for address in addresses(host, port).await? {
        match Listener::bind(address, backlog) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn addresses(host: Option<&str>, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Some(host) => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
        // The unspecified address of IPv6 takes IPv4 too; a machine without IPv6 has only the other.
        None => Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (IpAddr::from([0; 4]), port).into()]),
    }
}

/// Errors: it cannot be bound.
pub async fn bind_admin(config: Option<&AdminConfig>) -> Result<Option<TcpListener>, StartError> {
    let Some(AdminConfig { host, port }) = config else { return Ok(None) };
    let failed = |error| {
        let address = format!("{}:{port}", host.as_deref().unwrap_or_default());
        StartError::Admin { address, error }
    };
    bind_first(host.as_deref(), *port, BACKLOG).await.map(Some).map_err(failed)
}

/// The default address is done without if it is taken: several brokers on one machine need not be told of each other.
/// Errors: an address that was asked for cannot be bound.
pub async fn bind_metrics(config: Option<&MetricsConfig>) -> Result<Option<TcpListener>, StartError> {
    let Some(config) = config else { return Ok(None) };
    let socket = bind_first(config.host.as_deref(), config.port, BACKLOG).await;
    let failed = |error| {
        let address = format!("{}:{}", config.host.as_deref().unwrap_or_default(), config.port);
        StartError::Metrics { address, error }
    };
    match socket.map_err(failed) {
        Err(error) if !config.is_given => {
            warn!("{error}: this broker serves no metrics");
            Ok(None)
        }
        bound => bound.map(Some),
    }
}

/// The addresses that have a connection limit of their own; a name that cannot be resolved has none.
pub async fn resolve_overrides(overrides: &BTreeMap<String, u32>) -> HashMap<IpAddr, usize> {
    let mut limits = HashMap::new();
    for (host, limit) in overrides {
        match tokio::net::lookup_host((host.as_str(), 0)).await {
            Ok(addresses) => limits.extend(addresses.map(|address| (address.ip(), *limit as usize))),
            Err(error) => warn!(%host, %error, "max.connections.per.ip.overrides names a host without an address"),
        }
    }
    limits
}
