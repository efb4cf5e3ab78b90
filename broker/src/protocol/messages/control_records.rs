//! The control records of the metadata log (KIP-595, KIP-630, KIP-853) and of transactions (KIP-98).

use crate::protocol::codec::{Str, Uuid};

super::messages! {
    LeaderChangeMessage {
        version: i16,
        leader_id: i32,
        voters: Vec<LeaderChangeMessageVoter>,
        granting_voters: Vec<LeaderChangeMessageVoter>,
    }

    LeaderChangeMessageVoter {
        voter_id: i32,
        voter_directory_id: Uuid [1..],
    }

    SnapshotHeaderRecord {
        version: i16,
        last_contained_log_timestamp: i64,
    }

    SnapshotFooterRecord {
        version: i16,
    }

    KRaftVersionRecord {
        version: i16,
        k_raft_version: i16,
    }

    VotersRecord<'a> {
        version: i16,
        voters: Vec<VotersRecordVoter<'a>>,
    }

    VotersRecordVoter<'a> {
        voter_id: i32,
        voter_directory_id: Uuid,
        endpoints: Vec<Endpoint<'a>>,
        k_raft_version_feature: KRaftVersionFeature,
    }

    Endpoint<'a> {
        name: Str<'a>,
        host: Str<'a>,
        port: u16,
    }

    KRaftVersionFeature {
        min_supported_version: i16,
        max_supported_version: i16,
    }

    EndTxnMarker {
        coordinator_epoch: i32,
    }
}
