//! The active controller and what it has decided that is not committed yet.

use super::answers::{Answer, answer_all, not_active, refuse_all};
use crate::controller::batches::Place;
use crate::controller::config_changes::{ELR_VERSION, MIN_INSYNC_REPLICAS};
use crate::controller::delta::ImageDelta;
use crate::controller::image::{METADATA_VERSION, MetadataImage, ResourceType};
use crate::controller::records::{METADATA_VERSION_LATEST, MetadataRecord};
use crate::controller::request::{Refusal, Request, Response};
use crate::controller::rules::ConfigRules;
use crate::controller::state::{Controller, ControllerSettings, RECORDS_PER_REQUEST_MAX};
use crate::controller::topics::config_record;
use crate::protocol::messages::metadata_records::{AbortTransactionRecord, FeatureLevelRecord};
use crate::raft::{BatchSpan, LeaderEpoch, Records};
use rand::rngs::StdRng;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// The level of `eligible.leader.replicas.version` that new clusters begin with.
const ELR_LATEST: i16 = 1;

/// What a controller is made of when its node becomes the leader.
pub struct Making {
    pub settings: ControllerSettings,
    pub rules: Arc<dyn ConfigRules>,
    /// What the directory was formatted with: a new cluster begins with it.
    pub bootstrap: MetadataImage,
}

pub struct Active {
    pub epoch: LeaderEpoch,
    pub controller: Controller,
    /// Decided upon and not proposed yet.
    group: Group,
    /// Proposed and not committed yet, in their order.
    proposed: VecDeque<Proposed>,
}

/// Changes that are proposed together, and those who wait for them.
#[derive(Default)]
struct Group {
    records: Records,
    delta: ImageDelta,
    answers: Vec<(Answer, Response)>,
}

struct Proposed {
    /// The image behind these changes.
    image: MetadataImage,
    delta: ImageDelta,
    bytes: usize,
    answers: Vec<(Answer, Response)>,
}

/// What a move of the high watermark brings.
pub struct CommittedChanges {
    pub image: MetadataImage,
    pub delta: ImageDelta,
    pub bytes: usize,
    pub answers: Vec<(Answer, Response)>,
}

impl Active {
    /// Takes over from `image`, which is all of the log. `in_transaction`: the log ends in one that nobody will finish.
    pub fn take_over(
        making: &Making,
        epoch: LeaderEpoch,
        image: MetadataImage,
        in_transaction: bool,
        now: i64,
    ) -> Active {
        let controller = Controller::new(image, making.settings.clone(), making.rules.clone(), now);
        let mut active = Active { epoch, controller, group: Group::default(), proposed: VecDeque::new() };
        if in_transaction {
            // A transaction that its controller did not finish never happened (KIP-868).
            active.apply(&[AbortTransactionRecord::default().into()], now);
        }
        if active.controller.metadata_version() == 0 {
            active.apply(&bootstrap(&making.bootstrap, making.settings.min_insync_replicas), now);
        }
        active
    }

    /// Decides about a request. It is answered once what it rests on is committed; but a heartbeat at once, or the next would
    /// be late because of this one's commit. Only a broker that may end has to be sure of it.
    pub fn decide(&mut self, now: i64, random: &mut StdRng, request: Request, answer: Answer) {
        let (response, records) = self.controller.handle(now, random, request);
        let at_once = match &response {
            Response::BrokerHeartbeat(Ok(answer)) => !answer.should_shut_down,
            Response::BrokerHeartbeat(Err(_)) => true,
            _ => false,
        };
        self.apply(&records, now);
        if at_once {
            answer_all(vec![(answer, response)], 0);
        } else {
            self.group.answers.push((answer, response));
        }
    }

    /// Does what time makes due.
    pub fn tick(&mut self, now: i64) {
        loop {
            let records = self.controller.tick(now);
            if records.is_empty() {
                return;
            }
            self.apply(&records, now);
        }
    }

    /// Replays `records`, and adds them to what is proposed next.
    fn apply(&mut self, records: &[MetadataRecord<'_>], now: i64) {
        let level = self.controller.metadata_version();
        for records in records.chunks(RECORDS_PER_REQUEST_MAX) {
            let base_offset = self.controller.image().applied.end_offset;
            let bytes = Place { base_offset, epoch: self.epoch.0, timestamp: now }.batch(level, records);
            for record in records {
                self.controller
                    .replay(record, &mut self.group.delta)
                    .expect("the controller's own records fit its image");
            }
            self.controller.batch_applied(self.epoch.0, now);
            let end_offset = self.controller.image().applied.end_offset;
            let span = BatchSpan { base_offset, end_offset, epoch: self.epoch, size: bytes.len() };
            self.group.records.batches.push(span);
            self.group.records.bytes.extend(bytes);
        }
    }

    /// Bytes of records that wait to be proposed.
    pub fn group_bytes(&self) -> usize {
        self.group.records.bytes.len()
    }

    /// The records to propose; `None` if there are none. Those who wait for nothing new wait for what was proposed before.
    pub fn records_to_propose(&mut self) -> Option<&Records> {
        if !self.group.records.is_empty() {
            return Some(&self.group.records);
        }
        let answers = std::mem::take(&mut self.group.answers);
        match self.proposed.back_mut() {
            Some(last) => last.answers.extend(answers),
            None => answer_all(answers, self.controller.image().applied.end_offset),
        }
        None
    }

    /// The records of [`Active::records_to_propose`] are in the log and being proposed.
    pub fn proposed(&mut self) -> Records {
        let Group { records, delta, answers } = std::mem::take(&mut self.group);
        let (image, bytes) = (self.controller.image().clone(), records.bytes.len());
        self.proposed.push_back(Proposed { image, delta, bytes, answers });
        records
    }

    /// The records of [`Active::records_to_propose`] could not be written: they never were.
    pub fn refuse(&mut self, committed: &MetadataImage, refusal: &Refusal) {
        let Group { answers, .. } = std::mem::take(&mut self.group);
        let before = self.proposed.back().map_or(committed, |last| &last.image).clone();
        self.controller.revert(before);
        refuse_all(answers, refusal);
    }

    /// What is committed now that the high watermark is `high_watermark`; `None` if it is nothing whole.
    pub fn committed(&mut self, high_watermark: i64) -> Option<CommittedChanges> {
        let mut all: Option<CommittedChanges> = None;
        while let Some(next) = self.proposed.pop_front_if(|next| next.image.applied.end_offset <= high_watermark) {
            match &mut all {
                None => {
                    let Proposed { image, delta, bytes, answers } = next;
                    all = Some(CommittedChanges { image, delta, bytes, answers });
                }
                Some(all) => {
                    all.image = next.image;
                    all.delta.merge(next.delta);
                    all.bytes += next.bytes;
                    all.answers.extend(next.answers);
                }
            }
        }
        all
    }

    /// This node leads no more. What was proposed may be committed yet, but nobody here will know.
    pub fn step_down(self) {
        let proposed = self.proposed.into_iter().flat_map(|proposed| proposed.answers);
        refuse_all(proposed.chain(self.group.answers), &not_active());
    }
}

/// The records of a new cluster: those that its directory was formatted with, or the newest metadata.version and eligible
/// leader replicas, as Apache Kafka 4.1 formats it (KIP-966).
///
/// With eligible leader replicas `min.insync.replicas` is the same on all brokers and known to the controller, for what is
/// eligible follows from it: it begins as this node is configured.
fn bootstrap(formatted: &MetadataImage, min_insync_replicas: i32) -> Vec<MetadataRecord<'_>> {
    let mut records: Vec<MetadataRecord<'_>> = formatted.records().collect();
    if formatted.feature_level(METADATA_VERSION) == 0 {
        let level = |name, feature_level| FeatureLevelRecord { name: Cow::Borrowed(name), feature_level }.into();
        records.extend([level(METADATA_VERSION, METADATA_VERSION_LATEST), level(ELR_VERSION, ELR_LATEST)]);
    }
    let elr = formatted.feature_level(METADATA_VERSION) == 0 || formatted.feature_level(ELR_VERSION) > 0;
    if elr && !formatted.configs.default_broker().contains_key(MIN_INSYNC_REPLICAS) {
        let value = min_insync_replicas.to_string();
        records.push(config_record(ResourceType::Broker, "", MIN_INSYNC_REPLICAS, Some(&value)));
    }
    records
}
