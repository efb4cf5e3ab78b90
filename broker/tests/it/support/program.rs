//! The two programs that serve: how each is formatted and started on a directory with its `server.properties`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::layout;
use super::process::succeed;

/// Of every cluster that a test starts with nothing else said.
pub const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// Which program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Barnabas,
    Kafka,
}

impl Kind {
    /// From `BARNABAS_TEST_BROKER`: `kafka`, or unset for Barnabas.
    pub fn under_test() -> Kind {
        match std::env::var("BARNABAS_TEST_BROKER").as_deref() {
            Ok("kafka") => Kind::Kafka,
            Ok("barnabas") | Err(_) => Kind::Barnabas,
            Ok(other) => panic!("BARNABAS_TEST_BROKER={other}: kafka or barnabas"),
        }
    }

    /// Makes `directory` ready for a first start. Barnabas does that by itself.
    pub fn format(self, directory: &Path) {
        if self == Kind::Kafka {
            let mut format = Command::new("java");
            format.args(["-XX:TieredStopAtLevel=1", "-cp", &layout::class_path(), "kafka.tools.StorageTool", "format"]);
            format.args(["--cluster-id", CLUSTER_ID, "--config"]).arg(properties(directory));
            succeed(&mut format, "", Duration::from_secs(120));
        }
    }

    /// Starts the program on `directory`, where its output is appended to `output`. With a namespace of `ip netns`,
    /// the process lives in that network; its id is that of the child all the same.
    pub fn spawn(self, directory: &Path, namespace: Option<&str>) -> Child {
        let file = output(directory);
        let output = File::options().create(true).append(true).open(file).expect("the output file");
        let mut command = match namespace {
            Some(name) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{name}"));
                command
            }
            None => Command::new("env"),
        };
        command.args(self.command_line()).arg(properties(directory));
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output);
        command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// For Apache Kafka a JVM that starts quickly rather than one that runs fast.
    fn command_line(self) -> Vec<String> {
        if self == Kind::Barnabas {
            return vec![env!("CARGO_BIN_EXE_barnabas").to_owned()];
        }
        let logging = layout::client_sources().join("java/log4j2.properties");
        let logging = format!("-Dlog4j2.configurationFile={}", logging.display());
        let jvm = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"];
        let rest = [layout::class_path(), logging, "kafka.Kafka".to_owned()];
        jvm.into_iter().map(str::to_owned).chain(rest).collect()
    }
}

/// Where a program that lives in `directory` finds its settings.
pub fn properties(directory: &Path) -> PathBuf {
    directory.join("server.properties")
}

/// Writes the settings of a program that lives in `directory`.
pub fn write_properties<'a>(directory: &Path, all: impl IntoIterator<Item = (&'a String, &'a String)>) {
    let text: String = all.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    fs::write(properties(directory), text).expect("the properties file");
}

/// What a program that lives in `directory` has printed so far, over all its starts.
pub fn read_output(directory: &Path) -> String {
    String::from_utf8_lossy(&fs::read(output(directory)).expect("the output file")).into_owned()
}

/// The last lines of [`read_output`], for a test that failed.
pub fn end_of_output(directory: &Path) -> String {
    let output = read_output(directory);
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn output(directory: &Path) -> PathBuf {
    directory.join("output")
}
