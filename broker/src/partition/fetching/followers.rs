//! Which partition is fetched by which fetcher.

use super::fetcher::Fetcher;
use crate::controller::Vanished;
use crate::controller::image::MetadataImage;
use crate::partition::{Broker, Partition};
use crate::protocol::Uuid;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How followers fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetcherSettings {
    /// The listener of other brokers that is for brokers (`inter.broker.listener.name`).
    pub listener: String,
    /// Connections to each leader (`num.replica.fetchers`). Default 1.
    pub fetchers: usize,
    /// Milliseconds that a leader waits for records at most (`replica.fetch.wait.max.ms`). Default 500.
    pub wait_max_ms: i32,
    /// Bytes that a leader waits for (`replica.fetch.min.bytes`). Default 1.
    pub bytes_min: i32,
    /// Bytes of one partition in an answer, unless its first batch is larger (`replica.fetch.max.bytes`). Default 1 MiB.
    pub partition_bytes_max: i32,
    /// Bytes of an answer (`replica.fetch.response.max.bytes`). Default 10 MiB.
    pub response_bytes_max: i32,
    /// The longest pause behind errors, in milliseconds (`replica.fetch.backoff.ms`). Default 1000.
    pub backoff_max_ms: u64,
    /// Milliseconds without an answer after which a connection is given up (`replica.socket.timeout.ms`). Default 30,000.
    pub socket_timeout_ms: u64,
}

impl Default for FetcherSettings {
    fn default() -> Self {
        FetcherSettings {
            listener: "PLAINTEXT".to_owned(),
            fetchers: 1,
            wait_max_ms: 500,
            bytes_min: 1,
            partition_bytes_max: 1 << 20,
            response_bytes_max: 10 << 20,
            backoff_max_ms: 1000,
            socket_timeout_ms: 30_000,
        }
    }
}

pub(super) type Key = (Uuid, i32);

/// What a fetcher is told to do.
pub(super) enum Order {
    /// Fetch this partition, from where it is now.
    Follow(Arc<Partition>),
    Leave(Key),
}

/// What a fetcher is told from outside.
#[derive(Default)]
pub(super) struct Orders {
    state: Mutex<OrdersState>,
    changed: Notify,
}

#[derive(Default)]
struct OrdersState {
    orders: Vec<Order>,
    address: Option<(String, u16)>,
}

impl Orders {
    fn state(&self) -> MutexGuard<'_, OrdersState> {
        self.state.lock().expect("no panic while held")
    }

    pub(super) fn add(&self, order: Order) {
        self.state().orders.push(order);
        self.changed.notify_one();
    }

    fn set_address(&self, address: Option<(String, u16)>) {
        let mut state = self.state();
        if state.address != address {
            state.address = address;
            drop(state);
            self.changed.notify_one();
        }
    }

    pub fn take(&self) -> Vec<Order> {
        std::mem::take(&mut self.state().orders)
    }

    pub fn address(&self) -> Option<(String, u16)> {
        self.state().address.clone()
    }

    /// Returns once there was an order or another address since the last return.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The followers of this broker, and the fetchers that serve them.
pub struct Followers {
    settings: FetcherSettings,
    broker: Arc<Broker>,
    /// The epoch that this broker is registered with.
    broker_epoch: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Told which leaders cannot be reached any more.
    vanished: Arc<Vanished>,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By leader and number.
    fetchers: HashMap<(i32, usize), (Arc<Orders>, JoinHandle<()>)>,
    /// The fetcher of each partition that is followed.
    places: HashMap<Key, (i32, usize)>,
    addresses: HashMap<i32, (String, u16)>,
}

impl Followers {
    pub fn new(
        settings: FetcherSettings,
        broker: Arc<Broker>,
        broker_epoch: Arc<dyn Fn() -> i64 + Send + Sync>,
        vanished: Arc<Vanished>,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Followers> {
        Arc::new(Followers { settings, broker, broker_epoch, vanished, runtime, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// Has `partition` fetched from its leader, whoever that is now; to be called when its role, epoch or leader has
    /// changed.
    pub fn assign(&self, partition: &Arc<Partition>) {
        let key = (partition.topic_id, partition.index);
        let leader = partition.leader().map(|(leader, _)| leader).filter(|id| *id != self.broker.settings.broker_id);
        let place = leader.map(|leader| (leader, number(key, self.settings.fetchers)));
        let mut state = self.state();
        let before = state.places.get(&key).copied();
        if before.is_some() && before != place {
            state.leave(key);
        }
        if let Some(place) = place {
            state.places.insert(key, place);
            self.fetcher(&mut state, place).add(Order::Follow(partition.clone()));
        }
    }

    /// Fetches `partition` no more.
    pub fn forget(&self, partition: &Partition) {
        self.state().leave((partition.topic_id, partition.index));
    }

    /// Takes note of where brokers are reached.
    pub fn brokers_changed(&self, image: &MetadataImage) {
        self.vanished.decided(image);
        let address = |id: i32| {
            let endpoint = image.live_broker(id)?.endpoint(&self.settings.listener)?;
            Some((endpoint.host.clone(), endpoint.port))
        };
        let mut state = self.state();
        state.addresses = image.live_brokers().filter_map(|one| Some((one.id, address(one.id)?))).collect();
        for ((leader, _), (orders, _)) in &state.fetchers {
            orders.set_address(address(*leader));
        }
    }

    /// Ends all fetching.
    pub fn stop(&self) {
        let mut state = self.state();
        state.places.clear();
        state.fetchers.drain().for_each(|(_, (_, task))| task.abort());
    }

    fn fetcher<'s>(&self, state: &'s mut State, place: (i32, usize)) -> &'s Arc<Orders> {
        let State { fetchers, addresses, .. } = state;
        let started = fetchers.entry(place).or_insert_with(|| {
            let orders = Arc::<Orders>::default();
            orders.set_address(addresses.get(&place.0).cloned());
            let epoch = self.broker_epoch.clone();
            let (own, vanished) = (self.broker.settings.broker_id, self.vanished.clone());
            let fetcher = Fetcher::new(place.0, self.settings.clone(), own, epoch, orders.clone(), vanished);
            (orders, self.runtime.spawn(fetcher.run()))
        });
        &started.0
    }
}

impl State {
    fn leave(&mut self, key: Key) {
        if let Some((orders, _)) = self.places.remove(&key).and_then(|place| self.fetchers.get(&place)) {
            orders.add(Order::Leave(key));
        }
    }
}

/// Which of the fetchers of a leader a partition belongs to: always the same.
fn number((topic, index): Key, fetchers: usize) -> usize {
    let topic = topic.0.iter().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    topic.wrapping_add(index as usize) % fetchers.max(1)
}
