use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::http::{HEADER_BYTES_MAX, Readiness, Site, serve};
use super::*;

struct TwoGroups;

impl Figures for TwoGroups {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            partitions: 3,
            led: LedFigures {
                partitions: 2,
                reassigning: 1,
                lag_max: 17,
                isr_shrinks: 4,
                isr_expands: 3,
                high_watermarks: vec![HighWatermark { topic: "orders".into(), partition: 1, offset: 100 }],
                ..LedFigures::default()
            },
            cluster: ClusterFigures { elections: vec![("unclean", 0), ("offline", 5)], ..ClusterFigures::default() },
            log_dirs: vec![
                LogDirFigures {
                    path: "/data".into(),
                    size_bytes: 42,
                    volume: Some(VolumeFigures { free_bytes: 1000, total_bytes: 5000 }),
                },
                LogDirFigures { path: "/broken".into(), size_bytes: 0, volume: None },
            ],
            topics: vec![TopicFigures { name: "orders".into(), size_bytes: 42 }],
            traffic: vec![TrafficFigures {
                topic: "orders".into(),
                produced_records: 6,
                produced_bytes: 600,
                fetched_bytes: 800,
            }],
            groups: vec![GroupCount { state: "Stable", groups: 2 }],
            group_offsets: vec![GroupOffset {
                group: "billing".into(),
                topic: "orders".into(),
                partition: 1,
                offset: 90,
            }],
        }
    }
}

fn counted() -> Metrics {
    let metrics = Metrics::new();
    metrics.ask(TwoGroups);
    metrics.request(ApiKey::Produce, 100).answered();
    metrics.request(ApiKey::Produce, 11).answered();
    metrics.errors(ApiKey::Fetch, &[1, 6, 12345]);
    metrics.produced(5, 500);
    metrics.fetched(7, 700);
    metrics.connections.refused("max_connections");
    metrics
}

fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = String::from_utf8(metrics.render()).unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn what_was_counted_is_rendered() {
    let metrics = counted();
    let open = metrics.connections.open();
    let closed = metrics.connections.open();
    drop(closed);
    for (series, expected) in [
        ("barnabas_requests_total{api=\"Produce\"}", 2.0),
        ("barnabas_requests_total{api=\"Fetch\"}", 0.0),
        ("barnabas_request_bytes_total{api=\"Produce\"}", 111.0),
        ("barnabas_request_duration_seconds_count{api=\"Produce\"}", 2.0),
        ("barnabas_request_errors_total{api=\"Fetch\",error=\"OFFSET_OUT_OF_RANGE\"}", 1.0),
        ("barnabas_request_errors_total{api=\"Fetch\",error=\"UNKNOWN_SERVER_ERROR\"}", 1.0),
        ("barnabas_produced_records_total", 5.0),
        ("barnabas_produced_bytes_total", 500.0),
        ("barnabas_fetched_records_total", 7.0),
        ("barnabas_fetched_bytes_total", 700.0),
        ("barnabas_connections_open", 1.0),
        ("barnabas_connections_accepted_total", 2.0),
        ("barnabas_connections_refused_total{reason=\"max_connections\"}", 1.0),
        ("barnabas_partitions", 3.0),
        ("barnabas_log_dir_size_bytes{directory=\"/data\"}", 42.0),
        ("barnabas_log_dir_online{directory=\"/data\"}", 1.0),
        ("barnabas_log_dir_online{directory=\"/broken\"}", 0.0),
        ("barnabas_log_dir_free_bytes{directory=\"/data\"}", 1000.0),
        ("barnabas_log_dir_total_bytes{directory=\"/data\"}", 5000.0),
        ("barnabas_leader_partitions", 2.0),
        ("barnabas_reassigning_partitions", 1.0),
        ("barnabas_replica_lag_max", 17.0),
        ("barnabas_isr_shrinks_total", 4.0),
        ("barnabas_isr_expands_total", 3.0),
        ("barnabas_leader_elections_total{kind=\"offline\"}", 5.0),
        ("barnabas_leader_elections_total{kind=\"unclean\"}", 0.0),
        ("barnabas_partition_high_watermark{partition=\"1\",topic=\"orders\"}", 100.0),
        ("barnabas_consumer_group_offset{group=\"billing\",partition=\"1\",topic=\"orders\"}", 90.0),
        ("barnabas_topic_size_bytes{topic=\"orders\"}", 42.0),
        ("barnabas_topic_produced_records_total{topic=\"orders\"}", 6.0),
        ("barnabas_topic_produced_bytes_total{topic=\"orders\"}", 600.0),
        ("barnabas_topic_fetched_bytes_total{topic=\"orders\"}", 800.0),
        ("barnabas_groups{state=\"Stable\"}", 2.0),
        ("barnabas_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series}");
    }
    drop(open);
    assert_eq!(value(&metrics, "barnabas_connections_open"), Some(0.0));
    assert!(value(&metrics, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 0.0));
}

/// Prometheus's own checker, where it is installed (Debian: the package `prometheus`).
#[test]
fn promtool_finds_no_fault() {
    let mut promtool = Command::new("promtool");
    let checker =
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut checker) = checker.spawn() else {
        assert!(value(&counted(), "barnabas_partitions").is_some(), "without promtool, at least this");
        return;
    };
    checker.stdin.take().unwrap().write_all(&counted().render()).unwrap();
    let output = checker.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

struct Server {
    address: SocketAddr,
    readiness: Arc<Readiness>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let readiness = Arc::new(Readiness::default());
    let site = Site { metrics: Arc::new(counted()), readiness: readiness.clone() };
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, site, async { stopped.await.unwrap_or_default() }));
    Server { address, readiness, stop, task }
}

async fn client(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let (sender, connection) = handshake(TokioIo::new(TcpStream::connect(address).await.unwrap())).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn request(client: &mut SendRequest<Empty<Bytes>>, method: &str, path: &str) -> (StatusCode, String) {
    client.ready().await.unwrap();
    let request = Request::builder().method(method).uri(path).header("host", "x").body(Empty::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_http_client_reads_metrics_and_health_on_one_connection() {
    let server = server().await;
    let mut client = client(server.address).await;
    let (status, text) = request(&mut client, "GET", "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("barnabas_produced_records_total 5"), "{text}");
    assert_eq!(request(&mut client, "GET", "/healthz").await.0, StatusCode::OK);
    assert_eq!(request(&mut client, "GET", "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    server.readiness.set(true);
    assert_eq!(request(&mut client, "GET", "/readyz").await.0, StatusCode::OK);
    server.readiness.set(false);
    assert_eq!(request(&mut client, "GET", "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(request(&mut client, "GET", "/").await.0, StatusCode::NOT_FOUND);
    assert_eq!(request(&mut client, "POST", "/metrics").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_port_is_free() {
    let server = server().await;
    let mut client = client(server.address).await;
    request(&mut client, "GET", "/healthz").await;
    let started = Instant::now();
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(TcpListener::bind(server.address).await.is_ok());
}

/// What the server sends until it closes the connection.
async fn reply(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut reply = Vec::new();
    // A reset after the reply is as good as an orderly end.
    let _ = socket.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn endless_headers_and_bytes_that_are_not_http_are_refused() {
    let server = server().await;
    let mut long = b"GET /metrics HTTP/1.1\r\nx: ".to_vec();
    long.resize(HEADER_BYTES_MAX + 1, b'a');
    assert!(reply(server.address, &long).await.starts_with("HTTP/1.1 431"));
    assert!(reply(server.address, b"\x16\x03\x01\x02\0\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_headers_is_cut_off() {
    let server = server().await;
    assert_eq!(reply(server.address, b"GET /metrics HTTP/1.1\r\n").await, "");
}
