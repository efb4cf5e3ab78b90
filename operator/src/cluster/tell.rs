//! Tells people how a cluster is: its status, and an event for each condition that turned.

use super::{Error, Room, key};
use crate::crd::{Condition, ConditionStatus, KafkaCluster, KafkaClusterStatus, condition};
use crate::write;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use std::time::{Duration, Instant};

/// Between two writes of a status in which nothing but words and numbers have changed.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

impl Room {
    /// Writes a status that says something new, and tells people of what turned. When to look again.
    pub(super) async fn tell(&self, cluster: &KafkaCluster, status: KafkaClusterStatus) -> Result<Action, Error> {
        let key = key(cluster);
        let before = cluster.status.as_ref();
        let is_ready = condition(&status.conditions, "Ready").is_some_and(|it| it.status == ConditionStatus::True);
        // One that has gone meanwhile is not to be counted again.
        if self.context.clusters.get(&key.object_ref()).is_some() {
            self.context.metrics.cluster_ready(&key.namespace, &key.name, is_ready);
        }
        let turned = before.is_none_or(|before| reasons(&before.conditions) != reasons(&status.conditions));
        if !turned && before != Some(&status) {
            let last = self.told.lock().expect("no panic while held").get(&key).copied();
            if let Some(left) = last.and_then(|last| STATUS_PAUSE.checked_sub(last.elapsed())) {
                return Ok(Action::requeue(left));
            }
        }
        if before == Some(&status) {
            return Ok(Action::await_change());
        }
        self.told.lock().expect("no panic while held").insert(key, Instant::now());
        let written = self.within("writing the status", write::status(&self.context, cluster, before, &status)).await?;
        written.map_err(Error::Status)?;
        if turned {
            self.within("writing events", self.announce(cluster, before, &status)).await?;
        }
        Ok(Action::await_change())
    }

    /// Events for conditions that turned.
    async fn announce(&self, cluster: &KafkaCluster, before: Option<&KafkaClusterStatus>, now: &KafkaClusterStatus) {
        let was = |type_| before.and_then(|before| condition(&before.conditions, type_));
        let trouble = condition(&now.conditions, "Degraded").filter(|is| is.status == ConditionStatus::True);
        for (type_, event) in [("Ready", EventType::Normal), ("Degraded", EventType::Warning)] {
            let Some(is) = condition(&now.conditions, type_).filter(|is| is.status == ConditionStatus::True) else {
                continue;
            };
            // A cluster that serves although something is wrong gives that as its reason: it is said once.
            let is_said = type_ == "Ready" && trouble.is_some_and(|trouble| trouble.reason == is.reason);
            if is_said {
                continue;
            }
            if was(type_).is_none_or(|was| was.status != is.status || was.reason != is.reason) {
                self.context.tell(cluster, event, &is.reason, is.message.clone()).await;
            }
        }
    }
}

fn reasons(conditions: &[Condition]) -> Vec<(&str, ConditionStatus, &str)> {
    conditions.iter().map(|it| (it.type_.as_str(), it.status, it.reason.as_str())).collect()
}
