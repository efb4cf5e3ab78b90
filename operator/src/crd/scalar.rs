//! Values that people write as a number or as text.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// An amount as Kubernetes writes it: `500m`, `2`, `10Gi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Value")]
pub struct Quantity(pub String);

impl From<Value> for Quantity {
    fn from(value: Value) -> Self {
        Quantity(text(&value))
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Quantity(text.to_owned())
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No pattern: where an amount is used, a rule refuses what is none, in words.
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
        })
    }
}

/// Reads a map, of which a server-side apply leaves a null when its last entry is taken away.
pub fn null_is_empty<'de, D, M>(from: D) -> Result<M, D::Error>
where
    D: Deserializer<'de>,
    M: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The value of a Kafka configuration: text, a number or a truth value, all the same to Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigValue(pub Value);

impl ConfigValue {
    /// As Kafka reads it. `None` for what is no single value: a list, an object, null.
    pub fn text(&self) -> Option<String> {
        match &self.0 {
            Value::Array(_) | Value::Object(_) | Value::Null => None,
            single => Some(text(single)),
        }
    }
}

impl From<&str> for ConfigValue {
    fn from(text: &str) -> Self {
        ConfigValue(text.into())
    }
}

impl JsonSchema for ConfigValue {
    fn schema_name() -> Cow<'static, str> {
        "ConfigValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No schema of Kubernetes says "a number, text or a truth value". But the bounds of lists and objects hold for these
        // alone: what has something in it is refused, an empty one becomes a condition.
        json_schema!({
            "description": "Text, a number, true or false.",
            "x-kubernetes-preserve-unknown-fields": true,
            "maxItems": 0,
            "maxProperties": 0,
        })
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
