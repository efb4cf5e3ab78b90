//! Pure rooms touch nothing: no runtime, files, sockets, clock or unseeded randomness. What they need of those comes in as
//! an argument. This test looks for the words by which they would come in, and is as honest as a list of words can be.

use std::fs;
use std::path::{Path, PathBuf};

/// Pure folders and files of `broker/src`.
const PURE: &[&str] = &[
    "protocol",
    "controller",
    "coordinator/group",
    "log/config.rs",
    "log/retention.rs",
    "log/producer_state.rs",
    "log/epochs.rs",
    "handlers/fetch/session.rs",
    "partition/rate.rs",
    "partition/replica.rs",
];

/// What touches the world inside a room that is otherwise pure: files and folders.
const IMPURE: &[&str] = &[
    "controller/batch_file.rs",
    "controller/channel.rs",
    "controller/client.rs",
    "controller/driver",
    "controller/metadata_log.rs",
    "controller/producer_ids.rs",
    "controller/snapshot_files.rs",
    "controller/vanished.rs",
];

const FORBIDDEN: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant",
    "rustix",
    "thread_rng",
    "rand::rng(",
    "rand::random",
    "from_os_rng",
];

#[test]
fn pure_rooms_touch_nothing() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked_at = 0;
    for file in PURE.iter().flat_map(|place| rust_files(&source.join(place))) {
        let name = file.strip_prefix(&source).expect("below the source").to_str().expect("our names are UTF-8");
        if IMPURE.iter().any(|place| Path::new(name).starts_with(place)) || is_test(name) {
            continue;
        }
        looked_at += 1;
        let text = fs::read_to_string(&file).expect("a file that was listed");
        for (line, number) in product_lines(&text).zip(1..) {
            let found = FORBIDDEN.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{name}:{number} is in a pure room: {line}");
        }
    }
    assert!(looked_at > 60, "only {looked_at} files were looked at: have the rooms moved?");
}

#[test]
fn the_exceptions_exist() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for name in IMPURE.iter().chain(PURE) {
        assert!(source.join(name).exists(), "{name} is gone: take it off the list");
    }
}

/// The lines that are neither comments nor the tests at the end of a file.
fn product_lines(text: &str) -> impl Iterator<Item = &str> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().take_while(|line| *line != "#[cfg(test)]").filter(code)
}

fn is_test(name: &str) -> bool {
    name.contains("test") || name.contains("properties") || name.contains("script")
}

fn rust_files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).expect("a room").map(|entry| entry.expect("a readable folder").path());
    entries
        .filter(|path| path.is_dir() || path.extension().is_some_and(|end| end == "rs"))
        .flat_map(|path| rust_files(&path))
        .collect()
}
