//! Values that stand elsewhere: Apache Kafka's config providers (KIP-297, KIP-421).
//!
//! `config.providers` names providers, `config.providers.<name>.class` says which of Kafka's each of them is, and a value
//! may then hold references to what it knows (`references`). They are looked up once, when the broker starts.
//!
//! Names, parameters and results are those of Apache Kafka 4.1's own classes, with one difference on purpose: where a
//! known provider has no value for a reference (no such key, file, directory or variable, or one outside of
//! `allowed.paths` or `allowlist.pattern`), Kafka logs at most a line and leaves the text `${..}` as the value, so that a
//! broker whose mounted file is late registers with a rack called `${directory:/etc/racks:node-1}`, and replicas are placed
//! by it. Here the start ends with an error that names the setting, the path and the key: whoever runs the process starts
//! it again, and by then the file is there. A provider that is not known leaves the text as it is, as in Kafka, since a
//! value may look like a reference and be none.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use super::references::{self, Reference};
use super::{ConfigError, properties};

const PROVIDERS: &str = "config.providers";

/// Providers by name.
type Providers = BTreeMap<String, Provider>;

/// What is given, with the values that references stand for. Errors: `InvalidValue` of a provider's settings;
/// `Unresolved`.
pub fn resolve(given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    let providers = providers(&given)?;
    given.into_iter().map(|(name, value)| resolve_one(&providers, &name, &value).map(|value| (name, value))).collect()
}

/// Whether a setting is one of a provider that `config.providers` names. One of another is probably misspelt.
pub fn is_known(name: &str, given: &BTreeMap<String, String>) -> bool {
    let of_provider = |provider: &str| {
        let rest = name.strip_prefix(&prefix(provider));
        rest.is_some_and(|rest| rest == "class" || rest.starts_with("param."))
    };
    name == PROVIDERS || names(given).any(of_provider)
}

fn resolve_one(providers: &Providers, name: &str, value: &str) -> Result<String, ConfigError> {
    references::replace(value, |reference| {
        let provider = providers.get(reference.provider);
        let unresolved =
            |reason| ConfigError::Unresolved { name: name.to_owned(), reference: reference.text.to_owned(), reason };
        provider.map(|provider| provider.look_up(reference).map_err(unresolved)).transpose()
    })
}

/// The names in `config.providers`. Spaces around them are part of them, as in Kafka.
fn names(given: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    given.get(PROVIDERS).into_iter().flat_map(|names| names.split(','))
}

fn prefix(provider: &str) -> String {
    format!("{PROVIDERS}.{provider}.")
}

/// Those that have a class; the others are none, as in Kafka. Their own settings hold no references.
fn providers(given: &BTreeMap<String, String>) -> Result<Providers, ConfigError> {
    let with_class = names(given).filter_map(|name| Some((name, given.get(&format!("{}class", prefix(name)))?)));
    with_class.map(|(name, class)| Ok((name.to_owned(), Provider::of(name, class, given)?))).collect()
}

/// Where a provider looks.
#[derive(Debug)]
enum Provider {
    /// Kafka's `FileConfigProvider`: a key of the properties file at a path.
    File(AllowedPaths),
    /// Kafka's `DirectoryConfigProvider`: the file of that name in the directory at a path. The value is all that the
    /// file holds, with the line end that may be its last character; a setting that consists of it is trimmed later.
    Directory(AllowedPaths),
    /// Kafka's `EnvVarConfigProvider`: an environment variable, among those whose whole name the pattern matches.
    Environment(Regex),
}

impl Provider {
    fn of(name: &str, class: &str, given: &BTreeMap<String, String>) -> Result<Provider, ConfigError> {
        const PACKAGE: &str = "org.apache.kafka.common.config.provider.";
        let param = |param: &str| {
            let name = format!("{}param.{param}", prefix(name));
            let value = given.get(&name).map_or("", String::as_str).to_owned();
            (name, value)
        };
        match class.strip_prefix(PACKAGE) {
            Some("FileConfigProvider") => Ok(Provider::File(AllowedPaths::of(param("allowed.paths"))?)),
            Some("DirectoryConfigProvider") => Ok(Provider::Directory(AllowedPaths::of(param("allowed.paths"))?)),
            Some("EnvVarConfigProvider") => {
                let (name, text) = param("allowlist.pattern");
                let text = if given.contains_key(&name) { text } else { ".*".to_owned() };
                let pattern =
                    allowlist(&text).map_err(|error| ConfigError::invalid(&name, &text, error.to_string()))?;
                Ok(Provider::Environment(pattern))
            }
            _ => {
                let known = "FileConfigProvider, DirectoryConfigProvider and EnvVarConfigProvider";
                let reason = format!("Could not load config provider class (known: {known} of {PACKAGE}*)");
                Err(ConfigError::invalid(&format!("{}class", prefix(name)), class, reason))
            }
        }
    }

    /// Errors: why there is no value, for people.
    fn look_up(&self, reference: &Reference<'_>) -> Result<String, String> {
        let Reference { path, key, .. } = *reference;
        match self {
            Provider::File(allowed) => property(&allowed.check(path)?, key),
            Provider::Directory(allowed) => file_in(&allowed.check(path)?, key),
            Provider::Environment(_) if !path.is_empty() => {
                Err(format!("an environment variable has no path, and this has {path}"))
            }
            Provider::Environment(allowed) => variable(allowed, key),
        }
    }
}

/// A pattern that matches whole names. Its classes (`\w`) are ASCII, as Java's are.
fn allowlist(text: &str) -> Result<Regex, regex::Error> {
    // By itself first: what is unbalanced in it must not be balanced by what is put around it.
    let pattern = |text: &str| RegexBuilder::new(text).unicode(false).build();
    pattern(text)?;
    pattern(&format!(r"\A(?:{text})\z"))
}

fn property(file: &Path, key: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let entries = properties::parse(&text).map_err(|malformed| format!("{}, {malformed}", file.display()))?;
    let last = entries.into_iter().rev().find(|(name, _)| name == key);
    last.map(|(_, value)| value).ok_or_else(|| format!("the file {} has no key {key}", file.display()))
}

/// Follows symbolic links: the files of a mounted ConfigMap or Secret are links.
fn file_in(directory: &Path, key: &str) -> Result<String, String> {
    if !directory.is_dir() {
        return Err(format!("{} is not a directory, or is not there; the key is {key}", directory.display()));
    }
    let file = directory.join(key);
    if key.contains('/') || !file.is_file() {
        return Err(format!("the directory {} has no file {key}", directory.display()));
    }
    std::fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn variable(allowed: &Regex, name: &str) -> Result<String, String> {
    if !allowed.is_match(name.as_bytes()) {
        return Err(format!("allowlist.pattern does not match the environment variable {name}"));
    }
    // Searched for, since asking the environment for a name that none can have panics.
    let value = std::env::vars_os().find(|(each, _)| each == OsStr::from_bytes(name.as_bytes()));
    let value = value.ok_or_else(|| format!("there is no environment variable {name}"))?;
    Ok(value.1.to_string_lossy().into_owned())
}

/// Where a provider may look (`allowed.paths`, KIP-993). `None`: everywhere.
#[derive(Debug)]
struct AllowedPaths(Option<Vec<PathBuf>>);

impl AllowedPaths {
    /// Of the setting and its value. Errors: `InvalidValue`, in Kafka's words.
    fn of((name, text): (String, String)) -> Result<AllowedPaths, ConfigError> {
        let checked = |part: &str| {
            let path = normalized(Path::new(part));
            let invalid = |fault| ConfigError::invalid(&name, &text, format!("Path {} {fault}", path.display()));
            match (path.is_absolute(), path.exists()) {
                (false, _) => Err(invalid("is not absolute")),
                (true, false) => Err(invalid("does not exist")),
                (true, true) => Ok(path),
            }
        };
        let paths = || text.split(',').map(checked).collect::<Result<_, _>>();
        Ok(AllowedPaths((!text.is_empty()).then(paths).transpose()?))
    }

    /// Where `path` of a reference leads. Errors: nowhere that is allowed.
    fn check(&self, path: &str) -> Result<PathBuf, String> {
        if path.is_empty() {
            return Err("the reference has no path".to_owned());
        }
        let Some(allowed) = &self.0 else { return Ok(PathBuf::from(path)) };
        let normal = normalized(Path::new(path));
        match allowed.iter().any(|allowed| normal.starts_with(allowed)) {
            true => Ok(normal),
            false => Err(format!("{path} is not within allowed.paths")),
        }
    }
}

/// Without `.` and `..`, by the text alone (`java.nio.file.Path.normalize`).
fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
#[path = "providers_test.rs"]
mod tests;
