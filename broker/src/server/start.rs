//! A node at work: what it has running, started in order and stopped in order.

use super::apply::Applier;
use super::controller_registration;
use super::disks;
use super::figures::BrokerFigures;
use super::lifecycle::{Lifecycle, Standing, Wish};
use super::parts;
use super::sockets::{self, BoundListener, BoundListeners};
use super::upkeep::{Upkeep, UpkeepConfig};
use crate::admin::Admin;
use crate::config::Config;
use crate::controller::ControllerClient;
use crate::controller::driver::Driver;
use crate::coordinator::Groups;
use crate::handlers::fetch::session::Sessions;
use crate::handlers::{BrokerConnections, Rooms, now_ms};
use crate::metrics::Metrics;
use crate::metrics::http::{self, Readiness, Site};
use crate::network::{ConnectionLimits, Listener, Serves};
use crate::partition::{Partitions, keep_isrs, start_syncing};
use crate::telemetry::{RateLimited, RateLimitedByPeer};
use anyhow::Context;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{error, info, warn};

/// Threads that sync logs whose records are acknowledged when they are on the disk.
const SYNC_THREADS: usize = 2;
/// How long a stop waits for the requests that are under way.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for others to lead what this broker leads, and the quorum.
const HAND_OVER_WAIT: Duration = Duration::from_secs(10);
const QUORUM_HAND_OVER_WAIT: Duration = Duration::from_secs(1);
/// How long a node waits for its cluster before it says so.
const QUORUM_PATIENCE: Duration = Duration::from_secs(5);
/// Between two reminders of that.
const QUORUM_REMINDER: Duration = Duration::from_secs(30);

/// A running node.
pub struct Server {
    config: Config,
    began: Instant,
    rooms: Arc<Rooms>,
    controller: Driver,
    /// The listeners for clients, until they are served.
    clients: Option<Vec<BoundListener>>,
    broker: Option<Broker>,
    readiness: Arc<Readiness>,
    sockets: Sockets,
    admin: Option<tokio::task::JoinHandle<()>>,
    /// Told when the operator asks this node to stop.
    shut_down: Arc<Notify>,
    /// Ends when the last connection of a client does.
    connections: mpsc::Receiver<()>,
}

/// What tells connections to end.
struct Sockets {
    clients: watch::Sender<bool>,
    controllers: watch::Sender<bool>,
    alive: Option<mpsc::Sender<()>>,
    limits: Arc<ConnectionLimits>,
}

/// What a node has running that serves clients.
struct Broker {
    applier: Arc<Applier>,
    upkeep: JoinHandle<()>,
    syncing: Vec<JoinHandle<()>>,
    isrs: tokio::task::JoinHandle<()>,
    stopped_upkeep: std::sync::mpsc::Sender<()>,
    group_deadlines: tokio::task::JoinHandle<()>,
    wish: Arc<watch::Sender<Wish>>,
    standing: watch::Receiver<Standing>,
    disks: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Takes part in the quorum from now on; clients are served once [`Server::join`] returns.
    /// Errors: why the node cannot start, one clear line each.
    pub async fn start(config: Config) -> anyhow::Result<Server> {
        let began = Instant::now();
        let BoundListeners { clients, controllers } = sockets::bind_all(&config.network).await?;
        let metrics_socket = sockets::bind_metrics(config.metrics.as_ref()).await?;
        let admin_socket = sockets::bind_admin(config.admin.as_ref()).await?;
        let log_dirs = parts::log_dirs(&config)?;
        let groups = Arc::new(Groups::new(parts::group_config(&config), Arc::new(now_ms)));
        let (controller, client) = parts::controller(&config, &log_dirs)?;
        let client = Arc::new(client);
        let rooms = Arc::new(Rooms {
            partitions: Arc::new(Partitions::new(parts::replicas(&config))),
            log_dirs,
            broker_connections: BrokerConnections::new(client.clone()),
            controller: client,
            groups,
            fetch_sessions: Sessions::new(config.fetch.sessions_max as usize),
            metrics: Arc::new(Metrics::new()),
            settings: parts::settings(&config),
            client_faults: RateLimited::new(),
            node_faults: RateLimitedByPeer::new(),
            storage_faults: RateLimited::new(),
        });
        let figures = BrokerFigures::of(&rooms);
        rooms.controller.subscribe(figures.election_counter()).await;
        rooms.metrics.ask(figures);
        let overrides = sockets::resolve_overrides(&config.network.limits.per_ip_overrides).await;
        let limits = &config.network.limits;
        let limits = ConnectionLimits::new(limits.connections_max as usize, limits.per_ip_max as usize, overrides);
        let (alive, connections) = mpsc::channel(1);
        let sockets = Sockets {
            clients: watch::Sender::new(false),
            controllers: watch::Sender::new(false),
            alive: Some(alive),
            limits,
        };
        let readiness = Arc::<Readiness>::default();
        serve_metrics(metrics_socket, &rooms, &readiness, sockets.controllers.subscribe());
        let shut_down = Arc::<Notify>::default();
        let admin = Admin {
            controller: rooms.controller.clone(),
            isr_defaults: parts::isr_defaults(&config),
            shut_down: shut_down.clone(),
        };
        let admin =
            admin_socket.map(|socket| tokio::spawn(admin.serve(socket, ended(sockets.controllers.subscribe()))));
        let server = Server {
            config,
            began,
            rooms,
            controller,
            clients: Some(clients),
            broker: None,
            readiness,
            sockets,
            admin,
            shut_down,
            connections,
        };
        if let Some(advertised) = &server.config.network.listeners.advertised_controller
            && controllers.iter().all(|bound| bound.port != advertised.port)
        {
            let ports: Vec<u16> = controllers.iter().map(|bound| bound.port).collect();
            warn!(
                voter = format!("{}@{}:{}", server.config.node.id, advertised.host, advertised.port),
                ?ports,
                "other nodes connect to the port of controller.quorum.voters: it has to lead to this node's listener"
            );
        }
        server.serve(controllers, Serves::Controllers, &server.sockets.controllers);
        tokio::spawn(say_while_leaderless(server.rooms.controller.clone(), server.voters()));
        if let Some(registration) = parts::controller_registration(&server.config) {
            tokio::spawn(controller_registration::keep(server.rooms.controller.clone(), registration));
        }
        Ok(server)
    }

    /// Finds the cluster's controller and, as a broker, becomes one of the cluster: registers, opens what it holds, serves.
    /// Errors: the cluster refuses it.
    pub async fn join(&mut self) -> anyhow::Result<()> {
        self.await_quorum().await;
        if self.config.node.is_broker {
            self.join_as_broker().await?;
        }
        self.readiness.set(true);
        info!(
            node = self.config.node.id,
            cluster = self.rooms.log_dirs.cluster_id(),
            log_dirs = self.log_dirs(),
            ready_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "serving"
        );
        Ok(())
    }

    /// The voters, as the configuration names them.
    fn voters(&self) -> String {
        let voter = |(id, (host, port)): (&i32, &(String, u16))| format!("{id}@{host}:{port}");
        self.config.quorum.voters.iter().map(voter).collect::<Vec<_>>().join(",")
    }

    fn log_dirs(&self) -> String {
        self.config.log_dirs.dirs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
    }

    async fn await_quorum(&self) {
        let leader = self.rooms.controller.leader_known();
        tokio::pin!(leader);
        while tokio::time::timeout(QUORUM_PATIENCE, &mut leader).await.is_err() {
            warn!(voters = self.voters(), "no controller is active yet: waiting for a majority of the voters");
        }
    }

    async fn join_as_broker(&mut self) -> anyhow::Result<()> {
        let rooms = self.rooms.clone();
        let clients = self.clients.take().unwrap_or_default();
        let registration = parts::registration(&self.config, &clients, &rooms.log_dirs);
        let applier = Arc::new(parts::applier(&self.config, &rooms, registration.incarnation)?);
        let (wish, wishes) = watch::channel(Wish::Prepare);
        let wish = Arc::new(wish);
        let (standing_known, mut standing) = watch::channel(Standing::Unregistered);
        let lifecycle = Lifecycle {
            client: rooms.controller.clone(),
            registration,
            interval: Duration::from_millis(u64::try_from(self.config.node.heartbeat_interval_ms).unwrap_or(0)),
            wish: wishes,
            standing: standing_known,
        };
        tokio::spawn(lifecycle.run());
        let shared = rooms.partitions.broker();
        let syncing = start_syncing(shared, SYNC_THREADS);
        let isrs = tokio::spawn(keep_isrs(shared.clone(), rooms.controller.clone()));
        let epoch = registered(&mut standing).await?;
        // What the metadata said of an earlier incarnation is not acted upon.
        let id = self.config.node.id;
        rooms.controller.applied(|image| image.brokers.get(&id).is_some_and(|own| own.epoch >= epoch)).await;
        let subscriber = applier.clone();
        rooms.controller.subscribe(Box::new(move |_, image, delta| subscriber.apply(image, delta))).await;
        let image = rooms.controller.image();
        applier.set_strays_aside(&image);
        let (upkeep, stopped_upkeep) = start_upkeep(&self.config, &rooms, applier.clone());
        let groups = rooms.groups.clone();
        let group_deadlines = tokio::spawn(async move { groups.run().await });
        wish.send_replace(Wish::Serve);
        let disks = tokio::spawn(disks::watch(rooms.clone(), wish.clone()));
        self.broker = Some(Broker {
            applier,
            upkeep,
            syncing,
            isrs,
            stopped_upkeep,
            group_deadlines,
            wish,
            standing: standing.clone(),
            disks,
        });
        let serving = |standing: &Standing| matches!(standing, Standing::Serving { .. } | Standing::Refused(_));
        standing.wait_for(serving).await.context("the broker's life has ended")?;
        if let Standing::Refused(reason) = &*standing.borrow() {
            anyhow::bail!("{reason}");
        }
        // Who connects before waits in the backlog: nobody is told of a cluster without this broker by this broker.
        rooms.controller.applied(|image| image.live_broker(id).is_some()).await;
        self.serve(clients, Serves::Clients, &self.sockets.clients);
        Ok(())
    }

    /// Returns when the operator asks this node to stop.
    pub fn asked_to_stop(&self) -> impl Future<Output = ()> + use<> {
        let shut_down = self.shut_down.clone();
        async move { shut_down.notified().await }
    }

    /// Returns if the node cannot go on, with the reason.
    pub async fn failed(&self) -> String {
        let refused = async {
            let Some(broker) = &self.broker else { return std::future::pending().await };
            let mut standing = broker.standing.clone();
            let refused = standing.wait_for(|standing| matches!(standing, Standing::Refused(_))).await;
            match refused.as_deref() {
                Ok(Standing::Refused(reason)) => reason.clone(),
                _ => std::future::pending().await,
            }
        };
        let superseded = async {
            let Some(broker) = &self.broker else { return std::future::pending().await };
            broker.applier.superseded.subscribe().wait_for(|superseded| *superseded).await.ok();
            let id = self.config.node.id;
            format!(
                "another process has registered with node.id {id}: this one ends, and does nothing in its name any more"
            )
        };
        tokio::select! {
            reason = refused => reason,
            reason = superseded => reason,
            reason = self.controller.failed() => reason,
        }
    }

    /// Ends all that runs. Errors: something was not written whole; the next start will validate the logs.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        info!("stopping");
        self.readiness.set(false);
        if let Some(broker) = &mut self.broker
            && self.config.node.controlled_shutdown
            && !*broker.applier.superseded.borrow()
        {
            broker.wish.send_replace(Wish::End);
            let may_end = broker.standing.wait_for(|standing| *standing == Standing::MayEnd);
            tokio::select! {
                _ = may_end => {}
                () = tokio::time::sleep(HAND_OVER_WAIT) => {
                    warn!("the controller has not let this broker go; it ends all the same");
                }
                // The others may be stopping too.
                () = self.rooms.controller.leaderless_for(QUORUM_HAND_OVER_WAIT) => {
                    warn!("there is no controller that could let this broker go; it ends all the same");
                }
            }
        }
        self.sockets.clients.send_replace(true);
        self.sockets.alive = None;
        if tokio::time::timeout(STOP_WAIT, self.connections.recv()).await.is_err() {
            warn!("some requests are still under way, and are given up");
        }
        if !self.config.quorum.voters.is_empty() && self.rooms.controller.leads() {
            self.controller.hand_over(QUORUM_HAND_OVER_WAIT).await;
        }
        self.sockets.controllers.send_replace(true);
        if let Some(admin) = self.admin {
            admin.await.ok();
        }
        let (rooms, broker, controller) = (self.rooms, self.broker, self.controller);
        tokio::task::spawn_blocking(move || close(&rooms, broker, controller)).await?
    }

    fn serve(&self, listeners: Vec<BoundListener>, serves: Serves, stopping: &watch::Sender<bool>) {
        let network = Arc::new(self.config.network.clone());
        for bound in listeners {
            let address = bound.socket.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
            info!(listener = bound.name, address, "listening");
            let limits = self.sockets.limits.clone();
            let listener =
                Listener::new(bound.socket, &bound.name, serves, network.clone(), limits, self.rooms.clone());
            let alive = match serves {
                Serves::Clients => self.sockets.alive.clone(),
                // Those of the quorum end with the process, and nobody waits for them.
                Serves::Controllers => None,
            };
            tokio::spawn(listener.run(stopping.subscribe(), alive));
        }
    }
}

/// A line again and again while a quorum that had a leader has none.
async fn say_while_leaderless(controller: Arc<ControllerClient>, voters: String) {
    loop {
        controller.leader_known().await;
        controller.leaderless_for(QUORUM_PATIENCE).await;
        warn!(voters, "no controller is active: metadata stands still until a majority of the voters is up");
        tokio::time::sleep(QUORUM_REMINDER).await;
        while controller.leader().leader.is_none() {
            warn!(voters, "still no controller is active");
            tokio::time::sleep(QUORUM_REMINDER).await;
        }
        info!("a controller is active again");
    }
}

async fn registered(standing: &mut watch::Receiver<Standing>) -> anyhow::Result<i64> {
    let known = standing.wait_for(|standing| *standing != Standing::Unregistered).await;
    match &*known.context("the broker's life has ended")? {
        Standing::Fenced { epoch } | Standing::Serving { epoch } => Ok(*epoch),
        Standing::Refused(reason) => anyhow::bail!("{reason}"),
        Standing::Unregistered | Standing::MayEnd => unreachable!("it wants to be prepared"),
    }
}

/// Closes the logs; what is left behind is whole only if all of them were.
fn close(rooms: &Rooms, broker: Option<Broker>, controller: Driver) -> anyhow::Result<()> {
    let applier = broker.map(|broker| {
        broker.group_deadlines.abort();
        broker.isrs.abort();
        broker.disks.abort();
        broker.applier.followers.stop();
        rooms.partitions.broker().syncs.stop();
        drop(broker.stopped_upkeep);
        for thread in broker.syncing.into_iter().chain([broker.upkeep]) {
            if thread.join().is_err() {
                error!("the upkeep of the logs had ended early");
            }
        }
        broker.applier
    });
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
    let failed = applier.is_some_and(|applier| applier.has_failed());
    anyhow::ensure!(!failed, "some logs could not be used; the next start validates them");
    let marked = rooms.log_dirs.mark_clean_shutdown(rooms.controller.broker_epoch());
    marked.context("the clean shutdown was not marked")?;
    info!("stopped cleanly");
    Ok(())
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
            lag_check_interval_ms: (config.replication.lag_time_max_ms / 2).max(1),
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
    stopping: watch::Receiver<bool>,
) {
    let Some(socket) = socket else { return };
    let site = Site { metrics: rooms.metrics.clone(), readiness: readiness.clone() };
    tokio::spawn(http::serve(socket, site, ended(stopping)));
}

/// Ready once `stopping` says so, or nobody is left who could.
async fn ended(mut stopping: watch::Receiver<bool>) {
    stopping.wait_for(|stop| *stop).await.ok();
}
