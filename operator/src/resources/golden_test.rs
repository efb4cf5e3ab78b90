//! Everything that two clusters are made of, as it was when somebody last looked at it: `UPDATE_GOLDEN=1` writes it anew.

use super::properties_test::cluster;
use super::*;
use serde::Serialize;
use std::path::Path;

fn text(resources: &Resources) -> String {
    let mut texts = vec![yaml(&resources.service_account)];
    texts.extend(resources.network_policy.iter().map(yaml));
    texts.extend(resources.services.iter().map(yaml));
    texts.extend(resources.config_maps.iter().map(yaml));
    texts.extend(resources.disruption_budgets.iter().map(yaml));
    texts.extend(resources.stateful_sets.iter().map(yaml));
    texts.join("---\n")
}

fn yaml<T: Serialize>(resource: &T) -> String {
    serde_yaml::to_string(resource).unwrap()
}

fn assert_golden(name: &str, resources: &Resources) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/resources/golden").join(name);
    let now = text(resources);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(before == now, "{name} is different: look at what UPDATE_GOLDEN=1 makes of it");
}

fn size(nodes: i32, storage: &str) -> Size {
    Size { nodes, replicas: nodes, storage: storage.into() }
}

fn inputs(brokers: Size, controllers: Size) -> Inputs {
    Inputs {
        brokers,
        controllers,
        external: BTreeMap::new(),
        racks: BTreeMap::from([("node-1".to_owned(), "a".to_owned()), ("node-2".to_owned(), String::new())]),
        brokers_unavailable_max: 1,
        controllers_unavailable_max: 1,
    }
}

const REST: &str = "
image: registry.example.com/barnabas:1.2.3
imagePullPolicy: Always
imagePullSecrets: [registry]
brokers:
  replicas: 4
  rackTopologyKey: example.com/rack
  storage: { size: 200Gi, className: fast }
  resources: { requests: { cpu: 500m, memory: 512Mi }, limits: { memory: 1Gi } }
  pod:
    labels: { team: shop }
    annotations: { example.com/note: hello }
    nodeSelector: { disk: nvme }
    tolerations: [{ key: dedicated, operator: Equal, value: kafka, effect: NoSchedule }]
    topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: example.com/rack
        whenUnsatisfiable: DoNotSchedule
        labelSelector: { matchLabels: { team: shop } }
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{ matchExpressions: [{ key: arch, operator: In, values: [amd64] }] }]
    securityContext: { runAsUser: 1000, fsGroup: 1000 }
    env: [{ name: BARNABAS_LOG, value: debug }]
    volumes: [{ name: extra, secret: { secretName: extra } }]
    volumeMounts: [{ name: extra, mountPath: /extra, readOnly: true }]
    priorityClassName: high
    serviceAccountName: mine
    schedulerName: other
    terminationGracePeriodSeconds: 120
controllers:
  mode: Dedicated
  replicas: 3
  storage: { size: 10Gi }
  resources: { requests: { memory: 64Mi } }
listeners:
  internal: { port: 19092 }
  external:
    type: LoadBalancer
    annotations: { external-dns.alpha.kubernetes.io/ttl: '60' }
    loadBalancerClass: example.com/lb
    loadBalancerSourceRanges: [10.0.0.0/8]
config:
  num.partitions: 6
  log.retention.hours: 24
  log.retention.bytes: 1000000000
  auto.create.topics.enable: false
durability: { fsyncBeforeAck: true }
metrics: { scrapeAnnotations: false }
deletionPolicy: Delete
";

#[test]
fn a_default_cluster_of_three() {
    let cluster = cluster("brokers: { storage: { size: 10Gi } }");
    assert_golden("default.yaml", &all(&cluster, &inputs(size(3, "10Gi"), size(0, "10Gi"))));
}

#[test]
fn a_cluster_with_everything() {
    let cluster = cluster(REST);
    let address = |id: i32| (id, ExternalAddress { host: Some(format!("lb-{id}.example.com")), port: 9094 });
    // The address of the fourth broker is not known yet, so it has no file; the volumes are still those of before.
    let external = (0..3).map(address).collect();
    let inputs = Inputs { external, brokers_unavailable_max: 2, ..inputs(size(4, "100Gi"), size(3, "10Gi")) };
    assert_golden("everything.yaml", &all(&cluster, &inputs));
}

#[test]
fn a_stopped_cluster_has_no_pods_and_all_its_files() {
    let cluster = cluster("{ brokers: { storage: { size: 10Gi } }, stopped: true }");
    let stopped = Size { replicas: 0, ..size(3, "10Gi") };
    let resources = all(&cluster, &inputs(stopped, size(0, "10Gi")));
    let replicas = |set: &StatefulSet| set.spec.as_ref().unwrap().replicas;
    assert_eq!(resources.stateful_sets.iter().map(replicas).collect::<Vec<_>>(), [Some(0)]);
    assert_eq!(resources.config_maps[0].data.as_ref().unwrap().len(), 3);
}

#[test]
fn a_cluster_without_racks_has_no_map_of_them() {
    let cluster = cluster("brokers: { storage: { size: 10Gi }, rackTopologyKey: '' }");
    let resources = all(&cluster, &inputs(size(3, "10Gi"), size(0, "10Gi")));
    assert_eq!(resources.config_maps.len(), 1);
    let text = text(&resources);
    assert!(!text.contains("racks") && !text.contains("--override") && !text.contains("topologySpreadConstraints"));
}

#[test]
fn everything_is_labelled_owned_and_in_the_namespace() {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    let resources = all(&cluster(REST), &inputs(size(4, "100Gi"), size(3, "10Gi")));
    let mut all: Vec<&ObjectMeta> = vec![&resources.service_account.metadata];
    all.extend(resources.network_policy.iter().map(|one| &one.metadata));
    all.extend(resources.services.iter().map(|one| &one.metadata));
    all.extend(resources.config_maps.iter().map(|one| &one.metadata));
    all.extend(resources.disruption_budgets.iter().map(|one| &one.metadata));
    all.extend(resources.stateful_sets.iter().map(|one| &one.metadata));
    assert_eq!(all.len(), 1 + 1 + 7 + 2 + 2 + 2);
    for meta in all {
        assert_eq!(meta.namespace.as_deref(), Some("shop"));
        assert_eq!(meta.labels.as_ref().unwrap()["barnabas.dev/cluster"], "orders");
        let owner = &meta.owner_references.as_ref().unwrap()[0];
        assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), Some(true)));
        assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("KafkaCluster", "orders"));
    }
}
