//! IncrementalAlterConfigs: changes single values of what is set for a resource (KIP-339).
//!
//! Behaviour: each resource is changed or refused for itself; one that is named twice is refused. A broker takes changes
//! of itself and of all brokers at once (the name ""). There are no loggers to set a level for.
//! Version notes: all versions mean the same.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::image::ResourceType;
use crate::controller::request::{AlterConfigs, AlteredResource, ConfigChange, ConfigOperation, Outcome, Refusal};
use crate::protocol::ErrorCode;
use crate::protocol::messages::incremental_alter_configs::*;

/// Kafka's number for the loggers of a broker (KIP-412).
const BROKER_LOGGER: i8 = 8;

pub async fn handle<'a>(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: IncrementalAlterConfigsRequest<'a>,
) -> IncrementalAlterConfigsResponse<'a> {
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
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

/// Has the controller change what could be understood; gives an outcome for each of `altered`.
pub(super) async fn alter(
    controller: &ControllerClient,
    altered: Vec<Outcome<AlteredResource>>,
    validate_only: bool,
) -> Vec<Outcome<()>> {
    let resources = altered.iter().filter_map(|altered| altered.clone().ok()).collect();
    let outcomes = controller.alter_configs(AlterConfigs { resources, validate_only }).await;
    let mut outcomes = outcomes.map(Vec::into_iter);
    let mut next = || outcomes.as_mut().map_err(|refusal| refusal.clone())?.next().expect("one outcome for each");
    altered.into_iter().map(|altered| altered.and_then(|_| next())).collect()
}

/// The type of a resource that may be changed here: a broker's by itself, or by the controller when it was handed on.
pub(super) fn resource_type(
    controller: &ControllerClient,
    context: &Context<'_>,
    code: i8,
    name: &str,
) -> Outcome<ResourceType> {
    let invalid = |text| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    match ResourceType::from_code(code) {
        None => invalid(format!("Unknown resource type {code}")),
        Some(ResourceType::Broker) if !name.is_empty() => match name.parse::<i32>() {
            Ok(id) if context.is_forwarded || id == controller.node_id() => Ok(ResourceType::Broker),
            Ok(id) => invalid(format!("Unexpected broker id, expected {}, but received {id}", controller.node_id())),
            Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
        },
        Some(resource) => Ok(resource),
    }
}

/// Errors: `INVALID_REQUEST` if anything has a null value where none may.
pub(super) fn null_values<'n>(nulls: impl Iterator<Item = &'n str>) -> Outcome<()> {
    let nulls: Vec<&str> = nulls.collect();
    if nulls.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::InvalidRequest, format!("Null value not supported for : {}", nulls.join(","))))
}

fn altered(
    controller: &ControllerClient,
    context: &Context<'_>,
    resource: &AlterConfigsResource<'_>,
) -> Outcome<AlteredResource> {
    if resource.resource_type == BROKER_LOGGER {
        let logger = resource.configs.first().map_or("", |config| &*config.name);
        return Err(Refusal::new(ErrorCode::InvalidConfig, format!("Logger {logger} does not exist!")));
    }
    let kind = resource_type(controller, context, resource.resource_type, &resource.resource_name)?;
    let nulls = resource.configs.iter().filter(|config| config.config_operation != DELETE && config.value.is_none());
    null_values(nulls.map(|config| &*config.name))?;
    let operations = resource.configs.iter().map(|config| Ok((config.name.to_string(), operation(config)?)));
    let change = ConfigChange::Alter(operations.collect::<Outcome<_>>()?);
    Ok(AlteredResource { resource: kind, name: resource.resource_name.to_string(), change })
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn operation(config: &AlterableConfig<'_>) -> Outcome<ConfigOperation> {
    let value = || config.value.as_deref().unwrap_or_default().to_owned();
    match config.config_operation {
        SET => Ok(ConfigOperation::Set(value())),
        DELETE => Ok(ConfigOperation::Delete),
        APPEND => Ok(ConfigOperation::Append(value())),
        SUBTRACT => Ok(ConfigOperation::Subtract(value())),
        unknown => Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown config operation {unknown}"))),
    }
}
