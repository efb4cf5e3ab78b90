//! What Prometheus sees.

use anyhow::ensure;
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec};
use barnabas_e2e::environment::variable;
use barnabas_e2e::load::Load;
use barnabas_e2e::operator::{Operator, ready_series};
use barnabas_e2e::prometheus::Prometheus;
use barnabas_e2e::space::test;

#[test]
fn prometheus_finds_brokers_and_operator_and_what_they_tell() {
    test("metrics", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let load = Load::start(&cluster).await?;
        let namespace = &space.namespace;
        let operators = variable("BARNABAS_E2E_OPERATOR_NAMESPACE", "barnabas-system");
        let prometheus = Prometheus::start(&space.client(), &[namespace, &operators]).await?;
        prometheus.gives("barnabas_operator_leader == 1", 1, PATIENCE).await?;
        let ready =
            format!("barnabas_operator_cluster_ready{{cluster=\"orders\", exported_namespace=\"{namespace}\"}} == 1");
        prometheus.gives(&ready, 1, PATIENCE).await?;
        let of = |name: &str| format!("{name}{{namespace=\"{namespace}\"}}");
        prometheus.gives(&format!("{} == 1", of("up")), 3, PATIENCE).await?;
        let names =
            ["process_resident_memory_bytes", "barnabas_topic_produced_records_total", "barnabas_offline_partitions"];
        for name in names {
            let found = prometheus.gives(&of(name), 1, PATIENCE).await;
            let known = prometheus.query(&format!("count by (__name__) ({{namespace=\"{namespace}\"}})")).await?;
            let known: Vec<String> = known.iter().map(|(labels, _)| labels["__name__"].to_string()).collect();
            ensure!(found.is_ok(), "{name} is not among {known:?}");
        }
        load.finish().await?;
        Ok(())
    });
}

#[test]
fn the_operator_tells_what_it_does() {
    test("operatormetrics", async |space| {
        let ready = ready_series(&Cluster::start(&space, "orders", spec(1)).await?);
        let (_, scrape) = Operator::of(&space.environment).leader().await?;
        ensure!(scrape.value(&ready) == Some(1.0), "{ready}: {scrape:?}");
        for name in
            ["barnabas_operator_reconciles_total", "barnabas_operator_writes_total", "process_resident_memory_bytes"]
        {
            ensure!(scrape.sum(name) > 0.0, "{name}: {scrape:?}");
        }
        Ok(())
    });
}
