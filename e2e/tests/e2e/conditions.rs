//! What only the operator can know is a condition; what others take away is put back.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::cluster::{Cluster, PATIENCE, spec, with};
use barnabas_e2e::space::{Space, test};
use barnabas_e2e::topic::Topic;
use barnabas_e2e::watch::{self, Kind};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{DeleteParams, PostParams, PropagationPolicy};
use serde_json::json;

#[test]
fn an_unknown_configuration_is_named() {
    test("unknown", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let uids = cluster.uids().await?;
        cluster.change(json!({ "config": { "log.retention.huors": 3 } })).await?;
        cluster.says("Degraded", true, "log.retention.huors").await?;
        ensure!(cluster.uids().await? == uids, "a pod was made anew for a wrong configuration");
        cluster.change(json!({ "config": { "log.retention.huors": null } })).await?;
        cluster.says("Degraded", false, "").await?;
        Ok(())
    });
}

#[test]
fn a_configuration_that_the_operator_decides_is_refused_in_words() {
    test("reserved", async |space| {
        let cluster = Cluster::named(&space, "orders");
        cluster.apply(with(spec(1), json!({ "config": { "node.id": 7 } }))).await?;
        cluster.says("Degraded", true, "node.id").await?;
        Ok(())
    });
}

#[test]
fn a_topic_with_more_replicas_than_brokers_says_so() {
    test("replicas", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let topic = Topic::named(&cluster, "payments");
        topic.apply(json!({ "partitions": 1, "replicationFactor": 3 })).await?;
        let message = topic.says("Ready", false, "3").await?;
        println!("refused: {message}");
        topic.apply(json!({ "partitions": 1, "replicationFactor": 1 })).await?;
        topic.is_ready().await?;
        Ok(())
    });
}

#[test]
fn an_unknown_configuration_of_a_topic_is_named() {
    test("topicconfig", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let topic = Topic::named(&cluster, "payments");
        topic.apply(json!({ "partitions": 1, "replicationFactor": 1, "config": { "retention.hours": 1 } })).await?;
        topic.says("Ready", false, "retention.hours").await?;
        Ok(())
    });
}

#[test]
fn the_second_of_two_resources_for_one_topic_says_so_and_changes_nothing() {
    test("twice", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let of = |partitions: i32| json!({ "topicName": "payments", "partitions": partitions, "replicationFactor": 1 });
        let first = Topic::create(&cluster, "first", of(2)).await?;
        let second = Topic::named(&cluster, "second");
        second.apply(of(5)).await?;
        second.says("Ready", false, "first").await?;
        first.is_ready().await?;
        ensure!(first.status().await?.partitions == 2, "the second has changed the topic of the first");
        Ok(())
    });
}

#[test]
fn a_stateful_set_of_somebody_else_is_left_alone_and_named() {
    test("foreign", async |space| {
        let foreign: StatefulSet = serde_json::from_value(json!({
            "metadata": { "name": "orders-broker" },
            "spec": {
                "replicas": 0, "serviceName": "foreign",
                "selector": { "matchLabels": { "app": "foreign" } },
                "template": {
                    "metadata": { "labels": { "app": "foreign" } },
                    "spec": { "containers": [{ "name": "foreign", "image": "foreign" }] },
                },
            },
        }))?;
        let sets: Api<StatefulSet> = space.api();
        sets.create(&PostParams::default(), &foreign).await?;
        let cluster = Cluster::named(&space, "orders");
        cluster.apply(spec(1)).await?;
        cluster.says("Degraded", true, "orders-broker").await?;
        let kept = sets.get("orders-broker").await?.spec.context("a specification")?;
        ensure!(kept.service_name.as_deref() == Some("foreign"), "it was changed: {kept:?}");
        Ok(())
    });
}

#[test]
fn what_is_deleted_behind_the_operators_back_comes_back() {
    test("deleted", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(3)).await?;
        let uids = cluster.uids().await?;
        comes_back::<ConfigMap>(&space, &cluster).await?;
        comes_back::<Service>(&space, &cluster).await?;
        comes_back::<NetworkPolicy>(&space, &cluster).await?;
        comes_back::<PodDisruptionBudget>(&space, &cluster).await?;
        comes_back::<StatefulSet>(&space, &cluster).await?;
        cluster.is_ready().await?;
        ensure!(cluster.uids().await?.keys().eq(uids.keys()), "other pods are there");
        Ok(())
    });
}

/// Deletes all objects of a kind that belong to the cluster, and waits until there are others in their place. Pods stay.
async fn comes_back<K>(space: &Space, cluster: &Cluster) -> Result<()>
where
    K: Kind + kube::Resource<Scope = kube::core::NamespaceResourceScope>,
{
    let api: Api<K> = space.api();
    let objects = watch::list(&api, &cluster.labels()).await?;
    ensure!(!objects.is_empty(), "the cluster has no {}", K::kind(&()));
    for object in objects {
        let name = object.meta().name.clone().unwrap_or_default();
        let how = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
        api.delete(&name, &how).await?;
        let is_new = |new: &K| new.meta().uid != object.meta().uid;
        watch::until(&api, &name, "other in its place", PATIENCE, is_new).await?;
    }
    Ok(())
}

#[test]
fn what_is_changed_behind_the_operators_back_is_put_right() {
    test("changed", async |space| {
        let cluster = Cluster::start(&space, "orders", spec(1)).await?;
        let services: Api<Service> = space.api();
        let name = "orders-bootstrap";
        let patch = kube::api::Patch::Merge(json!({ "spec": { "selector": { "barnabas.dev/cluster": "other" } } }));
        services.patch(name, &Default::default(), &patch).await?;
        let is_right = |service: &Service| {
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            selector.is_some_and(|selector| selector.get("barnabas.dev/cluster") == Some(&"orders".to_owned()))
        };
        watch::until(&services, name, "selector as it was", PATIENCE, is_right).await?;
        cluster.is_ready().await?;
        Ok(())
    });
}
