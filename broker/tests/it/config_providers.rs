//! Values that a broker reads from elsewhere when it starts.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::support::broker::Broker;
use crate::support::process::finish;

const DIRECTORY: &str = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";

/// A ConfigMap as Kubernetes mounts it: a link for each key, into a folder that is exchanged as a whole.
fn mounted(key: &str, value: &str) -> tempfile::TempDir {
    let mount = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(mount.path().join("..2026")).expect("a folder");
    fs::write(mount.path().join("..2026").join(key), value).expect("a file");
    symlink("..2026", mount.path().join("..data")).expect("a link");
    symlink(format!("..data/{key}"), mount.path().join(key)).expect("a link");
    mount
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rack_from_a_mounted_file_is_the_brokers_rack() {
    let mount = mounted("node-1", "zone-a\n");
    let reference = format!("${{directory:{}:node-1}}", mount.path().display());
    let broker = Broker::start(&[
        ("config.providers", "directory"),
        ("config.providers.directory.class", DIRECTORY),
        ("broker.rack", &reference),
    ]);
    let mut config = rdkafka::ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", broker.bootstrap()).create().expect("a client");
    let described =
        admin.describe_configs([&ResourceSpecifier::Broker(1)], &AdminOptions::new()).await.expect("an answer");
    let described = described.into_iter().next().expect("one broker").expect("its settings");
    let rack = described.get("broker.rack").expect("the setting");
    assert_eq!(rack.value.as_deref(), Some("zone-a"));
    assert!(!broker.output().contains("is not a known setting"));
}

/// Apache Kafka would start in the rack `${directory:..}`.
#[test]
fn a_file_that_is_not_there_ends_the_start_in_one_line() {
    let mount = mounted("node-1", "zone-a\n");
    let path = mount.path().display();
    let mut barnabas = Command::new(env!("CARGO_BIN_EXE_barnabas"));
    for setting in [
        "config.providers=directory".to_owned(),
        format!("config.providers.directory.class={DIRECTORY}"),
        format!("broker.rack=${{directory:{path}:node-2}}"),
        format!("log.dirs={path}/logs"),
    ] {
        barnabas.args(["--override", &setting]);
    }
    let ended = finish(&mut barnabas, "", Duration::from_secs(20));
    assert_eq!(ended.status.code(), Some(1));
    let expected = format!(
        "barnabas: Cannot resolve ${{directory:{path}:node-2}} for configuration broker.rack: \
         the directory {path} has no file node-2\n"
    );
    assert_eq!(ended.stderr, expected);
}
