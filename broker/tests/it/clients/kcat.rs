//! kcat: metadata, produce, consume, offsets by timestamp, groups.

use std::process::Command;
use std::time::Duration;

use crate::support::broker::Broker;
use crate::support::process::succeed;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs kcat with `arguments` against `broker`, `input` on stdin, and returns its stdout.
fn kcat(broker: &Broker, arguments: &[&str], input: &str) -> String {
    succeed(Command::new("kcat").args(["-b", &broker.bootstrap()]).args(arguments), input, LIMIT)
}

/// Makes `topic` by asking for its metadata, as `auto.create.topics.enable` promises.
fn create(broker: &Broker, topic: &str) {
    kcat(broker, &["-P", "-t", topic], "");
}

#[test]
fn kcat_lists_brokers_and_topics() {
    let broker = Broker::start(&[("num.partitions", "3")]);
    kcat(&broker, &["-P", "-t", "listed"], "one\n");
    let listing = kcat(&broker, &["-L", "-t", "listed"], "");
    assert!(listing.contains(&format!("broker 1 at {} (controller)", broker.bootstrap())), "{listing}");
    assert!(listing.contains(r#"topic "listed" with 3 partitions:"#), "{listing}");
    assert!(listing.contains("partition 2, leader 1, replicas: 1, isrs: 1"), "{listing}");
}

#[test]
fn kcat_reads_back_keys_headers_and_offsets_with_the_codecs_of_debians_kcat() {
    let broker = Broker::start(&[]);
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let topic = format!("codec-{codec}");
        let values: String = (0..500).map(|n| format!("key-{n}:value {n} of {codec}\n")).collect();
        kcat(&broker, &["-P", "-t", &topic, "-K:", "-z", codec, "-H", "origin=kcat", "-X", "linger.ms=50"], &values);
        let read = kcat(&broker, &["-C", "-t", &topic, "-e", "-q", "-f", "%o %k:%s %h\n"], "");
        let expected: String = (0..500).map(|n| format!("{n} key-{n}:value {n} of {codec} origin=kcat\n")).collect();
        assert_eq!(read, expected, "{codec}");
    }
}

#[test]
fn kcat_finds_offsets_by_timestamp() {
    let broker = Broker::start(&[]);
    create(&broker, "timed");
    kcat(&broker, &["-P", "-t", "timed"], "a\nb\nc\n");
    let stamps = kcat(&broker, &["-C", "-t", "timed", "-e", "-q", "-f", "%T\n"], "");
    let first: i64 = stamps.lines().next().expect("a record").parse().expect("a timestamp");
    for (timestamp, offset) in [(first, 0), (first + 3_600_000, -1), (-2, 0), (-1, 3)] {
        let answer = kcat(&broker, &["-Q", "-t", &format!("timed:0:{timestamp}")], "");
        assert_eq!(answer.trim(), format!("timed [0] offset {offset}"), "timestamp {timestamp}");
    }
}

#[test]
fn a_kcat_group_continues_where_it_stopped() {
    let mut broker = Broker::start(&[]);
    let consume = ["-G", "readers", "-X", "auto.offset.reset=earliest", "-e", "-q", "grouped"];
    kcat(&broker, &["-P", "-t", "grouped"], "one\ntwo\n");
    assert_eq!(kcat(&broker, &consume, ""), "one\ntwo\n");
    broker.kill();
    broker.start_again();
    kcat(&broker, &["-P", "-t", "grouped"], "three\n");
    assert_eq!(kcat(&broker, &consume, ""), "three\n");
}
