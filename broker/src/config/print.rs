//! Every setting as text for people: what `barnabas config` prints.

use std::fmt::Write;

use super::setting::{Setting, Update};
use super::{broker, topic};

const WIDTH: usize = 100;

const ELSEWHERE: &str = "A value may refer to what stands elsewhere, ${name:path:key} or ${name:key}, by the providers that \
    config.providers names; config.providers.<name>.class is one of org.apache.kafka.common.config.provider.FileConfigProvider, \
    DirectoryConfigProvider and EnvVarConfigProvider, and config.providers.<name>.param.allowed.paths or \
    .param.allowlist.pattern says where it may look. What is not there ends the start.";

/// All settings of brokers and of topics, with what they accept, their defaults and their meaning.
pub fn describe() -> String {
    let mut text = String::from("Settings of a broker: in a properties file, or by --override key=value.\n");
    wrapped(&mut text, ELSEWHERE);
    broker::SECTIONS.iter().for_each(|(title, settings)| section(&mut text, title, settings, true));
    text.push_str("\n\nSettings of a topic: given when it is created, or changed later (kafka-configs.sh).\n");
    topic::SECTIONS.iter().for_each(|(title, settings)| section(&mut text, title, settings, false));
    text
}

/// The settings of these names alone. Errors: one that there is not.
pub fn describe_some(names: &[String]) -> Result<String, String> {
    let mut text = String::new();
    for name in names {
        let of_broker = broker::find(name).map(|setting| (setting, true));
        let of_topic = topic::all().find(|setting| setting.name == name).map(|setting| (setting, false));
        if of_broker.is_none() && of_topic.is_none() {
            return Err(format!("{name} is no setting; `barnabas config` prints them all"));
        }
        for (setting, of_broker) in of_broker.into_iter().chain(of_topic) {
            entry(&mut text, setting, of_broker);
        }
    }
    Ok(text.trim_start().to_owned())
}

fn section(text: &mut String, title: &str, settings: &[&'static Setting], of_broker: bool) {
    let _ = write!(text, "\n{title}\n{}\n", "-".repeat(title.len()));
    settings.iter().filter(|setting| !setting.internal).for_each(|setting| entry(text, setting, of_broker));
}

fn entry(text: &mut String, setting: &Setting, of_broker: bool) {
    let default = match setting.default {
        None => "not set",
        Some("") => "empty",
        Some(default) => default,
    };
    let _ = write!(text, "\n{}\n    default: {default}\n    accepts: {}\n", setting.name, setting.accepts());
    if of_broker && setting.update == Update::ClusterWide {
        text.push_str("    may change while the broker runs\n");
    }
    let inherited: Vec<&str> = topic::synonyms(setting.name).iter().map(|synonym| synonym.setting.name).collect();
    if !of_broker && !inherited.is_empty() {
        let _ = writeln!(text, "    not set: the broker's {}", inherited.join(", "));
    }
    wrapped(text, &setting.doc());
}

fn wrapped(text: &mut String, paragraph: &str) {
    let mut line = String::from("   ");
    for word in paragraph.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("   ");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
