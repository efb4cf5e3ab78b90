//! The tables of settings, as the controller asks about them.

use crate::config::setting::{Kind, Setting};
use crate::config::topic::TopicSettings;
use crate::config::{ConfigError, Settings, Source, broker, topic, validate_dynamic};
use crate::controller::image::{Configs, ConfigsImage, ResourceType};
use crate::controller::request::{Outcome, Refusal};
use crate::controller::rules::{ConfigRules, EffectiveConfig};
use crate::protocol::ErrorCode;

pub struct Rules {
    pub broker_id: i32,
    /// What this broker was started with.
    pub settings: Settings,
}

impl Rules {
    fn with_dynamic(&self, configs: &ConfigsImage) -> Settings {
        self.settings.with_dynamic(configs.default_broker(), configs.broker(self.broker_id))
    }
}

impl ConfigRules for Rules {
    fn check(&self, resource: ResourceType, _: &str, configs: &Configs, _: &[&str]) -> Outcome<()> {
        let refused = |code| move |error: ConfigError| Refusal::new(code, error.to_string());
        match resource {
            ResourceType::Topic => {
                topic::validate_all(&self.settings, configs).map_err(refused(ErrorCode::InvalidConfig))
            }
            ResourceType::Broker => configs
                .iter()
                .try_for_each(|(name, value)| validate_dynamic(name, value))
                .map_err(refused(ErrorCode::InvalidRequest)),
            ResourceType::ClientMetrics | ResourceType::Group => {
                let text = format!("{} resources have no settings here.", resource.name());
                Err(Refusal::new(ErrorCode::InvalidRequest, text))
            }
        }
    }

    fn list_default(&self, resource: ResourceType, property: &str) -> Option<String> {
        let list = |setting: &&Setting| setting.name == property && setting.kind == Kind::List;
        match resource {
            ResourceType::Topic => {
                let topic = topic::all().find(list)?;
                TopicSettings::new(&self.settings, &Configs::new()).text(topic)
            }
            ResourceType::Broker => self.settings.text(broker::all().find(list)?).map(str::to_owned),
            ResourceType::ClientMetrics | ResourceType::Group => None,
        }
    }

    fn effective_topic_configs(&self, configs: &ConfigsImage, own: &Configs) -> Vec<EffectiveConfig> {
        let settings = self.with_dynamic(configs);
        let of_topic = TopicSettings::new(&settings, own);
        let shown = topic::all().filter(|setting| !setting.internal || own.contains_key(setting.name));
        let effective = |setting: &'static Setting| EffectiveConfig {
            name: setting.name,
            value: of_topic.text(setting),
            source: of_topic.values(setting).first().map_or(Source::Default, |(_, _, source)| *source) as i8,
            is_sensitive: false,
        };
        shown.map(effective).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { broker_id: 1, settings: Settings::default() }
    }

    fn configs(of: &[(&str, &str)]) -> Configs {
        of.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn refusal(resource: ResourceType, of: &[(&str, &str)]) -> Refusal {
        rules().check(resource, "x", &configs(of), &[]).unwrap_err()
    }

    #[test]
    fn wrong_values_have_kafkas_codes_and_texts() {
        let topic = refusal(ResourceType::Topic, &[("retention.ms", "-2")]);
        let text = "Invalid value -2 for configuration retention.ms: Value must be at least -1";
        assert_eq!(topic, Refusal::new(ErrorCode::InvalidConfig, text));
        let broker = refusal(ResourceType::Broker, &[("node.id", "5")]);
        let text = "Cannot update these configs dynamically: Set(node.id)";
        assert_eq!(broker, Refusal::new(ErrorCode::InvalidRequest, text));
        assert!(rules().check(ResourceType::Broker, "", &configs(&[("message.max.bytes", "5")]), &[]).is_ok());
        assert_eq!(refusal(ResourceType::Group, &[]).code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn only_lists_have_elements() {
        let list = |resource, name| rules().list_default(resource, name);
        assert_eq!(list(ResourceType::Topic, "cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(list(ResourceType::Broker, "log.cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(list(ResourceType::Topic, "retention.ms"), None);
    }

    #[test]
    fn a_new_topic_is_shown_what_is_in_effect_for_it() {
        let effective = rules().effective_topic_configs(&ConfigsImage::default(), &configs(&[("retention.ms", "5")]));
        let find = |name: &str| effective.iter().find(|one| one.name == name);
        let retention = find("retention.ms").unwrap();
        assert_eq!((retention.value.as_deref(), retention.source), (Some("5"), Source::Topic as i8));
        let segment = find("segment.bytes").unwrap();
        assert_eq!((segment.value.as_deref(), segment.source), (Some("1073741824"), Source::Default as i8));
        assert_eq!(find("internal.segment.bytes"), None);
    }
}
