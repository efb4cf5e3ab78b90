//! Torn writes: what a crash leaves behind the last complete batch of a file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::rngs::StdRng;

/// The header of a record batch v2, in bytes.
const BATCH_HEADER: usize = 61;

/// Appends the beginning of a write that never finished to the active segment of most partitions below `directory`,
/// the internal ones included. Nothing that was written is touched.
pub fn tear(directory: &Path, random: &mut StdRng) {
    for segment in active_segments(directory) {
        if random.random_ratio(3, 4) {
            let tail = tail(&segment, random);
            let mut file = File::options().append(true).open(&segment).expect("an active segment");
            file.write_all(&tail).expect("a torn tail");
        }
    }
}

/// The last segment of each partition.
fn active_segments(directory: &Path) -> Vec<PathBuf> {
    let mut partitions = entries(directory);
    partitions.retain(|path| path.is_dir() && !path.to_string_lossy().ends_with("-delete"));
    partitions.sort();
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    partitions.iter().filter_map(|partition| entries(partition).into_iter().filter(is_log).max()).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

/// Garbage, zeros (a file grown before its data came), part of a batch's header, or a header without its records.
fn tail(segment: &Path, random: &mut StdRng) -> Vec<u8> {
    let mut header = Vec::new();
    File::open(segment).expect("a segment").take(BATCH_HEADER as u64).read_to_end(&mut header).expect("a segment");
    let length = random.random_range(1..200);
    match random.random_range(0..4) {
        0 => (0..length).map(|_| random.random()).collect(),
        1 => vec![0; length],
        2 => header[..random.random_range(0..=header.len())].to_vec(),
        _ => header,
    }
}
