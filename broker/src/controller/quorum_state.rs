//! The file `quorum-state` of the metadata log, in Kafka's JSON (KIP-595). Pure: text in, text out.

use serde_json::{Value, json};

/// What a node must remember of elections, before it acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// -1 where none is known.
    pub leader_id: i32,
    pub leader_epoch: i32,
    /// Whom this node voted for in `leader_epoch`; -1 for nobody.
    pub voted_id: i32,
    /// The voters as the node knew them; empty where the log itself says so (KIP-853, data version 1).
    pub voters: Vec<i32>,
    pub data_version: i64,
}

impl QuorumState {
    /// That of a node that knows of no election yet.
    pub fn none() -> QuorumState {
        QuorumState { leader_id: -1, leader_epoch: 0, voted_id: -1, voters: Vec::new(), data_version: 0 }
    }

    /// Errors: what is missing or wrong.
    pub fn parse(text: &str) -> Result<QuorumState, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let data_version = number(&json, "data_version")?;
        if !(0..=1).contains(&data_version) {
            return Err(format!("data_version is {data_version}, where 0 and 1 are known"));
        }
        let id =
            |key| number(&json, key).and_then(|value| i32::try_from(value).map_err(|_| format!("{key} is {value}")));
        let voters = json.get("currentVoters").and_then(Value::as_array).into_iter().flatten();
        let voters = voters.map(|voter| number(voter, "voterId").map(|id| id as i32));
        Ok(QuorumState {
            leader_id: id("leaderId")?,
            leader_epoch: id("leaderEpoch")?,
            voted_id: id("votedId")?,
            voters: voters.collect::<Result<_, _>>()?,
            data_version,
        })
    }

    /// In the same data version that was read: Apache Kafka takes both.
    pub fn to_text(&self) -> String {
        let QuorumState { leader_id, leader_epoch, voted_id, .. } = self;
        let voters: Vec<Value> = self.voters.iter().map(|id| json!({ "voterId": id })).collect();
        let state = match self.data_version {
            0 => json!({
                "clusterId": "", "leaderId": leader_id, "leaderEpoch": leader_epoch, "votedId": voted_id,
                "appliedOffset": 0, "currentVoters": voters, "data_version": 0,
            }),
            version => json!({
                "leaderId": leader_id, "leaderEpoch": leader_epoch, "votedId": voted_id,
                "votedDirectoryId": "AAAAAAAAAAAAAAAAAAAAAA", "data_version": version,
            }),
        };
        state.to_string()
    }
}

fn number(json: &Value, key: &str) -> Result<i64, String> {
    json.get(key).and_then(Value::as_i64).ok_or_else(|| format!("{key} is missing or no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafka_wrote_is_read() {
        let text = r#"{"clusterId":"","leaderId":1,"leaderEpoch":3,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
        let state = QuorumState::parse(text).unwrap();
        let expected = QuorumState { leader_id: 1, leader_epoch: 3, voted_id: -1, voters: vec![1], data_version: 0 };
        assert_eq!(state, expected);
        assert_eq!(QuorumState::parse(&state.to_text()), Ok(state));
    }

    #[test]
    fn a_dynamic_quorums_state_names_no_voters() {
        let text = r#"{"leaderId":1,"leaderEpoch":3,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        let state = QuorumState::parse(text).unwrap();
        assert_eq!((state.voters.len(), state.data_version), (0, 1));
        assert_eq!(QuorumState::parse(&state.to_text()), Ok(state));
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(QuorumState::parse(r#"{"data_version":0}"#), Err("leaderId is missing or no number".into()));
        assert!(QuorumState::parse(r#"{"data_version":2}"#).unwrap_err().contains("data_version is 2"));
        assert!(QuorumState::parse("{").is_err());
    }
}
