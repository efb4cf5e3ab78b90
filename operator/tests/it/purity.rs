//! Pure rooms decide and touch nothing: no runtime, client, files, sockets, clock or unseeded randomness. What they need of those
//! comes in as an argument. This test looks for the words by which they would come in, and is as honest as a list of words can
//! be.

use std::fs;
use std::path::{Path, PathBuf};

/// Pure wherever they lie: folders, and the steps of a reconciliation that decide.
const PURE: &[&str] = &["rebalance", "resources", "plan", "plan.rs", "validate", "validate.rs"];

const FORBIDDEN: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Utc::now",
    "kube::Client",
    "kube::client",
    "kube::runtime",
    "&Client",
    "Client::",
    "Api<",
    "Api::",
    "tonic",
    "AdminClient",
    "thread_rng",
    "rand::rng(",
    "rand::random",
    "from_os_rng",
    "RandomState",
];

#[test]
fn pure_rooms_touch_nothing() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked_at = 0;
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).expect("below the source").to_str().expect("our names are UTF-8");
        if !name.split('/').any(|part| PURE.contains(&part)) || name.contains("test") {
            continue;
        }
        looked_at += 1;
        let text = fs::read_to_string(&file).expect("a file that was listed");
        for (line, number) in text.lines().zip(1..).take_while(|(line, _)| *line != "#[cfg(test)]") {
            let is_code = !line.trim_start().starts_with("//");
            let found = FORBIDDEN.iter().find(|word| is_code && line.contains(**word));
            assert_eq!(found, None, "{name}:{number} is in a pure room: {line}");
        }
    }
    assert!(looked_at >= 6, "only {looked_at} files were looked at: have the rooms moved?");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a readable folder").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}
