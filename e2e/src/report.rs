//! Figures, each with what it should be, in a table that the runner prints at the end.

use crate::environment::{root, variable};
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

const HEAD: &str = "| figure | value | goal | |\n|---|---|---|---|\n";

/// Notes how long something took.
pub fn time(name: &str, took: Duration, goal: Duration) {
    note(name, format!("{took:.2?}"), format!("≤ {goal:?}"), took <= goal);
}

/// Notes an amount that should not be more than its goal.
pub fn at_most(name: &str, value: f64, goal: f64, unit: &str) {
    note(name, format!("{value:.1} {unit}"), format!("≤ {goal} {unit}"), value <= goal);
}

/// Notes a figure without a goal.
pub fn figure(name: &str, value: impl Display) {
    append(&format!("| {name} | {value} | | |\n"));
}

/// The value below which the given share of all values lies, the largest of them included.
pub fn quantile(values: &[Duration], share: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

// A goal that is missed fails no test: how fast things are depends on the machine, whether they are right does not.
fn note(name: &str, value: String, goal: String, is_met: bool) {
    let verdict = if is_met { "met" } else { "**missed**" };
    append(&format!("| {name} | {value} | {goal} | {verdict} |\n"));
}

fn append(row: &str) {
    print!("{row}");
    let path = PathBuf::from(variable("BARNABAS_E2E_REPORT", &root().join("target/e2e-report.md").to_string_lossy()));
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("the report can be written");
    let text = if is_new { format!("{HEAD}{row}") } else { row.to_owned() };
    file.write_all(text.as_bytes()).expect("the report can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&values, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&values, 0.5), Duration::from_millis(100));
        assert_eq!(quantile(&values[..1], 0.99), Duration::from_millis(1));
        assert_eq!(quantile(&[], 0.99), Duration::ZERO);
    }
}
