//! Which closed segments a log may drop. Pure.

/// What the choice needs to know of a closed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedSegment {
    /// The offset behind its last.
    pub end_offset: i64,
    pub size: u64,
    /// Its newest timestamp; that of its file where the records have none.
    pub largest_timestamp: i64,
}

/// What may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Milliseconds a segment is kept behind its newest record (`retention.ms`); `None` is for ever.
    pub ms: Option<i64>,
    /// Bytes that are kept (`retention.bytes`); `None` is all.
    pub bytes: Option<u64>,
    /// Records below it are not wanted any more, whatever else is said.
    pub log_start_offset: i64,
    /// Records from here on are not committed, and kept whatever else is said.
    pub high_watermark: i64,
}

/// How many of `closed`, oldest first, may be dropped from the front. `active_size` is that of the segment behind them.
pub fn droppable(closed: &[ClosedSegment], active_size: u64, retention: &Retention, now: i64) -> usize {
    let mut kept: u64 = active_size + closed.iter().map(|segment| segment.size).sum::<u64>();
    let droppable = closed.iter().take_while(|segment| {
        let too_old = retention.ms.is_some_and(|ms| now.saturating_sub(segment.largest_timestamp) > ms);
        let too_much = retention.bytes.is_some_and(|bytes| kept - segment.size >= bytes);
        let unwanted = segment.end_offset <= retention.log_start_offset;
        kept -= segment.size;
        segment.end_offset <= retention.high_watermark && (too_old || too_much || unwanted)
    });
    droppable.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR_EVER: Retention = Retention { ms: None, bytes: None, log_start_offset: 0, high_watermark: i64::MAX };

    /// Three closed segments of 100 bytes: offsets to 10, 20, 30, written at 1000, 2000, 3000.
    fn closed() -> Vec<ClosedSegment> {
        let segment =
            |number: i64| ClosedSegment { end_offset: number * 10, size: 100, largest_timestamp: number * 1000 };
        (1..=3).map(segment).collect()
    }

    #[test]
    fn nothing_is_dropped_where_nothing_limits() {
        assert_eq!(droppable(&closed(), 100, &FOR_EVER, i64::MAX), 0);
    }

    #[test]
    fn segments_older_than_the_time_are_dropped() {
        let retention = Retention { ms: Some(500), ..FOR_EVER };
        assert_eq!(droppable(&closed(), 100, &retention, 2500), 1, "2000 is not older than 500");
        assert_eq!(droppable(&closed(), 100, &retention, 2501), 2);
        assert_eq!(droppable(&closed(), 100, &retention, 100_000), 3);
    }

    #[test]
    fn a_young_segment_keeps_older_ones_behind_it() {
        let mut closed = closed();
        closed[0].largest_timestamp = 9000;
        assert_eq!(droppable(&closed, 100, &Retention { ms: Some(500), ..FOR_EVER }, 9000), 0);
    }

    #[test]
    fn no_more_is_dropped_than_leaves_the_bytes_to_keep() {
        for (bytes, expected) in [(400, 0), (301, 0), (300, 1), (299, 1), (200, 2), (100, 3), (0, 3)] {
            let retention = Retention { bytes: Some(bytes), ..FOR_EVER };
            assert_eq!(droppable(&closed(), 100, &retention, 0), expected, "{bytes} bytes");
        }
    }

    #[test]
    fn what_lies_below_the_start_is_dropped_as_whole_segments() {
        for (log_start_offset, expected) in [(9, 0), (10, 1), (29, 2), (30, 3)] {
            assert_eq!(droppable(&closed(), 100, &Retention { log_start_offset, ..FOR_EVER }, 0), expected);
        }
    }

    #[test]
    fn what_is_not_committed_is_kept() {
        let retention = Retention { bytes: Some(0), high_watermark: 19, ..FOR_EVER };
        assert_eq!(droppable(&closed(), 100, &retention, 0), 1);
    }
}
