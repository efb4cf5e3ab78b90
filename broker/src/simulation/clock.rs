//! Clocks that do not agree.

use super::schedule::{MS, Micros};
use rand::Rng;
use rand::rngs::SmallRng;

/// A clock that shows another time than the others, and runs faster or slower.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    ahead_ms: i64,
    permille: i64,
}

impl Clock {
    pub fn new(ahead_ms: i64, permille: i64) -> Clock {
        Clock { ahead_ms, permille }
    }

    /// Up to ten seconds ahead, up to five percent too fast or too slow.
    pub fn random(random: &mut SmallRng) -> Clock {
        let permille = random.random_range(950..=1050);
        Clock { ahead_ms: random.random_range(0..10_000), permille }
    }

    /// What it shows, in milliseconds.
    pub fn shows(self, now: Micros) -> i64 {
        self.ahead_ms + now * self.permille / (1000 * MS)
    }

    /// When it shows `at`.
    pub fn when_it_shows(self, at: i64) -> Micros {
        ((at - self.ahead_ms) * 1000 * MS + self.permille - 1) / self.permille
    }
}
