//! The file `partition.metadata`: the id of the topic that a directory belongs to (KIP-516).

use crate::protocol::Uuid;
use std::io;
use std::path::Path;

/// The file's contents.
pub fn to_text(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// The topic's id; `None` if the text holds none. After a loss of power the file may be empty.
pub fn parse(text: &str) -> Option<Uuid> {
    let mut lines = text.lines();
    lines.next().filter(|line| line.trim() == "version: 0")?;
    let id = Uuid::parse(lines.next()?.strip_prefix("topic_id: ")?.trim())?;
    (!id.is_zero()).then_some(id)
}

/// The topic's id in the file at `path`; `None` if there is no such file, or nothing in it.
pub fn read_file(path: &Path) -> io::Result<Option<Uuid>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_kafkas() {
        let id = Uuid::parse("AAAAAAAAAAAAAAAAAAAAAQ").unwrap();
        assert_eq!(to_text(id), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(parse(&to_text(id)), Some(id));
        for text in
            ["", "\0\0\0", "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", "version: 0\n", "version: 0\ntopic_id: x"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
