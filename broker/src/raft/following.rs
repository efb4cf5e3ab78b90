//! A follower's or observer's work: fetch what comes next, cut what the leader does not have, take a snapshot where the
//! leader's log starts later (KIP-595, KIP-630).

use super::action::{Action, Complaint};
use super::ids::{OffsetAndEpoch, ReplicaId, SnapshotId};
use super::message::{FetchAnswer, FetchRequest, FetchSnapshotRequest, Fetched, Records, Request, SnapshotChunk};
use super::node::Node;
use super::peers::Asked;
use super::role::{Follower, Role, SnapshotDownload};

impl Node {
    /// The next fetch: its position tells the leader what is durable here, so it is made only when all of the log is.
    pub(super) fn next_fetch(&self) -> FetchRequest {
        FetchRequest {
            replica: Some(self.settings.local),
            epoch: self.election.epoch,
            position: self.log.end(),
            high_watermark: self.high_watermark,
            wait_max_ms: self.settings.fetch_wait_max_ms(),
            bytes_max: self.settings.fetch_bytes_max,
        }
    }

    pub(super) fn log_is_synced(&self) -> bool {
        self.synced.end_offset == self.log.end().offset
    }

    pub(super) fn fetch_from_leader(&mut self) {
        let Role::Follower(follower) = &self.role else { return };
        let (leader, snapshot) = (follower.leader, follower.snapshot);
        if !self.peers.is_ready(leader, self.now) || !self.log_is_synced() {
            return;
        }
        match snapshot {
            None => self.send(leader, Asked::Fetch, Request::Fetch(self.next_fetch())),
            Some(download) => {
                let fetch = FetchSnapshotRequest {
                    replica: Some(self.settings.local),
                    epoch: self.election.epoch,
                    id: download.id,
                    position: download.position,
                    bytes_max: self.settings.fetch_bytes_max,
                };
                self.send(leader, Asked::FetchSnapshot, Request::FetchSnapshot(fetch));
            }
        }
    }

    pub(super) fn on_fetched(&mut self, from: ReplicaId, answer: FetchAnswer) {
        if !self.heard_from(from) {
            return self.back_off(from);
        }
        match answer.found {
            Fetched::Records(records) => self.take_records(from, records, answer.high_watermark),
            Fetched::Diverging(end) => self.cut_to(from, end),
            Fetched::Snapshot(id) => self.begin_snapshot(from, id),
        }
    }

    /// Notes that the leader answered. Whether `from` is the leader.
    fn heard_from(&mut self, from: ReplicaId) -> bool {
        let expires_at = self.leader_lost_time();
        match &mut self.role {
            Role::Follower(follower) if follower.leader == from => {
                (follower.heard, follower.expires_at) = (true, expires_at);
                true
            }
            _ => false,
        }
    }

    fn take_records(&mut self, from: ReplicaId, records: Records, high_watermark: i64) {
        let end = self.log.end();
        self.note_recovery(end, high_watermark);
        match records.end_behind(end) {
            Some(behind) if behind.epoch <= self.election.epoch.max(end.epoch) => {
                if !records.is_empty() {
                    self.append(records);
                }
                self.raise_high_watermark(high_watermark.min(self.log.end().offset));
            }
            _ => {
                self.complain(Complaint::RecordsDoNotFollow { from, end });
                self.back_off(from);
            }
        }
    }

    /// A node that may have lost its disk has it all again once it has on disk what a leader has committed in its own epoch:
    /// that includes all that was committed before.
    fn note_recovery(&mut self, end: OffsetAndEpoch, high_watermark: i64) {
        let begins = self.log.begin_of_epoch(self.election.epoch);
        if end.offset >= high_watermark && begins.is_some_and(|begins| begins < high_watermark) {
            self.may_have_lost_its_disk = false;
        }
    }

    /// Cuts the log where the leader's may differ. Committed records are never cut: who asks for that has lost some.
    fn cut_to(&mut self, from: ReplicaId, diverging: OffsetAndEpoch) {
        let end_offset = self.log.truncation_point(diverging);
        if end_offset < self.high_watermark || end_offset >= self.log.end().offset {
            let high_watermark = self.high_watermark;
            self.complain(Complaint::CommittedRecordsDiverge { from, diverging, high_watermark });
            return self.back_off(from);
        }
        self.truncate(end_offset);
    }

    fn begin_snapshot(&mut self, from: ReplicaId, id: SnapshotId) {
        if id.offset <= self.high_watermark {
            let high_watermark = self.high_watermark;
            self.complain(Complaint::CommittedRecordsDiverge { from, diverging: id, high_watermark });
            return self.back_off(from);
        }
        self.set_download(Some(SnapshotDownload { id, position: 0 }));
    }

    pub(super) fn on_snapshot_chunk(&mut self, from: ReplicaId, chunk: SnapshotChunk) {
        if !self.heard_from(from) {
            return self.back_off(from);
        }
        let Role::Follower(Follower { snapshot: Some(download), .. }) = self.role else { return };
        let SnapshotDownload { id, position } = download;
        if chunk.id != id || chunk.position != position || chunk.bytes.is_empty() {
            self.give_up_snapshot();
            return self.back_off(from);
        }
        let position_behind = position + chunk.bytes.len() as i64;
        self.push(Action::WriteSnapshot { id, position, bytes: chunk.bytes });
        if position_behind < chunk.size {
            self.set_download(Some(SnapshotDownload { id, position: position_behind }));
        } else {
            self.set_download(None);
            self.install_snapshot(id);
        }
    }

    /// Begins anew with a fetch: the leader may have a newer snapshot.
    pub(super) fn give_up_snapshot(&mut self) {
        self.set_download(None);
    }

    fn set_download(&mut self, download: Option<SnapshotDownload>) {
        if let Role::Follower(follower) = &mut self.role {
            follower.snapshot = download;
        }
    }

    /// A request to the leader broke off. When a process dies its connections close at once: if that is what happened,
    /// waiting helps nobody. If not, the others still hear the leader and refuse the pre-vote, and nothing is lost.
    pub(super) fn suspect_leader(&mut self, peer: ReplicaId) {
        let soon = self.random_time(0, self.settings.suspicion_jitter_ms());
        match &mut self.role {
            Role::Follower(follower) if follower.leader == peer && follower.heard => {
                follower.heard = false;
                follower.expires_at = follower.expires_at.min(soon);
            }
            _ => {}
        }
    }
}
