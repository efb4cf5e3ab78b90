//! The rooms that requests are answered from.

use super::fetch::session::Sessions;
use super::{BrokerConnections, MetadataSettings};
use crate::config;
use crate::controller::ControllerClient;
use crate::coordinator::Groups;
use crate::log::LogDirs;
use crate::metrics::Metrics;
use crate::partition::Partitions;
use crate::telemetry::{RateLimited, RateLimitedByPeer};
use std::sync::Arc;

pub struct Rooms {
    pub partitions: Arc<Partitions>,
    pub log_dirs: Arc<LogDirs>,
    pub controller: Arc<ControllerClient>,
    pub broker_connections: BrokerConnections,
    pub groups: Arc<Groups>,
    pub fetch_sessions: Sessions,
    pub metrics: Arc<Metrics>,
    pub settings: Settings,
    /// Lines about clients that send what they should not: a flood of those must not fill the disk.
    pub client_faults: RateLimited,
    /// Lines about nodes whose configuration does not go with the cluster's.
    pub node_faults: RateLimitedByPeer,
    /// Lines about disks that refuse what is to be appended.
    pub storage_faults: RateLimited,
}

/// What handlers themselves are configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node_id: i32,
    /// What the broker was started with: what DescribeConfigs tells.
    pub config: config::Settings,
    pub metadata: MetadataSettings,
    /// Bytes that one Fetch answer holds at most (`fetch.max.bytes`). Default 57,671,680.
    pub fetch_bytes_max: i32,
}
