//! Produce: appends one batch to each partition.
//!
//! Behaviour: a partition that fails says so in its own place, and the others are appended. acks=0 is not answered, and
//! an error there closes the connection, since nothing else would tell the client. acks=all is answered when the records
//! are committed; it is refused where fewer replicas are in sync than `min.insync.replicas`. A topic with
//! `flush.messages=1` has its records synced before acks=1 is answered too.
//! Version notes: since 13 topics are named by their id (KIP-516). Since 3 a partition's records are one batch of magic 2;
//! 8 adds messages, 10 the current leader (KIP-951).

use super::{Context, INTERNAL_TOPICS};
use crate::log::{Appended, Origin};
use crate::partition::{Acks, Append, NO_EPOCH, Partition, PartitionError, Partitions, Placed};
use crate::protocol::batch::{BatchError, RecordBatch};
use crate::protocol::messages::produce::*;
use crate::protocol::{ErrorCode, Records};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const TOPIC_ID_SINCE: i16 = 13;
const ACKS_NONE: i16 = 0;
const ACKS_ALL: i16 = -1;
/// The client id by which Kafka lets its own tools write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// What a Produce request did: its answer, and what must be committed before that may be sent.
pub struct Produced<'a> {
    pub response: ProduceResponse<'a>,
    uncommitted: Vec<Uncommitted>,
    deadline: Instant,
}

struct Uncommitted {
    partition: Arc<Partition>,
    placed: Placed,
    acks: Acks,
    /// Where its answer stands in the response.
    place: (usize, usize),
}

/// Records and bytes that were appended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Volume {
    pub records: u64,
    pub bytes: u64,
}

/// Appends what the request holds, and counts it in `volume`.
pub fn handle<'a>(
    partitions: &Partitions,
    context: &Context<'_>,
    request: ProduceRequest<'a>,
    volume: &mut Volume,
) -> Produced<'a> {
    let acks = request.acks;
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut produced = Produced { response: ProduceResponse::default(), uncommitted: Vec::new(), deadline };
    for topic in request.topic_data {
        let mut answers = Vec::with_capacity(topic.partition_data.len());
        for data in &topic.partition_data {
            let mut found = None;
            let appended = check_acks(acks).and_then(|wanted| {
                let partition = found.insert(find(partitions, context, &topic, data.index)?);
                let placed = append(partition, data, wanted, context.now, volume)?;
                if acks != ACKS_NONE && !partition.is_acknowledged(&placed, wanted)? {
                    let place = (produced.response.responses.len(), answers.len());
                    produced.uncommitted.push(Uncommitted {
                        partition: partition.clone(),
                        placed,
                        acks: wanted,
                        place,
                    });
                }
                Ok(placed.appended)
            });
            answers.push(answer(data.index, appended, found.as_deref()));
        }
        produced.response.responses.push(TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: answers,
        });
    }
    produced
}

/// A code and, where the code does not say it all, what is wrong and what is allowed.
struct Refusal(ErrorCode, Option<String>);

impl From<PartitionError> for Refusal {
    fn from(error: PartitionError) -> Refusal {
        let message = match &error {
            PartitionError::Append(error) => Some(error.to_string()),
            _ => None,
        };
        Refusal(error.code(), message)
    }
}

fn check_acks(acks: i16) -> Result<Acks, Refusal> {
    match acks {
        ACKS_ALL => Ok(Acks::All),
        0 | 1 => Ok(Acks::Leader),
        _ => Err(Refusal(ErrorCode::InvalidRequiredAcks, Some(format!("acks is {acks}; -1, 0 and 1 are allowed")))),
    }
}

/// However the topic was named, by name or by id.
fn check_writable(topic: &str, client_id: &str) -> Result<(), Refusal> {
    if INTERNAL_TOPICS.contains(&topic) && client_id != ADMIN_CLIENT_ID {
        let message = format!("only the broker writes to the internal topic {topic}");
        return Err(Refusal(ErrorCode::InvalidTopicException, Some(message)));
    }
    Ok(())
}

fn find(
    partitions: &Partitions,
    context: &Context<'_>,
    topic: &TopicProduceData<'_>,
    index: i32,
) -> Result<Arc<Partition>, Refusal> {
    let found = if context.version >= TOPIC_ID_SINCE {
        partitions.find_by_id(topic.topic_id, index)
    } else {
        partitions.find(&topic.name, index)
    };
    let partition = found.map_err(|code| Refusal(code, None))?;
    check_writable(&partition.topic, context.client_id)?;
    Ok(partition)
}

fn append(
    partition: &Partition,
    data: &PartitionProduceData<'_>,
    acks: Acks,
    now: i64,
    volume: &mut Volume,
) -> Result<Placed, Refusal> {
    let batch = single_batch(data)?;
    let how = Append { origin: Origin::Producer, acks, leader_epoch: NO_EPOCH };
    let placed = partition.append(batch, how, now)?;
    let (records, bytes) = (u64::from(batch.record_count().unsigned_abs()), batch.size() as u64);
    partition.traffic.produced(records, bytes);
    volume.records += records;
    volume.bytes += bytes;
    Ok(placed)
}

/// A partition's records as the one batch they must be.
fn single_batch<'a>(data: &'a PartitionProduceData<'_>) -> Result<RecordBatch<'a>, Refusal> {
    let Some(Records::Inline(bytes)) = &data.records else {
        return Err(Refusal(ErrorCode::InvalidRecord, Some("records are null; one record batch is allowed".into())));
    };
    let (batch, rest) = RecordBatch::split_first(bytes).map_err(refuse_batch)?;
    if !rest.is_empty() {
        let message = "more than one record batch for a partition; one is allowed".into();
        return Err(Refusal(ErrorCode::InvalidRecord, Some(message)));
    }
    if batch.is_control() {
        return Err(Refusal(ErrorCode::InvalidRecord, Some("clients may not write control batches".into())));
    }
    if batch.is_transactional() {
        let message = "the transaction is not known to this broker".into();
        return Err(Refusal(ErrorCode::InvalidTxnState, Some(message)));
    }
    batch.check_produced().map_err(refuse_batch)?;
    Ok(batch)
}

fn refuse_batch(error: BatchError) -> Refusal {
    let code = match error {
        BatchError::Count { .. } | BatchError::Magic(_) => ErrorCode::InvalidRecord,
        _ => ErrorCode::CorruptMessage,
    };
    Refusal(code, Some(error.to_string()))
}

/// `partition`: where it was found, whose leader a client is told that came to the wrong broker (KIP-951).
fn answer<'a>(
    index: i32,
    appended: Result<Appended, Refusal>,
    partition: Option<&Partition>,
) -> PartitionProduceResponse<'a> {
    let current_leader = |code: ErrorCode| {
        let leader = partition.filter(|_| code == ErrorCode::NotLeaderOrFollower).and_then(Partition::leader);
        leader.map_or_else(LeaderIdAndEpoch::default, |(leader_id, leader_epoch)| LeaderIdAndEpoch {
            leader_id,
            leader_epoch,
        })
    };
    match appended {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Err(refusal) => PartitionProduceResponse {
            index,
            error_code: refusal.0.code(),
            error_message: refusal.1.map(Cow::Owned),
            current_leader: current_leader(refusal.0),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            ..Default::default()
        },
    }
}

impl<'a> Produced<'a> {
    pub fn is_committed(&self) -> bool {
        self.uncommitted.is_empty()
    }

    /// A topic whose records the disk did not take, and why.
    pub fn storage_failure(&self) -> Option<(&str, &str)> {
        let failed = |answer: &&PartitionProduceResponse<'_>| answer.error_code == ErrorCode::KafkaStorageError.code();
        self.response.responses.iter().find_map(|topic| {
            let answer = topic.partition_responses.iter().find(failed)?;
            Some((&*topic.name, answer.error_message.as_deref().unwrap_or_default()))
        })
    }

    pub fn has_error(&self) -> bool {
        self.response.responses.iter().flat_map(|topic| &topic.partition_responses).any(|answer| answer.error_code != 0)
    }

    /// The wait that is left, free of the request's bytes.
    pub fn into_owned(mut self) -> Produced<'static> {
        let responses = std::mem::take(&mut self.response.responses);
        let response = ProduceResponse { responses: responses.into_iter().map(own).collect(), ..Default::default() };
        Produced { response, uncommitted: self.uncommitted, deadline: self.deadline }
    }

    /// The answer, once every partition has committed or failed to in time.
    pub async fn committed(mut self) -> ProduceResponse<'a> {
        for wait in self.uncommitted {
            if let Err(error) = wait.partition.acknowledged(&wait.placed, wait.acks, self.deadline).await {
                let (topic, index) = wait.place;
                let place = &mut self.response.responses[topic].partition_responses[index];
                *place = answer(place.index, Err(error.into()), Some(&wait.partition));
            }
        }
        self.response
    }
}

fn own(topic: TopicProduceResponse<'_>) -> TopicProduceResponse<'static> {
    let own = |answer: PartitionProduceResponse<'_>| PartitionProduceResponse {
        index: answer.index,
        error_code: answer.error_code,
        base_offset: answer.base_offset,
        log_append_time_ms: answer.log_append_time_ms,
        log_start_offset: answer.log_start_offset,
        error_message: answer.error_message.map(|message| Cow::Owned(message.into_owned())),
        record_errors: Vec::new(),
        current_leader: answer.current_leader,
    };
    TopicProduceResponse {
        name: Cow::Owned(topic.name.into_owned()),
        topic_id: topic.topic_id,
        partition_responses: topic.partition_responses.into_iter().map(own).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::BatchBuilder;

    fn data(records: Vec<u8>) -> PartitionProduceData<'static> {
        PartitionProduceData { index: 0, records: Some(Records::Inline(records.into())) }
    }

    fn code(data: &PartitionProduceData<'_>) -> Option<ErrorCode> {
        single_batch(data).err().map(|refusal| refusal.0)
    }

    #[test]
    fn a_partition_takes_exactly_one_batch() {
        let batch = BatchBuilder::new(0).record(b"k", b"v").build();
        assert_eq!(code(&data(batch.clone())), None);
        assert_eq!(code(&data([batch.clone(), batch].concat())), Some(ErrorCode::InvalidRecord));
        assert_eq!(code(&PartitionProduceData::default()), Some(ErrorCode::InvalidRecord));
        assert_eq!(code(&data(vec![1, 2, 3])), Some(ErrorCode::CorruptMessage));
    }

    #[test]
    fn only_the_broker_and_kafkas_own_tools_write_to_internal_topics() {
        let refused = |client| check_writable("__consumer_offsets", client).err().map(|refusal| refusal.0);
        assert_eq!(refused("somebody"), Some(ErrorCode::InvalidTopicException));
        assert_eq!(refused(ADMIN_CLIENT_ID), None);
        assert!(check_writable("orders", "somebody").is_ok());
    }

    #[test]
    fn a_client_may_not_write_control_batches() {
        let mut builder = BatchBuilder::new(0).record(b"k", b"v");
        builder.attributes = crate::protocol::batch::attributes::CONTROL;
        assert_eq!(code(&data(builder.build())), Some(ErrorCode::InvalidRecord));
    }

    #[test]
    fn an_empty_batch_is_refused() {
        assert_eq!(code(&data(BatchBuilder::new(0).build())), Some(ErrorCode::InvalidRecord));
    }
}
