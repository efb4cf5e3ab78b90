//! The border between the nodes and the active controller: what they ask it as Kafka's messages, and back.
//! BrokerRegistration 0 to 4, BrokerHeartbeat 0 to 1, AlterPartition 2 to 3, AllocateProducerIds 0, AssignReplicasToDirs 0,
//! ControllerRegistration 0, CreateTopics 2 to 7 (Apache Kafka 4.1).
//!
//! - One file holds both directions of a message, so that what one node writes is what another reads.
//! - Parts of an answer that name what they are about are found by that, not by their place. A part that is missing is
//!   refused with UNKNOWN_SERVER_ERROR: whoever asked asks again.
//! - What comes in is not judged here, beyond what the controller is not told: that is the controller's business.

mod alter_partition;
mod broker_heartbeat;
mod create_topics;
mod directories;
mod producer_ids;
mod registration;

pub use alter_partition::{
    alter_partition_request, alter_partition_response, read_alter_partition, read_alter_partition_response,
};
pub use broker_heartbeat::{
    broker_heartbeat_request, broker_heartbeat_response, read_broker_heartbeat, read_broker_heartbeat_response,
};
pub use create_topics::{create_topics_request, read_create_topics, read_create_topics_response};
pub use directories::{
    assign_replicas_to_dirs_request, assign_replicas_to_dirs_response, read_assign_replicas_to_dirs,
    read_assign_replicas_to_dirs_response,
};
pub use producer_ids::{
    allocate_producer_ids_request, allocate_producer_ids_response, read_allocate_producer_ids_response,
};
pub use registration::{
    broker_registration_request, broker_registration_response, controller_registration_request,
    controller_registration_response, read_broker_registration, read_broker_registration_response,
    read_controller_registration, read_controller_registration_response,
};

use super::request::{Outcome, Refusal};
use crate::protocol::{ErrorCode, Str};

fn error_code<T>(outcome: &Outcome<T>) -> i16 {
    outcome.as_ref().err().map_or(0, |refusal| refusal.code.code())
}

fn error_message<T>(outcome: &Outcome<T>) -> Option<Str<'_>> {
    outcome.as_ref().err().and_then(|refusal| refusal.message.as_deref()).map(Str::Borrowed)
}

/// `Ok` where there was no error. A code that nobody knows here is as good as UNKNOWN_SERVER_ERROR.
fn outcome(code: i16, message: Option<&str>) -> Outcome<()> {
    match ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None => Ok(()),
        code => Err(Refusal { code, message: message.filter(|text| !text.is_empty()).map(str::to_owned) }),
    }
}

fn unanswered() -> Refusal {
    Refusal::new(ErrorCode::UnknownServerError, "The controller did not answer this part of the request.")
}

#[cfg(test)]
mod tests;
