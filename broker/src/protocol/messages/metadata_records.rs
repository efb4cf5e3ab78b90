//! The records of the metadata log (KIP-631), each behind a frame version, its API key and its version.

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    RegisterBrokerRecord<'a> {
        broker_id: i32,
        is_migrating_zk_broker: bool [2..],
        incarnation_id: Uuid,
        broker_epoch: i64,
        end_points: Vec<BrokerEndpoint<'a>>,
        features: Vec<BrokerFeature<'a>>,
        rack: Option<Str<'a>>,
        fenced: bool = true,
        in_controlled_shutdown: bool [1..],
        log_dirs: Vec<Uuid> [tag 0, 3..],
    }

    BrokerEndpoint<'a> {
        name: Str<'a>,
        host: Str<'a>,
        port: u16,
        security_protocol: i16,
    }

    BrokerFeature<'a> {
        name: Str<'a>,
        min_supported_version: i16,
        max_supported_version: i16,
    }

    UnregisterBrokerRecord {
        broker_id: i32,
        broker_epoch: i64,
    }

    TopicRecord<'a> {
        name: Str<'a>,
        topic_id: Uuid,
    }

    PartitionRecord {
        partition_id: i32 = -1,
        topic_id: Uuid,
        replicas: Vec<i32>,
        isr: Vec<i32>,
        removing_replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        leader: i32 = -1,
        leader_recovery_state: i8 [tag 0, 0..],
        leader_epoch: i32 = -1,
        partition_epoch: i32 = -1,
        directories: Vec<Uuid> [1..],
        eligible_leader_replicas: Option<Vec<i32>> [tag 1, 2..],
        last_known_elr: Option<Vec<i32>> [tag 2, 2..],
    }

    ConfigRecord<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        name: Str<'a>,
        value: Option<Str<'a>>,
    }

    PartitionChangeRecord {
        partition_id: i32 = -1,
        topic_id: Uuid,
        isr: Option<Vec<i32>> [tag 0, 0..],
        leader: i32 [tag 1, 0..] = -2,
        replicas: Option<Vec<i32>> [tag 2, 0..],
        removing_replicas: Option<Vec<i32>> [tag 3, 0..],
        adding_replicas: Option<Vec<i32>> [tag 4, 0..],
        leader_recovery_state: i8 [tag 5, 0..] = -1,
        directories: Option<Vec<Uuid>> [tag 8, 1..],
        eligible_leader_replicas: Option<Vec<i32>> [tag 6, 2..],
        last_known_elr: Option<Vec<i32>> [tag 7, 2..],
    }

    ProducerIdsRecord {
        broker_id: i32,
        broker_epoch: i64 = -1,
        next_producer_id: i64,
    }

    FenceBrokerRecord {
        id: i32,
        epoch: i64,
    }

    UnfenceBrokerRecord {
        id: i32,
        epoch: i64,
    }

    RemoveTopicRecord {
        topic_id: Uuid,
    }

    FeatureLevelRecord<'a> {
        name: Str<'a>,
        feature_level: i16,
    }

    BrokerRegistrationChangeRecord {
        broker_id: i32,
        broker_epoch: i64,
        fenced: i8 [tag 0, 0..],
        in_controlled_shutdown: i8 [tag 1, 1..],
        log_dirs: Vec<Uuid> [tag 2, 2..],
    }

    NoOpRecord {
    }

    BeginTransactionRecord<'a> {
        name: Option<Str<'a>> [tag 0, 0..],
    }

    EndTransactionRecord {
    }

    AbortTransactionRecord<'a> {
        reason: Option<Str<'a>> [tag 0, 0..],
    }

    RegisterControllerRecord<'a> {
        controller_id: i32,
        incarnation_id: Uuid,
        zk_migration_ready: bool,
        end_points: Vec<ControllerEndpoint<'a>>,
        features: Vec<ControllerFeature<'a>>,
    }

    ControllerEndpoint<'a> {
        name: Str<'a>,
        host: Str<'a>,
        port: u16,
        security_protocol: i16,
    }

    ControllerFeature<'a> {
        name: Str<'a>,
        min_supported_version: i16,
        max_supported_version: i16,
    }

    ClearElrRecord<'a> {
        topic_name: Str<'a>,
    }
}
