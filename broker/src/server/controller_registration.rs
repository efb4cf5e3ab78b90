//! A controller makes itself known in the metadata, so that tools find all of them (KIP-919).

use crate::controller::request::RegisterController;
use crate::controller::{ControllerClient, MetadataImage};
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Registers until the metadata has this process, and again whenever they have another of this id.
pub async fn keep(client: Arc<ControllerClient>, registration: RegisterController) {
    let is_known = |image: &MetadataImage| {
        image.controllers.get(&registration.id).is_some_and(|known| known.incarnation == registration.incarnation)
    };
    loop {
        client.leader_known().await;
        client.applied(|image| !is_known(image)).await;
        match client.register_controller(registration.clone()).await.and_then(|outcome| outcome) {
            Ok(()) => drop(client.applied(is_known).await),
            Err(refusal) => {
                debug!(%refusal, "not registered as a controller yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
