//! What must hold after any number of crashes, cuts and elections. Pure: observations in, violations out.

use std::collections::{BTreeMap, HashMap};

/// A record as it was acknowledged, or as it was found: each producer numbers those of each partition 0, 1, 2, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub producer: u8,
    pub partition: i32,
    pub offset: i64,
    pub sequence: u64,
}

impl Record {
    /// What one producer writes to one partition.
    fn stream(&self) -> (u8, i32) {
        (self.producer, self.partition)
    }

    fn key(&self) -> (u8, i32, u64) {
        (self.producer, self.partition, self.sequence)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A reader was given it behind a later offset of its partition.
    WentBack(Record),
    /// Acknowledged, and not found.
    Lost(Record),
    /// Found at another offset than the acknowledged one.
    Moved { acknowledged: Record, found: Record },
    /// Found twice.
    Doubled { first: Record, again: Record },
    /// Found behind one that was sent later.
    Reordered { earlier: Record, later: Record },
    /// A commit was acknowledged, and an earlier position came back; `None` is no position at all.
    OffsetWentBack { partition: i32, committed: i64, found: Option<i64> },
}

/// Compares what was acknowledged with what was `found`, which is each partition's records in the order of the log.
/// An unacknowledged record may be found or not.
pub fn check_records(acknowledged: &[Record], found: &[Record]) -> Vec<Violation> {
    let mut violations = order_violations(found);
    let mut places = HashMap::new();
    for record in found {
        places.entry(record.key()).or_insert(*record);
    }
    for record in acknowledged {
        match places.get(&record.key()) {
            None => violations.push(Violation::Lost(*record)),
            Some(place) if place.offset != record.offset => {
                violations.push(Violation::Moved { acknowledged: *record, found: *place });
            }
            Some(_) => {}
        }
    }
    violations
}

fn order_violations(found: &[Record]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut seen = HashMap::new();
    let mut newest: HashMap<(u8, i32), Record> = HashMap::new();
    for record in found {
        if let Some(first) = seen.insert(record.key(), *record) {
            violations.push(Violation::Doubled { first, again: *record });
            continue;
        }
        match newest.get(&record.stream()) {
            Some(earlier) if earlier.sequence > record.sequence => {
                violations.push(Violation::Reordered { earlier: *earlier, later: *record });
            }
            _ => {
                newest.insert(record.stream(), *record);
            }
        }
    }
    violations
}

/// Checks what one reader was given, in the order it was given: offsets of a partition only grow.
pub fn check_reader(read: &[Record]) -> Vec<Violation> {
    let mut last = HashMap::new();
    let back =
        |record: &&Record| last.insert(record.partition, record.offset).is_some_and(|last| last >= record.offset);
    read.iter().filter(back).map(|record| Violation::WentBack(*record)).collect()
}

/// The positions of a group whose commits were acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Commits {
    acknowledged: BTreeMap<i32, i64>,
}

impl Commits {
    /// A commit of `offset` was acknowledged.
    pub fn acknowledge(&mut self, partition: i32, offset: i64) {
        self.acknowledged.insert(partition, offset);
    }

    /// Checks positions that were read after all these acknowledgements.
    pub fn check(&self, found: &BTreeMap<i32, i64>) -> Vec<Violation> {
        let back = |(partition, committed): (&i32, &i64)| {
            let found = found.get(partition).copied();
            let violation = Violation::OffsetWentBack { partition: *partition, committed: *committed, found };
            found.is_none_or(|found| found < *committed).then_some(violation)
        };
        self.acknowledged.iter().filter_map(back).collect()
    }

    /// Checks a record that a member of the group is given after all these acknowledgements.
    pub fn check_delivery(&self, partition: i32, offset: i64) -> Option<Violation> {
        let committed = *self.acknowledged.get(&partition)?;
        (offset < committed).then_some(Violation::OffsetWentBack { partition, committed, found: Some(offset) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64, sequence: u64) -> Record {
        Record { producer: 0, partition, offset, sequence }
    }

    /// Two partitions with three records each, as an honest broker keeps them.
    fn honest() -> Vec<Record> {
        (0..2).flat_map(|partition| (0..3).map(move |n| record(partition, n, n as u64))).collect()
    }

    #[test]
    fn an_honest_log_has_no_violations() {
        assert_eq!(check_records(&honest(), &honest()), []);
    }

    #[test]
    fn an_unacknowledged_record_may_be_found() {
        let found = [honest(), vec![record(0, 3, 3)]].concat();
        assert_eq!(check_records(&honest(), &found), []);
    }

    #[test]
    fn a_lost_record_is_found_missing() {
        let mut found = honest();
        let lost = found.remove(5);
        assert_eq!(check_records(&honest(), &found), [Violation::Lost(lost)]);
    }

    #[test]
    fn a_record_lost_in_the_middle_is_lost_and_moves_the_next() {
        let found = [record(0, 0, 0), record(0, 1, 2)];
        let acknowledged = &honest()[..3];
        let moved = Violation::Moved { acknowledged: record(0, 2, 2), found: record(0, 1, 2) };
        assert_eq!(check_records(acknowledged, &found), [Violation::Lost(record(0, 1, 1)), moved]);
    }

    #[test]
    fn a_doubled_record_is_found() {
        let found = [honest(), vec![record(1, 3, 2)]].concat();
        let doubled = Violation::Doubled { first: record(1, 2, 2), again: record(1, 3, 2) };
        assert_eq!(check_records(&honest(), &found), [doubled]);
    }

    #[test]
    fn a_reordered_record_is_found() {
        let found = [record(0, 0, 1), record(0, 1, 0)];
        let reordered = Violation::Reordered { earlier: record(0, 0, 1), later: record(0, 1, 0) };
        assert_eq!(check_records(&[], &found), [reordered]);
    }

    #[test]
    fn producers_are_told_apart() {
        let other = Record { producer: 1, ..record(0, 3, 0) };
        let found = [honest(), vec![other]].concat();
        assert_eq!(check_records(&[other], &found), []);
        let doubled = Violation::Doubled { first: other, again: Record { offset: 4, ..other } };
        assert_eq!(check_records(&[], &[other, Record { offset: 4, ..other }]), [doubled]);
    }

    #[test]
    fn a_reader_that_is_taken_back_is_found() {
        let read = [record(0, 0, 0), record(1, 5, 0), record(0, 1, 1), record(0, 1, 2)];
        assert_eq!(check_reader(&read), [Violation::WentBack(record(0, 1, 2))]);
        assert_eq!(check_reader(&read[..3]), []);
    }

    #[test]
    fn a_committed_offset_that_went_back_is_found() {
        let mut commits = Commits::default();
        commits.acknowledge(0, 7);
        commits.acknowledge(0, 9);
        assert_eq!(commits.check(&BTreeMap::from([(0, 9)])), []);
        assert_eq!(commits.check(&BTreeMap::from([(0, 12)])), []);
        let went_back = |found| Violation::OffsetWentBack { partition: 0, committed: 9, found };
        assert_eq!(commits.check(&BTreeMap::from([(0, 8)])), [went_back(Some(8))]);
        assert_eq!(commits.check(&BTreeMap::new()), [went_back(None)]);
    }

    #[test]
    fn a_record_delivered_again_behind_a_commit_is_found() {
        let mut commits = Commits::default();
        commits.acknowledge(3, 5);
        assert_eq!(commits.check_delivery(3, 5), None);
        assert_eq!(commits.check_delivery(1, 0), None);
        let went_back = Violation::OffsetWentBack { partition: 3, committed: 5, found: Some(4) };
        assert_eq!(commits.check_delivery(3, 4), Some(went_back));
    }
}
