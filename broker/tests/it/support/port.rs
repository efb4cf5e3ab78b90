//! Free TCP ports for brokers.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::Mutex;

/// Below Linux's ephemeral range (32768 and up): a client that reconnects while the broker is down would otherwise be
/// given the broker's own port as its source port now and then, connect to itself, and keep the port taken.
const PORTS: Range<u16> = 12_000..32_000;
/// How many ports a process takes at once.
const BLOCK: u16 = 50;

/// A block of ports that no other process of these tests uses while this one lives.
struct Block {
    rest: Range<u16>,
    /// Locked, and so until the process ends, however it ends.
    _lock: File,
}

/// The blocks of this process; the last one is not used up yet.
static BLOCKS: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// A port that nobody listens on, and that nobody else is given: not within this process, and not in another test that
/// runs beside it. Which of them happen to be free at the moment is not enough: a broker that is down keeps its ports.
pub fn free_port() -> u16 {
    let mut blocks = BLOCKS.lock().expect("nobody panics with it");
    loop {
        let rest = blocks.last_mut().and_then(|block| block.rest.next());
        match rest {
            Some(port) if TcpListener::bind(("127.0.0.1", port)).is_ok() => return port,
            Some(_) => {}
            None => blocks.push(take_block()),
        }
    }
}

/// The first block that no process has locked.
fn take_block() -> Block {
    let user = rustix::process::getuid().as_raw();
    let directory = std::env::temp_dir().join(format!("barnabas-it-ports-{user}"));
    fs::create_dir_all(&directory).expect("a directory for locks");
    let starts = PORTS.step_by(BLOCK.into());
    let mut blocks = starts.filter_map(|start| {
        let file = File::create(directory.join(start.to_string())).expect("a lock file");
        file.try_lock().ok().map(|()| Block { rest: start..start + BLOCK, _lock: file })
    });
    blocks.next().expect("a block of ports that no other process uses")
}
