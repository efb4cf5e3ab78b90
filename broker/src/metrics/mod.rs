//! What the broker tells Prometheus.
//!
//! - Nothing global: one `Metrics`, which those who count hold.
//! - Counting takes some ten nanoseconds: each API's counters and its histogram are made once and found by index; only
//!   errors look for their label.
//! - Label sets are bounded: APIs, error codes, reasons, log directories; topics up to [`TOPICS_MAX`], the rest are "other";
//!   high watermarks of partitions and committed offsets of groups up to [`HIGH_WATERMARKS_MAX`] and [`GROUP_OFFSETS_MAX`].
//! - What is expensive to keep (sizes, group states) is asked for at a scrape, through [`Figures`].
//!
//! Deliberately absent: labels for clients; the lag of groups, whose coordinator knows no end of a partition that others lead
//! (Prometheus subtracts one from the other: see the help of `barnabas_consumer_group_offset`); Kafka's JMX names.

mod figures;
pub mod http;
mod requests;
mod sheet;

use std::sync::OnceLock;

#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

pub use figures::{
    ClusterFigures, Figures, GROUP_OFFSETS_MAX, GroupCount, GroupOffset, HIGH_WATERMARKS_MAX, HighWatermark,
    LedFigures, LogDirFigures, Snapshot, TOPICS_MAX, TopicFigures, TrafficFigures, VolumeFigures,
};
pub use requests::Timer;

use requests::Requests;

use crate::protocol::ApiKey;

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    figures: OnceLock<Box<dyn Figures>>,
    requests: Requests,
    pub connections: Connections,
    produced_records: IntCounter,
    produced_bytes: IntCounter,
    fetched_records: IntCounter,
    fetched_bytes: IntCounter,
}

impl Metrics {
    pub fn new() -> Metrics {
        let registry = Registry::new();
        build_info(&registry);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(ProcessCollector::for_self())).expect("each name is registered once");
        let count = |name: &str, help: &str| counter(&registry, name, help);
        Metrics {
            requests: Requests::new(&registry),
            connections: Connections::new(&registry),
            produced_records: count("barnabas_produced_records_total", "Records appended for producers."),
            produced_bytes: count("barnabas_produced_bytes_total", "Bytes of record batches appended for producers."),
            fetched_records: count("barnabas_fetched_records_total", "Records sent to consumers."),
            fetched_bytes: count("barnabas_fetched_bytes_total", "Bytes of record batches sent to consumers."),
            figures: OnceLock::new(),
            registry,
        }
    }

    /// Counts a request of so many bytes, and starts to time it.
    pub fn request(&self, api: ApiKey, bytes: usize) -> Timer<'_> {
        self.requests.start(api, bytes)
    }

    /// Counts the error codes of one response: each is in `codes` once (`protocol::frame::ResponseFrame`).
    pub fn errors(&self, api: ApiKey, codes: &[i16]) {
        codes.iter().for_each(|code| self.requests.error(api, *code));
    }

    pub fn produced(&self, records: u64, bytes: u64) {
        self.produced_records.inc_by(records);
        self.produced_bytes.inc_by(bytes);
    }

    pub fn fetched(&self, records: u64, bytes: u64) {
        self.fetched_records.inc_by(records);
        self.fetched_bytes.inc_by(bytes);
    }

    /// Who is asked at each scrape. The first call counts.
    pub fn ask(&self, figures: impl Figures + 'static) {
        let _ = self.figures.set(Box::new(figures));
    }

    /// All of it in Prometheus's text format.
    pub fn render(&self) -> Vec<u8> {
        let mut families = self.registry.gather();
        families.extend(self.figures.get().map(|figures| figures::gather(&figures.snapshot())).unwrap_or_default());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("memory takes every byte, and no family is empty");
        text
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

/// Connections by what became of them.
pub struct Connections {
    open: IntGauge,
    accepted: IntCounter,
    refused: IntCounterVec,
}

impl Connections {
    fn new(registry: &Registry) -> Connections {
        let open = IntGauge::new("barnabas_connections_open", "Connections of clients that are open.").expect(VALID);
        let help = "Connections of clients that were refused, by the setting or the trouble that refused them.";
        let refused =
            IntCounterVec::new(Opts::new("barnabas_connections_refused_total", help), &["reason"]).expect(VALID);
        Connections {
            open: register(registry, open),
            accepted: counter(
                registry,
                "barnabas_connections_accepted_total",
                "Connections of clients that were accepted.",
            ),
            refused: register(registry, refused),
        }
    }

    /// Counts a connection as accepted, and as open until the guard is dropped.
    pub fn open(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection { open: self.open.clone() }
    }

    /// `reason` becomes a label, so it must be one of few.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }
}

/// A connection that counts as open.
pub struct OpenConnection {
    open: IntGauge,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

const VALID: &str = "the names of metrics and labels are constants that Prometheus takes";

fn register<T: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: T) -> T {
    registry.register(Box::new(metric.clone())).expect("each name is registered once");
    metric
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::new(name, help).expect(VALID))
}

fn build_info(registry: &Registry) {
    let options = Opts::new("barnabas_build_info", "Always 1; the labels say which build this is.");
    let options = options.const_label("version", env!("CARGO_PKG_VERSION"));
    register(registry, IntGauge::with_opts(options).expect(VALID)).set(1);
}

#[cfg(test)]
mod tests;
