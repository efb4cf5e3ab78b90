//! How long to wait before something that failed is tried again: longer each time, and not all at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// How often each of many things has failed in a row.
pub struct Retries<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Retries<K> {
    fn default() -> Self {
        Retries(Mutex::default())
    }
}

impl<K: Hash + Eq> Retries<K> {
    /// It has failed once more: when to try again.
    pub fn failed(&self, key: K) -> Duration {
        let mut failures = self.0.lock().expect("no panic while held");
        let failed = failures.entry(key).or_default();
        *failed += 1;
        pause(*failed, rand::random())
    }

    /// It went well.
    pub fn succeeded(&self, key: &K) {
        self.0.lock().expect("no panic while held").remove(key);
    }
}

/// Doubles with each failure, less up to a quarter of it by chance (`spread`, any number).
fn pause(failures: u32, spread: u8) -> Duration {
    let pause = FIRST.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST);
    pause - pause.mul_f64(f64::from(spread) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_anew_after_success() {
        assert_eq!(pause(1, 0), FIRST);
        assert_eq!(pause(3, 0), 4 * FIRST);
        assert_eq!(pause(u32::MAX, 0), LONGEST);
        assert!(pause(40, 255) >= LONGEST.mul_f64(0.75));
        let retries = Retries::default();
        let last = (0..5).map(|_| retries.failed("it")).last();
        assert!(last > Some(8 * FIRST));
        retries.succeeded(&"it");
        assert!(retries.failed("it") <= FIRST);
    }
}
