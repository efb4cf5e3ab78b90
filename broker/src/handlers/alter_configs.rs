//! AlterConfigs: replaces all that is set for a resource (KIP-133).
//!
//! Behaviour: each resource is changed or refused for itself; one that is named twice is refused. Deprecated in Kafka for
//! [`super::incremental_alter_configs`], which cannot undo somebody else's change unseen.
//! Version notes: all versions mean the same.

use super::Context;
use super::incremental_alter_configs::{alter, null_values, resource_type};
use crate::controller::client::ControllerClient;
use crate::controller::request::{AlteredResource, ConfigChange, Outcome, Refusal};
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_configs::*;
use std::collections::BTreeMap;

pub async fn handle<'a>(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: AlterConfigsRequest<'a>,
) -> AlterConfigsResponse<'a> {
    let altered = request.resources.iter().map(|resource| altered(controller, context, resource)).collect();
    let outcomes = alter(controller, altered, request.validate_only).await;
    let responses = request
        .resources
        .into_iter()
        .zip(outcomes)
        .map(|(resource, outcome)| {
            let refusal = outcome.err();
            AlterConfigsResourceResponse {
                error_code: refusal.as_ref().map_or(0, |refusal| refusal.code.code()),
                error_message: refusal.and_then(|refusal| refusal.message).map(Into::into),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
            }
        })
        .collect();
    AlterConfigsResponse { responses, ..Default::default() }
}

fn altered(
    controller: &ControllerClient,
    context: &Context<'_>,
    resource: &AlterConfigsResource<'_>,
) -> Outcome<AlteredResource> {
    let kind = resource_type(controller, context, resource.resource_type, &resource.resource_name)?;
    let nulls = resource.configs.iter().filter(|config| config.value.is_none());
    null_values(nulls.map(|config| &*config.name))?;
    let pairs = resource.configs.iter().filter_map(|config| Some((config.name.to_string(), config.value.as_deref()?)));
    let configs: BTreeMap<String, String> = pairs.map(|(name, value)| (name, value.to_owned())).collect();
    if configs.len() < resource.configs.len() {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "Error due to duplicate config keys"));
    }
    let name = resource.resource_name.to_string();
    Ok(AlteredResource { resource: kind, name, change: ConfigChange::Replace(configs) })
}
