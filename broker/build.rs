//! Makes Rust of `proto/admin.proto`, without protoc.

const PROTO: &str = "proto/admin.proto";

fn main() {
    println!("cargo::rerun-if-changed={PROTO}");
    let described = protox::compile([PROTO], ["proto"]).unwrap_or_else(|error| panic!("{PROTO}: {error}"));
    tonic_prost_build::configure()
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .compile_fds(described)
        .unwrap_or_else(|error| panic!("{PROTO}: {error}"));
}
