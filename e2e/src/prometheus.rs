//! A Prometheus beside the tests, which finds pods by their annotations and reaches them through the API server.

use crate::environment::variable;
use crate::watch::eventually;
use anyhow::{Context, Result, ensure};
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
    /// Scrapes the pods of these namespaces that say in their annotations that they want to be.
    pub async fn start(namespaces: &[&str]) -> Result<Prometheus> {
        let directory = std::env::temp_dir().join(format!("barnabas-e2e-prometheus-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let (port, proxy) = (free_port()?, free_port()?);
        std::fs::write(directory.join("prometheus.yml"), configuration(namespaces, proxy))?;
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

fn configuration(namespaces: &[&str], proxy: u16) -> String {
    let names = namespaces.join(", ");
    format!(
        r#"global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
  - job_name: pods
    kubernetes_sd_configs:
      - {{role: pod, api_server: "http://127.0.0.1:{proxy}", namespaces: {{names: [{names}]}}}}
    relabel_configs:
      - {{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true", action: keep}}
      - {{source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}}
      # A pod has a target for each port: one is enough.
      - {{source_labels: [__meta_kubernetes_pod_container_port_name], regex: metrics, action: keep}}
      - source_labels: [__meta_kubernetes_namespace, __meta_kubernetes_pod_name, __meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_annotation_prometheus_io_path]
        regex: (.+);(.+);(.+);(.+)
        replacement: /api/v1/namespaces/$1/pods/$2:$3/proxy$4
        target_label: __metrics_path__
      - {{target_label: __address__, replacement: "127.0.0.1:{proxy}"}}
      - {{source_labels: [__meta_kubernetes_namespace], target_label: namespace}}
      - {{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}
"#
    )
}

/// A port that nobody has now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
