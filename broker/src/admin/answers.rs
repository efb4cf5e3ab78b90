//! Errors, as the service's statuses.

use crate::controller::request::Refusal;
use crate::controller::{ControllerClient, MetadataImage};
use crate::protocol::ErrorCode;
use tonic::{Code, Status};

const LIST_MAX: u32 = 10_000;
const LIST_DEFAULT: u32 = 100;

/// How long a list may be. Errors: INVALID_ARGUMENT, more was asked for than is allowed.
pub fn list_max(asked: u32) -> Result<usize, Status> {
    match asked {
        0 => Ok(LIST_DEFAULT as usize),
        1..=LIST_MAX => Ok(asked as usize),
        _ => Err(Status::invalid_argument(format!("list_max is {asked}; allowed: 1 to {LIST_MAX}, or 0 for 100"))),
    }
}

/// Says who the active controller is, if it is not this node.
pub fn not_active(controller: &ControllerClient) -> Status {
    let leader = match controller.leader().leader {
        Some(leader) if leader.0 != controller.node_id() => leader,
        Some(_) => return Status::unavailable("this node has just become the active controller; ask again"),
        None => return Status::unavailable("no controller is active: the quorum is electing one, or lacks a majority"),
    };
    let address = controller.border().voters.get(&leader).map(|at| format!("{}:{}", at.host, at.port));
    let at = address.as_deref().map_or_else(String::new, |address| format!(" at {address}"));
    let node = controller.node_id();
    let text = format!("node {node} is not the active controller; ask node {leader}{at}");
    let mut status = Status::failed_precondition(text);
    let metadata = status.metadata_mut();
    metadata.insert("barnabas-active-controller", leader.0.into());
    if let Some(address) = address.and_then(|address| address.parse().ok()) {
        metadata.insert("barnabas-active-controller-address", address);
    }
    status
}

/// That no broker has this id, and which there are.
pub fn no_broker(id: i32, image: &MetadataImage) -> Status {
    let known: Vec<String> = image.brokers.keys().map(ToString::to_string).collect();
    Status::not_found(format!("no broker has the id {id}; registered: {}", known.join(", ")))
}

/// Why the controller refused.
pub fn refused(controller: &ControllerClient, refusal: &Refusal) -> Status {
    let code = match refusal.code {
        ErrorCode::NotController => return not_active(controller),
        ErrorCode::BrokerIdNotRegistered => Code::NotFound,
        // The broker has registered itself anew meanwhile.
        ErrorCode::StaleBrokerEpoch => Code::NotFound,
        ErrorCode::KafkaStorageError => Code::Unavailable,
        _ => Code::Internal,
    };
    Status::new(code, refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_bound_that_is_told() {
        assert_eq!((list_max(0).unwrap(), list_max(1).unwrap(), list_max(10_000).unwrap()), (100, 1, 10_000));
        let refused = list_max(10_001).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("1 to 10000"), "{refused}");
    }
}
