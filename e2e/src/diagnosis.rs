//! What is printed of a test that failed.

use crate::commands::kubectl;
use crate::space::Space;

/// Lines of a log that are printed.
const LINES: usize = 60;

pub async fn of(space: &Space) -> String {
    let (namespace, operator) = (&space.namespace, &space.environment.operator_namespace);
    let mut text = String::new();
    let mut say = |title: &str, found: String| text.push_str(&format!("---- {title}\n{found}\n"));
    for what in ["all,persistentvolumeclaims,configmaps", "kafkaclusters,kafkatopics"] {
        say(what, show(&format!("-n {namespace} get {what} -o wide")).await);
    }
    let statuses = "-o jsonpath={range.items[*]}{.kind}/{.metadata.name}:{.status}{\"\\n\"}{end}";
    say("status", cut(show(&format!("-n {namespace} get kafkaclusters,kafkatopics {statuses}")).await));
    say("events", cut(show(&format!("-n {namespace} get events --sort-by=.lastTimestamp")).await));
    let brokers = "-l app.kubernetes.io/name=barnabas --prefix --all-containers";
    say("brokers", show(&format!("-n {namespace} logs {brokers} --tail={LINES}")).await);
    say("pods of the operator", show(&format!("-n {operator} get pods -o wide")).await);
    let operators = "-l app.kubernetes.io/name=barnabas-operator --prefix";
    say("operator", show(&format!("-n {operator} logs {operators} --tail={LINES}")).await);
    text
}

async fn show(words: &str) -> String {
    kubectl(words).await.unwrap_or_else(|error| format!("{error:#}"))
}

/// The last lines: a thousand topics say the same.
fn cut(text: String) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
