//! Whether what was read is what was acknowledged. Pure.

use super::notes::{Acknowledged, Partition, Read};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Violations of the promise to an idempotent producer with acks=all, of one partition: everything that was sent was
/// acknowledged, and is there once, in order, where it was acknowledged.
pub fn violations(number: usize, partition: &Partition) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |text: String| found.push(format!("partition {number}: {text}"));
    let acknowledged: BTreeMap<u64, i64> =
        partition.acknowledged.iter().map(|one| (one.sequence, one.offset)).collect();
    if acknowledged.len() != partition.acknowledged.len() {
        say("a record was acknowledged twice".to_owned());
    }
    let sent = partition.sent.len() as u64;
    (0..sent).filter(|sequence| !acknowledged.contains_key(sequence)).for_each(|sequence| {
        say(format!("record {sequence} was never acknowledged"));
    });
    for (expected, Read { sequence, offset }) in (0..).zip(&partition.read) {
        if *sequence != expected {
            say(format!("record {sequence} was read where {expected} comes next, at offset {offset}"));
            break;
        }
        // librdkafka is not told the offset of a record whose first answer was lost.
        if acknowledged.get(sequence).is_some_and(|told| *told >= 0 && told != offset) {
            say(format!("record {sequence} was acknowledged at {} and read at {offset}", acknowledged[sequence]));
        }
    }
    let read = partition.read.len() as u64;
    if read != sent {
        say(format!("{read} records were read of {sent}"));
    }
    found
}

/// The longest time without an acknowledgement of a partition after `since`.
pub fn longest_gap(acknowledged: &[Acknowledged], since: Instant) -> Duration {
    let first = acknowledged.partition_point(|one| one.at < since);
    let times = || acknowledged[first..].iter().map(|one| one.at);
    let starts = std::iter::once(since).chain(times());
    starts.zip(times()).map(|(start, end)| end - start).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(acknowledged: &[(u64, i64)], read: &[(u64, i64)]) -> Partition {
        let at = Instant::now();
        Partition {
            sent: vec![at; 3],
            acknowledged: acknowledged
                .iter()
                .map(|&(sequence, offset)| Acknowledged { sequence, offset, at })
                .collect(),
            read: read.iter().map(|&(sequence, offset)| Read { sequence, offset }).collect(),
        }
    }

    const ALL: [(u64, i64); 3] = [(0, 0), (1, 1), (2, 3)];

    #[test]
    fn what_was_acknowledged_and_read_in_order_is_right() {
        assert_eq!(violations(0, &partition(&ALL, &ALL)), [""; 0]);
        assert_eq!(violations(0, &partition(&[(0, 0), (1, -1), (2, 3)], &ALL)), [""; 0]);
    }

    #[test]
    fn losses_doubles_disorder_and_failures_are_found() {
        type Records = &'static [(u64, i64)];
        let wrong: [(Records, Records, &str); 5] = [
            (&ALL, &ALL[..2], "2 records were read of 3"),
            (&ALL, &[(0, 0), (1, 1), (1, 2), (2, 3)], "record 1 was read where 2 comes next, at offset 2"),
            (&ALL, &[(0, 0), (2, 1), (1, 3)], "record 2 was read where 1 comes next, at offset 1"),
            (&ALL[..2], &ALL, "record 2 was never acknowledged"),
            (&ALL, &[(0, 0), (1, 2), (2, 3)], "record 1 was acknowledged at 1 and read at 2"),
        ];
        for (acknowledged, read, message) in wrong {
            let found = violations(4, &partition(acknowledged, read));
            assert!(found.contains(&format!("partition 4: {message}")), "{found:?}");
        }
    }

    #[test]
    fn a_gap_begins_where_it_is_asked_for() {
        let start = Instant::now();
        let at = |millis| Acknowledged { sequence: 0, offset: 0, at: start + Duration::from_millis(millis) };
        let times = [at(0), at(500), at(510), at(810)];
        assert_eq!(longest_gap(&times, start), Duration::from_millis(500));
        assert_eq!(longest_gap(&times, start + Duration::from_millis(400)), Duration::from_millis(300));
        assert_eq!(longest_gap(&times[..1], start + Duration::from_millis(1)), Duration::ZERO);
    }
}
