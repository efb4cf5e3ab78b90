//! How the rest of the broker talks to the controller.

use super::channel::Channel;
use super::delta::ImageDelta;
use super::driver::{Answered, Publication, QuorumAnswer, Work};
use super::image::{Configs, MetadataImage};
use super::producer_ids::ProducerIds;
use super::request::*;
use super::rules::{ConfigRules, EffectiveConfig};
use super::topic_name;
use super::vanished::{Settled, Vanished};
use crate::clock::Clock;
use crate::protocol::ErrorCode;
use crate::raft::wire::Border;
use crate::raft::{self, LeaderAndEpoch, QuorumDescription, ReplicaId};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Called with the image before a change, the image after it, and what differs; in the order of the changes, before
/// whoever asked this node for the change is answered.
pub type Subscriber = Box<dyn Fn(&MetadataImage, &MetadataImage, &ImageDelta) + Send + Sync>;

/// How long a request may take (as Kafka's `request.timeout.ms`).
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is looked for an active controller: elections take less, and who asks asks again.
const SEARCH_PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries while the quorum has no leader, or has one that is not the active controller yet.
const PAUSE: Duration = Duration::from_millis(20);

/// A handle on the controller, wherever the active one is. Cheap to clone.
#[derive(Clone)]
pub struct ControllerClient {
    work: mpsc::Sender<Work>,
    publications: mpsc::Sender<Publication>,
    image: watch::Receiver<Arc<MetadataImage>>,
    leader: watch::Receiver<LeaderAndEpoch>,
    drained: watch::Receiver<BTreeSet<i32>>,
    channel: Arc<Channel>,
    node: Arc<Node>,
    vanished: Arc<Vanished>,
}

/// What the client knows of the node it runs on.
pub(super) struct Node {
    pub id: i32,
    pub border: Arc<Border>,
    pub clock: Clock,
    /// The epoch that the broker was registered with; -1 where it was not.
    pub broker_epoch: AtomicI64,
    /// How the broker's own topics are made when they are first needed.
    pub internal_topics: Vec<NewTopic>,
    /// Whether topics may be deleted (`delete.topic.enable`).
    pub deletes_topics: bool,
    pub rules: Arc<dyn ConfigRules>,
    pub producer_ids: ProducerIds,
}

macro_rules! requests {
    ($($(#[$meta:meta])* $method:ident($($argument:ident: $type:ty),*) = $request:expr => $answer:ident: $output:ty;)*) => {
        $(
            $(#[$meta])*
            pub async fn $method(&self, $($argument: $type),*) -> Result<$output, Refusal> {
                match self.ask($request).await? {
                    Response::$answer(outcomes) => Ok(outcomes),
                    other => unreachable!("the controller answered {other:?}"),
                }
            }
        )*
    };
}

impl ControllerClient {
    pub(super) fn new(
        work: mpsc::Sender<Work>,
        publications: mpsc::Sender<Publication>,
        image: watch::Receiver<Arc<MetadataImage>>,
        leader: watch::Receiver<LeaderAndEpoch>,
        drained: watch::Receiver<BTreeSet<i32>>,
        node: Node,
    ) -> ControllerClient {
        let channel = Arc::new(Channel::new(node.border.clone(), format!("broker-{}", node.id)));
        ControllerClient {
            work,
            publications,
            image,
            leader,
            drained,
            channel,
            node: Arc::new(node),
            vanished: Arc::default(),
        }
    }

    /// This node's id.
    pub fn node_id(&self) -> i32 {
        self.node.id
    }

    pub fn cluster_id(&self) -> &str {
        &self.node.border.cluster_id
    }

    /// Whether topics may be deleted (`delete.topic.enable`).
    pub fn deletes_topics(&self) -> bool {
        self.node.deletes_topics
    }

    /// Every property of a topic that was configured with `own`, as it is in effect now.
    pub fn effective_topic_configs(&self, own: &Configs) -> Vec<EffectiveConfig> {
        self.node.rules.effective_topic_configs(&self.image().configs, own)
    }

    /// The metadata as far as it is committed and this node has applied it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.borrow().clone()
    }

    /// [`ControllerClient::image`], once it is decided on brokers of interest that vanished a moment ago.
    pub async fn settled(&self, of_interest: impl Fn(&MetadataImage, i32) -> bool) -> Settled {
        self.vanished.settled(&mut self.image.clone(), of_interest).await
    }

    /// Where it is told which brokers have vanished.
    pub fn vanished(&self) -> &Arc<Vanished> {
        &self.vanished
    }

    /// The metadata, and a way to wait until it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<MetadataImage>> {
        self.image.clone()
    }

    /// Has `subscriber` called now with all there is (before it: an empty image), and then with each change.
    pub async fn subscribe(&self, subscriber: Subscriber) {
        let (done, subscribed) = oneshot::channel();
        if self.publications.send(Publication::Subscribe(subscriber, done)).is_ok() {
            subscribed.await.ok();
        }
    }

    /// Returns once the quorum has a leader.
    pub async fn leader_known(&self) {
        let mut leader = self.leader.clone();
        // An error means that the node stops.
        leader.wait_for(|known| known.leader.is_some()).await.ok();
    }

    /// Returns once the quorum has been without a leader for as long as `patience`.
    pub async fn leaderless_for(&self, patience: Duration) {
        let mut leader = self.leader.clone();
        loop {
            // An error means that the node stops: there is no leader then either.
            leader.wait_for(|known| known.leader.is_none()).await.ok();
            if tokio::time::timeout(patience, leader.wait_for(|known| known.leader.is_some())).await.is_err() {
                return;
            }
        }
    }

    /// Returns once this node has applied an image that `suits`.
    pub async fn applied(&self, suits: impl Fn(&MetadataImage) -> bool) -> Arc<MetadataImage> {
        let mut image = self.image.clone();
        let suiting = image.wait_for(|image| suits(image)).await.map(|image| image.clone());
        match suiting {
            Ok(image) => image,
            // The node stops.
            Err(_) => std::future::pending().await,
        }
    }

    #[cfg(test)]
    pub(super) async fn on_the_drivers_thread(&self, work: Box<dyn FnOnce() + Send>) {
        self.run_for_a_test(work, Work::Run).await;
    }

    #[cfg(test)]
    pub(super) async fn on_the_syncing_thread(&self, work: Box<dyn FnOnce() + Send>) {
        self.run_for_a_test(work, Work::RunWhereItSyncs).await;
    }

    #[cfg(test)]
    async fn run_for_a_test(&self, work: Box<dyn FnOnce() + Send>, place: impl Fn(Box<dyn FnOnce() + Send>) -> Work) {
        let (done, ran) = oneshot::channel();
        let work = move || {
            work();
            done.send(()).ok();
        };
        self.work.send(place(Box::new(work))).ok();
        ran.await.ok();
    }

    /// The clock that the controller goes by.
    pub fn clock(&self) -> Clock {
        self.node.clock
    }

    /// The epoch that this broker was registered with; -1 before.
    pub fn broker_epoch(&self) -> i64 {
        self.node.broker_epoch.load(Ordering::Acquire)
    }

    /// Takes note of the epoch that this broker was registered with.
    pub fn set_broker_epoch(&self, epoch: i64) {
        self.node.broker_epoch.store(epoch, Ordering::Release);
    }

    /// The node that leads the quorum, as far as this one knows.
    pub fn leader(&self) -> LeaderAndEpoch {
        *self.leader.borrow()
    }

    /// The node that leads the quorum, and a way to wait until that changes.
    pub fn watch_leader(&self) -> watch::Receiver<LeaderAndEpoch> {
        self.leader.clone()
    }

    /// The brokers that are to lead nothing, and a way to wait until they are others. None where this node is not the active
    /// controller: nobody else knows.
    pub fn watch_drained(&self) -> watch::Receiver<BTreeSet<i32>> {
        self.drained.clone()
    }

    /// Whether this node leads the quorum.
    pub fn leads(&self) -> bool {
        self.leader().leader == Some(ReplicaId(self.node.id))
    }

    /// What this node adds to the quorum's messages.
    pub fn border(&self) -> &Border {
        &self.node.border
    }

    /// Has a request of another node of the quorum answered by this one. `None` while the node stops.
    pub async fn quorum(&self, request: raft::Request) -> Option<QuorumAnswer> {
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Quorum(request, answer)).ok()?;
        answered.await.ok()
    }

    /// The quorum as this node leads it; `None` if it does not.
    pub async fn describe_quorum(&self) -> Option<QuorumDescription> {
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Describe(answer)).ok()?;
        answered.await.ok().flatten()
    }

    /// The connection that a broker sends heartbeats on has closed: its process may have died. Waits for nothing; nothing
    /// happens where this node is not the active controller.
    pub fn connection_lost(&self, id: i32, epoch: i64) {
        let (answer, _) = oneshot::channel();
        self.work.send(Work::Ask(Request::BrokerLost { id, epoch }, answer)).ok();
    }

    /// Creates one of the broker's own topics as it is configured. That it is there already is no error.
    /// Errors: the topic's or the request's, see [`ControllerClient::create_topics`].
    pub async fn create_internal_topic(&self, name: &str) -> Result<(), Refusal> {
        let topic = self.node.internal_topics.iter().find(|topic| topic.name == name);
        let topic = topic.cloned().ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let outcomes = self.create_topics(CreateTopics { topics: vec![topic], validate_only: false }).await?;
        match outcomes.into_iter().next().expect("one outcome for each topic") {
            Err(refusal) if refusal.code != ErrorCode::TopicAlreadyExists => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Creates topics that are asked for before they are there: the broker's own as they are configured, the others with
    /// the defaults. One that cannot be created is not there afterwards.
    /// Errors: the request's, see [`ControllerClient::create_topics`].
    pub async fn create_missing_topics(&self, names: impl Iterator<Item = &str>) -> Result<(), Refusal> {
        let own = |name: &str| self.node.internal_topics.iter().find(|topic| topic.name == name).cloned();
        let topics = names.filter_map(|name| match own(name) {
            None if topic_name::is_internal(name) => None,
            None => Some(NewTopic::with_defaults(name)),
            own => own,
        });
        let topics: Vec<NewTopic> = topics.collect();
        if !topics.is_empty() {
            self.create_topics(CreateTopics { topics, validate_only: false }).await?;
        }
        Ok(())
    }

    /// A producer id that nobody had before.
    /// Errors: the controller's, where no id is left and it gives no further block.
    pub async fn next_producer_id(&self) -> Result<i64, Refusal> {
        self.node.producer_ids.next(self).await
    }

    /// Gets the next block of producer ids while this one is still handed out.
    pub(super) async fn ask_ahead_for_producer_ids(&self) {
        if let Err(error) = self.node.producer_ids.refill(self).await {
            tracing::warn!(%error, "no block of producer ids");
        }
    }

    /// Gets a block of producer ids for this broker.
    pub(super) async fn next_producer_id_block(&self) -> Result<ProducerIdBlock, Refusal> {
        self.allocate_producer_ids(self.node.id, self.broker_epoch()).await?
    }

    requests! {
        /// Creates topics. Answers once they are durable and the subscribers have seen them; so do the others.
        /// Errors: of the whole request `NOT_CONTROLLER` while the controller stops, `KAFKA_STORAGE_ERROR` where its log
        /// cannot be written (nothing was changed then); of each topic its own.
        create_topics(request: CreateTopics) = Request::CreateTopics(request)
            => CreateTopics: Vec<Outcome<CreatedTopic>>;
        /// Deletes topics by name or id. Errors: as [`ControllerClient::create_topics`].
        delete_topics(topics: Vec<TopicSelector>) = Request::DeleteTopics(topics)
            => DeleteTopics: Vec<Outcome<DeletedTopic>>;
        /// Adds partitions to topics. Errors: as [`ControllerClient::create_topics`].
        create_partitions(request: CreatePartitions) = Request::CreatePartitions(request)
            => CreatePartitions: Vec<Outcome<()>>;
        /// Changes configurations. Errors: as [`ControllerClient::create_topics`].
        alter_configs(request: AlterConfigs) = Request::AlterConfigs(request)
            => AlterConfigs: Vec<Outcome<()>>;
        /// Gets a block of producer ids for a broker. Errors: as [`ControllerClient::create_topics`].
        allocate_producer_ids(broker_id: i32, broker_epoch: i64)
            = Request::AllocateProducerIds { broker_id, broker_epoch }
            => AllocateProducerIds: Outcome<ProducerIdBlock>;
        /// Registers a broker; gives its epoch. It is fenced until it is heard. Errors: as
        /// [`ControllerClient::create_topics`].
        register_broker(request: RegisterBroker) = Request::RegisterBroker(request) => RegisterBroker: Outcome<i64>;
        /// Tells the controller that a broker lives. Errors: as [`ControllerClient::create_topics`].
        broker_heartbeat(request: BrokerHeartbeat) = Request::BrokerHeartbeat(request)
            => BrokerHeartbeat: Outcome<HeartbeatAnswer>;
        /// Tells the controller that a broker is gone. Errors: as [`ControllerClient::create_topics`].
        broker_lost(id: i32, epoch: i64) = Request::BrokerLost { id, epoch } => BrokerLost: Outcome<()>;
        /// Forgets a broker. Errors: as [`ControllerClient::create_topics`].
        unregister_broker(id: i32) = Request::UnregisterBroker { id } => UnregisterBroker: Outcome<()>;
        /// Moves the leaders away from a broker, or lets it lead again; gives how many it leads now. Errors: as
        /// [`ControllerClient::create_topics`].
        drain_leaders(broker: i32, drained: bool) = Request::DrainLeaders { broker, drained }
            => DrainLeaders: Outcome<usize>;
        /// Changes the in-sync replicas of partitions. Errors: as [`ControllerClient::create_topics`].
        alter_partition(request: AlterPartition) = Request::AlterPartition(request)
            => AlterPartition: Outcome<Vec<Outcome<AlteredPartition>>>;
        /// Elects leaders. Errors: as [`ControllerClient::create_topics`].
        elect_leaders(request: ElectLeaders) = Request::ElectLeaders(request) => ElectLeaders: Vec<Election>;
        /// Moves replicas. Errors: as [`ControllerClient::create_topics`].
        alter_reassignments(request: AlterReassignments) = Request::AlterReassignments(request)
            => AlterReassignments: Vec<Outcome<()>>;
        /// Changes the levels of features. Errors: as [`ControllerClient::create_topics`].
        update_features(request: UpdateFeatures) = Request::UpdateFeatures(request) => UpdateFeatures: Outcome<()>;
        /// Registers a controller. Errors: as [`ControllerClient::create_topics`].
        register_controller(request: RegisterController) = Request::RegisterController(request)
            => RegisterController: Outcome<()>;
        /// Says which directories replicas are in. Errors: as [`ControllerClient::create_topics`].
        assign_replicas_to_dirs(request: AssignReplicasToDirs) = Request::AssignReplicasToDirs(request)
            => AssignReplicasToDirs: Outcome<Vec<Outcome<()>>>;
    }

    /// Has this node's controller decide, if it is the active one, and waits for the commit. For requests of other nodes.
    /// Errors: `NotController`.
    pub async fn decide(&self, request: Request) -> Result<Response, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Ask(request, answer)).map_err(|_| stopped())?;
        Ok(answered.await.unwrap_or_else(|_| Err(stopped()))?.response)
    }

    /// Asks the active controller, here or there, and waits until this node has applied what came of it.
    async fn ask(&self, request: Request) -> Result<Response, Refusal> {
        tokio::time::timeout(PATIENCE, self.ask_patiently(&request)).await.unwrap_or_else(|_| Err(no_controller()))
    }

    async fn ask_patiently(&self, request: &Request) -> Result<Response, Refusal> {
        let began = Instant::now();
        loop {
            let leader = self.leader().leader;
            let is_local = leader == Some(ReplicaId(self.node.id));
            let asked = match leader {
                Some(_) if is_local => self.decide_and_apply(request.clone()).await,
                Some(leader) => self.ask_while_it_leads(leader, request).await,
                None => Err(no_controller()),
            };
            match asked {
                Err(refusal) if refusal.code == ErrorCode::NotController => {
                    if !is_local && !Channel::carries(request) || began.elapsed() > SEARCH_PATIENCE {
                        return Err(refusal);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// An answer of a leader that is replaced meanwhile is not waited for: it may be frozen.
    async fn ask_while_it_leads(&self, leader: ReplicaId, request: &Request) -> Result<Response, Refusal> {
        tokio::select! {
            asked = self.channel.ask(leader, request) => asked,
            () = self.replaced(leader) => Err(no_controller()),
        }
    }

    /// Returns once another node leads the quorum.
    async fn replaced(&self, leader: ReplicaId) {
        let other = |known: &LeaderAndEpoch| known.leader.is_some_and(|known| known != leader);
        // An error means that the node stops.
        self.leader.clone().wait_for(other).await.ok();
    }

    /// Has this node's controller decide, if it is the active one, and waits until this node has applied what came of it.
    /// Errors: `NotController`; `KafkaStorageError` where its log cannot be written.
    pub async fn decide_and_apply(&self, request: Request) -> Result<Response, Refusal> {
        let heartbeat = matches!(request, Request::BrokerHeartbeat(_));
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Ask(request, answer)).map_err(|_| stopped())?;
        let Answered { response, end_offset } = answered.await.unwrap_or_else(|_| Err(stopped()))?;
        if !heartbeat {
            let mut image = self.image.clone();
            image.wait_for(|image| image.applied.end_offset >= end_offset).await.map_err(|_| stopped())?;
        }
        Ok(response)
    }

    /// Sends a client's request, as it came, to the active controller in an envelope (KIP-590), and gives the answer as
    /// it is to go back. `None` if there is no controller to be reached: then this node says so itself.
    pub async fn forward(&self, frame: &[u8], client: IpAddr) -> Option<Vec<u8>> {
        let began = Instant::now();
        loop {
            match self.leader().leader {
                Some(leader) if leader.0 == self.node.id => return None,
                Some(leader) => tokio::select! {
                    forwarded = self.channel.forward(leader, frame, client) => match forwarded {
                        Ok(answer) => return Some(answer),
                        Err(error) => tracing::debug!(%error, "the controller did not take a forwarded request"),
                    },
                    // It may be frozen.
                    () = self.replaced(leader) => {}
                },
                None => {}
            }
            if began.elapsed() > SEARCH_PATIENCE {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn stopped() -> Refusal {
    Refusal::new(ErrorCode::NotController, "The controller is shutting down.")
}

fn no_controller() -> Refusal {
    let text = "No controller is active: the quorum is electing one, or too few of controller.quorum.voters are up.";
    Refusal::new(ErrorCode::NotController, text)
}
