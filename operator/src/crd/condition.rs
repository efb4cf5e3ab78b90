//! Conditions of a status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One aspect of the state of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about: Ready, Progressing or Degraded.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// Why, in one word for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Since when it is so.
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: Time,
    /// The generation of the resource that it was said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { ConditionStatus::True } else { ConditionStatus::False }
    }
}

/// What is so, before it is known since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub type_: &'static str,
    pub status: ConditionStatus,
    pub reason: &'static str,
    pub message: String,
}

/// The conditions that say `findings`, each with the time at which its status became what it is.
pub fn conditions(findings: Vec<Finding>, before: &[Condition], generation: Option<i64>, now: &Time) -> Vec<Condition> {
    let condition = |finding: Finding| {
        let known = before.iter().find(|known| known.type_ == finding.type_ && known.status == finding.status);
        Condition {
            type_: finding.type_.to_owned(),
            status: finding.status,
            reason: finding.reason.to_owned(),
            message: finding.message,
            last_transition_time: known.map_or(now, |known| &known.last_transition_time).clone(),
            observed_generation: generation,
        }
    };
    findings.into_iter().map(condition).collect()
}

/// The condition of this type, where there is one.
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}
