//! The name that somebody meant who misspelt it.

/// The name among `known` that the fewest changes of a letter make of `name`, if they are few.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let few = (name.len() / 4).clamp(1, 4);
    let near = known.map(|known| (distance(name, known), known));
    near.filter(|(distance, _)| *distance <= few).min().map(|(_, known)| known)
}

/// Letters that are put in, left out or replaced (Levenshtein), row by row of the table.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (position, other) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[position + 1];
            row[position + 1] = replaced.min(row[position] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        let cases = [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("a", "a", 0)];
        for (from, to, expected) in cases {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn only_what_is_near_is_meant() {
        let known = ["num.partitions", "log.retention.ms", "log.retention.hours"];
        assert_eq!(nearest("num.partition", known.into_iter()), Some("num.partitions"));
        assert_eq!(nearest("log.retension.ms", known.into_iter()), Some("log.retention.ms"));
        assert_eq!(nearest("zookeeper.connect", known.into_iter()), None);
    }
}
