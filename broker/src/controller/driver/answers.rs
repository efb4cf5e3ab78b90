//! What those get who ask the thread.

use crate::controller::request::{Refusal, Response};
use crate::protocol::ErrorCode;
use crate::raft;
use tokio::sync::oneshot;

/// What the active controller answered, once that is committed.
#[derive(Debug)]
pub struct Answered {
    pub response: Response,
    /// The offset behind all that the answer rests on.
    pub end_offset: i64,
}

pub type Answer = oneshot::Sender<Result<Answered, Refusal>>;

/// The answer to another node of the quorum, and the records that belong into it.
#[derive(Debug)]
pub struct QuorumAnswer {
    pub response: raft::Response,
    pub records: Vec<u8>,
}

/// Why a node that does not lead the quorum changes nothing.
pub fn not_active() -> Refusal {
    Refusal::new(ErrorCode::NotController, "This node is not the active controller.")
}

pub fn answer_all(answers: Vec<(Answer, Response)>, end_offset: i64) {
    for (answer, response) in answers {
        answer.send(Ok(Answered { response, end_offset })).ok();
    }
}

pub fn refuse_all(answers: impl IntoIterator<Item = (Answer, Response)>, refusal: &Refusal) {
    for (answer, _) in answers {
        answer.send(Err(refusal.clone())).ok();
    }
}
