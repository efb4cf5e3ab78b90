//! Java's `.properties` syntax, read as `java.util.Properties.load` reads it: comments, continuation lines, `=`, `:` or a
//! space between key and value, escapes. With two differences: the bytes are UTF-8, as people write them today, and an entry
//! without a key and a value (Java makes one of a last line that is a lone backslash) is none.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// A `\u` that is not followed by four hexadecimal digits, and the number of the line it is on.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    pub line: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: \\u is not followed by four hexadecimal digits", self.line)
    }
}

/// The keys and values in their order; a key that comes again is there again. Errors: `Malformed`.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Malformed> {
    let entries = logical_lines(text).into_iter();
    let entries = entries.map(|(line, entry)| split(&entry).ok_or(Malformed { line }));
    let says_something =
        |entry: &Result<(String, String), _>| !matches!(entry, Ok((key, value)) if key.is_empty() && value.is_empty());
    entries.filter(says_something).collect()
}

/// Blanks of this format (`\f` among them); line ends are cut off before.
fn blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// Entries with the number of their first line: natural lines joined where the line end is escaped, without blank lines,
/// comments and leading blanks.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut entries: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (number, line) in natural_lines(text) {
        let line = line.trim_start_matches(blank);
        if continues {
            entries.last_mut().expect("only an entry continues").1.push_str(line);
        } else if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        } else {
            entries.push((number, line.to_owned()));
        }
        continues = ends_escaped(line);
        if continues {
            entries.last_mut().expect("pushed above").1.pop();
        }
    }
    entries
}

/// Lines end with `\n`, `\r` or both; their numbers count from 1.
fn natural_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    lines.enumerate().map(|(index, line)| (index + 1, line))
}

fn ends_escaped(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first blank, `=` or `:` that is not escaped.
fn split(entry: &str) -> Option<(String, String)> {
    let mut characters = entry.chars().peekable();
    let ends_key = |character: char| blank(character) || matches!(character, '=' | ':');
    let key = unescape(&mut characters, ends_key)?;
    skip_blanks(&mut characters);
    if characters.next_if(|character| matches!(character, '=' | ':')).is_some() {
        skip_blanks(&mut characters);
    }
    let value = unescape(&mut characters, |_| false)?;
    Some((key, value))
}

fn skip_blanks(characters: &mut Peekable<Chars<'_>>) {
    while characters.next_if(|character| blank(*character)).is_some() {}
}

/// Reads up to a character that `ends`. UTF-16 halves that `\u` gives in a row become one character again.
fn unescape(characters: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Option<String> {
    let mut units: Vec<u16> = Vec::new();
    while let Some(character) = characters.next_if(|character| !ends(*character)) {
        let unescaped = match character {
            '\\' => match characters.next() {
                Some('u') => {
                    units.push(hexadecimal(characters)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(unescaped.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

fn hexadecimal(characters: &mut Peekable<Chars<'_>>) -> Option<u16> {
    (0..4).try_fold(0, |number, _| Some(number << 4 | characters.next()?.to_digit(16)? as u16))
}

#[cfg(test)]
#[path = "properties_vectors.rs"]
mod vectors;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::vectors::VECTORS;
    use super::*;

    #[test]
    fn every_text_is_read_as_java_reads_it() {
        for (text, expected) in VECTORS {
            let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
            let kept =
                |entries: &[(&str, &str)]| entries.iter().filter(|entry| **entry != ("", "")).map(owned).collect();
            let expected: Option<Vec<_>> = expected.map(kept);
            assert_eq!(parse(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bad_escape_is_reported_with_its_line() {
        assert_eq!(parse("a=b\n\n# c\nd=\\u12"), Err(Malformed { line: 4 }));
    }

    #[test]
    fn utf8_is_taken_as_it_is() {
        assert_eq!(parse("ort=Zürich \\ud83d\\ude00").unwrap(), [("ort".to_owned(), "Zürich \u{1f600}".to_owned())]);
    }

    /// Writes as `java.util.Properties.store` does: everything that could mean something is escaped.
    fn store(entries: &[(String, String)]) -> String {
        let escaped = |text: &str| -> String {
            text.encode_utf16()
                .map(|unit| match u8::try_from(unit) {
                    Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                    Ok(byte @ (b'=' | b':' | b' ' | b'#' | b'!' | b'\\')) => format!("\\{}", char::from(byte)),
                    _ => format!("\\u{unit:04X}"),
                })
                .collect()
        };
        entries.iter().map(|(key, value)| format!("{}={}\n", escaped(key), escaped(value))).collect()
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(entries in proptest::collection::vec((".+", any::<String>()), 0..8)) {
            prop_assert_eq!(parse(&store(&entries)), Ok(entries));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
