//! What nodes and clients of a cluster say to one another.

use super::partition_log::{Batch, Produced};
use crate::controller::request;
use crate::protocol::ErrorCode;
use crate::raft::{self, Correlation};

/// Who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    Node(i32),
    Client(usize),
}

/// Whose request it is, whom it asks, and which process of the asker waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    pub from: Party,
    pub to: i32,
    pub incarnation: u64,
    pub id: u64,
}

#[derive(Clone, Debug)]
pub enum Request {
    Quorum(Correlation, raft::Request),
    Controller(request::Request),
    Fetch(Fetch),
    Produce { partition: i32, produced: Produced, acks: Acks },
    Consume { partition: i32, offset: i64, leader_epoch: i32 },
    LatestOffset { partition: i32, leader_epoch: i32 },
    FindLeader { partition: i32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    Leader,
    All,
}

/// A follower's fetch of all partitions that it follows one leader in.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub positions: Vec<Position>,
}

/// Where a follower is, and what it believes.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub partition: i32,
    pub leader_epoch: i32,
    pub offset: i64,
    /// The epoch of the last record; -1 of an empty log.
    pub last_epoch: i32,
    pub high_watermark: i64,
}

#[derive(Clone, Debug)]
pub struct Fetched {
    pub batches: Vec<Batch>,
    pub high_watermark: i64,
    pub diverging: Option<(i32, i64)>,
}

#[derive(Clone, Debug)]
pub enum Response {
    Quorum(Correlation, raft::Response),
    Controller(Result<request::Response, request::Refusal>),
    /// In the order of the positions.
    Fetch(Vec<Result<Fetched, ErrorCode>>),
    /// The base offset.
    Produce(Result<i64, ErrorCode>),
    Consume(Result<Vec<Batch>, ErrorCode>),
    LatestOffset(Result<i64, ErrorCode>),
    /// The leader and its epoch.
    FindLeader(Option<(i32, i32)>),
}

#[derive(Clone, Debug)]
pub enum Packet {
    Request(Request),
    Response(Response),
    /// The connection closed before an answer came.
    Failed,
}

impl Call {
    /// Who sends `packet` and who receives it: the asker its request, the asked one everything else.
    pub fn route(&self, packet: &Packet) -> (Party, Party) {
        let asked = Party::Node(self.to);
        if matches!(packet, Packet::Request(_)) { (self.from, asked) } else { (asked, self.from) }
    }
}
