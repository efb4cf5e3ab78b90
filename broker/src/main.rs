//! The program `barnabas`: arguments, configuration, run.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use barnabas::config::{self, Config, ConfigError, NodeConfig};
use barnabas::{server, telemetry};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// A broker that every Apache Kafka client can use.
#[derive(Parser)]
#[command(name = "barnabas", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// A properties file with Apache Kafka's settings. Without one, the defaults hold.
    #[arg(value_name = "server.properties")]
    file: Option<PathBuf>,

    /// A setting, stronger than the file. May be given again.
    #[arg(long = "override", value_name = "key=value", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print every setting with its unit, default and meaning, or those that are named.
    Config {
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::Config { names }) if names.is_empty() => print(&config::describe()),
        Some(Command::Config { names }) => {
            config::describe_some(names).map_err(anyhow::Error::msg).and_then(|text| print(&text))
        }
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not eprintln!, which panics where nobody reads.
            writeln!(std::io::stderr(), "barnabas: {}", with_causes(&error)).ok();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    telemetry::start()?;
    let config = Config::load(arguments.file.as_deref(), &arguments.overrides).map_err(with_hint)?;
    info!("{}", who(arguments, &config));
    for notice in &config.notices {
        match notice.is_warning() {
            true => warn!("{notice}"),
            false => info!("{notice}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).context("cannot listen to signals")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
        let stop = async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        server::run(config, stop).await
    })
}

/// Which program runs as which node of which quorum, and what told it so.
fn who(arguments: &Arguments, config: &Config) -> String {
    let NodeConfig { id, is_broker, is_controller, .. } = &config.node;
    let roles = [("broker", *is_broker), ("controller", *is_controller)];
    let roles: Vec<_> = roles.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    let voters = config.quorum.voters.iter().map(|(id, (host, port))| format!("{id}@{host}:{port}"));
    let quorum = match config.quorum.voters.is_empty() {
        true => "a quorum of one".to_owned(),
        false => format!("the quorum {}", voters.collect::<Vec<_>>().join(",")),
    };
    let file = arguments
        .file
        .as_ref()
        .map_or("no configuration file".to_owned(), |file| format!("configuration {}", file.display()));
    format!("barnabas {}, node {id} ({}) of {quorum}, {file}", env!("CARGO_PKG_VERSION"), roles.join(","))
}

/// A bare word that is no file was perhaps to be a command.
fn with_hint(error: ConfigError) -> anyhow::Error {
    let is_word = |path: &Path| path.to_string_lossy().bytes().all(|byte| byte.is_ascii_alphabetic());
    match &error {
        ConfigError::Unreadable { path, error: cause } if cause.kind() == ErrorKind::NotFound && is_word(path) => {
            anyhow::anyhow!("{error}; did you mean the command `barnabas config`?")
        }
        _ => error.into(),
    }
}

/// The error and its causes, but for those that the text says already.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

/// More threads than cores: one that waits for a disk must not keep the others from being served.
fn worker_threads() -> usize {
    const LEAST: usize = 4;
    std::thread::available_parallelism().map_or(LEAST, |cores| (2 * cores.get()).max(LEAST))
}

/// Prints to stdout, and is content when the reader has read enough (`barnabas config | head`).
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or("key=value is expected")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
