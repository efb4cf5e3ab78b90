//! Programs that are run as people run them: kubectl, helm, and the scripts that break nodes.

use crate::environment::scripts;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::process::{Command, Output};
use tokio::task::spawn_blocking;

/// Runs a program to its end and gives its output. Errors: where it fails, with what it printed.
pub async fn run<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> Result<String> {
    let output = output(&program, arguments).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
        bail!("{} {}: {}\n{text}{errors}", program.as_ref().to_string_lossy(), arguments.join(" "), output.status);
    }
    Ok(text)
}

/// Runs kubectl with these words.
pub async fn kubectl(words: &str) -> Result<String> {
    run("kubectl", &words.split_whitespace().collect::<Vec<_>>()).await
}

/// Runs one of the scripts in e2e/kubernetes.
pub async fn script(name: &str, arguments: &[&str]) -> Result<String> {
    run(scripts().join(name), arguments).await
}

/// Whether nodes can be taken down and containers be frozen here. If not, says so: the test is then over.
pub async fn nodes_can_be_broken() -> bool {
    let library = scripts().join("lib.sh");
    let find = format!(". '{}'; kind_of_cluster", library.display());
    let kind = run("bash", &["-c", &find]).await.unwrap_or_else(|error| error.to_string());
    let can = matches!(kind.trim(), "local" | "kind");
    if !can {
        println!("SKIPPED: nobody may break the nodes of this Kubernetes ({})", kind.trim());
    }
    can
}

async fn output<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> Result<Output> {
    let mut command = Command::new(&program);
    command.args(arguments);
    let what = || format!("{} cannot be started", program.as_ref().to_string_lossy());
    spawn_blocking(move || command.output()).await?.with_context(what)
}
