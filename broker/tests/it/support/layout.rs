//! Where the things are that `tests/clients/setup` installs and builds.

use std::path::PathBuf;

/// Cargo's target directory.
pub fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent").to_path_buf()
}

/// The sources of the client programs.
pub fn client_sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Something that `setup` makes below target/. Panics with the command that makes it.
pub fn installed(path: &str) -> PathBuf {
    let path = target().join(path);
    assert!(path.exists(), "{} is missing: run broker/tests/clients/setup (make test does)", path.display());
    path
}

/// The class path of Apache Kafka with its tools, and of our own Java programs.
pub fn class_path() -> String {
    let libs = installed("kafka/libs").join("*");
    let classes = target().join("clients/java");
    format!("{}:{}", classes.display(), libs.display())
}
