//! What a broker does while its disk refuses writes: it has others lead, and comes back when there is room.
//!
//! A broker that leads and cannot append would refuse every record of its partitions for as long as that lasts. While another
//! broker lives it asks to be fenced instead: leaders move, and its replicas catch up afterwards. One that is alone goes on: it
//! can still be read from.

use super::lifecycle::Wish;
use crate::handlers::Rooms;
use crate::log::LogDirectory;
use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// Bytes that must be free on each volume before the broker asks for leaders again: so that it does not fill at once.
const USABLE_BYTES_MIN: u64 = 32 << 20;
/// Between two looks at a disk that has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A file that shows whether a directory takes writes.
const PROBE: &str = "write-probe.tmp";

/// Runs as long as the broker does.
pub async fn watch(rooms: Arc<Rooms>, wish: Arc<watch::Sender<Wish>>) {
    let disks = &rooms.partitions.broker().disks;
    loop {
        disks.failed().await;
        if rooms.controller.image().live_brokers().count() > 1 {
            warn!("a disk refuses writes: other brokers are to lead until it takes them again");
            wish.send_if_modified(|wish| std::mem::replace(wish, wish.unless_ending(Wish::Prepare)) == Wish::Serve);
        }
        tokio::time::sleep(PAUSE).await;
        while !are_usable(&rooms).await {
            tokio::time::sleep(PAUSE).await;
        }
        disks.heal();
        if *wish.borrow() == Wish::Prepare {
            info!("the disks take writes again");
            wish.send_if_modified(|wish| std::mem::replace(wish, wish.unless_ending(Wish::Serve)) == Wish::Prepare);
        }
    }
}

async fn are_usable(rooms: &Rooms) -> bool {
    let directories = rooms.log_dirs.directories().to_vec();
    let look = move || directories.iter().all(|directory| is_usable(directory).unwrap_or(false));
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

fn is_usable(directory: &LogDirectory) -> io::Result<bool> {
    if directory.space()?.usable_bytes < USABLE_BYTES_MIN {
        return Ok(false);
    }
    let path = directory.path().join(PROBE);
    let mut file = File::create(&path)?;
    file.write_all(&[0; 4096])?;
    file.sync_data()?;
    fs::remove_file(path)?;
    Ok(true)
}
