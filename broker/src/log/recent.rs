//! Where the last batches of a log begin: reads at the tail find their positions without touching a file. Pure.

use std::collections::VecDeque;

/// How many batches are remembered.
const REMEMBERED: usize = 64;

/// The base offsets and positions of the active segment's last batches.
#[derive(Debug, Default)]
pub struct RecentBatches {
    batches: VecDeque<(i64, u64)>,
}

impl RecentBatches {
    pub fn add(&mut self, base_offset: i64, position: u64) {
        if self.batches.len() == REMEMBERED {
            self.batches.pop_front();
        } else if self.batches.is_empty() {
            self.batches.reserve_exact(REMEMBERED);
        }
        self.batches.push_back((base_offset, position));
    }

    /// Where the batch that begins with `offset` lies.
    pub fn position_of(&self, offset: i64) -> Option<u64> {
        let place = self.batches.binary_search_by_key(&offset, |(base_offset, _)| *base_offset).ok()?;
        Some(self.batches[place].1)
    }

    /// The last remembered beginning of a batch that is not behind `position`: its offset and position.
    pub fn boundary_before(&self, position: u64) -> Option<(i64, u64)> {
        let behind = self.batches.partition_point(|(_, start)| *start <= position);
        Some(self.batches[behind.checked_sub(1)?])
    }

    /// Forgets all, and the memory that it took.
    pub fn clear(&mut self) {
        self.batches = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_batches_are_known_by_offset_and_by_position() {
        let mut recent = RecentBatches::default();
        for number in 0..100 {
            recent.add(number * 10, number as u64 * 1000);
        }
        assert_eq!(recent.position_of(990), Some(99_000));
        assert_eq!(recent.position_of(985), None, "within a batch");
        assert_eq!(recent.position_of(0), None, "too long ago");
        assert_eq!(recent.boundary_before(98_999), Some((980, 98_000)));
        assert_eq!(recent.boundary_before(35_999), None);
    }
}
