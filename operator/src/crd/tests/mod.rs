//! What the definitions say, and what is refused by them without a server.
//!
//! - `cases`: the resources in `testdata/`, which the end-to-end tests apply to a real server too.
//! - `definitions`: the shape of the schemas.
//! - `refusals`: each case against schema and rules.
//! - `structural`: the part of a schema's meaning that these tests need, in the words of Kubernetes.

mod cases;
mod definitions;
mod refusals;
mod structural;

use super::definition::definitions;
use serde_json::Value;

/// The schemas, each with the kind that it is of.
fn schemas() -> Vec<(String, Value)> {
    let schema =
        |definition: &serde_json::Value| definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    let kind =
        |definition: &serde_json::Value| definition["spec"]["names"]["kind"].as_str().expect("a kind").to_owned();
    let definitions = definitions().map(|(_, definition)| serde_json::to_value(definition).expect("a definition"));
    definitions.iter().map(|definition| (kind(definition), schema(definition))).collect()
}

/// Calls `visit` with each part of a schema and its path, parents first.
fn walk<'a>(path: &str, schema: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(values) = schema.get(part) {
            walk(&format!("{path}{suffix}"), values, visit);
        }
    }
}
