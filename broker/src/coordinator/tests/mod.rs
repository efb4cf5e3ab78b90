//! The coordinator against a log in memory, through its handlers.

mod answers;
mod driver;
mod memory_log;

use super::{Clock, GroupConfig, Groups};
use crate::handlers::{Context, heartbeat, join_group, offset_commit, offset_fetch, sync_group};
use crate::protocol::ErrorCode;
use crate::protocol::messages::heartbeat::HeartbeatRequest;
use crate::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use crate::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use memory_log::MemoryLog;
use std::sync::Arc;
use tokio::time::Instant;

/// One partition, led here, with its log in memory. Time is tokio's, which is paused in these tests.
struct Coordinator {
    pub groups: Arc<Groups>,
    pub log: Arc<MemoryLog>,
    pub clock: Clock,
}

impl Coordinator {
    pub fn unloaded() -> Coordinator {
        let start = Instant::now();
        let clock: Clock = Arc::new(move || i64::try_from(start.elapsed().as_millis()).unwrap());
        let config = GroupConfig { offsets_topic_num_partitions: 1, ..GroupConfig::default() };
        let groups = Arc::new(Groups::new(config, clock.clone()));
        Coordinator { groups, log: Arc::new(MemoryLog::new()), clock }
    }

    pub async fn new() -> Coordinator {
        let coordinator = Coordinator::unloaded();
        coordinator.lead().await;
        let groups = coordinator.groups.clone();
        tokio::spawn(async move { groups.run().await });
        coordinator
    }

    pub async fn lead(&self) {
        self.groups.become_leader(0, 0, self.log.clone()).await.unwrap();
    }

    pub fn context(&self, version: i16) -> Context<'static> {
        let client_host = "127.0.0.1".parse().unwrap();
        Context {
            version,
            client_id: "c",
            client_host,
            listener: "PLAINTEXT",
            now: (self.clock)(),
            is_forwarded: false,
        }
    }

    pub async fn join(&self, version: i16, member_id: &str) -> JoinGroupResponse<'static> {
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            member_id: member_id.to_owned().into(),
            protocol_type: "test".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "p".into(), metadata: b"m".into() }],
            ..Default::default()
        };
        join_group::handle(&self.groups, &self.context(version), request).await
    }

    pub async fn sync(&self, joined: &JoinGroupResponse<'_>) -> SyncGroupResponse<'static> {
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.to_string().into(),
            ..Default::default()
        };
        sync_group::handle(&self.groups, &self.context(3), request).await
    }

    pub async fn heartbeat(&self, joined: &JoinGroupResponse<'_>) -> i16 {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.to_string().into(),
            ..Default::default()
        };
        heartbeat::handle(&self.groups, &self.context(4), request).await.error_code
    }

    pub async fn commit(&self, offset: i64) -> i16 {
        let partitions = [0, 1].map(|partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: offset,
            ..Default::default()
        });
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            topics: vec![OffsetCommitRequestTopic { name: "t".into(), partitions: partitions.into() }],
            ..Default::default()
        };
        let only_partition_0 = |_: &str, partition| partition == 0;
        let response = offset_commit::handle(&self.groups, &only_partition_0, &self.context(9), request).await;
        let errors: Vec<_> =
            response.topics[0].partitions.iter().map(|it| (it.partition_index, it.error_code)).collect();
        assert_eq!(errors[0], (1, ErrorCode::UnknownTopicOrPartition.code()));
        assert_eq!((errors.len(), errors[1].0), (2, 0));
        errors[1].1
    }

    /// The offset of partition 0, or the error of the group.
    pub async fn fetch(&self) -> Result<Option<i64>, i16> {
        let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let response = offset_fetch::handle(&self.groups, &self.context(9), request).await;
        match &response.groups[0] {
            group if group.error_code != 0 => Err(group.error_code),
            group => Ok(group.topics.first().map(|topic| topic.partitions[0].committed_offset)),
        }
    }
}
