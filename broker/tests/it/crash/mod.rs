//! kill -9 at random moments under load, again and again.
//!
//! - An idempotent producer (acks=all) writes numbered records to several partitions, a group reads and commits.
//! - No acknowledged record may be lost, doubled or reordered, and no acknowledged commit may go back ([`load`](crate::support::load)).
//! - The seed decides the moments and the torn tails; it is printed, and `BARNABAS_TEST_SEED` repeats it as far as
//!   the clocks of several processes allow. `BARNABAS_TEST_KILLS` sets the number of kills for each test.
//! - Deliberately absent: loss of power. A killed process loses nothing that it wrote to the page cache.

mod torn;

use std::env;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::broker::{Broker, Kind};
use crate::support::load::{Load, Plan, Retries};

const PLAN: Plan = Plan {
    topic: "crash",
    partitions: 4,
    replicas: 1,
    java: false,
    retries: Retries::Endless,
    tick: Duration::from_millis(1),
};

/// What happens to the files between a kill and the next start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Kept,
    Torn,
}

#[test]
fn the_broker_loses_nothing_when_it_is_killed() {
    kill_again_and_again(Tail::Kept);
}

#[test]
fn the_broker_loses_nothing_when_it_is_killed_and_its_files_end_in_torn_writes() {
    kill_again_and_again(Tail::Torn);
}

fn kill_again_and_again(tail: Tail) {
    let mut broker = Broker::start(&[("log.segment.bytes", "1048576")]);
    let seed = setting("BARNABAS_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    let kills = setting("BARNABAS_TEST_KILLS").unwrap_or(if broker.kind() == Kind::Kafka { 5 } else { 150 });
    println!("BARNABAS_TEST_SEED={seed} BARNABAS_TEST_KILLS={kills}, broker {}", broker.pid());
    let mut random = StdRng::seed_from_u64(seed);
    let load = Load::start(&broker.bootstrap(), PLAN);
    for kill in 1..=kills {
        reach_a_random_moment(&mut broker, &load, &mut random);
        broker.kill();
        if tail == Tail::Torn {
            torn::tear(&broker.log_directory(), &mut random);
        }
        broker.spawn_again();
        if kill % 10 == 0 || kill == kills {
            broker.wait_until_ready();
            load.check_committed_offsets();
        }
    }
    broker.wait_until_ready();
    load.finish();
}

/// One time in four a moment of the start, with its recovery; else one while records flow again.
fn reach_a_random_moment(broker: &mut Broker, load: &Load, random: &mut StdRng) {
    if random.random_ratio(1, 4) {
        thread::sleep(Duration::from_millis(random.random_range(0..30)));
    } else {
        broker.wait_until_ready();
        load.wait_for_acknowledgements();
        thread::sleep(Duration::from_millis(random.random_range(0..250)));
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}
