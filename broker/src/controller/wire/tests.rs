use super::*;
use crate::controller::image::{Endpoint, SupportedFeature};
use crate::controller::request::*;
use crate::protocol::codec::{Decoder, Encoder, Wire};
use crate::protocol::{ApiKey, Uuid};

/// Encodes in `version` and gives what arrives to `read`.
fn sent<'m, M: for<'a> Wire<'a>, R>(
    api: ApiKey,
    version: i16,
    message: &impl Wire<'m>,
    read: impl FnOnce(M) -> R,
) -> R {
    read(
        M::read(&mut Decoder::new(&encoded(api, version, message), version, api.flexible(version))).expect("our bytes"),
    )
}

fn encoded<'m>(api: ApiKey, version: i16, message: &impl Wire<'m>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), version, api.flexible(version));
    message.write(&mut encoder);
    encoder.finish().0
}

fn decoded<'a, M: Wire<'a>>(api: ApiKey, version: i16, bytes: &'a [u8]) -> M {
    M::read(&mut Decoder::new(bytes, version, api.flexible(version))).expect("our own bytes")
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint { name: name.into(), host: "b1.example".into(), port: 9092, security_protocol: 2 }
}

fn features() -> Vec<SupportedFeature> {
    vec![SupportedFeature { name: "metadata.version".into(), min: 7, max: 27 }]
}

fn broker() -> RegisterBroker {
    RegisterBroker {
        id: 3,
        incarnation: Uuid([7; 16]),
        endpoints: vec![endpoint("PLAINTEXT"), endpoint("OUTSIDE")],
        features: features(),
        rack: Some("a".into()),
        directories: vec![Uuid([8; 16]), Uuid([9; 16])],
        previous_epoch: 17,
    }
}

const STALE: ErrorCode = ErrorCode::StaleBrokerEpoch;

#[test]
fn a_broker_registers_as_it_is() {
    let bytes = encoded(ApiKey::BrokerRegistration, 4, &broker_registration_request("cluster", &broker()));
    let read = |cluster| read_broker_registration(cluster, decoded(ApiKey::BrokerRegistration, 4, &bytes));
    assert_eq!(read("cluster"), Ok(broker()));
    assert_eq!(read("another"), Err(ErrorCode::InconsistentClusterId.into()));
    for epoch in [Ok(99), Err(ErrorCode::DuplicateBrokerRegistration.into())] {
        let message = broker_registration_response(&epoch);
        let read = |answer| read_broker_registration_response(&answer);
        assert_eq!(sent(ApiKey::BrokerRegistration, 4, &message, read), epoch);
    }
}

#[test]
fn a_broker_of_zookeeper_is_refused() {
    let broker = broker();
    let request = broker_registration_request("cluster", &broker);
    let migrating = crate::protocol::messages::broker_registration::BrokerRegistrationRequest {
        is_migrating_zk_broker: true,
        ..request
    };
    assert_eq!(read_broker_registration("cluster", migrating), Err(ErrorCode::BrokerIdNotRegistered.into()));
}

#[test]
fn a_controller_registers_as_it_is() {
    let controller = RegisterController {
        id: 1,
        incarnation: Uuid([7; 16]),
        endpoints: vec![endpoint("CONTROLLER")],
        features: features(),
    };
    let bytes = encoded(ApiKey::ControllerRegistration, 0, &controller_registration_request(&controller));
    assert_eq!(read_controller_registration(decoded(ApiKey::ControllerRegistration, 0, &bytes)), controller);
    for outcome in [Ok(()), Err(Refusal::new(ErrorCode::NotController, "somebody else is")), Err(STALE.into())] {
        let bytes = encoded(ApiKey::ControllerRegistration, 0, &controller_registration_response(&outcome));
        let message = decoded(ApiKey::ControllerRegistration, 0, &bytes);
        assert_eq!(read_controller_registration_response(&message), outcome);
    }
}

#[test]
fn a_heartbeat_arrives_as_it_was_sent() {
    let heartbeat = BrokerHeartbeat {
        id: 3,
        epoch: 17,
        metadata_end_offset: 99,
        wants_fence: true,
        wants_shutdown: false,
        offline_directories: vec![Uuid([8; 16])],
    };
    let message = broker_heartbeat_request(&heartbeat);
    assert_eq!(message.current_metadata_offset, 98, "the last record, in Kafka's message");
    assert_eq!(sent(ApiKey::BrokerHeartbeat, 1, &message, read_broker_heartbeat), heartbeat);
    for (is_caught_up, is_fenced, should_shut_down) in [(true, false, false), (false, true, false), (true, true, true)]
    {
        let answer = Ok(HeartbeatAnswer { is_caught_up, is_fenced, should_shut_down });
        let message = broker_heartbeat_response(&answer);
        assert_eq!(
            sent(ApiKey::BrokerHeartbeat, 1, &message, |answer| read_broker_heartbeat_response(&answer)),
            answer
        );
    }
    let refused = broker_heartbeat_response(&Err(STALE.into()));
    assert!(refused.is_fenced, "a broker that was refused takes itself for fenced");
    assert_eq!(read_broker_heartbeat_response(&refused), Err(STALE.into()));
}

#[test]
fn producer_ids_arrive_as_they_were_given() {
    for block in [Ok(ProducerIdBlock { first: 1 << 40, count: 1000 }), Err(STALE.into())] {
        let message = allocate_producer_ids_response(&block);
        let read = |answer| read_allocate_producer_ids_response(&answer);
        assert_eq!(sent(ApiKey::AllocateProducerIds, 0, &message, read), block);
    }
}

fn change(topic: u8, partition: i32) -> IsrChange {
    let replica = |id| InSyncReplica { id, broker_epoch: 10 + i64::from(id) };
    IsrChange {
        topic_id: Uuid([topic; 16]),
        partition,
        leader_epoch: 5,
        partition_epoch: 6,
        isr: vec![replica(1), replica(3)],
        leader_recovering: partition == 0,
    }
}

fn altered(partition: i32) -> AlteredPartition {
    AlteredPartition {
        leader: 1,
        leader_epoch: 5,
        isr: vec![1, partition],
        leader_recovering: partition == 0,
        partition_epoch: 7,
    }
}

#[test]
fn isr_changes_arrive_with_the_epochs_of_the_replicas() {
    let request = AlterPartition { broker_id: 1, broker_epoch: 17, changes: vec![change(1, 0), change(2, 4)] };
    let message = alter_partition_request(&request);
    let read = |message| read_alter_partition(&message);
    assert_eq!(sent(ApiKey::AlterPartition, 3, &message, read), request);
    let mut without_epochs = request;
    without_epochs.changes.iter_mut().flat_map(|change| &mut change.isr).for_each(|replica| replica.broker_epoch = -1);
    assert_eq!(sent(ApiKey::AlterPartition, 2, &message, read), without_epochs);
}

#[test]
fn each_isr_change_gets_its_own_answer_in_whatever_order_they_travel() {
    let changes = vec![change(2, 4), change(1, 0), change(2, 1)];
    let request = AlterPartition { broker_id: 1, broker_epoch: 17, changes };
    let message = alter_partition_request(&request);
    let arrived = read_alter_partition(&message).changes;
    assert_ne!(arrived, request.changes, "they are grouped by their topics");
    let decide = |change: &IsrChange| match change.partition {
        4 => Err(ErrorCode::FencedLeaderEpoch.into()),
        partition => Ok(altered(partition)),
    };
    let response = alter_partition_response(&message, &Ok(arrived.iter().map(decide).collect()));
    let read = |answer| read_alter_partition_response(&request, &answer);
    let outcomes = sent(ApiKey::AlterPartition, 3, &response, read).unwrap();
    assert_eq!(outcomes, [Err(ErrorCode::FencedLeaderEpoch.into()), Ok(altered(0)), Ok(altered(1))]);

    let refused = alter_partition_response(&message, &Err(STALE.into()));
    assert_eq!(sent(ApiKey::AlterPartition, 3, &refused, read), Err(STALE.into()));
    let silent = read_alter_partition_response(&request, &Default::default()).unwrap();
    assert!(silent.iter().all(|outcome| outcome.as_ref().unwrap_err().code == ErrorCode::UnknownServerError));
}

#[test]
fn each_assignment_gets_its_own_answer() {
    let assigned = |directory: u8, topic: u8, partition| DirectoryAssignment {
        directory: Uuid([directory; 16]),
        topic_id: Uuid([topic; 16]),
        partition,
    };
    let assignments = vec![assigned(9, 1, 0), assigned(8, 2, 1), assigned(9, 1, 2)];
    let request = AssignReplicasToDirs { broker_id: 3, broker_epoch: 17, assignments };
    let message = assign_replicas_to_dirs_request(&request);
    let arrived = sent(ApiKey::AssignReplicasToDirs, 0, &message, |message| read_assign_replicas_to_dirs(&message));
    assert_eq!(arrived.assignments, [assigned(8, 2, 1), assigned(9, 1, 0), assigned(9, 1, 2)]);
    let refused = || Err(ErrorCode::UnknownTopicId.into());
    let response = assign_replicas_to_dirs_response(&message, &Ok(vec![refused(), Ok(()), Ok(())]));
    let read = |answer| read_assign_replicas_to_dirs_response(&request, &answer);
    assert_eq!(sent(ApiKey::AssignReplicasToDirs, 0, &response, read), Ok(vec![Ok(()), refused(), Ok(())]));
    let refused = assign_replicas_to_dirs_response(&message, &Err(STALE.into()));
    assert_eq!(sent(ApiKey::AssignReplicasToDirs, 0, &refused, read), Err(STALE.into()));
}

#[test]
fn topics_are_asked_for_as_they_are_to_be() {
    let topic = NewTopic {
        name: "t".into(),
        partitions: 3,
        replication_factor: -1,
        assignments: vec![(0, vec![1, 2])],
        configs: vec![("retention.ms".into(), Some("5".into())), ("cleanup.policy".into(), None)],
    };
    let request = CreateTopics { topics: vec![topic, NewTopic::with_defaults("u")], validate_only: true };
    let bytes = encoded(ApiKey::CreateTopics, 7, &create_topics_request(&request, 1000));
    assert_eq!(read_create_topics(decoded(ApiKey::CreateTopics, 7, &bytes)), request);
}

#[test]
fn what_became_of_a_topic_is_found_by_its_name() {
    use crate::protocol::messages::create_topics::{CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse};
    let config = |name: &'static str, config_source| CreatableTopicConfigs {
        name: name.into(),
        value: Some("5".into()),
        config_source,
        ..Default::default()
    };
    let created = CreatableTopicResult {
        name: "t".into(),
        topic_id: Uuid([1; 16]),
        num_partitions: 3,
        replication_factor: 2,
        configs: Some(vec![config("retention.ms", 1), config("segment.bytes", 5)]),
        ..Default::default()
    };
    let refused = CreatableTopicResult {
        name: "u".into(),
        error_code: ErrorCode::TopicAlreadyExists.code(),
        error_message: Some("there is one".into()),
        ..Default::default()
    };
    let message = CreateTopicsResponse { topics: vec![refused, created], ..Default::default() };
    let topics = ["t", "u", "v"].map(NewTopic::with_defaults).to_vec();
    let outcomes = read_create_topics_response(&CreateTopics { topics, validate_only: false }, &message);
    let configs = [("retention.ms".to_owned(), "5".to_owned())].into();
    let created = CreatedTopic { id: Uuid([1; 16]), partitions: 3, replication_factor: 2, configs };
    assert_eq!(outcomes[0], Ok(created));
    assert_eq!(outcomes[1], Err(Refusal::new(ErrorCode::TopicAlreadyExists, "there is one")));
    assert_eq!(outcomes[2].as_ref().unwrap_err().code, ErrorCode::UnknownServerError);
}
