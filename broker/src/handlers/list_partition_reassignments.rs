//! ListPartitionReassignments: the moves of replicas that are under way (KIP-455).
//!
//! Behaviour: partitions that do not move, or are not there, are left out; so are topics without any that move. Without a
//! list of topics all are answered, from the metadata of the node that is asked.
//! Version notes: there is one version.

use crate::controller::image::{MetadataImage, PartitionRegistration, Topic};
use crate::protocol::messages::list_partition_reassignments::*;

pub fn handle(
    image: &MetadataImage,
    request: ListPartitionReassignmentsRequest<'_>,
) -> ListPartitionReassignmentsResponse<'static> {
    let moving = match request.topics {
        None => image.topics.iter().map(|topic| all(topic)).collect(),
        Some(topics) => topics.iter().map(|asked| some(image, asked)).collect::<Vec<_>>(),
    };
    let topics = moving.into_iter().filter(|topic| !topic.partitions.is_empty()).collect();
    ListPartitionReassignmentsResponse { topics, ..Default::default() }
}

fn all(topic: &Topic) -> OngoingTopicReassignment<'static> {
    let partitions = (0..).zip(&topic.partitions).filter_map(|(index, partition)| moving(index, partition));
    OngoingTopicReassignment { name: topic.name.to_string().into(), partitions: partitions.collect() }
}

fn some(image: &MetadataImage, asked: &ListPartitionReassignmentsTopics<'_>) -> OngoingTopicReassignment<'static> {
    let partition = |index: &i32| moving(*index, image.topics.partition(&asked.name, *index)?);
    OngoingTopicReassignment {
        name: asked.name.to_string().into(),
        partitions: asked.partition_indexes.iter().filter_map(partition).collect(),
    }
}

fn moving(partition_index: i32, partition: &PartitionRegistration) -> Option<OngoingPartitionReassignment> {
    partition.reassignment.as_ref().map(|reassignment| OngoingPartitionReassignment {
        partition_index,
        replicas: partition.replicas.to_vec(),
        adding_replicas: reassignment.adding.clone(),
        removing_replicas: reassignment.removing.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::testing::{Bench, topic};
    use crate::protocol::messages::metadata_records::PartitionChangeRecord;

    /// Topics a and t of two partitions; t-1 moves from broker 1 to broker 3.
    fn image() -> MetadataImage {
        let mut bench = Bench::with_brokers(&[None, None, None]);
        bench.create(topic("a", 2, 1)).unwrap();
        let topic_id = bench.create(topic("t", 2, 1)).unwrap().id;
        let change = PartitionChangeRecord {
            partition_id: 1,
            topic_id,
            replicas: Some(vec![3, 1]),
            adding_replicas: Some(vec![3]),
            removing_replicas: Some(vec![1]),
            ..PartitionChangeRecord::default()
        };
        bench.apply(vec![change.into()]);
        bench.image().clone()
    }

    fn ask(topics: Option<&[(&'static str, &[i32])]>) -> Vec<OngoingTopicReassignment<'static>> {
        let topic = |(name, partitions): &(&'static str, &[i32])| ListPartitionReassignmentsTopics {
            name: (*name).into(),
            partition_indexes: partitions.to_vec(),
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        handle(&image(), ListPartitionReassignmentsRequest { topics, ..Default::default() }).topics
    }

    #[test]
    fn only_partitions_that_move_are_listed() {
        let partitions = vec![OngoingPartitionReassignment {
            partition_index: 1,
            replicas: vec![3, 1],
            adding_replicas: vec![3],
            removing_replicas: vec![1],
        }];
        let moving = vec![OngoingTopicReassignment { name: "t".into(), partitions }];
        assert_eq!(ask(None), moving);
        assert_eq!(ask(Some(&[("nope", &[0]), ("a", &[0, 1]), ("t", &[0, 1, 77, -1])])), moving);
        assert_eq!(ask(Some(&[("t", &[0])])), []);
        assert_eq!(ask(Some(&[])), []);
    }
}
