//! What Kubernetes asks a node: whether it lives (`/healthz`), and whether it serves (`/readyz`).

use super::ports;
use k8s_openapi::api::core::v1::{HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Until the process answers at all. `/healthz` does before logs are recovered and before the quorum has a leader, so
/// neither long logs nor a missing majority make Kubernetes kill a process that works; only the metadata log is read before.
pub fn startup() -> Probe {
    Probe { period_seconds: Some(1), failure_threshold: Some(600), ..get("/healthz") }
}

/// Asked often: a broker that is ready is one that a rolling restart need not wait for.
pub fn readiness() -> Probe {
    Probe { period_seconds: Some(1), failure_threshold: Some(3), ..get("/readyz") }
}

/// Others lead long before: this ends the connections of clients that wait for a frozen process. Patient enough for a machine
/// under load, where a restart would only add to it.
pub fn liveness() -> Probe {
    Probe { period_seconds: Some(5), failure_threshold: Some(4), timeout_seconds: Some(5), ..get("/healthz") }
}

fn get(path: &str) -> Probe {
    let port = IntOrString::String(ports::METRICS.name.to_owned());
    let http_get = HTTPGetAction { path: Some(path.to_owned()), port, ..HTTPGetAction::default() };
    Probe { http_get: Some(http_get), timeout_seconds: Some(2), ..Probe::default() }
}
