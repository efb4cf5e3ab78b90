//! `/metrics`, `/healthz` and `/readyz` over HTTP/1.1, on a port of their own.
//!
//! - `/healthz` answers while the process does; `/readyz` answers 200 only between the start's end and the stop's begin.
//! - A client may send [`HEADER_BYTES_MAX`] of headers within [`HEADER_TIME_MAX`]; [`CONNECTIONS_MAX`] are served at a time.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::Metrics;

pub const HEADER_BYTES_MAX: usize = 16 << 10;
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
pub const CONNECTIONS_MAX: usize = 64;
/// How long a stop waits for answers that are under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// Whether the broker takes requests. Shared between whoever starts and stops it and `/readyz`.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the answers are made from.
#[derive(Clone)]
pub struct Site {
    pub metrics: Arc<dyn Exposition>,
    pub readiness: Arc<Readiness>,
}

/// What there is to be scraped.
pub trait Exposition: Send + Sync {
    /// All of it in Prometheus' text format. May take a while.
    fn render(&self) -> Vec<u8>;
}

impl Exposition for Metrics {
    fn render(&self) -> Vec<u8> {
        Metrics::render(self)
    }
}

/// Serves until `shutdown` is ready, then lets the answers under way end.
pub async fn serve(listener: TcpListener, site: Site, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Some((socket, place)) = accepted else { continue };
        let (site, stopping) = (site.clone(), stopping.clone());
        connections.spawn(async move {
            let _place = place;
            connection(socket, site, stopping).await;
        });
    }
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIME_MAX, ended).await.is_err() {
        debug!("HTTP connections were cut off at the stop");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    const PAUSE: Duration = Duration::from_millis(100);
    let place = places.clone().acquire_owned().await.expect("never closed");
    match listener.accept().await {
        Ok((socket, _)) => Some((socket, place)),
        // Without file descriptors every accept fails until something is closed: waiting keeps this from spinning.
        Err(error) => {
            warn!(%error, "an HTTP connection could not be accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

async fn connection(socket: TcpStream, site: Site, mut stopping: watch::Receiver<bool>) {
    let service = service_fn(move |request| answer(site.clone(), request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME_MAX).max_buf_size(HEADER_BYTES_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an HTTP connection ended");
    }
}

/// Ready once the server stops, also when whoever would say so is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn answer(site: Site, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET is allowed\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(refused);
    }
    Ok(match request.uri().path() {
        "/metrics" => metrics(site.metrics).await,
        "/healthz" => plain(StatusCode::OK, "alive\n"),
        "/readyz" if site.readiness.is_ready() => plain(StatusCode::OK, "ready\n"),
        "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => plain(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    })
}

/// Asking for the figures of many partitions takes time that the connections of clients should not wait for.
async fn metrics(metrics: Arc<dyn Exposition>) -> Response<Full<Bytes>> {
    match tokio::task::spawn_blocking(move || metrics.render()).await {
        Ok(text) => with_type(StatusCode::OK, prometheus::TEXT_FORMAT, text.into()),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", text.into())
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
