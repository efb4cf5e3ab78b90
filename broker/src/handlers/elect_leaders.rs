//! ElectLeaders: elects the leaders of partitions (KIP-183, KIP-460).
//!
//! Behaviour: answered when the elections are durable. Each partition is elected or refused for itself, in the order of the
//! request; without a list of partitions those are answered that needed an election. `timeout_ms` is not waited for:
//! there is nothing to wait for.
//! Version notes: up to 0 an election is always that of the preferred leader, and nothing is said of the whole request.

use super::Context;
use crate::controller::client::ControllerClient;
use crate::controller::request::{ElectLeaders, Election, ElectionType, Outcome, Refusal};
use crate::protocol::messages::elect_leaders::*;
use crate::protocol::{ErrorCode, Str};

const TYPES_SINCE: i16 = 1;

pub async fn handle(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: ElectLeadersRequest<'_>,
) -> ElectLeadersResponse<'static> {
    let (election_type, partitions) = (request.election_type, partitions(request));
    let elected = match election(context.version, election_type) {
        Ok(election) => controller.elect_leaders(ElectLeaders { election, partitions: partitions.clone() }).await,
        Err(refusal) => Err(refusal),
    };
    match elected {
        Ok(elections) => ElectLeadersResponse { replica_election_results: results(elections), ..Default::default() },
        Err(refusal) => refused(partitions.unwrap_or_default(), refusal),
    }
}

fn election(version: i16, code: i8) -> Result<ElectionType, Refusal> {
    match code {
        _ if version < TYPES_SINCE => Ok(ElectionType::Preferred),
        0 => Ok(ElectionType::Preferred),
        1 => Ok(ElectionType::Unclean),
        other => Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown election type {other}"))),
    }
}

fn partitions(request: ElectLeadersRequest<'_>) -> Option<Vec<(String, i32)>> {
    let of_topic = |topic: TopicPartitions<'_>| {
        let name = topic.topic.into_owned();
        topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
    };
    request.topic_partitions.map(|topics| topics.into_iter().flat_map(of_topic).collect())
}

fn refused(partitions: Vec<(String, i32)>, refusal: Refusal) -> ElectLeadersResponse<'static> {
    let outcome: Outcome<()> = Err(refusal.clone());
    let elections =
        partitions.into_iter().map(|(topic, partition)| Election { topic, partition, outcome: outcome.clone() });
    ElectLeadersResponse {
        error_code: refusal.code.code(),
        replica_election_results: results(elections.collect()),
        ..Default::default()
    }
}

/// Those of one topic that follow one another are answered together.
fn results(elections: Vec<Election>) -> Vec<ReplicaElectionResult<'static>> {
    let mut topics: Vec<ReplicaElectionResult<'static>> = Vec::new();
    for Election { topic, partition, outcome } in elections {
        let result = result(partition, outcome);
        match topics.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partition_result.push(result),
            None => topics.push(ReplicaElectionResult { topic: topic.into(), partition_result: vec![result] }),
        }
    }
    topics
}

fn result(partition_id: i32, outcome: Outcome<()>) -> PartitionResult<'static> {
    let (code, message) = outcome.err().map_or((ErrorCode::None, None), |refusal| (refusal.code, refusal.message));
    PartitionResult { partition_id, error_code: code.code(), error_message: message.map(Str::Owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions_of(topics: &[(&'static str, &[i32])]) -> Option<Vec<(String, i32)>> {
        let topic = |(topic, partitions): &(&'static str, &[i32])| TopicPartitions {
            topic: Str::Borrowed(topic),
            partitions: partitions.to_vec(),
        };
        let topic_partitions = Some(topics.iter().map(topic).collect());
        partitions(ElectLeadersRequest { topic_partitions, ..Default::default() })
    }

    /// An answer as "code topic[partition:code]...".
    fn shown(response: &ElectLeadersResponse<'_>) -> String {
        let topics = response.replica_election_results.iter().map(|topic| {
            let partitions = topic.partition_result.iter();
            let partitions = partitions.map(|partition| format!("{}:{}", partition.partition_id, partition.error_code));
            format!(" {}[{}]", topic.topic, partitions.collect::<Vec<_>>().join(" "))
        });
        response.error_code.to_string() + &topics.collect::<String>()
    }

    #[test]
    fn partitions_are_answered_in_the_order_they_were_asked_for() {
        let partitions = partitions_of(&[("t", &[1, 0]), ("a", &[7]), ("t", &[9])]).unwrap();
        assert_eq!(partitions, [("t".into(), 1), ("t".into(), 0), ("a".into(), 7), ("t".into(), 9)]);
        let elections = partitions.into_iter().map(|(topic, partition)| {
            let not_needed = ErrorCode::ElectionNotNeeded.into();
            Election { topic, partition, outcome: if partition > 0 { Err(not_needed) } else { Ok(()) } }
        });
        let replica_election_results = results(elections.collect());
        let response = ElectLeadersResponse { replica_election_results, ..Default::default() };
        assert_eq!(shown(&response), "0 t[1:84 0:0] a[7:84] t[9:84]");
    }

    #[test]
    fn a_list_of_nothing_is_not_all_there_is() {
        assert_eq!(partitions_of(&[]), Some(Vec::new()));
        assert_eq!(partitions(ElectLeadersRequest::default()), None);
    }

    #[test]
    fn a_refused_request_is_refused_in_each_part() {
        let refusal = election(2, 5).unwrap_err();
        assert_eq!(refusal.message.as_deref(), Some("Unknown election type 5"));
        let response = refused(partitions_of(&[("t", &[1, 0])]).unwrap(), refusal);
        assert_eq!(shown(&response), "42 t[1:42 0:42]");
    }

    #[test]
    fn the_first_version_elects_preferred_leaders_only() {
        assert_eq!(election(0, 1), Ok(ElectionType::Preferred));
        assert_eq!(election(1, 1), Ok(ElectionType::Unclean));
    }
}
