//! What one setting is: its name, type, default, allowed values, unit, how it may change, and what it means. The tables
//! `broker` and `topic` are made of these; parsing, validation, `barnabas config` and DescribeConfigs read them.

use std::marker::PhantomData;

use super::ConfigError;

/// The type of a setting's value, with Kafka's rules for reading it (`ConfigDef.parseType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
}

impl Kind {
    /// Kafka's name of the type, as its messages show it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
        }
    }

    /// The number of the type in a DescribeConfigs response (`DescribeConfigsResponse.ConfigType`, KIP-569).
    pub fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
        }
    }

    /// Whether `text` is a value of this type, and if so, how Kafka writes it. Errors: what is wrong, in Kafka's words.
    pub fn normalize(self, text: &str) -> Result<String, String> {
        let text = text.trim();
        let not_a_number = || format!("Not a number of type {}", self.name());
        match self {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok("true".into()),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok("false".into()),
            Kind::Boolean => Err("Expected value to be either true or false".into()),
            Kind::String => Ok(text.into()),
            Kind::Short => text.parse::<i16>().map(|number| number.to_string()).map_err(|_| not_a_number()),
            Kind::Int => text.parse::<i32>().map(|number| number.to_string()).map_err(|_| not_a_number()),
            Kind::Long => text.parse::<i64>().map(|number| number.to_string()).map_err(|_| not_a_number()),
            Kind::Double => text.parse::<f64>().map(|number| format!("{number:?}")).map_err(|_| not_a_number()),
            Kind::List => Ok(elements(text).collect::<Vec<_>>().join(",")),
        }
    }
}

/// The elements of a list as Kafka reads it: between commas, without the spaces around them; nothing is an empty list.
pub fn elements(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim();
    text.split(',').map(str::trim).skip(usize::from(text.is_empty()))
}

/// Which of the values of its type a setting takes.
#[derive(Clone, Copy)]
pub enum Allowed {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// A whole number in the range, or -1.
    BetweenOrMinusOne(i64, i64),
    OneOf(&'static [&'static str]),
    /// A list of these.
    ListOf(&'static [&'static str]),
    /// What a function finds fault with; the text says what it allows.
    Checked(&'static str, fn(&str) -> Result<(), String>),
}

impl Allowed {
    /// Checks a normalized value of a right type. Errors: the part at fault, and why, in Kafka's words.
    fn check(self, value: &str) -> Result<(), (String, String)> {
        let number = || value.parse::<f64>().expect("a range belongs to a number");
        let at_fault = |reason: String| Err((value.to_owned(), reason));
        match self {
            Allowed::Any => Ok(()),
            Allowed::AtLeast(least) | Allowed::Between(least, _) if number() < least as f64 => {
                at_fault(format!("Value must be at least {least}"))
            }
            Allowed::Between(_, most) if number() > most as f64 => {
                at_fault(format!("Value must be no more than {most}"))
            }
            Allowed::AtLeast(_) | Allowed::Between(..) => Ok(()),
            Allowed::BetweenOrMinusOne(least, most) => {
                if number() == -1.0 || (least as f64..=most as f64).contains(&number()) {
                    return Ok(());
                }
                at_fault(format!("Value must be between {least} and {most} or equal to -1"))
            }
            Allowed::OneOf(names) => one_of(value, names),
            Allowed::ListOf(names) => elements(value).try_for_each(|element| one_of(element, names)),
            Allowed::Checked(_, check) => check(value).or_else(at_fault),
        }
    }

    /// What is allowed, for people; empty when the type says it all.
    pub fn describe(self) -> String {
        match self {
            Allowed::Any => String::new(),
            Allowed::AtLeast(least) => format!("at least {least}"),
            Allowed::Between(least, most) => format!("{least} to {most}"),
            Allowed::BetweenOrMinusOne(least, most) => format!("{least} to {most}, or -1"),
            Allowed::OneOf(names) => format!("one of {}", names.join(", ")),
            Allowed::ListOf(names) => format!("of {}", names.join(" and ")),
            Allowed::Checked(what, _) => what.to_owned(),
        }
    }
}

fn one_of(value: &str, names: &[&str]) -> Result<(), (String, String)> {
    match names.contains(&value) {
        true => Ok(()),
        false => Err((value.to_owned(), format!("String must be one of: {}", names.join(", ")))),
    }
}

/// How a broker's setting may change while it runs (KIP-226, "dynamic update mode" in Kafka's documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    ReadOnly,
    /// For one broker or, as a default, for all of them.
    ClusterWide,
}

/// One setting. The texts are for people; the rest is for the machine.
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written in a properties file. `None`: not set, and what that means is in `doc`.
    pub default: Option<&'static str>,
    pub allowed: Allowed,
    pub unit: &'static str,
    pub update: Update,
    /// Accepted from Kafka's own list, but not shown by it (`ConfigDef.defineInternal`).
    pub internal: bool,
    lines: &'static [&'static str],
}

impl Setting {
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        allowed: Allowed,
        unit: &'static str,
        update: Update,
        lines: &'static [&'static str],
    ) -> Setting {
        Setting { name, kind, default, allowed, unit, update, internal: false, lines }
    }

    pub const fn internal(mut self) -> Setting {
        self.internal = true;
        self
    }

    /// What it means, in one paragraph.
    pub fn doc(&self) -> String {
        self.lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The value as Kafka would write it. Errors: `InvalidValue`, in Kafka's words.
    pub fn normalize(&self, value: &str) -> Result<String, ConfigError> {
        let invalid = |value: &str, reason| ConfigError::invalid(self.name, value, reason);
        let normal = self.kind.normalize(value).map_err(|reason| invalid(value, reason))?;
        self.allowed.check(&normal).map_err(|(part, reason)| invalid(&self.shown(&part), reason))?;
        Ok(normal)
    }

    /// A list that is at fault as a whole is shown as Java shows one.
    fn shown(&self, part: &str) -> String {
        match (self.kind, self.allowed) {
            (Kind::List, Allowed::Checked(..)) => format!("[{}]", part.replace(',', ", ")),
            _ => part.to_owned(),
        }
    }

    /// Type, range and unit in one line, for people.
    pub fn accepts(&self) -> String {
        let kind = match self.kind {
            Kind::Boolean => "true or false",
            Kind::Int | Kind::Short | Kind::Long => "whole number",
            Kind::Double => "number",
            Kind::String => "text",
            Kind::List => "list with commas",
        };
        let parts = [kind.to_owned(), self.allowed.describe(), self.unit.to_owned()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// A setting together with the Rust type of its value: `Settings::get` answers with that type.
pub struct Key<T> {
    pub setting: &'static Setting,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub const fn new(setting: &'static Setting) -> Key<T> {
        Key { setting, value: PhantomData }
    }

    pub fn name(&self) -> &'static str {
        self.setting.name
    }
}

/// A Rust type that a setting's value can have.
pub trait Value: Sized {
    const KIND: Kind;

    /// The value of a normalized text, or of none. `None`: this is no value of the type; `Setting::normalize` lets no such
    /// text pass.
    fn read(text: Option<&str>) -> Option<Self>;
}

macro_rules! values {
    ($($type:ty: $kind:ident;)*) => {
        $(impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn read(text: Option<&str>) -> Option<Self> {
                text?.parse().ok()
            }
        })*
    };
}

values! {
    bool: Boolean;
    i16: Short;
    i32: Int;
    i64: Long;
    f64: Double;
    String: String;
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn read(text: Option<&str>) -> Option<Self> {
        Some(elements(text?).map(str::to_owned).collect())
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn read(text: Option<&str>) -> Option<Self> {
        Some(text.and_then(|text| T::read(Some(text))))
    }
}

/// Makes a table of settings: a `Key` for each, and the list of all of them under their headings.
/// `NAME: type = "kafka.name", default, allowed, "unit", update;` behind the lines that say what it means.
macro_rules! settings {
    ($($title:literal {$(
        $(#[doc = $doc:literal])+
        $key:ident: $type:ty = $name:literal, $default:tt, $allowed:expr, $unit:literal, $update:ident $(, $internal:ident)?;
    )*})*) => {
        $($(
            $(#[doc = $doc])+
            pub const $key: $crate::config::setting::Key<$type> = $crate::config::setting::Key::new(
                &$crate::config::setting::Setting::new(
                    $name,
                    <$type as $crate::config::setting::Value>::KIND,
                    $crate::config::setting::settings!(@default $default),
                    $allowed,
                    $unit,
                    $crate::config::setting::Update::$update,
                    &[$($doc),+],
                )$(.$internal())?,
            );
        )*)*

        /// Every setting of this table, under its headings.
        pub static SECTIONS: &[(&str, &[&$crate::config::setting::Setting])] = &[$(($title, &[$($key.setting),*])),*];
    };
    (@default none) => { None };
    (@default $default:literal) => { Some($default) };
}

pub(crate) use settings;
