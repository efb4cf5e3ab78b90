//! Changing configurations. The checks, their order and their texts are Kafka's.

use super::image::{Configs, ResourceType};
use super::request::*;
use super::state::{Controller, Records};
use super::topic_name;
use super::topics::{config_record, finish, repeated};
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata_records::ClearElrRecord;
use std::collections::BTreeSet;

/// The feature of eligible leader replicas (KIP-966).
pub(super) const ELR_VERSION: &str = "eligible.leader.replicas.version";
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl Controller {
    pub(super) fn alter_configs(&self, request: AlterConfigs) -> (Vec<Outcome<()>>, Records) {
        let mut records = Records::new();
        let resources = request.resources.iter().map(|altered| (altered.resource, altered.name.as_str()));
        let repeated = repeated(resources);
        let outcomes = request
            .resources
            .iter()
            .map(|altered| {
                if repeated.contains(&(altered.resource, altered.name.as_str())) {
                    let text = "Each resource must appear at most once.";
                    return Err(Refusal::new(ErrorCode::InvalidRequest, text));
                }
                records.extend(self.alter_resource(altered)?);
                Ok(())
            })
            .collect();
        finish(outcomes, records, request.validate_only)
    }

    fn alter_resource(&self, altered: &AlteredResource) -> Outcome<Records> {
        let old = self.image.configs.of(altered.resource, &altered.name);
        let new = match &altered.change {
            ConfigChange::Replace(new) => new.clone(),
            ConfigChange::Alter(operations) => self.operate(altered, old, operations)?,
        };
        self.check_resource(altered.resource, &altered.name)?;
        let changed: Vec<&str> =
            new.iter().filter(|(name, value)| old.get(*name) != Some(value)).map(|(name, _)| name.as_str()).collect();
        self.rules.check(altered.resource, &altered.name, &new, &changed)?;
        let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.as_str(), None));
        let set = changed.iter().map(|name| (*name, new.get(*name).map(String::as_str)));
        let changes: Vec<(&str, Option<&str>)> = gone.chain(set).collect();
        self.check_elr(altered, &changes)?;
        let mut records: Records =
            changes.iter().map(|(name, value)| config_record(altered.resource, &altered.name, name, *value)).collect();
        records.extend(self.clear_elr(altered, &changes));
        Ok(records)
    }

    /// What `operations` make of the `old` configuration.
    fn operate(
        &self,
        altered: &AlteredResource,
        old: &Configs,
        operations: &[(String, ConfigOperation)],
    ) -> Outcome<Configs> {
        let mut names = BTreeSet::new();
        let mut new = old.clone();
        for (name, operation) in operations {
            if !names.insert(name) {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
            }
            match operation {
                ConfigOperation::Set(value) => new.insert(name.clone(), value.clone()),
                ConfigOperation::Delete => new.remove(name),
                ConfigOperation::Append(value) => {
                    let list = self.list(altered.resource, name, old, "APPEND")?;
                    let added = elements(value).filter(|element| !list.iter().any(|old| old == element));
                    let added: Vec<&str> = added.collect();
                    let joined: Vec<&str> = list.iter().map(String::as_str).chain(added).collect();
                    new.insert(name.clone(), joined.join(","))
                }
                ConfigOperation::Subtract(value) => {
                    let mut list = self.list(altered.resource, name, old, "SUBTRACT")?;
                    list.retain(|old| !elements(value).any(|element| element == old));
                    new.insert(name.clone(), list.join(","))
                }
            };
        }
        Ok(new)
    }

    /// The elements of a list property as it is now.
    fn list(&self, resource: ResourceType, name: &str, old: &Configs, operation: &str) -> Outcome<Vec<String>> {
        let Some(default) = self.rules.list_default(resource, name) else {
            let text = format!("Can't {operation} to key {name} because its type is not LIST.");
            return Err(Refusal::new(ErrorCode::InvalidConfig, text));
        };
        let value = old.get(name).unwrap_or(&default);
        Ok(elements(value).map(str::to_owned).collect())
    }

    fn check_resource(&self, resource: ResourceType, name: &str) -> Outcome<()> {
        let no_default = |what: &str| {
            Err(Refusal::new(ErrorCode::InvalidRequest, format!("Default {what} resources are not allowed.")))
        };
        match (resource, name) {
            (ResourceType::Topic, "") => no_default("topic"),
            (ResourceType::Group, "") => no_default("group"),
            (ResourceType::ClientMetrics, "") => no_default("client metrics"),
            (ResourceType::Broker, "") | (ResourceType::Group | ResourceType::ClientMetrics, _) => Ok(()),
            (ResourceType::Topic, name) => self.check_topic_resource(name),
            (ResourceType::Broker, name) => self.check_broker_resource(name),
        }
    }

    fn check_topic_resource(&self, name: &str) -> Outcome<()> {
        topic_name::validate(name).map_err(|text| Refusal::new(ErrorCode::InvalidTopicException, text))?;
        if self.image.topics.id_of(name).is_none() {
            let text = format!("The topic '{name}' does not exist.");
            return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, text));
        }
        Ok(())
    }

    fn check_broker_resource(&self, name: &str) -> Outcome<()> {
        let unknown = |text| Err(Refusal::new(ErrorCode::InvalidRequest, text));
        match name.parse::<i32>() {
            Ok(id) if self.image.brokers.contains_key(&id) => Ok(()),
            Ok(id) => unknown(format!("Broker {id} is not registered.")),
            Err(_) => unknown(format!("Node id must be an integer, but it is: {name}")),
        }
    }

    /// With eligible leader replicas the smallest ISR is the same for the whole cluster or a topic, and always known.
    fn check_elr(&self, altered: &AlteredResource, changes: &[(&str, Option<&str>)]) -> Outcome<()> {
        let change = changes.iter().find(|(name, _)| *name == MIN_INSYNC_REPLICAS);
        let (Some((_, value)), ResourceType::Broker, true) = (change, altered.resource, self.elr_enabled()) else {
            return Ok(());
        };
        let refused = |text| Err(Refusal::new(ErrorCode::InvalidConfig, text));
        match (altered.name.as_str(), value) {
            ("", None) => refused("Cluster-level min.insync.replicas cannot be removed while ELR is enabled."),
            ("", Some(_)) => Ok(()),
            _ => refused("Broker-level min.insync.replicas cannot be altered while ELR is enabled."),
        }
    }

    /// Which replicas were eligible under another smallest ISR says nothing any more.
    fn clear_elr(&self, altered: &AlteredResource, changes: &[(&str, Option<&str>)]) -> Option<ClearElr> {
        let concerned = changes.iter().any(|(name, _)| *name == MIN_INSYNC_REPLICAS);
        let topic_name = if altered.resource == ResourceType::Topic { altered.name.clone() } else { String::new() };
        (concerned && self.elr_enabled()).then(|| ClearElrRecord { topic_name: topic_name.into() }.into())
    }
}

type ClearElr = super::records::MetadataRecord<'static>;

/// The elements of a list as Kafka writes it, without the spaces around them.
fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}
