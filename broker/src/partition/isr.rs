//! Asks the controller for the ISR changes that leaders want, many in one request.

use super::broker::Broker;
use crate::controller::request::{AlterPartition, AlteredPartition, Outcome, Refusal};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The way to the active controller.
pub trait IsrChannel: Send + Sync + 'static {
    /// The epoch that this broker is registered with.
    fn broker_epoch(&self) -> i64;

    /// Asks for changes; the outcomes stand in their order. Errors: of the request as a whole.
    fn alter(&self, request: AlterPartition) -> BoxFuture<'_, Result<Vec<Outcome<AlteredPartition>>, Refusal>>;
}

/// Sends what leaders want, one request after the other, until it is dropped.
pub async fn keep_isrs(broker: Arc<Broker>, channel: Arc<dyn IsrChannel>) {
    const BACKOFF_MIN: Duration = Duration::from_millis(20);
    const BACKOFF_MAX: Duration = Duration::from_secs(1);
    let mut backoff = BACKOFF_MIN;
    loop {
        broker.isr_changes.asked().await;
        let asking = broker.isr_changes.take();
        let asked: Vec<_> =
            asking.into_iter().filter_map(|partition| Some((partition.take_isr_change()?, partition))).collect();
        if asked.is_empty() {
            continue;
        }
        let request = AlterPartition {
            broker_id: broker.settings.broker_id,
            broker_epoch: channel.broker_epoch(),
            changes: asked.iter().map(|(change, _)| change.clone()).collect(),
        };
        let outcomes = channel.alter(request).await.unwrap_or_else(|refusal| {
            tracing::info!(%refusal, changes = asked.len(), "ISR changes are asked for again");
            vec![Err(refusal); asked.len()]
        });
        let failed = outcomes.iter().any(Result::is_err);
        if failed {
            // Before the answers: those that are to be asked for again ask at once.
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        } else {
            backoff = BACKOFF_MIN;
        }
        for ((change, partition), outcome) in asked.iter().zip(&outcomes) {
            partition.isr_answered(change, outcome.as_ref().map_err(|refusal| refusal.code));
        }
    }
}
