//! Configurations that were set for a resource; what is not set has its default elsewhere.

use super::difference::difference;
use imbl::OrdMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one resource was configured with, by property name.
pub type Configs = BTreeMap<String, String>;

/// What a configuration belongs to (`org.apache.kafka.common.config.ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    Topic = 2,
    /// A broker by its id, or all brokers by the name "".
    Broker = 4,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    pub const ALL: [ResourceType; 4] =
        [ResourceType::Topic, ResourceType::Broker, ResourceType::ClientMetrics, ResourceType::Group];

    pub fn from_code(code: i8) -> Option<ResourceType> {
        ResourceType::ALL.into_iter().find(|resource| resource.code() == code)
    }

    pub fn code(self) -> i8 {
        self as i8
    }

    /// Kafka's name in capitals, as its messages show it.
    pub fn name(self) -> &'static str {
        match self {
            ResourceType::Topic => "TOPIC",
            ResourceType::Broker => "BROKER",
            ResourceType::ClientMetrics => "CLIENT_METRICS",
            ResourceType::Group => "GROUP",
        }
    }
}

/// The configurations of all resources that have any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigsImage {
    by_type: OrdMap<ResourceType, OrdMap<Arc<str>, Arc<Configs>>>,
}

static NOTHING_SET: Configs = Configs::new();

impl ConfigsImage {
    /// What was set for the resource: empty where nothing was.
    pub fn of(&self, resource: ResourceType, name: &str) -> &Configs {
        self.by_type.get(&resource).and_then(|resources| resources.get(name)).map_or(&NOTHING_SET, |configs| configs)
    }

    pub fn topic(&self, name: &str) -> &Configs {
        self.of(ResourceType::Topic, name)
    }

    /// What was set for one broker.
    pub fn broker(&self, id: i32) -> &Configs {
        self.of(ResourceType::Broker, &id.to_string())
    }

    /// What was set for all brokers at once (the resource ""), below what was set for one.
    pub fn default_broker(&self) -> &Configs {
        self.of(ResourceType::Broker, "")
    }

    /// The resources of a type that have any configuration, by name.
    pub fn resources(&self, resource: ResourceType) -> impl Iterator<Item = (&str, &Configs)> {
        let resources = self.by_type.get(&resource).into_iter();
        resources.flat_map(|resources| resources.iter().map(|(name, configs)| (&**name, &**configs)))
    }

    /// The resources of a type that are configured otherwise in `newer`, by name.
    pub fn differing(&self, newer: &ConfigsImage, resource: ResourceType) -> Vec<Arc<str>> {
        let of_type = |image: &ConfigsImage| image.by_type.get(&resource).cloned().unwrap_or_default();
        difference(&of_type(self), &of_type(newer)).map(|(name, _, _)| name.clone()).collect()
    }

    /// Sets a value, or removes it where `value` is `None`.
    pub(in crate::controller) fn set(&mut self, resource: ResourceType, name: &str, key: &str, value: Option<&str>) {
        let resources = self.by_type.entry(resource).or_default();
        let configs = Arc::make_mut(resources.entry(name.into()).or_default());
        match value {
            Some(value) => configs.insert(key.into(), value.into()),
            None => configs.remove(key),
        };
        if configs.is_empty() {
            self.clear(resource, name);
        }
    }

    /// Removes all that was set for the resource, and says whether there was anything.
    pub(in crate::controller) fn clear(&mut self, resource: ResourceType, name: &str) -> bool {
        let Some(resources) = self.by_type.get_mut(&resource) else { return false };
        let cleared = resources.remove(name).is_some();
        if resources.is_empty() {
            self.by_type.remove(&resource);
        }
        cleared
    }
}
