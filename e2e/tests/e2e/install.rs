//! The operator is installed, taken away and installed again.

use anyhow::{Result, ensure};
use barnabas_e2e::cluster::{Cluster, spec};
use barnabas_e2e::commands::{kubectl, run};
use barnabas_e2e::environment::root;
use barnabas_e2e::load::{Load, Plan};
use barnabas_e2e::operator::Operator;
use barnabas_e2e::space::{Space, test};
use std::path::PathBuf;

#[test]
fn helm_installs_an_operator_that_makes_a_cluster() {
    test("helm", async |space| {
        Operator::of(&space.environment).install_with_helm().await?;
        Cluster::start(&space, "small", spec(1)).await?;
        Ok(())
    });
}

#[test]
fn clusters_stay_while_the_operator_is_uninstalled_and_installed_again() {
    test("reinstall", async |space| {
        let operator = Operator::of(&space.environment);
        let cluster = Cluster::start(&space, "small", spec(1)).await?;
        let (uids, load) = (cluster.uids().await?, Load::with(&cluster, one_replica()).await?);
        operator.uninstall_with_helm().await?;
        load.every_partition_is_written().await?;
        operator.install_with_helm().await?;
        cluster.is_ready().await?;
        ensure!(cluster.uids().await? == uids, "a pod was made anew");
        load.finish().await?;
        Ok(())
    });
}

#[test]
fn kustomize_installs_an_operator_that_makes_a_cluster() {
    test("kustomize", async |space| {
        let operator = Operator::of(&space.environment);
        operator.uninstall_with_helm().await?;
        let overlay = overlay(&space)?;
        let result = with_kustomize(&space, &operator, &overlay).await;
        kubectl(&format!("delete -k {} --ignore-not-found", overlay.join("operator").display())).await?;
        std::fs::remove_dir_all(&overlay)?;
        operator.install_with_helm().await?;
        result
    });
}

async fn with_kustomize(space: &Space, operator: &Operator, overlay: &std::path::Path) -> Result<()> {
    kubectl(&format!("apply --server-side --force-conflicts -k {}", overlay.display())).await?;
    operator.leads().await?;
    Cluster::start(space, "small", spec(1)).await?;
    Ok(())
}

/// An overlay of deploy/ with the image under test, as a user would write one. Its part `operator` leaves out the
/// definitions, without which Kubernetes would delete every cluster.
fn overlay(space: &Space) -> Result<PathBuf> {
    let (name, tag) = space.environment.image.rsplit_once(':').unwrap_or((&space.environment.image, "latest"));
    let directory = root().canonicalize()?.join("target/e2e-overlay");
    let image = format!("images:\n  - {{name: barnabas, newName: {name}, newTag: {tag}}}\n");
    let brokers = r#"replacements:
  - source:
      kind: Deployment
      name: barnabas-operator
      fieldPath: spec.template.spec.containers.[name=operator].image
    targets:
      - select: {kind: Deployment, name: barnabas-operator}
        fieldPaths:
          - spec.template.spec.containers.[name=operator].env.[name=BARNABAS_IMAGE].value
"#;
    for (place, resource) in
        [(directory.clone(), "../../deploy"), (directory.join("operator"), "../../../deploy/operator")]
    {
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("kustomization.yaml"), format!("resources: [{resource}]\n{image}{brokers}"))?;
    }
    Ok(directory)
}

/// For clusters of one broker.
pub fn one_replica() -> Plan {
    Plan { replicas: 1, ..Plan::default() }
}

#[test]
fn kubectl_explains_the_resources() {
    test("explain", async |_space| {
        let cluster = run("kubectl", &["explain", "kafkacluster.spec.brokers.replicas"]).await?;
        ensure!(cluster.contains("How many brokers"), "{cluster}");
        let topic = run("kubectl", &["explain", "kafkatopic.spec.partitions"]).await?;
        ensure!(topic.contains("partitions"), "{topic}");
        Ok(())
    });
}
