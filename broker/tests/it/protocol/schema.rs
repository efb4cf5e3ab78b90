//! Kafka's message schemas, and random messages made from them.
//!
//! `tests/golden/schemas.txt` has a line for each message in each version: `{name:type ...}` is a struct, with `+` behind
//! it where it is flexible; `name#3:type` a tagged field; `[type]` an array; `?` stands before what may be null.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::LazyLock;

pub struct Schema {
    pub name: &'static str,
    pub version: i16,
    pub flexible: bool,
    root: Value,
}

/// What Apache Kafka advertises of one API.
pub struct Api {
    pub name: &'static str,
    pub code: i16,
    pub first: i16,
    pub last: i16,
    pub on_brokers: bool,
    pub on_controllers: bool,
    /// Whether a broker hands it to the active controller.
    pub forwarded: bool,
}

struct Value {
    nullable: bool,
    kind: Kind,
}

enum Kind {
    Plain(&'static str),
    Array(Box<Value>),
    Struct(Vec<Field>),
}

struct Field {
    tag: Option<u32>,
    value: Value,
}

pub static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| lines("schema").map(Schema::parse).collect());
pub static APIS: LazyLock<Vec<Api>> = LazyLock::new(|| lines("api").map(Api::parse).collect());

fn lines(kind: &'static str) -> impl Iterator<Item = &'static str> {
    include_str!("../../golden/schemas.txt").lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
}

impl Api {
    fn parse(line: &'static str) -> Api {
        let mut words = line.split(' ');
        let name = words.next().expect("a name");
        let mut number = || words.next().expect("a number").parse().expect("a number");
        let (code, first, last) = (number(), number(), number());
        let listeners = words.next().expect("listeners");
        let on = |listener| listeners.split(',').any(|other| other == listener);
        let (on_brokers, on_controllers) = (on("broker"), on("controller"));
        let forwarded = words.next().expect("whether it is forwarded") == "true";
        Api { name, code, first, last, on_brokers, on_controllers, forwarded }
    }
}

impl Schema {
    pub fn of(name: &str, version: i16) -> &'static Schema {
        let found = SCHEMAS.iter().find(|schema| schema.name == name && schema.version == version);
        found.unwrap_or_else(|| panic!("no schema of {name} {version}"))
    }

    fn parse(line: &'static str) -> Schema {
        let mut words = line.splitn(3, ' ');
        let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
        let mut text = words.next().expect("fields");
        let flexible = text.ends_with('+');
        let root = Value::parse(&mut text);
        assert_eq!(text, "", "behind the schema of {name}");
        Schema { name, version: version.parse().expect("a version"), flexible, root }
    }

    /// A random message of this schema as Kafka writes it; `unknown_tags` puts a tag behind each struct that none knows.
    pub fn random_message(&self, seed: u64, unknown_tags: bool) -> Vec<u8> {
        let mut generator = Generator { unknown_tags, ..Generator::new(self.flexible, seed) };
        generator.value(&self.root, false);
        generator.bytes
    }

    /// As [`Schema::random_message`], but with one null where this version allows none, if there is such a place.
    pub fn with_forbidden_null(&self, seed: u64) -> Option<Vec<u8>> {
        let mut generator = Generator { forbidden_null: true, ..Generator::new(self.flexible, seed) };
        generator.value(&self.root, false);
        (!generator.forbidden_null).then_some(generator.bytes)
    }

    /// The honest message that takes most memory for its size: strings of one letter, and each array that lies `depth`
    /// arrays deep of a thousand elements.
    pub fn crowded_message(&self, depth: usize) -> Vec<u8> {
        let mut generator = Generator { crowded: Some(depth), ..Generator::new(self.flexible, 0) };
        generator.value(&self.root, false);
        generator.bytes
    }
}

fn eat(text: &mut &'static str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix);
    *text = rest.unwrap_or(text);
    rest.is_some()
}

fn eat_until(text: &mut &'static str, ends: &[char]) -> &'static str {
    let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    *text = rest;
    word
}

impl Value {
    fn parse(text: &mut &'static str) -> Value {
        Value { nullable: eat(text, "?"), kind: Kind::parse(text) }
    }
}

impl Kind {
    fn parse(text: &mut &'static str) -> Kind {
        if eat(text, "[") {
            let element = Box::new(Value::parse(text));
            assert!(eat(text, "]"), "an array ends before {text}");
            return Kind::Array(element);
        }
        if !eat(text, "{") {
            return Kind::Plain(eat_until(text, &[' ', '}', ']']));
        }
        let mut fields = Vec::new();
        while !eat(text, "}") {
            eat(text, " ");
            fields.push(Field::parse(text));
        }
        eat(text, "+");
        Kind::Struct(fields)
    }
}

impl Field {
    fn parse(text: &mut &'static str) -> Field {
        let name = eat_until(text, &['#', ':']);
        let tag = eat(text, "#").then(|| eat_until(text, &[':']).parse().expect("a tag"));
        assert!(eat(text, ":"), "a type follows the name of {name}");
        Field { tag, value: Value::parse(text) }
    }
}

/// Writes random values; those of tagged fields are never a default, because defaults are left out.
struct Generator {
    random: SmallRng,
    flexible: bool,
    unknown_tags: bool,
    /// Whether one is still to be written.
    forbidden_null: bool,
    /// How many arrays deep the crowded ones lie.
    crowded: Option<usize>,
    bytes: Vec<u8>,
}

impl Generator {
    fn new(flexible: bool, seed: u64) -> Generator {
        let random = SmallRng::seed_from_u64(seed);
        Generator { random, flexible, unknown_tags: false, forbidden_null: false, crowded: None, bytes: Vec::new() }
    }

    fn is_null(&mut self, value: &Value, tagged: bool) -> bool {
        if value.nullable {
            return !tagged && self.crowded.is_none() && self.random.random_ratio(1, 4);
        }
        let could_be = matches!(value.kind, Kind::Plain("string" | "bytes") | Kind::Array(_));
        let forbidden = self.forbidden_null && could_be && self.random.random_ratio(1, 3);
        self.forbidden_null &= !forbidden;
        forbidden
    }

    fn value(&mut self, value: &Value, tagged: bool) {
        let null = self.is_null(value, tagged);
        match &value.kind {
            Kind::Plain(kind) if null => self.length(None, *kind == "string"),
            Kind::Plain(kind) => self.plain(kind, tagged),
            Kind::Array(_) if null => self.length(None, false),
            Kind::Array(element) => self.array(element, tagged),
            Kind::Struct(_) if null => self.bytes.push(0xff),
            Kind::Struct(fields) => {
                if value.nullable {
                    self.bytes.push(1);
                }
                self.fields(fields);
            }
        }
    }

    fn plain(&mut self, kind: &str, tagged: bool) {
        match kind {
            "boolean" => {
                let value = u8::from(tagged || self.random.random());
                self.bytes.push(value);
            }
            "int8" => self.number(1, tagged),
            "int16" | "uint16" => self.number(2, tagged),
            "int32" => self.number(4, tagged),
            "int64" => self.number(8, tagged),
            "uuid" => self.number(16, tagged),
            "string" => self.string(tagged),
            "bytes" | "records" => self.blob(),
            other => unreachable!("type {other}"),
        }
    }

    /// Small where it is tagged: no default is a number from 1 to 100.
    fn number(&mut self, size: usize, tagged: bool) {
        let mut number = [0; 16];
        if tagged {
            number[size - 1] = self.random.random_range(1..=100);
        } else {
            self.random.fill(&mut number);
        }
        self.bytes.extend(&number[..size]);
    }

    fn size(&mut self, at_least: usize, often_at_most: usize) -> usize {
        if self.crowded.is_some() {
            return at_least.max(1);
        }
        let most = if self.random.random_ratio(1, 30) { 300 } else { often_at_most };
        self.random.random_range(at_least..=most)
    }

    fn string(&mut self, tagged: bool) {
        let count = self.size(usize::from(tagged), 8);
        let text: String = (0..count).map(|_| ['a', '-', 'ß', '中', '𝄞'][self.random.random_range(0..5)]).collect();
        self.length(Some(text.len()), true);
        self.bytes.extend(text.bytes());
    }

    fn blob(&mut self) {
        let mut blob = vec![0; self.size(0, 16)];
        self.random.fill(&mut blob[..]);
        self.length(Some(blob.len()), false);
        self.bytes.extend(blob);
    }

    fn array(&mut self, element: &Value, tagged: bool) {
        let at_least = usize::from(tagged);
        let count = match (self.crowded, &element.kind) {
            (Some(0), _) => 1000,
            (Some(_), _) => 1,
            (None, Kind::Plain(_)) => self.size(at_least, 3),
            (None, _) => self.random.random_range(at_least..=3),
        };
        let outer = self.crowded;
        self.crowded = outer.map(|depth| depth.wrapping_sub(1));
        self.length(Some(count), false);
        for _ in 0..count {
            self.value(element, false);
        }
        self.crowded = outer;
    }

    fn fields(&mut self, fields: &[Field]) {
        let (tagged, plain): (Vec<_>, Vec<_>) = fields.iter().partition(|field| field.tag.is_some());
        for field in plain {
            self.value(&field.value, false);
        }
        if self.flexible {
            self.tagged_fields(tagged);
        }
    }

    fn tagged_fields(&mut self, mut tagged: Vec<&Field>) {
        tagged.retain(|_| self.random.random());
        self.unsigned_varint(tagged.len() + usize::from(self.unknown_tags));
        for field in tagged {
            self.unsigned_varint(field.tag.expect("a tagged field") as usize);
            let before = std::mem::take(&mut self.bytes);
            self.value(&field.value, true);
            let value = std::mem::replace(&mut self.bytes, before);
            self.unsigned_varint(value.len());
            self.bytes.extend(value);
        }
        if self.unknown_tags {
            self.bytes.extend([200, 1, 2, 0xff, 0xff]);
        }
    }

    fn length(&mut self, length: Option<usize>, string: bool) {
        match (self.flexible, string) {
            (true, _) => self.unsigned_varint(length.map_or(0, |length| length + 1)),
            (false, true) => self.bytes.extend(length.map_or(-1, |length| length as i16).to_be_bytes()),
            (false, false) => self.bytes.extend(length.map_or(-1, |length| length as i32).to_be_bytes()),
        }
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
