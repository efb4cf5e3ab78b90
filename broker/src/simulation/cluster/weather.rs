//! What a history has to bear: some have a bad network, some slow disks, some none of it.

use super::broker::MIN_ISR;
use super::message::Party;
use super::planted::Bug;
use crate::controller::driver::Making;
use crate::controller::image::{METADATA_VERSION, MetadataImage};
use crate::controller::records::METADATA_VERSION_LATEST;
use crate::controller::state::{ControllerSettings, LeaderBalance};
use crate::controller::testing::FewRules;
use crate::simulation::network::Network;
use crate::simulation::schedule::{MS, Micros};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the [simulation](super) for what may be promised in which weather.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Records count when they are synced.
    pub synced: bool,
    /// Machines may lose power; unless records are `synced`, one at a time.
    pub power_losses: bool,
    /// Eligible leader replicas are kept (KIP-966).
    pub elr: bool,
    pub crash_chance: f64,
    pub sync_time_max: Micros,
    pub apply_time_max: Micros,
    delay_max: Micros,
    loss: f64,
    duplication: f64,
}

impl Weather {
    pub fn choose(random: &mut SmallRng) -> Weather {
        let (synced, power_losses, elr) =
            [(true, true, true), (true, true, false), (false, false, true), (false, false, false), (false, true, true)]
                [random.random_range(0..5)];
        Weather {
            synced,
            power_losses,
            elr,
            crash_chance: [0.0, 0.0002, 0.001][random.random_range(0..3)],
            sync_time_max: [MS, 10 * MS, 60 * MS][random.random_range(0..3)],
            apply_time_max: [MS, 20 * MS, 400 * MS][random.random_range(0..3)],
            delay_max: [MS, 5 * MS, 40 * MS][random.random_range(0..3)],
            loss: [0.0, 0.01, 0.05][random.random_range(0..3)],
            duplication: [0.0, 0.03][random.random_range(0..2)],
        }
    }

    pub fn blow(&self, network: &mut Network<Party>) {
        (network.delay_max, network.loss, network.duplication) = (self.delay_max, self.loss, self.duplication);
    }

    pub fn calm_down(&mut self) {
        (self.crash_chance, self.sync_time_max, self.apply_time_max) = (0.0, 2 * MS, 2 * MS);
    }

    /// What the controller of `node` is made of.
    pub fn making(&self, node: i32, bug: Option<Bug>) -> Making {
        let settings = ControllerSettings {
            node_id: node,
            min_insync_replicas: MIN_ISR as i32,
            unclean_leader_election: bug == Some(Bug::UncleanElection),
            leader_balance: Some(LeaderBalance { interval_ms: 1500, imbalance_percentage: 10 }),
            ..ControllerSettings::default()
        };
        let mut features = BTreeMap::from([(METADATA_VERSION.to_owned(), METADATA_VERSION_LATEST)]);
        if self.elr {
            features.insert("eligible.leader.replicas.version".to_owned(), 1);
        }
        let bootstrap = MetadataImage { features: Arc::new(features), ..MetadataImage::default() };
        Making { settings, rules: Arc::new(FewRules), bootstrap }
    }
}
