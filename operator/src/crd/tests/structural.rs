//! The part of a schema's meaning that the cases need, in the words of Kubernetes.

use regex::Regex;
use serde_json::{Map, Value};

/// `value` without its nulls, as Kubernetes reads it where the schema has no `nullable`.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, field)| !field.is_null());
            Value::Object(kept.map(|(name, field)| (name.clone(), without_nulls(field))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Why the schema refuses `value`: nothing where it accepts it.
pub fn refusals(schema: &Value, value: &Value) -> Vec<String> {
    let mut refusals = match value {
        Value::Object(fields) => of_object(schema, fields),
        Value::Array(items) => of_list(schema, items),
        Value::String(text) => of_text(schema, text),
        Value::Number(number) => of_number(schema, number.as_f64().expect("a number")),
        _ => Vec::new(),
    };
    let known = schema["enum"].as_array();
    if known.is_some_and(|known| !known.contains(value)) {
        refusals.push(format!("Unsupported value: {value}"));
    }
    if !has_type(schema, value) {
        refusals.push(format!("must be of type {}", schema["type"].as_str().unwrap_or("integer,string")));
    }
    refusals
}

fn has_type(schema: &Value, value: &Value) -> bool {
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some(other) => panic!("a type that these tests do not know: {other}"),
        None if schema["x-kubernetes-int-or-string"] == true => value.is_i64() || value.is_string(),
        None => true,
    }
}

fn of_object(schema: &Value, fields: &Map<String, Value>) -> Vec<String> {
    let required = schema["required"].as_array().into_iter().flatten();
    let missing = required.filter(|name| !fields.contains_key(name.as_str().expect("a name")));
    let mut refusals: Vec<String> = missing.map(|name| format!("{name}: Required value")).collect();
    for (name, field) in fields {
        if let Some(part) = schema["properties"].get(name).or(schema.get("additionalProperties")) {
            refusals.extend(self::refusals(part, field).into_iter().map(|refusal| format!("{name}: {refusal}")));
        }
    }
    refusals.extend(too_many(schema, "maxProperties", fields.len()));
    refusals
}

fn of_list(schema: &Value, items: &[Value]) -> Vec<String> {
    let mut refusals: Vec<String> = items.iter().flat_map(|item| self::refusals(&schema["items"], item)).collect();
    refusals.extend(too_many(schema, "maxItems", items.len()));
    if let Some(min) = schema["minItems"].as_u64().filter(|min| (items.len() as u64) < *min) {
        refusals.push(format!("should have at least {min} items"));
    }
    let again = |(at, item): (usize, &Value)| items[..at].contains(item);
    if schema["x-kubernetes-list-type"] == "set" && items.iter().enumerate().any(again) {
        refusals.push("Duplicate value".to_owned());
    }
    refusals
}

fn too_many(schema: &Value, bound: &str, count: usize) -> Option<String> {
    let max = schema[bound].as_u64().filter(|max| count as u64 > *max)?;
    Some(format!("Too many: {count}: must have at most {max} items"))
}

fn of_text(schema: &Value, text: &str) -> Vec<String> {
    let mut refusals = Vec::new();
    let length = text.chars().count() as u64;
    if schema["maxLength"].as_u64().is_some_and(|max| length > max) {
        refusals.push("Too long".to_owned());
    }
    if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
        refusals.push(format!("should be at least {min} chars long"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).expect("a pattern").is_match(text)
    {
        refusals.push(format!("should match '{pattern}'"));
    }
    refusals
}

fn of_number(schema: &Value, number: f64) -> Vec<String> {
    let mut refusals = Vec::new();
    if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
        refusals.push(format!("should be greater than or equal to {min}"));
    }
    if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
        refusals.push(format!("should be less than or equal to {max}"));
    }
    refusals
}
