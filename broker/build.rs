//! Makes Rust of `proto/admin.proto`, without protoc: the service, and its client over any transport. With the feature
//! `admin-client` the client also knows how to connect.

const PROTO: &str = "proto/admin.proto";

fn main() {
    println!("cargo::rerun-if-changed={PROTO}");
    let connects = std::env::var_os("CARGO_FEATURE_ADMIN_CLIENT").is_some();
    let described = protox::compile([PROTO], ["proto"]).unwrap_or_else(|error| panic!("{PROTO}: {error}"));
    tonic_prost_build::configure()
        .build_transport(connects)
        .emit_rerun_if_changed(false)
        .compile_fds(described)
        .unwrap_or_else(|error| panic!("{PROTO}: {error}"));
}
