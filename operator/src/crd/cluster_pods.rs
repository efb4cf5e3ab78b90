//! What a `KafkaCluster` says of pods and their volumes.

use super::scalar::{Quantity, null_is_empty};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// CPU and memory, as of a container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(validation = Rule::new("!has(self.requests) || self.requests.all(name, isQuantity(string(self.requests[name])) && !quantity(string(self.requests[name])).isLessThan(quantity('0')))").message("resources.requests: amounts are written like 500m, 2 or 1Gi").field_path(".requests"))]
#[x_kube(validation = Rule::new("!has(self.limits) || self.limits.all(name, isQuantity(string(self.limits[name])) && !quantity(string(self.limits[name])).isLessThan(quantity('0')))").message("resources.limits: amounts are written like 500m, 2 or 1Gi").field_path(".limits"))]
#[x_kube(validation = Rule::new("!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || !isQuantity(string(self.requests[name])) || !isQuantity(string(self.limits[name])) || !quantity(string(self.requests[name])).isGreaterThan(quantity(string(self.limits[name]))))").message("resources.requests must not be above resources.limits").field_path(".requests"))]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside, by name (cpu, memory).
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub requests: BTreeMap<String, Quantity>,
    /// What is not to be exceeded, by name (cpu, memory).
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub limits: BTreeMap<String, Quantity>,
}

/// A volume.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(validation = Rule::new("isQuantity(string(self.size))").message("storage.size: an amount like 10Gi, 500G or 1.5Ti").field_path(".size"))]
#[x_kube(validation = Rule::new("!isQuantity(string(self.size)) || !quantity(string(self.size)).isLessThan(quantity('100Mi'))").message("storage.size must be at least 100Mi: the logs and the metadata do not fit into less").field_path(".size"))]
#[x_kube(validation = Rule::new("!isQuantity(string(self.size)) || !isQuantity(string(oldSelf.size)) || !quantity(string(self.size)).isLessThan(quantity(string(oldSelf.size)))").message("storage.size cannot shrink: volumes only grow").field_path(".size"))]
#[x_kube(validation = Rule::new("has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)").message("storage.className cannot change: volumes stay in the class in which they were made").field_path(".className"))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Its size, 100Mi or more. May grow, if the storage class allows it; never shrinks.
    pub size: Quantity,
    /// Its StorageClass. Default: that of the Kubernetes cluster. Fixed at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Storage { size: "10Gi".into(), class_name: None }
    }
}

/// What is changed of the pods that the operator makes. Objects are written as in a Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodOverrides {
    /// More labels. Those of the operator stay.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub node_selector: BTreeMap<String, String>,
    /// In place of the operator's own affinity, which spreads the pods over nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "embedded")]
    pub affinity: Option<Value>,
    /// Taints of nodes that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub tolerations: Vec<Value>,
    /// In place of the operator's own constraints, which spread the pods over racks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub topology_spread_constraints: Vec<Value>,
    /// In place of the operator's own security context of the pod (not root, the volume belongs to its group).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "embedded")]
    pub security_context: Option<Value>,
    /// More environment variables of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub env: Vec<Value>,
    /// More volumes of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub volumes: Vec<Value>,
    /// Where those volumes are in the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "embedded_list")]
    pub volume_mounts: Vec<Value>,
    /// The name of a PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// The name of a ServiceAccount in the namespace. Default: one without any rights, made by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The name of another scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Seconds for a stop in order: leaders move away, logs are closed whole. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub termination_grace_period_seconds: Option<i64>,
}

fn embedded(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn embedded_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}
