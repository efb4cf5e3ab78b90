//! How much has passed lately, and when more may pass under a limit (KIP-73).
//!
//! - Bytes are counted in windows, each of which begins with the first count behind the one before. A window is forgotten
//!   when all windows together would be over since it began.
//! - The rate is what is counted over the time since the oldest window began, and over one window at least: the first bytes
//!   after a pause are no rate by themselves.
//! - Whoever is let through may exceed the limit by what it takes at once; the next one waits so much longer.
//!
//! Deliberately absent: the clock. `now` is in milliseconds and never goes back.

use std::collections::VecDeque;

/// What a rate is measured over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How many are kept (`replication.quota.window.num`). Default 11.
    pub count: u32,
    /// Milliseconds of each (`replication.quota.window.size.seconds`). Default 1000.
    pub size_ms: i64,
}

impl Default for Windows {
    fn default() -> Self {
        Windows { count: 11, size_ms: 1000 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: i64,
    bytes: u64,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Rate {
    windows: Windows,
    counted: VecDeque<Window>,
}

impl Rate {
    pub fn new(windows: Windows) -> Rate {
        Rate { windows, counted: VecDeque::new() }
    }

    /// Counts bytes that pass at `now`.
    pub fn count(&mut self, now: i64, bytes: u64) {
        while self.counted.front().is_some_and(|oldest| self.forgotten_at(oldest) <= now) {
            self.counted.pop_front();
        }
        match self.counted.back_mut().filter(|newest| now < newest.began.saturating_add(self.windows.size_ms)) {
            Some(newest) => newest.bytes = newest.bytes.saturating_add(bytes),
            None => self.counted.push_back(Window { began: now, bytes }),
        }
    }

    /// The first moment from `now` on at which the rate is at most `limit` bytes a second, if nothing more is counted.
    pub fn allows_at(&self, now: i64, limit: u64) -> i64 {
        let mut total: u128 = self.counted.iter().map(|window| u128::from(window.bytes)).sum();
        let mut at = now;
        for oldest in &self.counted {
            // So long as it is the oldest, the rate falls with the time since it began.
            let forgotten_at = self.forgotten_at(oldest);
            let enough_at = self.time_for(total, limit).map_or(i64::MAX, |time| oldest.began.saturating_add(time));
            let allowed_at = at.max(enough_at);
            if allowed_at < forgotten_at {
                return allowed_at;
            }
            at = at.max(forgotten_at);
            total -= u128::from(oldest.bytes);
        }
        at
    }

    fn forgotten_at(&self, window: &Window) -> i64 {
        window.began.saturating_add(self.windows.size_ms.saturating_mul(self.windows.count.into()))
    }

    /// Milliseconds in which `bytes` may pass; `None`: never.
    fn time_for(&self, bytes: u128, limit: u64) -> Option<i64> {
        let milliseconds = match limit {
            0 if bytes > 0 => return None,
            0 => 0,
            limit => (bytes * 1000).div_ceil(limit.into()),
        };
        let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
        Some(if milliseconds <= self.windows.size_ms { 0 } else { milliseconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECONDS: Windows = Windows { count: 11, size_ms: 1000 };

    fn counted(counts: &[(i64, u64)]) -> Rate {
        let mut rate = Rate::new(SECONDS);
        counts.iter().for_each(|(now, bytes)| rate.count(*now, *bytes));
        rate
    }

    #[test]
    fn nothing_is_held_back_before_anything_has_passed() {
        assert_eq!(counted(&[]).allows_at(5, 0), 5);
    }

    #[test]
    fn what_a_second_allows_passes_at_once_and_more_waits_for_its_time() {
        assert_eq!(counted(&[(100, 1000)]).allows_at(100, 1000), 100);
        assert_eq!(counted(&[(100, 1001)]).allows_at(100, 1000), 1101);
        assert_eq!(counted(&[(100, 3000)]).allows_at(100, 1000), 3100);
        assert_eq!(counted(&[(100, 3000)]).allows_at(100, 3000), 100, "another limit counts at once");
        assert_eq!(counted(&[(100, 3000)]).allows_at(9000, 1000), 9000);
    }

    #[test]
    fn later_windows_are_added_to_earlier_ones() {
        let rate = counted(&[(0, 1000), (500, 500), (1500, 500)]);
        assert_eq!(rate.allows_at(1500, 1000), 2000);
    }

    #[test]
    fn a_window_is_forgotten_with_its_time() {
        assert_eq!(counted(&[(0, 1_000_000)]).allows_at(0, 1), 11_000);
        assert_eq!(counted(&[(0, 1_000_000)]).allows_at(0, 0), 11_000);
        let rate = counted(&[(0, 1), (10_000, 5000)]);
        assert_eq!(rate.allows_at(10_000, 500), 10_002, "over ten seconds that is little");
        assert_eq!(rate.allows_at(11_000, 500), 20_000, "the second window is alone by now");
    }

    #[test]
    fn no_number_overflows() {
        let rate = counted(&[(i64::MAX - 10, u64::MAX), (i64::MAX - 9, u64::MAX)]);
        assert_eq!(rate.allows_at(i64::MAX - 9, 1), i64::MAX);
        assert_eq!(rate.allows_at(i64::MAX - 9, u64::MAX), i64::MAX - 9);
    }

    /// What the rate is by its definition, times the milliseconds it is measured over.
    fn is_within(counts: &[(i64, u64)], now: i64, limit: u64) -> bool {
        let mut windows: Vec<(i64, u64)> = Vec::new();
        for (at, bytes) in counts {
            match windows.last_mut() {
                Some((began, all)) if *at < *began + SECONDS.size_ms => *all += bytes,
                _ => windows.push((*at, *bytes)),
            }
        }
        windows.retain(|(began, _)| began + 11_000 > now);
        let Some((oldest, _)) = windows.first() else { return true };
        let total: u64 = windows.iter().map(|(_, bytes)| bytes).sum();
        total * 1000 <= limit * ((now - oldest).max(1000) as u64)
    }

    proptest! {
        #[test]
        fn the_moment_is_the_first_at_which_the_rate_is_within_the_limit(
            steps in prop::collection::vec((0..4000i64, 1..20_000u64), 0..20),
            limit in 0..5000u64,
        ) {
            let (mut rate, mut counts, mut now) = (Rate::new(SECONDS), Vec::new(), 0);
            for (pause, bytes) in steps {
                now += pause;
                rate.count(now, bytes);
                counts.push((now, bytes));
            }
            let at = rate.allows_at(now, limit);
            prop_assert!(is_within(&counts, at, limit));
            prop_assert!(at <= now + 11_000, "nobody is held back for ever");
            prop_assert!((now..at).step_by(7).chain((now < at).then_some(at - 1)).all(|t| !is_within(&counts, t, limit)));
        }

        #[test]
        fn whoever_waits_for_the_moment_exceeds_the_limit_by_one_bite_at_most(
            bites in prop::collection::vec(1..5000u64, 1..200),
            limit in 500..3000u64,
        ) {
            let (mut rate, mut now, mut total) = (Rate::new(SECONDS), 0, 0);
            for bite in &bites {
                now = rate.allows_at(now, limit);
                // Where windows are forgotten, the time that is measured over begins anew, with one whole window.
                let begun_anew = now / 10_000 * 1000;
                let allowed = limit * ((now.max(1000) + begun_anew) as u64) / 1000;
                prop_assert!(total <= allowed, "{total} in {now} ms");
                rate.count(now, *bite);
                total += bite;
            }
        }

        #[test]
        fn pauses_are_made_up_for_within_the_windows_only(
            steps in prop::collection::vec((0..20_000i64, 1..3000u64), 1..100),
            limit in 500..3000u64,
        ) {
            let (mut rate, mut now, mut passed) = (Rate::new(SECONDS), 0, Vec::new());
            for (pause, bite) in &steps {
                now = rate.allows_at(now + pause, limit);
                rate.count(now, *bite);
                passed.push((now, *bite));
            }
            for (from, _) in &passed {
                let within = passed.iter().filter(|(at, _)| (*from..from + 10_000).contains(at));
                let bytes: u64 = within.map(|(_, bytes)| bytes).sum();
                prop_assert!(bytes <= limit * 11 + 3000, "{bytes} within ten seconds");
            }
        }
    }
}
