//! The values of a broker's settings, in the layers in which Kafka looks them up (KIP-226).

use std::collections::BTreeMap;

use super::setting::{Key, Setting, Update, Value};
use super::{ConfigError, broker};

/// Where a value comes from: the numbers of DescribeConfigs (`DescribeConfigsResponse.ConfigSource`), the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
}

/// Values by name, normalized.
pub type Values = BTreeMap<String, String>;

/// The values of every setting of one broker. A value that is stored has been checked, so reading one never fails.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    given: Values,
    for_all_brokers: Values,
    for_this_broker: Values,
}

impl Settings {
    /// The values of a properties file and of the command line. Names outside the table are left out: the caller has
    /// warned about them. Errors: `InvalidValue`.
    pub fn from_given(given: &BTreeMap<String, String>) -> Result<Settings, ConfigError> {
        let known = given.iter().filter_map(|(name, value)| Some((broker::find(name)?, value)));
        let given = known
            .map(|(setting, value)| {
                let normal = setting.normalize(value).map_err(|error| error.with_accepted(setting))?;
                Ok((setting.name.to_owned(), normal))
            })
            .collect::<Result<_, ConfigError>>()?;
        Ok(Settings { given, ..Settings::default() })
    }

    /// These settings with what was changed while the cluster ran, for all brokers and for this one. Names outside the
    /// table, and those that cannot change, have no effect.
    pub fn with_dynamic(&self, for_all_brokers: &Values, for_this_broker: &Values) -> Settings {
        let effective = |values: &Values| {
            let dynamic = values.iter().filter_map(|(name, value)| Some((dynamic(name)?, value)));
            dynamic
                .filter_map(|(setting, value)| Some((setting.name.to_owned(), setting.normalize(value).ok()?)))
                .collect()
        };
        Settings {
            given: self.given.clone(),
            for_all_brokers: effective(for_all_brokers),
            for_this_broker: effective(for_this_broker),
        }
    }

    /// Makes `value` the one that the broker was started with.
    pub(super) fn settle<T>(&mut self, key: Key<T>, value: impl ToString) {
        self.given.insert(key.name().to_owned(), value.to_string());
    }

    pub fn get<T: Value>(&self, key: Key<T>) -> T {
        T::read(self.text(key.setting)).expect("values are checked when they are stored")
    }

    /// Whether someone chose the value.
    pub fn is_given(&self, setting: &Setting) -> bool {
        self.chosen(setting.name).next().is_some()
    }

    /// The value in effect. `None`: not set, and without a default.
    pub fn text(&self, setting: &Setting) -> Option<&str> {
        self.chosen(setting.name).next().map(|(_, value)| value).or(setting.default)
    }

    /// Each value that the setting or a synonym of it has in some layer, with the name it has there: the one in effect
    /// first, the default last. Synonyms in front of the setting's own first value are left out, as in Kafka
    /// (`DynamicBrokerConfig.brokerConfigSynonyms`).
    pub fn values(&self, setting: &'static Setting) -> Vec<(&'static str, String, Source)> {
        let synonyms = broker::synonyms(setting).into_iter();
        let mut values: Vec<_> = synonyms.flat_map(|synonym| self.layers(synonym)).collect();
        values.sort_by_key(|(_, _, source)| *source as i8);
        values.into_iter().skip_while(|(name, _, _)| *name != setting.name).collect()
    }

    fn layers(&self, setting: &'static Setting) -> impl Iterator<Item = (&'static str, String, Source)> {
        let default = setting.default.map(|default| (Source::Default, default));
        let layers = self.chosen(setting.name).chain(default);
        layers.map(|(source, value)| (setting.name, value.to_owned(), source))
    }

    fn chosen(&self, name: &str) -> impl Iterator<Item = (Source, &str)> {
        let layers = [
            (Source::DynamicBroker, &self.for_this_broker),
            (Source::DynamicDefaultBroker, &self.for_all_brokers),
            (Source::StaticBroker, &self.given),
        ];
        layers.into_iter().filter_map(move |(source, layer)| Some((source, layer.get(name)?.as_str())))
    }
}

fn dynamic(name: &str) -> Option<&'static Setting> {
    broker::find(name).filter(|setting| setting.update != Update::ReadOnly)
}

/// Whether a broker's setting may be given this value while it runs; a name that nobody knows is stored and has no effect,
/// as in Kafka. Errors: `ReadOnly`, `InvalidValue`.
pub fn validate_dynamic(name: &str, value: &str) -> Result<(), ConfigError> {
    match broker::find(name) {
        Some(setting) if setting.update == Update::ReadOnly => Err(ConfigError::ReadOnly(name.to_owned())),
        Some(setting) => setting.normalize(value).map(drop),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[(&str, &str)]) -> Values {
        of.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn this_brokers_value_wins_over_all_brokers_over_the_file_over_the_default() {
        let setting = broker::MESSAGE_MAX_BYTES.setting;
        let file = Settings::from_given(&values(&[("message.max.bytes", " 10 ")])).unwrap();
        assert_eq!(Settings::default().text(setting), Some("1048588"));
        assert_eq!(file.text(setting), Some("10"));
        let both = file.with_dynamic(&values(&[("message.max.bytes", "20")]), &values(&[("message.max.bytes", "30")]));
        let layers: Vec<_> = both.values(setting).into_iter().map(|(_, value, source)| (source, value)).collect();
        let expected = [
            (Source::DynamicBroker, "30"),
            (Source::DynamicDefaultBroker, "20"),
            (Source::StaticBroker, "10"),
            (Source::Default, "1048588"),
        ];
        assert_eq!(layers, expected.map(|(source, value)| (source, value.to_owned())));
        assert_eq!(both.get(broker::MESSAGE_MAX_BYTES), 30);
    }

    #[test]
    fn what_cannot_change_while_running_is_not_changed() {
        assert_eq!(
            validate_dynamic("num.partitions", "3").unwrap_err().to_string(),
            "Cannot update these configs dynamically: Set(num.partitions)"
        );
        assert_eq!(
            validate_dynamic("log.retention.ms", "x").unwrap_err().to_string(),
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG"
        );
        assert!(validate_dynamic("log.retention.ms", "3").is_ok());
        let settings = Settings::default().with_dynamic(&values(&[("num.partitions", "9")]), &Values::new());
        assert_eq!(settings.get(broker::NUM_PARTITIONS), 1);
    }
}
