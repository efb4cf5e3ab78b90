//! What nobody honest sends to a broker: it is answered as Kafka answers or its connection is closed, and no other
//! connection notices.

use crate::support::broker::Broker;
use crate::support::readiness::answers_api_versions;
use crate::support::wait::wait_for;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const UNSUPPORTED_VERSION: i16 = 35;
const LIMIT: Duration = Duration::from_secs(20);

/// One connection, as bytes.
struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(broker: &Broker) -> Client {
        let stream = TcpStream::connect(address(broker)).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout above zero");
        Client { stream }
    }

    /// The broker may have closed the connection before all was sent.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next response without its length; an error where the connection ends.
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }

    fn correlation_id(&mut self) -> i32 {
        let frame = self.receive().expect("a response");
        i32::from_be_bytes(frame[..4].try_into().expect("four bytes"))
    }
}

fn address(broker: &Broker) -> SocketAddr {
    broker.bootstrap().parse().expect("an address")
}

fn assert_serves(broker: &Broker) {
    answers_api_versions(address(broker)).expect("other connections are served");
}

/// A request in its frame, with the header of classic versions.
fn request(api: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(api.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation_id.to_be_bytes());
    frame.extend([0, 1, b'x']);
    frame.extend(body);
    framed(&frame)
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as i32).to_be_bytes(), frame].concat()
}

/// Sends `bytes` to a fresh broker and expects nothing but the end of that one connection.
fn assert_closes(properties: &[(&str, &str)], all: &[&[u8]]) {
    let broker = Broker::start(properties);
    for bytes in all {
        let mut other = Client::connect(&broker);
        let mut client = Client::connect(&broker);
        client.send(bytes);
        let error = client.receive().expect_err("no answer");
        let closed = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
        assert!(closed, "{bytes:02x?}: {error}");
        other.send(&request(API_VERSIONS, 0, 5, &[]));
        assert_eq!(other.correlation_id(), 5, "beside {bytes:02x?}");
    }
    assert_serves(&broker);
}

#[test]
fn a_frame_of_an_impossible_length_closes_its_connection() {
    let over = 100_001i32.to_be_bytes();
    assert_closes(&[("socket.request.max.bytes", "100000")], &[&over, &[0xff; 4], &[0x7f, 0xff, 0xff, 0xff], &[0; 4]]);
}

#[test]
fn what_is_not_kafkas_protocol_closes_its_connection() {
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x5a; 506]].concat();
    let http = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let garbage = framed(&[0xff; 100]);
    assert_closes(&[], &[&tls_hello, http, &garbage, &framed(&[0])]);
}

#[test]
fn unknown_apis_and_versions_and_broken_bodies_close_their_connection() {
    let huge_array = request(METADATA, 1, 1, &[0x7f, 0xff, 0xff, 0xff]);
    let null_in_version_0 = request(METADATA, 0, 1, &[0xff; 4]);
    let half_a_body = request(METADATA, 1, 1, &[0, 0, 0, 1, 0, 9, b'a']);
    assert_closes(
        &[],
        &[
            &request(999, 0, 1, &[]),
            &request(-1, 0, 1, &[]),
            &request(METADATA, 99, 1, &[0; 4]),
            &request(METADATA, -1, 1, &[0; 4]),
            &huge_array,
            &null_in_version_0,
            &half_a_body,
        ],
    );
}

#[test]
fn api_versions_in_an_unknown_version_are_answered_in_version_0() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    client.send(&request(API_VERSIONS, 99, 7, &[0, 2, b'a', 2, b'1', 0]));
    let answer = client.receive().expect("an answer");
    let numbers: Vec<_> = answer[4..].chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
    assert_eq!(answer[..4], 7i32.to_be_bytes());
    // The error, the length of the array, and ApiVersions itself as its only element.
    assert_eq!(numbers, [UNSUPPORTED_VERSION, 0, 1, API_VERSIONS, 0, 4]);
    client.send(&request(API_VERSIONS, 0, 8, &[]));
    assert_eq!(client.correlation_id(), 8);
}

#[test]
fn bytes_behind_a_request_are_ignored() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    client.send(&request(METADATA, 1, 3, b"\0\0\0\0and more"));
    assert_eq!(client.correlation_id(), 3);
}

#[test]
fn half_a_frame_holds_up_nobody_and_is_answered_when_the_rest_arrives() {
    let broker = Broker::start(&[]);
    let frame = request(METADATA, 1, 4, &[0; 4]);
    let mut halves: Vec<_> = (1..frame.len()).map(|cut| (cut, Client::connect(&broker))).collect();
    halves.iter_mut().for_each(|(cut, client)| client.send(&frame[..*cut]));
    assert_serves(&broker);
    for (cut, client) in &mut halves {
        client.send(&frame[*cut..]);
        assert_eq!(client.correlation_id(), 4, "cut at {cut}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    let kinds =
        |id: i32| if id % 2 == 0 { request(METADATA, 1, id, &[0; 4]) } else { request(API_VERSIONS, 0, id, &[]) };
    client.send(&(0..100).flat_map(kinds).collect::<Vec<_>>());
    let answered: Vec<_> = (0..100).map(|_| client.correlation_id()).collect();
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
}

/// Resident bytes of the broker.
fn resident(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).expect("a running broker");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn a_client_that_never_reads_costs_little_and_holds_up_nobody() {
    const REQUESTS_AT_ONCE: i32 = 1000;
    let broker = Broker::start(&[]);
    let before = resident(&broker);
    let mut client = Client::connect(&broker);
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout above zero");
    let requests: Vec<_> = (0..REQUESTS_AT_ONCE).flat_map(|id| request(API_VERSIONS, 0, id, &[])).collect();
    let blocked = (0..10_000).find_map(|_| client.stream.write_all(&requests).err()).expect("the broker stops reading");
    assert!(matches!(blocked.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{blocked}");
    assert_serves(&broker);
    let grown = resident(&broker).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    assert_eq!(client.correlation_id(), 0, "what was answered can still be read");
}

#[test]
fn ten_thousand_silent_connections_cost_only_memory_and_little_of_it() {
    const CONNECTIONS: u64 = 10_000;
    let limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS + 1000;
    assert!(limit.maximum.is_none_or(|most| most >= wanted), "this test needs {wanted} open files");
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).expect("below the maximum");
    // With Kafka's default of 50 most of the time goes into the kernel's retries, a second each.
    let broker = Broker::start(&[("socket.listen.backlog.size", "4096")]);
    let before = resident(&broker);
    let mut silent: Vec<_> = (0..CONNECTIONS).map(|_| Client::connect(&broker)).collect();
    wait_for("the broker to accept them all", LIMIT, || (open_files(&broker) >= CONNECTIONS).then_some(()));
    assert_serves(&broker);
    let each = resident(&broker).saturating_sub(before) / CONNECTIONS;
    assert!(each < 8 << 10, "{each} bytes for each connection");
    let last = silent.last_mut().expect("ten thousand");
    last.send(&request(API_VERSIONS, 0, 6, &[]));
    assert_eq!(last.correlation_id(), 6);
}

fn open_files(broker: &Broker) -> u64 {
    std::fs::read_dir(format!("/proc/{}/fd", broker.pid())).expect("a running broker").count() as u64
}
