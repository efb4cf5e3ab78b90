//! What Apache Kafka 4.1's `AbstractConfig` makes of the same values with its own providers was looked at for each case.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::config::{Config, Notice};

const CLASSES: &[(&str, &str)] = &[
    ("config.providers", "d,f,e"),
    ("config.providers.d.class", "org.apache.kafka.common.config.provider.DirectoryConfigProvider"),
    ("config.providers.f.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
    ("config.providers.e.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
];

/// A ConfigMap as Kubernetes mounts it, a properties file, and what is in the way.
fn mounted() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let (at, data) = (|path: &str| root.path().join(path), "racks/..2026_11_21");
    fs::create_dir_all(at(data)).unwrap();
    fs::write(at(data).join("node-1"), "zone-a\n").unwrap();
    symlink("..2026_11_21", at("racks/..data")).unwrap();
    symlink("..data/node-1", at("racks/node-1")).unwrap();
    fs::create_dir(at("racks/sub")).unwrap();
    fs::write(at("racks/latin"), [b'Z', 0xfc]).unwrap();
    fs::write(at("secrets.properties"), "k=first\nport : 909\\u0039\nk=last\n").unwrap();
    root
}

/// The value with `ROOT` replaced by the folder, resolved.
fn resolved(root: &TempDir, more: &[(&str, &str)], value: &str) -> Result<String, String> {
    let asked = [("v", value)];
    let settings = CLASSES.iter().chain(more).chain(&asked);
    let rooted = |text: &str| text.replace("ROOT", root.path().to_str().unwrap());
    let given = settings.map(|(name, value)| (name.to_string(), rooted(value))).collect();
    let unrooted = |text: String| text.replace(root.path().to_str().unwrap(), "ROOT");
    resolve(given).map(|mut all| all.remove("v").unwrap()).map_err(|error| unrooted(error.to_string()))
}

#[test]
fn values_come_from_files_directories_and_the_environment() {
    let (root, path) = (mounted(), std::env::var("PATH").unwrap());
    for (value, expected) in [
        ("${d:ROOT/racks:node-1}", "zone-a\n"),
        ("${d:ROOT/racks/:node-1}|", "zone-a\n|"),
        ("x${f:ROOT/secrets.properties:k}:${f:ROOT/secrets.properties:port}", "xlast:9099"),
        ("${e:PATH}", &path),
        ("${vault:a:b} ${d} ${D:a:b} ${ d:a:b}", "${vault:a:b} ${d} ${D:a:b} ${ d:a:b}"),
    ] {
        assert_eq!(resolved(&root, &[], value).as_deref(), Ok(expected), "{value}");
    }
}

#[test]
fn what_is_missing_ends_the_start_and_is_named() {
    let root = mounted();
    for (value, reason) in [
        ("${d:ROOT/racks:node-2}", "the directory ROOT/racks has no file node-2"),
        ("${d:ROOT/racks:sub}", "the directory ROOT/racks has no file sub"),
        ("${d:ROOT/racks:..data/node-1}", "the directory ROOT/racks has no file ..data/node-1"),
        ("${d:ROOT/none:node-1}", "ROOT/none is not a directory, or is not there; the key is node-1"),
        ("${d:node-1}", "the reference has no path"),
        ("${d:ROOT/racks:latin}", "cannot read ROOT/racks/latin: stream did not contain valid UTF-8"),
        ("${f:ROOT/secrets.properties:none}", "the file ROOT/secrets.properties has no key none"),
        ("${f:ROOT/none:k}", "cannot read ROOT/none: No such file or directory (os error 2)"),
        ("${f:k}", "the reference has no path"),
        ("${e:NOT=A NAME}", "there is no environment variable NOT=A NAME"),
        ("${e:a:PATH}", "an environment variable has no path, and this has a"),
    ] {
        let expected = format!("Cannot resolve {value} for configuration v: {reason}");
        assert_eq!(resolved(&root, &[], value), Err(expected));
    }
}

#[test]
fn a_provider_looks_only_where_it_may() {
    let root = mounted();
    let allowed = [("config.providers.d.param.allowed.paths", "/etc,ROOT/racks/./sub/..")];
    assert_eq!(resolved(&root, &allowed, "${d:ROOT/racks:node-1}").as_deref(), Ok("zone-a\n"));
    for outside in ["ROOT/racks/..", "ROOT", "ROOT/racks-2", "racks"] {
        let error = resolved(&root, &allowed, &format!("${{d:{outside}:node-1}}")).unwrap_err();
        assert!(error.ends_with(&format!("{outside} is not within allowed.paths")), "{error}");
    }
    let of_file = [("config.providers.f.param.allowed.paths", "ROOT/racks")];
    assert!(resolved(&root, &of_file, "${f:ROOT/secrets.properties:k}").is_err());
    assert!(resolved(&root, &of_file, "${d:ROOT/racks:node-1}").is_ok(), "another provider");
    assert!(resolved(&root, &[("config.providers.d.param.allowed.paths", "")], "${d:ROOT/racks:node-1}").is_ok());

    for (pattern, matches) in [("PA.*", true), ("PATH|HOME", true), ("PA", false), ("ATH", false), ("", false)] {
        let allowed = [("config.providers.e.param.allowlist.pattern", pattern)];
        assert_eq!(resolved(&root, &allowed, "${e:PATH}").is_ok(), matches, "{pattern}");
    }
}

#[test]
fn a_provider_that_cannot_be_is_refused_though_nothing_asks_it() {
    let root = mounted();
    for (name, value, reason) in [
        ("config.providers.d.param.allowed.paths", "tmp", "Path tmp is not absolute"),
        ("config.providers.d.param.allowed.paths", "/, ROOT", "Path  ROOT is not absolute"),
        ("config.providers.f.param.allowed.paths", "ROOT/none", "Path ROOT/none does not exist"),
        ("config.providers.e.param.allowlist.pattern", "a)(b", "regex parse error"),
        ("config.providers.e.class", "com.example.Vault", "Could not load config provider class"),
        ("config.providers.e.class", "java.lang.String", "Could not load config provider class"),
    ] {
        let error = resolved(&root, &[(name, value)], "plain").unwrap_err();
        let begin = format!("Invalid value {value} for configuration {name}: {reason}");
        assert!(error.starts_with(&begin), "{error}");
    }
}

#[test]
fn without_a_class_of_its_own_name_a_provider_is_none() {
    let root = mounted();
    for more in [("config.providers", ""), ("config.providers", "f, d"), ("config.providers", "x")] {
        assert_eq!(
            resolved(&root, &[more], "${d:ROOT/racks:node-1}").unwrap(),
            format!("${{d:{}/racks:node-1}}", root.path().display())
        );
    }
}

#[test]
fn references_stand_in_a_file_and_on_the_command_line_and_the_settings_of_providers_are_known() {
    let root = mounted();
    let file = root.path().join("server.properties");
    let racks = root.path().join("racks").display().to_string();
    let secrets = root.path().join("secrets.properties").display().to_string();
    fs::write(&file, format!("metrics.listener=localhost:${{f:{secrets}:port}}\nconfig.providers.f.parm.x=1\n"))
        .unwrap();
    let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    let mut overrides: Vec<_> = CLASSES.iter().map(own).collect();
    overrides.push(("broker.rack".to_owned(), format!("${{d:{racks}:node-1}}")));
    overrides.push(("config.providers.d.param.allowed.paths".to_owned(), racks.clone()));
    overrides.push(("config.providers.x.class".to_owned(), "java.lang.String".to_owned()));

    let config = Config::load(Some(&file), &overrides).unwrap();
    assert_eq!(config.node.rack.as_deref(), Some("zone-a"), "Kafka trims texts");
    assert_eq!(config.metrics.unwrap().port, 9099);
    let unknown =
        ["config.providers.f.parm.x", "config.providers.x.class"].map(|name| Notice::Unknown(name.to_owned()));
    assert_eq!(config.notices, unknown);

    overrides.push(("broker.rack".to_owned(), format!("${{d:{racks}:node-2}}")));
    let error = Config::load(Some(&file), &overrides).unwrap_err().to_string();
    let expected = format!(
        "Cannot resolve ${{d:{racks}:node-2}} for configuration broker.rack: the directory {racks} has no file node-2"
    );
    assert_eq!(error, expected);
}
