//! Metrics that are made for one scrape.

use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::{VALID, counter, register};

/// What one scrape is told beside what is counted all the while.
pub(super) struct Sheet(Registry);

impl Sheet {
    pub fn new() -> Sheet {
        Sheet(Registry::new())
    }

    pub fn gauge(&self, name: &str, help: &str, value: u64) {
        let gauge = register(&self.0, IntGauge::new(name, help).expect(VALID));
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    pub fn counter(&self, name: &str, help: &str, value: u64) {
        counter(&self.0, name, help).inc_by(value);
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        register(&self.0, IntGaugeVec::new(Opts::new(name, help), labels).expect(VALID))
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        register(&self.0, IntCounterVec::new(Opts::new(name, help), labels).expect(VALID))
    }

    /// Those that have a value.
    pub fn gather(self) -> Vec<MetricFamily> {
        self.0.gather()
    }
}
