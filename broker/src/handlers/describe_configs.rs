//! DescribeConfigs: the settings of topics and of this broker, with where each value comes from.
//!
//! Behaviour:
//! - A topic's value comes from itself, from what was changed for this broker or for all, from the file, or is the default,
//!   in this order; the synonyms list the values of all of these places, under the name they have there.
//! - The broker "" stands for all brokers: only what was changed for all of them is described.
//! - Only settings that have an effect are described: those of Apache Kafka that mean nothing here are not.
//! - A broker can describe only itself. Groups, client metrics and loggers have no settings here: INVALID_REQUEST.
//!
//! Version notes: v3 has types and documentation (KIP-569).

use crate::config::setting::{Setting, Update};
use crate::config::topic::TopicSettings;
use crate::config::{Settings, Source, broker, topic};
use crate::controller::image::{MetadataImage, ResourceType};
use crate::controller::request::Refusal;
use crate::controller::topic_name;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};

/// What this broker was started with.
#[derive(Clone, Copy)]
pub struct Broker<'a> {
    pub id: i32,
    pub settings: &'a Settings,
}

pub fn handle(
    image: &MetadataImage,
    broker: Broker<'_>,
    request: DescribeConfigsRequest<'_>,
) -> DescribeConfigsResponse<'static> {
    let dynamic = (image.configs.default_broker(), image.configs.broker(broker.id));
    let settings = broker.settings.with_dynamic(dynamic.0, dynamic.1);
    let describer = Describer { image, broker_id: broker.id, settings: &settings, request: &request };
    let results = request.resources.iter().map(|resource| describer.result(resource)).collect();
    DescribeConfigsResponse { results, ..Default::default() }
}

struct Describer<'a> {
    image: &'a MetadataImage,
    broker_id: i32,
    /// With what was changed since the start.
    settings: &'a Settings,
    request: &'a DescribeConfigsRequest<'a>,
}

/// A setting's values, the one in effect first, each with its name and place.
type Layers = Vec<(&'static str, String, Source)>;

impl Describer<'_> {
    fn result(&self, resource: &DescribeConfigsResource<'_>) -> DescribeConfigsResult<'static> {
        let (refusal, configs) = match self.describe(resource) {
            Ok(configs) => (ErrorCode::None.into(), configs),
            Err(refusal) => (refusal, Vec::new()),
        };
        DescribeConfigsResult {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message.unwrap_or_default().into()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.to_string().into(),
            configs,
        }
    }

    fn describe(
        &self,
        resource: &DescribeConfigsResource<'_>,
    ) -> Result<Vec<DescribeConfigsResourceResult<'static>>, Refusal> {
        let name = &*resource.resource_name;
        let described = match ResourceType::from_code(resource.resource_type) {
            Some(ResourceType::Topic) => self.topic(name)?,
            Some(ResourceType::Broker) if name.is_empty() => self.all_brokers(),
            Some(ResourceType::Broker) => self.this_broker(name)?,
            _ => {
                let text = format!("Unsupported resource type: {}", resource.resource_type);
                return Err(Refusal::new(ErrorCode::InvalidRequest, text));
            }
        };
        // No keys at all mean every key, whether the list is null or empty.
        let keys = resource.configuration_keys.as_deref().unwrap_or_default();
        let asked_for = |name: &str| keys.is_empty() || keys.iter().any(|key| key == name);
        Ok(described.into_iter().filter(|config| asked_for(&config.name)).collect())
    }

    fn topic(&self, name: &str) -> Result<Vec<DescribeConfigsResourceResult<'static>>, Refusal> {
        topic_name::validate(name).map_err(|text| Refusal::new(ErrorCode::InvalidTopicException, text))?;
        if self.image.topics.id_of(name).is_none() {
            return Err(ErrorCode::UnknownTopicOrPartition.into());
        }
        let of_topic = TopicSettings::new(self.settings, self.image.configs.topic(name));
        let shown = topic::all().filter(|setting| !setting.internal);
        Ok(shown.map(|setting| self.config(setting, of_topic.text(setting), of_topic.values(setting), false)).collect())
    }

    fn this_broker(&self, name: &str) -> Result<Vec<DescribeConfigsResourceResult<'static>>, Refusal> {
        let refused = |text| Refusal::new(ErrorCode::InvalidRequest, text);
        let id: i32 = name.parse().map_err(|_| refused(format!("Broker id must be an integer, but it is: {name}")))?;
        if id != self.broker_id {
            let ours = self.broker_id;
            return Err(refused(format!("Unexpected broker id, expected {ours} or empty string, but received {name}")));
        }
        let shown = broker::all().filter(|setting| !setting.internal);
        Ok(shown.map(|setting| self.of_broker(setting, self.settings.values(setting))).collect())
    }

    /// What was changed for all brokers at once.
    fn all_brokers(&self) -> Vec<DescribeConfigsResourceResult<'static>> {
        let for_all = |(_, _, source): &(&str, String, Source)| *source == Source::DynamicDefaultBroker;
        let changed =
            broker::all().map(|setting| (setting, self.settings.values(setting).into_iter().filter(for_all).collect()));
        let changed = changed.filter(|(_, layers): &(_, Layers)| !layers.is_empty());
        changed
            .map(|(setting, layers)| {
                self.config(setting, layers.first().map(|(_, value, _)| value.clone()), layers, false)
            })
            .collect()
    }

    fn of_broker(&self, setting: &'static Setting, layers: Layers) -> DescribeConfigsResourceResult<'static> {
        let value = self.settings.text(setting).map(str::to_owned);
        self.config(setting, value, layers, setting.update == Update::ReadOnly)
    }

    fn config(
        &self,
        setting: &'static Setting,
        value: Option<String>,
        layers: Layers,
        read_only: bool,
    ) -> DescribeConfigsResourceResult<'static> {
        let config_source = layers.first().map_or(Source::Default, |(_, _, source)| *source) as i8;
        let synonyms = layers.into_iter().filter(|_| self.request.include_synonyms);
        DescribeConfigsResourceResult {
            name: setting.name.into(),
            value: value.map(Into::into),
            read_only,
            config_source,
            is_sensitive: false,
            synonyms: synonyms.map(synonym).collect(),
            config_type: setting.kind.code(),
            documentation: self.request.include_documentation.then(|| setting.doc().into()),
        }
    }
}

fn synonym((name, value, source): (&'static str, String, Source)) -> DescribeConfigsSynonym<'static> {
    DescribeConfigsSynonym { name: name.into(), value: Some(value.into()), source: source as i8 }
}

#[cfg(test)]
mod tests;
