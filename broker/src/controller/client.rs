//! How the rest of the broker talks to the controller.

use super::delta::ImageDelta;
use super::image::{Configs, MetadataImage};
use super::producer_ids::ProducerIds;
use super::request::*;
use super::rules::{ConfigRules, EffectiveConfig};
use super::snapshot_files::SnapshotId;
use super::topic_name;
use crate::protocol::ErrorCode;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Called with the image before a change, the image after it, and what differs; in the order of the changes, before
/// whoever asked for the change is answered.
pub type Subscriber = Box<dyn Fn(&MetadataImage, &MetadataImage, &ImageDelta) + Send + Sync>;

/// What the driver's thread is given to do.
pub(super) enum Work {
    Handle(Request, oneshot::Sender<Result<Response, Refusal>>),
    Subscribe(Subscriber, oneshot::Sender<()>),
    SnapshotWritten(std::io::Result<SnapshotId>),
    Stop,
}

/// A handle on the controller. Cheap to clone.
#[derive(Clone)]
pub struct ControllerClient {
    work: mpsc::UnboundedSender<Work>,
    image: watch::Receiver<Arc<MetadataImage>>,
    node: Arc<Node>,
}

/// What the client knows of the node it runs on.
pub(super) struct Node {
    pub id: i32,
    /// The epoch that the broker was registered with.
    pub broker_epoch: i64,
    pub cluster_id: String,
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
        work: mpsc::UnboundedSender<Work>,
        image: watch::Receiver<Arc<MetadataImage>>,
        node: Node,
    ) -> ControllerClient {
        ControllerClient { work, image, node: Arc::new(node) }
    }

    /// This node's id.
    pub fn node_id(&self) -> i32 {
        self.node.id
    }

    pub fn cluster_id(&self) -> &str {
        &self.node.cluster_id
    }

    /// Whether topics may be deleted (`delete.topic.enable`).
    pub fn deletes_topics(&self) -> bool {
        self.node.deletes_topics
    }

    /// Every property of a topic that was configured with `own`, as it is in effect now.
    pub fn effective_topic_configs(&self, own: &Configs) -> Vec<EffectiveConfig> {
        self.node.rules.effective_topic_configs(&self.image().configs, own)
    }

    /// The metadata as far as it is durable.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.borrow().clone()
    }

    /// The metadata, and a way to wait until it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<MetadataImage>> {
        self.image.clone()
    }

    /// Has `subscriber` called now with all there is (before it: an empty image), and then with each change.
    pub async fn subscribe(&self, subscriber: Subscriber) {
        let (done, subscribed) = oneshot::channel();
        if self.work.send(Work::Subscribe(subscriber, done)).is_ok() {
            subscribed.await.ok();
        }
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
        self.allocate_producer_ids(self.node.id, self.node.broker_epoch).await?
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

    async fn ask(&self, request: Request) -> Result<Response, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Handle(request, answer)).map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> Refusal {
    Refusal::new(ErrorCode::NotController, "The controller is shutting down.")
}
