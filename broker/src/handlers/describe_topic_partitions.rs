//! DescribeTopicPartitions: topics in detail, page by page (KIP-966).
//!
//! Behaviour: topics in the order of their names, as many partitions as the request and `max.request.partition.size.limit`
//! allow, and where to go on. A cursor is the first partition of the page, or lies before it where it is gone. A leader that
//! has no address on the listener is none.
//! Version notes: there is one version.

use super::{Context, authorized_operations};
use crate::controller::image::{MetadataImage, NO_LEADER, PartitionRegistration, Topic};
use crate::controller::{ControllerClient, topic_name};
use crate::protocol::messages::describe_topic_partitions::*;
use crate::protocol::{ErrorCode, Str};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The partitions of a page at most (`max.request.partition.size.limit`). Default 2000.
pub const PAGE_PARTITIONS_MAX: i32 = 2000;

pub async fn handle<'a>(
    controller: &ControllerClient,
    context: &Context<'_>,
    request: DescribeTopicPartitionsRequest<'a>,
) -> DescribeTopicPartitionsResponse<'a> {
    page(&controller.image(), context.listener, request)
}

fn page<'a>(
    image: &MetadataImage,
    listener: &str,
    request: DescribeTopicPartitionsRequest<'a>,
) -> DescribeTopicPartitionsResponse<'a> {
    if let Some(cursor) = &request.cursor
        && !is_possible(cursor, &request.topics)
    {
        let topics = request.topics.into_iter();
        let topics =
            topics.map(|topic| missing(topic.name, ErrorCode::InvalidRequest, authorized_operations::NOT_ASKED));
        return DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() };
    }
    let (first, index) = match request.cursor {
        Some(cursor) => (cursor.topic_name, cursor.partition_index),
        None => (Str::Borrowed(""), 0),
    };
    let limit = request.response_partition_limit.clamp(1, PAGE_PARTITIONS_MAX) as usize;
    let mut page = Page { left: limit, image, listener, start: (first.clone(), index), response: Default::default() };
    if request.topics.is_empty() {
        for topic in image.topics.from_name(&first) {
            if !page.add(Str::Owned(topic.name.to_string()), Some(topic)) {
                break;
            }
        }
    } else {
        let names: BTreeSet<Str<'a>> = request.topics.into_iter().map(|topic| topic.name).collect();
        for name in names.range(first..) {
            if !page.add(name.clone(), image.topics.by_name(name)) {
                break;
            }
        }
    }
    page.response
}

fn is_possible(cursor: &CursorRequest<'_>, topics: &[TopicRequest<'_>]) -> bool {
    let listed = topics.is_empty() || topics.iter().any(|topic| topic.name == cursor.topic_name);
    listed && cursor.partition_index >= 0
}

struct Page<'i, 'a> {
    /// Partitions that still fit.
    left: usize,
    image: &'i MetadataImage,
    listener: &'i str,
    /// The first partition of the page.
    start: (Str<'a>, i32),
    response: DescribeTopicPartitionsResponse<'a>,
}

impl<'a> Page<'_, 'a> {
    /// Adds a topic, or the part of it that fits; gives whether the page goes on.
    fn add(&mut self, name: Str<'a>, topic: Option<&Arc<Topic>>) -> bool {
        if self.left == 0 {
            self.response.next_cursor = Some(CursorResponse { topic_name: name, partition_index: 0 });
            return false;
        }
        let Some(topic) = topic else {
            let valid = topic_name::validate(&name).is_ok();
            let code = if valid { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
            self.response.topics.push(missing(name, code, authorized_operations::of_topic(true)));
            return true;
        };
        let first = if self.start.0 == name { self.start.1 } else { 0 };
        let partitions = (0..).zip(&topic.partitions).skip(first as usize).take(self.left);
        let partitions: Vec<_> = partitions.map(|(index, partition)| self.described(index, partition)).collect();
        self.left -= partitions.len();
        let next = first.saturating_add(partitions.len() as i32);
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: 0,
            name: Some(name.clone()),
            topic_id: topic.id,
            is_internal: topic_name::is_internal(&name),
            partitions,
            topic_authorized_operations: authorized_operations::of_topic(true),
        });
        let whole = next as usize >= topic.partitions.len();
        if !whole {
            self.response.next_cursor = Some(CursorResponse { topic_name: name, partition_index: next });
        }
        whole
    }

    fn described(
        &self,
        partition_index: i32,
        partition: &PartitionRegistration,
    ) -> DescribeTopicPartitionsResponsePartition {
        let reachable = self.image.address(partition.leader, self.listener).is_some();
        DescribeTopicPartitionsResponsePartition {
            error_code: 0,
            partition_index,
            leader_id: if reachable { partition.leader } else { NO_LEADER },
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.to_vec(),
            isr_nodes: partition.isr.to_vec(),
            eligible_leader_replicas: Some(partition.elr().to_vec()),
            last_known_elr: Some(partition.last_known_elr().to_vec()),
            offline_replicas: self.image.offline_replicas(partition, self.listener).collect(),
        }
    }
}

fn missing(name: Str<'_>, code: ErrorCode, operations: i32) -> DescribeTopicPartitionsResponseTopic<'_> {
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        is_internal: topic_name::is_internal(&name),
        name: Some(name),
        topic_authorized_operations: operations,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::testing::{Bench, topic};

    /// Topics a (3 partitions), b (1) and d (4).
    fn image() -> MetadataImage {
        let mut bench = Bench::one_broker();
        for (name, partitions) in [("a", 3), ("b", 1), ("d", 4)] {
            bench.create(topic(name, partitions, 1)).unwrap();
        }
        bench.image().clone()
    }

    /// A page as "topic:code[partitions]... -> cursor".
    fn page_of(names: &[&'static str], limit: i32, cursor: Option<(&'static str, i32)>) -> String {
        let request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name: Str::Borrowed(name) }).collect(),
            response_partition_limit: limit,
            cursor: cursor
                .map(|(name, partition_index)| CursorRequest { topic_name: Str::Borrowed(name), partition_index }),
        };
        let response = page(&image(), "PLAINTEXT", request);
        let topics = response.topics.iter().map(|topic| {
            let partitions: Vec<_> = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            format!("{}:{}{partitions:?}", topic.name.as_deref().unwrap(), topic.error_code)
        });
        let next = response.next_cursor.map(|cursor| format!(" -> {} {}", cursor.topic_name, cursor.partition_index));
        topics.collect::<Vec<_>>().join(" ") + &next.unwrap_or_default()
    }

    #[test]
    fn pages_are_cut_where_kafka_cuts_them() {
        let all = "a:0[0, 1, 2] b:0[0] d:0[0, 1, 2, 3]";
        assert_eq!(page_of(&[], 2000, None), all);
        assert_eq!(page_of(&[], 1, None), "a:0[0] -> a 1");
        assert_eq!(page_of(&[], 0, None), "a:0[0] -> a 1", "a page holds at least one");
        assert_eq!(page_of(&[], 3, None), "a:0[0, 1, 2] -> b 0");
        assert_eq!(page_of(&["d", "nope", "a b", "a"], 3, None), "a:0[0, 1, 2] -> a b 0");
        assert_eq!(page_of(&["d", "c", "a b", "a"], 4, None), "a:0[0, 1, 2] a b:17[] c:3[] d:0[0] -> d 1");
    }

    #[test]
    fn a_leader_without_an_address_on_the_listener_is_none() {
        for (listener, leader, offline) in [("PLAINTEXT", 1, vec![]), ("OTHER", -1, vec![1])] {
            let topics = vec![TopicRequest { name: "b".into() }];
            let request = DescribeTopicPartitionsRequest { topics, response_partition_limit: 9, cursor: None };
            let partition = &page(&image(), listener, request).topics[0].partitions[0];
            assert_eq!((partition.leader_id, &partition.offline_replicas), (leader, &offline));
        }
    }

    #[test]
    fn a_page_goes_on_at_its_cursor() {
        assert_eq!(page_of(&["d", "a"], 2000, Some(("d", 2))), "d:0[2, 3]");
        assert_eq!(page_of(&["d", "a"], 2000, Some(("d", 99))), "d:0[]");
        assert_eq!(page_of(&[], 2000, Some(("c", 5))), "d:0[0, 1, 2, 3]", "the topic is gone");
    }

    #[test]
    fn a_cursor_that_cannot_be_is_refused() {
        assert_eq!(page_of(&["d", "a"], 2000, Some(("b", 0))), "d:42[] a:42[]");
        assert_eq!(page_of(&["d", "a"], 2000, Some(("d", -1))), "d:42[] a:42[]");
    }
}
