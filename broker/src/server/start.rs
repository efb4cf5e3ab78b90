//! A broker at work: what it has running, started in order and stopped in order.

use super::apply::{Applier, FoundPartitions};
use super::config_rules::Rules;
use super::figures::BrokerFigures;
use super::sockets::{self, BoundListener};
use super::upkeep::{Upkeep, UpkeepConfig};
use crate::config::Config;
use crate::controller::driver::{Driver, DriverConfig, MetadataLogConfig};
use crate::controller::image::{Endpoint, SupportedFeature};
use crate::controller::request::{NewTopic, RegisterBroker};
use crate::controller::state::TopicDefaults;
use crate::controller::{ControllerClient, SUPPORTED_FEATURES, topic_name};
use crate::coordinator::{GroupConfig, Groups};
use crate::handlers::fetch::session::Sessions;
use crate::handlers::{MetadataSettings, Rooms, Settings, now_ms};
use crate::log::{FileCache, LogDirectory, LogDirs};
use crate::metrics::Metrics;
use crate::metrics::http::{self, Readiness, Site};
use crate::network::{ConnectionLimits, Listener};
use crate::partition::Partitions;
use crate::protocol::Uuid;
use crate::telemetry::RateLimited;
use anyhow::Context;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

/// Log files that are open at the same time, at most; those beyond are closed, and opened again when they are used.
const OPEN_FILES_MAX: usize = 4096;
/// How long a stop waits for the requests that are under way.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// A running broker.
pub struct Server {
    rooms: Arc<Rooms>,
    applier: Arc<Applier>,
    controller: Driver,
    upkeep: JoinHandle<()>,
    group_deadlines: tokio::task::JoinHandle<()>,
    readiness: Arc<Readiness>,
    shutdown: watch::Sender<bool>,
    /// Ends when the last connection does.
    connections: mpsc::Receiver<()>,
    stopped_upkeep: std::sync::mpsc::Sender<()>,
}

impl Server {
    /// Errors: why the broker cannot start, one clear line each.
    pub async fn start(config: Config) -> anyhow::Result<Server> {
        let began = Instant::now();
        let listeners = sockets::bind_all(&config.network).await?;
        let metrics_socket = sockets::bind_metrics(config.metrics.as_ref()).await?;
        let log_dirs = open_log_dirs(&config)?;
        let groups = Arc::new(Groups::new(group_config(&config), Arc::new(now_ms)));
        let partitions = Arc::<Partitions>::default();
        let (controller, client) = start_controller(&config, &listeners, &log_dirs)?;
        let controller_client = Arc::new(client);
        let applier = Arc::new(applier(&config, &log_dirs, &partitions, &groups)?);
        subscribe(&controller_client, &applier).await;
        applier.set_strays_aside(&controller_client.image());

        let rooms = Arc::new(Rooms {
            partitions,
            log_dirs,
            controller: controller_client,
            groups,
            fetch_sessions: Sessions::new(config.fetch.sessions_max as usize),
            metrics: Arc::new(Metrics::new()),
            settings: settings(&config),
            client_faults: RateLimited::new(),
            storage_faults: RateLimited::new(),
        });
        rooms.metrics.ask(BrokerFigures::of(&rooms));
        let groups = rooms.groups.clone();
        let group_deadlines = tokio::spawn(async move { groups.run().await });
        let (upkeep, stopped_upkeep) = start_upkeep(&config, &rooms, applier.clone());
        let (shutdown, stopping) = watch::channel(false);
        let (alive, connections) = mpsc::channel(1);
        let readiness = Arc::<Readiness>::default();
        serve_metrics(metrics_socket, &rooms, &readiness, stopping.clone());
        serve_clients(&config, listeners, &rooms, stopping, alive).await;
        readiness.set(true);
        info!(
            node = config.node.id,
            cluster = rooms.log_dirs.cluster_id(),
            log_dirs = ?config.log_dirs.dirs,
            ready_ms = began.elapsed().as_millis(),
            "serving"
        );
        Ok(Server {
            rooms,
            applier,
            controller,
            upkeep,
            group_deadlines,
            readiness,
            shutdown,
            connections,
            stopped_upkeep,
        })
    }

    /// Ends all that runs. Errors: something was not written whole; the next start will validate the logs.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        info!("stopping");
        self.readiness.set(false);
        self.shutdown.send_replace(true);
        if tokio::time::timeout(STOP_WAIT, self.connections.recv()).await.is_err() {
            warn!("some requests are still under way, and are given up");
        }
        self.group_deadlines.abort();
        drop(self.stopped_upkeep);
        let (rooms, applier, controller, upkeep) = (self.rooms, self.applier, self.controller, self.upkeep);
        tokio::task::spawn_blocking(move || close(&rooms, &applier, controller, upkeep)).await?
    }
}

/// Closes the logs; what is left behind is whole only if all of them were.
fn close(rooms: &Rooms, applier: &Applier, controller: Driver, upkeep: JoinHandle<()>) -> anyhow::Result<()> {
    if upkeep.join().is_err() {
        error!("the upkeep of the logs had ended early");
    }
    controller.stop().context("the metadata log was not closed whole")?;
    let partitions = rooms.partitions.all();
    let high_watermarks = rooms.log_dirs.checkpoint_high_watermarks(|topic, partition| {
        Some(rooms.partitions.partition(topic, partition)?.high_watermark())
    });
    for partition in &partitions {
        let (topic, index) = (&partition.topic, partition.index);
        partition.close().with_context(|| format!("{topic}-{index} was not closed whole"))?;
    }
    high_watermarks.and_then(|()| rooms.log_dirs.checkpoint()).context("the checkpoints were not written")?;
    anyhow::ensure!(!applier.has_failed(), "some logs could not be used; the next start validates them");
    rooms.log_dirs.mark_clean_shutdown().context("the clean shutdown was not marked")?;
    info!("stopped cleanly");
    Ok(())
}

fn open_log_dirs(config: &Config) -> anyhow::Result<Arc<LogDirs>> {
    let mut paths = config.log_dirs.dirs.clone();
    if !paths.contains(&config.log_dirs.metadata_dir) {
        paths.push(config.log_dirs.metadata_dir.clone());
    }
    let log_dirs = LogDirs::open(&paths, config.node.id, None, FileCache::new(OPEN_FILES_MAX))?;
    log_dirs.set_producer_id_expiration_ms(config.log_dirs.producer_id_expiration_ms);
    Ok(Arc::new(log_dirs))
}

fn start_controller(
    config: &Config,
    listeners: &[BoundListener],
    log_dirs: &LogDirs,
) -> anyhow::Result<(Driver, ControllerClient)> {
    let is_metadata = |directory: &&Arc<LogDirectory>| directory.path() == config.log_dirs.metadata_dir;
    let directory = log_dirs.directories().iter().find(is_metadata).expect("it is among those opened").clone();
    let started = Driver::start(DriverConfig {
        cluster_id: log_dirs.cluster_id().to_owned(),
        directory,
        log: MetadataLogConfig {
            segment_bytes: config.metadata_log.segment_bytes,
            segment_ms: config.metadata_log.segment_ms,
            snapshot_after_bytes: config.metadata_log.snapshot_after_bytes,
            snapshot_interval_ms: config.metadata_log.snapshot_interval_ms,
        },
        registration: registration(config, listeners, log_dirs),
        defaults: TopicDefaults {
            partitions: config.topics.partitions,
            replication_factor: config.topics.replication_factor,
        },
        internal_topics: vec![offsets_topic(config)],
        deletes_topics: config.topics.delete,
        rules: Arc::new(Rules { broker_id: config.node.id, settings: config.settings.clone() }),
        seed: rand::random(),
    })?;
    Ok(started)
}

fn registration(config: &Config, listeners: &[BoundListener], log_dirs: &LogDirs) -> RegisterBroker {
    const PLAINTEXT: i16 = 0;
    let endpoint = |listener: &BoundListener| {
        let advertised = config.network.listeners.advertised.iter().find(|other| other.name == listener.name)?;
        Some(Endpoint {
            name: listener.name.clone(),
            host: advertised.host.clone(),
            // A port of 0 is the one that the operating system chose.
            port: if advertised.port == 0 { listener.port } else { advertised.port },
            security_protocol: PLAINTEXT,
        })
    };
    let feature = |(name, levels): (&str, std::ops::RangeInclusive<i16>)| SupportedFeature {
        name: name.to_owned(),
        min: *levels.start(),
        max: *levels.end(),
    };
    RegisterBroker {
        id: config.node.id,
        incarnation: Uuid::from_random(rand::random()),
        endpoints: listeners.iter().filter_map(endpoint).collect(),
        features: SUPPORTED_FEATURES.into_iter().map(feature).collect(),
        rack: config.node.rack.clone(),
        directories: log_dirs.directories().iter().map(|directory| directory.id()).collect(),
        previous_epoch: -1,
    }
}

fn offsets_topic(config: &Config) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", config.offsets.topic_segment_bytes.to_string()),
    ];
    NewTopic {
        partitions: config.offsets.topic_partitions,
        replication_factor: config.offsets.topic_replication_factor,
        configs: configs.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
        ..NewTopic::with_defaults(topic_name::CONSUMER_OFFSETS)
    }
}

fn group_config(config: &Config) -> GroupConfig {
    GroupConfig {
        min_session_timeout_ms: config.groups.session_timeout_ms_min,
        max_session_timeout_ms: config.groups.session_timeout_ms_max,
        initial_rebalance_delay_ms: config.groups.initial_rebalance_delay_ms,
        max_size: config.groups.members_max as usize,
        offset_metadata_max_bytes: config.offsets.metadata_bytes_max as usize,
        offsets_retention_ms: config.offsets.retention_ms,
        offsets_retention_check_interval_ms: config.offsets.retention_check_interval_ms,
        offsets_load_buffer_size: config.offsets.load_buffer_bytes as usize,
        offsets_commit_timeout_ms: u64::try_from(config.offsets.commit_timeout_ms).unwrap_or(0),
        offsets_topic_num_partitions: config.offsets.topic_partitions,
        offsets_topic_replication_factor: config.offsets.topic_replication_factor,
        offsets_topic_segment_bytes: config.offsets.topic_segment_bytes,
    }
}

fn applier(
    config: &Config,
    log_dirs: &Arc<LogDirs>,
    partitions: &Arc<Partitions>,
    groups: &Arc<Groups>,
) -> anyhow::Result<Applier> {
    const METADATA_TOPIC: &str = "__cluster_metadata";
    let found = log_dirs.partitions()?.into_iter().filter(|found| found.topic != METADATA_TOPIC);
    let found: FoundPartitions = found.map(|found| ((found.topic.clone(), found.partition), found)).collect();
    Ok(Applier {
        broker_id: config.node.id,
        log_dirs: log_dirs.clone(),
        partitions: partitions.clone(),
        groups: groups.clone(),
        settings: config.settings.clone(),
        found: Mutex::new(found),
        failed: Mutex::default(),
        open_threads: (config.log_dirs.recovery_threads_per_dir as usize).max(1) * log_dirs.directories().len(),
        commit_timeout: Duration::from_millis(u64::try_from(config.offsets.commit_timeout_ms).unwrap_or(0)),
        runtime: tokio::runtime::Handle::current(),
    })
}

/// Applies what there is now before it returns, and every change from then on before that is answered.
async fn subscribe(controller: &ControllerClient, applier: &Arc<Applier>) {
    let applier = applier.clone();
    controller.subscribe(Box::new(move |_, image, delta| applier.apply(image, delta))).await;
}

fn settings(config: &Config) -> Settings {
    Settings {
        node_id: config.node.id,
        config: config.settings.clone(),
        metadata: MetadataSettings { auto_create_topics: config.topics.auto_create },
        fetch_bytes_max: i32::try_from(config.fetch.bytes_max).unwrap_or(i32::MAX),
    }
}

fn start_upkeep(
    config: &Config,
    rooms: &Rooms,
    applier: Arc<Applier>,
) -> (JoinHandle<()>, std::sync::mpsc::Sender<()>) {
    let upkeep = Upkeep {
        config: UpkeepConfig {
            retention_check_interval_ms: config.log_dirs.retention_check_interval_ms,
            flush_interval_ms: config.log_dirs.flush_check_interval_ms,
            checkpoint_interval_ms: config.log_dirs.recovery_point_checkpoint_interval_ms,
            high_watermark_interval_ms: config.log_dirs.high_watermark_checkpoint_interval_ms,
        },
        partitions: rooms.partitions.clone(),
        log_dirs: rooms.log_dirs.clone(),
        applier,
    };
    let (stop, stopped) = std::sync::mpsc::channel();
    let spawned = std::thread::Builder::new().name("log-upkeep".into()).spawn(move || upkeep.run(&stopped));
    (spawned.expect("the system has a thread to spare at the start"), stop)
}

fn serve_metrics(
    socket: Option<tokio::net::TcpListener>,
    rooms: &Rooms,
    readiness: &Arc<Readiness>,
    mut stopping: watch::Receiver<bool>,
) {
    let Some(socket) = socket else { return };
    let site = Site { metrics: rooms.metrics.clone(), readiness: readiness.clone() };
    tokio::spawn(http::serve(socket, site, async move {
        stopping.wait_for(|stop| *stop).await.ok();
    }));
}

async fn serve_clients(
    config: &Config,
    listeners: Vec<BoundListener>,
    rooms: &Arc<Rooms>,
    stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let limits = &config.network.limits;
    let overrides = sockets::resolve_overrides(&limits.per_ip_overrides).await;
    let limits = ConnectionLimits::new(limits.connections_max as usize, limits.per_ip_max as usize, overrides);
    let network = Arc::new(config.network.clone());
    for bound in listeners {
        let address = bound.socket.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
        info!(listener = bound.name, address, "listening");
        let listener = Listener::new(bound.socket, &bound.name, network.clone(), limits.clone(), rooms.clone());
        tokio::spawn(listener.run(stopping.clone(), alive.clone()));
    }
}
