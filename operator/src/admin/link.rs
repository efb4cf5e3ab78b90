//! One link: the task that follows a node of the cluster, and what it shows.

use super::proto::admin_client::AdminClient;
use super::proto::{ClusterState, Topic, TopicChanges, WatchClusterRequest, WatchTopicsRequest};
use super::{Change, ClusterKey};
use crate::resources::names;
use imbl::OrdMap;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tracing::{debug, info};

/// A node that is not reached within this time is passed over.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);
/// A node that is silent for as long is asked whether it lives, and has as long again to say so.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// A node that does not say what it knows within this time is passed over: it may be frozen, or know nothing yet.
const FIRST_WORD_WITHIN: Duration = Duration::from_secs(3);
/// Between two rounds over all nodes when none answers, growing from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The active controller is not tried again before.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// The most partitions in each list of a state: enough for words, the counts are complete.
const LIST_MAX: u32 = 10;
/// The largest message: a topic of 10,000 partitions takes less than a tenth.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// What a node has told of its cluster.
#[derive(Clone, Debug)]
pub struct View {
    pub state: Arc<ClusterState>,
    pub topics: OrdMap<String, Arc<Topic>>,
    /// Whether the node is followed still. An old view is better than none for reading, and none for deciding.
    pub is_live: bool,
}

/// A link to one cluster. Ends when it is dropped.
pub struct Link {
    pub(super) key: ClusterKey,
    addresses: watch::Sender<BTreeMap<i32, String>>,
    view: watch::Receiver<Option<View>>,
    follower: AbortHandle,
    /// For calls, by address. Each connects when it is used.
    clients: Mutex<HashMap<String, AdminClient<Channel>>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Link {
    pub(super) fn start(key: ClusterKey, changes: mpsc::UnboundedSender<Change>) -> Arc<Link> {
        let (addresses, known) = watch::channel(BTreeMap::new());
        let (shown, view) = watch::channel(None);
        let follower = Follower { key: key.clone(), addresses: known, shown, changes, tried: None };
        let follower = tokio::spawn(follower.run()).abort_handle();
        Arc::new(Link { key, addresses, view, follower, clients: Mutex::default() })
    }

    pub(super) fn reach(&self, addresses: BTreeMap<i32, String>) {
        self.clients().retain(|address, _| addresses.values().any(|known| known == address));
        self.addresses.send_if_modified(|known| {
            let differs = *known != addresses;
            *known = addresses;
            differs
        });
    }

    /// The client of the node at this address.
    pub(super) fn client(&self, address: &str) -> Result<AdminClient<Channel>, Status> {
        if let Some(client) = self.clients().get(address) {
            return Ok(client.clone());
        }
        let client = AdminClient::new(endpoint(address)?.connect_lazy());
        self.clients().insert(address.to_owned(), client.clone());
        Ok(client)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, AdminClient<Channel>>> {
        self.clients.lock().expect("no panic while held")
    }

    pub(super) fn addresses(&self) -> BTreeMap<i32, String> {
        self.addresses.borrow().clone()
    }

    /// The newest view while its node is followed; `None` while nobody answers.
    pub fn live(&self) -> Option<View> {
        self.view.borrow().clone().filter(|view| view.is_live)
    }

    /// The newest view, however old. `None` where nobody has ever answered.
    pub fn last(&self) -> Option<View> {
        self.view.borrow().clone()
    }

    /// Returns once a view `suits`, or the link ends.
    pub async fn shows(&self, suits: impl Fn(&View) -> bool) {
        let mut view = self.view.clone();
        view.wait_for(|view| view.as_ref().is_some_and(&suits)).await.ok();
    }
}

/// A node's admin listener.
fn endpoint(address: &str) -> Result<Endpoint, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Status::invalid_argument(format!("{address}: {error}")))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIME_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true))
}

/// The task behind a link.
struct Follower {
    key: ClusterKey,
    addresses: watch::Receiver<BTreeMap<i32, String>>,
    shown: watch::Sender<Option<View>>,
    changes: mpsc::UnboundedSender<Change>,
    /// The active controller that was tried last, and when.
    tried: Option<(i32, Instant)>,
}

/// Why a node is followed no longer.
enum Left {
    /// It is better to follow this one, which is the active controller.
    For(i32),
    Broken(Status),
    /// Its pod is gone or has another address.
    Moved,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        let mut preferred: Option<i32> = None;
        loop {
            let addresses = self.addresses.borrow_and_update().clone();
            let mut answered = false;
            for id in in_order(&addresses, preferred.take()) {
                match self.follow(id, &addresses[&id], &mut answered).await {
                    Left::For(leader) => {
                        self.tried = Some((leader, Instant::now()));
                        preferred = Some(leader);
                        break;
                    }
                    Left::Moved => break,
                    Left::Broken(status) => {
                        debug!(cluster = %self.key, node = id, %status, "an admin listener is not followed");
                        if std::mem::take(&mut answered) {
                            self.lost();
                            break;
                        }
                    }
                }
            }
            if self.shown.borrow().as_ref().is_some_and(|view| view.is_live) && preferred.is_none() {
                self.lost();
            }
            if answered || preferred.is_some() {
                pause = PAUSES.0;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (2 * pause).min(PAUSES.1),
                changed = self.addresses.changed() => match changed {
                    Ok(()) => pause = PAUSES.0,
                    Err(_) => return,
                }
            }
        }
    }

    /// Follows one node as long as it goes well.
    async fn follow(&mut self, id: i32, address: &str, answered: &mut bool) -> Left {
        let begun = tokio::time::timeout(FIRST_WORD_WITHIN, begin(address)).await;
        let (mut states, mut topics, first, known) = match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(status)) => return Left::Broken(status),
            Err(_) => return Left::Broken(Status::deadline_exceeded("it says nothing")),
        };
        if !self.is_ours(&first) {
            return Left::Broken(Status::failed_precondition("it is a node of another cluster"));
        }
        *answered = true;
        info!(cluster = %self.key, node = id, address, "following the cluster");
        let mut view = View { state: Arc::new(first), topics: known, is_live: true };
        self.show(&view, [Change::Cluster(self.key.clone()), Change::AllTopics(self.key.clone())]);
        loop {
            if let Some(leader) = self.better_than(id, &view.state) {
                return Left::For(leader);
            }
            tokio::select! {
                state = states.message() => match ended(state) {
                    Ok(state) => {
                        view.state = Arc::new(state);
                        self.show(&view, [Change::Cluster(self.key.clone())]);
                    }
                    Err(status) => return Left::Broken(status),
                },
                changes = topics.message() => match ended(changes) {
                    Ok(changes) => {
                        let names = apply(&mut view.topics, changes);
                        self.show(&view, [Change::Cluster(self.key.clone()), Change::Topics(self.key.clone(), names)]);
                    }
                    Err(status) => return Left::Broken(status),
                },
                // Nothing may change here while the active controller comes within reach.
                () = tokio::time::sleep(TRY_AGAIN_AFTER), if view.state.active_controller_id != Some(id) => {}
                changed = self.addresses.changed() => {
                    let is_there = self.addresses.borrow_and_update().get(&id).is_some_and(|known| known == address);
                    if changed.is_err() || !is_there {
                        return Left::Moved;
                    }
                }
            }
        }
    }

    /// The active controller alone knows all, as who is drained: it is followed if it can be.
    fn better_than(&self, id: i32, state: &ClusterState) -> Option<i32> {
        let leader = state.active_controller_id.filter(|leader| *leader != id)?;
        // One that was tried and could not be followed is dead perhaps, and the others do not know yet.
        let tried = |(tried, at): (i32, Instant)| tried == leader && at.elapsed() < TRY_AGAIN_AFTER;
        if self.tried.is_some_and(tried) {
            return None;
        }
        self.addresses.borrow().contains_key(&leader).then_some(leader)
    }

    /// Whether a node is one of this cluster: an address may have become another cluster's.
    fn is_ours(&self, state: &ClusterState) -> bool {
        let known = self.shown.borrow().as_ref().map(|view| view.state.cluster_id.clone());
        let domain = format!(".{}.{}.", names::nodes_service(&self.key.name), self.key.namespace);
        let hosts = state.voters.iter().map(|voter| &voter.host);
        known.is_none_or(|known| known == state.cluster_id)
            && hosts.filter(|host| host.contains('.')).all(|host| format!("{host}.").contains(&domain))
    }

    fn show(&self, view: &View, changes: impl IntoIterator<Item = Change>) {
        self.shown.send_replace(Some(view.clone()));
        for change in changes {
            self.changes.send(change).ok();
        }
    }

    fn lost(&self) {
        self.shown.send_if_modified(|view| match view {
            Some(view) => std::mem::take(&mut view.is_live),
            None => false,
        });
        self.changes.send(Change::Cluster(self.key.clone())).ok();
    }
}

type Begun = (Streaming<ClusterState>, Streaming<TopicChanges>, ClusterState, OrdMap<String, Arc<Topic>>);

/// Connects, and reads on until all that there is has been told once.
async fn begin(address: &str) -> Result<Begun, Status> {
    let connected = endpoint(address)?.connect().await;
    let channel = connected.map_err(|error| Status::unavailable(format!("{address}: {error}")))?;
    let mut client = AdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut states = client.watch_cluster(WatchClusterRequest { list_max: LIST_MAX }).await?.into_inner();
    let mut changes = client.watch_topics(WatchTopicsRequest {}).await?.into_inner();
    let state = ended(states.message().await)?;
    let mut topics = OrdMap::new();
    loop {
        let message = ended(changes.message().await)?;
        let complete = message.complete;
        apply(&mut topics, message);
        if complete {
            return Ok((states, changes, state, topics));
        }
    }
}

/// A stream that ends has broken: it is meant to go on for ever.
fn ended<T>(message: Result<Option<T>, Status>) -> Result<T, Status> {
    message?.ok_or_else(|| Status::unavailable("the stream has ended"))
}

/// Brings the topics up to date; gives the names of those that changed.
fn apply(topics: &mut OrdMap<String, Arc<Topic>>, changes: TopicChanges) -> Vec<String> {
    let mut names = changes.deleted;
    for name in &names {
        topics.remove(name);
    }
    for topic in changes.changed {
        names.push(topic.name.clone());
        topics.insert(topic.name.clone(), Arc::new(topic));
    }
    names
}

/// All nodes, the preferred one first.
fn in_order(addresses: &BTreeMap<i32, String>, preferred: Option<i32>) -> Vec<i32> {
    let first = preferred.filter(|id| addresses.contains_key(id));
    first.into_iter().chain(addresses.keys().copied().filter(|id| Some(*id) != first)).collect()
}
