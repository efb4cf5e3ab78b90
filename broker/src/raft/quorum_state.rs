//! The file `quorum-state`: what a voter has promised, in Kafka's JSON (`QuorumStateData`, versions 0 and 1).

use super::ids::{LeaderEpoch, ReplicaId, ReplicaKey};
use crate::protocol::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// What must survive a crash: in `epoch`, who leads if it is known, and whom this node voted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElectionState {
    pub epoch: LeaderEpoch,
    pub leader: Option<ReplicaId>,
    pub voted: Option<ReplicaKey>,
}

/// Why a file is no election state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumStateError {
    #[error("not the JSON of a quorum-state at byte {0}")]
    Syntax(usize),
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
pub fn decode(text: &str) -> Result<ElectionState, QuorumStateError> {
    let fields = Reader { text: text.as_bytes(), at: 0 }.file()?;
    match fields.get("data_version") {
        Some(Value::Number(0 | 1)) => {}
        Some(Value::Number(version)) => return Err(QuorumStateError::Version(*version)),
        _ => return Err(QuorumStateError::Field("data_version")),
    }
    let epoch = LeaderEpoch(number(&fields, "leaderEpoch")?);
    if epoch.0 < 0 {
        return Err(QuorumStateError::Field("leaderEpoch"));
    }
    let directory = match fields.get("votedDirectoryId") {
        Some(Value::Text(id)) => Uuid::parse(id).ok_or(QuorumStateError::Field("votedDirectoryId"))?,
        _ => Uuid::ZERO,
    };
    let voted = replica(number(&fields, "votedId")?).map(|id| ReplicaKey { id, directory });
    Ok(ElectionState { epoch, leader: replica(number(&fields, "leaderId")?), voted })
}

fn replica(id: i32) -> Option<ReplicaId> {
    (id >= 0).then_some(ReplicaId(id))
}

fn number(fields: &BTreeMap<String, Value>, name: &'static str) -> Result<i32, QuorumStateError> {
    match fields.get(name) {
        Some(Value::Number(number)) => i32::try_from(*number).map_err(|_| QuorumStateError::Field(name)),
        _ => Err(QuorumStateError::Field(name)),
    }
}

#[derive(Debug)]
enum Value {
    Number(i64),
    Text(String),
    /// An array of objects, or null: nothing that a node needs.
    Other,
}

/// Reads the JSON that such a file may hold: integers, strings without escapes, arrays of objects.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn file(mut self) -> Result<BTreeMap<String, Value>, QuorumStateError> {
        let fields = self.object(true)?;
        self.space();
        if self.at < self.text.len() { Err(self.error()) } else { Ok(fields) }
    }

    fn object(&mut self, arrays: bool) -> Result<BTreeMap<String, Value>, QuorumStateError> {
        let mut fields = BTreeMap::new();
        self.expect(b'{')?;
        if self.accept(b'}') {
            return Ok(fields);
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            let value = self.value(arrays)?;
            fields.insert(name, value);
            if !self.accept(b',') {
                self.expect(b'}')?;
                return Ok(fields);
            }
        }
    }

    fn value(&mut self, arrays: bool) -> Result<Value, QuorumStateError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') if arrays => self.array().map(|()| Value::Other),
            Some(b'n') => {
                let null = self.text[self.at..].starts_with(b"null");
                self.at += 4;
                if null { Ok(Value::Other) } else { Err(self.error()) }
            }
            _ => self.integer().map(Value::Number),
        }
    }

    fn array(&mut self) -> Result<(), QuorumStateError> {
        self.expect(b'[')?;
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            self.object(false)?;
            if !self.accept(b',') {
                return self.expect(b']');
            }
        }
    }

    fn string(&mut self) -> Result<String, QuorumStateError> {
        self.expect(b'"')?;
        let length = self.text[self.at..].iter().position(|byte| *byte == b'"').ok_or_else(|| self.error())?;
        let bytes = &self.text[self.at..self.at + length];
        if bytes.contains(&b'\\') {
            return Err(self.error());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| self.error())?.to_owned();
        self.at += length + 1;
        Ok(text)
    }

    fn integer(&mut self) -> Result<i64, QuorumStateError> {
        self.space();
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let number = std::str::from_utf8(&rest[..length]).ok().and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| self.error())?;
        self.at += length;
        Ok(number)
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), QuorumStateError> {
        if self.accept(byte) { Ok(()) } else { Err(self.error()) }
    }

    fn error(&self) -> QuorumStateError {
        QuorumStateError::Syntax(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_file_is_read_and_written() {
        let file = r#"{"clusterId":"","leaderId":1,"leaderEpoch":7,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1},{"voterId":3}],"data_version":0}"#;
        let state = ElectionState { epoch: LeaderEpoch(7), leader: Some(ReplicaId(1)), voted: None };
        assert_eq!(decode(file), Ok(state));
        assert_eq!(encode_v0(&state, &BTreeSet::from([ReplicaId(1), ReplicaId(3)])), file);
    }

    #[test]
    fn version_1_keeps_the_directory_that_was_voted_for() {
        let directory = Uuid::parse("erIx0-lUXyVlJ20QY0f7kg").unwrap();
        let voted = Some(ReplicaKey { id: ReplicaId(2), directory });
        let state = ElectionState { epoch: LeaderEpoch(3), leader: None, voted };
        let file = r#"{"leaderId":-1,"leaderEpoch":3,"votedId":2,"votedDirectoryId":"erIx0-lUXyVlJ20QY0f7kg","data_version":1}"#;
        assert_eq!((encode_v1(&state).as_str(), decode(file)), (file, Ok(state)));
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
