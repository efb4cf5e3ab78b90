//! ListConfigResources: the names of everything that has settings (KIP-1142).
//!
//! Behaviour:
//! - Topics, brokers and their loggers are listed whether anything was set for them or not; groups and client metrics only
//!   if something was.
//! - A type that Kafka does not list: UNSUPPORTED_VERSION, with no names at all.
//!
//! Version notes: v0 lists client metrics only (it was ListClientMetricsResources, KIP-714).

use super::Context;
use crate::controller::image::{MetadataImage, ResourceType};
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

/// The loggers of a broker are no resources of the metadata, yet they are listed.
const BROKER_LOGGER: i8 = 8;

pub fn handle(
    image: &MetadataImage,
    context: &Context<'_>,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse<'static> {
    let all = [
        ResourceType::Topic.code(),
        ResourceType::Broker.code(),
        BROKER_LOGGER,
        ResourceType::ClientMetrics.code(),
        ResourceType::Group.code(),
    ];
    let types = match (context.version, request.resource_types.as_slice()) {
        (0, _) => vec![ResourceType::ClientMetrics.code()],
        (_, []) => all.to_vec(),
        (_, asked) => asked.to_vec(),
    };
    if types.iter().any(|code| !all.contains(code)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() };
    }
    let config_resources = types.into_iter().flat_map(|code| resources(image, code)).collect();
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}

fn resources(image: &MetadataImage, code: i8) -> Vec<ConfigResource<'static>> {
    let named = |name: String| ConfigResource { resource_name: name.into(), resource_type: code };
    match ResourceType::from_code(code) {
        Some(ResourceType::Topic) => image.topics.iter().map(|topic| named(topic.name.to_string())).collect(),
        Some(ResourceType::Broker) | None => image.live_brokers().map(|broker| named(broker.id.to_string())).collect(),
        Some(kind) => image.configs.resources(kind).map(|(name, _)| named(name.to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::delta::ImageDelta;
    use crate::controller::records::MetadataRecord;
    use crate::protocol::messages::metadata_records::{ConfigRecord, RegisterBrokerRecord, TopicRecord};
    use std::net::{IpAddr, Ipv4Addr};

    /// One broker, one topic, and client metrics "m" with an interval.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        let records: [MetadataRecord<'_>; 3] = [
            RegisterBrokerRecord { broker_id: 1, fenced: false, ..Default::default() }.into(),
            TopicRecord { name: "orders".into(), ..Default::default() }.into(),
            ConfigRecord {
                resource_type: 16,
                resource_name: "m".into(),
                name: "interval.ms".into(),
                value: Some("1000".into()),
            }
            .into(),
        ];
        records.iter().for_each(|record| image.replay(record, &mut ImageDelta::default()).unwrap());
        image
    }

    fn list(version: i16, resource_types: &[i8]) -> (i16, Vec<(i8, String)>) {
        let client_host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let context =
            Context { version, client_id: "test", client_host, listener: "PLAINTEXT", now: 0, is_forwarded: false };
        let request = ListConfigResourcesRequest { resource_types: resource_types.to_vec() };
        let response = handle(&image(), &context, request);
        let named = |one: ConfigResource<'_>| (one.resource_type, one.resource_name.into_owned());
        (response.error_code, response.config_resources.into_iter().map(named).collect())
    }

    fn named(names: &[(i8, &str)]) -> Vec<(i8, String)> {
        names.iter().map(|(code, name)| (*code, name.to_string())).collect()
    }

    #[test]
    fn all_types_are_listed_unless_some_are_asked_for() {
        assert_eq!(list(1, &[]), (0, named(&[(2, "orders"), (4, "1"), (8, "1"), (16, "m")])));
        assert_eq!(list(1, &[4]), (0, named(&[(4, "1")])));
        assert_eq!(list(1, &[32]), (0, Vec::new()));
    }

    #[test]
    fn version_0_lists_client_metrics_only() {
        assert_eq!(list(0, &[]), (0, named(&[(16, "m")])));
    }

    #[test]
    fn an_unknown_type_is_an_unsupported_version() {
        assert_eq!(list(1, &[2, 99]), (ErrorCode::UnsupportedVersion.code(), Vec::new()));
    }
}
