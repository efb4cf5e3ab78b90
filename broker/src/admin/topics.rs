//! Changes of topics and configurations, as requests to this node's controller. What is allowed it alone decides, as for
//! clients of Kafka's protocol.
//!
//! The controller refuses a request as a whole whose records do not fit into one batch. A call may hold more: it is asked for
//! in parts, one after the other.

use super::answers::{not_active, refused};
use super::proto::resource_configs::Resource;
use super::proto::*;
use crate::controller::ControllerClient;
use crate::controller::image::ResourceType;
use crate::controller::request::{
    self, AlterConfigs, AlterReassignments, AlteredResource, ConfigChange, ConfigOperation, CreatePartitions,
    CreateTopics, ElectLeaders, Election, ElectionType, NewPartitions, Outcome, ReassignedPartition, Refusal, Request,
    Response, TopicSelector,
};
use crate::controller::state::RECORDS_PER_REQUEST_MAX;
use crate::protocol::{ErrorCode, Uuid};
use std::collections::BTreeMap;
use std::result::Result;
use tonic::Status;
use tracing::info;

pub async fn create(controller: &ControllerClient, call: CreateTopicsRequest) -> Result<Results, Status> {
    asked(controller, "create topics", call.topics.len())?;
    let topics = call.topics.into_iter().map(|topic| {
        let records = 1 + topic.assignment.len() + topic.configs.len();
        (records, new_topic(topic))
    });
    let request = |topics| Request::CreateTopics(CreateTopics { topics, validate_only: false });
    let outcomes = |response| match response {
        Response::CreateTopics(outcomes) => outcomes.into_iter().map(|outcome| outcome.map(drop)).collect(),
        other => unreachable!("the controller answered {other:?}"),
    };
    in_parts(controller, topics, request, outcomes).await
}

pub async fn add_partitions(controller: &ControllerClient, call: AddPartitionsRequest) -> Result<Results, Status> {
    asked(controller, "add partitions", call.topics.len())?;
    let topics = call.topics.into_iter().map(|topic| (topic.assignment.len(), new_partitions(topic)));
    let request = |topics| Request::CreatePartitions(CreatePartitions { topics, validate_only: false });
    let outcomes = |response| match response {
        Response::CreatePartitions(outcomes) => outcomes,
        other => unreachable!("the controller answered {other:?}"),
    };
    in_parts(controller, topics, request, outcomes).await
}

pub async fn delete(controller: &ControllerClient, call: DeleteTopicsRequest) -> Result<Results, Status> {
    asked(controller, "delete topics", call.topics.len())?;
    let allowed = controller.deletes_topics();
    let topics = call.topics.into_iter().map(|topic| match allowed {
        true => (1, selector(topic)),
        false => (0, Err(ErrorCode::TopicDeletionDisabled.into())),
    });
    let outcomes = |response| match response {
        Response::DeleteTopics(outcomes) => outcomes.into_iter().map(|outcome| outcome.map(drop)).collect(),
        other => unreachable!("the controller answered {other:?}"),
    };
    in_parts(controller, topics, Request::DeleteTopics, outcomes).await
}

pub async fn alter_configs(controller: &ControllerClient, call: AlterConfigsRequest) -> Result<Results, Status> {
    asked(controller, "change configurations", call.resources.len())?;
    // What changes the smallest ISR takes a further record.
    let resources = call.resources.into_iter().map(|one| (1 + one.set.len() + one.unset.len(), altered(one)));
    let request = |resources| Request::AlterConfigs(AlterConfigs { resources, validate_only: false });
    let outcomes = |response| match response {
        Response::AlterConfigs(outcomes) => outcomes,
        other => unreachable!("the controller answered {other:?}"),
    };
    in_parts(controller, resources, request, outcomes).await
}

pub async fn reassign(controller: &ControllerClient, call: ReassignPartitionsRequest) -> Result<Results, Status> {
    asked(controller, "move replicas", call.moves.len())?;
    let moves = call.moves.into_iter().map(|one| (1, Ok(reassigned(one))));
    let request = |partitions| {
        Request::AlterReassignments(AlterReassignments { allow_replication_factor_change: true, partitions })
    };
    let outcomes = |response| match response {
        Response::AlterReassignments(outcomes) => outcomes,
        other => unreachable!("the controller answered {other:?}"),
    };
    in_parts(controller, moves, request, outcomes).await
}

pub async fn elect(controller: &ControllerClient, call: ElectPreferredLeadersRequest) -> Result<Results, Status> {
    asked(controller, "elect preferred leaders", call.partitions.len())?;
    let named: Vec<(String, i32)> = call.partitions.into_iter().map(|one| (one.topic, one.partition)).collect();
    let partitions = (!named.is_empty()).then(|| named.clone());
    let request = Request::ElectLeaders(ElectLeaders { election: ElectionType::Preferred, partitions });
    let elections = match decide(controller, request).await? {
        Response::ElectLeaders(elections) => elections,
        other => unreachable!("the controller answered {other:?}"),
    };
    let results = if named.is_empty() { vec![result(all_of(elections))] } else { each_of(&named, elections) };
    Ok(Results { results })
}

/// The results in the order of `asked`, which may name a partition twice; `elections` has each once.
fn each_of(asked: &[(String, i32)], elections: Vec<Election>) -> Vec<super::proto::Result> {
    let outcome = |election: Election| ((election.topic, election.partition), election.outcome);
    let outcomes: BTreeMap<(String, i32), Outcome<()>> = elections.into_iter().map(outcome).collect();
    asked.iter().map(|partition| result(outcomes[partition].clone())).collect()
}

/// What an election of all partitions that have another leader comes to.
fn all_of(elections: Vec<Election>) -> Outcome<()> {
    let all = elections.len();
    let mut failed = elections.into_iter().filter_map(|one| Some((one.topic, one.partition, one.outcome.err()?)));
    let Some((topic, partition, refusal)) = failed.next() else { return Ok(()) };
    let text = format!("{} of {all} partitions keep another leader, {topic}-{partition} first.", 1 + failed.count());
    Err(Refusal::new(refusal.code, text))
}

fn new_topic(topic: NewTopic) -> Outcome<request::NewTopic> {
    if topic.assignment.is_empty() {
        let text = format!("The topic {} is given brokers for no partition.", topic.name);
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
    }
    let assignments = (0..).zip(topic.assignment.into_iter().map(|replicas| replicas.brokers)).collect();
    let configs = topic.configs.into_iter().map(|config| (config.name, Some(config.value))).collect();
    Ok(request::NewTopic { assignments, configs, ..request::NewTopic::with_defaults(topic.name) })
}

fn new_partitions(topic: AddedPartitions) -> Outcome<NewPartitions> {
    let beyond = |_| Refusal::new(ErrorCode::InvalidPartitions, "No topic has that many partitions.");
    let from = i32::try_from(topic.from).map_err(beyond)?;
    let count = i32::try_from(topic.from as usize + topic.assignment.len()).map_err(beyond)?;
    let assignments = topic.assignment.into_iter().map(|replicas| replicas.brokers).collect();
    Ok(NewPartitions { topic: topic.topic, from: Some(from), count, assignments: Some(assignments) })
}

fn selector(DeletedTopic { name, id }: DeletedTopic) -> Outcome<TopicSelector> {
    if id.is_empty() {
        return Ok(TopicSelector::Name(name));
    }
    let unknown = || Refusal::new(ErrorCode::UnknownTopicId, format!("'{id}' is not the id of a topic."));
    Ok(TopicSelector::NameAndId(name, Uuid::parse(&id).ok_or_else(unknown)?))
}

fn altered(ResourceConfigs { resource, set, unset }: ResourceConfigs) -> Outcome<AlteredResource> {
    const ALL_BROKERS: i32 = -1;
    let (resource, name) = match resource {
        Some(Resource::Topic(name)) => (ResourceType::Topic, name),
        Some(Resource::Broker(ALL_BROKERS)) => (ResourceType::Broker, String::new()),
        Some(Resource::Broker(id)) => (ResourceType::Broker, id.to_string()),
        None => return Err(Refusal::new(ErrorCode::InvalidRequest, "Neither a topic nor a broker is named.")),
    };
    let set = set.into_iter().map(|config| (config.name, ConfigOperation::Set(config.value)));
    let unset = unset.into_iter().map(|name| (name, ConfigOperation::Delete));
    Ok(AlteredResource { resource, name, change: ConfigChange::Alter(set.chain(unset).collect()) })
}

fn reassigned(PartitionMove { partition, replicas }: PartitionMove) -> ReassignedPartition {
    let Partition { topic, partition } = partition.unwrap_or_default();
    ReassignedPartition { topic, partition, replicas: (!replicas.is_empty()).then_some(replicas) }
}

/// Takes note of what is asked for. Errors: this node does not decide about it.
fn asked(controller: &ControllerClient, what: &str, count: usize) -> Result<(), Status> {
    if !controller.leads() {
        return Err(not_active(controller));
    }
    info!(count, "asked to {what}");
    Ok(())
}

async fn decide(controller: &ControllerClient, request: Request) -> Result<Response, Status> {
    controller.decide_and_apply(request).await.map_err(|refusal| refused(controller, &refusal))
}

/// Has the controller decide about `all`, each of them with the records that it takes at most; what could not be understood is
/// not asked for. `outcomes` takes the outcomes out of the answer to a `request`.
async fn in_parts<T>(
    controller: &ControllerClient,
    all: impl Iterator<Item = (usize, Outcome<T>)>,
    request: impl Fn(Vec<T>) -> Request,
    outcomes: impl Fn(Response) -> Vec<Outcome<()>>,
) -> Result<Results, Status> {
    let mut results = Vec::new();
    for part in parts(all, RECORDS_PER_REQUEST_MAX) {
        let (understood, refusals) = understood(part);
        let mut decided = outcomes(decide(controller, request(understood)).await?).into_iter();
        let outcome = |refusal| match refusal {
            Some(refusal) => Err(refusal),
            None => decided.next().expect("one outcome for each"),
        };
        results.extend(refusals.into_iter().map(outcome).map(result));
    }
    Ok(Results { results })
}

/// What was understood, and for each of `part` its refusal or that it was understood.
fn understood<T>(part: Vec<Outcome<T>>) -> (Vec<T>, Vec<Option<Refusal>>) {
    let mut understood = Vec::new();
    let refusal = |one: Outcome<T>| one.map(|one| understood.push(one)).err();
    let refusals = part.into_iter().map(refusal).collect();
    (understood, refusals)
}

/// Cuts `all` into parts of `records_max` records at most, or of one that takes more.
fn parts<T>(all: impl Iterator<Item = (usize, T)>, records_max: usize) -> Vec<Vec<T>> {
    let (mut parts, mut records) = (Vec::<Vec<T>>::new(), 0);
    for (takes, one) in all {
        match parts.last_mut().filter(|_| records + takes <= records_max) {
            Some(part) => {
                part.push(one);
                records += takes;
            }
            None => {
                parts.push(vec![one]);
                records = takes;
            }
        }
    }
    parts
}

fn result(outcome: Outcome<()>) -> super::proto::Result {
    match outcome {
        Ok(()) => super::proto::Result::default(),
        Err(refusal) => {
            super::proto::Result { error: refusal.code.name().to_owned(), message: refusal.message.unwrap_or_default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_what_one_batch_may() {
        let cut = |records: &[usize]| parts(records.iter().map(|takes| (*takes, *takes)), 10);
        assert_eq!(cut(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(cut(&[4, 6, 1, 20, 3, 3]), [vec![4, 6], vec![1], vec![20], vec![3, 3]]);
    }

    #[test]
    fn what_is_not_understood_is_refused_in_its_place() {
        let refusal = Refusal::from(ErrorCode::InvalidRequest);
        let (asked, refusals) = understood(vec![Ok(1), Err(refusal.clone()), Ok(3)]);
        assert_eq!((asked, refusals), (vec![1, 3], vec![None, Some(refusal), None]));
    }

    #[test]
    fn a_partition_that_is_asked_for_twice_is_answered_twice() {
        let asked = [("t".to_owned(), 1), ("t".to_owned(), 0), ("t".to_owned(), 1)];
        let election = |partition, outcome| Election { topic: "t".into(), partition, outcome };
        let elections = vec![election(1, Err(ErrorCode::ElectionNotNeeded.into())), election(0, Ok(()))];
        let errors: Vec<String> = each_of(&asked, elections.clone()).into_iter().map(|one| one.error).collect();
        assert_eq!(errors, ["ELECTION_NOT_NEEDED", "", "ELECTION_NOT_NEEDED"]);
        let of_all = all_of(elections).unwrap_err();
        assert_eq!(of_all.message.as_deref(), Some("1 of 2 partitions keep another leader, t-1 first."));
        assert_eq!(all_of(Vec::new()), Ok(()));
    }

    #[test]
    fn an_id_that_is_none_names_no_topic() {
        let topic = |id: &str| DeletedTopic { name: "t".into(), id: id.into() };
        assert_eq!(selector(topic("")), Ok(TopicSelector::Name("t".into())));
        assert_eq!(selector(topic("x")).unwrap_err().code, ErrorCode::UnknownTopicId);
    }
}
