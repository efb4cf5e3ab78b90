//! What each API answers in its versions: as Apache Kafka 4.1.0 answered the same questions.

use super::Coordinator;
use crate::handlers::{
    delete_groups, describe_groups, heartbeat, join_group, leave_group, list_groups, offset_commit, offset_delete,
    offset_fetch, sync_group,
};
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_groups::DeleteGroupsRequest;
use crate::protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use crate::protocol::messages::heartbeat::HeartbeatRequest;
use crate::protocol::messages::join_group::JoinGroupRequest;
use crate::protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use crate::protocol::messages::list_groups::ListGroupsRequest;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use crate::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
};
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchResponse,
};
use crate::protocol::messages::sync_group::SyncGroupRequest;

impl Coordinator {
    async fn leave(&self, version: i16, group: &str, member_ids: &[&str]) -> LeaveGroupResponse<'static> {
        let member = |id: &&str| MemberIdentity { member_id: id.to_string().into(), ..Default::default() };
        let request = match version {
            ..3 => LeaveGroupRequest { group_id: group.into(), member_id: member_ids[0].into(), ..Default::default() },
            _ => LeaveGroupRequest {
                group_id: group.into(),
                members: member_ids.iter().map(member).collect(),
                ..Default::default()
            },
        };
        leave_group::handle(&self.groups, &self.context(version), request).await
    }

    async fn describe(&self, version: i16, group: &str) -> DescribedGroup<'static> {
        let request = DescribeGroupsRequest { groups: vec![group.into()], include_authorized_operations: true };
        describe_groups::handle(&self.groups, &self.context(version), request).await.groups.remove(0)
    }

    async fn commit_to(
        &self,
        version: i16,
        generation: i32,
        partitions: &[(&'static str, i32)],
    ) -> OffsetCommitResponse<'static> {
        let topics = partitions.iter().map(|(topic, partition_index)| {
            let partition = OffsetCommitRequestPartition { partition_index: *partition_index, ..Default::default() };
            OffsetCommitRequestTopic { name: (*topic).into(), partitions: vec![partition] }
        });
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: generation,
            topics: topics.collect(),
            ..Default::default()
        };
        offset_commit::handle(&self.groups, &exists, &self.context(version), request).await
    }

    async fn delete_offsets(&self, group: &str, topic: &'static str) -> OffsetDeleteResponse<'static> {
        let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
        let topics = vec![OffsetDeleteRequestTopic { name: topic.into(), partitions }];
        let request = OffsetDeleteRequest { group_id: group.into(), topics };
        offset_delete::handle(&self.groups, &exists, &self.context(0), request).await
    }

    async fn fetch_old(&self, version: i16, topics: Option<&[&'static str]>) -> OffsetFetchResponse<'static> {
        let topic = |name: &&'static str| OffsetFetchRequestTopic { name: (*name).into(), partition_indexes: vec![0] };
        let request = OffsetFetchRequest {
            group_id: "g".into(),
            topics: topics.map(|topics| topics.iter().map(topic).collect()),
            ..Default::default()
        };
        offset_fetch::handle(&self.groups, &self.context(version), request).await
    }

    async fn list(&self, states: &[&'static str], types: &[&'static str]) -> Vec<String> {
        let request = ListGroupsRequest {
            states_filter: states.iter().map(|state| (*state).into()).collect(),
            types_filter: types.iter().map(|group_type| (*group_type).into()).collect(),
        };
        let response = list_groups::handle(&self.groups, &self.context(5), request).await;
        assert_eq!(response.error_code, 0);
        let shown = |group: &crate::protocol::messages::list_groups::ListedGroup<'_>| {
            format!("{}/{}/{}/{}", group.group_id, group.protocol_type, group.group_state, group.group_type)
        };
        response.groups.iter().map(shown).collect()
    }
}

/// Partition 0 of topics that begin with t.
fn exists(topic: &str, partition: i32) -> bool {
    topic.starts_with('t') && partition == 0
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_id_is_invalid_where_a_group_must_have_members() {
    let coordinator = Coordinator::new().await;
    let (groups, context) = (&coordinator.groups, coordinator.context(4));
    let invalid = ErrorCode::InvalidGroupId.code();
    let join = JoinGroupRequest { member_id: "me".into(), ..Default::default() };
    let joined = join_group::handle(groups, &context, join).await;
    assert_eq!((joined.error_code, &*joined.member_id), (invalid, "me"));
    assert_eq!(sync_group::handle(groups, &context, SyncGroupRequest::default()).await.error_code, invalid);
    assert_eq!(heartbeat::handle(groups, &context, HeartbeatRequest::default()).await.error_code, invalid);
    assert_eq!(coordinator.leave(4, "", &["m"]).await.error_code, invalid);
    assert_eq!(coordinator.delete_offsets("", "t").await.error_code, invalid);
}

#[tokio::test(start_paused = true)]
async fn a_session_timeout_out_of_bounds_is_refused() {
    let coordinator = Coordinator::new().await;
    for (session_timeout_ms, version, protocol_name) in [(5_999, 6, Some("")), (1_800_001, 7, None)] {
        let request = JoinGroupRequest { group_id: "g".into(), session_timeout_ms, ..Default::default() };
        let response = join_group::handle(&coordinator.groups, &coordinator.context(version), request).await;
        assert_eq!(response.error_code, ErrorCode::InvalidSessionTimeout.code());
        // Before version 7 the name of the protocol cannot be null.
        assert_eq!(response.protocol_name.as_deref(), protocol_name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_version_has_one_timeout_for_both() {
    let coordinator = Coordinator::new().await;
    let joined = coordinator.join(0, "").await;
    assert_eq!(joined.error_code, 0);
    // The rebalance timeout of the request is 30 s, which version 0 does not have: the sync is waited for 10 s.
    tokio::time::sleep(std::time::Duration::from_millis(10_001)).await;
    assert_eq!(coordinator.heartbeat(&joined).await, ErrorCode::UnknownMemberId.code());
}

#[tokio::test(start_paused = true)]
async fn a_sync_must_name_the_protocol_since_version_5() {
    let coordinator = Coordinator::new().await;
    for (version, error) in [(4, ErrorCode::UnknownMemberId), (5, ErrorCode::InconsistentGroupProtocol)] {
        let request = SyncGroupRequest { group_id: "g".into(), ..Default::default() };
        let response = sync_group::handle(&coordinator.groups, &coordinator.context(version), request).await;
        assert_eq!(response.error_code, error.code());
    }
}

#[tokio::test(start_paused = true)]
async fn one_member_leaves_with_the_responses_error_and_several_each_with_its_own() {
    let coordinator = Coordinator::new().await;
    let unknown = ErrorCode::UnknownMemberId.code();
    for group in ["g", "none"] {
        let old = coordinator.leave(2, group, &["m"]).await;
        assert_eq!((old.error_code, old.members.len()), (unknown, 0));
        let new = coordinator.leave(3, group, &["m", "n"]).await;
        let errors: Vec<i16> = new.members.iter().map(|member| member.error_code).collect();
        assert_eq!((new.error_code, &errors[..]), (0, &[unknown, unknown][..]));
        assert_eq!(coordinator.join(9, "").await.error_code, ErrorCode::MemberIdRequired.code());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_does_not_exist_is_dead_and_since_version_6_an_error() {
    let coordinator = Coordinator::new().await;
    let old = coordinator.describe(5, "none").await;
    assert_eq!((old.error_code, &*old.group_state, old.authorized_operations), (0, "Dead", 3400));
    let new = coordinator.describe(6, "none").await;
    assert_eq!((new.error_code, &*new.group_state), (ErrorCode::GroupIdNotFound.code(), "Dead"));
    assert_eq!(new.error_message.as_deref(), Some("Group none not found."));
    assert_eq!(new.authorized_operations, i32::MIN);
}

#[tokio::test(start_paused = true)]
async fn a_commit_has_an_error_for_each_partition() {
    let coordinator = Coordinator::new().await;
    let none = |response: OffsetCommitResponse<'_>| {
        let topics = response.topics.iter();
        topics.map(|topic| (topic.name.to_string(), topic.partitions[0].error_code)).collect::<Vec<_>>()
    };
    let unknown_topic = ErrorCode::UnknownTopicOrPartition.code();
    let response = coordinator.commit_to(9, 1, &[("t", 0), ("u", 0)]).await;
    assert_eq!(none(response), [("t".to_owned(), ErrorCode::GroupIdNotFound.code()), ("u".to_owned(), unknown_topic)]);
    let response = coordinator.commit_to(8, 1, &[("t", 0), ("t1", 1)]).await;
    assert_eq!(
        none(response),
        [("t".to_owned(), ErrorCode::IllegalGeneration.code()), ("t1".to_owned(), unknown_topic)]
    );
    let response = coordinator.commit_to(8, -1, &[("u", 0), ("t", 0)]).await;
    assert_eq!(none(response), [("u".to_owned(), unknown_topic), ("t".to_owned(), 0)]);
    assert_eq!(coordinator.fetch().await, Ok(Some(0)));
}

#[tokio::test(start_paused = true)]
async fn offsets_are_fetched_in_one_form_for_one_group_and_in_another_for_several() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(7).await, 0);
    for version in [1, 5, 7] {
        let response = coordinator.fetch_old(version, Some(&["t", "none"])).await;
        let offsets: Vec<_> = response
            .topics
            .iter()
            .map(|topic| (topic.partitions[0].committed_offset, topic.partitions[0].metadata.as_deref()))
            .collect();
        assert_eq!((response.error_code, &offsets[..]), (0, &[(7, Some("")), (-1, Some(""))][..]));
    }
    assert_eq!(coordinator.fetch_old(2, None).await.topics.len(), 1);

    let group = |id: &'static str| OffsetFetchRequestGroup { group_id: id.into(), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group("g"), group("none")], ..Default::default() };
    let response = offset_fetch::handle(&coordinator.groups, &coordinator.context(8), request).await;
    let topics: Vec<_> = response.groups.iter().map(|group| (&*group.group_id, group.topics.len())).collect();
    assert_eq!(topics, [("g", 1), ("none", 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_groups_error_stands_at_each_partition_where_the_answer_has_no_place_for_it() {
    let coordinator = Coordinator::unloaded();
    let not_coordinator = ErrorCode::NotCoordinator.code();
    let oldest = coordinator.fetch_old(1, Some(&["t"])).await;
    assert_eq!(oldest.topics[0].partitions[0].error_code, not_coordinator);
    let old = coordinator.fetch_old(2, Some(&["t"])).await;
    assert_eq!((old.error_code, old.topics.len()), (not_coordinator, 0));
}

#[tokio::test(start_paused = true)]
async fn offsets_are_deleted_of_partitions_that_exist() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.delete_offsets("none", "t").await.error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(coordinator.commit(7).await, 0);
    let unknown = coordinator.delete_offsets("g", "u").await;
    assert_eq!(unknown.topics[0].partitions[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    for _ in 0..2 {
        assert_eq!(coordinator.delete_offsets("g", "t").await.topics[0].partitions[0].error_code, 0);
    }
    assert_eq!(coordinator.fetch().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_whatever_the_case() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(7).await, 0);
    let all = ["g//Empty/classic"];
    assert_eq!(coordinator.list(&[], &[]).await, all);
    assert_eq!(coordinator.list(&["EMPTY"], &["nonsense", "Classic"]).await, all);
    assert_eq!(coordinator.list(&["Stable"], &[]).await, [""; 0]);
    assert_eq!(coordinator.list(&["nonsense"], &[]).await, [""; 0]);
    assert_eq!(coordinator.list(&[], &["consumer"]).await, [""; 0]);
    assert_eq!(coordinator.list(&[], &["nonsense"]).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_named_twice_is_deleted_once() {
    let coordinator = Coordinator::new().await;
    assert_eq!(coordinator.commit(7).await, 0);
    let request = DeleteGroupsRequest { groups_names: vec!["g".into(), "none".into(), "g".into()] };
    let response = delete_groups::handle(&coordinator.groups, &coordinator.context(2), request).await;
    let results: Vec<_> = response.results.iter().map(|result| (&*result.group_id, result.error_code)).collect();
    assert_eq!(results, [("g", 0), ("none", ErrorCode::GroupIdNotFound.code())]);
    assert_eq!(coordinator.list(&[], &[]).await, [""; 0]);
}
