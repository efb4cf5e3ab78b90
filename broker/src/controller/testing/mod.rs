//! What the tests of this room share: a controller without a log, and rules that know four properties.

pub mod node;

use crate::controller::SUPPORTED_FEATURES;
use crate::controller::delta::ImageDelta;
use crate::controller::image::{Configs, ConfigsImage, Endpoint, MetadataImage, ResourceType, SupportedFeature};
use crate::controller::records::{METADATA_VERSION_LATEST, MetadataRecord};
use crate::controller::request::*;
use crate::controller::rules::{ConfigRules, EffectiveConfig};
use crate::controller::state::{Controller, ControllerSettings, Records};
use crate::protocol::messages::metadata_records::FeatureLevelRecord;
use crate::protocol::{ErrorCode, Uuid};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;

/// Knows `retention.ms`, which is a number, `cleanup.policy`, which is a list, `min.insync.replicas` and `unclean.leader.election.enable`.
pub struct FewRules;

impl ConfigRules for FewRules {
    fn check(&self, _: ResourceType, _: &str, configs: &Configs, _: &[&str]) -> Outcome<()> {
        let invalid = |text| Err(Refusal::new(ErrorCode::InvalidConfig, text));
        for (name, value) in configs {
            match name.as_str() {
                "retention.ms" | "min.insync.replicas" if value.parse::<i64>().is_err() => {
                    return invalid(format!("Invalid value {value} for configuration {name}: Not a number"));
                }
                "retention.ms" | "cleanup.policy" | "min.insync.replicas" | "unclean.leader.election.enable" => {}
                _ => return invalid(format!("Unknown topic config name: {name}")),
            }
        }
        Ok(())
    }

    fn list_default(&self, _: ResourceType, property: &str) -> Option<String> {
        (property == "cleanup.policy").then(|| "delete".to_owned())
    }

    fn effective_topic_configs(&self, _: &ConfigsImage, own: &Configs) -> Vec<EffectiveConfig> {
        let value = own.get("retention.ms").cloned();
        vec![EffectiveConfig { name: "retention.ms", value, source: 1, is_sensitive: false }]
    }
}

/// A controller and all the records that made its image.
pub struct Bench {
    pub controller: Controller,
    pub random: StdRng,
    pub now: i64,
    pub log: Vec<Vec<u8>>,
}

impl Bench {
    /// A cluster whose brokers 1, 2... are on the racks named.
    pub fn with_brokers(racks: &[Option<&str>]) -> Bench {
        let controller =
            Controller::new(MetadataImage::default(), ControllerSettings::default(), Arc::new(FewRules), 0);
        let mut bench = Bench { controller, random: StdRng::seed_from_u64(7), now: 0, log: Vec::new() };
        let name = crate::controller::image::METADATA_VERSION.into();
        bench.apply(vec![FeatureLevelRecord { name, feature_level: METADATA_VERSION_LATEST }.into()]);
        for (id, rack) in (1..).zip(racks) {
            bench.ask(Request::RegisterBroker(broker(id, *rack)));
            bench.beat(id).unwrap();
        }
        bench
    }

    pub fn one_broker() -> Bench {
        Bench::with_brokers(&[None])
    }

    pub fn ask(&mut self, request: Request) -> Response {
        let (response, records) = self.controller.handle(self.now, &mut self.random, request);
        self.apply(records);
        response
    }

    /// Lets the time be `now`, and has done what is due then.
    pub fn at(&mut self, now: i64) {
        for step in (self.now..now).step_by(100).skip(1).chain([now]) {
            self.now = step;
            self.tick();
        }
    }

    /// As [`at`](Bench::at), with all brokers that are not fenced heard until then.
    pub fn at_with_heartbeats(&mut self, now: i64) {
        for step in (self.now..now).step_by(100).skip(1).chain([now]) {
            self.now = step;
            for id in self.image().live_brokers().map(|broker| broker.id).collect::<Vec<_>>() {
                self.beat(id).unwrap();
            }
            self.tick();
        }
    }

    /// Has done what is due.
    pub fn tick(&mut self) {
        loop {
            let records = self.controller.tick(self.now);
            if records.is_empty() {
                break;
            }
            self.apply(records);
        }
    }

    /// A heartbeat of a broker that has applied everything.
    pub fn beat(&mut self, id: i32) -> Outcome<HeartbeatAnswer> {
        self.heartbeat(|_| (), id)
    }

    /// A heartbeat with something special about it.
    pub fn heartbeat(&mut self, special: impl FnOnce(&mut BrokerHeartbeat), id: i32) -> Outcome<HeartbeatAnswer> {
        let epoch = self.image().brokers.get(&id).map_or(-1, |broker| broker.epoch);
        let mut heartbeat = BrokerHeartbeat {
            id,
            epoch,
            metadata_end_offset: self.image().applied.end_offset,
            wants_fence: false,
            wants_shutdown: false,
            offline_directories: Vec::new(),
        };
        special(&mut heartbeat);
        match self.ask(Request::BrokerHeartbeat(heartbeat)) {
            Response::BrokerHeartbeat(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn apply(&mut self, records: Records) {
        for record in records {
            let bytes = record.encode(METADATA_VERSION_LATEST);
            let record = MetadataRecord::decode(&bytes).expect("what was encoded can be decoded");
            self.controller.replay(&record, &mut ImageDelta::default()).expect("the controller's own records fit");
            self.log.push(bytes);
        }
    }

    pub fn image(&self) -> &MetadataImage {
        self.controller.image()
    }

    pub fn create(&mut self, topic: NewTopic) -> Outcome<CreatedTopic> {
        let request = CreateTopics { topics: vec![topic], validate_only: false };
        match self.ask(Request::CreateTopics(request)) {
            Response::CreateTopics(mut outcomes) => outcomes.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub fn delete(&mut self, topic: TopicSelector) -> Outcome<DeletedTopic> {
        match self.ask(Request::DeleteTopics(vec![topic])) {
            Response::DeleteTopics(mut outcomes) => outcomes.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub fn grow(&mut self, topic: &str, count: i32, assignments: Option<Vec<Vec<i32>>>) -> Outcome<()> {
        let topics = vec![NewPartitions { topic: topic.into(), from: None, count, assignments }];
        match self.ask(Request::CreatePartitions(CreatePartitions { topics, validate_only: false })) {
            Response::CreatePartitions(mut outcomes) => outcomes.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub fn alter(&mut self, resource: ResourceType, name: &str, change: ConfigChange) -> Outcome<()> {
        let resources = vec![AlteredResource { resource, name: name.into(), change }];
        match self.ask(Request::AlterConfigs(AlterConfigs { resources, validate_only: false })) {
            Response::AlterConfigs(mut outcomes) => outcomes.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

pub fn broker(id: i32, rack: Option<&str>) -> RegisterBroker {
    RegisterBroker {
        id,
        incarnation: Uuid([id as u8; 16]),
        endpoints: vec![Endpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: supported_features(),
        rack: rack.map(str::to_owned),
        directories: vec![Uuid([100 + id as u8; 16])],
        previous_epoch: -1,
    }
}

pub fn supported_features() -> Vec<SupportedFeature> {
    let feature = |(name, levels): (&str, std::ops::RangeInclusive<i16>)| SupportedFeature {
        name: name.to_owned(),
        min: *levels.start(),
        max: *levels.end(),
    };
    SUPPORTED_FEATURES.into_iter().map(feature).collect()
}

/// A topic of so many partitions and replicas.
pub fn topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { partitions, replication_factor, ..NewTopic::with_defaults(name) }
}
