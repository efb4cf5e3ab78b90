//! The rules of one replica, and histories of a whole partition: replicas with logs in memory, a controller, and a network
//! that loses and delays.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LAG: i64 = 100;
const TOPIC: Uuid = Uuid([1; 16]);

fn live_epochs(id: i32) -> Option<i64> {
    Some(i64::from(id) * 100)
}

fn at(now: i64) -> View<'static> {
    View { now, live: &live_epochs }
}

fn registration(leader: i32, leader_epoch: i32, partition_epoch: i32, isr: &[i32]) -> PartitionRegistration {
    PartitionRegistration {
        replicas: [1, 2, 3].into(),
        isr: isr.into(),
        directories: [Uuid::ZERO; 3].into(),
        leader,
        leader_epoch,
        partition_epoch,
        leader_recovering: false,
        reassignment: None,
        eligible: None,
    }
}

/// Broker 1, which leads three replicas with this ISR and a log that ends at 10.
fn leader(isr: &[i32], min_isr: usize) -> Replica {
    let mut replica = Replica::new(1, LAG, 5);
    let change = replica.apply(&registration(1, 3, 7, isr), LogEnd::at(10), min_isr, at(0));
    assert_eq!(change, RoleChange::BeganToLead);
    replica
}

fn fetch(id: i32, offset: i64) -> FollowerFetch {
    FollowerFetch { id, broker_epoch: i64::from(id) * 100, offset }
}

fn asked(replica: &mut Replica) -> Option<(IsrChange, Vec<i32>)> {
    let change = replica.take_isr_change(TOPIC, 0)?;
    let ids = change.isr.iter().map(|one| one.id).collect();
    Some((change, ids))
}

fn altered(isr: &[i32], partition_epoch: i32) -> AlteredPartition {
    AlteredPartition { leader: 1, leader_epoch: 3, isr: isr.to_vec(), leader_recovering: false, partition_epoch }
}

#[test]
fn a_follower_that_had_fetched_all_before_it_was_known_to_live_joins_when_it_is() {
    let mut replica = leader(&[1, 2], 1);
    let third_is_fenced = |id: i32| live_epochs(id).filter(|_| id != 3);
    let before = View { now: 1, live: &third_is_fenced };
    replica.fetched(fetch(3, 10), before).unwrap();
    replica.tick(before);
    assert!(asked(&mut replica).is_none(), "the controller would refuse it");
    replica.tick(at(2));
    assert_eq!(asked(&mut replica).unwrap().1, [1, 2, 3], "though it fetches an idle partition no more");
}

#[test]
fn a_record_is_committed_when_all_in_sync_have_it() {
    let mut replica = leader(&[1, 2, 3], 1);
    assert_eq!(replica.high_watermark(), 5, "nobody has fetched yet");
    replica.appended(LogEnd::at(20), at(1));
    assert_eq!(replica.fetched(fetch(2, 20), at(1)), Ok(false));
    assert_eq!(replica.fetched(fetch(3, 15), at(1)), Ok(true));
    assert_eq!(replica.high_watermark(), 15);
}

#[test]
fn a_leader_alone_commits_what_is_on_its_disk() {
    let mut replica = leader(&[1], 1);
    replica.tick(at(LAG * 2));
    assert_eq!(replica.high_watermark(), 10);
    assert!(replica.appended(LogEnd { end: 30, durable: 20 }, at(LAG * 2)));
    assert_eq!(replica.high_watermark(), 20);
}

#[test]
fn nothing_is_committed_while_too_few_are_in_sync() {
    let mut replica = leader(&[1], 2);
    assert!(replica.is_under_min_isr());
    assert!(!replica.appended(LogEnd::at(20), at(1)));
    assert_eq!(replica.high_watermark(), 5);
    replica.apply(&registration(1, 3, 8, &[1, 2]), LogEnd::at(20), 2, at(1));
    assert_eq!(replica.fetched(fetch(2, 20), at(1)), Ok(true));
    assert_eq!(replica.high_watermark(), 20);
}

#[test]
fn a_follower_that_has_all_that_is_committed_is_let_in() {
    let mut replica = leader(&[1, 2], 1);
    replica.fetched(fetch(2, 10), at(1)).unwrap();
    replica.fetched(fetch(3, 9), at(1)).unwrap();
    assert_eq!(asked(&mut replica), None, "not all that was there when the leader began");
    replica.fetched(fetch(3, 10), at(1)).unwrap();
    let (change, ids) = asked(&mut replica).unwrap();
    assert_eq!((ids, change.leader_epoch, change.partition_epoch), (vec![1, 2, 3], 3, 7));
    assert_eq!(asked(&mut replica), None, "asked once");
}

#[test]
fn one_that_is_being_let_in_counts_before_the_answer_comes() {
    let mut replica = leader(&[1, 2], 1);
    replica.fetched(fetch(2, 10), at(1)).unwrap();
    replica.fetched(fetch(3, 10), at(1)).unwrap();
    let (change, _) = asked(&mut replica).unwrap();
    replica.appended(LogEnd::at(20), at(2));
    replica.fetched(fetch(2, 20), at(2)).unwrap();
    replica.tick(at(LAG * 5));
    assert_eq!(replica.high_watermark(), 10, "the controller may have let it in");
    replica.isr_answered(&change, Err(ErrorCode::RequestTimedOut), at(LAG * 5));
    assert_eq!(replica.high_watermark(), 10, "still it may have");
    let (again, _) = asked(&mut replica).unwrap();
    assert!(replica.isr_answered(&again, Err(ErrorCode::IneligibleReplica), at(LAG * 5)));
    assert_eq!(replica.high_watermark(), 20, "it has not");
}

/// Nothing is written, so neither fetches again.
#[test]
fn one_that_caught_up_while_another_was_let_in_joins_behind_it() {
    for by_metadata in [false, true] {
        let mut replica = leader(&[1], 1);
        replica.fetched(fetch(2, 10), at(1)).unwrap();
        let (change, ids) = asked(&mut replica).unwrap();
        assert_eq!(ids, [1, 2]);
        replica.fetched(fetch(3, 10), at(1)).unwrap();
        assert_eq!(asked(&mut replica), None, "one after the other");
        if by_metadata {
            replica.apply(&registration(1, 3, 8, &[1, 2]), LogEnd::at(10), 1, at(2));
        } else {
            replica.isr_answered(&change, Ok(&altered(&[1, 2], 8)), at(2));
        }
        assert_eq!(asked(&mut replica).map(|(_, ids)| ids), Some(vec![1, 2, 3]), "by metadata: {by_metadata}");
    }
}

#[test]
fn an_earlier_incarnation_is_not_let_in_and_does_not_count() {
    let mut replica = leader(&[1, 2], 1);
    replica.fetched(FollowerFetch { broker_epoch: 299, ..fetch(3, 10) }, at(1)).unwrap();
    assert_eq!(asked(&mut replica), None);
    replica.fetched(fetch(3, 10), at(1)).unwrap();
    assert!(asked(&mut replica).is_some());
    let earlier = FollowerFetch { broker_epoch: 299, ..fetch(3, 10) };
    assert_eq!(replica.fetched(earlier, at(1)), Err(FetchRefusal::EarlierIncarnation(3)));
    assert_eq!(replica.fetched(fetch(9, 10), at(1)), Err(FetchRefusal::UnknownReplica(9)));
}

#[test]
fn one_that_lags_too_long_leaves_the_isr() {
    let mut replica = leader(&[1, 2, 3], 1);
    replica.fetched(fetch(2, 10), at(1)).unwrap();
    replica.fetched(fetch(3, 10), at(1)).unwrap();
    replica.tick(at(LAG * 50));
    assert_eq!(asked(&mut replica), None, "nobody lacks anything, however long ago they fetched");
    replica.appended(LogEnd::at(20), at(LAG * 50));
    replica.fetched(fetch(2, 20), at(LAG * 50 + 1)).unwrap();
    replica.tick(at(LAG * 51));
    assert_eq!(asked(&mut replica), None, "it lacks it since a moment");
    replica.tick(at(LAG * 51 + 1));
    let (change, ids) = asked(&mut replica).unwrap();
    assert_eq!(ids, [1, 2]);
    assert_eq!(replica.high_watermark(), 10, "it is in the ISR until the controller says otherwise");
    assert!(replica.isr_answered(&change, Ok(&altered(&[1, 2], 8)), at(LAG * 51 + 1)));
    assert_eq!((replica.high_watermark(), replica.partition_epoch()), (20, 8));
}

#[test]
fn a_busy_leader_waits_for_one_that_is_about_to_join() {
    let mut replica = leader(&[1, 2], 1);
    replica.fetched(fetch(2, 10), at(1)).unwrap();
    replica.fetched(FollowerFetch { broker_epoch: 300, ..fetch(3, 8) }, at(1)).unwrap();
    replica.fetched(fetch(3, 10), at(2)).unwrap();
    let (change, _) = asked(&mut replica).unwrap();
    replica.isr_answered(&change, Err(ErrorCode::OperationNotAttempted), at(2));
    replica.appended(LogEnd::at(20), at(3));
    replica.fetched(fetch(2, 20), at(3)).unwrap();
    assert_eq!(replica.high_watermark(), 10);
    let dead = View { now: 4, live: &|id| live_epochs(id).filter(|_| id != 3) };
    assert!(replica.tick(dead), "but not for one that is dead");
    assert_eq!(replica.high_watermark(), 20);
}

#[test]
fn the_metadata_settles_what_was_asked_for() {
    let mut replica = leader(&[1, 2], 1);
    replica.fetched(fetch(3, 10), at(1)).unwrap();
    let (change, _) = asked(&mut replica).unwrap();
    replica.apply(&registration(1, 3, 8, &[1, 3]), LogEnd::at(10), 1, at(1));
    assert_eq!(replica.isr(), [1, 3]);
    replica.isr_answered(&change, Ok(&altered(&[1, 2, 3], 8)), at(1));
    assert_eq!(replica.isr(), [1, 3], "an answer that comes late");
    let stale = replica.apply(&registration(1, 3, 7, &[1, 2]), LogEnd::at(10), 1, at(1));
    assert_eq!((stale, replica.isr()), (RoleChange::Stale, &[1, 3][..]));
}

#[test]
fn a_new_leader_never_takes_back_what_was_committed() {
    let mut replica = Replica::new(1, LAG, 0);
    replica.apply(&registration(2, 2, 6, &[1, 2]), LogEnd::at(0), 1, at(0));
    assert!(replica.followed(2, 10, 8));
    assert!(!replica.followed(1, 10, 9), "of an epoch that is over");
    assert_eq!(replica.apply(&registration(1, 3, 7, &[1, 2]), LogEnd::at(10), 1, at(0)), RoleChange::BeganToLead);
    assert_eq!((replica.high_watermark(), replica.epoch_start()), (8, Some(10)));
    replica.fetched(fetch(2, 4), at(1)).unwrap();
    assert_eq!(replica.high_watermark(), 8);
}

#[test]
fn a_log_is_cut_where_the_leaders_parts_from_it() {
    // Epochs 1 from 0, 3 from 10, 5 from 20 to 30.
    let ends_at = |epoch: i32| match epoch {
        i32::MIN..1 => (epoch, 0),
        1..3 => (1, 10),
        3..5 => (3, 20),
        5 => (5, 30),
        _ => (-1, -1),
    };
    assert_eq!(truncation_offset(5, 25, 30, ends_at), 25, "the leader has less of the epoch");
    assert_eq!(truncation_offset(3, 15, 30, ends_at), 15);
    assert_eq!(truncation_offset(3, 25, 30, ends_at), 20, "the leader has more of the epoch");
    assert_eq!(truncation_offset(4, 27, 30, ends_at), 20, "an epoch that this log does not know");
    assert_eq!(truncation_offset(0, 3, 30, ends_at), 0);
}

/// What happens in a history.
#[derive(Clone, Debug)]
enum Event {
    Append,
    /// A follower fetches; its fetch or the answer may be lost.
    Fetch {
        follower: usize,
        lost: bool,
    },
    /// A broker hears the newest metadata.
    Hear {
        broker: usize,
    },
    /// A broker dies and comes back with its log, but for unsynced records where `forgets`.
    Die {
        broker: usize,
        forgets: u8,
    },
    /// The leader's change of the ISR is answered, perhaps by an error after it was done.
    Alter {
        lost: bool,
    },
    Tick {
        later: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Append),
        10 => (0usize..3, prop::bool::weighted(0.2)).prop_map(|(follower, lost)| Event::Fetch { follower, lost }),
        4 => (0usize..3).prop_map(|broker| Event::Hear { broker }),
        1 => (0usize..3, 0u8..3).prop_map(|(broker, forgets)| Event::Die { broker, forgets }),
        3 => prop::bool::weighted(0.3).prop_map(|lost| Event::Alter { lost }),
        2 => (1i64..LAG * 2).prop_map(|later| Event::Tick { later }),
    ]
}

/// One broker of a history: its replica, and its log as the epoch of each record with a number of its own.
struct Machine {
    replica: Replica,
    log: Vec<(i32, u32)>,
    broker_epoch: i64,
}

impl Machine {
    fn end(&self) -> i64 {
        self.log.len() as i64
    }

    fn ends_at(&self, epoch: i32) -> (i32, i64) {
        let end = self.log.partition_point(|(other, _)| *other <= epoch);
        match end.checked_sub(1).map(|last| self.log[last].0) {
            _ if end == self.log.len() && self.log.last().is_none_or(|(last, _)| *last < epoch) => (-1, -1),
            Some(floor) => (floor, end as i64),
            None => (epoch, 0),
        }
    }

    /// As a leader says it, which knows its own epoch even without records.
    fn leader_ends_at(&self, epoch: i32) -> (i32, i64) {
        let end = self.log.partition_point(|(other, _)| *other <= epoch);
        if epoch == self.replica.leader_epoch() {
            return (epoch, self.end());
        }
        (end.checked_sub(1).map_or(epoch, |last| self.log[last].0), end as i64)
    }
}

struct History {
    machines: Vec<Machine>,
    /// The controller's state.
    truth: PartitionRegistration,
    epochs: BTreeMap<i32, i64>,
    now: i64,
    next_record: u32,
    /// All that was ever below a high watermark of a leader, in its order.
    committed: Vec<(i32, u32)>,
    asked: Option<(usize, IsrChange)>,
}

impl History {
    fn new() -> History {
        let truth = registration(1, 0, 0, &[1, 2, 3]);
        let machine =
            |id: i32| Machine { replica: Replica::new(id, LAG, 0), log: Vec::new(), broker_epoch: i64::from(id) * 100 };
        let mut history = History {
            machines: (1..=3).map(machine).collect(),
            truth,
            epochs: (1..=3).map(|id| (id, i64::from(id) * 100)).collect(),
            now: 0,
            next_record: 0,
            committed: Vec::new(),
            asked: None,
        };
        (0..3).for_each(|broker| history.hear(broker));
        history
    }

    fn on<T>(&mut self, broker: usize, work: impl FnOnce(&mut Machine, View<'_>) -> T) -> T {
        let (now, epochs) = (self.now, self.epochs.clone());
        let result = work(&mut self.machines[broker], View { now, live: &|id| epochs.get(&id).copied() });
        self.check(broker);
        result
    }

    /// What a leader calls committed is what any leader before it has called so, and stays.
    fn check(&mut self, broker: usize) {
        let machine = &self.machines[broker];
        if !machine.replica.is_leader() {
            return;
        }
        let high_watermark = machine.replica.high_watermark() as usize;
        assert!(high_watermark <= machine.log.len(), "committed what is not there");
        for (offset, record) in machine.log[..high_watermark].iter().enumerate() {
            match self.committed.get(offset) {
                Some(known) => assert_eq!(known, record, "another record is committed at {offset}"),
                None => self.committed.push(*record),
            }
        }
    }

    fn hear(&mut self, broker: usize) {
        let truth = self.truth.clone();
        self.on(broker, |machine, view| {
            let end = LogEnd::at(machine.end());
            machine.replica.apply(&truth, end, 1, view);
        });
    }

    fn leader(&self) -> Option<usize> {
        let leader = usize::try_from(self.truth.leader - 1).ok()?;
        Some(leader).filter(|leader| self.machines[*leader].replica.is_leader())
    }

    fn append(&mut self, broker: usize) {
        let record = self.next_record;
        self.next_record += 1;
        self.on(broker, |machine, view| {
            if machine.replica.is_leader() {
                machine.log.push((machine.replica.leader_epoch(), record));
                machine.replica.appended(LogEnd::at(machine.end()), view);
            }
        });
    }

    fn fetch(&mut self, follower: usize, lost: bool) {
        let fetcher = &self.machines[follower];
        let Some(leader) = fetcher.replica.leader().map(|id| id as usize - 1).filter(|id| *id != follower) else {
            return;
        };
        let (epoch, offset) = (fetcher.replica.leader_epoch(), fetcher.end());
        let last_epoch = fetcher.log.last().map_or(-1, |(epoch, _)| *epoch);
        let fetch = FollowerFetch { id: follower as i32 + 1, broker_epoch: fetcher.broker_epoch, offset };
        let source = &self.machines[leader];
        if !source.replica.is_leader() || source.replica.leader_epoch() != epoch {
            return;
        }
        let parts = (last_epoch >= 0).then(|| source.leader_ends_at(last_epoch));
        if let Some((diverging, end)) = parts.filter(|(floor, end)| *floor < last_epoch || *end < offset) {
            if !lost {
                self.cut(follower, diverging, end);
            }
            return;
        }
        if self.on(leader, |machine, view| machine.replica.fetched(fetch, view)).is_err() || lost {
            return;
        }
        let source = &self.machines[leader];
        let sent = source.log[offset as usize..].iter().take(3).copied().collect::<Vec<_>>();
        let high_watermark = source.replica.high_watermark();
        self.on(follower, |machine, _| {
            machine.log.extend(sent);
            machine.replica.followed(epoch, machine.end(), high_watermark);
        });
    }

    fn cut(&mut self, follower: usize, diverging: i32, end: i64) {
        let machine = &mut self.machines[follower];
        let cut = truncation_offset(diverging, end, machine.end(), |epoch| machine.ends_at(epoch));
        assert!(cut < machine.end(), "a cut that cuts nothing is repeated for ever");
        assert!(cut >= machine.replica.high_watermark(), "committed records are cut");
        machine.log.truncate(cut as usize);
        machine.replica.truncated(cut);
    }

    /// The controller fences a broker that has died, and elects another leader of the ISR; it comes back at once.
    fn die(&mut self, broker: usize, forgets: u8) {
        let id = broker as i32 + 1;
        let epoch = self.epochs.values().max().expect("three brokers") + 1;
        self.epochs.insert(id, epoch);
        self.asked.take_if(|(asking, _)| *asking == broker);
        let machine = &mut self.machines[broker];
        let kept = machine.replica.high_watermark();
        machine.broker_epoch = epoch;
        let isr: Vec<i32> = self.truth.isr.iter().copied().filter(|other| *other != id).collect();
        if !isr.is_empty() {
            // Not the last one in sync: what it has not synced may be lost.
            let left = machine.log.len().saturating_sub(usize::from(forgets));
            machine.log.truncate(left);
        }
        machine.replica = Replica::new(id, LAG, kept.min(machine.end()));
        let was_leader = self.truth.leader == id;
        let isr = if isr.is_empty() { vec![id] } else { isr };
        self.truth = PartitionRegistration {
            leader: if was_leader { isr[0] } else { self.truth.leader },
            leader_epoch: self.truth.leader_epoch + i32::from(was_leader),
            partition_epoch: self.truth.partition_epoch + 1,
            isr: isr.into(),
            ..self.truth.clone()
        };
    }

    fn alter(&mut self, lost: bool) {
        let Some((broker, change)) = self.asked.take().or_else(|| {
            let leader = (0..3).find(|broker| self.machines[*broker].replica.wants_isr_change())?;
            Some((leader, self.machines[leader].replica.take_isr_change(TOPIC, 0)?))
        }) else {
            return;
        };
        let answer = self.decide(broker, &change);
        let answer = if lost { Err(ErrorCode::RequestTimedOut) } else { answer };
        self.on(broker, |machine, view| {
            machine.replica.isr_answered(&change, answer.as_ref().map_err(|code| *code), view)
        });
    }

    fn decide(&mut self, broker: usize, change: &IsrChange) -> Result<AlteredPartition, ErrorCode> {
        if self.truth.leader != broker as i32 + 1 || change.leader_epoch != self.truth.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if change.partition_epoch != self.truth.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        if change.isr.iter().any(|one| one.broker_epoch >= 0 && self.epochs[&one.id] != one.broker_epoch) {
            return Err(ErrorCode::IneligibleReplica);
        }
        let isr: Vec<i32> = change.isr.iter().map(|one| one.id).collect();
        self.truth.isr = isr.as_slice().into();
        self.truth.partition_epoch += 1;
        Ok(AlteredPartition {
            leader: self.truth.leader,
            leader_epoch: self.truth.leader_epoch,
            isr,
            leader_recovering: false,
            partition_epoch: self.truth.partition_epoch,
        })
    }

    fn step(&mut self, event: &Event) {
        match *event {
            Event::Append => (0..3).for_each(|broker| self.append(broker)),
            Event::Fetch { follower, lost } => self.fetch(follower, lost),
            Event::Hear { broker } => self.hear(broker),
            Event::Die { broker, forgets } => self.die(broker, forgets),
            Event::Alter { lost } => self.alter(lost),
            Event::Tick { later } => {
                self.now += later;
                for broker in 0..3 {
                    self.on(broker, |machine, view| machine.replica.tick(view));
                }
            }
        }
    }

    /// All faults are over: the replicas become alike, and all that the leader has is committed.
    fn settle(&mut self) {
        for _ in 0..40 {
            self.now += LAG / 4;
            (0..3).for_each(|broker| self.hear(broker));
            for broker in 0..3 {
                self.fetch(broker, false);
            }
            self.alter(false);
        }
        let leader = self.leader().expect("one leads");
        let log = self.machines[leader].log.clone();
        assert_eq!(self.truth.isr.len(), 3, "all are in sync again");
        assert_eq!(self.machines[leader].replica.high_watermark(), log.len() as i64, "all is committed");
        assert!(self.machines.iter().all(|machine| machine.log == log), "the replicas are alike");
        assert_eq!(log[..self.committed.len()], self.committed, "nothing that was committed is lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_history_loses_what_was_committed(events in prop::collection::vec(event(), 1..200)) {
        let mut history = History::new();
        for event in &events {
            history.step(event);
        }
        history.settle();
    }
}
