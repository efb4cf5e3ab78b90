//! The time of this process: by the wall, and without its jumps.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as the machine's clock has it now: for timestamps, which others compare with theirs.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A clock that never goes back and never jumps: milliseconds since 1970 at the start, and the time since. For deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    began_at: i64,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { began: Instant::now(), began_at: now_ms() }
    }

    pub fn now(&self) -> i64 {
        self.began_at.saturating_add(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}
