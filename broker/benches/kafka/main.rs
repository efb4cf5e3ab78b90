//! Apache Kafka and Barnabas in turn, on one machine, under one load: `cargo bench -p barnabas --bench kafka`.
//!
//! Each round starts each broker anew on an empty directory, warms it up under the load that is then measured, and kills
//! it. The table shows medians over the rounds.
//!
//! Deliberately absent: a verdict by exit code (the goals are ratios, the machine may be busy: this is no test) and TLS.

mod batch;
mod brokers;
mod cluster;
mod connection;
mod load;
mod paced;
mod phantoms;
mod process;
mod report;
mod scenarios;
mod wire;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};

use brokers::{Kind, Places};
use report::Report;
use scenarios::{Round, SCENARIOS, Sizes};

/// Scenarios that take minutes on Apache Kafka.
const MEASURED_ONCE: [&str; 6] = ["partitions", "recovery", "failover", "many", "many-alone", "million"];

/// Compares Barnabas with Apache Kafka 4.1 (jars in target/kafka/libs, or in the directory that KAFKA_LIBS names).
#[derive(Parser)]
#[command(bin_name = "cargo bench -p barnabas --bench kafka --")]
struct Arguments {
    /// A scenario (start, load, partitions, recovery, cluster-load, failover, many, many-alone, million) or a part of load (produce-16k, produce-512k, produce-single,
    /// consume, paced); may be given several times
    #[arg(long)]
    only: Vec<String>,
    /// How often everything is measured; all but start, load and cluster-load run in the first only
    #[arg(long)]
    rounds: Option<usize>,
    /// One round of smaller loads: a few minutes, rougher figures
    #[arg(long)]
    quick: bool,
    /// Measures only Apache Kafka
    #[arg(long, conflicts_with = "only_barnabas")]
    only_kafka: bool,
    /// Measures only Barnabas
    #[arg(long)]
    only_barnabas: bool,
    /// Writes every figure of every round to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Prints the table as Markdown
    #[arg(long)]
    markdown: bool,
    /// Where the brokers keep their data (20 GB must be free) [default: target/bench]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let places = arguments.places()?;
    let sizes = if arguments.quick { Sizes::QUICK } else { Sizes::FULL };
    raise_open_files()?;
    print_machine();

    let mut report = Report::new(&sizes);
    let failures = measure(&arguments, &places, &sizes, &mut report)?;
    println!("{}", if arguments.markdown { report.markdown() } else { report.table() });
    if let Some(file) = &arguments.json {
        fs::write(file, report.json()).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every wanted scenario, on one broker after the other, and returns how many failed.
fn measure(arguments: &Arguments, places: &Places, sizes: &Sizes, report: &mut Report) -> Result<usize> {
    let start = Instant::now();
    let scenarios = arguments.scenarios()?;
    let mut failures = 0;
    for round in 0..arguments.rounds.unwrap_or(if arguments.quick { 1 } else { 3 }) {
        for scenario in scenarios.iter().filter(|scenario| round == 0 || !MEASURED_ONCE.contains(scenario)) {
            for kind in arguments.kinds() {
                eprintln!("round {}, {scenario}, {kind}, after {} s", round + 1, start.elapsed().as_secs());
                let mut run = Round { kind: *kind, places, sizes, only: &arguments.only, figures: vec![] };
                if let Err(error) = run.run(scenario) {
                    eprintln!("  {kind}: {scenario} failed: {error:#}");
                    failures += 1;
                }
                report.add(*kind, run.figures);
            }
        }
    }
    Ok(failures)
}

impl Arguments {
    /// The scenarios that `--only` leaves.
    fn scenarios(&self) -> Result<Vec<&'static str>> {
        let known = |name: &String| {
            SCENARIOS.iter().any(|(scenario, parts)| scenario == name || parts.contains(&name.as_str()))
        };
        for name in &self.only {
            ensure!(known(name), "--only {name}: neither a scenario nor a part of one (see --help)");
        }
        let wanted = |scenario: &str, parts: &[&str]| {
            self.only.is_empty() || self.only.iter().any(|name| name == scenario || parts.contains(&name.as_str()))
        };
        Ok(SCENARIOS
            .iter()
            .filter(|(scenario, parts)| wanted(scenario, parts))
            .map(|(scenario, _)| *scenario)
            .collect())
    }

    fn kinds(&self) -> &'static [Kind] {
        match (self.only_kafka, self.only_barnabas) {
            (true, _) => &[Kind::Kafka],
            (_, true) => &[Kind::Barnabas],
            _ => &[Kind::Kafka, Kind::Barnabas],
        }
    }

    fn places(&self) -> Result<Places> {
        let target = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?.join("target");
        let kafka_libs = env::var_os("KAFKA_LIBS").map_or_else(|| target.join("kafka/libs"), PathBuf::from);
        ensure!(
            self.only_barnabas || kafka_libs.is_dir(),
            "{}: no such directory; it must hold the jars of Apache Kafka 4.1 (or set KAFKA_LIBS)",
            kafka_libs.display()
        );
        let data = self.data.clone().unwrap_or_else(|| target.join("bench"));
        fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
        let data = fs::canonicalize(data)?;
        brokers::remove_leftovers(&data)?;
        ensure_free(&data)?;
        Ok(Places { kafka_libs, data })
    }
}

/// The most data that a scenario holds at a time, with room to spare.
const FREE_BYTES_MIN: u64 = 20_000_000_000;

fn ensure_free(data: &std::path::Path) -> Result<()> {
    let disk = rustix::fs::statvfs(data)?;
    let free = disk.f_bavail * disk.f_frsize;
    ensure!(free >= FREE_BYTES_MIN, "{}: {} GB free, 20 GB are needed", data.display(), free / 1_000_000_000);
    Ok(())
}

/// Apache Kafka holds a file open for each of ten thousand partitions; the brokers inherit the limit.
fn raise_open_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files")
}

/// Figures mean little without the machine they come from.
fn print_machine() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    println!("{cores} cores, Linux {}, load average before the start {load}", kernel.trim());
}
