//! How clients outside Kubernetes reach brokers.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::client::Asker;
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec, with};
use barnabas_e2e::commands::nodes_can_be_broken;
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::watch::{self, eventually};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Where clients begin, and then a service for each broker.
const SERVICES: [&str; 3] = ["orders-external", "orders-external-0", "orders-external-1"];
/// The port of the load balancers.
const PORT: i32 = 9094;
/// How soon somebody who makes load balancers lays hands on a service, if there is anybody.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn clients_outside_produce_and_consume_through_load_balancers() {
    test("balancers", async |space| {
        let cluster = Cluster::named(&space, "orders");
        cluster.apply(with(spec(2), json!({ "listeners": { "external": { "type": "LoadBalancer" } } }))).await?;
        if !have_load_balancers(&space).await? {
            return Ok(());
        }
        cluster.is_ready().await?;
        let services: Api<Service> = space.api();
        let mut addresses = Vec::new();
        for name in SERVICES {
            addresses.push(address(&services.get(name).await?).with_context(|| format!("the address of {name}"))?);
        }
        let bootstrap = cluster.bootstrap().await?;
        ensure!(bootstrap == format!("{}:{PORT}", addresses[0]), "{bootstrap} is no load balancer of {addresses:?}");
        let client = Asker::new(&bootstrap)?;
        let wanted: BTreeSet<_> = (0..).zip(&addresses[1..]).map(|(id, host)| (id, host.clone(), PORT)).collect();
        let are_told = async || {
            let metadata = client.metadata()?;
            let brokers = metadata.brokers().iter();
            let told: BTreeSet<_> = brokers.map(|it| (it.id(), it.host().to_owned(), it.port())).collect();
            ensure!(told == wanted, "clients are told {told:?}, and the load balancers are {wanted:?}");
            Ok(())
        };
        eventually("brokers at their load balancers", PATIENCE, are_told).await?;
        let load = Load::with(&cluster, Plan { replicas: 2, ..Plan::default() }).await?;
        load.every_partition_is_written().await?;
        load.finish().await?;
        Ok(())
    });
}

/// Pods come back on other nodes, and clients go on asking the address that they have.
#[test]
fn a_broker_is_reached_at_its_port_on_every_node() {
    test("everynode", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(2)).await?;
        cluster.is_ready().await?;
        let nodes = watch::list(&Api::<Node>::all(space.client()), "").await?;
        let nodes: Vec<&str> = nodes.iter().filter(|node| is_ready(node)).filter_map(internal_address).collect();
        for name in SERVICES {
            let port =
                node_port(&space.api::<Service>().get(name).await?).with_context(|| format!("{name}: its port"))?;
            for node in &nodes {
                let answers = || Asker::new(&format!("{node}:{port}"))?.metadata();
                // kube-proxy may hear of a service later on one node than on another.
                eventually(&format!("{name} at {node}:{port}"), PATIENCE, async || answers().map(drop)).await?;
            }
        }
        Ok(())
    });
}

/// Waits for somebody to make the load balancers. Where nobody does, gives each service the address of one of Kubernetes'
/// nodes: kube-proxy takes in what comes for the address and port of a load balancer. Only on nodes that may be broken, since
/// a kube-proxy that works by IPVS would give that address to every node. If neither can be, says so: the test is then over.
async fn have_load_balancers(space: &Space) -> Result<bool> {
    let services: Api<Service> = space.api();
    for name in SERVICES {
        watch::until(&services, name, "service", PATIENCE, |_| true).await?;
    }
    if watch::until(&services, SERVICES[0], "load balancer", TAKEN_WITHIN, is_taken).await.is_ok() {
        return Ok(true);
    }
    if !nodes_can_be_broken().await {
        return Ok(false);
    }
    let nodes = watch::list(&Api::<Node>::all(space.client()), "").await?;
    let nodes: Vec<&str> = nodes.iter().filter(|node| is_ready(node)).filter_map(internal_address).collect();
    ensure!(nodes.len() >= SERVICES.len(), "{nodes:?} are too few to stand in for load balancers");
    for (name, node) in SERVICES.iter().zip(nodes) {
        let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": node }] } } });
        services.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    }
    Ok(true)
}

/// Whether somebody makes a load balancer for it: clouds need minutes, and put a finalizer on the service before.
fn is_taken(service: &Service) -> bool {
    address(service).is_some() || service.metadata.finalizers.iter().flatten().next().is_some()
}

fn address(service: &Service) -> Option<String> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    ingress.hostname.clone().or_else(|| ingress.ip.clone())
}

fn node_port(service: &Service) -> Option<i32> {
    service.spec.as_ref()?.ports.as_ref()?.first()?.node_port
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn internal_address(node: &Node) -> Option<&str> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    addresses.iter().find(|address| address.type_ == "InternalIP").map(|address| address.address.as_str())
}
