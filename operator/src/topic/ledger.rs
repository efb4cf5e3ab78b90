//! What deciding on one topic must know of all topics of its cluster: where their replicas are, and how many move.

use crate::admin::proto::Topic;
use crate::admin::target;
use crate::rebalance::Partition;
use imbl::OrdMap;
use std::collections::HashMap;
use std::sync::Arc;

/// Kept for each cluster, so that it is not counted anew for each topic.
#[derive(Default)]
pub struct Ledger {
    /// The topics whose partitions are in `load`.
    topics: OrdMap<String, Arc<Topic>>,
    load: Vec<Partition>,
    /// Partitions that move, of the topics whose moves were begun here: the cluster's own count comes later.
    moves: HashMap<String, usize>,
}

impl Ledger {
    /// All partitions of these topics. New topics are added to what was counted before; any other change counts anew.
    pub fn load(&mut self, topics: &OrdMap<String, Arc<Topic>>) -> &[Partition] {
        if !self.topics.ptr_eq(topics) {
            match added(&self.topics, topics) {
                Some(added) => self.load.extend(added.into_iter().flat_map(partitions)),
                None => self.load = topics.values().flat_map(partitions).collect(),
            }
            self.topics = topics.clone();
        }
        &self.load
    }

    /// How many moves of `topic` may begin where `most` may be under way, `known` are as the cluster says, and `moving` are of
    /// this topic.
    pub fn free(&self, topic: &str, moving: usize, known: usize, most: usize) -> usize {
        let others = self.moves.iter().filter(|(name, _)| *name != topic).map(|(_, count)| count).sum::<usize>();
        most.saturating_sub(known.max(others + moving))
    }

    /// So many partitions of `topic` move now.
    pub fn moves(&mut self, topic: &str, count: usize) {
        if count > 0 {
            self.moves.insert(topic.to_owned(), count);
        } else {
            self.moves.remove(topic);
        }
    }
}

/// The partitions of a topic; of those that move, where they move to.
pub fn partitions(topic: &Arc<Topic>) -> impl Iterator<Item = Partition> {
    (0..).zip(&topic.partitions).map(|(partition, one)| Partition {
        topic: topic.name.clone(),
        partition,
        replicas: target(one),
    })
}

/// The topics that are new, if all the others have the replicas that they had.
fn added<'a>(old: &OrdMap<String, Arc<Topic>>, new: &'a OrdMap<String, Arc<Topic>>) -> Option<Vec<&'a Arc<Topic>>> {
    let mut added = Vec::new();
    let mut known = old.iter().peekable();
    for (name, topic) in new {
        match known.next_if(|(known, _)| *known == name) {
            Some((_, known)) if Arc::ptr_eq(known, topic) || partitions(known).eq(partitions(topic)) => {}
            Some(_) => return None,
            None => added.push(topic),
        }
    }
    // What is left over is gone.
    known.next().is_none().then_some(added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::fixture::topic;

    fn topics(all: &[(&str, &[&[i32]])]) -> OrdMap<String, Arc<Topic>> {
        all.iter().map(|(name, replicas)| ((*name).to_owned(), Arc::new(topic(name, replicas)))).collect()
    }

    fn sorted(load: &[Partition]) -> Vec<(String, i32, Vec<i32>)> {
        let mut load: Vec<_> =
            load.iter().map(|one| (one.topic.clone(), one.partition, one.replicas.clone())).collect();
        load.sort();
        load
    }

    #[test]
    fn the_load_is_right_after_every_change() {
        let mut ledger = Ledger::default();
        type Told<'a> = &'a [(&'a str, &'a [&'a [i32]])];
        let told: [Told<'_>; 7] = [
            &[("b", &[&[0, 1], &[1]])],
            &[("a", &[&[2]]), ("b", &[&[0, 1], &[1]])],
            &[("a", &[&[2]]), ("b", &[&[0, 1], &[1]]), ("c", &[&[0]])],
            &[("a", &[&[3]]), ("b", &[&[0, 1], &[1]]), ("c", &[&[0]])],
            &[("a", &[&[3]]), ("c", &[&[0]])],
            &[("a", &[&[3]]), ("d", &[&[0]])],
            &[],
        ];
        for all in told {
            let topics = topics(all);
            let counted = sorted(ledger.load(&topics));
            assert_eq!(counted, sorted(Ledger::default().load(&topics)));
            assert_eq!(counted.len(), topics.values().map(|topic| topic.partitions.len()).sum::<usize>());
        }
    }

    #[test]
    fn moves_that_the_cluster_has_not_counted_yet_take_places() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.free("a", 0, 0, 20), 20);
        ledger.moves("a", 15);
        assert_eq!(ledger.free("b", 0, 0, 20), 5);
        assert_eq!(ledger.free("b", 0, 18, 20), 2);
        assert_eq!(ledger.free("a", 12, 0, 20), 8);
        assert_eq!(ledger.free("b", 0, 25, 20), 0);
        ledger.moves("a", 0);
        assert_eq!(ledger.free("b", 0, 0, 20), 20);
    }
}
