//! Golden scripts: each file of `scripts/` is a story of a quorum on a network without faults of its own, with what came
//! of it. `UPDATE_SCRIPTS=1` writes what comes of it now.
//!
//! A block is commands, `---`, and what they led to; fetches that bring nothing unusual are left out.
//!
//! ```text
//! quorum VOTERS [OBSERVERS]      run MS               propose ID [BATCHES]       status
//! start ID..                     crash ID..           lose-power ID..            resign ID
//! isolate ID..                   cut FROM TO          heal                       snapshot ID [drop-log]
//! freeze ID MS                   reads BATCHES
//! ```

use super::text;
use super::world::{MS, World};
use crate::raft::ReplicaId;
use crate::simulation::clock::Clock;
use std::fmt::Write;
use std::path::Path;

/// By it node 1 is elected first, and node 2 after it.
const SEED: u64 = 27;

struct Script {
    world: World,
}

#[test]
fn scripts_tell_what_they_told() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/raft/simulation/scripts");
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{} scripts", files.len());
    for file in files {
        let expected = std::fs::read_to_string(&file).unwrap();
        let told = play(&expected);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            std::fs::write(&file, told).unwrap();
        } else {
            assert_eq!(told, expected, "{}", file.display());
        }
    }
}

/// The script with what comes of its commands in place of what stands there.
fn play(text: &str) -> String {
    let mut script = Script { world: World::new(0, 1, 0, None) };
    let mut told = String::new();
    for block in text.trim_end().split("\n\n") {
        let commands = block.split("\n---").next().unwrap_or_default();
        for line in commands.lines().filter(|line| !line.starts_with('#')) {
            script.command(line);
        }
        let trace = std::mem::take(script.world.trace.as_mut().expect("a script begins with `quorum`"));
        let shown: Vec<String> = trace.into_iter().filter(|line| !text::is_idle_chatter(line)).collect();
        assert_eq!(script.world.violation, None, "{commands}");
        writeln!(told, "{commands}\n---\n{}\n", shown.join("\n")).unwrap();
    }
    told.trim_end().to_owned() + "\n"
}

impl Script {
    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers: Vec<i32> = words[1..].iter().filter_map(|word| word.parse().ok()).collect();
        let ids = || numbers.iter().map(|id| ReplicaId(*id));
        let first = || ReplicaId(numbers[0]);
        let world = &mut self.world;
        match words[0] {
            "quorum" => *world = quiet_world(numbers[0], numbers.get(1).copied().unwrap_or(0)),
            "start" => ids().for_each(|id| world.start(id)),
            "run" => world.run_until(world.now + i64::from(numbers[0]) * MS),
            "propose" => {
                for _ in 0..numbers.get(1).copied().unwrap_or(1) {
                    assert!(world.propose(first()), "{line}: not the leader");
                }
            }
            "crash" => ids().for_each(|id| world.crash(id, false)),
            "lose-power" => ids().for_each(|id| world.crash(id, true)),
            "resign" => world.resign(first()),
            "isolate" => ids().for_each(|id| world.isolate(id)),
            "cut" => world.network.cut(first(), ReplicaId(numbers[1])),
            "heal" => world.network.heal(),
            "snapshot" => world.snapshot(first(), words.contains(&"drop-log")),
            "freeze" => world.freeze(first(), i64::from(numbers[1]) * MS),
            "reads" => world.batches_read_max = numbers[0] as usize,
            "status" => self.status(),
            other => panic!("no command {other}"),
        }
    }

    fn status(&mut self) {
        let lines: Vec<String> = self
            .world
            .machines
            .iter()
            .map(|(id, machine)| match &machine.node {
                None => format!("{id} is down"),
                Some(node) => format!(
                    "{id} is {}, leader {}, log {} to {}, committed {}",
                    node.state_name(),
                    node.leader(),
                    machine.disk.start(),
                    machine.disk.end(),
                    node.high_watermark()
                ),
            })
            .collect();
        lines.iter().for_each(|line| self.world.note_all(line));
    }
}

/// No weather, clocks that agree, every delay a millisecond.
fn quiet_world(voters: i32, observers: i32) -> World {
    let mut world = World::new(SEED, voters, observers, None);
    world.network.delay_min = MS;
    world.sync_time_max = MS / 10;
    for machine in world.machines.values_mut() {
        machine.clock = Clock::new(0, 1000);
    }
    world.trace = Some(Vec::new());
    world
}
