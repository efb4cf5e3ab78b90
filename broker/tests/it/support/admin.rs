//! An operator at a node's Admin service, and the topics that it sees there.

use std::collections::BTreeMap;
use std::time::Duration;

use barnabas::admin::proto::admin_client::AdminClient;
use barnabas::admin::proto::{
    self, ClusterState, Config, Replicas, Results, Topic, TopicChanges, WatchClusterRequest, WatchTopicsRequest,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// How long a state may be waited for, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

pub type Operator = AdminClient<Channel>;

/// An operator who asks the node whose `admin.listener` has this port.
pub fn operator(port: u16) -> Operator {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    AdminClient::new(endpoint.connect_lazy())
}

/// The states of the cluster that a node tells.
pub struct Watcher(Streaming<ClusterState>);

impl Watcher {
    pub async fn of(operator: &mut Operator) -> Watcher {
        let call = operator.watch_cluster(WatchClusterRequest::default());
        Watcher(call.await.expect("a stream of states").into_inner())
    }

    /// The next state.
    pub async fn next(&mut self) -> Result<ClusterState, tonic::Status> {
        let message = tokio::time::timeout(PATIENCE, self.0.message()).await;
        message.expect("a state in time").map(|state| state.expect("the stream ends with an error"))
    }

    /// Waits for a state that `suits`; panics with `what` when there is none in time.
    pub async fn wait_for(&mut self, what: &str, suits: impl Fn(&ClusterState) -> bool) -> ClusterState {
        let mut last = None;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let state = self.next().await.expect("a state");
                if suits(&state) {
                    return state;
                }
                last = Some(state);
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited for {what}; the last state was {last:?}"))
    }

    /// Whether nothing is told for `time`.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.message()).await.is_err()
    }
}

/// The topics that a node tells of, as it has told so far.
pub struct Topics {
    changes: Streaming<TopicChanges>,
    pub known: BTreeMap<String, Topic>,
}

impl Topics {
    /// All that there are.
    pub async fn of(operator: &mut Operator) -> Topics {
        let call = operator.watch_topics(WatchTopicsRequest::default());
        let changes = call.await.expect("a stream of changes").into_inner();
        let mut topics = Topics { changes, known: BTreeMap::new() };
        while !topics.hear().await.complete {}
        topics
    }

    /// The next message, which is known then.
    pub async fn hear(&mut self) -> TopicChanges {
        let message = tokio::time::timeout(PATIENCE, self.changes.message()).await.expect("a change in time");
        let message = message.expect("no error").expect("the stream ends with an error");
        message.deleted.iter().for_each(|name| drop(self.known.remove(name)));
        self.known.extend(message.changed.iter().map(|topic| (topic.name.clone(), topic.clone())));
        message
    }

    /// Waits until what is known of the topic `suits`; panics with `what` when that does not come in time.
    pub async fn wait_for(&mut self, what: &str, name: &str, suits: impl Fn(Option<&Topic>) -> bool) -> Option<Topic> {
        let found = tokio::time::timeout(PATIENCE, async {
            while !suits(self.known.get(name)) {
                self.hear().await;
            }
        });
        let found = found.await.is_ok();
        assert!(found, "waited for {what}; last known was {:?}", self.known.get(name));
        self.known.get(name).cloned()
    }

    /// Whether nothing is told for `time`.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.changes.message()).await.is_err()
    }
}

/// What became of each part of a request: the name of the error, or "".
pub fn errors(results: tonic::Response<Results>) -> Vec<String> {
    results.into_inner().results.into_iter().map(|result| result.error).collect()
}

/// A topic with these replicas, the preferred leader first.
pub fn topic_on(name: &str, assignment: &[&[i32]], configs: &[(&str, &str)]) -> proto::NewTopic {
    let config = |(name, value): &(&str, &str)| Config { name: name.to_string(), value: value.to_string() };
    proto::NewTopic {
        name: name.to_owned(),
        assignment: replicas(assignment),
        configs: configs.iter().map(config).collect(),
    }
}

/// The brokers of some partitions.
pub fn replicas(assignment: &[&[i32]]) -> Vec<Replicas> {
    assignment.iter().map(|brokers| Replicas { brokers: brokers.to_vec() }).collect()
}

/// Creates a topic with these settings, as a client of Kafka's protocol.
pub async fn create_topic(bootstrap: &str, name: &str, partitions: i32, replicas: i32, configs: &[(&str, &str)]) {
    let mut client = ClientConfig::new();
    let admin: rdkafka::admin::AdminClient<DefaultClientContext> =
        client.set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let topic = configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await;
    assert_eq!(created.expect("an answer"), [Ok(name.to_owned())]);
}
