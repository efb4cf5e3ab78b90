//! The wiring: what is started in which order, and stopped in which.
//!
//! - Listeners are bound before anything is loaded: a taken port ends the start at once, and clients that connect early
//!   wait in the backlog instead of being refused.
//! - Nothing is answered before the metadata is applied and every partition is open.
//! - A stop answers what is under way, closes all logs whole, and only then marks the directories as cleanly shut down.

mod apply;
mod config_rules;
mod controller_registration;
mod disks;
mod figures;
mod group_log;
mod lifecycle;
mod parts;
mod sockets;
mod start;
mod upkeep;

pub use sockets::StartError;
pub use start::Server;

use crate::config::Config;
use std::future::Future;

/// Runs a node until `stop` is ready, or the operator asks it to stop. Errors: why it cannot start or go on, or what went wrong while it stopped.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut server = Server::start(config).await?;
    let asked = server.asked_to_stop();
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = asked => {}
        }
    };
    tokio::pin!(stop);
    let joined = tokio::select! {
        joined = server.join() => joined,
        () = &mut stop => return server.stop().await,
    };
    let ended = match joined {
        Err(error) => Err(error),
        Ok(()) => tokio::select! {
            () = &mut stop => Ok(()),
            reason = server.failed() => Err(anyhow::Error::msg(reason)),
        },
    };
    let stopped = server.stop().await;
    ended.and(stopped)
}
