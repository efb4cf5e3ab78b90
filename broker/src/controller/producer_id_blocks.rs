//! The producer ids that brokers get (KIP-730).

use super::request::{Outcome, ProducerIdBlock};
use super::state::{Controller, Records};
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata_records::ProducerIdsRecord;

/// Producer ids that a broker gets at once (Kafka's `PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK: i64 = 1000;

impl Controller {
    pub(super) fn allocate_producer_ids(
        &self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> (Outcome<ProducerIdBlock>, Records) {
        match self.image.brokers.get(&broker_id) {
            None => return (Err(ErrorCode::BrokerIdNotRegistered.into()), Records::new()),
            Some(broker) if broker.epoch != broker_epoch => {
                return (Err(ErrorCode::StaleBrokerEpoch.into()), Records::new());
            }
            Some(_) => {}
        }
        let first = self.image.next_producer_id;
        let Some(next_producer_id) = first.checked_add(PRODUCER_ID_BLOCK) else {
            return (Err(ErrorCode::UnknownServerError.into()), Records::new());
        };
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
        (Ok(ProducerIdBlock { first, count: PRODUCER_ID_BLOCK }), vec![record.into()])
    }
}
