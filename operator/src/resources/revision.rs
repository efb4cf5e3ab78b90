//! A short text that is different when a process would be started in a different way.

use super::external::ExternalAddress;
use super::valid::{Role, ValidCluster};
use super::{ports, properties};
use crate::checksum::fnv1a;
use crate::crd::ExternalType;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde::Serialize;
use serde_json::Value;

/// The revision of the pods of a role: of their template, and of the properties that their nodes have alike. How many nodes
/// there are, where one of them is reached from outside, the racks, and what can be set while they run leave it as it is. (Below
/// three brokers their number says how many replicas topics have by default, which nodes read when they start.)
pub fn revision(cluster: &ValidCluster, role: Role, template: &PodTemplateSpec) -> String {
    // The first node stands for all; its address outside is nobody's.
    let properties = properties::of_node(cluster, role.first_id(), placeholder(cluster).as_ref());
    let mut text = String::new();
    canonical(&json(template), &mut text);
    canonical(&json(&properties), &mut text);
    format!("{:016x}", fnv1a(text.as_bytes()))
}

fn placeholder(cluster: &ValidCluster) -> Option<ExternalAddress> {
    let listener = cluster.external.as_ref()?;
    let host = (listener.type_ == ExternalType::LoadBalancer).then(String::new);
    Some(ExternalAddress { host, port: ports::EXTERNAL.number })
}

fn json(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("these types have text keys alone")
}

/// With sorted keys, so that the order in which a library writes fields restarts nothing.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            into.push('{');
            for key in keys {
                into.push_str(&Value::from(key.as_str()).to_string());
                into.push(':');
                canonical(&fields[key], into);
                into.push(',');
            }
            into.push('}');
        }
        Value::Array(elements) => {
            into.push('[');
            for element in elements {
                canonical(element, into);
                into.push(',');
            }
            into.push(']');
        }
        single => into.push_str(&single.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_fields_changes_nothing() {
        let text = |json: &str| {
            let mut text = String::new();
            canonical(&serde_json::from_str(json).unwrap(), &mut text);
            text
        };
        assert_eq!(text(r#"{"b":[1,{"d":null,"c":"x"}],"a":true}"#), r#"{"a":true,"b":[1,{"c":"x","d":null,},],}"#);
    }
}
