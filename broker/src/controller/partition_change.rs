//! What becomes of a partition when something about it changes: who is in sync, who may lead, who leads (KIP-497, KIP-455,
//! KIP-841, KIP-966). Whatever changes a partition goes through here, so that the rules stand once.
//!
//! - A move of replicas that has nothing left to wait for ends with the change.
//! - The leader stays if it can. Else the first replica leads that is in sync, or that is eligible because it was in sync when
//!   too few others were; else the last leader, where that is known; else any live one if records may be lost.
//! - Without eligible leader replicas the last replica in sync stays in sync when it goes: it alone can lead again.

use super::image::{NO_LEADER, PartitionRegistration, UNASSIGNED_DIRECTORY};
use crate::protocol::Uuid;
use crate::protocol::messages::metadata_records::PartitionChangeRecord;

/// Who is to lead a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// Whoever leads, if it can.
    Steady,
    /// The first replica, if it can.
    Preferred,
}

/// Whether a broker may lead a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Unfit,
    /// Where nobody else can: it is being drained.
    Reluctant,
    Fit,
}

/// What the cluster and the topic add to the rules.
pub(super) trait Circumstances {
    fn standing(&self, partition: &PartitionRegistration, broker: i32) -> Standing;
    /// `min.insync.replicas`.
    fn min_insync_replicas(&self) -> usize;
    /// Whether a replica may lead that is not in sync.
    fn unclean(&self) -> bool;
    /// Whether eligible leader replicas are kept.
    fn elr(&self) -> bool;
    /// Whether a smaller ISR takes a new leader epoch: before metadata.version 3.6.
    fn shrinking_begins_an_epoch(&self) -> bool;
    /// Whether partitions know the directories of their replicas.
    fn directories(&self) -> bool;
    /// Whether a broker has a directory, as far as is known.
    fn has_directory(&self, broker: i32, directory: Uuid) -> bool;
    /// The directory for a new replica.
    fn directory_for(&self, broker: i32) -> Uuid;
}

/// A partition as it is to be; begun as it is.
#[derive(Clone, Debug)]
pub(super) struct PartitionChange<'a> {
    pub partition: &'a PartitionRegistration,
    pub election: Election,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
    pub recovering: bool,
    /// A replica that may have lost what it had.
    pub untrusted: Option<i32>,
    /// The directory that a replica turns out to be in.
    pub directory: Option<(i32, Uuid)>,
}

enum Elected {
    InSync(i32),
    Eligible(i32),
    Unclean(i32),
    Nobody,
}

impl<'a> PartitionChange<'a> {
    pub fn of(partition: &'a PartitionRegistration) -> PartitionChange<'a> {
        PartitionChange {
            partition,
            election: Election::Steady,
            replicas: partition.replicas.to_vec(),
            isr: partition.isr.to_vec(),
            adding: partition.adding_replicas().to_vec(),
            removing: partition.removing_replicas().to_vec(),
            recovering: partition.leader_recovering,
            untrusted: None,
            directory: None,
        }
    }

    /// The same without `broker` in sync.
    pub fn without(mut self, broker: i32) -> PartitionChange<'a> {
        self.isr.retain(|replica| *replica != broker);
        self
    }

    /// The record that makes the partition so, with the leader that follows from it; `None` where nothing changes.
    pub fn record(
        mut self,
        topic_id: Uuid,
        partition_id: i32,
        around: &impl Circumstances,
    ) -> Option<PartitionChangeRecord> {
        let old = self.partition;
        self.end_reassignment();
        let mut elr = self.eligible(around);
        let elected = self.elect(&elr, around);
        let mut leader = NO_LEADER;
        match elected {
            Elected::InSync(id) => leader = id,
            Elected::Eligible(id) => {
                leader = id;
                self.isr = vec![id];
                elr.retain(|replica| *replica != id);
            }
            Elected::Unclean(id) => {
                leader = id;
                self.isr = vec![id];
                self.recovering = true;
                elr.clear();
            }
            Elected::Nobody => {}
        }
        if self.isr.is_empty() && !around.elr() {
            self.isr = old.isr.to_vec();
        }
        // A leader from outside the ISR may be all that a move was waiting for.
        self.end_reassignment();
        elr.retain(|replica| self.replicas.contains(replica));
        let last_known = self.last_known(leader, around);
        let unchanged = PartitionChangeRecord { topic_id, partition_id, ..Default::default() };
        let record = PartitionChangeRecord {
            leader: if leader != old.leader || self.begins_an_epoch(around) { leader } else { unchanged.leader },
            isr: differing(&self.isr, &old.isr),
            replicas: differing(&self.replicas, &old.replicas),
            adding_replicas: differing(&self.adding, old.adding_replicas()),
            removing_replicas: differing(&self.removing, old.removing_replicas()),
            eligible_leader_replicas: differing(&elr, old.elr()),
            last_known_elr: differing(&last_known, old.last_known_elr()),
            leader_recovery_state: if self.recovering == old.leader_recovering { -1 } else { self.recovering.into() },
            directories: self.changed_directories(around),
            ..unchanged.clone()
        };
        (record != unchanged).then_some(record)
    }

    /// Ends a move whose new replicas are all in sync, unless none would be left.
    fn end_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |replica: &&i32| !self.removing.contains(replica);
        let replicas: Vec<i32> = self.replicas.iter().filter(stays).copied().collect();
        let isr: Vec<i32> = self.isr.iter().filter(stays).copied().collect();
        if !isr.is_empty() && self.adding.iter().all(|replica| isr.contains(replica)) {
            (self.replicas, self.isr) = (replicas, isr);
            self.adding.clear();
            self.removing.clear();
        }
    }

    /// The replicas outside the ISR that have all that was acknowledged: those that were in sync when the ISR became too small
    /// for anything more to be.
    fn eligible(&self, around: &impl Circumstances) -> Vec<i32> {
        let enough = around.min_insync_replicas().min(self.replicas.len());
        if !around.elr() || self.isr.len() >= enough {
            return Vec::new();
        }
        let mut eligible: Vec<i32> = self.partition.elr().iter().chain(&*self.partition.isr).copied().collect();
        eligible.sort_unstable();
        eligible.dedup();
        eligible.retain(|replica| {
            !self.isr.contains(replica) && self.replicas.contains(replica) && self.untrusted != Some(*replica)
        });
        eligible
    }

    fn elect(&self, elr: &[i32], around: &impl Circumstances) -> Elected {
        let first = match self.election {
            Election::Steady => self.partition.leader,
            Election::Preferred => self.replicas.first().copied().unwrap_or(NO_LEADER),
        };
        let current = Some(self.partition.leader);
        let candidates = || [Some(first), current].into_iter().flatten().chain(self.replicas.iter().copied());
        let standing = |id: i32| around.standing(self.partition, id);
        let clean = |wanted: Standing| {
            candidates().find(|id| {
                let safe = self.isr.contains(id) || elr.contains(id);
                safe && standing(*id) == wanted
            })
        };
        if let Some(id) = clean(Standing::Fit).or_else(|| clean(Standing::Reluctant)) {
            return if self.isr.contains(&id) { Elected::InSync(id) } else { Elected::Eligible(id) };
        }
        let live = |id: &i32| standing(*id) != Standing::Unfit;
        let unclean = self.last_leader(elr, around).filter(live);
        let unclean = unclean.or_else(|| self.replicas.iter().copied().find(live).filter(|_| around.unclean()));
        unclean.map_or(Elected::Nobody, Elected::Unclean)
    }

    /// The last leader, where nobody is in sync or eligible: nobody has more than it.
    fn last_leader(&self, elr: &[i32], around: &impl Circumstances) -> Option<i32> {
        match self.partition.last_known_elr() {
            [last] if around.elr() && elr.is_empty() && self.isr.is_empty() => Some(*last),
            _ => None,
        }
    }

    /// Who led last, kept while nobody is in sync.
    fn last_known(&self, leader: i32, around: &impl Circumstances) -> Vec<i32> {
        let old = self.partition;
        if leader != NO_LEADER || !around.elr() {
            return Vec::new();
        }
        let left = if old.has_leader() { Some(old.leader) } else { old.isr.first().copied() };
        match left {
            Some(left) if self.isr.is_empty() => vec![left],
            _ => old.last_known_elr().to_vec(),
        }
    }

    /// Whether a new leader epoch keeps replicas away that do not belong to the partition any more.
    fn begins_an_epoch(&self, around: &impl Circumstances) -> bool {
        let lost = |old: &[i32], new: &[i32]| old.iter().any(|replica| !new.contains(replica));
        lost(&self.partition.replicas, &self.replicas)
            || (around.shrinking_begins_an_epoch() && lost(&self.partition.isr, &self.isr))
    }

    fn joins_isr(&self, replica: i32) -> bool {
        self.isr.contains(&replica) && !self.partition.isr.contains(&replica)
    }

    fn changed_directories(&self, around: &impl Circumstances) -> Option<Vec<Uuid>> {
        if !around.directories() {
            return None;
        }
        let directory = |replica: &i32| match (self.directory, self.partition.directory(*replica)) {
            (Some((broker, directory)), _) if broker == *replica => directory,
            // Its disk was lost perhaps, and it is in sync again: it has everything in a directory that the broker has now.
            (_, Some(known)) if self.joins_isr(*replica) && !around.has_directory(*replica, known) => {
                around.directory_for(*replica)
            }
            (_, Some(UNASSIGNED_DIRECTORY)) if self.joins_isr(*replica) => around.directory_for(*replica),
            (_, known) => known.unwrap_or_else(|| around.directory_for(*replica)),
        };
        let directories: Vec<Uuid> = self.replicas.iter().map(directory).collect();
        let moved = *self.replicas != *self.partition.replicas;
        (moved || *directories != *self.partition.directories).then_some(directories)
    }
}

fn differing(new: &[i32], old: &[i32]) -> Option<Vec<i32>> {
    (new != old).then(|| new.to_vec())
}
