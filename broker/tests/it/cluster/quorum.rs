//! The controllers' majority: without it metadata stands still, and records flow on.

use rdkafka::types::RDKafkaErrorCode;

use super::{PLAN, TOPIC};
use crate::support::broker::Kind;
use crate::support::cluster::{Cluster, Shape};
use crate::support::load::{Load, Plan, create_topic, try_to_create};

#[test]
fn without_a_majority_metadata_stands_still_and_records_flow() {
    let roles = vec!["broker", "broker", "controller", "controller", "controller"];
    let mut cluster = Cluster::start_as(Shape { roles, ..Shape::of(0) });
    let load = Load::start(&cluster.bootstrap(), Plan { replicas: 2, ..PLAN });
    // The group's first commit creates the offsets topic: that needs the controllers.
    load.check_committed_offsets();
    let controller = cluster.active_controller();
    let other = (3..=5).find(|id| *id != controller).expect("three controllers");
    cluster.kill(controller);
    cluster.kill(other);
    let refusal = try_to_create(&cluster.bootstrap(), "too-late", 2, 2).expect_err("nobody can agree to it");
    // Apache Kafka may leave it to the client to give up.
    let clear = [RDKafkaErrorCode::RequestTimedOut, RDKafkaErrorCode::NotController];
    let silence = cluster.kind() == Kind::Kafka && refusal == RDKafkaErrorCode::OperationTimedOut;
    assert!(clear.contains(&refusal) || silence, "{refusal:?}");
    load.wait_until_every_partition_is_written();
    load.check_committed_offsets();
    cluster.spawn(other);
    create_topic(&cluster.bootstrap(), "in-time", 2, 2);
    cluster.spawn(controller);
    cluster.wait_until_in_sync(TOPIC);
    load.finish();
}
