//! The program `barnabas-operator`: arguments, leadership, run.

use anyhow::Context as _;
use barnabas::metrics::http::{self, Readiness, Site};
use barnabas_operator::metrics::Metrics;
use barnabas_operator::resources::OperatorPods;
use barnabas_operator::run::{Settings, run};
use clap::Parser;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::LeaseManagerBuilder;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// Seconds for which leadership holds without being renewed: another replica takes over after at most as long.
const LEASE_SECONDS: u64 = 10;
/// Seconds before its end at which it is renewed.
const LEASE_GRACE_SECONDS: u64 = 4;
/// How often the one that acts looks whether the lease is still its own, and how long it waits for the answer.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a stop waits until the lease is given back.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Runs clusters of Barnabas on Kubernetes, from KafkaCluster and KafkaTopic resources.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The image of brokers that name none.
    #[arg(long, env = "BARNABAS_IMAGE", value_name = "IMAGE")]
    image: String,

    /// Namespaces that are looked after, by commas. Empty: all.
    #[arg(long, env = "WATCH_NAMESPACES", value_name = "NAMES", default_value = "")]
    watch_namespaces: String,

    /// The domain of the Kubernetes cluster's names.
    #[arg(long, env = "CLUSTER_DOMAIN", value_name = "DOMAIN", default_value = "cluster.local")]
    cluster_domain: String,

    /// Whether replicas of the operator agree on one that acts.
    #[arg(long, env = "LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    leader_election: bool,

    /// The Lease by which they agree.
    #[arg(long, env = "LEASE_NAME", value_name = "NAME", default_value = "barnabas-operator")]
    lease_name: String,

    /// The namespace of the operator's pods and of the Lease. Default: outside of Kubernetes there is none, and the Lease is in
    /// `default`.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,

    /// Labels that select the operator's pods, by commas: with `--namespace` they say who may connect to the admin listeners of
    /// brokers. Default: anybody may.
    #[arg(long, env = "POD_LABELS", value_name = "LABEL=VALUE", value_delimiter = ',', value_parser = label)]
    pod_labels: Vec<(String, String)>,

    /// The name of this replica. Default: that of the machine.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    name: Option<String>,

    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, env = "METRICS_ADDRESS", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    metrics_address: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    barnabas::telemetry::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(operate(arguments));
    // Whatever still waits for an answer is not waited for.
    runtime.shutdown_background();
    ended
}

async fn operate(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    let (stop, stopping) = watch::channel(false);
    let (metrics, readiness) = (Arc::new(Metrics::default()), Arc::new(Readiness::default()));
    let listener = TcpListener::bind(arguments.metrics_address)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.metrics_address))?;
    let site = Site { metrics: metrics.clone(), readiness: readiness.clone() };
    let served = tokio::spawn(http::serve(listener, site, until(stopping.clone())));
    let client = Client::try_default().await.context("cannot find a Kubernetes: neither in a pod nor by KUBECONFIG")?;
    readiness.set(true);
    let mut led = std::pin::pin!(lead(arguments, client, metrics, stopping));
    let ended = tokio::select! {
        ended = &mut led => Some(ended),
        _ = terminated.recv() => None,
        _ = interrupted.recv() => None,
    };
    readiness.set(false);
    stop.send_replace(true);
    let ended = match ended {
        Some(ended) => ended,
        None => tokio::time::timeout(STOP_TIME_MAX, led).await.unwrap_or(Ok(())),
    };
    served.await.ok();
    info!("stopped");
    ended
}

/// `LABEL=VALUE`.
fn label(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a label is written as LABEL=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Without labels any pod of the namespace would do.
fn operator_pods(namespace: Option<String>, labels: Vec<(String, String)>) -> Option<OperatorPods> {
    let namespace = namespace.filter(|_| !labels.is_empty())?;
    Some(OperatorPods { namespace, labels: labels.into_iter().collect() })
}

/// Acts as long as this replica is the one that may. Errors: it no longer is; the process is to start anew.
async fn lead(
    arguments: Arguments,
    client: Client,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let namespaces = arguments.watch_namespaces.split(',').map(str::trim).filter(|name| !name.is_empty());
    let name =
        arguments.name.unwrap_or_else(|| std::env::var("HOSTNAME").unwrap_or_else(|_| std::process::id().to_string()));
    let operator = operator_pods(arguments.namespace.clone(), arguments.pod_labels);
    if operator.is_none() {
        warn!(
            "POD_NAMESPACE and POD_LABELS do not say which pods are the operator's: admin listeners are open to others"
        );
    }
    let settings = Settings {
        image: arguments.image,
        cluster_domain: arguments.cluster_domain,
        operator,
        namespaces: namespaces.map(str::to_owned).collect(),
        name: name.clone(),
    };
    if !arguments.leader_election {
        metrics.leader.set(1);
        run(client, settings, metrics, until(stopping)).await;
        return Ok(());
    }
    let namespace = arguments.namespace.unwrap_or_else(|| "default".to_owned());
    let lease = LeaseManagerBuilder::new(client.clone(), &arguments.lease_name)
        .with_namespace(&namespace)
        .with_identity(&name)
        .with_duration(LEASE_SECONDS)
        .with_grace(LEASE_GRACE_SECONDS)
        .build()
        .await
        .context("cannot take part in the election of a leader")?;
    let (mut leads, held) = lease.watch().await;
    info!(lease = arguments.lease_name, "waiting to lead");
    tokio::select! {
        leads = leads.wait_for(|leads| *leads) => drop(leads.context("the lease can no longer be followed")?),
        () = until(stopping.clone()) => return Ok(()),
    }
    info!("this replica leads");
    metrics.leader.set(1);
    tokio::select! {
        () = run(client.clone(), settings, metrics.clone(), until(stopping)) => {}
        _ = no_longer_holds(client.clone(), &namespace, &arguments.lease_name, &name) => {
            metrics.leader.set(0);
            anyhow::bail!("the lease is not this replica's any more, as far as it can see");
        }
        _ = leads.wait_for(|leads| !*leads) => {
            metrics.leader.set(0);
            warn!("this replica leads no longer, and ends");
            anyhow::bail!("another replica leads");
        }
    }
    // Gives the lease back, so that another replica need not wait for its end.
    drop(leads);
    held.await.ok();
    Ok(())
}

/// Returns when the lease is another's, or has not been seen to be this replica's for as long as it holds: cut off from the API
/// server, this replica cannot know who acts, and the clusters may still be within its reach.
async fn no_longer_holds(client: Client, namespace: &str, lease: &str, name: &str) {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let mut seen = Instant::now();
    while seen.elapsed() < Duration::from_secs(LEASE_SECONDS) {
        tokio::time::sleep(LOOK_EVERY).await;
        let asked = Instant::now();
        let Ok(Ok(known)) = tokio::time::timeout(LOOK_EVERY, leases.get(lease)).await else { continue };
        match known.spec.and_then(|spec| spec.holder_identity) {
            Some(holder) if holder == name => seen = asked,
            _ => return,
        }
    }
}

async fn until(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever would say so is gone.
    stopping.wait_for(|stop| *stop).await.ok();
}
