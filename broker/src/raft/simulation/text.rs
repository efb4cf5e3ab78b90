//! Messages and actions as traces and scripts show them.

use crate::raft::{Action, Answer, Fetched, ReplicaKey, Request, Response};

/// A request in a few words; fetches are told apart, for there are many.
pub fn request(request: &Request) -> String {
    match request {
        Request::Vote(vote) => {
            let kind = if vote.pre_vote { "would you vote for me in" } else { "vote for me in" };
            format!("{kind} epoch {}? my log ends at {}", vote.epoch, vote.log_end)
        }
        Request::BeginQuorumEpoch(begin) => format!("I lead epoch {}", begin.epoch),
        Request::EndQuorumEpoch(end) => {
            let ids: Vec<String> = end.successors.iter().map(|key: &ReplicaKey| key.id.to_string()).collect();
            format!("I lead epoch {} no longer; next: [{}]", end.epoch, ids.join(" "))
        }
        Request::Fetch(fetch) => {
            format!("fetch {} in epoch {}, high watermark {}", fetch.position, fetch.epoch, fetch.high_watermark)
        }
        Request::FetchSnapshot(fetch) => format!("fetch snapshot {} from byte {}", fetch.id, fetch.position),
    }
}

pub fn response(response: &Response) -> String {
    let what = match &response.body {
        Err(refusal) => format!("no: {refusal}"),
        Ok(Answer::Vote { granted }) => if *granted { "yes" } else { "no" }.to_owned(),
        Ok(Answer::BeginQuorumEpoch | Answer::EndQuorumEpoch) => "understood".to_owned(),
        Ok(Answer::Fetch(answer)) => match &answer.found {
            Fetched::Records(records) => match (records.batches.first(), records.batches.last()) {
                (Some(first), Some(last)) => {
                    format!("records {} to {}, high watermark {}", first.base_offset, last.end(), answer.high_watermark)
                }
                _ => format!("nothing new, high watermark {}", answer.high_watermark),
            },
            Fetched::Diverging(end) => format!("our logs diverge behind {end}"),
            Fetched::Snapshot(id) => format!("take snapshot {id}"),
        },
        Ok(Answer::FetchSnapshot(chunk)) => {
            format!("{} bytes of {} of snapshot {}", chunk.bytes.len(), chunk.size, chunk.id)
        }
    };
    format!("{what} (leader {})", response.leader)
}

/// Fetches, and answers to them that are nothing special: left out of scripts, or there would be little else.
pub fn is_idle_chatter(what: &str) -> bool {
    let fetch = what.contains(": fetch ") && !what.contains("snapshot");
    let answer = ["nothing new", ": records ", "not the leader (leader none"].iter().any(|usual| what.contains(usual));
    fetch || answer
}

/// What an action does to the disk or says to the controller; messages are shown where they arrive.
pub fn action(action: &Action) -> Option<String> {
    Some(match action {
        Action::PersistElection(state) => {
            let voted = state.voted.map_or("nobody".to_owned(), |key| key.id.to_string());
            let leader = state.leader.map_or("unknown".to_owned(), |id| id.to_string());
            format!("persists epoch {}: leader {leader}, voted for {voted}", state.epoch)
        }
        Action::Truncate { end_offset } => format!("truncates its log to {end_offset}"),
        Action::Append(records) => {
            let (first, last) = (records.batches.first()?, records.batches.last()?);
            format!("appends {} to {}", first.base_offset, last.end())
        }
        Action::InstallSnapshot(id) => format!("begins its log anew at snapshot {id}"),
        Action::Committed { high_watermark } => format!("knows that {high_watermark} is committed"),
        Action::LeaderChanged(leader) => format!("takes for leader {leader}"),
        Action::Complain(complaint) => format!("complains: {complaint}"),
        Action::Sync(_)
        | Action::WriteSnapshot { .. }
        | Action::Send { .. }
        | Action::Respond { .. }
        | Action::RespondWithRecords { .. }
        | Action::RespondWithSnapshot { .. } => return None,
    })
}
