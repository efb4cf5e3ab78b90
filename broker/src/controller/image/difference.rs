//! What differs between two maps of which one mostly grew out of the other.

use imbl::OrdMap;
use std::cmp::Ordering;
use std::sync::Arc;

/// The entries that differ, in the order of their keys: the value in `older`, the value in `newer`.
///
/// Both maps are walked, and what they share is told by its address; the same map is not walked at all. `OrdMap::diff` of
/// imbl 6, which would skip whole nodes that are shared, leaves out entries behind such nodes.
pub(super) fn difference<'a, K: Ord, V: Eq>(
    older: &'a OrdMap<K, Arc<V>>,
    newer: &'a OrdMap<K, Arc<V>>,
) -> impl Iterator<Item = (&'a K, Option<&'a Arc<V>>, Option<&'a Arc<V>>)> {
    let entries = if older.ptr_eq(newer) { 0 } else { usize::MAX };
    let [mut older, mut newer] = [older, newer].map(|map| map.iter().take(entries).peekable());
    std::iter::from_fn(move || {
        loop {
            let order = match (older.peek(), newer.peek()) {
                (Some((before, _)), Some((after, _))) => before.cmp(after),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let before = older.next_if(|_| order.is_le());
            let after = newer.next_if(|_| order.is_ge());
            let (key, _) = before.or(after)?;
            let (before, after) = (before.map(|(_, value)| value), after.map(|(_, value)| value));
            if before != after {
                return Some((key, before, after));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_map_does_not_differ_from_itself() {
        let map: OrdMap<u32, Arc<u32>> = (0..1000).map(|key| (key, Arc::new(key))).collect();
        assert_eq!(difference(&map, &map.clone()).count(), 0);
    }

    proptest! {
        /// With entries enough for many nodes, most of them shared.
        #[test]
        fn what_differs_is_what_a_comparison_of_each_entry_finds(
            entries in prop::collection::btree_set(0..3000u32, 0..1500),
            changes in prop::collection::vec((0..3000u32, prop::option::of(0..3u32)), 0..60),
        ) {
            let older: OrdMap<u32, Arc<u32>> = entries.iter().map(|key| (*key, Arc::new(0))).collect();
            let mut newer = older.clone();
            for (key, value) in changes {
                match value {
                    Some(value) => drop(newer.insert(key, Arc::new(value))),
                    None => drop(newer.remove(&key)),
                }
            }
            let expected: Vec<_> = (0..3000).filter(|key| older.get(key) != newer.get(key)).collect();
            let found: Vec<_> = difference(&older, &newer).map(|(key, before, after)| {
                assert_eq!((before, after), (older.get(key), newer.get(key)));
                *key
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
