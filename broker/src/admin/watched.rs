//! What the watchers see: the newest image, and the counts that go with it.

use super::proto::ClusterState;
use super::state;
use crate::controller::health::{Health, IsrDefaults};
use crate::controller::{ControllerClient, MetadataImage};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tonic::Status;

/// Between two messages to one watcher.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Watched {
    /// The image and its counts change together.
    now: Mutex<(MetadataImage, Health)>,
    changed: watch::Sender<()>,
}

impl Watched {
    /// Follows the metadata from now on.
    pub async fn follow(controller: &ControllerClient, defaults: IsrDefaults) -> Arc<Watched> {
        let now = Mutex::new((MetadataImage::default(), Health::new(defaults)));
        let watched = Arc::new(Watched { now, changed: watch::Sender::new(()) });
        let follower = watched.clone();
        let follow = move |old: &MetadataImage, new: &MetadataImage, delta: &_| {
            let mut now = follower.now.lock().expect("no panic while held");
            now.1.apply(old, new, delta);
            now.0 = new.clone();
            drop(now);
            follower.changed.send_replace(());
        };
        controller.subscribe(Box::new(follow)).await;
        watched
    }

    /// Tells `watcher` the state at first and after each change, until it has gone.
    pub async fn tell(
        self: Arc<Self>,
        controller: Arc<ControllerClient>,
        list_max: usize,
        watcher: mpsc::Sender<Result<ClusterState, Status>>,
    ) {
        let (mut changed, mut leader) = (self.changed.subscribe(), controller.watch_leader());
        let mut drained = controller.watch_drained();
        let mut told = None;
        loop {
            changed.mark_unchanged();
            let (leads, drains) = (*leader.borrow_and_update(), drained.borrow_and_update().clone());
            let state = {
                let now = self.now.lock().expect("no panic while held");
                state::cluster_state(&controller, leads, &now.0, &now.1, &drains, list_max)
            };
            // Before anything is applied there is nothing to tell: no broker would look like a cluster without brokers.
            if state.metadata_end_offset > 0 && told.as_ref() != Some(&state) {
                if watcher.send(Ok(state.clone())).await.is_err() {
                    return;
                }
                told = Some(state);
                tokio::time::sleep(PAUSE).await;
            }
            tokio::select! {
                _ = changed.changed() => {}
                // An error means that the node stops.
                _ = leader.changed() => {}
                _ = drained.changed() => {}
                () = watcher.closed() => return,
            }
        }
    }
}
