//! A node's controller on a directory of its own, for tests: started, asked, stopped, crashed.

use super::{FewRules, broker, topic};
use crate::controller::client::ControllerClient;
use crate::controller::driver::{Driver, DriverConfig, MetadataLogConfig};
use crate::controller::image::ResourceType;
use crate::controller::metadata_log::MetadataError;
use crate::controller::request::*;
use crate::controller::state::ControllerSettings;
use crate::log::{FileCache, LogDirs};
use crate::protocol::Uuid;
use crate::raft::wire::Border;
use crate::raft::{self, ReplicaId, ReplicaKey};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A node on a directory of its own.
pub struct Node {
    pub directory: tempfile::TempDir,
    pub log: MetadataLogConfig,
}

/// A node that runs.
pub struct Running {
    driver: Driver,
    pub client: ControllerClient,
    log_dirs: LogDirs,
}

impl Node {
    pub fn on_new_directory() -> Node {
        Node { directory: tempfile::tempdir().unwrap(), log: MetadataLogConfig::default() }
    }

    pub async fn start(&self) -> Result<Running, MetadataError> {
        self.start_as(1).await
    }

    /// Starts the node as a quorum of one, and waits until its broker is unfenced.
    pub async fn start_as(&self, id: i32) -> Result<Running, MetadataError> {
        let paths = [self.directory.path().to_owned()];
        let log_dirs = LogDirs::open(&paths, 1, None, FileCache::new(100)).unwrap();
        let local = ReplicaKey::of(ReplicaId(id));
        let (driver, client) = Driver::start(DriverConfig {
            directory: log_dirs.directories()[0].clone(),
            log: self.log,
            quorum: raft::Settings::new(local, [local.id]),
            border: Border {
                cluster_id: log_dirs.cluster_id().to_owned(),
                local,
                listener: "CONTROLLER".into(),
                voters: BTreeMap::new(),
            },
            // Nobody sends heartbeats here.
            controller: ControllerSettings {
                node_id: id,
                session_timeout_ms: 3_600_000,
                ..ControllerSettings::default()
            },
            internal_topics: vec![topic("__consumer_offsets", 4, 1)],
            deletes_topics: true,
            rules: Arc::new(FewRules),
            seed: 7,
        })?;
        let running = Running { driver, client, log_dirs };
        running.register(id).await;
        Ok(running)
    }

    pub fn metadata_directory(&self) -> PathBuf {
        self.directory.path().join("__cluster_metadata-0")
    }

    pub fn files(&self, extension: &str) -> Vec<PathBuf> {
        files(&self.metadata_directory(), extension)
    }
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(extension));
    files.sort();
    files
}

impl Running {
    async fn register(&self, id: i32) {
        let directories = vec![self.log_dirs.directories()[0].id()];
        let incarnation = Uuid::from_random(rand::random());
        let registration = RegisterBroker { directories, incarnation, ..broker(id, None) };
        let epoch = self.client.register_broker(registration).await.unwrap().unwrap();
        self.client.set_broker_epoch(epoch);
        loop {
            let heartbeat = BrokerHeartbeat {
                id,
                epoch,
                metadata_end_offset: self.client.image().applied.end_offset,
                wants_fence: false,
                wants_shutdown: false,
                offline_directories: Vec::new(),
            };
            if !self.client.broker_heartbeat(heartbeat).await.unwrap().unwrap().is_fenced {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.client.applied(|image| image.live_broker(id).is_some()).await;
    }

    /// Has `work` done by the thread that writes the metadata log.
    pub async fn on_the_drivers_thread(&self, work: impl FnOnce() + Send + 'static) {
        self.client.on_the_drivers_thread(Box::new(work)).await;
    }

    /// Has `work` done by the thread that syncs the metadata log.
    pub async fn on_the_syncing_thread(&self, work: impl FnOnce() + Send + 'static) {
        self.client.on_the_syncing_thread(Box::new(work)).await;
    }

    pub fn stop(self) {
        drop(self.client);
        self.driver.stop().unwrap();
        self.log_dirs.checkpoint().unwrap();
        self.log_dirs.mark_clean_shutdown(-1).unwrap();
    }

    /// Ends as kill -9 does for the files: nothing is closed or marked.
    pub fn crash(self) {
        let Running { driver, client, log_dirs } = self;
        drop(client);
        driver.stop().unwrap();
        drop(log_dirs);
    }

    pub async fn create(&self, name: &str, partitions: i32) -> Outcome<CreatedTopic> {
        let request = CreateTopics { topics: vec![topic(name, partitions, 1)], validate_only: false };
        self.client.create_topics(request).await?.remove(0)
    }

    pub async fn set(&self, topic: &str, name: &str, value: &str) -> Outcome<()> {
        let change = ConfigChange::Alter(vec![(name.into(), ConfigOperation::Set(value.into()))]);
        let resources = vec![AlteredResource { resource: ResourceType::Topic, name: topic.into(), change }];
        self.client.alter_configs(AlterConfigs { resources, validate_only: false }).await?.remove(0)
    }
}
