//! An operator at a node's Admin service, and the topics that it sees there.

use std::time::Duration;

use barnabas::admin::proto::admin_client::AdminClient;
use barnabas::admin::proto::{ClusterState, WatchClusterRequest};
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

/// Creates a topic with these settings.
pub async fn create_topic(bootstrap: &str, name: &str, partitions: i32, replicas: i32, configs: &[(&str, &str)]) {
    let mut client = ClientConfig::new();
    let admin: rdkafka::admin::AdminClient<DefaultClientContext> =
        client.set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let topic = configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await;
    assert_eq!(created.expect("an answer"), [Ok(name.to_owned())]);
}
