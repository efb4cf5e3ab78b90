//! Every message of ours, beside the same message of `kafka-protocol` where that crate has it.

use barnabas::protocol::codec::{DecodeError, Decoder, Encoder, Wire};
use barnabas::protocol::messages;
use bytes::Bytes;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use std::fmt::Debug;

/// A message that was decoded and encoded again.
#[derive(Debug)]
pub struct Recoded {
    pub bytes: Vec<u8>,
    /// The decoded message as `Debug` shows it.
    pub values: String,
}

type Theirs = fn(&[u8], i16) -> anyhow::Result<Recoded>;

/// One kind of message; `flexible` is what Kafka's schema of that version says.
pub struct Codec {
    pub name: &'static str,
    pub decode: fn(&[u8], i16, bool) -> Result<(), DecodeError>,
    pub recode: fn(&[u8], i16, bool) -> Result<Recoded, DecodeError>,
    pub theirs: Option<Theirs>,
}

impl Codec {
    pub fn named(name: &str) -> &'static Codec {
        ALL.iter().find(|codec| codec.name == name).unwrap_or_else(|| panic!("{name} is not in the catalog"))
    }
}

fn decode<'a, T: Wire<'a>>(bytes: &'a [u8], version: i16, flexible: bool) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes, version, flexible);
    let message = T::read(&mut decoder)?;
    decoder.finish()?;
    Ok(message)
}

fn recode<'a, T: Wire<'a> + Debug>(bytes: &'a [u8], version: i16, flexible: bool) -> Result<Recoded, DecodeError> {
    let message = decode::<T>(bytes, version, flexible)?;
    let mut encoder = Encoder::new(Vec::new(), version, flexible);
    message.write(&mut encoder);
    Ok(Recoded { bytes: encoder.finish().0, values: format!("{message:?}") })
}

fn recode_theirs<T: Decodable + Encodable + Debug>(bytes: &[u8], version: i16) -> anyhow::Result<Recoded> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let message = T::decode(&mut rest, version)?;
    anyhow::ensure!(rest.is_empty(), "{} bytes behind the end", rest.len());
    let mut encoded = Vec::new();
    message.encode(&mut encoded, version)?;
    Ok(Recoded { bytes: encoded, values: format!("{message:?}") })
}

// Behind a semicolon: what `kafka-protocol` lacks, or claims to have and refuses (LeaderChangeMessage, VotersRecord).
macro_rules! catalog {
    ($($module:ident { $($both:ident),* $(; $($ours:ident),*)? })*) => {
        pub const ALL: &[Codec] = &[$(
            $(catalog!(codec $module $both Some(recode_theirs::<theirs::$both>)),)*
            $($(catalog!(codec $module $ours None),)*)?
        )*];
    };
    (codec $module:ident $name:ident $theirs:expr) => {
        Codec {
            name: stringify!($name),
            decode: |bytes, version, flexible| decode::<messages::$module::$name>(bytes, version, flexible).map(drop),
            recode: |bytes, version, flexible| recode::<messages::$module::$name>(bytes, version, flexible),
            theirs: $theirs,
        }
    };
}

catalog! {
    allocate_producer_ids { AllocateProducerIdsRequest, AllocateProducerIdsResponse }
    alter_configs { AlterConfigsRequest, AlterConfigsResponse }
    alter_partition { AlterPartitionRequest, AlterPartitionResponse }
    alter_partition_reassignments { AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse }
    api_versions { ApiVersionsRequest, ApiVersionsResponse }
    assign_replicas_to_dirs { AssignReplicasToDirsRequest, AssignReplicasToDirsResponse }
    begin_quorum_epoch { BeginQuorumEpochRequest, BeginQuorumEpochResponse }
    broker_heartbeat { BrokerHeartbeatRequest, BrokerHeartbeatResponse }
    broker_registration { BrokerRegistrationRequest, BrokerRegistrationResponse }
    controller_registration { ControllerRegistrationRequest, ControllerRegistrationResponse }
    create_partitions { CreatePartitionsRequest, CreatePartitionsResponse }
    create_topics { CreateTopicsRequest, CreateTopicsResponse }
    delete_groups { DeleteGroupsRequest, DeleteGroupsResponse }
    delete_records { DeleteRecordsRequest, DeleteRecordsResponse }
    delete_topics { DeleteTopicsRequest, DeleteTopicsResponse }
    describe_cluster { DescribeClusterRequest, DescribeClusterResponse }
    describe_configs { DescribeConfigsRequest, DescribeConfigsResponse }
    describe_groups { DescribeGroupsRequest, DescribeGroupsResponse }
    describe_log_dirs { DescribeLogDirsRequest, DescribeLogDirsResponse }
    describe_producers { DescribeProducersRequest, DescribeProducersResponse }
    describe_quorum { DescribeQuorumRequest, DescribeQuorumResponse }
    describe_topic_partitions { DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse }
    elect_leaders { ElectLeadersRequest, ElectLeadersResponse }
    end_quorum_epoch { EndQuorumEpochRequest, EndQuorumEpochResponse }
    envelope { EnvelopeRequest, EnvelopeResponse }
    fetch { FetchRequest, FetchResponse }
    fetch_snapshot { FetchSnapshotRequest, FetchSnapshotResponse }
    find_coordinator { FindCoordinatorRequest, FindCoordinatorResponse }
    heartbeat { HeartbeatRequest, HeartbeatResponse }
    incremental_alter_configs { IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse }
    init_producer_id { InitProducerIdRequest, InitProducerIdResponse }
    join_group { JoinGroupRequest, JoinGroupResponse }
    leave_group { LeaveGroupRequest, LeaveGroupResponse }
    list_config_resources { ListConfigResourcesRequest, ListConfigResourcesResponse }
    list_groups { ListGroupsRequest, ListGroupsResponse }
    list_offsets { ListOffsetsRequest, ListOffsetsResponse }
    list_partition_reassignments { ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse }
    metadata { MetadataRequest, MetadataResponse }
    offset_commit { OffsetCommitRequest, OffsetCommitResponse }
    offset_delete { OffsetDeleteRequest, OffsetDeleteResponse }
    offset_fetch { OffsetFetchRequest, OffsetFetchResponse }
    offset_for_leader_epoch { OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse }
    produce { ProduceRequest, ProduceResponse }
    sync_group { SyncGroupRequest, SyncGroupResponse }
    unregister_broker { UnregisterBrokerRequest, UnregisterBrokerResponse }
    update_features { UpdateFeaturesRequest, UpdateFeaturesResponse }
    vote { VoteRequest, VoteResponse }
    consumer_protocol { ConsumerProtocolSubscription, ConsumerProtocolAssignment }
    control_records {
        SnapshotHeaderRecord, SnapshotFooterRecord, KRaftVersionRecord, EndTxnMarker; LeaderChangeMessage, VotersRecord
    }
    group_records {; OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue }
    metadata_records {;
        RegisterBrokerRecord, UnregisterBrokerRecord, TopicRecord, PartitionRecord, ConfigRecord, PartitionChangeRecord,
        ProducerIdsRecord, RemoveTopicRecord, FeatureLevelRecord, BrokerRegistrationChangeRecord, NoOpRecord,
        BeginTransactionRecord, EndTransactionRecord, AbortTransactionRecord, RegisterControllerRecord, ClearElrRecord, FenceBrokerRecord, UnfenceBrokerRecord
    }
}
