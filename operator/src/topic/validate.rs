//! What is wanted of a topic, checked as the brokers would.

use super::verdict::{Refusal, reason};
use crate::cluster::plan::THROTTLED;
use crate::cluster::validate::nearest::nearest;
use crate::crd::ConfigValue;
use barnabas::config::{ConfigError, Settings, topic};
use std::collections::BTreeMap;

/// The configuration of a topic as the brokers would write it. `cluster` is what is set for the brokers.
/// Errors: `InvalidConfig`, which names the key.
pub fn config(
    wanted: &BTreeMap<String, ConfigValue>,
    cluster: impl FnOnce() -> Settings,
) -> Result<BTreeMap<String, String>, Refusal> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let values = wanted.iter().map(|(name, value)| Ok((name.clone(), normal(name, value)?)));
    let values = values.collect::<Result<BTreeMap<String, String>, Refusal>>()?;
    topic::validate_all(&cluster(), &values).map_err(|error| refused(error.to_string()))?;
    Ok(values)
}

/// The settings of the brokers, as far as topics inherit them: what the resource of the cluster says, and over it what was
/// changed while they run. What no broker would take has no effect.
pub fn settings(config: &BTreeMap<String, ConfigValue>, dynamic: BTreeMap<String, String>) -> Settings {
    let given = config.iter().filter_map(|(name, value)| Some((name.clone(), value.text()?)));
    Settings::from_given(&given.collect()).unwrap_or_default().with_dynamic(&dynamic, &BTreeMap::new())
}

fn normal(name: &str, value: &ConfigValue) -> Result<String, Refusal> {
    if THROTTLED.contains(&name) {
        return Err(refused(format!(
            "{name} is set while replicas move, and cannot be set here: spec.rebalance.throttleBytesPerSecond of the \
             KafkaCluster limits moves"
        )));
    }
    let Some(setting) = topic::all().find(|setting| setting.name == name) else {
        return Err(refused(unknown(name)));
    };
    let text = value.text().ok_or_else(|| refused(format!("{name}: text, a number, true or false is wanted here")))?;
    setting.normalize(&text).map_err(|error| {
        let why = match error {
            ConfigError::InvalidValue { reason, .. } => reason,
            other => other.to_string(),
        };
        refused(format!("{name}: {text} is not allowed: {why} (accepted: {})", setting.accepts()))
    })
}

/// Whether two values of a configuration mean the same to the brokers.
pub fn same(name: &str, normal: &str, stored: &str) -> bool {
    let setting = topic::all().find(|setting| setting.name == name);
    normal == stored || setting.is_some_and(|setting| setting.normalize(stored).is_ok_and(|stored| stored == normal))
}

fn unknown(name: &str) -> String {
    let known = topic::all().filter(|setting| !setting.internal).map(|setting| setting.name);
    match nearest(name, known) {
        Some(nearest) => format!("{name} is no configuration of a topic; did you mean {nearest}?"),
        None => format!("{name} is no configuration of a topic"),
    }
}

fn refused(message: String) -> Refusal {
    Refusal { reason: reason::INVALID_CONFIG, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(values: Value) -> Result<BTreeMap<String, String>, String> {
        let values: BTreeMap<String, ConfigValue> = serde_json::from_value(values).unwrap();
        config(&values, Settings::default).map_err(|refusal| {
            assert_eq!(refusal.reason, "InvalidConfig");
            refusal.message
        })
    }

    #[test]
    fn values_are_written_as_the_brokers_write_them() {
        let values = json!({"retention.ms": 1000, "preallocate": true, "cleanup.policy": "compact, delete",
            "min.cleanable.dirty.ratio": 1, "segment.bytes": " 01048576 "});
        let normal = checked(values).unwrap();
        let expected = [
            ("cleanup.policy", "compact,delete"),
            ("min.cleanable.dirty.ratio", "1.0"),
            ("preallocate", "true"),
            ("retention.ms", "1000"),
            ("segment.bytes", "1048576"),
        ];
        assert_eq!(normal, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_the_brokers_would_refuse_is_refused_by_name() {
        for (values, message) in [
            (json!({"retention.msx": 1}), "retention.msx is no configuration of a topic; did you mean retention.ms?"),
            (json!({"retentionms": 1}), "did you mean retention.ms?"),
            (json!({"bogus": 1}), "bogus is no configuration of a topic"),
            (json!({"retention.ms": "week"}), "retention.ms: week is not allowed: Not a number of type LONG"),
            (json!({"retention.ms": "1_000"}), "retention.ms: 1_000 is not allowed"),
            (json!({"min.insync.replicas": 0}), "min.insync.replicas: 0 is not allowed: Value must be at least 1"),
            (json!({"cleanup.policy": ["compact"]}), "cleanup.policy: text, a number, true or false is wanted here"),
            (json!({"retention.ms": null}), "retention.ms: text, a number"),
            (json!({"min.compaction.lag.ms": 2, "max.compaction.lag.ms": 1}), "min.compaction.lag.ms (2) > max"),
            (json!({"leader.replication.throttled.replicas": "*"}), "set while replicas move"),
        ] {
            let refusal = checked(values).unwrap_err();
            assert!(refusal.contains(message), "{refusal}");
        }
    }

    #[test]
    fn the_same_number_is_the_same_however_it_was_stored() {
        assert!(same("retention.ms", "1000", " 01000"));
        assert!(!same("retention.ms", "1000", "1001"));
        assert!(!same("retention.ms", "1000", "x"));
        assert!(same("of.later.brokers", "x", "x"));
    }

    #[test]
    fn what_is_set_for_the_brokers_takes_part_in_the_check() {
        let cluster = BTreeMap::from([("log.cleaner.max.compaction.lag.ms".to_owned(), ConfigValue(json!(5)))]);
        let topic = BTreeMap::from([("min.compaction.lag.ms".to_owned(), ConfigValue(json!(6)))]);
        assert!(config(&topic, Settings::default).is_ok());
        assert!(config(&topic, || settings(&cluster, BTreeMap::new())).is_err());
    }
}
