//! The admin service of a cluster, in memory: one node, which is the active controller.

use crate::admin::proto::admin_server::{Admin, AdminServer};
use crate::admin::proto::resource_configs::Resource;
use crate::admin::proto::*;
use futures::stream::BoxStream;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What a cluster is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    MayRestart(i32),
    DrainLeaders(DrainLeadersRequest),
    DeclareDead(DeclareDeadRequest),
    Unregister(i32),
    ShutDown(i32),
    CreateTopics(CreateTopicsRequest),
    AddPartitions(AddPartitionsRequest),
    DeleteTopics(DeleteTopicsRequest),
    AlterConfigs(AlterConfigsRequest),
    Reassign(ReassignPartitionsRequest),
    ElectPreferred(ElectPreferredLeadersRequest),
}

/// How a cluster is.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub cluster: ClusterState,
    pub topics: BTreeMap<String, Topic>,
    /// Why no node may be restarted.
    pub reasons: Vec<Reason>,
    /// What each part of a call of this name (`create_topics`) is refused with.
    pub refusals: HashMap<&'static str, Result>,
    /// Whether calls are not answered while this is so.
    pub is_mute: bool,
    topics_made: usize,
}

/// The service, which ends when this is dropped.
pub struct FakeAdmin {
    pub address: String,
    service: Service,
    server: AbortHandle,
}

impl Drop for FakeAdmin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeAdmin {
    /// A cluster with brokers 0 to `brokers` - 1, each in a rack of its own (`r0`, ...).
    pub async fn start(brokers: i32) -> FakeAdmin {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        FakeAdmin::serve(brokers, listener)
    }

    /// The same on a port that is fixed, at an address of this machine where it is free.
    pub async fn start_on(port: u16, brokers: i32) -> FakeAdmin {
        // Other processes look for a free address at the same time.
        let mut number = std::process::id().wrapping_mul(0x9e37) & 0x00ff_fffc;
        loop {
            number = (number + 1) & 0x00ff_ffff;
            let address = std::net::Ipv4Addr::from(0x7f00_0000 | number);
            if let Ok(listener) = TcpListener::bind((address, port)).await {
                return FakeAdmin::serve(brokers, listener);
            }
        }
    }

    fn serve(brokers: i32, listener: TcpListener) -> FakeAdmin {
        let broker = |id| Broker {
            id,
            epoch: 1,
            incarnation: format!("i{id}"),
            rack: Some(format!("r{id}")),
            ..Default::default()
        };
        let cluster = ClusterState {
            cluster_id: "cluster".into(),
            active_controller_id: Some(0),
            brokers: (0..brokers).map(broker).collect(),
            ..ClusterState::default()
        };
        let (state, _) = watch::channel(State { cluster, ..State::default() });
        let service = Service { state: Arc::new(state), calls: Arc::default() };
        let address = listener.local_addr().expect("it has one").to_string();
        let served = tonic::transport::Server::builder().serve_with_incoming(
            AdminServer::new(service.clone()),
            TcpIncoming::from(listener).with_nodelay(Some(true)),
        );
        let server = tokio::spawn(served).abort_handle();
        FakeAdmin { address, service, server }
    }

    /// Changes the cluster, as somebody else.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        self.service.change(change);
    }

    pub fn state(&self) -> State {
        self.service.state.borrow().clone()
    }

    /// What was asked for since this was asked last.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.service.calls.lock().expect("no panic while held"))
    }

    /// Puts a topic there, as somebody else. Gives its id.
    pub fn make(&self, name: &str, replicas: &[&[i32]]) -> String {
        let assignment = replicas.iter().map(|brokers| Replicas { brokers: brokers.to_vec() }).collect();
        let topic = NewTopic { name: name.to_owned(), assignment, configs: Vec::new() };
        self.change(|state| drop(state.create(topic)));
        self.state().topics[name].id.clone()
    }

    /// All moves are done.
    pub fn finish_moves(&self) {
        self.change(|state| {
            for partition in state.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
                let removing = std::mem::take(&mut partition.removing);
                partition.replicas.retain(|id| !removing.contains(id));
                partition.adding.clear();
                partition.isr = partition.replicas.clone();
            }
            state.count_moves();
        });
    }
}

impl State {
    /// What the brokers' processes are now, by id: the others have ended.
    pub fn set_processes(&mut self, processes: &BTreeMap<i32, String>) {
        let brokers = &mut self.cluster.brokers;
        for broker in brokers.iter_mut() {
            broker.fenced = processes.get(&broker.id) != Some(&broker.incarnation);
        }
        for (id, incarnation) in processes {
            if !brokers.iter().any(|broker| broker.id == *id && !broker.fenced) {
                brokers.retain(|broker| broker.id != *id);
                brokers.push(Broker {
                    id: *id,
                    incarnation: incarnation.clone(),
                    rack: Some(format!("r{}", id % 3)),
                    ..Broker::default()
                });
            }
        }
        brokers.sort_by_key(|broker| broker.id);
        self.lead();
    }

    /// Each partition is led by the first of its replicas that may lead.
    fn lead(&mut self) {
        let brokers = &mut self.cluster.brokers;
        brokers.iter_mut().for_each(|broker| (broker.leads, broker.holds) = (0, 0));
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            let may = |id: &&i32| brokers.iter().any(|it| it.id == **id && !it.fenced && !it.drained);
            partition.leader = partition.replicas.iter().find(may).copied().or(partition.leader);
            for broker in brokers.iter_mut().filter(|broker| partition.replicas.contains(&broker.id)) {
                broker.holds += 1;
                broker.leads += u64::from(partition.leader == Some(broker.id));
            }
        }
    }

    fn create(&mut self, new: NewTopic) -> Result {
        if self.topics.contains_key(&new.name) {
            return refusal("TOPIC_ALREADY_EXISTS");
        }
        self.topics_made += 1;
        let topic = Topic {
            name: new.name.clone(),
            id: format!("id-{}", self.topics_made),
            internal: false,
            partitions: new.assignment.into_iter().map(partition).collect(),
            configs: new.configs,
        };
        self.topics.insert(new.name, topic);
        Result::default()
    }

    fn add(&mut self, added: AddedPartitions) -> Result {
        let Some(topic) = self.topics.get_mut(&added.topic) else { return refusal("UNKNOWN_TOPIC_OR_PARTITION") };
        if topic.partitions.len() != added.from as usize {
            return refusal("INVALID_PARTITIONS");
        }
        topic.partitions.extend(added.assignment.into_iter().map(partition));
        Result::default()
    }

    fn delete(&mut self, deleted: &DeletedTopic) -> Result {
        match self.topics.get(&deleted.name) {
            None => refusal("UNKNOWN_TOPIC_OR_PARTITION"),
            Some(topic) if !deleted.id.is_empty() && topic.id != deleted.id => refusal("UNKNOWN_TOPIC_ID"),
            Some(_) => {
                self.topics.remove(&deleted.name);
                Result::default()
            }
        }
    }

    fn alter(&mut self, altered: ResourceConfigs) -> Result {
        let configs = match altered.resource {
            Some(Resource::Broker(_)) => &mut self.cluster.broker_configs,
            Some(Resource::Topic(name)) => match self.topics.get_mut(&name) {
                Some(topic) => &mut topic.configs,
                None => return refusal("UNKNOWN_TOPIC_OR_PARTITION"),
            },
            None => return refusal("INVALID_REQUEST"),
        };
        configs.retain(|one| !altered.unset.contains(&one.name) && altered.set.iter().all(|set| set.name != one.name));
        configs.extend(altered.set);
        configs.sort_by(|one, other| one.name.cmp(&other.name));
        Result::default()
    }

    fn reassign(&mut self, moved: PartitionMove) -> Result {
        let which = moved.partition.unwrap_or_default();
        let topic = self.topics.get_mut(&which.topic);
        let partition = topic.and_then(|topic| topic.partitions.get_mut(which.partition as usize));
        let Some(partition) = partition else { return refusal("UNKNOWN_TOPIC_OR_PARTITION") };
        let before: Vec<i32> = without(&partition.replicas, &partition.adding);
        partition.adding = without(&moved.replicas, &before);
        partition.removing = without(&before, &moved.replicas);
        partition.replicas = moved.replicas.into_iter().chain(partition.removing.clone()).collect();
        self.count_moves();
        Result::default()
    }

    fn count_moves(&mut self) {
        let partitions = self.topics.values().flat_map(|topic| &topic.partitions);
        let moving = partitions.filter(|one| !one.adding.is_empty() || !one.removing.is_empty());
        self.cluster.reassignments = Some(ReassignmentList { count: moving.count() as u64, first: Vec::new() });
    }
}

#[derive(Clone)]
struct Service {
    state: Arc<watch::Sender<State>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Service {
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(|state| {
            change(state);
            state.cluster.topics = state.topics.len() as u64;
        });
    }

    async fn called(&self, call: Call) {
        self.calls.lock().expect("no panic while held").push(call);
        self.state.subscribe().wait_for(|state| !state.is_mute).await.ok();
    }

    fn results<T>(&self, name: &str, parts: Vec<T>, act: impl Fn(&mut State, T) -> Result) -> Answer<Results> {
        let mut results = Vec::new();
        self.change(|state| {
            for part in parts {
                let refusal = state.refusals.get(name).cloned();
                results.push(refusal.unwrap_or_else(|| act(state, part)));
            }
        });
        Ok(Response::new(Results { results }))
    }
}

type Answer<T> = std::result::Result<Response<T>, Status>;
type Told<T> = BoxStream<'static, std::result::Result<T, Status>>;

#[tonic::async_trait]
impl Admin for Service {
    type WatchClusterStream = Told<ClusterState>;
    type WatchTopicsStream = Told<TopicChanges>;

    async fn watch_cluster(&self, _: Request<WatchClusterRequest>) -> Answer<Self::WatchClusterStream> {
        let mut states = self.state.subscribe();
        states.mark_changed();
        let told = futures::stream::unfold((states, None), async |(mut states, before)| {
            loop {
                states.changed().await.ok()?;
                let state = states.borrow_and_update().cluster.clone();
                if before.as_ref() != Some(&state) {
                    return Some((Ok(state.clone()), (states, Some(state))));
                }
            }
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn watch_topics(&self, _: Request<WatchTopicsRequest>) -> Answer<Self::WatchTopicsStream> {
        let mut states = self.state.subscribe();
        states.mark_changed();
        let told = futures::stream::unfold((states, None), async |(mut states, before)| {
            loop {
                states.changed().await.ok()?;
                let topics = states.borrow_and_update().topics.clone();
                if let Some(changes) = difference(before.as_ref(), &topics) {
                    return Some((Ok(changes), (states, Some(topics))));
                }
            }
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn may_restart(&self, request: Request<MayRestartRequest>) -> Answer<MayRestartResponse> {
        self.called(Call::MayRestart(request.into_inner().node_id)).await;
        let reasons = self.state.borrow().reasons.clone();
        Ok(Response::new(MayRestartResponse { may_restart: reasons.is_empty(), reasons }))
    }

    async fn drain_leaders(&self, request: Request<DrainLeadersRequest>) -> Answer<DrainLeadersResponse> {
        let request = request.into_inner();
        self.called(Call::DrainLeaders(request)).await;
        let mut leads = 0;
        self.change(|state| {
            for broker in state.cluster.brokers.iter_mut().filter(|broker| broker.id == request.broker_id) {
                broker.drained = request.drained;
                broker.leads = if request.drained { 0 } else { broker.leads };
                leads = broker.leads;
            }
        });
        Ok(Response::new(DrainLeadersResponse { leads }))
    }

    async fn declare_dead(&self, request: Request<DeclareDeadRequest>) -> Answer<DeclareDeadResponse> {
        let request = request.into_inner();
        self.called(Call::DeclareDead(request.clone())).await;
        let mut is_known = false;
        self.change(|state| {
            for broker in &mut state.cluster.brokers {
                if broker.id == request.broker_id && broker.incarnation == request.incarnation {
                    (broker.fenced, is_known) = (true, true);
                }
            }
        });
        match is_known {
            true => Ok(Response::new(DeclareDeadResponse {})),
            false => Err(Status::not_found("no such process")),
        }
    }

    async fn unregister_broker(&self, request: Request<UnregisterBrokerRequest>) -> Answer<UnregisterBrokerResponse> {
        let id = request.into_inner().broker_id;
        self.called(Call::Unregister(id)).await;
        match self.state.borrow().cluster.brokers.iter().find(|broker| broker.id == id) {
            None => return Err(Status::not_found("no such broker")),
            Some(broker) if !broker.fenced => return Err(Status::failed_precondition("the broker is not fenced")),
            Some(_) => {}
        }
        self.change(|state| state.cluster.brokers.retain(|broker| broker.id != id));
        Ok(Response::new(UnregisterBrokerResponse {}))
    }

    async fn shut_down(&self, request: Request<ShutDownRequest>) -> Answer<ShutDownResponse> {
        self.called(Call::ShutDown(request.into_inner().node_id)).await;
        Ok(Response::new(ShutDownResponse {}))
    }

    async fn create_topics(&self, request: Request<CreateTopicsRequest>) -> Answer<Results> {
        let request = request.into_inner();
        self.called(Call::CreateTopics(request.clone())).await;
        self.results("create_topics", request.topics, State::create)
    }

    async fn add_partitions(&self, request: Request<AddPartitionsRequest>) -> Answer<Results> {
        let request = request.into_inner();
        self.called(Call::AddPartitions(request.clone())).await;
        self.results("add_partitions", request.topics, State::add)
    }

    async fn delete_topics(&self, request: Request<DeleteTopicsRequest>) -> Answer<Results> {
        let request = request.into_inner();
        self.called(Call::DeleteTopics(request.clone())).await;
        self.results("delete_topics", request.topics, |state, topic| state.delete(&topic))
    }

    async fn alter_configs(&self, request: Request<AlterConfigsRequest>) -> Answer<Results> {
        let request = request.into_inner();
        self.called(Call::AlterConfigs(request.clone())).await;
        self.results("alter_configs", request.resources, State::alter)
    }

    async fn reassign_partitions(&self, request: Request<ReassignPartitionsRequest>) -> Answer<Results> {
        let request = request.into_inner();
        self.called(Call::Reassign(request.clone())).await;
        self.results("reassign_partitions", request.moves, State::reassign)
    }

    async fn elect_preferred_leaders(&self, request: Request<ElectPreferredLeadersRequest>) -> Answer<Results> {
        let request = request.into_inner();
        self.called(Call::ElectPreferred(request.clone())).await;
        self.change(|state| state.cluster.not_preferred = 0);
        self.results("elect_preferred_leaders", request.partitions, |_, _| Result::default())
    }
}

/// What is told of topics that were `before`. `None`: nothing has changed.
fn difference(before: Option<&BTreeMap<String, Topic>>, now: &BTreeMap<String, Topic>) -> Option<TopicChanges> {
    let none = BTreeMap::new();
    let known = before.unwrap_or(&none);
    let changed: Vec<Topic> = now.values().filter(|topic| known.get(&topic.name) != Some(topic)).cloned().collect();
    let deleted: Vec<String> = known.keys().filter(|name| !now.contains_key(*name)).cloned().collect();
    let is_news = before.is_none() || !changed.is_empty() || !deleted.is_empty();
    is_news.then_some(TopicChanges { changed, deleted, complete: true, metadata_end_offset: 0 })
}

fn partition(replicas: Replicas) -> TopicPartition {
    let brokers = replicas.brokers;
    TopicPartition { leader: brokers.first().copied(), isr: brokers.clone(), replicas: brokers, ..Default::default() }
}

fn without(some: &[i32], others: &[i32]) -> Vec<i32> {
    some.iter().copied().filter(|id| !others.contains(id)).collect()
}

/// A refusal of one part of a call.
pub fn refusal(error: &str) -> Result {
    Result { error: error.to_owned(), message: "told to".to_owned() }
}
