//! The broker's own log: lines on stderr, as text or JSON, and not more of them than somebody can read.
//!
//! `BARNABAS_LOG` says which lines (the syntax of `tracing_subscriber::EnvFilter`; `info` if it is not set),
//! `BARNABAS_LOG_FORMAT` how they look: `text` or `json`.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing_subscriber::EnvFilter;

const FILTER: &str = "BARNABAS_LOG";
const FORMAT: &str = "BARNABAS_LOG_FORMAT";

/// A variable of the environment that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    #[error("invalid value {value} for {FORMAT}: text or json is expected")]
    Format { value: String },
    #[error("invalid value {value} for {FILTER}: {reason}")]
    Filter { value: String, reason: String },
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Starts the log of this process, once. Errors: the environment says something that cannot be understood.
pub fn start() -> Result<(), TelemetryError> {
    let filter = filter(env::var(FILTER).ok())?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lossy(io::stderr()));
    match format(env::var(FORMAT).ok())? {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Loses what cannot be written: a broker goes on serving when nobody reads its lines (`barnabas 2>&1 | head`). An error
/// would have `tracing_subscriber` complain by `eprintln!`, which panics where stderr is closed.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().ok();
        Ok(())
    }
}

fn format(value: Option<String>) -> Result<Format, TelemetryError> {
    match value.as_deref().unwrap_or_default() {
        "" | "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other => Err(TelemetryError::Format { value: other.to_owned() }),
    }
}

fn filter(value: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let value = value.filter(|value| !value.is_empty()).unwrap_or_else(|| "info".to_owned());
    if let Some(word) = value.split(',').find(|directive| !directive.contains(['=', ':', '[']) && !is_level(directive))
    {
        let reason = format!("'{word}' is none of off, error, warn, info, debug, trace; for one part write part=level");
        return Err(TelemetryError::Filter { value, reason });
    }
    EnvFilter::try_new(&value).map_err(|error| TelemetryError::Filter { reason: error.to_string(), value })
}

fn is_level(word: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| word.trim().eq_ignore_ascii_case(level))
}

/// Keeps one kind of line from flooding the log: at most one each second is written, with the number of those left out
/// since the one before.
#[derive(Debug)]
pub struct RateLimited {
    started: Instant,
    /// When the next line may be written, in milliseconds since `started`.
    next_ms: AtomicU64,
    left_out: AtomicU64,
}

impl RateLimited {
    const INTERVAL_MS: u64 = 1000;

    pub fn new() -> RateLimited {
        RateLimited { started: Instant::now(), next_ms: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// Calls `write` if a line may be written now, with the number of lines left out before it.
    pub fn warn(&self, write: impl FnOnce(u64)) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(left_out) = self.admit(elapsed) {
            write(left_out);
        }
    }

    /// The number of lines left out, if one may be written `now`, in milliseconds since the start.
    fn admit(&self, now: u64) -> Option<u64> {
        let next = self.next_ms.load(Ordering::Relaxed);
        let next_line = now.saturating_add(Self::INTERVAL_MS);
        let ours =
            now >= next && self.next_ms.compare_exchange(next, next_line, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if ours {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for RateLimited {
    fn default() -> RateLimited {
        RateLimited::new()
    }
}

/// Keeps the lines about other nodes few, which ask again several times a second: one a minute of each kind for each
/// address, with the number of those left out since the one before.
#[derive(Debug)]
pub struct RateLimitedByPeer {
    started: Instant,
    lines: Mutex<BTreeMap<(IpAddr, &'static str), Line>>,
}

#[derive(Debug, Default)]
struct Line {
    /// When the next may be written, in milliseconds since the start.
    next_ms: u64,
    left_out: u64,
}

impl RateLimitedByPeer {
    const INTERVAL_MS: u64 = 60_000;
    /// Beyond these nobody is told of: whoever comes from so many addresses is no misconfigured node.
    const LINES_MAX: usize = 1000;

    pub fn new() -> RateLimitedByPeer {
        RateLimitedByPeer { started: Instant::now(), lines: Mutex::default() }
    }

    /// Calls `write` if a line of this `kind` about `peer` may be written now, with the number of lines left out before it.
    pub fn warn(&self, peer: IpAddr, kind: &'static str, write: impl FnOnce(u64)) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(left_out) = self.admit(peer, kind, elapsed) {
            write(left_out);
        }
    }

    fn admit(&self, peer: IpAddr, kind: &'static str, now: u64) -> Option<u64> {
        let mut lines = self.lines.lock().expect("no panic under this lock");
        if lines.len() >= Self::LINES_MAX && !lines.contains_key(&(peer, kind)) {
            lines.retain(|_, line| now < line.next_ms);
            if lines.len() >= Self::LINES_MAX {
                return None;
            }
        }
        let line = lines.entry((peer, kind)).or_default();
        if now < line.next_ms {
            line.left_out += 1;
            return None;
        }
        line.next_ms = now.saturating_add(Self::INTERVAL_MS);
        Some(std::mem::take(&mut line.left_out))
    }
}

impl Default for RateLimitedByPeer {
    fn default() -> RateLimitedByPeer {
        RateLimitedByPeer::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_and_not_taken_for_the_name_of_a_part() {
        assert!(matches!(filter(Some("loud".into())), Err(TelemetryError::Filter { .. })));
        for right in ["debug", "INFO", "warn,barnabas::log=trace", ""] {
            assert!(filter(Some(right.into())).is_ok(), "{right}");
        }
    }

    #[test]
    fn one_line_a_second_is_written_and_the_others_are_counted() {
        let limited = RateLimited::new();
        assert_eq!(limited.admit(0), Some(0));
        assert_eq!([limited.admit(1), limited.admit(999)], [None, None]);
        assert_eq!(limited.admit(1000), Some(2));
        assert_eq!(limited.admit(1999), None);
        assert_eq!(limited.admit(60_000), Some(1));
        assert_eq!(limited.admit(61_000), Some(0));
    }

    #[test]
    fn one_line_a_minute_of_each_kind_is_written_about_each_peer() {
        let limited = RateLimitedByPeer::new();
        let peer = |last| IpAddr::from([10, 0, 0, last]);
        assert_eq!(limited.admit(peer(1), "a", 0), Some(0));
        assert_eq!(limited.admit(peer(2), "a", 1), Some(0));
        assert_eq!(limited.admit(peer(1), "b", 2), Some(0));
        assert_eq!([limited.admit(peer(1), "a", 3), limited.admit(peer(1), "a", 59_999)], [None, None]);
        assert_eq!(limited.admit(peer(1), "a", 60_000), Some(2));
    }

    #[test]
    fn many_peers_do_not_take_all_memory_and_old_ones_make_room() {
        let limited = RateLimitedByPeer::new();
        let peer = |number: usize| IpAddr::from([10, 0, (number / 256) as u8, (number % 256) as u8]);
        (0..RateLimitedByPeer::LINES_MAX).for_each(|number| assert_eq!(limited.admit(peer(number), "a", 0), Some(0)));
        assert_eq!(limited.admit(peer(RateLimitedByPeer::LINES_MAX), "a", 59_999), None);
        assert_eq!(limited.admit(peer(RateLimitedByPeer::LINES_MAX), "a", 60_000), Some(0));
        assert_eq!(limited.lines.lock().unwrap().len(), 1);
    }

    #[test]
    fn of_many_threads_at_once_one_writes() {
        let limited = RateLimited::new();
        let written = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if limited.admit(5).is_some() {
                            written.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(written.load(Ordering::Relaxed), 1);
        assert_eq!(limited.admit(5000), Some(7999));
    }

    #[test]
    fn the_environment_is_read_or_refused_with_what_is_expected() {
        assert_eq!(format(None), Ok(Format::Text));
        assert_eq!(format(Some("json".into())), Ok(Format::Json));
        assert_eq!(
            format(Some("xml".into())).unwrap_err().to_string(),
            "invalid value xml for BARNABAS_LOG_FORMAT: text or json is expected"
        );
        assert_eq!(filter(None).unwrap().to_string(), "info");
        assert_eq!(filter(Some("warn,barnabas::log=debug".into())).unwrap().to_string(), "barnabas::log=debug,warn");
        assert!(filter(Some("barnabas=loud".into())).unwrap_err().to_string().contains("barnabas=loud"));
    }
}
