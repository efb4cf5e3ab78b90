use super::*;
use serde_json::{Value, json};

fn resource(spec: Value) -> KafkaCluster {
    serde_json::from_value(json!({
        "apiVersion": "barnabas.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": { "name": "orders", "namespace": "shop", "uid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427" },
        "spec": spec,
    }))
    .unwrap()
}

fn defaults() -> Defaults {
    Defaults { image: "registry:5000/barnabas:0.1.0".into(), cluster_domain: "cluster.local".into(), operator: None }
}

/// A cluster of three brokers with `more`.
fn three(more: Value) -> Value {
    with(json!({ "brokers": { "replicas": 3, "storage": { "size": "1Gi" } } }), more)
}

fn with(mut spec: Value, more: Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(fields);
    spec
}

fn valid(spec: Value) -> ValidCluster {
    validate(&resource(spec), &defaults()).unwrap_or_else(|invalid| panic!("{invalid:#?}"))
}

/// What is said against it, one text for each fault.
fn faults(spec: Value) -> Vec<String> {
    validate(&resource(spec), &defaults()).unwrap_err().iter().map(Invalid::to_string).collect()
}

fn assert_refused(spec: Value, start: &str) {
    let faults = faults(spec);
    assert!(faults.len() == 1 && faults[0].starts_with(start), "{start:?} is not\n{faults:#?}");
}

fn config(name: &str, value: Value) -> Value {
    let mut values = serde_json::Map::new();
    values.insert(name.to_owned(), value);
    three(json!({ "config": values }))
}

fn pod(overrides: Value) -> Value {
    json!({ "brokers": { "replicas": 3, "storage": { "size": "1Gi" }, "pod": overrides } })
}

#[test]
fn what_is_not_said_has_a_default() {
    let cluster = valid(three(json!({})));
    assert_eq!(cluster.image, "registry:5000/barnabas:0.1.0");
    assert_eq!(cluster.version(), "0.1.0");
    assert_eq!(cluster.image_pull_policy, ImagePullPolicy::IfNotPresent);
    assert_eq!(cluster.controllers, Quorum::Combined(3));
    assert_eq!(cluster.rack_label.as_deref(), Some("topology.kubernetes.io/zone"));
    assert_eq!(cluster.internal_bootstrap(), "orders-bootstrap.shop.svc.cluster.local:9092");
    assert_eq!(cluster.host(1), "orders-broker-1.orders-nodes.shop.svc.cluster.local");
    assert_eq!((cluster.owner.controller, cluster.owner.block_owner_deletion), (Some(true), Some(true)));
    assert_eq!(cluster.owner.uid, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    assert_eq!(cluster.warnings, [""; 0]);
}

#[test]
fn the_number_of_replicas_follows_the_number_of_brokers() {
    for (brokers, factor, in_sync) in [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (9, "3", "2")] {
        let spec =
            json!({ "brokers": { "replicas": brokers, "storage": {"size": "1Gi"} }, "controllers": { "replicas": 1 } });
        let cluster = valid(spec);
        assert_eq!(cluster.static_config["default.replication.factor"], factor);
        assert_eq!(cluster.static_config["offsets.topic.replication.factor"], factor);
        assert_eq!(cluster.dynamic_config["min.insync.replicas"], in_sync);
    }
    let fewer = valid(config("default.replication.factor", json!(2)));
    assert_eq!(fewer.dynamic_config["min.insync.replicas"], "1");
}

#[test]
fn more_replicas_than_brokers_are_refused() {
    assert_refused(
        config("default.replication.factor", json!(4)),
        "spec.config[default.replication.factor]: 4 is above brokers.replicas, which is 3",
    );
    assert_refused(
        config("offsets.topic.replication.factor", json!("4")),
        "spec.config[offsets.topic.replication.factor]: 4 is above brokers.replicas, which is 3",
    );
    assert_refused(
        config("min.insync.replicas", json!(4)),
        "spec.config[min.insync.replicas]: 4 is above default.replication.factor, which is 3",
    );
    assert_eq!(valid(config("min.insync.replicas", json!(3))).dynamic_config["min.insync.replicas"], "3");
}

#[test]
fn what_can_change_while_brokers_run_is_in_no_file() {
    let spec = three(json!({ "config": {
        "log.retention.ms": 60000, "num.partitions": "6", "auto.create.topics.enable": false, "log.retention.hours": 24
    } }));
    let cluster = valid(spec);
    assert_eq!(cluster.dynamic_config.keys().collect::<Vec<_>>(), ["log.retention.ms", "min.insync.replicas"]);
    assert_eq!(cluster.dynamic_config["log.retention.ms"], "60000");
    assert_eq!(cluster.static_config["num.partitions"], "6");
    assert_eq!(cluster.static_config["auto.create.topics.enable"], "false");
    assert_eq!(cluster.static_config["log.retention.hours"], "24");
}

#[test]
fn unknown_settings_are_refused_with_what_was_meant() {
    assert_refused(
        config("num.partition", json!(3)),
        "spec.config[num.partition]: Apache Kafka has no setting of this name; did you mean num.partitions?",
    );
    assert_refused(
        config("zookeeper.connect", json!("a:1")),
        "spec.config[zookeeper.connect]: Apache Kafka has no setting of this name",
    );
    assert_refused(
        config("retention.ms", json!(1)),
        "spec.config[retention.ms]: this is a setting of topics; for all topics of a cluster it is log.retention.ms",
    );
}

#[test]
fn settings_without_an_effect_are_accepted_and_said() {
    let cluster = valid(three(json!({ "config": { "num.io.threads": 8, "authorizer.class.name": "x" } })));
    assert_eq!(cluster.static_config["num.io.threads"], "8");
    assert_eq!(cluster.warnings.len(), 2, "{:?}", cluster.warnings);
    assert!(cluster.warnings[0].starts_with("authorizer.class.name has no effect: this broker serves everybody"));
    assert!(cluster.warnings[1].starts_with("num.io.threads has no effect"));
}

#[test]
fn what_the_broker_says_of_a_whole_configuration_is_a_warning() {
    let cluster = valid(config("broker.heartbeat.interval.ms", json!(1000)));
    assert!(cluster.warnings[0].starts_with("broker.session.timeout.ms is 4500"), "{:?}", cluster.warnings);
}

#[test]
fn what_the_operator_decides_is_refused() {
    let reserved = [
        "node.id",
        "broker.id",
        "process.roles",
        "controller.quorum.voters",
        "controller.quorum.bootstrap.servers",
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "inter.broker.listener.name",
        "controller.listener.names",
        "log.dirs",
        "log.dir",
        "metadata.log.dir",
        "broker.rack",
        "cluster.id",
        "metrics.listener",
        "admin.listener",
        "config.providers",
        "config.providers.env.class",
    ];
    for name in reserved {
        assert_refused(config(name, json!("1")), &format!("spec.config[{name}]: this is decided by the operator: "));
    }
    let text = &faults(config("listeners", json!("PLAINTEXT://:1")))[0];
    assert!(text.ends_with("set spec.listeners instead"), "{text}");
}

#[test]
fn only_one_setting_says_when_records_are_synced() {
    let interval = json!({ "log.flush.interval.messages": 100 });
    let alone = valid(three(json!({ "config": interval })));
    assert_eq!(alone.dynamic_config["log.flush.interval.messages"], "100");
    let both = three(json!({ "config": interval, "durability": { "fsyncBeforeAck": true } }));
    assert_refused(both, "spec.config[log.flush.interval.messages]: this is decided by the operator: spec.durability");
}

#[test]
fn wrong_values_are_refused_in_kafkas_words() {
    assert_refused(
        config("num.partitions", json!(0)),
        "spec.config[num.partitions]: Invalid value 0 for configuration num.partitions: Value must be at least 1",
    );
    assert_refused(
        config("log.retention.ms", json!("x")),
        "spec.config[log.retention.ms]: Invalid value x for configuration log.retention.ms: Not a number of type LONG",
    );
    assert_refused(
        config("default.replication.factor", json!(0)),
        "spec.config[default.replication.factor]: Invalid value 0 for configuration default.replication.factor",
    );
    assert_eq!(valid(config("num.partitions", json!(" 7 "))).static_config["num.partitions"], "7");
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    let lags = json!({ "log.cleaner.min.compaction.lag.ms": 10, "log.cleaner.max.compaction.lag.ms": 5 });
    assert_refused(three(json!({ "config": lags })), "spec.config: conflict topic config setting");
    let sessions = json!({ "group.min.session.timeout.ms": 10, "group.max.session.timeout.ms": 5 });
    assert_refused(three(json!({ "config": sessions })), "spec.config: group.min.session.timeout.ms (10)");
}

#[test]
fn a_value_is_a_single_one() {
    for value in [json!([1]), json!({ "a": 1 }), json!(null)] {
        let text = format!("spec.config[num.partitions]: {value} is no text, number, true or false");
        assert_refused(config("num.partitions", value), &text);
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let spec = three(
        json!({ "config": { "num.partition": 1, "node.id": 1, "num.partitions": "x" }, "image": "a", "version": "b" }),
    );
    assert_eq!(faults(spec).len(), 4);
}

#[test]
fn an_image_or_a_version_of_the_operators_own() {
    assert_eq!(valid(three(json!({ "image": "mine@sha256:12" }))).image, "mine@sha256:12");
    assert_eq!(valid(three(json!({ "image": "mine@sha256:12" }))).version(), "sha256:12");
    let cluster = valid(three(json!({ "version": "0.2.0" })));
    assert_eq!((cluster.image.as_str(), cluster.version()), ("registry:5000/barnabas:0.2.0", "0.2.0"));
    assert_refused(
        three(json!({ "image": "mine:1", "version": "2" })),
        "spec.version: 2 is for the operator's own image",
    );
    let repositories = [("a", "a"), ("a:1", "a"), ("h:5/a", "h:5/a"), ("h:5/a:1", "h:5/a"), ("a:1@sha256:2", "a")];
    repositories.iter().for_each(|(image, expected)| assert_eq!(repository(image), *expected));
}

#[test]
fn controllers_are_some_of_the_brokers_or_have_volumes() {
    let two = json!({ "brokers": { "replicas": 2, "storage": { "size": "1Gi" } } });
    assert_refused(
        two,
        "spec.controllers.replicas: 3 brokers are the controllers, and brokers.replicas is 2: at least 3",
    );
    assert_refused(three(json!({ "controllers": { "mode": "Dedicated" } })), "spec.controllers.storage");
    let controllers = json!({ "mode": "Dedicated", "replicas": 5, "storage": { "size": "2Gi" } });
    let cluster = valid(three(json!({ "controllers": controllers })));
    assert_eq!(cluster.voters(), 1000..1005);
}

#[test]
fn load_balancers_have_a_name_each() {
    let listener = |host: &str| json!({ "external": { "type": "LoadBalancer", "advertisedHost": host } });
    let text = "spec.listeners.external.advertisedHost: kafka.example.com would be the same address for all brokers";
    assert_refused(three(json!({ "listeners": listener("kafka.example.com") })), text);
    assert!(valid(three(json!({ "listeners": listener("b{id}.example.com") }))).external.is_some());
    let text = "spec.listeners.external.advertisedHost: Invalid value";
    assert_refused(three(json!({ "listeners": listener("b{id} example") })), text);
    let ports = json!({ "external": { "type": "NodePort", "advertisedHost": "kafka.example.com" } });
    assert!(valid(three(json!({ "listeners": ports }))).external.is_some());
}

#[test]
fn no_racks_where_the_label_is_empty() {
    let spec = json!({ "brokers": { "storage": { "size": "1Gi" }, "rackTopologyKey": "" } });
    assert_eq!(valid(spec).rack_label, None);
}

#[test]
fn labels_and_annotations_of_the_operator_are_its_own() {
    let mine = valid(pod(json!({ "labels": { "team": "a" }, "annotations": { "note": "b" } })));
    assert_eq!(mine.brokers.pod.labels["team"], "a");
    let text = "spec.brokers.pod.labels[barnabas.dev/cluster]: the operator writes this one itself";
    assert_refused(pod(json!({ "labels": { "barnabas.dev/cluster": "x" } })), text);
    let text = "spec.brokers.pod.annotations[prometheus.io/port]: the operator writes this one itself";
    assert_refused(pod(json!({ "annotations": { "prometheus.io/port": "1" } })), text);
    let own = with(
        pod(json!({ "annotations": { "prometheus.io/port": "1" } })),
        json!({ "metrics": { "scrapeAnnotations": false } }),
    );
    assert_eq!(valid(own).brokers.pod.annotations["prometheus.io/port"], "1");
}

#[test]
fn parts_of_a_pod_are_read_as_kubernetes_reads_them() {
    let cluster = valid(pod(json!({
        "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
            { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "a": "b" } } }
        ] } },
        "tolerations": [{ "key": "a", "operator": "Exists", "tolerationSeconds": 5 }],
        "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" }],
        "securityContext": { "runAsUser": 7, "sysctls": [] },
        "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }, { "name": "B", "value": null }],
        "volumes": [{ "name": "scratch", "emptyDir": {} }, { "name": "more", "emptyDir": { "sizeLimit": "1Gi" } }],
        "volumeMounts": [{ "name": "scratch", "mountPath": "/scratch" }],
    })));
    let pod = cluster.brokers.pod;
    assert!(pod.affinity.unwrap().pod_anti_affinity.is_some());
    assert_eq!(pod.tolerations[0].toleration_seconds, Some(5));
    assert_eq!(pod.topology_spread_constraints[0].max_skew, 1);
    assert_eq!(pod.security_context.unwrap().run_as_user, Some(7));
    assert_eq!((pod.env.len(), pod.volumes.len(), pod.volume_mounts.len()), (2, 2, 1));
}

#[test]
fn what_kubernetes_would_not_understand_is_refused_with_its_place() {
    let cases = [
        (json!({ "tolerations": [{}, { "tolerationSeconds": "x" }] }), "spec.brokers.pod.tolerations[1]: "),
        (json!({ "affinity": { "podAntiAfinity": {} } }), "spec.brokers.pod.affinity.podAntiAfinity: "),
        (
            json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{}, { "expressions": [] }]
            } } } }),
            "spec.brokers.pod.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[1].expressions: ",
        ),
        (
            json!({ "topologySpreadConstraints": [{ "maxSkew": "x" }] }),
            "spec.brokers.pod.topologySpreadConstraints[0]: ",
        ),
        (json!({ "securityContext": { "runAsUser": true } }), "spec.brokers.pod.securityContext: "),
        (json!({ "env": [{ "name": "A", "val": "x" }] }), "spec.brokers.pod.env[0].val: "),
        (json!({ "volumes": [{ "name": "a", "emptydir": {} }] }), "spec.brokers.pod.volumes[0].emptydir: "),
    ];
    for (overrides, start) in cases {
        assert_refused(pod(overrides), start);
    }
    let controllers = json!({
        "mode": "Dedicated", "storage": { "size": "1Gi" }, "pod": { "tolerations": [{ "effekt": "x" }] }
    });
    assert_refused(three(json!({ "controllers": controllers })), "spec.controllers.pod.tolerations[0].effekt: ");
}

#[test]
fn names_in_a_pod_are_different_from_one_another_and_from_the_operators() {
    let cases = [
        (
            json!({ "env": [{ "name": "NODE_ID", "value": "1" }] }),
            "spec.brokers.pod.env[0].name: NODE_ID is the operator's own",
        ),
        (json!({ "env": [{ "name": "A" }, { "name": "A" }] }), "spec.brokers.pod.env[1].name: A is there twice"),
        (json!({ "env": [{ "value": "1" }] }), "spec.brokers.pod.env[0].name: it is missing"),
        (json!({ "volumes": [{ "name": "data" }] }), "spec.brokers.pod.volumes[0].name: data is the operator's own"),
        (
            json!({ "volumes": [{ "name": "a" }, { "name": "a" }] }),
            "spec.brokers.pod.volumes[1].name: a is there twice",
        ),
        (
            json!({ "volumeMounts": [{ "name": "b", "mountPath": "/b" }] }),
            "spec.brokers.pod.volumeMounts[0].name: 'b' is none of the volumes",
        ),
        (
            json!({ "volumes": [{ "name": "a" }], "volumeMounts": [{ "name": "a", "mountPath": "/var/lib/barnabas/data/" }] }),
            "spec.brokers.pod.volumeMounts[0].mountPath: /var/lib/barnabas/data is the operator's own",
        ),
    ];
    for (overrides, start) in cases {
        assert_refused(pod(overrides), start);
    }
}

#[test]
fn a_resource_that_was_not_read_from_kubernetes_has_no_owner_to_give() {
    let mut cluster = resource(three(json!({})));
    cluster.metadata.uid = None;
    let invalid = validate(&cluster, &defaults()).unwrap_err();
    assert_eq!(invalid[0].field, "metadata.uid");
}
