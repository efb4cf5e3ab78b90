//! What a watch tells, in the order in which its store knows it.

use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::{self, Event};
use std::hash::Hash;
use tokio::sync::mpsc::UnboundedReceiver;

/// Every object that was applied or deleted, once `store` shows it. After a list (at the start, and whenever the watch had to
/// begin anew) all objects: a store takes a list as a whole, and objects that were told of one by one before would be looked
/// for in vain.
pub fn touched<K>(
    reflected: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    store: Store<K>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType: Hash + Eq + Clone> + Clone + Send + Sync + 'static,
    K::DynamicType: Send + Sync,
{
    reflected.flat_map(move |event| {
        let objects = match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => vec![Ok(object)],
            Ok(Event::Init | Event::InitApply(_)) => Vec::new(),
            Ok(Event::InitDone) => store.state().iter().map(|object| Ok(K::clone(object))).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(objects)
    })
}

/// What comes through a channel, as a stream.
pub fn received<T>(mut channel: UnboundedReceiver<T>) -> impl Stream<Item = T> {
    futures::stream::poll_fn(move |context| channel.poll_recv(context))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::KafkaTopic;
    use kube::ResourceExt;
    use kube::runtime::WatchStreamExt;
    use kube::runtime::reflector::store;

    fn named(name: &str) -> KafkaTopic {
        KafkaTopic::new(name, Default::default())
    }

    #[tokio::test]
    async fn what_is_told_is_in_the_store_also_after_the_watch_began_anew() {
        let (known, writer) = store();
        let list = |names: &[&str]| {
            let listed = names.iter().map(|name| Event::InitApply(named(name))).collect::<Vec<_>>();
            std::iter::once(Event::Init).chain(listed).chain([Event::InitDone])
        };
        let events = list(&["a"]).chain(list(&["a", "b"])).chain([Event::Apply(named("c")), Event::Delete(named("a"))]);
        let reflected = stream::iter(events.map(Ok).collect::<Vec<_>>()).reflect(writer);
        let seen = known.clone();
        let told = touched(reflected, known).map(move |object| {
            let name = object.expect("no error is told").name_any();
            let is_there = seen.find(|topic| topic.name_any() == name).is_some();
            (name, is_there)
        });
        let mut told: Vec<_> = told.collect().await;
        told[1..3].sort();
        let told: Vec<_> = told.iter().map(|(name, is_there)| (name.as_str(), *is_there)).collect();
        assert_eq!(told, [("a", true), ("a", true), ("b", true), ("c", true), ("a", false)]);
    }
}
