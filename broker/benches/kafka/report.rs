//! The measures, their goals, and the table that says how the two brokers compare.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::brokers::Kind;
use crate::scenarios::Sizes;

/// One line of the table.
pub struct Measure {
    pub name: &'static str,
    title: &'static str,
    unit: &'static str,
    better: Better,
    /// What this release must reach, and what the project is after.
    goal: Option<Goal>,
    aim: Option<Goal>,
}

/// What a figure is to be at most (or at least, where higher is better).
#[derive(Clone, Copy)]
enum Goal {
    /// Barnabas' figure as a share of Kafka's.
    Ratio(f64),
    /// Barnabas' figure itself, in the unit of its measure.
    Figure(f64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
}

use Better::{Higher, Lower};
use Goal::{Figure, Ratio};

const CPU: &str = "CPU-s / 1M records";

const fn measure(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    better: Better,
    goal: Option<Goal>,
    aim: Option<Goal>,
) -> Measure {
    Measure { name, title, unit, better, goal, aim }
}

#[rustfmt::skip]
const MEASURES: [Measure; 55] = [
    measure("cpu-produce-16k", "produce, 16 KiB batches: broker CPU", CPU, Lower, Some(Ratio(0.45)), Some(Ratio(0.35))),
    measure("cpu-produce-512k", "produce, 512 KiB batches: broker CPU", CPU, Lower, None, Some(Ratio(0.5))),
    measure("cpu-produce-single", "produce, one record a batch: broker CPU", CPU, Lower, None, Some(Ratio(0.12))),
    measure("cpu-consume", "consume: broker CPU", CPU, Lower, Some(Ratio(0.9)), Some(Ratio(0.7))),
    measure("cpu-paced", "20,000 records/s, in and out: broker CPU", CPU, Lower, None, Some(Ratio(0.3))),
    measure("rate-produce-16k", "produce, 16 KiB batches: throughput", "MB/s", Higher, None, None),
    measure("rate-produce-512k", "produce, 512 KiB batches: throughput", "MB/s", Higher, None, None),
    measure("rate-produce-single", "produce, one record a batch: throughput", "MB/s", Higher, None, None),
    measure("rate-consume", "consume: throughput", "MB/s", Higher, None, None),
    measure("latency-p50", "20,000 records/s: end-to-end latency, p50", "ms", Lower, None, Some(Ratio(0.5))),
    measure("latency-p99", "20,000 records/s: end-to-end latency, p99", "ms", Lower, Some(Ratio(0.5)), Some(Ratio(0.3))),
    measure("latency-p999", "20,000 records/s: end-to-end latency, p99.9", "ms", Lower, None, None),
    measure("memory-peak", "memory, peak under load", "MiB", Lower, Some(Ratio(0.1)), Some(Ratio(0.05))),
    measure("memory-idle", "memory, idle after start", "MiB", Lower, None, Some(Ratio(0.05))),
    measure("start", "exec to first acknowledged record", "s", Lower, Some(Ratio(0.06)), Some(Ratio(0.04))),
    measure("partitions-create", "{partitions} partitions created", "s", Lower, Some(Ratio(0.15)), Some(Ratio(0.05))),
    measure("partitions-create-all", "{partitions} partitions created, all written to", "s", Lower, None, None),
    measure("partitions-memory", "memory with {partitions} partitions", "MiB", Lower, None, Some(Ratio(0.05))),
    measure("partitions-restart", "{partitions} partitions, kill -9, exec to serving", "s", Lower, Some(Ratio(0.1)), None),
    measure("partitions-restart-all", "{partitions} partitions, kill -9, exec to all serving", "s", Lower, None, None),
    measure("recovery", "{gigabytes} GB of data, kill -9, exec to all serving", "s", Lower, None, None),
    measure("cluster-cpu", "three brokers, RF 3, 16 KiB batches: CPU of all", CPU, Lower, Some(Ratio(0.3)), Some(Ratio(0.2))),
    measure("cluster-rate", "three brokers, RF 3, 16 KiB batches: throughput", "MB/s", Higher, Some(Ratio(3.0)), Some(Ratio(4.0))),
    measure("cluster-p50", "three brokers, RF 3, 5,000 records/s: latency, p50", "ms", Lower, None, None),
    measure("cluster-p99", "three brokers, RF 3, 5,000 records/s: latency, p99", "ms", Lower, Some(Ratio(0.2)), Some(Ratio(0.1))),
    measure("cluster-idle", "three brokers: idle CPU of all", "% of a core", Lower, None, Some(Ratio(0.1))),
    measure("cluster-idle-each", "three brokers: idle CPU of the busiest", "% of a core", Lower, None, None),
    measure("failover-kill", "leader killed, all of 100 partitions writable again", "s", Lower, None, None),
    measure("failover-kill-worst", "leader killed, the slowest of {failovers}", "s", Lower, Some(Figure(0.5)), Some(Figure(0.3))),
    measure("failover-kill-both", "leader that is active controller killed", "s", Lower, None, None),
    measure("failover-kill-both-worst", "leader that is active controller killed, the slowest", "s", Lower, Some(Figure(0.5)), Some(Figure(0.3))),
    measure("failover-freeze", "leader frozen, all of 100 partitions writable again", "s", Lower, None, None),
    measure("failover-freeze-worst", "leader frozen, the slowest of {failovers}", "s", Lower, Some(Figure(1.5)), Some(Figure(1.0))),
    measure("failover-freeze-both", "leader that is active controller frozen", "s", Lower, None, None),
    measure("failover-freeze-both-worst", "leader that is active controller frozen, the slowest", "s", Lower, Some(Figure(1.5)), Some(Figure(1.0))),
    measure("failover-freeze-controller", "active controller frozen, next committed change", "s", Lower, None, None),
    measure("failover-freeze-controller-worst", "active controller frozen, the slowest of {failovers}", "s", Lower, Some(Figure(1.5)), Some(Figure(1.0))),
    measure("many-create", "three brokers, {many} partitions, RF 3: created", "s", Lower, None, None),
    measure("many-create-all", "three brokers, {many} partitions, RF 3: created, all replicas in sync", "s", Lower, None, None),
    measure("many-memory", "three brokers, {many} partitions, RF 3: memory of the largest", "MiB", Lower, None, None),
    measure("many-idle", "three brokers, {many} partitions, RF 3: idle CPU of all", "% of a core", Lower, None, None),
    measure("many-idle-each", "three brokers, {many} partitions, RF 3: idle CPU of the busiest", "% of a core", Lower, None, None),
    measure("many-takeover", "three brokers, {many} partitions, RF 3: active controller killed, next change", "s", Lower, None, None),
    measure("many-restart", "three brokers, {many} partitions, RF 3: killed broker restarted, all in sync", "s", Lower, None, None),
    measure("many-alone-create", "three brokers, {alone} partitions, RF 3: created", "s", Lower, None, None),
    measure("many-alone-create-all", "three brokers, {alone} partitions, RF 3: created, all replicas in sync", "s", Lower, None, None),
    measure("many-alone-memory", "three brokers, {alone} partitions, RF 3: memory of the largest", "MiB", Lower, None, None),
    measure("many-alone-idle", "three brokers, {alone} partitions, RF 3: idle CPU of all", "% of a core", Lower, None, None),
    measure("many-alone-idle-each", "three brokers, {alone} partitions, RF 3: idle CPU of the busiest", "% of a core", Lower, Some(Figure(2.0)), None),
    measure("many-alone-takeover", "three brokers, {alone} partitions, RF 3: active controller killed, next change", "s", Lower, Some(Figure(1.0)), None),
    measure("many-alone-restart", "three brokers, {alone} partitions, RF 3: killed broker restarted, all in sync", "s", Lower, None, None),
    measure("million-create", "{image} partitions in the metadata: created", "s", Lower, None, None),
    measure("million-memory", "{image} partitions in the metadata: memory of the active controller", "MiB", Lower, None, None),
    measure("million-change", "{image} partitions in the metadata: one change", "ms", Lower, None, Some(Figure(2.0))),
    measure("million-load", "{image} partitions in the metadata: kill -9, exec to knowing all", "s", Lower, None, None),
];

/// All figures of a run, by measure and broker.
pub struct Report {
    figures: BTreeMap<(String, Kind), Vec<f64>>,
    /// What stands for a size in a title, and the size.
    sizes: Vec<(&'static str, String)>,
}

impl Report {
    /// An empty report; the titles of the measures name the sizes.
    pub fn new(sizes: &Sizes) -> Self {
        let sizes = vec![
            ("{partitions}", sizes.partitions.to_string()),
            ("{gigabytes}", (sizes.recovery_bytes / 1_000_000_000).to_string()),
            ("{failovers}", sizes.failovers.to_string()),
            ("{many}", sizes.cluster_partitions.to_string()),
            ("{image}", sizes.image_partitions.to_string()),
            ("{alone}", sizes.cluster_partitions_alone.to_string()),
        ];
        Self { figures: BTreeMap::new(), sizes }
    }

    pub fn add(&mut self, kind: Kind, figures: Vec<(String, f64)>) {
        for (measure, value) in figures {
            self.figures.entry((measure, kind)).or_default().push(value);
        }
    }

    /// For a terminal.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:<58} {:>18} {:>12} {:>10} {:>7} {:>13}  {:>6}\n",
            "", "unit", "Apache Kafka", "Barnabas", "ratio", "goal", "aim"
        );
        for row in self.rows() {
            let Row { title, unit, kafka, barnabas, ratio, goal, aim, .. } = row;
            let _ =
                writeln!(table, "{title:<58} {unit:>18} {kafka:>12} {barnabas:>10} {ratio:>7} {goal:>13}  {aim:>6}");
        }
        table
    }

    /// For the README.
    pub fn markdown(&self) -> String {
        let mut table =
            String::from("| measure | unit | Apache Kafka | Barnabas | ratio | goal |\n|---|---|--:|--:|--:|--:|\n");
        for row in self.rows() {
            let Row { title, unit, kafka, barnabas, ratio, goal, .. } = row;
            let _ = writeln!(table, "| {title} | {unit} | {kafka} | {barnabas} | {ratio} | {goal} |");
        }
        table
    }

    /// Every figure of every round, and the goals.
    pub fn json(&self) -> String {
        let measures: Vec<_> = self.measured().map(|measure| self.json_measure(measure)).collect();
        format!("[\n{}\n]\n", measures.join(",\n"))
    }

    fn json_measure(&self, measure: &Measure) -> String {
        let number = |value: Option<f64>| value.map_or("null".to_owned(), |value| value.to_string());
        let goal = |goal: Option<Goal>| match goal {
            None => "null".to_owned(),
            Some(Ratio(value)) => format!("{{\"ratio\": {value}}}"),
            Some(Figure(value)) => format!("{{\"figure\": {value}}}"),
        };
        let list = |kind| {
            let values: Vec<_> = self.of(measure, kind).iter().map(|value| value.to_string()).collect();
            values.join(", ")
        };
        format!(
            "  {{\"name\": \"{}\", \"title\": \"{}\", \"unit\": \"{}\", \"kafka\": [{}], \"barnabas\": [{}], \
             \"ratio\": {}, \"goal\": {}, \"aim\": {}}}",
            measure.name,
            self.title(measure),
            measure.unit,
            list(Kind::Kafka),
            list(Kind::Barnabas),
            number(self.ratio(measure)),
            goal(measure.goal),
            goal(measure.aim),
        )
    }

    fn measured(&self) -> impl Iterator<Item = &'static Measure> {
        const ALL: &[Measure] = &MEASURES;
        ALL.iter()
            .filter(|measure| [Kind::Kafka, Kind::Barnabas].iter().any(|kind| !self.of(measure, *kind).is_empty()))
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.measured().map(|measure| Row {
            title: self.title(measure),
            unit: measure.unit,
            kafka: or_dash(median(self.of(measure, Kind::Kafka)).map(figure)),
            barnabas: or_dash(median(self.of(measure, Kind::Barnabas)).map(figure)),
            ratio: or_dash(self.ratio(measure).map(|ratio| format!("{ratio:.2}"))),
            goal: or_dash(measure.goal.map(|goal| self.verdict(measure, goal))),
            aim: or_dash(measure.aim.map(|aim| goal_text(measure, aim))),
        })
    }

    fn title(&self, measure: &Measure) -> String {
        let name = |title: String, (size, value): &(&str, String)| title.replace(size, value);
        let title = self.sizes.iter().fold(measure.title.to_owned(), name);
        if measure.better == Higher { title + " (higher is better)" } else { title }
    }

    fn verdict(&self, measure: &Measure, goal: Goal) -> String {
        let goal_text = goal_text(measure, goal);
        let (reached, bound) = match goal {
            Ratio(bound) => (self.ratio(measure), bound),
            Figure(bound) => (median(self.of(measure, Kind::Barnabas)), bound),
        };
        match reached {
            None => goal_text,
            Some(reached) if measure.better == Higher && reached >= bound => format!("{goal_text} met"),
            Some(reached) if measure.better == Lower && reached <= bound => format!("{goal_text} met"),
            Some(_) => format!("{goal_text} missed"),
        }
    }

    /// Barnabas' median by Kafka's.
    fn ratio(&self, measure: &Measure) -> Option<f64> {
        let (kafka, barnabas) = (median(self.of(measure, Kind::Kafka))?, median(self.of(measure, Kind::Barnabas))?);
        (kafka > 0.0).then(|| barnabas / kafka)
    }

    fn of(&self, measure: &Measure, kind: Kind) -> &[f64] {
        self.figures.get(&(measure.name.to_owned(), kind)).map_or(&[], Vec::as_slice)
    }
}

struct Row {
    title: String,
    unit: &'static str,
    kafka: String,
    barnabas: String,
    ratio: String,
    goal: String,
    aim: String,
}

fn goal_text(measure: &Measure, goal: Goal) -> String {
    let sign = if measure.better == Higher { ">=" } else { "<=" };
    match goal {
        Ratio(bound) => format!("{sign} {bound}"),
        Figure(bound) => format!("{sign} {bound} {}", measure.unit),
    }
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
