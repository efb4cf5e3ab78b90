//! The operator itself: its pods, its metrics, and its release.

use crate::cluster::{Cluster, PATIENCE, is_pod_ready};
use crate::commands::{kubectl, run};
use crate::environment::{Environment, chart};
use crate::watch::{self, eventually};
use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// The release, the deployment, and the value of the label that all its pods have.
pub const NAME: &str = "barnabas-operator";
const LABELS: &str = "app.kubernetes.io/name=barnabas-operator";
const METRICS_PORT: u16 = 8080;
/// How long a pod may take to tell its metrics.
const ANSWERS: Duration = Duration::from_secs(5);

/// The operator that serves all namespaces.
#[derive(Clone)]
pub struct Operator {
    environment: Environment,
    pub pods: Api<Pod>,
    pub deployments: Api<Deployment>,
}

impl Operator {
    pub fn of(environment: &Environment) -> Operator {
        let (client, namespace) = (environment.client.clone(), &environment.operator_namespace);
        Operator {
            environment: environment.clone(),
            pods: Api::namespaced(client.clone(), namespace),
            deployments: Api::namespaced(client, namespace),
        }
    }

    /// Installs the chart, or upgrades to it, and waits until the operator is ready.
    pub async fn install_with_helm(&self) -> Result<()> {
        let (repository, tag) = self.environment.image.rsplit_once(':').context("an image with a tag")?;
        let (chart, image) = (chart(), [format!("image.repository={repository}"), format!("image.tag={tag}")]);
        let chart = chart.to_string_lossy();
        let arguments = ["upgrade", "--install", NAME, &chart, "--namespace", self.namespace(), "--create-namespace"];
        let values = ["--set", &image[0], "--set", &image[1], "--wait", "--timeout", "3m"];
        run("helm", &[&arguments[..], &values[..]].concat()).await?;
        self.leads().await.map(drop)
    }

    /// Takes the release away; the definitions stay, and every cluster with them.
    pub async fn uninstall_with_helm(&self) -> Result<()> {
        run("helm", &["uninstall", NAME, "--namespace", self.namespace(), "--wait", "--timeout", "3m"]).await?;
        self.has_pods(0).await
    }

    pub fn namespace(&self) -> &str {
        &self.environment.operator_namespace
    }

    /// Waits until one replica of the operator acts, and gives its pod.
    pub async fn leads(&self) -> Result<String> {
        eventually("operator that acts", PATIENCE, async || self.leader().await.map(|(pod, _)| pod)).await
    }

    /// The pod that acts, and what it tells Prometheus.
    pub async fn leader(&self) -> Result<(String, Scrape)> {
        for pod in watch::list(&self.pods, LABELS).await?.into_iter().filter(is_pod_ready) {
            let name = pod.metadata.name.unwrap_or_default();
            // One that does not answer may be on a node that is lost: another one acts.
            let Ok(scrape) = scrape(&self.environment.client, self.namespace(), &name, METRICS_PORT).await else {
                continue;
            };
            if scrape.value("barnabas_operator_leader") == Some(1.0) {
                return Ok((name, scrape));
            }
        }
        bail!("no replica of the operator acts")
    }

    /// Ends every replica at once, as a crash would. Others are started in their place.
    pub async fn kill(&self) -> Result<()> {
        for pod in watch::list(&self.pods, LABELS).await? {
            let name = pod.metadata.name.unwrap_or_default();
            self.pods.delete(&name, &DeleteParams::default().grace_period(0)).await?;
        }
        Ok(())
    }

    /// Ends the replica that acts, as a crash would. Another one takes over.
    pub async fn kill_leader(&self) -> Result<()> {
        // It may end by itself between the question and the order: then there is another one to be asked for.
        eventually("operator that acts, to be killed", PATIENCE, async || {
            let (leader, _) = self.leader().await?;
            self.pods.delete(&leader, &DeleteParams::default().grace_period(0)).await?;
            Ok(())
        })
        .await
    }

    /// Waits until the replica that acts has itself found a cluster ready: what stands in the status may be the word of
    /// another one.
    pub async fn finds_ready(&self, cluster: &Cluster) -> Result<()> {
        let series = ready_series(cluster);
        eventually("operator that finds the cluster ready", PATIENCE, async || {
            let (pod, scrape) = self.leader().await?;
            let found = scrape.value(&series);
            ensure!(found == Some(1.0), "{pod} says {series}: {found:?}");
            Ok(())
        })
        .await
    }

    /// Sets the number of replicas, and waits until there are as many.
    pub async fn scale(&self, replicas: i32) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        self.deployments.patch(NAME, &PatchParams::default(), &patch).await?;
        self.has_pods(replicas as usize).await
    }

    async fn has_pods(&self, count: usize) -> Result<()> {
        let are_there = |pods: &[std::sync::Arc<Pod>]| {
            let ready = pods.iter().filter(|pod| is_pod_ready(pod)).count();
            (pods.len() == count && ready == count).then_some(())
        };
        watch::until_all(&self.pods, LABELS, "other number of operators", PATIENCE, are_there).await
    }

    /// What the operator logged in the last minutes.
    pub async fn logs(&self, since: Duration) -> Result<String> {
        let seconds = since.as_secs();
        kubectl(&format!("-n {} logs -l {LABELS} --tail=-1 --since={seconds}s", self.namespace())).await
    }
}

/// What the operator tells of the readiness of a cluster, 0 or 1.
pub fn ready_series(cluster: &Cluster) -> String {
    let namespace = &cluster.space.namespace;
    format!("barnabas_operator_cluster_ready{{cluster=\"{}\",namespace=\"{namespace}\"}}", cluster.name)
}

/// What one process told Prometheus: every line by its name and labels.
#[derive(Clone, Debug, Default)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Over all labels.
    pub fn sum(&self, name: &str) -> f64 {
        let is_of = |line: &str| line.split('{').next() == Some(name);
        self.0.iter().filter(|(line, _)| is_of(line)).map(|(_, value)| value).sum()
    }
}

/// Asks a pod for its metrics, by way of the API server: no route from here is needed.
pub async fn scrape(client: &Client, namespace: &str, pod: &str, port: u16) -> Result<Scrape> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
    let request = client.request_text(http::Request::get(path).body(Vec::new())?);
    // The API server keeps connections to pods, also to one whose node lost power: nobody ever ends those.
    let text = timeout(ANSWERS, request).await.with_context(|| format!("{pod} does not answer"))??;
    Ok(read(&text))
}

fn read(text: &str) -> Scrape {
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        (!line.starts_with('#')).then_some((name.to_owned(), value.parse().ok()?))
    };
    Scrape(text.lines().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_summed_over_labels() {
        let scrape = read("# HELP a b\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 7\n");
        assert_eq!(scrape.sum("a"), 5.0);
        assert_eq!(scrape.value("ab"), Some(7.0));
        assert_eq!(scrape.value("a"), None);
    }
}
