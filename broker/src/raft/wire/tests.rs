use super::*;
use crate::protocol::codec;
use crate::protocol::messages::fetch_snapshot::FetchSnapshotRequest as WireFetchSnapshot;
use crate::protocol::record::BatchBuilder;
use crate::protocol::{Decoder, Encoder, Wire};
use crate::raft::message::{
    Answer, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchAnswer, FetchRequest, FetchSnapshotRequest, Fetched,
    Records, Response, SnapshotChunk, VoteRequest,
};

fn border(id: i32) -> Border {
    let address = |port| Address { host: "localhost".into(), port };
    Border {
        cluster_id: "zT_3TB0RSiusIvtUU9FefQ".into(),
        local: ReplicaKey::of(ReplicaId(id)),
        listener: "CONTROLLER".into(),
        voters: (1..=3).map(|id| (ReplicaId(id), address(9090 + id as u16))).collect(),
    }
}

/// Encodes in `version`, decodes, and gives what arrived to `read`.
fn over_the_wire<'a, T: Wire<'a>, R>(
    bytes: &'a mut Vec<u8>,
    message: &impl Wire<'a>,
    version: i16,
    flexible: bool,
    read: impl Fn(&T) -> R,
) -> R {
    let mut encoder = Encoder::new(Vec::new(), version, flexible);
    message.write(&mut encoder);
    *bytes = encoder.finish().0;
    read(&T::read(&mut Decoder::new(bytes, version, flexible)).expect("what was written is read"))
}

fn key(id: i32) -> ReplicaKey {
    ReplicaKey { id: ReplicaId(id), directory: Uuid([9; 16]) }
}

fn at(offset: i64, epoch: i32) -> OffsetAndEpoch {
    OffsetAndEpoch::new(offset, LeaderEpoch(epoch))
}

const LEADER: LeaderAndEpoch = LeaderAndEpoch { leader: Some(ReplicaId(2)), epoch: LeaderEpoch(7) };

#[test]
fn requests_arrive_as_they_were_sent() {
    let (sender, receiver) = (border(1), border(2));
    let to = receiver.local;
    let vote = VoteRequest { candidate: key(1), epoch: LeaderEpoch(7), log_end: at(99, 6), pre_vote: true };
    let mut bytes = Vec::new();
    let message = vote_request(&sender, to, &vote);
    assert_eq!(over_the_wire(&mut bytes, &message, 2, true, |wire| read_vote(&receiver, wire)), Ok(vote));

    let begin = BeginQuorumEpochRequest { leader: ReplicaId(1), epoch: LeaderEpoch(7) };
    for (version, flexible) in [(0, false), (1, true)] {
        let (mut bytes, message) = (Vec::new(), begin_quorum_epoch_request(&sender, to, &begin));
        let read =
            over_the_wire(&mut bytes, &message, version, flexible, |wire| read_begin_quorum_epoch(&receiver, wire));
        assert_eq!(read, Ok(begin));
    }

    let end = EndQuorumEpochRequest { leader: ReplicaId(1), epoch: LeaderEpoch(7), successors: vec![key(3), key(2)] };
    let (mut bytes, message) = (Vec::new(), end_quorum_epoch_request(&sender, &end));
    let read = over_the_wire(&mut bytes, &message, 1, true, |wire| read_end_quorum_epoch(&receiver, wire));
    assert_eq!(read, Ok(end));

    let fetch = FetchRequest {
        replica: Some(key(1)),
        epoch: LeaderEpoch(7),
        position: at(99, 6),
        high_watermark: 90,
        wait_max_ms: 125,
        bytes_max: 1 << 20,
    };
    let (mut bytes, message) = (Vec::new(), fetch_request(&sender, &fetch));
    assert_eq!(over_the_wire(&mut bytes, &message, 18, true, |wire| read_fetch(&receiver, wire)), Ok(fetch));

    let fetch = FetchSnapshotRequest {
        replica: Some(key(1)),
        epoch: LeaderEpoch(7),
        id: at(50, 5),
        position: 4096,
        bytes_max: 1 << 20,
    };
    let (mut bytes, message) = (Vec::new(), fetch_snapshot_request(&sender, &fetch));
    let read =
        over_the_wire(&mut bytes, &message, 1, true, |wire: &WireFetchSnapshot| read_fetch_snapshot(&receiver, wire));
    assert_eq!(read, Ok(fetch));
}

#[test]
fn answers_arrive_as_they_were_sent() {
    let border = border(2);
    for granted in [true, false] {
        let response = Response { leader: LEADER, body: Ok(Answer::Vote { granted }) };
        let (mut bytes, message) = (Vec::new(), vote_response(&border, &response));
        assert_eq!(over_the_wire(&mut bytes, &message, 2, true, read_vote_response), Ok(response));
    }
    for body in [Ok(Answer::EndQuorumEpoch), Err(Refusal::FencedLeaderEpoch)] {
        let response = Response { leader: LEADER, body };
        let (mut bytes, message) = (Vec::new(), end_quorum_epoch_response(&border, &response));
        assert_eq!(over_the_wire(&mut bytes, &message, 1, true, read_end_quorum_epoch_response), Ok(response));
    }
    let response = Response { leader: LEADER, body: Ok(Answer::BeginQuorumEpoch) };
    let (mut bytes, message) = (Vec::new(), begin_quorum_epoch_response(&border, &response));
    assert_eq!(over_the_wire(&mut bytes, &message, 1, true, read_begin_quorum_epoch_response), Ok(response));

    let chunk = SnapshotChunk { id: at(50, 5), size: 9, position: 4, bytes: vec![1, 2, 3] };
    for body in [Ok(Answer::FetchSnapshot(chunk)), Err(Refusal::SnapshotNotFound)] {
        let response = Response { leader: LEADER, body };
        let (mut bytes, message) = (Vec::new(), fetch_snapshot_response(&border, response.clone()));
        assert_eq!(over_the_wire(&mut bytes, &message, 1, true, read_fetch_snapshot_response), Ok(response));
    }
}

fn two_batches() -> Vec<u8> {
    let mut first = BatchBuilder::new(1).record(b"k", b"a").record(b"k", b"b");
    (first.base_offset, first.leader_epoch) = (10, 6);
    let mut second = BatchBuilder::new(2).record(b"k", b"c");
    (second.base_offset, second.leader_epoch) = (12, 7);
    [first.build(), second.build()].concat()
}

#[test]
fn a_fetch_brings_records_or_says_where_to_go() {
    let border = border(2);
    let records = read_records(two_batches()).unwrap();
    for found in [Fetched::Records(records), Fetched::Diverging(at(8, 5)), Fetched::Snapshot(at(50, 5))] {
        let answer = FetchAnswer { high_watermark: 11, log_start_offset: 0, found };
        let response = Response { leader: LEADER, body: Ok(Answer::Fetch(answer)) };
        let message = fetch_response(&border, &response, codec::Records::Inline(two_batches().into()));
        let mut bytes = Vec::new();
        assert_eq!(over_the_wire(&mut bytes, &message, 17, true, read_fetch_response), Ok(response));
    }
    let refused = Response { leader: LEADER, body: Err(Refusal::NotLeader) };
    let (mut bytes, message) = (Vec::new(), fetch_response(&border, &refused, codec::Records::default()));
    assert_eq!(over_the_wire(&mut bytes, &message, 17, true, read_fetch_response), Ok(refused));
}

#[test]
fn batches_are_found_where_they_lie() {
    let bytes = two_batches();
    let records = read_records(bytes.clone()).unwrap();
    let spans: Vec<_> = records.batches.iter().map(|span| (span.base_offset, span.end_offset, span.epoch.0)).collect();
    assert_eq!(spans, [(10, 12, 6), (12, 13, 7)]);
    let cut = read_records(bytes[..bytes.len() - 1].to_vec()).unwrap();
    assert_eq!((cut.batches.len(), cut.bytes.len()), (1, records.batches[0].size));
    let mut damaged = bytes;
    *damaged.last_mut().unwrap() ^= 1;
    assert!(read_records(damaged).is_err());
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let (sender, receiver) = (Border { cluster_id: "another".into(), ..border(1) }, border(2));
    let vote = VoteRequest { candidate: key(1), epoch: LeaderEpoch(7), log_end: at(99, 6), pre_vote: false };
    let refused = read_vote(&receiver, &vote_request(&sender, receiver.local, &vote));
    assert_eq!(refused, Err(Refusal::InconsistentClusterId));
    let response = Response { leader: LEADER, body: Err(Refusal::InconsistentClusterId) };
    let told = read_vote_response(&vote_response(&receiver, &response)).unwrap();
    assert_eq!(told.body, Err(Refusal::InconsistentClusterId));
}

#[test]
fn numbers_out_of_range_are_refused() {
    let (sender, receiver) = (border(1), border(2));
    let vote = VoteRequest { candidate: key(1), epoch: LeaderEpoch(7), log_end: at(99, 6), pre_vote: false };
    let refused = |change: fn(&mut VoteRequest)| {
        let mut vote = vote;
        change(&mut vote);
        read_vote(&receiver, &vote_request(&sender, receiver.local, &vote)).unwrap_err()
    };
    assert_eq!(refused(|vote| vote.epoch.0 = i32::MAX), Refusal::InvalidRequest);
    assert_eq!(refused(|vote| vote.epoch.0 = -1), Refusal::InvalidRequest);
    assert_eq!(refused(|vote| vote.log_end.offset = -1), Refusal::InvalidRequest);
    assert_eq!(refused(|vote| vote.candidate.id.0 = -1), Refusal::InvalidRequest);
    let for_another = vote_request(&sender, key(3), &vote);
    assert_eq!(read_vote(&receiver, &for_another), Err(Refusal::InvalidVoterKey));
    assert_eq!(read_records(vec![0; 100]), Err(Malformed("a batch length of 0, below its header's".into())));
    let empty = Records::default();
    assert_eq!(read_records(Vec::new()), Ok(empty));
}

#[test]
fn only_the_leader_describes_the_quorum_and_only_that_of_the_metadata_log() {
    use crate::protocol::messages::describe_quorum::{
        DescribeQuorumRequest, DescribeQuorumRequestPartition, DescribeQuorumRequestTopic,
    };
    use crate::raft::QuorumDescription;
    let border = border(1);
    let quorum = QuorumDescription {
        leader: ReplicaId(1),
        epoch: LeaderEpoch(7),
        high_watermark: 99,
        voters: Vec::new(),
        observers: Vec::new(),
    };
    let ask = |topic: &'static str, quorum| {
        let partitions = vec![DescribeQuorumRequestPartition { partition_index: 0 }];
        let topics = vec![DescribeQuorumRequestTopic { topic_name: topic.into(), partitions }];
        let response = describe_quorum_response(&border, &DescribeQuorumRequest { topics }, quorum);
        assert_eq!(response.topics[0].topic_name, topic);
        let partition = &response.topics[0].partitions[0];
        (partition.error_code, partition.leader_id, partition.high_watermark, response.nodes.len())
    };
    assert_eq!(ask(METADATA_TOPIC, Some(&quorum)), (0, 1, 99, 3));
    assert_eq!(ask(METADATA_TOPIC, None), (ErrorCode::NotLeaderOrFollower.code(), -1, -1, 0));
    assert_eq!(ask("another", Some(&quorum)), (ErrorCode::UnknownTopicOrPartition.code(), -1, -1, 0));
}
