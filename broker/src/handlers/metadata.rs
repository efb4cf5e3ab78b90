//! Metadata: the brokers, topics and leaders.
//!
//! Behaviour: clients get the addresses of the listener that they came in by; a broker that is fenced or has none there is
//! not shown, its replicas are offline, and what it leads has no leader. A topic that is missing is created where the client
//! and `auto.create.topics.enable` allow it, and is in the answer then (Kafka lets the client ask again). Duplicates are
//! answered once. The answer waits a moment for the controller's word on a broker that has just vanished, and lists one that
//! was fenced a moment ago.
//! Version notes: up to 0 an empty list means all topics, since 1 null does. Since 4 the client says whether topics may be
//! created. Since 12 topics may be named by id; one id in a request makes all its names void, as in Kafka. Version 0
//! knows no replica without a live broker.

use super::{Context, authorized_operations, controller_id};
use crate::controller::image::{BrokerRegistration, MetadataImage, NO_LEADER, PartitionRegistration, Topic};
use crate::controller::{ControllerClient, topic_name};
use crate::protocol::messages::metadata::*;
use crate::protocol::{ErrorCode, Str, Uuid};
use std::collections::BTreeSet;
use std::sync::Arc;

const NULL_IS_ALL_SINCE: i16 = 1;
const BY_ID_SINCE: i16 = 12;
const LISTENER_NOT_FOUND_SINCE: i16 = 6;

/// What the answers depend on beside the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataSettings {
    /// Whether a missing topic may be created for a client that asks for it (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
}

pub async fn handle<'a>(
    controller: &ControllerClient,
    settings: &MetadataSettings,
    context: &Context<'_>,
    request: MetadataRequest<'a>,
) -> MetadataResponse<'a> {
    let wanted = Wanted::of(context.version, request.topics);
    if let Wanted::Names(names) = &wanted
        && request.allow_auto_topic_creation
        && settings.auto_create_topics
    {
        create_missing(controller, names).await;
    }
    let settled = controller.settled(|image, broker| wanted.is_led_by(image, broker)).await;
    let answer = Answer {
        image: &settled.image,
        listed: &settled.listed,
        context,
        operations: authorized_operations::of_topic(request.include_topic_authorized_operations),
    };
    let brokers = answer.brokers();
    MetadataResponse {
        cluster_id: Some(controller.cluster_id().to_owned().into()),
        controller_id: controller_id::any_of(brokers.iter().map(|it| it.node_id).filter(|id| answer.reachable(*id))),
        brokers,
        topics: answer.topics(wanted),
        cluster_authorized_operations: authorized_operations::of_cluster(request.include_cluster_authorized_operations),
        ..Default::default()
    }
}

/// The topics that a request asks for, each once.
enum Wanted<'a> {
    All,
    Names(Vec<Str<'a>>),
    Ids(Vec<Uuid>),
    /// A request that contradicts itself.
    Invalid(Vec<MetadataRequestTopic<'a>>),
}

impl<'a> Wanted<'a> {
    fn of(version: i16, topics: Option<Vec<MetadataRequestTopic<'a>>>) -> Wanted<'a> {
        let Some(topics) = topics else { return Wanted::All };
        if topics.is_empty() && version < NULL_IS_ALL_SINCE {
            return Wanted::All;
        }
        let by_id = topics.iter().any(|topic| !topic.topic_id.is_zero());
        let nameless = topics.iter().any(|topic| topic.name.is_none());
        if version < BY_ID_SINCE && (by_id || nameless) {
            return Wanted::Invalid(topics);
        }
        if by_id {
            let ids: BTreeSet<Uuid> = topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero()).collect();
            return Wanted::Ids(ids.into_iter().collect());
        }
        let mut seen = BTreeSet::new();
        Wanted::Names(
            topics.into_iter().filter_map(|topic| topic.name).filter(|name| seen.insert(name.clone())).collect(),
        )
    }
}

impl Wanted<'_> {
    /// Whether the answer names `broker` as a leader.
    fn is_led_by(&self, image: &MetadataImage, broker: i32) -> bool {
        let leads = |topic: &Topic| topic.partitions.iter().any(|partition| partition.leader == broker);
        match self {
            Wanted::All => image.topics.iter().any(|topic| leads(topic)),
            Wanted::Names(names) => {
                names.iter().filter_map(|name| image.topics.by_name(name)).any(|topic| leads(topic))
            }
            Wanted::Ids(ids) => ids.iter().filter_map(|id| image.topics.by_id(*id)).any(|topic| leads(topic)),
            Wanted::Invalid(_) => false,
        }
    }
}

async fn create_missing(controller: &ControllerClient, names: &[Str<'_>]) {
    let image = controller.image();
    let missing = names.iter().filter(|name| image.topics.id_of(name).is_none());
    let valid = missing.filter(|name| topic_name::validate(name).is_ok()).map(|name| &**name);
    // A topic that could not be created is answered as missing: the client asks again, or gives up with that.
    if let Err(refusal) = controller.create_missing_topics(valid).await {
        tracing::warn!(%refusal, "topics could not be created");
    }
}

struct Answer<'a> {
    image: &'a MetadataImage,
    /// Brokers that are shown though they are fenced.
    listed: &'a [i32],
    context: &'a Context<'a>,
    operations: i32,
}

impl Answer<'_> {
    fn brokers(&self) -> Vec<MetadataResponseBroker<'static>> {
        let reachable = |broker: &BrokerRegistration| {
            let endpoint = broker.endpoint(self.context.listener)?;
            Some(MetadataResponseBroker {
                node_id: broker.id,
                host: endpoint.host.clone().into(),
                port: endpoint.port.into(),
                rack: broker.rack.clone().map(Into::into),
            })
        };
        let shown = |broker: &&Arc<BrokerRegistration>| !broker.fenced || self.listed.contains(&broker.id);
        self.image.brokers.values().filter(shown).filter_map(|broker| reachable(broker)).collect()
    }

    fn topics<'r>(&self, wanted: Wanted<'r>) -> Vec<MetadataResponseTopic<'r>> {
        match wanted {
            Wanted::All => self.image.topics.iter().map(|topic| self.topic(topic)).collect(),
            Wanted::Names(names) => names.into_iter().map(|name| self.named(name)).collect(),
            Wanted::Ids(ids) => ids.into_iter().map(|id| self.identified(id)).collect(),
            Wanted::Invalid(topics) => topics
                .into_iter()
                .map(|topic| self.missing(topic.name, topic.topic_id, ErrorCode::InvalidRequest))
                .collect(),
        }
    }

    fn named<'r>(&self, name: Str<'r>) -> MetadataResponseTopic<'r> {
        match self.image.topics.by_name(&name) {
            Some(topic) => self.topic(topic),
            None if topic_name::validate(&name).is_err() => {
                self.missing(Some(name), Uuid::ZERO, ErrorCode::InvalidTopicException)
            }
            None => self.missing(Some(name), Uuid::ZERO, ErrorCode::UnknownTopicOrPartition),
        }
    }

    fn identified(&self, id: Uuid) -> MetadataResponseTopic<'static> {
        match self.image.topics.by_id(id) {
            Some(topic) => self.topic(topic),
            None => self.missing(None, id, ErrorCode::UnknownTopicId),
        }
    }

    fn missing<'r>(&self, name: Option<Str<'r>>, topic_id: Uuid, code: ErrorCode) -> MetadataResponseTopic<'r> {
        MetadataResponseTopic {
            error_code: code.code(),
            topic_id,
            is_internal: name.as_deref().is_some_and(topic_name::is_internal),
            name,
            topic_authorized_operations: self.operations,
            ..Default::default()
        }
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic<'static> {
        MetadataResponseTopic {
            error_code: 0,
            name: Some(topic.name.to_string().into()),
            topic_id: topic.id,
            is_internal: topic_name::is_internal(&topic.name),
            partitions: (0..)
                .zip(&topic.partitions)
                .map(|(index, partition)| self.partition(index, partition))
                .collect(),
            topic_authorized_operations: self.operations,
        }
    }

    fn partition(&self, partition_index: i32, partition: &PartitionRegistration) -> MetadataResponsePartition {
        let (mut replica_nodes, mut isr_nodes) = (partition.replicas.to_vec(), partition.isr.to_vec());
        let (leader_id, mut code) = self.leader(partition);
        if self.context.version == 0 {
            let all = replica_nodes.len() + isr_nodes.len();
            replica_nodes.retain(|id| self.reachable(*id));
            isr_nodes.retain(|id| self.reachable(*id));
            if code == ErrorCode::None && replica_nodes.len() + isr_nodes.len() < all {
                code = ErrorCode::ReplicaNotAvailable;
            }
        }
        MetadataResponsePartition {
            error_code: code.code(),
            partition_index,
            leader_id,
            leader_epoch: partition.leader_epoch,
            replica_nodes,
            isr_nodes,
            offline_replicas: self.image.offline_replicas(partition, self.context.listener).collect(),
        }
    }

    /// The leader that the client can go to, or why there is none.
    fn leader(&self, partition: &PartitionRegistration) -> (i32, ErrorCode) {
        if self.reachable(partition.leader) {
            return (partition.leader, ErrorCode::None);
        }
        let alive = self.image.live_broker(partition.leader).is_some();
        let told_so = alive && self.context.version >= LISTENER_NOT_FOUND_SINCE;
        (NO_LEADER, if told_so { ErrorCode::ListenerNotFound } else { ErrorCode::LeaderNotAvailable })
    }

    fn reachable(&self, id: i32) -> bool {
        self.image.address(id, self.context.listener).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::delta::ImageDelta;
    use crate::controller::records::MetadataRecord;
    use crate::controller::testing::node::Node;
    use crate::protocol::messages::metadata::MetadataRequestTopic as Topic;
    use crate::protocol::messages::metadata_records::{
        BrokerEndpoint, PartitionRecord, RegisterBrokerRecord, TopicRecord,
    };
    use std::net::{IpAddr, Ipv4Addr};

    fn context(version: i16, listener: &str) -> Context<'_> {
        Context {
            version,
            client_id: "",
            client_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            listener,
            now: 0,
            is_forwarded: false,
        }
    }

    /// Brokers 1 and 2, 3 which is fenced, and 4 which has another listener; one partition with a replica on each.
    fn cluster() -> MetadataImage {
        let mut image = MetadataImage::default();
        let mut apply = |record: MetadataRecord<'_>| image.replay(&record, &mut ImageDelta::default()).unwrap();
        for (broker_id, fenced, name) in
            [(1, false, "PLAINTEXT"), (2, false, "PLAINTEXT"), (3, true, "PLAINTEXT"), (4, false, "OTHER")]
        {
            let endpoint = BrokerEndpoint { name: name.into(), host: "h".into(), port: 9092, security_protocol: 0 };
            let end_points = vec![endpoint];
            apply(RegisterBrokerRecord { broker_id, fenced, end_points, ..Default::default() }.into());
        }
        let topic_id = Uuid([1; 16]);
        apply(TopicRecord { name: "t".into(), topic_id }.into());
        let replicas = vec![1, 2, 3, 4];
        let record = PartitionRecord {
            topic_id,
            partition_id: 0,
            isr: replicas.clone(),
            replicas,
            leader: 1,
            ..Default::default()
        };
        apply(record.into());
        image
    }

    fn named(name: &'static str) -> Topic<'static> {
        Topic { name: Some(Str::Borrowed(name)), topic_id: Uuid::ZERO }
    }

    async fn ask(
        controller: &ControllerClient,
        version: i16,
        topics: Option<Vec<Topic<'static>>>,
        auto_create: bool,
    ) -> MetadataResponse<'static> {
        let settings = MetadataSettings { auto_create_topics: true };
        let request = MetadataRequest { topics, allow_auto_topic_creation: auto_create, ..Default::default() };
        handle(controller, &settings, &context(version, "PLAINTEXT"), request).await
    }

    /// The topics of an answer as "name:code[partitions]".
    fn shown(response: &MetadataResponse<'_>) -> Vec<String> {
        let topics = response.topics.iter();
        topics
            .map(|topic| {
                let name = topic.name.as_deref().unwrap_or("-");
                format!("{name}:{}[{}]", topic.error_code, topic.partitions.len())
            })
            .collect()
    }

    #[tokio::test]
    async fn missing_topics_are_created_where_both_sides_allow_it() {
        let node = Node::on_new_directory();
        let running = node.start().await.unwrap();
        let topics = || Some(vec![named("new"), named("a b"), named("new"), named("__consumer_offsets")]);
        let refused = ask(&running.client, 12, topics(), false).await;
        assert_eq!(shown(&refused), ["new:3[0]", "a b:17[0]", "__consumer_offsets:3[0]"]);
        let created = ask(&running.client, 12, topics(), true).await;
        assert_eq!(shown(&created), ["new:0[1]", "a b:17[0]", "__consumer_offsets:0[4]"]);
        assert_eq!(created.topics.iter().map(|topic| topic.is_internal).collect::<Vec<_>>(), [false, false, true]);
    }

    #[tokio::test]
    async fn all_topics_are_asked_for_by_null_and_once_by_nothing() {
        let node = Node::on_new_directory();
        let running = node.start().await.unwrap();
        running.create("t", 2).await.unwrap();
        assert_eq!(shown(&ask(&running.client, 0, Some(Vec::new()), false).await), ["t:0[2]"]);
        assert_eq!(shown(&ask(&running.client, 1, Some(Vec::new()), false).await), [""; 0]);
        assert_eq!(shown(&ask(&running.client, 12, None, false).await), ["t:0[2]"]);
    }

    #[tokio::test]
    async fn one_id_makes_all_names_void() {
        let node = Node::on_new_directory();
        let running = node.start().await.unwrap();
        let id = running.create("t", 2).await.unwrap().id;
        let by_id = |topic_id| Topic { name: None, topic_id };
        let mixed = Some(vec![by_id(id), by_id(Uuid([9; 16])), named("t"), by_id(Uuid::ZERO)]);
        let mut answered = shown(&ask(&running.client, 12, mixed.clone(), false).await);
        answered.sort();
        assert_eq!(answered, ["-:100[0]", "t:0[2]"]);
        let too_early = ask(&running.client, 11, mixed, false).await;
        assert!(too_early.topics.iter().all(|topic| topic.error_code == ErrorCode::InvalidRequest.code()));
    }

    #[tokio::test]
    async fn a_leader_without_an_address_on_the_listener_is_told_so() {
        let node = Node::on_new_directory();
        let running = node.start().await.unwrap();
        running.create("t", 1).await.unwrap();
        let settings = MetadataSettings { auto_create_topics: false };
        for (version, code) in [(12, ErrorCode::ListenerNotFound), (5, ErrorCode::LeaderNotAvailable)] {
            let request = MetadataRequest::default();
            let response = handle(&running.client, &settings, &context(version, "OTHER"), request).await;
            let partition = &response.topics[0].partitions[0];
            assert_eq!((partition.error_code, partition.leader_id), (code.code(), NO_LEADER));
            assert_eq!(partition.offline_replicas, [1]);
            assert!(response.brokers.is_empty());
            assert_eq!(response.controller_id, -1);
        }
    }

    /// A partition's code, leader, replicas, ISR and offline replicas as clients of broker 1 see it.
    fn seen(version: i16, leader: i32) -> (i16, i32, Vec<i32>, Vec<i32>, Vec<i32>) {
        let image = cluster();
        let registration = PartitionRegistration { leader, ..image.topics.partition("t", 0).unwrap().clone() };
        let (context, operations) = (context(version, "PLAINTEXT"), 0);
        let partition =
            Answer { image: &image, listed: &[], context: &context, operations }.partition(0, &registration);
        let MetadataResponsePartition { error_code, leader_id, replica_nodes, isr_nodes, offline_replicas, .. } =
            partition;
        (error_code, leader_id, replica_nodes, isr_nodes, offline_replicas)
    }

    #[test]
    fn fenced_brokers_are_not_shown_and_their_replicas_are_offline() {
        let image = cluster();
        let (context, operations) = (context(12, "PLAINTEXT"), 0);
        let brokers = |listed: &[i32]| {
            let brokers = Answer { image: &image, listed, context: &context, operations }.brokers();
            brokers.iter().map(|broker| broker.node_id).collect::<Vec<_>>()
        };
        assert_eq!((brokers(&[]), brokers(&[3, 4, 9])), (vec![1, 2], vec![1, 2, 3]));
        let (replicas, isr) = (vec![1, 2, 3, 4], vec![1, 2, 3, 4]);
        assert_eq!(seen(12, 2), (0, 2, replicas.clone(), isr.clone(), vec![3, 4]));
        for leader in [NO_LEADER, 3, 9] {
            let code = ErrorCode::LeaderNotAvailable.code();
            assert_eq!(seen(12, leader), (code, NO_LEADER, replicas.clone(), isr.clone(), vec![3, 4]));
        }
        let code = ErrorCode::ListenerNotFound.code();
        assert_eq!(seen(12, 4), (code, NO_LEADER, replicas, isr, vec![3, 4]));
    }

    #[test]
    fn the_first_version_hides_replicas_that_are_offline() {
        assert_eq!(seen(0, 2), (ErrorCode::ReplicaNotAvailable.code(), 2, vec![1, 2], vec![1, 2], vec![3, 4]));
        assert_eq!(seen(0, 3), (ErrorCode::LeaderNotAvailable.code(), NO_LEADER, vec![1, 2], vec![1, 2], vec![3, 4]));
    }

    #[test]
    fn a_replica_in_a_directory_that_has_failed_is_offline() {
        let mut image = cluster();
        let (works, failed) = (Uuid([7; 16]), Uuid([8; 16]));
        for id in [1, 2] {
            let directories = vec![works];
            let broker = BrokerRegistration { directories, ..(*image.brokers[&id]).clone() };
            image.brokers.insert(id, broker.into());
        }
        let directories = [works, failed, works, works].into();
        let partition =
            PartitionRegistration { directories, ..image.topics.partition("t", 0).expect("it was created").clone() };
        assert_eq!(image.offline_replicas(&partition, "PLAINTEXT").collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(image.offline_replicas(&partition, "OTHER").collect::<Vec<_>>(), [1, 2, 3]);
    }
}
