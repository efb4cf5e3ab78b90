//! The file `meta.properties` of a log directory, in version 1 (KIP-631, KIP-858). Pure: text in, text out.

use crate::protocol::Uuid;

/// Whose a log directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Uuid,
}

/// Why a file is no `meta.properties`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{key}={value} is not allowed: {allowed}")]
    Value { key: &'static str, value: String, allowed: &'static str },
}

impl MetaProperties {
    pub fn to_text(&self) -> String {
        let MetaProperties { cluster_id, node_id, directory_id } = self;
        format!("version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory_id}\n")
    }

    /// Reads Java's format of properties, as far as Kafka uses it here.
    /// Errors: a key that is missing, a value that is not allowed.
    pub fn parse(text: &str) -> Result<MetaProperties, MetaError> {
        let value_of = |key: &'static str| {
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
            let mut pairs = lines.filter_map(|line| line.split_once('='));
            pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().replace('\\', ""))
        };
        let required = |key| value_of(key).ok_or(MetaError::Missing(key));
        let version = required("version")?;
        if version != "1" {
            return Err(MetaError::Value { key: "version", value: version, allowed: "1" });
        }
        let (node_id, directory_id) = (required("node.id")?, required("directory.id")?);
        Ok(MetaProperties {
            cluster_id: required("cluster.id")?,
            node_id: node_id.parse().map_err(|_| not_allowed("node.id", &node_id, "a number from 0"))?,
            directory_id: Uuid::parse(&directory_id)
                .ok_or_else(|| not_allowed("directory.id", &directory_id, "16 bytes in URL-safe base64"))?,
        })
    }
}

fn not_allowed(key: &'static str, value: &str, allowed: &'static str) -> MetaError {
    MetaError::Value { key, value: value.to_owned(), allowed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafka_wrote_is_read() {
        let text = "#\n#Fri Nov 20 20:18:20 UTC 2026\nnode.id=1\ndirectory.id=erIx0-lUXyVlJ20QY0f7kg\nversion=1\ncluster.id=zT_3TB0RSiusIvtUU9FefQ\n";
        let meta = MetaProperties::parse(text).unwrap();
        assert_eq!((meta.node_id, meta.cluster_id.as_str()), (1, "zT_3TB0RSiusIvtUU9FefQ"));
        assert_eq!(meta.directory_id.to_string(), "erIx0-lUXyVlJ20QY0f7kg");
        assert_eq!(MetaProperties::parse(&meta.to_text()), Ok(meta));
    }

    #[test]
    fn a_missing_key_and_a_wrong_value_are_named() {
        assert_eq!(MetaProperties::parse("version=1\nnode.id=1\n"), Err(MetaError::Missing("directory.id")));
        let error = MetaProperties::parse("version=0\n").unwrap_err();
        assert_eq!(error.to_string(), "version=0 is not allowed: 1");
    }
}
