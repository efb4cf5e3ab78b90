//! Requests, by API: how many, how large, how long, and which errors were answered.

use std::time::Instant;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    core::{Collector, MetricVec, MetricVecBuilder},
};

use super::{VALID, register};
use crate::protocol::{ApiKey, ErrorCode};

/// Upper bounds of the histogram's buckets in seconds: from a Produce that hits the page cache to a Fetch that waits.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The counters of one API.
struct OfApi {
    requests: IntCounter,
    bytes: IntCounter,
    seconds: Histogram,
}

pub(super) struct Requests {
    /// By the API's key; those that do not exist are `None`.
    by_key: Vec<Option<OfApi>>,
    errors: IntCounterVec,
}

impl Requests {
    pub(super) fn new(registry: &Registry) -> Requests {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels).expect(VALID))
        };
        let requests = counters("barnabas_requests_total", "Requests that were received.", &["api"]);
        let bytes = counters("barnabas_request_bytes_total", "Bytes of the requests that were received.", &["api"]);
        let options = HistogramOpts::new(
            "barnabas_request_duration_seconds",
            "Time from a request's arrival to its answer; what waits (for a commit, for records to fetch) is in it as far as \
             later requests of the connection waited too.",
        );
        let seconds = HistogramVec::new(options.buckets(SECONDS.to_vec()), &["api"]).expect(VALID);
        let seconds = register(registry, seconds);
        let of_api =
            |api: ApiKey| OfApi { requests: of(&requests, api), bytes: of(&bytes, api), seconds: of(&seconds, api) };
        let last = ApiKey::ALL.iter().map(|api| api.code()).max().unwrap_or(0);
        Requests {
            by_key: (0..=last).map(|key| ApiKey::from_code(key).map(of_api)).collect(),
            errors: counters(
                "barnabas_request_errors_total",
                "Responses that held an error code, by the code; one with several codes counts for each.",
                &["api", "error"],
            ),
        }
    }

    pub(super) fn start(&self, api: ApiKey, bytes: usize) -> Timer<'_> {
        let of_api = self.of(api);
        of_api.requests.inc();
        of_api.bytes.inc_by(bytes as u64);
        Timer { seconds: &of_api.seconds, started: Instant::now() }
    }

    pub(super) fn error(&self, api: ApiKey, code: i16) {
        let name = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError).name();
        self.errors.with_label_values(&[api.name(), name]).inc();
    }

    fn of(&self, api: ApiKey) -> &OfApi {
        let of_api = usize::try_from(api.code()).ok().and_then(|key| self.by_key.get(key)?.as_ref());
        of_api.expect("every API has its counters")
    }
}

fn of<B: MetricVecBuilder>(metrics: &MetricVec<B>, api: ApiKey) -> B::M
where
    MetricVec<B>: Collector,
{
    metrics.with_label_values(&[api.name()])
}

/// Times one request.
#[must_use = "a request that is answered is to be observed"]
pub struct Timer<'a> {
    seconds: &'a Histogram,
    started: Instant,
}

impl Timer<'_> {
    pub fn answered(self) {
        self.seconds.observe(self.started.elapsed().as_secs_f64());
    }
}
