//! Answers, on their way out and in.

use super::{
    Border, METADATA_PARTITION, METADATA_TOPIC, METADATA_TOPIC_ID, Malformed, error_code, is_top_level,
    leader_and_epoch, leader_id, only, position, refusal,
};
use crate::protocol::batch::{BatchError, batches};
use crate::protocol::codec;
use crate::protocol::messages::begin_quorum_epoch::{
    BeginQuorumEpochResponse, BeginQuorumEpochResponsePartition, BeginQuorumEpochResponseTopic,
};
use crate::protocol::messages::end_quorum_epoch::{
    EndQuorumEpochResponse, EndQuorumEpochResponsePartition, EndQuorumEpochResponseTopic,
};
use crate::protocol::messages::fetch::{
    EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};
use crate::protocol::messages::fetch_snapshot::{
    self, FetchSnapshotResponse, FetchSnapshotResponsePartition, FetchSnapshotResponseTopic,
};
use crate::protocol::messages::vote::{VoteResponse, VoteResponsePartition, VoteResponseTopic};
use crate::raft::ids::{LeaderAndEpoch, LeaderEpoch, OffsetAndEpoch};
use crate::raft::message::{Answer, BatchSpan, FetchAnswer, Fetched, Records, Refusal, Response, SnapshotChunk};

/// The error of the whole message, if the answer is one.
fn top_level(response: &Response) -> Option<i16> {
    response.body.as_ref().err().filter(|refusal| is_top_level(refusal)).map(|_| error_code(&response.body))
}

/// An answer that says nothing but that the whole request was refused: nothing is learnt of a leader.
fn refused_at_top_level(code: i16) -> Option<Response> {
    let leader = LeaderAndEpoch { leader: None, epoch: LeaderEpoch(0) };
    refusal(code).map(|refusal| Response { leader, body: Err(refusal) })
}

fn one_partition<T>(partition: Option<&T>) -> Result<&T, Malformed> {
    partition.ok_or_else(|| Malformed("not the one partition that was asked for".into()))
}

fn response(leader: LeaderAndEpoch, code: i16, answer: Answer) -> Response {
    Response { leader, body: refusal(code).map_or(Ok(answer), Err) }
}

pub fn vote_response<'a>(border: &'a Border, response: &Response) -> VoteResponse<'a> {
    if let Some(error_code) = top_level(response) {
        return VoteResponse { error_code, ..VoteResponse::default() };
    }
    let partition = VoteResponsePartition {
        partition_index: METADATA_PARTITION,
        error_code: error_code(&response.body),
        leader_id: leader_id(response.leader),
        leader_epoch: response.leader.epoch.0,
        vote_granted: response.body == Ok(Answer::Vote { granted: true }),
    };
    VoteResponse {
        error_code: 0,
        topics: vec![VoteResponseTopic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] }],
        node_endpoints: border.node_endpoints(response.leader),
    }
}

/// Errors: `Malformed`.
pub fn read_vote_response(message: &VoteResponse<'_>) -> Result<Response, Malformed> {
    if let Some(refused) = refused_at_top_level(message.error_code) {
        return Ok(refused);
    }
    let partition = one_partition(only(&message.topics).and_then(|topic| only(&topic.partitions)))?;
    let leader = leader_and_epoch(partition.leader_id, partition.leader_epoch)?;
    Ok(response(leader, partition.error_code, Answer::Vote { granted: partition.vote_granted }))
}

macro_rules! quorum_epoch_responses {
    ($write:ident, $read:ident, $answer:ident, $message:ident, $topic:ident, $partition:ident) => {
        pub fn $write<'a>(border: &'a Border, response: &Response) -> $message<'a> {
            if let Some(error_code) = top_level(response) {
                return $message { error_code, ..$message::default() };
            }
            let partition = $partition {
                partition_index: METADATA_PARTITION,
                error_code: error_code(&response.body),
                leader_id: leader_id(response.leader),
                leader_epoch: response.leader.epoch.0,
            };
            $message {
                error_code: 0,
                topics: vec![$topic { topic_name: METADATA_TOPIC.into(), partitions: vec![partition] }],
                node_endpoints: border.node_endpoints(response.leader),
            }
        }

        /// Errors: `Malformed`.
        pub fn $read(message: &$message<'_>) -> Result<Response, Malformed> {
            if let Some(refused) = refused_at_top_level(message.error_code) {
                return Ok(refused);
            }
            let partition = one_partition(only(&message.topics).and_then(|topic| only(&topic.partitions)))?;
            let leader = leader_and_epoch(partition.leader_id, partition.leader_epoch)?;
            Ok(response(leader, partition.error_code, Answer::$answer))
        }
    };
}

quorum_epoch_responses! {
    begin_quorum_epoch_response, read_begin_quorum_epoch_response, BeginQuorumEpoch,
    BeginQuorumEpochResponse, BeginQuorumEpochResponseTopic, BeginQuorumEpochResponsePartition
}

quorum_epoch_responses! {
    end_quorum_epoch_response, read_end_quorum_epoch_response, EndQuorumEpoch,
    EndQuorumEpochResponse, EndQuorumEpochResponseTopic, EndQuorumEpochResponsePartition
}

/// `records` are those of the answer: its own, or a place for bytes that the connection sends from the log's file.
pub fn fetch_response<'a>(border: &'a Border, response: &Response, records: codec::Records<'a>) -> FetchResponse<'a> {
    if let Some(error_code) = top_level(response) {
        return FetchResponse { error_code, ..FetchResponse::default() };
    }
    let leader = response.leader;
    let mut partition = PartitionData {
        partition_index: METADATA_PARTITION,
        error_code: error_code(&response.body),
        high_watermark: -1,
        current_leader: LeaderIdAndEpoch { leader_id: leader_id(leader), leader_epoch: leader.epoch.0 },
        records: Some(codec::Records::default()),
        ..PartitionData::default()
    };
    if let Ok(Answer::Fetch(answer)) = &response.body {
        partition.high_watermark = answer.high_watermark;
        partition.log_start_offset = answer.log_start_offset;
        match &answer.found {
            Fetched::Records(_) => partition.records = Some(records),
            Fetched::Diverging(end) => {
                partition.diverging_epoch = EpochEndOffset { epoch: end.epoch.0, end_offset: end.offset };
            }
            Fetched::Snapshot(id) => {
                partition.snapshot_id = SnapshotId { end_offset: id.offset, epoch: id.epoch.0 };
            }
        }
    }
    let topic = FetchableTopicResponse {
        topic: METADATA_TOPIC.into(),
        topic_id: METADATA_TOPIC_ID,
        partitions: vec![partition],
    };
    let endpoints = border.node_endpoints(leader).into_iter();
    let endpoints =
        endpoints.map(|at| NodeEndpoint { node_id: at.node_id, host: at.host, port: at.port.into(), rack: None });
    FetchResponse { responses: vec![topic], node_endpoints: endpoints.collect(), ..FetchResponse::default() }
}

/// Errors: `Malformed`, also for damaged records.
pub fn read_fetch_response(message: &FetchResponse<'_>) -> Result<Response, Malformed> {
    if let Some(refused) = refused_at_top_level(message.error_code) {
        return Ok(refused);
    }
    let partition = one_partition(only(&message.responses).and_then(|topic| only(&topic.partitions)))?;
    let leader = &partition.current_leader;
    let leader = leader_and_epoch(leader.leader_id, leader.leader_epoch)?;
    let answer = FetchAnswer {
        high_watermark: partition.high_watermark,
        log_start_offset: partition.log_start_offset,
        found: found(partition)?,
    };
    Ok(response(leader, partition.error_code, Answer::Fetch(answer)))
}

fn found(partition: &PartitionData<'_>) -> Result<Fetched, Malformed> {
    let place = |offset, epoch| -> Result<OffsetAndEpoch, Malformed> {
        position(offset, epoch).map_err(|_| Malformed(format!("position {offset} in epoch {epoch}")))
    };
    let (snapshot, diverging) = (&partition.snapshot_id, &partition.diverging_epoch);
    if snapshot.epoch >= 0 {
        return place(snapshot.end_offset, snapshot.epoch).map(Fetched::Snapshot);
    }
    if diverging.epoch >= 0 {
        return place(diverging.end_offset, diverging.epoch).map(Fetched::Diverging);
    }
    match &partition.records {
        Some(codec::Records::Inline(bytes)) => read_records(bytes.to_vec()).map(Fetched::Records),
        _ => Ok(Fetched::Records(Records::default())),
    }
}

/// Finds the batches in what a leader sent. A batch that is cut off at the end is left out (Kafka may send one).
/// Errors: `Malformed` for a batch whose checksum is wrong, or that is none.
pub fn read_records(mut bytes: Vec<u8>) -> Result<Records, Malformed> {
    let mut spans = Vec::new();
    let mut size = 0;
    for batch in batches(&bytes) {
        let batch = match batch {
            Err(BatchError::Truncated) => break,
            batch => batch.map_err(|error| Malformed(error.to_string()))?,
        };
        batch.check_crc().map_err(|error| Malformed(error.to_string()))?;
        let base_offset = batch.base_offset();
        let end_offset = base_offset.checked_add(i64::from(batch.last_offset_delta()) + 1);
        let end_offset = end_offset.ok_or_else(|| Malformed(format!("base offset {base_offset}")))?;
        spans.push(BatchSpan { base_offset, end_offset, epoch: LeaderEpoch(batch.leader_epoch()), size: batch.size() });
        size += batch.size();
    }
    bytes.truncate(size);
    Ok(Records { batches: spans, bytes })
}

pub fn fetch_snapshot_response<'a>(border: &'a Border, response: Response) -> FetchSnapshotResponse<'a> {
    if let Some(error_code) = top_level(&response) {
        return FetchSnapshotResponse { error_code, ..FetchSnapshotResponse::default() };
    }
    let leader = response.leader;
    let mut partition = FetchSnapshotResponsePartition {
        index: METADATA_PARTITION,
        error_code: error_code(&response.body),
        current_leader: fetch_snapshot::LeaderIdAndEpoch { leader_id: leader_id(leader), leader_epoch: leader.epoch.0 },
        ..FetchSnapshotResponsePartition::default()
    };
    if let Ok(Answer::FetchSnapshot(chunk)) = response.body {
        partition.snapshot_id = fetch_snapshot::SnapshotId { end_offset: chunk.id.offset, epoch: chunk.id.epoch.0 };
        partition.size = chunk.size;
        partition.position = chunk.position;
        partition.unaligned_records = codec::Records::Inline(chunk.bytes.into());
    }
    let topic = FetchSnapshotResponseTopic { name: METADATA_TOPIC.into(), partitions: vec![partition] };
    let node_endpoints = border.node_endpoints(leader);
    FetchSnapshotResponse { topics: vec![topic], node_endpoints, ..FetchSnapshotResponse::default() }
}

/// Errors: `Malformed`.
pub fn read_fetch_snapshot_response(message: &FetchSnapshotResponse<'_>) -> Result<Response, Malformed> {
    if let Some(refused) = refused_at_top_level(message.error_code) {
        return Ok(refused);
    }
    let partition = one_partition(only(&message.topics).and_then(|topic| only(&topic.partitions)))?;
    let leader = leader_and_epoch(partition.current_leader.leader_id, partition.current_leader.leader_epoch)?;
    if let Some(refusal) = refusal(partition.error_code) {
        return Ok(Response { leader, body: Err(refusal) });
    }
    let id = position(partition.snapshot_id.end_offset, partition.snapshot_id.epoch);
    let bytes = match &partition.unaligned_records {
        codec::Records::Inline(bytes) => bytes.to_vec(),
        codec::Records::Elsewhere { .. } => Vec::new(),
    };
    let chunk = SnapshotChunk {
        id: id.map_err(|_: Refusal| Malformed("a snapshot without a name".into()))?,
        size: partition.size,
        position: partition.position,
        bytes,
    };
    Ok(Response { leader, body: Ok(Answer::FetchSnapshot(chunk)) })
}
