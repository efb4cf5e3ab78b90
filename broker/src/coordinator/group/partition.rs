//! Java's hash of strings: which partition of `__consumer_offsets` a group lives in follows from it.

/// The partition of `group_id` among `partitions`: Kafka's `Utils.abs(groupId.hashCode()) % partitions`, with the hash of
/// a Java string. The smallest integer has no absolute value and counts as 0.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    java_hash(group_id).checked_abs().unwrap_or(0) % partitions
}

/// The place of `text` in a small `java.util.HashMap` (16 buckets), by which its keys are iterated.
pub(super) fn java_hash_bucket(text: &str) -> u32 {
    let hash = java_hash(text) as u32;
    (hash ^ hash >> 16) & 15
}

/// `java.lang.String.hashCode`: over UTF-16 units, wrapping.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(java_hash("größe 🚀"), 175_604_306);
    }

    #[test]
    fn a_hash_map_of_java_has_sticky_before_range() {
        assert!(java_hash_bucket("sticky") < java_hash_bucket("range"));
    }

    #[test]
    fn groups_are_spread_as_kafka_spreads_them() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("hello", 50), 22);
        // Below zero: the absolute value counts, not the bits without the sign.
        assert_eq!(java_hash("schema-registry"), -2_135_014_679);
        assert_eq!(partition_for("schema-registry", 50), 29);
    }
}
