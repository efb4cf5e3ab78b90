//! The file `quorum-state`: what a voter has promised, in Kafka's JSON (`QuorumStateData`, versions 0 and 1).

use super::ids::{LeaderEpoch, ReplicaId, ReplicaKey};
use crate::protocol::Uuid;
use serde_json::Value;
use std::collections::BTreeSet;

/// What must survive a crash: in `epoch`, who leads if it is known, and whom this node voted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElectionState {
    pub epoch: LeaderEpoch,
    pub leader: Option<ReplicaId>,
    pub voted: Option<ReplicaKey>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStateFile {
    pub election: ElectionState,
    /// The voters as the node knew them; empty where the log itself says so (version 1).
    pub voters: BTreeSet<ReplicaId>,
    /// 0 or 1; Apache Kafka reads both.
    pub version: i64,
}

/// Why a file is no election state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumStateError {
    #[error("not JSON: {0}")]
    Syntax(String),
    #[error("no valid field \"{0}\"")]
    Field(&'static str),
    #[error("data_version {0}, where 0 and 1 are known")]
    Version(i64),
}

/// The file of version 0, which Kafka writes where the voter set is static.
pub fn encode_v0(state: &ElectionState, voters: &BTreeSet<ReplicaId>) -> String {
    let voters: Vec<String> = voters.iter().map(|id| format!("{{\"voterId\":{id}}}")).collect();
    format!(
        "{{\"clusterId\":\"\",\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"appliedOffset\":0,\
         \"currentVoters\":[{}],\"data_version\":0}}",
        id_or_none(state.leader),
        state.epoch,
        id_or_none(state.voted.map(|voted| voted.id)),
        voters.join(",")
    )
}

/// The file of version 1, which Kafka writes where voters have directory ids (KIP-853).
pub fn encode_v1(state: &ElectionState) -> String {
    format!(
        "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"votedDirectoryId\":\"{}\",\"data_version\":1}}",
        id_or_none(state.leader),
        state.epoch,
        id_or_none(state.voted.map(|voted| voted.id)),
        state.voted.map_or(Uuid::ZERO, |voted| voted.directory)
    )
}

fn id_or_none(id: Option<ReplicaId>) -> i32 {
    id.map_or(-1, |id| id.0)
}

/// Errors: `Syntax`, `Field`, `Version`: the node must not start, for it cannot know what it has promised.
pub fn decode(text: &str) -> Result<QuorumStateFile, QuorumStateError> {
    let json: Value = serde_json::from_str(text).map_err(|error| QuorumStateError::Syntax(error.to_string()))?;
    let version = json.get("data_version").and_then(Value::as_i64).ok_or(QuorumStateError::Field("data_version"))?;
    if !(0..=1).contains(&version) {
        return Err(QuorumStateError::Version(version));
    }
    let epoch = LeaderEpoch(number(&json, "leaderEpoch")?);
    if epoch.0 < 0 {
        return Err(QuorumStateError::Field("leaderEpoch"));
    }
    let directory = match json.get("votedDirectoryId").and_then(Value::as_str) {
        Some(id) => Uuid::parse(id).ok_or(QuorumStateError::Field("votedDirectoryId"))?,
        None => Uuid::ZERO,
    };
    let voted = replica(number(&json, "votedId")?).map(|id| ReplicaKey { id, directory });
    let voters = json.get("currentVoters").and_then(Value::as_array).into_iter().flatten();
    let voters = voters.map(|voter| number(voter, "voterId").map(ReplicaId)).collect::<Result<_, _>>()?;
    let election = ElectionState { epoch, leader: replica(number(&json, "leaderId")?), voted };
    Ok(QuorumStateFile { election, voters, version })
}

fn replica(id: i32) -> Option<ReplicaId> {
    (id >= 0).then_some(ReplicaId(id))
}

fn number(json: &Value, name: &'static str) -> Result<i32, QuorumStateError> {
    let number = json.get(name).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    number.ok_or(QuorumStateError::Field(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_file_is_read_and_written() {
        let file = r#"{"clusterId":"","leaderId":1,"leaderEpoch":7,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1},{"voterId":3}],"data_version":0}"#;
        let state = ElectionState { epoch: LeaderEpoch(7), leader: Some(ReplicaId(1)), voted: None };
        let voters = BTreeSet::from([ReplicaId(1), ReplicaId(3)]);
        assert_eq!(decode(file), Ok(QuorumStateFile { election: state, voters, version: 0 }));
        assert_eq!(encode_v0(&state, &BTreeSet::from([ReplicaId(1), ReplicaId(3)])), file);
    }

    #[test]
    fn version_1_keeps_the_directory_that_was_voted_for() {
        let directory = Uuid::parse("erIx0-lUXyVlJ20QY0f7kg").unwrap();
        let voted = Some(ReplicaKey { id: ReplicaId(2), directory });
        let state = ElectionState { epoch: LeaderEpoch(3), leader: None, voted };
        let file = r#"{"leaderId":-1,"leaderEpoch":3,"votedId":2,"votedDirectoryId":"erIx0-lUXyVlJ20QY0f7kg","data_version":1}"#;
        let read = QuorumStateFile { election: state, voters: BTreeSet::new(), version: 1 };
        assert_eq!((encode_v1(&state).as_str(), decode(file)), (file, Ok(read)));
    }

    #[test]
    fn a_damaged_file_is_an_error_at_every_length() {
        let file = encode_v0(&ElectionState::default(), &BTreeSet::from([ReplicaId(1)]));
        for length in 0..file.len() {
            assert!(decode(&file[..length]).is_err(), "{}", &file[..length]);
        }
        assert_eq!(decode(r#"{"data_version":2}"#), Err(QuorumStateError::Version(2)));
        assert_eq!(decode(r#"{"data_version":1,"leaderEpoch":-2}"#), Err(QuorumStateError::Field("leaderEpoch")));
        assert!(decode(&"[".repeat(100_000)).is_err());
    }
}
