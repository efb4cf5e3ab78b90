//! What a topic may be called (Kafka's `org.apache.kafka.common.internals.Topic`).

/// Bytes of a name at most: it is a directory's name with the partition behind it.
const LENGTH_MAX: usize = 249;

/// The topic that the metadata log would be, if it were one.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
pub const TRANSACTION_STATE: &str = "__transaction_state";
pub const SHARE_GROUP_STATE: &str = "__share_group_state";

/// Errors: what is wrong with `name`, in Kafka's words.
pub fn validate(name: &str) -> Result<(), String> {
    let invalid = |what: String| Err(format!("Topic name is invalid: {what}"));
    match name {
        "" => invalid("the empty string is not allowed".into()),
        "." | ".." => invalid(format!("'{name}' is not allowed")),
        name if name.len() > LENGTH_MAX => {
            invalid(format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}"))
        }
        name if !name.bytes().all(allowed) => invalid(format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )),
        _ => Ok(()),
    }
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether clients are kept from producing into the topic by hand, and their tools hide it.
pub fn is_internal(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS | TRANSACTION_STATE | SHARE_GROUP_STATE)
}

/// What metrics make of a name that has a '.' or '_': topics whose names become the same may not exist together. `None`
/// for a name that has neither.
pub fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ascii_without_separators() {
        for name in ["a", "A-1_b.c", "...", &"x".repeat(249)] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "ü", "a\0", &"x".repeat(250)] {
            assert!(validate(name).is_err(), "{name}");
        }
    }

    #[test]
    fn dots_and_underscores_look_alike_in_metrics() {
        assert_eq!(metric_name("a.b"), metric_name("a_b"));
        assert_eq!(metric_name("plain-name"), None);
    }
}
