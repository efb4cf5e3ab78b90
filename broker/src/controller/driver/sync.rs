//! The thread that syncs the metadata log, so that the controller's thread need not wait for the disk.

use super::Work;
use crate::log::FlushTask;
use crate::raft::SyncPoint;
use std::io;
use std::sync::mpsc;

/// What the thread is given to do.
pub enum Sync {
    /// Syncs the log; `task` is `None` where all is on the disk already.
    Log { point: SyncPoint, task: Option<Box<FlushTask>> },
    #[cfg(test)]
    Run(Box<dyn FnOnce() + Send>),
}

/// Starts the thread. It ends with the last sender.
pub fn start(work: mpsc::Sender<Work>) -> io::Result<mpsc::Sender<Sync>> {
    let (syncs, queue) = mpsc::channel::<Sync>();
    let run = move || {
        while let Ok(sync) = queue.recv() {
            match sync {
                Sync::Log { point, task } => {
                    let synced = task.map(|task| task.run()).transpose();
                    if work.send(Work::Synced(point, synced)).is_err() {
                        return;
                    }
                }
                #[cfg(test)]
                Sync::Run(work) => work(),
            }
        }
    };
    std::thread::Builder::new().name("metadata-sync".into()).spawn(run)?;
    Ok(syncs)
}
