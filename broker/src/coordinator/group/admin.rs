//! DescribeGroups, ListGroups and DeleteGroups.

use super::effects::Effects;
use super::live::{GroupState, Live, Member};
use super::metadata::Text;
use super::records::GroupRecord;
use super::shard::Shard;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use crate::protocol::messages::list_groups::ListedGroup;

/// The only type of group there is here (KIP-848 has others).
const CLASSIC: &str = "classic";

impl Shard {
    /// A group as DescribeGroups shows it; none if it does not exist.
    pub fn describe(&self, group: &str) -> Option<DescribedGroup<'static>> {
        self.live(group).map(|live| DescribedGroup {
            group_id: group.to_owned().into(),
            group_state: live.state.name().into(),
            protocol_type: live.protocol_type.as_deref().unwrap_or_default().to_owned().into(),
            protocol_data: settled_protocol(live).unwrap_or_default().to_owned().into(),
            members: live.members.values().map(|member| describe_member(live, member)).collect(),
            ..Default::default()
        })
    }

    /// The groups in one of `states` and of one of `types`; an empty filter lets all through. Neither looks at case
    /// (KIP-518, KIP-848).
    pub fn list(&self, states: &[&str], types: &[&str]) -> Vec<ListedGroup<'static>> {
        let passes = |filter: &[&str], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        if !passes(types, CLASSIC) {
            return Vec::new();
        }
        let groups = self.groups.iter().filter(|(_, group)| passes(states, group.live.state.name()));
        groups.map(|(id, group)| list_group(id, &group.live)).collect()
    }

    /// Deletes a group without members, and its offsets. Errors: `GroupIdNotFound`, `NonEmptyGroup`.
    pub fn delete(&self, group: &str) -> Result<Effects, ErrorCode> {
        let (id, group) = self.groups.get_key_value(group).ok_or(ErrorCode::GroupIdNotFound)?;
        if group.live.state != GroupState::Empty {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let mut effects = Effects::default();
        for (topic, partitions) in &group.offsets {
            let tombstone = |partition: &i32| GroupRecord::Offset {
                group: id.clone(),
                topic: topic.clone(),
                partition: *partition,
                committed: None,
            };
            effects.records.extend(partitions.keys().map(tombstone));
        }
        effects.records.push(GroupRecord::Metadata { group: id.clone(), metadata: None });
        Ok(effects)
    }
}

/// Protocol and subscriptions are shown of a stable group only.
fn settled_protocol(live: &Live) -> Option<&str> {
    live.protocol.as_deref().filter(|_| live.state == GroupState::Stable)
}

fn describe_member(live: &Live, member: &Member) -> DescribedGroupMember<'static> {
    DescribedGroupMember {
        member_id: member.id.to_string().into(),
        group_instance_id: member.instance_id.as_deref().map(|id| id.to_owned().into()),
        client_id: member.client_id.to_string().into(),
        client_host: member.client_host.to_string().into(),
        member_metadata: member.subscription(settled_protocol(live)).to_vec().into(),
        member_assignment: member.assignment.to_vec().into(),
    }
}

fn list_group(id: &Text, live: &Live) -> ListedGroup<'static> {
    ListedGroup {
        group_id: id.to_string().into(),
        protocol_type: live.protocol_type.as_deref().unwrap_or_default().to_owned().into(),
        group_state: live.state.name().into(),
        group_type: CLASSIC.into(),
    }
}
