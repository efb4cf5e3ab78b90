//! The replicas of a partition that may be moving (KIP-455).

use super::proto::TopicPartition;

/// The replicas of a partition once its move, if there is one, is done.
pub fn target(partition: &TopicPartition) -> Vec<i32> {
    without(&partition.replicas, &partition.removing)
}

/// The replicas of a partition before its move, if there is one, is done.
pub fn source(partition: &TopicPartition) -> Vec<i32> {
    without(&partition.replicas, &partition.adding)
}

pub fn is_moving(partition: &TopicPartition) -> bool {
    !partition.adding.is_empty() || !partition.removing.is_empty()
}

fn without(replicas: &[i32], others: &[i32]) -> Vec<i32> {
    replicas.iter().copied().filter(|id| !others.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_ends_without_those_that_leave_and_began_without_those_that_come() {
        let (replicas, adding, removing) = (vec![3, 1, 0], vec![3], vec![0]);
        let moving = TopicPartition { replicas, adding, removing, ..TopicPartition::default() };
        assert_eq!((target(&moving), source(&moving), is_moving(&moving)), (vec![3, 1], vec![1, 0], true));
        let rests = TopicPartition { replicas: vec![1, 0], ..TopicPartition::default() };
        assert_eq!((target(&rests), source(&rests), is_moving(&rests)), (vec![1, 0], vec![1, 0], false));
    }
}
