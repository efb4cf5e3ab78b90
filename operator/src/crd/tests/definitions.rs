//! The shape of the definitions.

use super::super::definition::definitions;
use super::{schemas, walk};
use crate::crd::KafkaClusterSpec;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn definition(kind: &str) -> Value {
    let definitions = definitions().map(|(_, definition)| serde_json::to_value(definition).expect("a definition"));
    definitions.into_iter().find(|definition| definition["spec"]["names"]["kind"] == kind).expect("the kind")
}

#[test]
fn the_files_in_crds_are_what_the_types_say() {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    for (file, definition) in definitions() {
        let written = fs::read_to_string(crds.join(file)).unwrap_or_default();
        let wanted = serde_yaml::to_string(&definition).expect("YAML");
        assert!(written == wanted, "crds/{file} is not up to date: run `cargo run -p barnabas-operator --bin crdgen`");
    }
    // The definitions, and the file by which kustomize finds them.
    let files = fs::read_dir(&crds).expect("crds").count();
    assert_eq!(files, definitions().len() + 1, "crds/ has files that no type belongs to");
}

/// `kubectl apply` keeps the whole definition in an annotation, of which 256 KiB may be.
#[test]
fn each_definition_is_below_200_kilobytes() {
    for (file, definition) in definitions() {
        let size = serde_yaml::to_string(&definition).expect("YAML").len();
        assert!(size < 200_000, "{file}: {size} bytes");
    }
}

#[test]
fn every_field_is_described() {
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, part| {
            let described = part["description"].as_str().is_some_and(|text| !text.trim().is_empty());
            assert!(described || path.ends_with(['}', ']']), "{path} has no description");
        });
    }
}

/// What Kubernetes asks of a schema, so that unknown fields are removed and defaults are set: each value has a type, and
/// an object has either named fields or any.
#[test]
fn the_schemas_are_structural() {
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, part| {
            let any = |mark: &str| part[mark] == true;
            let untyped = any("x-kubernetes-int-or-string") || any("x-kubernetes-preserve-unknown-fields");
            assert!(part["type"].is_string() || untyped, "{path} has no type");
            let both = part.get("properties").is_some() && part.get("additionalProperties").is_some();
            assert!(!both, "{path} has named fields and others");
            for junctor in ["anyOf", "allOf", "oneOf", "not", "$ref"] {
                assert!(part.get(junctor).is_none(), "{path} has {junctor}");
            }
        });
    }
}

#[test]
fn no_null_is_a_value_but_of_a_map_that_is_empty() {
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, part| {
            let is_map = part.get("additionalProperties").is_some();
            assert_eq!(part.get("nullable").is_some(), is_map, "{path}");
        });
    }
    let spec = json!({ "brokers": { "storage": { "size": "1Gi" } }, "config": null });
    let spec: KafkaClusterSpec = serde_json::from_value(spec).expect("a specification");
    assert!(spec.config.is_empty());
}

/// Kubernetes multiplies the cost of a rule with the sizes that lists, maps and texts may have, and refuses a definition
/// that may become too costly.
#[test]
fn lists_and_maps_that_people_write_are_bounded() {
    for (kind, schema) in schemas() {
        walk(&kind, &schema["properties"]["spec"], &mut |path, part| {
            let bounded = |of: &str, bound: &str| part.get(of).is_none() || part.get(bound).is_some();
            assert!(bounded("items", "maxItems"), "{path} has no maxItems");
            assert!(bounded("additionalProperties", "maxProperties"), "{path} has no maxProperties");
        });
    }
}

#[test]
fn every_rule_has_a_message_of_its_own_and_names_a_field_that_there_is() {
    let mut rules = BTreeMap::new();
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, part| {
            for rule in part["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = rule["message"].as_str().unwrap_or_else(|| panic!("{path}: {rule} has no message"));
                let known = rules.insert(message.to_owned(), rule["rule"].clone());
                assert!(known.is_none_or(|known| known == rule["rule"]), "{path}: another rule says '{message}'");
                let fields = rule["fieldPath"].as_str().unwrap_or_default().split('.').skip(1);
                let field = fields.fold(part, |part, name| &part["properties"][name]);
                assert!(field.is_object(), "{path} has no {}", rule["fieldPath"]);
            }
        });
    }
}

#[test]
fn a_cluster_of_one_line_has_all_defaults() {
    let cluster = &schemas()[0].1;
    let smallest = json!({ "spec": { "brokers": { "storage": { "size": "10Gi" } } } });
    let whole = json!({ "spec": {
        "availability": { "maxUnavailable": 1, "restartBy": "Broker" },
        "brokers": { "rackTopologyKey": "topology.kubernetes.io/zone", "replicas": 3, "storage": { "size": "10Gi" } },
        "controllers": { "mode": "Combined", "replicas": 3 },
        "deletionPolicy": "Retain",
        "durability": { "fsyncBeforeAck": false },
        "listeners": { "internal": { "port": 9092 } },
        "metrics": { "scrapeAnnotations": true },
        "networkPolicy": { "enabled": true },
        "paused": false,
        "rebalance": { "maxMovesAtOnce": 20, "mode": "OnScale" },
        "stopped": false,
    } });
    assert_eq!(kube::core::cel::apply_defaults(cluster, &smallest), whole);
}

#[test]
fn a_topic_of_one_line_has_all_defaults() {
    let smallest = json!({ "spec": { "clusterRef": { "name": "k" } } });
    let whole = json!({ "spec": { "clusterRef": { "name": "k" }, "adopt": true, "deletionPolicy": "Delete" } });
    assert_eq!(kube::core::cel::apply_defaults(&schemas()[1].1, &smallest), whole);
}

/// What the server fills in and what the operator fills in when it reads are the same.
#[test]
fn defaults_of_the_schema_are_those_of_the_types() {
    let smallest = json!({ "brokers": { "storage": { "size": "10Gi" } } });
    let read: super::super::KafkaClusterSpec = serde_json::from_value(smallest.clone()).expect("a cluster");
    let filled = kube::core::cel::apply_defaults(&schemas()[0].1["properties"]["spec"], &smallest);
    assert_eq!(serde_json::to_value(&read).expect("JSON"), filled);
    let smallest = json!({ "clusterRef": { "name": "k" } });
    let read: super::super::KafkaTopicSpec = serde_json::from_value(smallest.clone()).expect("a topic");
    let filled = kube::core::cel::apply_defaults(&schemas()[1].1["properties"]["spec"], &smallest);
    assert_eq!(serde_json::to_value(&read).expect("JSON"), filled);
}

#[test]
fn kubectl_knows_short_names_and_categories() {
    for (kind, plural, short) in [("KafkaCluster", "kafkaclusters", "kc"), ("KafkaTopic", "kafkatopics", "kt")] {
        let definition = definition(kind);
        let names = json!({
            "categories": ["barnabas", "kafka"], "kind": kind, "plural": plural, "shortNames": [short],
            "singular": kind.to_lowercase(),
        });
        assert_eq!(definition["spec"]["names"], names);
        assert_eq!(definition["spec"]["scope"], "Namespaced");
        assert_eq!(definition["spec"]["group"], super::super::GROUP);
        let version = &definition["spec"]["versions"][0];
        assert_eq!((&version["served"], &version["storage"]), (&json!(true), &json!(true)));
        assert!(version["subresources"]["status"].is_object(), "{kind} has a status of its own");
    }
}

#[test]
fn kubectl_scale_is_for_brokers() {
    let scale = json!({
        "specReplicasPath": ".spec.brokers.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    });
    assert_eq!(definition("KafkaCluster")["spec"]["versions"][0]["subresources"]["scale"], scale);
    assert!(definition("KafkaTopic")["spec"]["versions"][0]["subresources"].get("scale").is_none());
}

#[test]
fn kubectl_get_shows_columns_that_there_are() {
    let columns = |kind: &str| -> Vec<String> {
        let definition = definition(kind);
        let version = &definition["spec"]["versions"][0];
        let columns = version["additionalPrinterColumns"].as_array().expect("columns").clone();
        columns.iter().for_each(|column| assert_column(&version["schema"]["openAPIV3Schema"], column));
        columns.iter().map(|column| column["name"].as_str().expect("a name").to_owned()).collect()
    };
    let cluster = ["Ready", "Brokers", "Wanted", "Doing", "Bootstrap", "Offline", "Version", "Age"];
    assert_eq!(columns("KafkaCluster"), cluster);
    assert_eq!(columns("KafkaTopic"), ["Cluster", "Topic", "Partitions", "Replicas", "Ready", "Doing", "Age"]);
}

fn assert_column(schema: &Value, column: &Value) {
    let path = column["jsonPath"].as_str().expect("a path");
    if path.starts_with(".metadata.") {
        return;
    }
    let plain = path.replace("[?(@.type=='Ready')]", "");
    let field = plain.split('.').skip(1).fold(schema, |part, name| {
        let object = part.get("items").unwrap_or(part);
        &object["properties"][name]
    });
    assert_eq!(field["type"], column["type"], "{path}");
}
