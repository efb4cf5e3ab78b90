//! The control record that a leader writes first (KIP-595, "Leader Change Message").

use super::ids::{LeaderAndEpoch, ReplicaId};
use super::message::{BatchSpan, Records};
use crate::protocol::batch::attributes;
use crate::protocol::messages::control_records::{LeaderChangeMessage, LeaderChangeMessageVoter};
use crate::protocol::record::BatchBuilder;
use crate::protocol::{Encoder, Uuid, Wire};
use std::collections::BTreeSet;

/// `ControlRecordType.LEADER_CHANGE` behind the key's version.
const LEADER_CHANGE_KEY: [u8; 4] = [0, 0, 0, 2];
/// The version without directory ids: that of a static voter set.
const LEADER_CHANGE_VERSION: i16 = 0;

/// The batch at `offset` that begins `leader`'s epoch. `now` is its timestamp.
pub(super) fn leader_change(
    offset: i64,
    leader: LeaderAndEpoch,
    voters: &BTreeSet<ReplicaId>,
    granting: &[ReplicaId],
    now: i64,
) -> Records {
    let message = LeaderChangeMessage {
        version: LEADER_CHANGE_VERSION,
        leader_id: leader.leader.map_or(-1, |leader| leader.0),
        voters: voters.iter().map(voter).collect(),
        granting_voters: granting.iter().map(voter).collect(),
    };
    let mut encoder = Encoder::new(Vec::new(), LEADER_CHANGE_VERSION, true);
    message.write(&mut encoder);
    let mut batch = BatchBuilder::new(now);
    batch.base_offset = offset;
    batch.leader_epoch = leader.epoch.0;
    batch.attributes = attributes::CONTROL;
    let bytes = batch.record(&LEADER_CHANGE_KEY, &encoder.finish().0).build();
    let span = BatchSpan { base_offset: offset, end_offset: offset + 1, epoch: leader.epoch, size: bytes.len() };
    Records { batches: vec![span], bytes }
}

fn voter(id: &ReplicaId) -> LeaderChangeMessageVoter {
    LeaderChangeMessageVoter { voter_id: id.0, voter_directory_id: Uuid::ZERO }
}

#[cfg(test)]
mod tests {
    use super::super::ids::LeaderEpoch;
    use super::*;

    /// The first 91 bytes of a metadata log that Apache Kafka 4.1.0 wrote as node 1 of a quorum of one.
    const KAFKAS: &str = "00000000000000000000004f00000001026c635ef2002000000000000001a1fa9c2d6b000001a1fa9c2d6bffffffffffffff\
        ffffffffffffff000000013a0000000800000002260000000000010200000001000200000001000000";

    #[test]
    fn the_first_record_of_an_epoch_is_kafkas_byte_for_byte() {
        let id = ReplicaId(1);
        let leader = LeaderAndEpoch { leader: Some(id), epoch: LeaderEpoch(1) };
        let records = leader_change(0, leader, &BTreeSet::from([id]), &[id], 0x01a1_fa9c_2d6b);
        let hex: String = records.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, KAFKAS);
    }
}
