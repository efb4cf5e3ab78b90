//! What the controller asks about configurations, and does not know itself.

use super::image::{Configs, ConfigsImage, ResourceType};
use super::request::Outcome;

/// The properties that resources can be configured with.
pub trait ConfigRules: Send + Sync {
    /// Whether the resource `name` may be configured with `configs`, which is all that would be set for it; `changed` are
    /// the names of what is new in it.
    /// Errors: Kafka's code for this type of resource, and what is allowed.
    fn check(&self, resource: ResourceType, name: &str, configs: &Configs, changed: &[&str]) -> Outcome<()>;

    /// The elements of a list property where nothing is set; `None` where the property is not a list.
    fn list_default(&self, resource: ResourceType, property: &str) -> Option<String>;

    /// Every property of a topic that was configured with `own`, as it is in effect.
    fn effective_topic_configs(&self, configs: &ConfigsImage, own: &Configs) -> Vec<EffectiveConfig>;
}

/// A property in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveConfig {
    pub name: &'static str,
    pub value: Option<String>,
    /// Where the value comes from (`DescribeConfigsResponse.ConfigSource`).
    pub source: i8,
    pub is_sensitive: bool,
}
