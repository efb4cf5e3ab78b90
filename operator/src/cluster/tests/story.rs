//! The operator dies at any write of a cluster's life, starts again, and everything comes out the same.

use super::bench::Bench;
use crate::testing::admin::State;
use crate::testing::kubernetes::{Failure, FakeKubernetes};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a whole life comes to.
struct End {
    objects: BTreeMap<String, Value>,
    brokers: Vec<i32>,
    replicas: Vec<usize>,
}

/// A cluster is made, grows, is restarted and shrinks, on an API server that has been prepared for something to go wrong.
/// Gives how many writes there were in all.
async fn life(prepare: impl FnOnce(&FakeKubernetes)) -> (End, usize) {
    let mut bench = Bench::new(&["c"]).await;
    prepare(&bench.kubernetes);
    bench.apply("c", |_| ());
    let mut writes = bench.converge("c").await.0.len();
    bench.admins["c"].make("t", &[&[0, 1], &[1, 2], &[2, 0], &[0, 2], &[1, 0], &[2, 1]]);
    bench.apply("c", |cluster| cluster.spec.brokers.replicas = 4);
    writes += bench.converge("c").await.0.len();
    bench.apply("c", |cluster| cluster.spec.image = Some("example.com/barnabas:2".into()));
    writes += bench.converge("c").await.0.len();
    bench.apply("c", |cluster| {
        cluster.spec.brokers.replicas = 3;
        cluster.spec.brokers.storage.size = "20Gi".into();
    });
    writes += bench.converge("c").await.0.len();
    (end(&bench), writes)
}

#[tokio::test]
async fn a_life_ends_as_it_is_wanted() {
    let (end, writes) = life(|_| ()).await;
    assert_eq!((end.brokers, end.replicas), (vec![0, 1, 2], vec![2; 6]));
    assert!(writes > 40, "{writes}");
}

#[tokio::test]
async fn an_operator_that_dies_after_any_write_goes_on_where_it_was() {
    let (end, writes) = life(|_| ()).await;
    for write in 1..=writes {
        let (end_then, _) = life(|kubernetes| kubernetes.die_after(write)).await;
        assert_same(&end_then, &end, &format!("it died after write {write}"));
    }
}

#[tokio::test]
async fn a_write_that_fails_changes_nothing_in_the_end() {
    let (end, writes) = life(|_| ()).await;
    for (write, failure) in (0..writes).zip([Failure::Code(500), Failure::Unheard, Failure::Code(409)].iter().cycle()) {
        let (end_then, _) = life(|kubernetes| kubernetes.fail_after(write, *failure)).await;
        assert_same(&end_then, &end, &format!("{failure:?} instead of write {write}"));
    }
}

/// That both are the same, and where not.
fn assert_same(one: &End, other: &End, when: &str) {
    let mut differences = Vec::new();
    let paths: BTreeSet<&String> = one.objects.keys().chain(other.objects.keys()).collect();
    for path in paths {
        compare(
            path,
            one.objects.get(path).unwrap_or(&Value::Null),
            other.objects.get(path).unwrap_or(&Value::Null),
            &mut differences,
        );
    }
    assert!(differences.is_empty(), "{when}: {differences:#?}");
    assert_eq!((&one.brokers, &one.replicas), (&other.brokers, &other.replicas), "{when}");
}

fn compare(path: &str, one: &Value, other: &Value, differences: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let names: BTreeSet<&String> = fields.keys().chain(others.keys()).collect();
            for name in names {
                compare(&format!("{path}.{name}"), &one[name], &other[name], differences);
            }
        }
        _ if one != other => differences.push(format!("{path}: {one} and {other}")),
        _ => {}
    }
}

fn end(bench: &Bench) -> End {
    let objects = bench.kubernetes.objects().into_iter().filter(|(path, _)| !path.contains("/events/"));
    let State { cluster, topics, .. } = bench.admins["c"].state();
    End {
        objects: objects.map(|(path, object)| (path, timeless(object))).collect(),
        brokers: cluster.brokers.iter().map(|broker| broker.id).collect(),
        replicas: topics["t"].partitions.iter().map(|partition| partition.replicas.len()).collect(),
    }
}

/// Without what differs from one run to the next: versions, times and ids.
fn timeless(mut object: Value) -> Value {
    match &mut object {
        Value::Object(fields) => {
            let differs = ["resourceVersion", "uid", "lastTransitionTime", "podIP"];
            fields.retain(|name, _| !differs.contains(&name.as_str()));
            fields.values_mut().for_each(|value| *value = timeless(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    object
}
