//! What the operator tells Prometheus.

use barnabas::metrics::http::Exposition;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

const VALID: &str = "a valid metric that is registered once";

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: HistogramVec,
    errors: IntCounterVec,
    writes: IntCounterVec,
    drift: IntCounterVec,
    actions: IntCounterVec,
    in_progress: IntGaugeVec,
    ready: IntGaugeVec,
    topics_ready: IntGaugeVec,
    clusters: IntGauge,
    topics: IntGauge,
    scopes: Mutex<BTreeMap<String, Scope>>,
    pub leader: IntGauge,
}

/// Topics that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicsOf {
    pub namespace: String,
    pub cluster: String,
    pub ready: bool,
}

/// What is counted of one scope.
#[derive(Default)]
struct Scope {
    clusters: usize,
    topics: BTreeMap<TopicsOf, usize>,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels).expect(VALID))
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels).expect(VALID))
        };
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help).expect(VALID));
        let seconds = HistogramOpts::new("barnabas_operator_reconcile_duration_seconds", "How long reconciling took.");
        registry.register(Box::new(ProcessCollector::for_self())).expect(VALID);
        Metrics {
            reconciles: counters("barnabas_operator_reconciles_total", "Resources reconciled.", &["kind", "result"]),
            durations: register(&registry, HistogramVec::new(seconds, &["kind"]).expect(VALID)),
            errors: counters(
                "barnabas_operator_reconcile_errors_total",
                "Reconciling that failed.",
                &["kind", "reason"],
            ),
            writes: counters("barnabas_operator_writes_total", "Writes to the API server.", &["kind"]),
            drift: counters(
                "barnabas_operator_drift_total",
                "Objects that somebody else had changed or deleted and that were put right.",
                &["kind"],
            ),
            actions: counters("barnabas_operator_actions_total", "What was done about clusters.", &["action"]),
            in_progress: gauges(
                "barnabas_operator_reconciles_in_progress",
                "Resources that are being reconciled.",
                &["kind"],
            ),
            ready: gauges("barnabas_operator_cluster_ready", "1 where a cluster is ready.", &["namespace", "cluster"]),
            topics_ready: gauges(
                "barnabas_operator_topic_ready",
                "KafkaTopics by cluster, and whether they are ready.",
                &["namespace", "cluster", "ready"],
            ),
            clusters: gauge("barnabas_operator_clusters", "KafkaClusters."),
            topics: gauge("barnabas_operator_topics", "KafkaTopics."),
            leader: gauge("barnabas_operator_leader", "1 where this replica of the operator acts, 0 where it waits."),
            scopes: Mutex::default(),
            registry,
        }
    }
}

impl Metrics {
    /// Reconciling of a resource has begun; it is under way until this is dropped.
    pub fn begin(&self, kind: &str) -> impl Drop + use<> {
        Under::new(self.in_progress.with_label_values(&[kind]))
    }

    /// Reconciling has ended; `failure` says why it failed, in one word.
    pub fn reconciled(&self, kind: &str, took: Duration, failure: Option<&str>) {
        let result = if failure.is_none() { "ok" } else { "error" };
        self.reconciles.with_label_values(&[kind, result]).inc();
        self.durations.with_label_values(&[kind]).observe(took.as_secs_f64());
        if let Some(reason) = failure {
            self.errors.with_label_values(&[kind, reason]).inc();
        }
    }

    /// Something was written to the API server.
    pub fn wrote(&self, kind: &str) {
        self.writes.with_label_values(&[kind]).inc();
    }

    /// Something was not as the operator had left it.
    pub fn drifted(&self, kind: &str) {
        self.drift.with_label_values(&[kind]).inc();
    }

    /// Something was done about a cluster.
    pub fn acted(&self, action: &str) {
        self.actions.with_label_values(&[action]).inc();
    }

    pub fn cluster_ready(&self, namespace: &str, cluster: &str, ready: bool) {
        self.ready.with_label_values(&[namespace, cluster]).set(ready.into());
    }

    pub fn forget_cluster(&self, namespace: &str, cluster: &str) {
        // An error means that nothing was said of it.
        self.ready.remove_label_values(&[namespace, cluster]).ok();
    }

    /// There are so many clusters in this scope (a namespace that is looked after on its own, or all).
    pub fn clusters(&self, scope: &str, count: usize) {
        let mut scopes = self.scopes.lock().expect("no panic while held");
        scopes.entry(scope.to_owned()).or_default().clusters = count;
        self.clusters.set(scopes.values().map(|scope| scope.clusters as i64).sum());
    }

    /// There are so many topics in this scope, by cluster and whether they are ready.
    pub fn topics(&self, scope: &str, counts: BTreeMap<TopicsOf, usize>) {
        let mut scopes = self.scopes.lock().expect("no panic while held");
        scopes.entry(scope.to_owned()).or_default().topics = counts;
        self.topics_ready.reset();
        let all = scopes.values().flat_map(|scope| &scope.topics);
        self.topics.set(all.clone().map(|(_, count)| *count as i64).sum());
        for (of, count) in all {
            let ready = if of.ready { "true" } else { "false" };
            self.topics_ready.with_label_values(&[&of.namespace, &of.cluster, ready]).set(*count as i64);
        }
    }
}

impl Exposition for Metrics {
    fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("memory takes everything");
        text
    }
}

struct Under(IntGauge);

impl Under {
    fn new(gauge: IntGauge) -> Under {
        gauge.inc();
        Under(gauge)
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect(VALID);
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconciling_is_in_progress_until_it_is_dropped() {
        let metrics = Metrics::default();
        let shown = |count: i64| {
            let text = String::from_utf8(metrics.render()).unwrap();
            text.contains(&format!("barnabas_operator_reconciles_in_progress{{kind=\"KafkaTopic\"}} {count}\n"))
        };
        let first = metrics.begin("KafkaTopic");
        let second = metrics.begin("KafkaTopic");
        assert!(shown(2));
        drop(first);
        assert!(shown(1));
        drop(second);
        assert!(shown(0));
    }
}
