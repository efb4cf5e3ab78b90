//! A Prometheus beside the tests, which reaches pods through the API server. It is told which pods there are: that of Debian
//! cannot ask Kubernetes itself.

use crate::environment::variable;
use crate::watch::eventually;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STARTS: Duration = Duration::from_secs(30);

/// A running Prometheus, and the `kubectl proxy` that it asks. Both end with it.
pub struct Prometheus {
    port: u16,
    processes: [Child; 2],
    directory: PathBuf,
}

impl Prometheus {
    /// Scrapes the pods of these namespaces that have a port named `metrics`.
    pub async fn start(client: &Client, namespaces: &[&str]) -> Result<Prometheus> {
        let directory = std::env::temp_dir().join(format!("barnabas-e2e-prometheus-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let (port, proxy) = (free_port()?, free_port()?);
        let mut targets = Vec::new();
        for namespace in namespaces {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            targets.extend(pods.list(&ListParams::default()).await?.iter().filter_map(|pod| target(pod, proxy)));
        }
        ensure!(!targets.is_empty(), "no pod of {namespaces:?} has a port named metrics");
        std::fs::write(directory.join("prometheus.yml"), configuration(&targets))?;
        let mut kubectl = Command::new("kubectl");
        kubectl.args(["proxy", &format!("--port={proxy}")]);
        let mut prometheus = Command::new(program());
        prometheus.arg(format!("--config.file={}", directory.join("prometheus.yml").display()));
        prometheus.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let start = |mut command: Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().with_context(|| format!("{command:?}"))
        };
        let running = Prometheus { port, processes: [start(kubectl)?, start(prometheus)?], directory };
        eventually("Prometheus", STARTS, async || running.query("vector(1)").await).await?;
        Ok(running)
    }

    /// What an instant query gives: labels and value of each series.
    pub async fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let answer =
            crate::commands::run("curl", &["-sS", "--get", &url, "--data-urlencode", &format!("query={query}")])
                .await?;
        let answer: Value = serde_json::from_str(&answer)?;
        ensure!(answer["status"] == "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().context("series")?.iter();
        series.map(|one| Ok((one["metric"].clone(), one["value"][1].as_str().context("a value")?.parse()?))).collect()
    }

    /// Waits until a query gives at least so many series.
    pub async fn gives(&self, query: &str, at_least: usize, limit: Duration) -> Result<Vec<(Value, f64)>> {
        let what = format!("{at_least} series of {query}");
        let ask = async || {
            let series = self.query(query).await?;
            ensure!(series.len() >= at_least, "{} series: {series:?}", series.len());
            Ok(series)
        };
        eventually(&what, limit, ask).await
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.kill().and_then(|()| process.wait()).ok();
        }
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// That of the path, or the one that the scripts of the charts unpack.
fn program() -> String {
    let home = variable("XDG_CACHE_HOME", &format!("{}/.cache", variable("HOME", "/root")));
    let unpacked = format!("{home}/barnabas-kubernetes/prometheus/usr/bin/prometheus");
    let found = if PathBuf::from(&unpacked).exists() { unpacked } else { "prometheus".to_owned() };
    variable("BARNABAS_E2E_PROMETHEUS", &found)
}

/// A target of Prometheus, by way of `kubectl proxy`: the pod's metrics path, and its labels.
fn target(pod: &Pod, proxy: u16) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    let ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
    let port = ports.into_iter().find(|port| port.name.as_deref() == Some("metrics"))?.container_port;
    let (namespace, name) = (pod.namespace()?, pod.name_any());
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
    Some(format!(
        r#"{{targets: ["127.0.0.1:{proxy}"], labels: {{__metrics_path__: "{path}", namespace: "{namespace}", pod: "{name}"}}}}"#
    ))
}

fn configuration(targets: &[String]) -> String {
    let targets = targets.join(", ");
    format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nscrape_configs: [{{job_name: pods, static_configs: [{targets}]}}]\n"
    )
}

/// A port that nobody has now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
