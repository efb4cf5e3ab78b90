//! The ServiceAccount of the pods. It has no rights, and its token is not given to them.

use super::valid::ValidCluster;
use super::{labels, names};
use k8s_openapi::api::core::v1::ServiceAccount;

pub fn service_account(cluster: &ValidCluster) -> ServiceAccount {
    ServiceAccount {
        metadata: labels::meta(cluster, names::service_account(&cluster.name), None),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
