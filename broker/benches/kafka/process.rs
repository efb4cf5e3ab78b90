//! What the kernel says about a process: CPU time and memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Ticks a second in /proc, the same on every Linux architecture (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

const KIB_IN_MIB: f64 = 1024.0;

/// What processes used together while some work was done.
pub struct Usage {
    pub cpu_seconds: f64,
    pub elapsed: Duration,
}

/// Runs `work` and measures what the processes used meanwhile.
pub fn usage_during(pids: &[u32], work: impl FnOnce() -> Result<()>) -> Result<Usage> {
    let cpu_before = cpu_seconds_of(pids)?;
    let start = Instant::now();
    work()?;
    let elapsed = start.elapsed();
    Ok(Usage { cpu_seconds: cpu_seconds_of(pids)? - cpu_before, elapsed })
}

/// What share of one core, in percent, each of the processes takes over `watched`.
pub fn percent_of_each(pids: &[u32], watched: Duration) -> Result<Vec<f64>> {
    let seconds = || pids.iter().map(|pid| cpu_seconds(*pid)).collect::<Result<Vec<_>>>();
    let (before, start) = (seconds()?, Instant::now());
    std::thread::sleep(watched);
    let (after, elapsed) = (seconds()?, start.elapsed().as_secs_f64());
    Ok(after.iter().zip(before).map(|(after, before)| (after - before) / elapsed * 100.0).collect())
}

fn cpu_seconds_of(pids: &[u32]) -> Result<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}

/// User and system time of all threads, those that ended included (proc_pid_stat(5), fields 14 and 15).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces: the fields are counted from behind it, where the third one follows.
    let (_, fields) = stat.rsplit_once(')').context("no process name in /proc/PID/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_A_SECOND)
}

/// Resident memory now, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

/// The most that was ever resident, in MiB.
pub fn peak_resident_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, key: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no {key}"))?;
    let kib = line.split_whitespace().next().context("no figure")?.parse::<f64>()?;
    Ok(kib / KIB_IN_MIB)
}
