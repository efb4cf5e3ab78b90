//! Waiting for what the API server tells.

use anyhow::{Context, Result, anyhow, bail};
use futures::StreamExt;
use kube::api::ListParams;
use kube::runtime::watcher::{self, watch_object};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What can be watched.
pub trait Kind:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static> Kind for K {}

/// Waits until what is known of the object gives something, and gives that. `None` is an object that does not exist.
/// Errors: after `limit`, with the object as it was last.
pub async fn until_some<K: Kind, T>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    mut found: impl FnMut(Option<&K>) -> Option<T>,
) -> Result<T> {
    let mut last = None;
    let search = async {
        let mut states = pin!(watch_object(api.clone(), name));
        while let Some(state) = states.next().await {
            // The watcher begins anew after an error; what is wrong for good ends by the limit.
            let Ok(state) = state else { continue };
            if let Some(found) = found(state.as_ref()) {
                return Ok(found);
            }
            last = state;
        }
        bail!("the watch of {name} ended")
    };
    let result = timeout(limit, search).await;
    result.unwrap_or_else(|_| Err(anyhow!("{name}: no {what} within {limit:?}; last seen:\n{}", yaml(last.as_ref()))))
}

/// Waits until the object is so.
pub async fn until<K: Kind>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    mut is_so: impl FnMut(&K) -> bool,
) -> Result<K> {
    until_some(api, name, what, limit, |object| object.filter(|object| is_so(object)).cloned()).await
}

/// Waits until there is no such object.
pub async fn until_gone<K: Kind>(api: &Api<K>, name: &str, limit: Duration) -> Result<()> {
    until_some(api, name, "end", limit, |object| object.is_none().then_some(())).await
}

/// Waits until what is known of all objects of a kind gives something.
pub async fn until_all<K: Kind, T>(
    api: &Api<K>,
    labels: &str,
    what: &str,
    limit: Duration,
    mut found: impl FnMut(&[std::sync::Arc<K>]) -> Option<T>,
) -> Result<T> {
    let (reader, writer) = reflector::store();
    let config = watcher::Config::default().labels(labels);
    let search = async {
        let mut events = pin!(watcher::watcher(api.clone(), config).default_backoff().reflect(writer));
        let mut is_listed = false;
        while let Some(event) = events.next().await {
            is_listed |= matches!(event, Ok(watcher::Event::InitDone));
            if is_listed && let Some(found) = found(&reader.state()) {
                return Ok(found);
            }
        }
        bail!("the watch ended")
    };
    timeout(limit, search).await.unwrap_or_else(|_| Err(anyhow!("no {what} within {limit:?}")))
}

/// Asks again and again for something that cannot be watched.
pub async fn eventually<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    const PAUSE: Duration = Duration::from_millis(200);
    let end = Instant::now() + limit;
    loop {
        match ask().await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > end => {
                return Err(error).with_context(|| format!("no {what} within {limit:?}"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// All objects with these labels.
pub async fn list<K: Kind>(api: &Api<K>, labels: &str) -> Result<Vec<K>> {
    Ok(api.list(&ListParams::default().labels(labels)).await?.items)
}

fn yaml<T: Serialize>(object: Option<&T>) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.remove("managedFields");
    }
    serde_yaml::to_string(&value).unwrap_or_default()
}
