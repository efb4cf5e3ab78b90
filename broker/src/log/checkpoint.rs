//! Kafka's checkpoint files: a version, a count, and as many lines. Pure: text in, text out.

/// The name of a topic's partition and an offset, as the checkpoints of a log directory hold them.
pub type PartitionOffset = ((String, i32), i64);

/// A checkpoint file that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text:?}")]
pub struct CheckpointError {
    pub line: usize,
    pub text: String,
}

const VERSION: &str = "0";

/// Writes lines behind Kafka's version and count.
pub fn write<T>(entries: &[T], line: impl Fn(&T) -> String) -> String {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&line(entry));
        text.push('\n');
    }
    text
}

/// Reads the lines of a checkpoint, each through `parse`. A file that is empty (Kafka makes them so) has none.
/// Errors: the first line that is not what it should be; a count that is not the number of lines.
pub fn read<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, CheckpointError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let error = |line: usize, text: &str| CheckpointError { line: line + 1, text: text.chars().take(100).collect() };
    let mut lines = text.lines().enumerate();
    let (_, version) = lines.next().unwrap_or_default();
    if version != VERSION {
        return Err(error(0, version));
    }
    let (_, count) = lines.next().unwrap_or_default();
    let expected: usize = count.parse().map_err(|_| error(1, count))?;
    let mut entries = Vec::new();
    for (number, line) in lines {
        entries.push(parse(line).ok_or_else(|| error(number, line))?);
    }
    if entries.len() == expected { Ok(entries) } else { Err(error(1, count)) }
}

/// The file of one offset for each partition (recovery points, log start offsets, high watermarks, cleaner offsets).
pub fn write_offsets(entries: &[PartitionOffset]) -> String {
    write(entries, |((topic, partition), offset)| format!("{topic} {partition} {offset}"))
}

/// Errors: see [`read`].
pub fn read_offsets(text: &str) -> Result<Vec<PartitionOffset>, CheckpointError> {
    read(text, |line| {
        let mut words = line.split_ascii_whitespace();
        let entry = ((words.next()?.to_owned(), words.next()?.parse().ok()?), words.next()?.parse().ok()?);
        words.next().is_none().then_some(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_written_as_kafka_writes_them() {
        let entries = [(("a-b".to_owned(), 0), 17), (("c".to_owned(), 3), 0)];
        let text = write_offsets(&entries);
        assert_eq!(text, "0\n2\na-b 0 17\nc 3 0\n");
        assert_eq!(read_offsets(&text).unwrap(), entries);
    }

    #[test]
    fn an_empty_file_holds_nothing() {
        assert_eq!(read_offsets("").unwrap(), []);
    }

    #[test]
    fn what_is_not_a_checkpoint_names_its_line() {
        for (text, line) in
            [("1\n0\n", 1), ("0\nx\n", 2), ("0\n2\na 0 1\n", 2), ("0\n1\na 0\n", 3), ("0\n1\na 0 1 2\n", 3)]
        {
            assert_eq!(read_offsets(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
