//! What `Debug` shows of a message, as a tree: so that messages of two libraries can be compared by names and values.

use barnabas::protocol::Uuid;
use std::collections::BTreeMap;

/// A value without the names of its types: newtypes and `Some` are what they hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Fields(BTreeMap<String, Tree>),
    List(Vec<Tree>),
    Leaf(String),
}

impl Tree {
    /// The tree of a `{:?}` text of ours or of `kafka-protocol`.
    pub fn parse(debug: &str) -> Tree {
        let mut parser = Parser { rest: debug };
        let tree = parser.value();
        assert_eq!(parser.rest, "", "behind the value");
        tree
    }

    /// Where this and `other` differ first; fields that `self` lacks do not count. Null and empty are one: a field that
    /// a version lacks is null with us and empty with others, and where it is on the wire the bytes tell them apart.
    pub fn difference(&self, other: &Tree) -> Option<String> {
        match (self, other) {
            (Tree::Fields(ours), Tree::Fields(theirs)) => ours.iter().find_map(|(name, ours)| {
                let Some(theirs) = theirs.get(name) else { return Some(format!("{name} is not theirs")) };
                ours.difference(theirs).map(|difference| format!("{name}: {difference}"))
            }),
            (Tree::List(ours), Tree::List(theirs)) if ours.len() == theirs.len() => {
                ours.iter().zip(theirs).find_map(|(ours, theirs)| ours.difference(theirs))
            }
            _ if self.is_nothing() && other.is_nothing() => None,
            _ => (self != other).then(|| format!("{self:?} is not {other:?}")),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Tree::Fields(_) => false,
            Tree::List(list) => list.is_empty(),
            Tree::Leaf(text) => text == "None" || text == "\"\"",
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Tree {
        if self.eat("[") {
            return Tree::List(self.list("]"));
        }
        if self.eat("b\"") {
            return Tree::List(bytes(self.quoted()).iter().map(|byte| Tree::Leaf(byte.to_string())).collect());
        }
        if self.eat("\"") {
            return Tree::Leaf(format!("\"{}\"", self.quoted()));
        }
        let word = self.word();
        if self.eat("(") {
            let mut inner = self.list(")");
            assert_eq!(inner.len(), 1, "{word} is a newtype");
            return inner.remove(0);
        }
        if self.eat(" {") || self.eat("{") {
            return Tree::Fields(self.fields());
        }
        Tree::Leaf(plain(word))
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', ',', '(', ')', '[', ']', '{', '}', ':']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// What stands before the closing quote, its escapes as they are.
    fn quoted(&mut self) -> &'a str {
        let mut escaped = false;
        let end = self.rest.find(|character| {
            let end = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            end
        });
        let (text, rest) = self.rest.split_at(end.expect("a closing quote"));
        self.rest = &rest[1..];
        text
    }

    fn list(&mut self, end: &str) -> Vec<Tree> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(self.value());
            self.eat(", ");
        }
        list
    }

    fn fields(&mut self) -> BTreeMap<String, Tree> {
        let mut fields = BTreeMap::new();
        self.eat(" ");
        while !self.eat("}") {
            let name = self.word().trim_start_matches('_').to_owned();
            assert!(self.eat(": "), "a value follows {name}");
            fields.insert(name, self.value());
            let _ = self.eat(", ") || self.eat(" ");
        }
        fields
    }
}

/// The crate `uuid` shows what Kafka shows in base64.
fn plain(word: &str) -> String {
    let hexadecimal = word.replace('-', "");
    match (word.len(), u128::from_str_radix(&hexadecimal, 16)) {
        (36, Ok(number)) => Uuid(number.to_be_bytes()).to_string(),
        _ => word.to_owned(),
    }
}

/// The bytes behind the escapes of a byte string.
fn bytes(text: &str) -> Vec<u8> {
    let mut characters = text.chars();
    let mut bytes = Vec::new();
    while let Some(character) = characters.next() {
        bytes.push(if character == '\\' { unescaped(&mut characters) } else { character as u8 });
    }
    bytes
}

fn unescaped(characters: &mut std::str::Chars<'_>) -> u8 {
    match characters.next().expect("an escape") {
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        '0' => 0,
        'x' => {
            let digits: String = characters.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).expect("two digits")
        }
        other => other as u8,
    }
}
