//! Elections of partitions' leaders, told apart by what they were for: read off the committed metadata, so each is counted
//! whoever asked for it.

use super::delta::ImageDelta;
use super::image::{MetadataImage, PartitionRegistration};

/// Why a partition has another leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum ElectionKind {
    /// The leader was gone.
    Offline,
    /// The leader is about to stop.
    Shutdown,
    /// The leader holds no replica any more.
    Reassignment,
    /// The first replica leads again.
    Preferred,
    /// The new leader may lack records that were acknowledged (`unclean.leader.election.enable`, or asked for).
    Unclean,
    /// A broker is drained.
    Other,
}

impl ElectionKind {
    pub const ALL: [ElectionKind; 6] = [
        ElectionKind::Offline,
        ElectionKind::Shutdown,
        ElectionKind::Reassignment,
        ElectionKind::Preferred,
        ElectionKind::Unclean,
        ElectionKind::Other,
    ];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            ElectionKind::Offline => "offline",
            ElectionKind::Shutdown => "shutdown",
            ElectionKind::Reassignment => "reassignment",
            ElectionKind::Preferred => "preferred",
            ElectionKind::Unclean => "unclean",
            ElectionKind::Other => "other",
        }
    }

    /// What gave a partition that was `old` the leader that it has as `new`, if it has another.
    fn of(old: &PartitionRegistration, new: &PartitionRegistration, image: &MetadataImage) -> Option<ElectionKind> {
        if new.leader == old.leader || !new.has_leader() {
            return None;
        }
        let was_safe = old.isr.contains(&new.leader) || old.elr().contains(&new.leader);
        let before = image.brokers.get(&old.leader).filter(|broker| !broker.fenced);
        Some(match before {
            _ if new.leader_recovering && !was_safe => ElectionKind::Unclean,
            None => ElectionKind::Offline,
            Some(broker) if broker.in_controlled_shutdown => ElectionKind::Shutdown,
            Some(_) if !new.replicas.contains(&old.leader) => ElectionKind::Reassignment,
            Some(_) if new.replicas.first() == Some(&new.leader) => ElectionKind::Preferred,
            Some(_) => ElectionKind::Other,
        })
    }
}

/// How many there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElectionCounts([u64; ElectionKind::ALL.len()]);

impl ElectionCounts {
    pub fn of(&self, kind: ElectionKind) -> u64 {
        self.0[kind as usize]
    }

    /// Counts what has happened between two images, of which `delta` says where they differ.
    pub fn add(&mut self, old: &MetadataImage, new: &MetadataImage, delta: &ImageDelta) {
        for (id, changed) in &delta.topics {
            let (Some(before), Some(after)) = (old.topics.by_id(*id), new.topics.by_id(*id)) else { continue };
            for number in &changed.partitions {
                let both = before.partition(*number).zip(after.partition(*number));
                if let Some(kind) = both.and_then(|(before, after)| ElectionKind::of(before, after, new)) {
                    self.0[kind as usize] += 1;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "election_counts_test.rs"]
mod tests;
